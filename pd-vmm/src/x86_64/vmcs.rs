//! The VMCS of this protection domain's vCPU, through the kernel.
//!
//! Called by the files beside. Invariant: no value goes to the kernel that an entry would fail by; one
//! that comes here is this program's bug, and a panic ends this VM alone.
//!
//! Specification: seL4 reference manual, "X86 VCPU"; Intel SDM volume 3, "VM Entries".

use super::invocations::VCpuInvocations;
use sel4::{Word, cap};
use vt_x::vmcs::Field;
use vt_x::{may_load, may_write};

/// The slot that the Microkit gives it (its manual, "CSpace").
pub(super) const VCPU: cap::VCpu = sel4::Cap::from_bits(330);

/// Reads a field that the kernel lets be read.
pub(super) fn read_vmcs(field: Field) -> Word {
    match VCPU.vcpu_read_vmcs(field) {
        Ok(value) => value,
        Err(error) => panic!("reading {field:x?} of the VMCS: {error}"),
    }
}

/// Writes a field that the kernel lets be written. Gives what is there after the bits that the
/// kernel and the hardware fix.
pub(super) fn write_vmcs(field: Field, value: Word) -> Word {
    if let Err(refused) = may_write(field, value) {
        panic!("writing {field:x?} of the VMCS: {refused}");
    }
    match VCPU.vcpu_write_vmcs(field, value) {
        Ok(written) => written,
        Err(error) => panic!("writing {value:#x} to {field:x?} of the VMCS: {error}"),
    }
}

/// Writes a register of SYSCALL, which the kernel loads with the guest as it is given it.
pub(super) fn write_msr(number: u32, value: Word) {
    if let Err(refused) = may_load(number, value) {
        panic!("writing register {number:#x}: {refused}");
    }
    // The kernel has it: no error is possible.
    VCPU.vcpu_write_msr(number, value).ok();
}

/// Sets bits of a control, all of which the hardware must have.
pub(super) fn require(field: Field, bits: Word) {
    let missing = bits & !write_vmcs(field, bits);
    assert!(
        missing == 0,
        "this CPU's VT-x does not have bits {missing:#x} of {field:x?}, which this VMM needs"
    );
}
