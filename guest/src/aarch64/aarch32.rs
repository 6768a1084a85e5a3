//! A program in AArch32 at EL0, a few instructions at a time.
//!
//! [`execute`] enters it with all the registers that it has, and comes back with what they hold
//! when it takes an exception; SVC is one. Arm ARM D1.20.1 (r0 to r14 are x0 to x14), C5.2.18
//! (SPSR_EL1).

#[cfg(target_arch = "aarch64")]
use crate::exceptions::USER_RETURN;
use crate::exceptions::{Exception, recorded, recorded_state};

/// PSTATE of User mode in A32, everything masked.
pub const A32: u64 = 0x1d0;
/// The same in T32.
pub const T32: u64 = 0x1f0;
/// PSTATE.E: data is big-endian.
pub const BIG_ENDIAN: u64 = 1 << 9;
/// PSTATE.Z: the condition EQ holds.
pub const EQUAL: u64 = 1 << 30;

/// r0 to r14.
pub type Registers = [u64; 15];

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The exception that it took.
    pub exception: Exception,
    /// Its PSTATE then.
    pub pstate: u64,
}

/// Whether the CPU has AArch32 at EL0.
pub fn exists() -> bool {
    #[cfg(target_os = "none")]
    {
        use aarch64_cpu::registers::{ID_AA64PFR0_EL1, Readable};
        ID_AA64PFR0_EL1.get() & 0xf == 2
    }
    #[cfg(not(target_os = "none"))]
    unimplemented!()
}

/// Executes the code at `code`, at EL0 in the state `pstate`, until it takes an exception.
/// `registers` is then what it left there.
pub fn execute(code: u64, pstate: u64, registers: &mut Registers) -> End {
    #[cfg(target_arch = "aarch64")]
    // SAFETY: EL0 runs until `taken` sends its exception to the label, with SP_EL1 as it is here.
    // In AArch32 it has no way to the registers above x14; but QEMU 7.2 forgets their upper halves,
    // as the architecture allows for those of other modes, so they are kept on the stack. The
    // operands are addresses below 4 GiB.
    unsafe {
        core::arch::asm!(
            "sub sp, sp, #128",
            "stp x16, x17, [sp]",
            "stp x18, x19, [sp, #16]",
            "stp x20, x21, [sp, #32]",
            "stp x22, x23, [sp, #48]",
            "stp x24, x25, [sp, #64]",
            "stp x26, x27, [sp, #80]",
            "stp x28, x29, [sp, #96]",
            "str x30, [sp, #112]",
            "adr x15, 2f",
            "str x15, [{back}]",
            "msr elr_el1, {code}",
            "msr spsr_el1, {pstate}",
            "ldp x0, x1, [{r}]",
            "ldp x2, x3, [{r}, #16]",
            "ldp x4, x5, [{r}, #32]",
            "ldp x6, x7, [{r}, #48]",
            "ldp x8, x9, [{r}, #64]",
            "ldp x10, x11, [{r}, #80]",
            "ldp x12, x13, [{r}, #96]",
            "ldr x14, [{r}, #112]",
            "eret",
            "2:",
            "stp x0, x1, [{r}]",
            "stp x2, x3, [{r}, #16]",
            "stp x4, x5, [{r}, #32]",
            "stp x6, x7, [{r}, #48]",
            "stp x8, x9, [{r}, #64]",
            "stp x10, x11, [{r}, #80]",
            "stp x12, x13, [{r}, #96]",
            "str x14, [{r}, #112]",
            "ldp x16, x17, [sp]",
            "ldp x18, x19, [sp, #16]",
            "ldp x20, x21, [sp, #32]",
            "ldp x22, x23, [sp, #48]",
            "ldp x24, x25, [sp, #64]",
            "ldp x26, x27, [sp, #80]",
            "ldp x28, x29, [sp, #96]",
            "ldr x30, [sp, #112]",
            "add sp, sp, #128",
            r = in(reg) registers.as_mut_ptr(),
            back = in(reg) USER_RETURN.as_ptr(),
            code = in(reg) code,
            pstate = in(reg) pstate,
            out("x0") _, out("x1") _, out("x2") _, out("x3") _, out("x4") _,
            out("x5") _, out("x6") _, out("x7") _, out("x8") _, out("x9") _,
            out("x10") _, out("x11") _, out("x12") _, out("x13") _, out("x14") _,
            out("x15") _,
        );
    }
    #[cfg(not(target_arch = "aarch64"))]
    let _ = (code, pstate, registers);
    End {
        exception: recorded(),
        pstate: recorded_state(),
    }
}
