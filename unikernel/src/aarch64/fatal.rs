//! An exception at EL2: a bug of ours that the CPU noticed.
//!
//! Called by the vectors for the current EL, which put it on a stack of its own. The
//! invariant is that of `panic`.
//!
//! Arm ARM D17.2.37 (ESR_ELx, exception classes).

use crate::{panic, print_line};
use aarch64_cpu::registers::{ELR_EL2, ESR_EL2, FAR_EL2, Readable};

/// An exception from EL2 itself. The vectors put it on a stack of its own.
pub extern "C" fn fatal_exception(vector: u64) -> ! {
    panic::begin_the_end();
    let kind = ["synchronous", "IRQ", "FIQ", "SError"][vector as usize % 4];
    let esr = ESR_EL2.get();
    print_line!(
        "panic in unikernel: exception {} ({kind}) at {:#x} address {:#x} esr {esr:#x}",
        class_name(esr >> 26 & 0x3f),
        ELR_EL2.get(),
        FAR_EL2.get(),
    );
    panic::end()
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
