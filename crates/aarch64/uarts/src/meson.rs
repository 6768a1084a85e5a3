//! The UART of Amlogic's Meson family.
//!
//! Its interrupt is a pulse for each character, so its line in a board's file is `trigger = "edge"`.
//!
//! Specification: Amlogic S905X3 datasheet, "UART"; what it leaves out is as Linux' `meson_uart` has it.

use crate::{Overrun, Registers, Uart};

/// UART_WFIFO and UART_RFIFO.
const TRANSMIT_FIFO: usize = 0x00;
const RECEIVE_FIFO: usize = 0x04;
/// UART_CONTROL: transmitter and receiver are enabled, errors are cleared while it is set, it interrupts for
/// what is received.
const CONTROL: usize = 0x08;
const TX_ENABLED: u32 = 1 << 12;
const RX_ENABLED: u32 = 1 << 13;
const CLEAR_ERRORS: u32 = 1 << 24;
const RX_INTERRUPT: u32 = 1 << 27;
/// UART_STATUS: the receive FIFO is empty, the transmit FIFO is full, a character was lost.
const STATUS: usize = 0x0c;
const RX_EMPTY: u32 = 1 << 20;
const TX_FULL: u32 = 1 << 21;
const RX_OVERFLOW: u32 = 1 << 24;
/// UART_MISC, whose lowest bits say how many characters make an interrupt.
const INTERRUPT_CONTROL: usize = 0x10;
const RECEIVED_COUNT: u32 = 0xff;

/// A Meson UART.
pub struct Meson<R>(pub R);

impl<R: Registers> Uart for Meson<R> {
    fn begin_to_send(&mut self) {
        self.0.set(CONTROL, TX_ENABLED);
    }

    fn is_full(&mut self) -> bool {
        self.0.read(STATUS) & TX_FULL != 0
    }

    fn send(&mut self, byte: u8) {
        self.0.write(TRANSMIT_FIFO, byte.into());
    }

    fn begin_to_receive(&mut self) {
        let others = self.0.read(INTERRUPT_CONTROL) & !RECEIVED_COUNT;
        self.0.write(INTERRUPT_CONTROL, others | 1);
        self.0.set(CONTROL, RX_ENABLED | RX_INTERRUPT);
    }

    fn has_received(&mut self) -> bool {
        self.0.read(STATUS) & RX_EMPTY == 0
    }

    fn take(&mut self) -> Result<u8, Overrun> {
        if self.0.read(STATUS) & RX_OVERFLOW != 0 {
            let control = self.0.read(CONTROL);
            self.0.write(CONTROL, control | CLEAR_ERRORS);
            self.0.write(CONTROL, control & !CLEAR_ERRORS);
            return Err(Overrun);
        }
        Ok(self.0.read(RECEIVE_FIFO) as u8)
    }
}
