//! Calls to the hypervisor, by VMMCALL.
//!
//! The functions are those of the SMC calling convention, so that one list serves both
//! architectures: the function in EAX, its argument in RCX, the result in RAX.

/// Makes the call `function` with one argument.
pub fn hypervisor(function: u32, argument: u64) {
    // SAFETY: the VMM changes RAX alone.
    unsafe {
        core::arch::asm!(
            "vmmcall",
            inout("rax") u64::from(function) => _,
            in("rcx") argument,
            options(nostack),
        );
    }
}
