//! A vCPU of the A64 instruction set on seL4.
//!
//! What `main` names is [`VirtualMachine`], its [`Event`]s, and how an [`answer`] to an exit is
//! given; another architecture brings the same.

#[cfg(any(feature = "bench-floor", feature = "bench-in-vmm"))]
pub mod bench;
mod registers;
mod system_calls;
mod vcpu;

pub use vcpu::{Event, KeptVcpu, VirtualMachine};
pub use vm_components::A64 as Instructions;

use vm_components::{Exit, Vmm};

/// Lets the VMM component answer an exit.
#[inline(always)]
pub fn answer(vmm: &mut Vmm<Instructions>, exit: Exit, machine: &mut VirtualMachine) {
    vmm.fault(exit, machine);
}
