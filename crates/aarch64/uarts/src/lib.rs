//! Drivers of the UARTs that aarch64 boards have: send, receive, interrupt for what is received.
//!
//! Called by `pd-runtime`, whose `Serial` is the board's. Each driver is a file, by the manual of its SoC; Arm's
//! PL011 has a crate of its own elsewhere. Invariant: speed and pins are the boot loader's, and nothing here
//! changes them. `docs/boards.md` says what a further one takes.
#![no_std]
#![forbid(unsafe_code)]

mod cadence;
mod imx;
mod meson;
mod mini;

pub use cadence::Cadence;
pub use imx::Imx;
pub use meson::Meson;
pub use mini::Mini;

/// The registers of a UART, 32 bits each.
pub trait Registers {
    /// Reads the register at this offset, in bytes.
    fn read(&mut self, offset: usize) -> u32;

    /// Writes it.
    fn write(&mut self, offset: usize, value: u32);

    /// Sets bits of it that are all that may change.
    fn set(&mut self, offset: usize, bits: u32) {
        let value = self.read(offset);
        self.write(offset, value | bits);
    }
}

/// A character was lost: it came before others had been taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overrun;

/// A UART.
pub trait Uart {
    /// Lets it send. Called once, before anything else.
    fn begin_to_send(&mut self);

    /// Whether it takes no further character for now.
    fn is_full(&mut self) -> bool;

    /// Sends a character. It is not full.
    fn send(&mut self, byte: u8);

    /// Lets it receive, and interrupt as long as there is a character that was not taken.
    fn begin_to_receive(&mut self);

    /// Whether something was received and not taken.
    fn has_received(&mut self) -> bool;

    /// Takes the next character, or says, once, that one was lost. Something was received.
    fn take(&mut self) -> Result<u8, Overrun>;
}
