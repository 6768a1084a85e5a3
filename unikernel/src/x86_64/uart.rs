//! COM1 as a sink of bytes. Nothing is received from it yet.
//!
//! Called from anywhere in the host, the panic handler included. The invariant: one writer at
//! a time, so that lines do not mix; bytes leave in order and none is lost (the transmitter is
//! polled). Before [`init`] bytes go nowhere.
//!
//! 16550 datasheet (National Semiconductor PC16550D), 8.4 line status register.

// Hermit's lock for statics: masks interrupts while held.
use hermit_sync::InterruptSpinMutex;
// Field's crate: the driver.
use core::fmt;
use oversight::printable;
use uart_16550::backend::PioBackend;
use uart_16550::{BaudRate, Config, Uart16550};
use vm_components::{Input, Typed};

type Port = Uart16550<PioBackend>;

/// Where PCs have their first serial port.
const COM1: u16 = 0x3f8;

static UART: InterruptSpinMutex<Option<Port>> = InterruptSpinMutex::new(None);

/// Takes COM1 into use: 115200 8N1.
///
/// # Safety
///
/// Once; nobody else may use the port.
pub unsafe fn init() {
    // SAFETY: a PC has COM1 there, and the caller says that it is ours alone.
    let Ok(mut port) = (unsafe { Uart16550::new_port(COM1) }) else {
        return;
    };
    let config = Config {
        baud_rate: BaudRate::Baud115200,
        ..Config::DEFAULT
    };
    if port.init(config).is_ok() {
        *UART.lock() = Some(port);
    }
}

/// Whether the port has interrupted: it does not.
pub fn is_typed() -> bool {
    false
}

/// It does not listen.
pub fn listen(_: Typed) {}

/// What is typed: nothing is.
pub struct Keyboard;

impl Input for Keyboard {
    fn is_there(&mut self) -> bool {
        false
    }

    fn take(&mut self) -> Option<u8> {
        None
    }
}

/// Writes `bytes` as they are, waiting while the transmitter is full.
pub fn write(bytes: &[u8]) {
    if let Some(port) = UART.lock().as_mut() {
        port.send_bytes_exact(bytes);
    }
}

/// Writes formatted text and ends the line, in one go; see [`print_line!`](crate::print_line).
pub fn print_line(text: fmt::Arguments<'_>) {
    if let Some(port) = UART.lock().as_mut() {
        // Cannot fail: `Sink` never does.
        let _ = fmt::Write::write_fmt(&mut Sink(port), text);
        port.send_bytes_exact(b"\n");
    }
}

/// Takes the lock away from whoever holds it, and ends the line it was in the middle of.
///
/// # Safety
///
/// Only on the way to the power switch: the holder must never run again.
pub unsafe fn seize() {
    if UART.is_locked() {
        // SAFETY: it is locked, and its holder, being what panicked on the only core, will
        // not unlock it.
        unsafe { UART.force_unlock() };
        write(b"\n");
    }
}

struct Sink<'a>(&'a mut Port);

impl fmt::Write for Sink<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0.send_bytes_exact(&[printable(byte)]);
        }
        Ok(())
    }
}
