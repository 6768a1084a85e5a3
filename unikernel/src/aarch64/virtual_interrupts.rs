//! The interrupt inputs of the virtual CPU, and its virtual timer's output.
//!
//! Called by the VMM of the VM in the CPU, and by `saved_vm`. The inputs are two bits of HCR_EL2, so the host's
//! interrupt controller has no part in them. Invariant: the bits are those of the VM in the CPU.
//!
//! Arm ARM D17.2.48 (HCR_EL2), D11.2 (the timer), D17.11.17 (CNTV_CTL_EL0).

use aarch64_cpu::registers::{CNTV_CTL_EL0, CNTV_CVAL_EL0, HCR_EL2, Readable, Writeable};
use vm_components::InterruptOutput;

/// HCR_EL2.VF and VI.
const FIQ: u64 = 1 << 6;
const IRQ: u64 = 1 << 7;

/// CNTV_CTL_EL0: ENABLE, IMASK, ISTATUS.
const ENABLE: u64 = 1 << 0;
const MASKED: u64 = 1 << 1;
const CONDITION_MET: u64 = 1 << 2;

/// What the virtual CPU's inputs are.
pub fn inputs() -> InterruptOutput {
    let hcr = HCR_EL2.get();
    InterruptOutput {
        irq: hcr & IRQ != 0,
        fiq: hcr & FIQ != 0,
    }
}

/// Sets them. The entry's `eret` synchronizes.
pub fn set_inputs(inputs: InterruptOutput) {
    let before = HCR_EL2.get();
    let irq = if inputs.irq { IRQ } else { 0 };
    let fiq = if inputs.fiq { FIQ } else { 0 };
    let hcr = before & !(IRQ | FIQ) | irq | fiq;
    if hcr != before {
        HCR_EL2.set(hcr);
    }
}

/// Whether the virtual timer's output is asserted.
pub fn timer_is_due() -> bool {
    CNTV_CTL_EL0.get() & (ENABLE | MASKED | CONDITION_MET) == ENABLE | CONDITION_MET
}

/// When it is going to be, in ticks, unless it is off. The virtual counter is the physical one (CNTVOFF_EL2 is 0).
pub fn timer_deadline() -> Option<u64> {
    (CNTV_CTL_EL0.get() & (ENABLE | MASKED) == ENABLE).then(|| CNTV_CVAL_EL0.get())
}
