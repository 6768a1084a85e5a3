//! The machine's counter, CNTPCT_EL0, which the kernel exports to protection domains.
//!
//! Read on every hop of an access. Invariant: it never goes back, and it is the same for all.
//!
//! Specification: Arm ARM D12.1.

use core::arch::asm;

/// CNTPCT_EL0.
pub struct Counter;

impl Counter {
    /// The counter, in ticks.
    #[inline(always)]
    pub fn now() -> u64 {
        let ticks;
        // SAFETY: reading the counter changes nothing; the SDK's kernels allow it at EL0.
        unsafe { asm!("mrs {}, cntpct_el0", out(reg) ticks, options(nomem, nostack)) };
        ticks
    }

    /// Its frequency in hertz.
    pub fn hz() -> u64 {
        let hz;
        // SAFETY: reading the frequency changes nothing; it is readable with the counter.
        unsafe { asm!("mrs {}, cntfrq_el0", out(reg) hz, options(nomem, nostack)) };
        hz
    }
}
