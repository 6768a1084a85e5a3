//! AMD's virtualization, SVM: all that another vendor's does its own way.
//!
//! `init` is called once by `boot`. What the rest of the platform names is [`vcpu::Vcpu`],
//! [`saved_vm::SavedVm`] and [`nested_paging::NestedPaging`]; a second vendor brings the same.
//!
//! AMD APM volume 2, chapter 15.

pub mod msr;
pub mod nested_paging;
pub mod saved_vm;
pub mod vcpu;
pub mod vmcb;

use super::assembly::instructions;
use core::cell::UnsafeCell;
use raw_cpuid::CpuId;
use thiserror::Error;
use vmcb::Vmcb;
use x86_64::registers::model_specific::{Efer, EferFlags, Msr};

/// Why this CPU can run no guests.
#[derive(Debug, Error)]
pub enum SvmError {
    /// CPUID Fn8000_0001_ECX.SVM.
    #[error("the CPU has no SVM: QEMU's -cpu max,+svm has it")]
    Missing,
    /// VM_CR.SVMDIS.
    #[error("the firmware has switched SVM off")]
    Disabled,
    /// CPUID Fn8000_000A_EDX.NP.
    #[error("the CPU has SVM without nested paging")]
    NoNestedPaging,
}

const VM_CR: u32 = 0xc001_0114;
const VM_CR_SVMDIS: u64 = 1 << 4;
const VM_HSAVE_PA: u32 = 0xc001_0117;

/// A page that only the hardware reads and writes.
#[repr(transparent)]
pub struct Page(UnsafeCell<Vmcb>);

// SAFETY: the host never makes a reference to what is inside.
unsafe impl Sync for Page {}

/// Where VMRUN saves the host's registers; its layout is the CPU's own.
static HOST_SAVE_AREA: Page = Page(UnsafeCell::new(Vmcb::zeroed()));
/// What VMLOAD brings back after a guest: TR above all, without which exceptions have no
/// stack.
pub static HOST_VMCB: Page = Page(UnsafeCell::new(Vmcb::zeroed()));

/// Switches SVM on. Interrupts are held back from here on.
///
/// # Errors
///
/// If the CPU lacks something.
pub fn init() -> Result<(), SvmError> {
    let cpuid = CpuId::new();
    let extended = cpuid.get_extended_processor_and_feature_identifiers();
    if !extended.is_some_and(|features| features.has_svm()) {
        return Err(SvmError::Missing);
    }
    // SAFETY: CPUs with SVM have the register; reading it changes nothing.
    if unsafe { Msr::new(VM_CR).read() } & VM_CR_SVMDIS != 0 {
        return Err(SvmError::Disabled);
    }
    if !cpuid
        .get_svm_info()
        .is_some_and(|svm| svm.has_nested_paging())
    {
        return Err(SvmError::NoNestedPaging);
    }
    // SAFETY: adds the SVM instructions, nothing else.
    unsafe { Efer::update(|efer| efer.insert(EferFlags::SECURE_VIRTUAL_MACHINE_ENABLE)) };
    // SAFETY: a page that is the CPU's alone from here on.
    unsafe { Msr::new(VM_HSAVE_PA).write(HOST_SAVE_AREA.0.get().addr() as u64) };
    // SAFETY: SVM is on; a page of its own.
    unsafe { instructions::vmsave(host_vmcb()) };
    // SAFETY: SVM is on; `descriptors` loaded the table.
    unsafe { instructions::hold_interrupts() };
    Ok(())
}

/// Address of the block that VMLOAD brings the host's registers back from.
fn host_vmcb() -> usize {
    HOST_VMCB.0.get().addr()
}
