//! What seL4 offers for a vCPU on x86, as far as rust-sel4 has only raw calls for it.
//!
//! Used by `vcpu` and `processor`. Knows nothing of this project: the names are seL4's and
//! Intel's, and the errors the kernel's.
//!
//! Invariant: a call here changes no message register but the first four, except that
//! [`send_registers`] writes those that it passes.
//!
//! Specification: seL4 reference manual, "X86 VCPU" invocations and `seL4_VMEnter`; the layout
//! of its answer is libsel4's `sel4/arch/vmenter.h`.

use crate::slow_registers::SlowRegisters;
use core::arch::asm;
use sel4::sys::{invocation_label, syscall_id};
use sel4::{Error, MessageInfoBuilder, Result, Word, cap};
use vt_x::vmcs::Field;

/// General registers of a guest that the kernel keeps, in its order: RAX, RBX, RCX, RDX, RSI,
/// RDI, RBP, R8 to R15. RSP is in the VMCS.
pub const GENERAL_REGISTERS: usize = 15;

/// Where the label is in `seL4_MessageInfo`, above the length and the capabilities.
const INFO_LABEL_SHIFT: u32 = 12;

/// What a guest is entered with.
#[derive(Debug, Clone, Copy)]
pub struct VmEntry {
    /// RIP.
    pub rip: Word,
    /// Primary processor-based execution controls.
    pub primary_controls: Word,
    /// VM-entry interruption information: the event to inject.
    pub interruption_info: Word,
}

/// Why [`vm_enter`] returned.
#[derive(Debug, Clone, Copy)]
pub enum VmExit {
    /// The bound notification was signalled, with this badge.
    Notified(Word),
    /// The guest was left, for this basic exit reason. The rest is in the IPC buffer: see
    /// [`exit_message`].
    Fault(Word),
}

/// What the kernel tells of an exit besides its reason.
#[derive(Debug, Clone, Copy)]
pub struct ExitMessage {
    /// Exit qualification, of the reasons that have one.
    pub qualification: Word,
    /// VM-exit instruction length, in bytes.
    pub instruction_len: Word,
    /// Guest-physical address.
    pub guest_physical_address: Word,
    /// RFLAGS.
    pub rflags: Word,
    /// Interruptibility state.
    pub interruptibility: Word,
    /// CR3.
    pub cr3: Word,
    /// The general registers, in the kernel's order.
    pub registers: [Word; GENERAL_REGISTERS],
}

/// `seL4_VMEnter`: runs the vCPU that is bound to this thread until it leaves the guest or the
/// thread's bound notification is signalled. `entry` then has what the next entry needs to
/// continue. A thread without a vCPU gets a fault for the unknown system call.
#[inline(always)]
pub fn vm_enter(entry: &mut VmEntry) -> VmExit {
    const FAULT: Word = 1;
    let (badge, result, reason): (Word, Word, Word);
    // SAFETY: the system call changes the registers that are named here (RCX and R11 by the
    // instruction, RSP by the kernel, which R14 brings back), the VM's state and the IPC buffer,
    // to which no reference exists.
    unsafe {
        asm!(
            "mov r14, rsp",
            "syscall",
            "mov rsp, r14",
            in("rdx") syscall_id::VMEnter as isize,
            inout("rdi") 0 as Word => badge,
            inout("rsi") 0 as Word => result,
            inout("r10") entry.rip,
            inout("r8") entry.primary_controls,
            inout("r9") entry.interruption_info,
            inout("r15") 0 as Word => reason,
            in("r12") 0 as Word,
            lateout("rcx") _,
            lateout("r11") _,
            lateout("r14") _,
        );
    }
    if result == FAULT {
        VmExit::Fault(reason)
    } else {
        VmExit::Notified(badge)
    }
}

/// The rest of an exit's message, until the next call that passes message registers.
#[inline(always)]
pub fn exit_message(slow: &SlowRegisters) -> ExitMessage {
    ExitMessage {
        qualification: slow.read(0),
        instruction_len: slow.read(1),
        guest_physical_address: slow.read(2),
        rflags: slow.read(3),
        interruptibility: slow.read(4),
        cr3: slow.read(5),
        registers: core::array::from_fn(|register| slow.read(6 + register)),
    }
}

/// `seL4_X86_VCPU_WriteRegisters`, sent: of a vCPU's capability there is no error, so nothing is answered.
#[inline(always)]
pub fn send_registers(
    vcpu: cap::VCpu,
    registers: &[Word; GENERAL_REGISTERS],
    slow: &mut SlowRegisters,
) {
    let [a, b, c, d, rest @ ..] = registers;
    slow.write(rest);
    let label = Word::from(invocation_label::X86VCPUWriteRegisters);
    let info = label << INFO_LABEL_SHIFT | GENERAL_REGISTERS as Word;
    // SAFETY: the system call changes the registers that are named here (RCX and R11 by the instruction, RSP
    // by the kernel, which R14 brings back) and the vCPU's.
    unsafe {
        asm!(
            "mov r14, rsp",
            "syscall",
            "mov rsp, r14",
            in("rdx") syscall_id::Send as isize,
            inout("rdi") vcpu.bits() => _,
            inout("rsi") info => _,
            inout("r10") *a => _,
            inout("r8") *b => _,
            inout("r9") *c => _,
            inout("r15") *d => _,
            lateout("rcx") _,
            lateout("r11") _,
            lateout("r14") _,
        );
    }
}

/// The invocations of a vCPU. Their errors are the kernel's.
pub trait VCpuInvocations {
    /// `seL4_X86_VCPU_ReadVMCS`.
    ///
    /// # Errors
    ///
    /// The kernel does not let this field be read.
    fn vcpu_read_vmcs(self, field: Field) -> Result<Word>;

    /// `seL4_X86_VCPU_WriteVMCS`. Gives what was written after the bits that the kernel and the
    /// hardware fix.
    ///
    /// # Errors
    ///
    /// The kernel does not let this field be written.
    fn vcpu_write_vmcs(self, field: Field, value: Word) -> Result<Word>;

    /// `seL4_X86_VCPU_ReadMSR`.
    ///
    /// # Errors
    ///
    /// The kernel does not keep this register.
    fn vcpu_read_msr(self, number: u32) -> Result<Word>;

    /// `seL4_X86_VCPU_WriteMSR`. The kernel loads the value as it is: an address must be
    /// canonical.
    ///
    /// # Errors
    ///
    /// The kernel does not keep this register.
    fn vcpu_write_msr(self, number: u32, value: Word) -> Result<()>;
}

impl VCpuInvocations for cap::VCpu {
    fn vcpu_read_vmcs(self, field: Field) -> Result<Word> {
        let message = [Word::from(field.0)];
        invoke(self, invocation_label::X86VCPUReadVMCS, 1, message)
    }

    fn vcpu_write_vmcs(self, field: Field, value: Word) -> Result<Word> {
        let message = [Word::from(field.0), value];
        invoke(self, invocation_label::X86VCPUWriteVMCS, 2, message)
    }

    fn vcpu_read_msr(self, number: u32) -> Result<Word> {
        let message = [Word::from(number)];
        invoke(self, invocation_label::X86VCPUReadMSR, 1, message)
    }

    fn vcpu_write_msr(self, number: u32, value: Word) -> Result<()> {
        let message = [Word::from(number), value];
        invoke(self, invocation_label::X86VCPUWriteMSR, 2, message).map(drop)
    }
}

/// Calls a vCPU with the first registers of a message; gives the first one of the answer.
#[inline(always)]
fn invoke<M: sel4::FastMessages>(
    vcpu: cap::VCpu,
    label: u32,
    length: usize,
    message: M,
) -> Result<Word> {
    let info = MessageInfoBuilder::default()
        .label(label.into())
        .length(length)
        .build();
    let answer = vcpu
        .cast::<sel4::cap_type::Endpoint>()
        .call_with_mrs(info, message);
    match Error::from_sys(answer.info.label() as u32) {
        None => Ok(answer.msg[0]),
        Some(error) => Err(error),
    }
}
