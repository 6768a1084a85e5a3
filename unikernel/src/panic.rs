//! The end of the run by a bug of ours: a Rust panic, or an exception at EL2.
//!
//! Called by the compiler's checks and by the vectors for the current EL. The invariant: the
//! last two lines say who, where and why, and the machine is off afterwards, even if the
//! panic came out of the middle of printing.
//!
//! Arm ARM D17.2.37 (ESR_ELx, exception classes).

use crate::{power, print_line, uart};
use aarch64_cpu::registers::{ELR_EL2, ESR_EL2, FAR_EL2, Readable};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

/// Set by the first; a second one, out of the first one's printing, says nothing any more.
static ENDING: AtomicBool = AtomicBool::new(false);

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    begin_the_end();
    match info.location() {
        Some(location) => print_line!("panic in unikernel: {location}: {}", info.message()),
        None => print_line!("panic in unikernel: {}", info.message()),
    }
    end()
}

/// An exception from EL2 itself. The vectors put it on a stack of its own.
pub extern "C" fn fatal_exception(vector: u64) -> ! {
    begin_the_end();
    let kind = ["synchronous", "IRQ", "FIQ", "SError"][vector as usize % 4];
    let esr = ESR_EL2.get();
    print_line!(
        "panic in unikernel: exception {} ({kind}) at {:#x} address {:#x} esr {esr:#x}",
        class_name(esr >> 26 & 0x3f),
        ELR_EL2.get(),
        FAR_EL2.get(),
    );
    end()
}

fn begin_the_end() {
    if ENDING.load(Ordering::Relaxed) {
        power::off();
    }
    ENDING.store(true, Ordering::Relaxed);
    // SAFETY: nothing but this function's caller runs from here on.
    unsafe { uart::seize() };
}

fn end() -> ! {
    print_line!("verdict: failed: panic in unikernel");
    power::off()
}

/// The classes that EL2 can get from itself.
fn class_name(class: u64) -> &'static str {
    match class {
        0x00 => "unknown reason",
        0x07 => "FP access",
        0x0e => "illegal execution state",
        0x16 => "HVC",
        0x18 => "system register access",
        0x21 => "instruction abort",
        0x22 => "PC alignment",
        0x25 => "data abort",
        0x26 => "SP alignment",
        0x2f => "SError",
        0x3c => "BRK",
        _ => "of another class",
    }
}
