//! The few things that a program asks of its CPU.
//!
//! Arm ARM D11.1 (the counter), K6.5.1 (ISB before reading it), D1.6 (WFI).

use aarch64_cpu::{
    asm::{self, barrier},
    registers::{CNTVCT_EL0, DAIF, Readable, Writeable},
};

/// CNTVCT_EL0, after everything before this call is done. CNTFRQ_EL0 is not asked for its
/// frequency: it is what the firmware wrote there, and the VMM knows better.
pub fn counter() -> u64 {
    barrier::isb(barrier::SY);
    CNTVCT_EL0.get()
}

/// WFI.
pub fn wait_for_interrupt() {
    asm::wfi();
}

/// Waits in a loop for interrupts that the program would take.
pub fn idle() -> ! {
    DAIF.set(0);
    loop {
        wait_for_interrupt();
    }
}

/// Stops for good: WFI with everything masked, for ever.
pub fn halt() -> ! {
    mask_interrupts();
    // SAFETY: does not return.
    unsafe {
        core::arch::asm!(
            "2: dsb sy",
            "wfi",
            "b 2b",
            options(nomem, nostack, noreturn)
        );
    }
}

/// Masks every exception that can be masked.
pub fn mask_interrupts() {
    DAIF.write(DAIF::D::Masked + DAIF::A::Masked + DAIF::I::Masked + DAIF::F::Masked);
}

/// About a microsecond of instructions.
pub(crate) fn spin_briefly() {
    // SAFETY: counts a register down.
    unsafe {
        core::arch::asm!(
            "2: subs {n}, {n}, #1",
            "b.ne 2b",
            n = inout(reg) 500_u64 => _,
            options(nomem, nostack),
        );
    }
}
