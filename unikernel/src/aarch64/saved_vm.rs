//! All of a VM that the CPU holds while it runs, for the time when another one does.
//!
//! Called by `component_host` to set a VM up and when the next one's turn begins. The
//! invariant: between [`SavedVm::restore`] and the next [`SavedVm::save`] the hardware and the
//! one `Vcpu` that `assembly` runs are that VM's, wholly; no VM finds a register of another's.

use super::el1_context::El1Context;
use super::stage2::Stage2;
use super::vcpu::Vcpu;
use super::{gic, virtual_interrupts};
use vm_components::InterruptOutput;

/// General registers, EL1 and FP registers, interrupt inputs, and the second-stage tables.
pub struct SavedVm {
    vcpu: Vcpu,
    inputs: InterruptOutput,
    el1: El1Context,
    stage2: Stage2,
}

impl SavedVm {
    /// A VM out of reset.
    pub fn new(stage2: Stage2) -> Self {
        Self {
            vcpu: Vcpu::new(),
            inputs: InterruptOutput::default(),
            el1: El1Context::RESET,
            stage2,
        }
    }

    /// Puts the VM into the CPU and into `vcpu`, which is to run. If its timer has fired meanwhile, or long
    /// ago, that interrupts the host at once.
    pub fn restore(&self, vcpu: &mut Vcpu) {
        self.stage2.activate();
        self.el1.load();
        virtual_interrupts::set_inputs(self.inputs);
        gic::watch_guest_timer(true);
        vcpu.copy_registers(&self.vcpu);
    }

    /// Takes the VM, which ran as `vcpu`, out of the CPU.
    pub fn save(&mut self, vcpu: &Vcpu) {
        self.el1.save();
        self.inputs = virtual_interrupts::inputs();
        self.vcpu.copy_registers(vcpu);
    }
}
