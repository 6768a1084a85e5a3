//! The console: whole lines on the 8250 that the command line names (`console=io:0x3f8`).
//!
//! Called by everything that prints, the panic handler and the exception handler included;
//! there is one vCPU and interrupts stay masked, so a line is interrupted only by its own
//! failure. Each byte is a poll of the line status register and an OUT, both in the driver.

use core::{
    fmt::{self, Write},
    sync::atomic::{AtomicU16, Ordering},
};

#[cfg(target_os = "none")]
use crate::cmdline::{CommandLine, CommandLineError};
use uart_16550::{Uart16550, backend::PioBackend};

/// First port of the 8250; 0 while there is none.
static PORT: AtomicU16 = AtomicU16::new(0);

/// Takes the console's port from the command line and initialises it; called once, at the
/// start.
#[cfg(target_os = "none")]
pub(crate) fn open<'a>(cmdline: &CommandLine<'a>) -> Result<(), CommandLineError<'a>> {
    let Some(port) = cmdline.optional_port("console")? else {
        return Ok(());
    };
    if let Some(mut uart) = uart(port)
        && uart.init(uart_16550::Config::default()).is_ok()
    {
        PORT.store(port, Ordering::Relaxed);
    }
    Ok(())
}

/// Prints one line; nothing happens while there is no console. Use [`say!`](crate::say).
pub fn line(text: fmt::Arguments<'_>) {
    if let Some(mut uart) = uart(PORT.load(Ordering::Relaxed)) {
        // Writing to the driver cannot fail; a `Display` that does has printed what it could.
        let _ = writeln!(Lines(&mut uart), "guest: {text}");
    }
}

fn uart(port: u16) -> Option<Uart16550<PioBackend>> {
    if port == 0 {
        return None;
    }
    // SAFETY: the command line says that an 8250 is there, and no second line is in progress,
    // except one that a panic or an exception ended.
    unsafe { Uart16550::new_port(port) }.ok()
}

struct Lines<'a>(&'a mut Uart16550<PioBackend>);

impl Write for Lines<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.send_bytes_exact(text.as_bytes());
        Ok(())
    }
}
