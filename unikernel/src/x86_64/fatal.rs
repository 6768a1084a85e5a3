//! An exception in the host: a bug of ours that the CPU noticed.
//!
//! Called by the entries in `assembly`, on the emergency stack. The invariant is that of
//! `panic`.
//!
//! AMD APM volume 2, 8.2 (vectors), 8.4 (error codes).

use crate::{panic, print_line};
use x86_64::registers::control::Cr2;

/// An exception from the host itself.
pub extern "C" fn fatal_exception(vector: u64, error_code: u64, rip: u64) -> ! {
    panic::begin_the_end();
    print_line!(
        "panic in unikernel: exception {} ({vector}) at {rip:#x} address {:#x} error \
         {error_code:#x}",
        name(vector),
        Cr2::read_raw(),
    );
    panic::end()
}

fn name(vector: u64) -> &'static str {
    match vector {
        0 => "#DE",
        1 => "#DB",
        2 => "NMI",
        3 => "#BP",
        6 => "#UD",
        7 => "#NM",
        8 => "#DF",
        12 => "#SS",
        13 => "#GP",
        14 => "#PF",
        17 => "#AC",
        18 => "#MC",
        _ => "of another kind",
    }
}
