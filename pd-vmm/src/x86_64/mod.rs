//! A vCPU of x86 on seL4, by VT-x.
//!
//! What `main` names is [`VirtualMachine`], its [`Event`]s, and how an [`answer`] to an exit is
//! given; another architecture brings the same.

#[cfg(any(feature = "bench-floor", feature = "bench-in-vmm"))]
pub mod bench;
mod invocations;
mod own_time;
mod processor;
mod vcpu;
mod vmcs;

pub use vcpu::{Event, KeptVcpu, VirtualMachine};
pub use vm_components::X86 as Instructions;

use vm_components::{Vmm, X86Exit, X86ExitReason};

/// Lets the VMM component answer an exit.
#[inline(always)]
pub fn answer(vmm: &mut Vmm<Instructions>, exit: X86Exit, machine: &mut VirtualMachine) {
    if let X86ExitReason::Access { address, direction } = exit.reason
        && machine.is_by_instruction()
        && vmm.complete_access(address, direction, machine)
    {
        return;
    }
    let exit = machine.attributed(exit);
    vmm.other_exit(exit, machine);
}
