//! The FP registers, and the few instructions that no crate has a function for.
//!
//! Called by `interrupts` and `svm`.

use core::arch::asm;

/// VMSAVE: writes FS, GS, TR, LDTR and the system call registers to a VMCB.
///
/// # Safety
///
/// SVM must be on, and `vmcb` the physical address of a page that is a VMCB.
pub unsafe fn vmsave(vmcb: usize) {
    // SAFETY: by this function's contract.
    unsafe { asm!("vmsave rax", in("rax") vmcb, options(nostack, preserves_flags)) };
}

/// CLGI and RFLAGS.IF set: from here on interrupts come only where they are let in.
///
/// # Safety
///
/// SVM must be on, and the interrupt descriptor table loaded.
pub unsafe fn hold_interrupts() {
    // SAFETY: by this function's contract; with GIF clear, setting IF lets nothing in.
    unsafe { asm!("clgi", "sti", options(nostack)) };
}

/// Takes the interrupts that are pending.
///
/// # Safety
///
/// After [`hold_interrupts`].
pub unsafe fn take_interrupts() {
    // SAFETY: the entries above save what they change; the red zone is off.
    unsafe { asm!("stgi", "nop", "clgi") };
}

/// Waits until an interrupt is pending, and takes it. STI lets nothing in before HLT.
///
/// # Safety
///
/// After [`hold_interrupts`].
pub unsafe fn wait_for_interrupt() {
    // SAFETY: the entries above save what they change; the red zone is off.
    unsafe { asm!("cli", "stgi", "sti", "hlt", "clgi") };
}

/// What FXRSTOR loads (AMD APM volume 2, 11.4.4).
#[repr(C, align(16))]
pub struct FpState([u8; 512]);

impl FpState {
    /// x87 and SSE registers as after reset: all exceptions masked, the rest zero.
    pub const RESET: Self = {
        let mut state = [0; 512];
        // FCW 0x37f as by FNINIT, MXCSR 0x1f80.
        state[0] = 0x7f;
        state[1] = 0x03;
        state[24] = 0x80;
        state[25] = 0x1f;
        Self(state)
    };

    /// Writes them to the CPU.
    pub fn load(&self) {
        // SAFETY: reads this structure; no code of the host has values in these registers
        // (softfloat target), and `_start` set CR4.OSFXSR.
        unsafe { asm!("fxrstor64 [{}]", in(reg) &raw const self.0, options(nostack)) };
    }

    /// Reads them from the CPU.
    pub fn save(&mut self) {
        // SAFETY: writes this structure; CR4.OSFXSR as above.
        unsafe { asm!("fxsave64 [{}]", in(reg) &raw mut self.0, options(nostack)) };
    }
}
