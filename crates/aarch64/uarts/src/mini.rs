//! The mini UART of the Raspberry Pi, which is what its firmware gives the serial pins to.
//!
//! Its registers lie behind those of the auxiliary peripherals, with which it shares an interrupt: the page is
//! theirs. The interrupt's bits are those of an 16550, as Linux' `8250_bcm2835aux` has them; the manual of the
//! BCM2835 has two of them the wrong way round.
//!
//! Specification: BCM2711 ARM Peripherals, 2.1 "Auxiliaries" and 2.2 "Mini UART".

use crate::{Overrun, Registers, Uart};

/// AUX_ENABLES: the mini UART is there at all.
const ENABLES: usize = 0x04;
const MINI_UART: u32 = 1 << 0;
/// AUX_MU_IO_REG: what is received, and what is sent.
const IO: usize = 0x40;
/// AUX_MU_IER_REG: it interrupts for what is received, and for what was lost.
const INTERRUPT_ENABLE: usize = 0x44;
const RECEIVED: u32 = 1 << 0;
const LINE_STATUS: u32 = 1 << 2;
/// AUX_MU_LSR_REG, which forgets what was lost when it is read: a character is there; one was lost; the transmit
/// FIFO takes one.
const LINE: usize = 0x54;
const DATA_READY: u32 = 1 << 0;
const OVERRUN: u32 = 1 << 1;
const TX_TAKES_ONE: u32 = 1 << 5;
/// AUX_MU_CNTL_REG: receiver and transmitter are enabled.
const CONTROL: usize = 0x60;
const RX_ENABLED: u32 = 1 << 0;
const TX_ENABLED: u32 = 1 << 1;

/// A mini UART.
pub struct Mini<R> {
    registers: R,
    has_lost: bool,
}

impl<R: Registers> Mini<R> {
    /// The mini UART among these registers, which are those of the auxiliary peripherals.
    pub const fn new(registers: R) -> Self {
        Self {
            registers,
            has_lost: false,
        }
    }

    fn line(&mut self) -> u32 {
        let status = self.registers.read(LINE);
        self.has_lost |= status & OVERRUN != 0;
        status
    }
}

impl<R: Registers> Uart for Mini<R> {
    fn begin_to_send(&mut self) {
        self.registers.set(ENABLES, MINI_UART);
        self.registers.set(CONTROL, TX_ENABLED);
    }

    fn is_full(&mut self) -> bool {
        self.line() & TX_TAKES_ONE == 0
    }

    fn send(&mut self, byte: u8) {
        self.registers.write(IO, byte.into());
    }

    fn begin_to_receive(&mut self) {
        self.registers.set(CONTROL, RX_ENABLED);
        self.registers
            .write(INTERRUPT_ENABLE, RECEIVED | LINE_STATUS);
    }

    fn has_received(&mut self) -> bool {
        self.line() & DATA_READY != 0
    }

    fn take(&mut self) -> Result<u8, Overrun> {
        self.line();
        match core::mem::take(&mut self.has_lost) {
            true => Err(Overrun),
            false => Ok(self.registers.read(IO) as u8),
        }
    }
}
