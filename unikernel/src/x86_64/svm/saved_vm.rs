//! All of a VM that the CPU and its VMCB hold while it runs, for the time when another one does.
//!
//! Called by `component_host` to set a VM up and when the next one's turn begins. The
//! invariant: between [`SavedVm::restore`] and the next [`SavedVm::save`] the hardware and the
//! one `Vcpu` that `assembly` runs are that VM's, wholly; no VM finds a register of another's.

use super::nested_paging::NestedPaging;
use super::vcpu::{V_TPR, Vcpu};
use super::vmcb::StateSaveArea;
use crate::arch::assembly::instructions::FpState;

/// All registers, what is about to happen to the vCPU, and the nested page tables.
pub struct SavedVm {
    gpr: [u64; 16],
    state: StateSaveArea,
    fp: FpState,
    interrupt_shadow: u64,
    task_priority: u64,
    eventinj: u64,
    memory: NestedPaging,
}

impl SavedVm {
    /// A VM that has not been reset yet.
    pub fn new(memory: NestedPaging) -> Self {
        Self {
            gpr: [0; 16],
            state: StateSaveArea::zeroed(),
            fp: FpState::RESET,
            interrupt_shadow: 0,
            task_priority: 0,
            eventinj: 0,
            memory,
        }
    }

    /// Puts the VM into the CPU and into `vcpu`, which is to run.
    pub fn restore(&self, vcpu: &mut Vcpu) {
        vcpu.connect(&self.memory);
        vcpu.gpr = self.gpr;
        vcpu.vmcb.state = self.state;
        vcpu.vmcb.control.interrupt_shadow = self.interrupt_shadow;
        vcpu.vmcb.control.virtual_interrupt |= self.task_priority;
        vcpu.vmcb.control.eventinj = self.eventinj;
        self.fp.load();
    }

    /// Takes the VM, which ran as `vcpu`, out of the CPU.
    pub fn save(&mut self, vcpu: &Vcpu) {
        self.gpr = vcpu.gpr;
        self.state = vcpu.vmcb.state;
        self.interrupt_shadow = vcpu.vmcb.control.interrupt_shadow;
        self.task_priority = vcpu.vmcb.control.virtual_interrupt & V_TPR;
        self.eventinj = vcpu.vmcb.control.eventinj;
        self.fp.save();
    }
}
