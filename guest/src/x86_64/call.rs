//! Calls to the hypervisor, by VMMCALL or VMCALL: each vendor's CPU has one of them.
//!
//! The functions are those of the SMC calling convention, so that one list serves both
//! architectures: the function in EAX, its argument in RCX, the result in RAX.

use crate::cpu;
use core::arch::asm;

/// Makes the call `function` with one argument.
pub fn hypervisor(function: u32, argument: u64) {
    let function = u64::from(function);
    if cpu::has_vmmcall() {
        // SAFETY: the VMM changes RAX alone.
        unsafe { asm!("vmmcall", inout("rax") function => _, in("rcx") argument, options(nostack)) }
    } else {
        // SAFETY: as above.
        unsafe { asm!("vmcall", inout("rax") function => _, in("rcx") argument, options(nostack)) }
    }
}
