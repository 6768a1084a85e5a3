//! The end of a VM: PSCI SYSTEM_OFF for success, a hypervisor call of our own for failure.
//!
//! Called once, by whoever ends the guest; nothing here returns. SMCCC 1.4 (DEN0028), PSCI
//! 1.1 (DEN0022) 5.9.

use core::fmt;

use crate::{call, cpu};

/// Why a guest ended itself as failed; the argument of the hypervisor call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum FailureCode {
    /// The VM's `cmdline` lacks something or has something that the program cannot use.
    CommandLine = 1,
    /// The program checked something and it was not so.
    Check = 2,
    /// A bug in the program.
    Panic = 3,
    /// An exception that the program did not ask for.
    Exception = 4,
    /// The program was told to fail.
    Asked = 5,
}

/// SMCCC: fast call, 64 bits, owner 6 (vendor specific hypervisor service), function 0.
const VM_FAILED: u32 = 0xc600_0000;

/// PSCI: SYSTEM_OFF.
const SYSTEM_OFF: u32 = 0x8400_0008;

/// Powers the VM off.
pub fn off() -> ! {
    // Does not return; a hypervisor in which it does leaves nothing to do.
    call::hypervisor(SYSTEM_OFF, 0);
    loop {
        cpu::wait_for_interrupt();
    }
}

/// Ends the VM as failed, after the line with the reason has been printed.
pub fn stop_failed(code: FailureCode) -> ! {
    call::hypervisor(VM_FAILED, code as u64);
    off()
}

/// Prints the reason and ends the VM as failed.
pub fn fail(code: FailureCode, reason: fmt::Arguments<'_>) -> ! {
    crate::say!("failed: {reason}");
    stop_failed(code)
}
