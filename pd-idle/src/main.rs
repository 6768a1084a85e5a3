//! `pd-idle`: runs when nobody else has anything to do, and waits for an interrupt.
//!
//! It makes idling measurable: its scheduling context is charged for what else would be the
//! kernel's own idle thread's, which nobody can ask for. What is left of the time after it and all
//! other protection domains is the guests'. Lowest of all priorities; owns nothing, and is
//! signalled by nobody. No PC has it: there a guest runs on its VMM's time, and idling is what is
//! left.
//!
//! Invariant: the kernel lets user level execute WFI (SCTLR_EL1.nTWI), and an interrupt wakes the
//! CPU whatever it interrupts, so nobody waits for this.
#![no_std]
#![no_main]

use sel4_microkit::{NullHandler, protection_domain};

#[protection_domain]
fn init() -> NullHandler {
    loop {
        rest();
    }
}

#[cfg(target_arch = "aarch64")]
fn rest() {
    // SAFETY: it waits for an interrupt and changes nothing (Arm ARM C6.2, WFI).
    unsafe { core::arch::asm!("wfi", options(nomem, nostack, preserves_flags)) };
}

/// For the compiler alone: user level cannot halt a PC.
#[cfg(target_arch = "x86_64")]
fn rest() {
    core::hint::spin_loop();
}
