//! The UART of NXP's i.MX family.
//!
//! Specification: i.MX 8M Plus Applications Processor Reference Manual, IMX8MPRM, "Universal Asynchronous
//! Receiver/Transmitter (UART)"; that of the i.MX 8M, IMX8MDQLQRM, has the same registers.

use crate::{Overrun, Registers, Uart};

/// UARTx_URXD, the receiver: reading takes a character, bits 7:0.
const RECEIVER: usize = 0x00;
/// UARTx_UTXD, the transmitter.
const TRANSMITTER: usize = 0x40;
/// UARTx_UCR1: the UART is enabled; it interrupts when the receiver is ready.
const CONTROL_1: usize = 0x80;
const UARTEN: u32 = 1 << 0;
const RRDYEN: u32 = 1 << 9;
/// UARTx_UCR2: receiver and transmitter are enabled. Bit 0 resets them while it is clear.
const CONTROL_2: usize = 0x84;
const SRST: u32 = 1 << 0;
const RXEN: u32 = 1 << 1;
const TXEN: u32 = 1 << 2;
/// UARTx_UFCR, whose lowest bits say how many characters make the receiver ready.
const FIFO_CONTROL: usize = 0x90;
const RXTL: u32 = 0x3f;
/// UARTx_USR2: a character is there; one was lost, which writing 1 clears.
const STATUS_2: usize = 0x98;
const RDR: u32 = 1 << 0;
const ORE: u32 = 1 << 1;
/// UARTx_UTS: the transmit FIFO is full.
const TEST: usize = 0xb4;
const TXFULL: u32 = 1 << 4;

/// An i.MX UART.
pub struct Imx<R>(pub R);

impl<R: Registers> Uart for Imx<R> {
    fn begin_to_send(&mut self) {
        self.0.set(CONTROL_1, UARTEN);
        self.0.set(CONTROL_2, SRST | TXEN);
    }

    fn is_full(&mut self) -> bool {
        self.0.read(TEST) & TXFULL != 0
    }

    fn send(&mut self, byte: u8) {
        self.0.write(TRANSMITTER, byte.into());
    }

    fn begin_to_receive(&mut self) {
        self.0.set(CONTROL_2, SRST | RXEN);
        let others = self.0.read(FIFO_CONTROL) & !RXTL;
        self.0.write(FIFO_CONTROL, others | 1);
        self.0.set(CONTROL_1, RRDYEN);
    }

    fn has_received(&mut self) -> bool {
        self.0.read(STATUS_2) & RDR != 0
    }

    fn take(&mut self) -> Result<u8, Overrun> {
        if self.0.read(STATUS_2) & ORE != 0 {
            self.0.write(STATUS_2, ORE);
            return Err(Overrun);
        }
        Ok(self.0.read(RECEIVER) as u8)
    }
}
