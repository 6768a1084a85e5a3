//! The console: whole lines on the PL011 that the command line names.
//!
//! Called by everything that prints, the panic handler and the exception handler included;
//! there is one vCPU and interrupts stay masked, so a line is interrupted only by its own
//! failure. Each byte is a poll of UARTFR and a store to UARTDR, both in the driver by way of
//! `safe-mmio`, which means plain LDR and STR.

use core::{
    fmt::{self, Write},
    ptr::{self, NonNull},
    sync::atomic::{AtomicUsize, Ordering},
};

#[cfg(target_os = "none")]
use crate::cmdline::{CommandLine, CommandLineError};
use arm_pl011_uart::{PL011Registers, Uart, UniqueMmioPointer};

/// Address of the PL011; 0 while there is none.
static PL011: AtomicUsize = AtomicUsize::new(0);

/// Takes the console's address from the command line; called once, at the start.
#[cfg(target_os = "none")]
pub(crate) fn open<'a>(cmdline: &CommandLine<'a>) -> Result<(), CommandLineError<'a>> {
    if let Some(address) = cmdline.optional_number("console")? {
        PL011.store(address as usize, Ordering::Relaxed);
    }
    Ok(())
}

/// Prints one line; nothing happens while there is no console. Use [`say!`](crate::say).
pub fn line(text: fmt::Arguments<'_>) {
    let address = PL011.load(Ordering::Relaxed);
    let Some(registers) = NonNull::new(ptr::with_exposed_provenance_mut::<PL011Registers>(address))
    else {
        return;
    };
    // SAFETY: the command line says that a PL011 is there, the MMU is off, and no second line
    // is in progress, except one that a panic or an exception ended.
    let registers = unsafe { UniqueMmioPointer::new(registers) };
    // Writing to the driver cannot fail; a `Display` that does has printed what it could.
    let _ = writeln!(Uart::new(registers), "guest: {text}");
}
