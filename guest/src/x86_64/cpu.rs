//! The few things that a program asks of its CPU.
//!
//! AMD APM volume 3: RDTSC, LFENCE, HLT, CLI.

use core::arch::asm;

/// The time stamp counter, after everything before this call is done.
pub fn counter() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: reads the counter.
    unsafe { asm!("lfence", "rdtsc", out("eax") low, out("edx") high, options(nostack)) };
    u64::from(high) << 32 | u64::from(low)
}

/// HLT.
pub fn wait_for_interrupt() {
    // SAFETY: only waits; the VMM ends it although interrupts are masked.
    unsafe { asm!("hlt", options(nomem, nostack, preserves_flags)) };
}

/// Masks interrupts.
pub fn mask_interrupts() {
    // SAFETY: no interrupt is expected.
    unsafe { asm!("cli", options(nostack)) };
}

/// About a microsecond of instructions.
pub(crate) fn spin_briefly() {
    // SAFETY: counts a register down.
    unsafe {
        asm!(
            "2: dec {n}",
            "jnz 2b",
            n = inout(reg) 500_u64 => _,
            options(nomem, nostack),
        );
    }
}
