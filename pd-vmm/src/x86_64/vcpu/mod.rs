//! The virtual machine of this protection domain: its vCPU and its RAM, through seL4 and VT-x.
//!
//! Called by `main`'s loop and by the VMM component. The vCPU runs in this thread, by
//! `seL4_VMEnter`, at its priority and on its budget: the guest runs whenever this protection
//! domain has nothing else to do. An exit brings RIP, RFLAGS, CR3 and the general registers
//! with it; whatever else is in the VMCS costs a system call, as much as half an access. So the
//! short way of an access makes one system call, or two if a register changes:
//!
//! ```text
//!   VMEnter ─► EPT violation ─► complete_access ─┬─ a write: ──────────────────► VMEnter
//!                                                └─ a read: VCPU_WriteRegisters ─► VMEnter
//! ```
//!
//! What an exit brings, and what is done to the vCPU before the next entry, is kept in memory that outlives
//! this protection domain, for nobody can ask for it again. Whether a prepared entry has been made, the
//! hardware says: every entry flips a control that makes no difference to the guest (TSC offsetting, by
//! nothing), and the VMCS has it as it was at the last one.
//!
//! Invariants: message registers are copied before anything else is called; CR0, CR4 and EFER
//! change only by `processor`, since every bit of theirs leaves the guest, so they are known
//! without asking; a guest that spins with its interrupts off leaves by the preemption timer; no
//! value goes to the kernel that an entry would fail by (`vt_x::may_write`): what a guest asks for
//! is refused before, so one that comes here is this program's bug, and a panic ends this VM alone.
//! This protection domain has no interrupts, so there are none to acknowledge.
//!
//! Specification: Intel SDM volume 3, "VM Entries", "VM Exits"; seL4 reference manual, "X86
//! VCPU"; Microkit manual, "Virtual Machines".

mod machine;
mod start;

use super::invocations::{
    GENERAL_REGISTERS, VmEntry, VmExit, exit_message, send_registers, vm_enter,
};
use super::own_time::OwnTime;
use super::vmcs::{VCPU, read_vmcs, require, write_vmcs};
use crate::guest_ram::GuestRam;
use crate::slow_registers::SlowRegisters;
use core::cell::Cell;
use guest_access::GuestPhysAddr;
use kept::Kept;
use pd_runtime::life;
use sel4::{Word, cap};
use shared_ring::{Cell as Atomic, Ordering};
use start::{CODE_64, LONG_MODE};
use vm_components::{ChannelSet, Outcome, VcpuIs, X86Exit, X86ExitReason, X86Machine};
use vm_config::VmConfig;
use vt_x::vmcs::{Field, INTERRUPT_SHADOW, entry, primary};
use vt_x::{EPT_VIOLATION, Event as Injected, MadeBy, ModeRegisters, memory_access};
use x86_guest::{ControlRegisters, Mode};

// Capability slots that the Microkit gives a protection domain (its manual, "CSpace").
const INPUT: cap::Endpoint = sel4::Cap::from_bits(1);
const REPLY: cap::Reply = sel4::Cap::from_bits(4);

/// The numbers of general registers in instructions.
pub(super) const RAX: u8 = 0;
pub(super) const RCX: u8 = 1;
pub(super) const RDX: u8 = 2;
pub(super) const RBX: u8 = 3;
/// What woke this protection domain.
pub enum Event {
    /// The vCPU left the guest.
    Exit(X86Exit),
    /// Channels were signalled.
    Notified(ChannelSet),
}

/// Pending debug exceptions: BS.
const PENDING_SINGLE_STEP: Word = 1 << 14;

/// What flips at every entry.
const FLIPS: Word = primary::TSC_OFFSETTING;

/// The guest's registers as they will be when it is entered.
#[derive(Clone, Copy)]
struct GuestRegisters {
    /// The general registers, in the kernel's order; RSP's place is in the VMCS.
    general: [Word; GENERAL_REGISTERS],
    rsp: Word,
    rflags: Word,
    interruptibility: Word,
    cr3: Word,
    /// Which of them are newer here than where the entry takes them from: the constants of `newer`.
    newer: Word,
}

/// See [`GuestRegisters::newer`].
mod newer {
    use sel4::Word;
    pub const GENERAL: Word = 1 << 0;
    pub const RSP: Word = 1 << 1;
    pub const RFLAGS: Word = 1 << 2;
    pub const INTERRUPTIBILITY: Word = 1 << 3;
    /// The instruction that was carried out is a step, of which the guest's debugger is to hear.
    pub const STEP: Word = 1 << 4;
}

/// What of the vCPU outlives this protection domain. All zero: it has not run.
#[repr(C)]
pub struct KeptVcpu {
    /// What the VMM was about to do.
    intent: Atomic,
    /// Whether the next entry is prepared, written last of all that belongs to it.
    prepared: Atomic,
    /// The primary controls of the last entry that is known to have been made.
    entered: Word,
    /// RIP, and the event that the next entry injects.
    entry: VmEntry,
    registers: GuestRegisters,
    /// The registers as they were when the vCPU was held.
    held: Kept<GuestRegisters>,
    /// As the guest reads them.
    control: Kept<ControlRegisters>,
    /// The guest's task priority: nothing of it is here but its value.
    pub(super) cr8: Word,
}

/// The only VM and its only vCPU.
pub struct VirtualMachine {
    pub(super) ram: GuestRam,
    pub(super) kept: &'static mut KeptVcpu,
    /// The rest of an exit's message.
    slow: SlowRegisters,
    /// The VMM's part of this thread's time.
    time: OwnTime,
    /// Whether the guest is to run.
    runs: bool,
    /// Whether the last entry had an event to inject.
    delivers: bool,
    /// Of the last exit.
    pub(super) qualification: Word,
    pub(super) instruction_len: Word,
    /// As the guest reads them.
    pub(super) control: ControlRegisters,
    /// CS when it was last asked for.
    code: Cell<CodeSegment>,
}

/// What of CS decides what RIP means.
#[derive(Clone, Copy, PartialEq, Eq)]
struct CodeSegment {
    base: u64,
    /// Bits 55 to 52 and 47 to 40 of the descriptor.
    attributes: u16,
}

impl VirtualMachine {
    /// The VM of this protection domain, whose vCPU does not run yet.
    pub fn new(config: &VmConfig<'_>, kept: &'static mut KeptVcpu) -> Self {
        Self {
            ram: GuestRam::new(config),
            kept,
            slow: SlowRegisters::of_this_thread(),
            time: OwnTime::new(),
            runs: false,
            delivers: false,
            qualification: 0,
            instruction_len: 0,
            control: LONG_MODE,
            code: Cell::new(CodeSegment::of(CODE_64, 0)),
        }
    }

    /// Runs the guest, if it is to run, until the next event. Each exit is a sign of life, and the
    /// preemption timer sees to it that there are some.
    #[inline(always)]
    pub fn next_event(&mut self) -> Event {
        loop {
            life().beat();
            if !self.runs {
                self.kept.held.commit(&self.kept.registers);
                let received = self.time.pause(|| INPUT.recv_with_mrs(REPLY));
                return self.notified(received.badge);
            }
            let kept = &mut *self.kept;
            match kept.registers.newer {
                0 => {}
                newer::GENERAL => {
                    send_registers(VCPU, &kept.registers.general, &mut self.slow);
                    kept.registers.newer = 0;
                }
                _ => kept.registers.write_newer(&mut self.slow),
            }
            self.delivers = Injected(kept.entry.interruption_info).is_there();
            kept.entry.primary_controls = kept.entered ^ FLIPS;
            self.time.ends();
            let left = vm_enter(&mut kept.entry);
            self.time.begins();
            // In this order: who dies in between finds an entry that is not known.
            kept.prepared.store(0, Ordering::Release);
            kept.entered = kept.entry.primary_controls;
            match left {
                VmExit::Notified(badge) => return self.notified(badge),
                VmExit::Fault(reason) => {
                    if let Some(exit) = self.exit(reason) {
                        return Event::Exit(exit);
                    }
                }
            }
        }
    }

    fn notified(&mut self, badge: Word) -> Event {
        self.time.publish();
        Event::Notified(ChannelSet::from_bits(badge))
    }

    /// What an exit means; `None` if the guest just goes on.
    #[inline(always)]
    fn exit(&mut self, reason: Word) -> Option<X86Exit> {
        let message = exit_message(&self.slow);
        self.qualification = message.qualification;
        self.instruction_len = message.instruction_len;
        let registers = &mut self.kept.registers;
        registers.rflags = message.rflags;
        registers.interruptibility = message.interruptibility;
        registers.cr3 = message.cr3;
        registers.general = message.registers;
        if reason == EPT_VIOLATION {
            return Some(self.ept_violation(GuestPhysAddr(message.guest_physical_address)));
        }
        self.other_exit(reason)
    }

    #[inline(always)]
    fn ept_violation(&self, address: GuestPhysAddr) -> X86Exit {
        let (direction, made_by) = memory_access(self.qualification);
        X86Exit {
            rip: self.kept.entry.rip,
            next_rip: None,
            reason: match made_by {
                MadeBy::Instruction => X86ExitReason::Access { address, direction },
                MadeBy::Fetch => X86ExitReason::Fetch { address },
                MadeBy::Processor => X86ExitReason::OwnAccess { address, direction },
            },
        }
    }

    #[cold]
    fn other_exit(&mut self, reason: Word) -> Option<X86Exit> {
        let reason = self.processor_exit(reason)?;
        Some(X86Exit {
            rip: self.kept.entry.rip,
            next_rip: Some(self.next_rip()),
            reason,
        })
    }

    /// Whether the exit is taken for an access of the instruction at RIP without asking. An
    /// exception whose delivery goes astray looks the same. One that was injected is known here;
    /// one that the guest's own tables raise is not: if its frame would lie where the instruction
    /// that was made before goes, the guest has that instruction carried out once more.
    #[inline(always)]
    pub fn is_by_instruction(&self) -> bool {
        !self.delivers
    }

    /// The same exit, after asking whether it came while an event was being delivered.
    pub fn attributed(&self, exit: X86Exit) -> X86Exit {
        let X86ExitReason::Access { address, direction } = exit.reason else {
            return exit;
        };
        if !Injected(read_vmcs(Field::IDT_VECTORING_INFO)).is_there() {
            return exit;
        }
        X86Exit {
            reason: X86ExitReason::OwnAccess { address, direction },
            ..exit
        }
    }

    /// Behind the instruction that exited, for the exits whose length the hardware tells.
    pub(super) fn next_rip(&self) -> u64 {
        let next = self.kept.entry.rip.wrapping_add(self.instruction_len);
        match self.situation().mode() {
            Mode::Long => next,
            Mode::Protected | Mode::Real => next & 0xffff_ffff,
        }
    }

    /// Lets the guest take a hardware exception at RIP, with an error code of 0 if it has one.
    pub(super) fn raise(&mut self, vector: u8) {
        let event = Injected::exception(vector, self.control.cr0);
        assert!(event.is_taken(self.control.cr0), "injecting {event:x?}");
        if event.has_error_code() {
            write_vmcs(Field::ENTRY_EXCEPTION_ERROR_CODE, 0);
        }
        self.kept.entry.interruption_info = event.0;
        self.leave_shadow();
        self.enter_next();
    }

    /// The guest is to be entered. The last step of what prepares that.
    #[inline(always)]
    fn enter_next(&mut self) {
        self.runs = true;
        self.kept.prepared.store(1, Ordering::Release);
    }

    /// The instruction in the shadow of STI or MOV SS is done, or an event ends it.
    #[inline(always)]
    fn leave_shadow(&mut self) {
        let registers = &mut self.kept.registers;
        if registers.interruptibility & INTERRUPT_SHADOW != 0 {
            registers.interruptibility &= !INTERRUPT_SHADOW;
            registers.newer |= newer::INTERRUPTIBILITY;
        }
    }

    /// Changes the control registers that the hardware runs the guest with.
    pub(super) fn set_control_registers(&mut self, control: ControlRegisters) {
        self.kept.control.commit(&control);
        if control.cr4 != self.control.cr4 {
            self.write_cr4(control.cr4);
        }
        self.control = control;
        let ControlRegisters { cr0, cr4, efer } = control;
        // As below.
        write_vmcs(Field::GUEST_CR0, cr0);
        write_vmcs(Field::CR0_READ_SHADOW, cr0);
        write_vmcs(Field::GUEST_EFER, efer);
        let mode = if self.control.is_long() {
            entry::IA32E_MODE
        } else {
            0
        };
        let controls = entry::OF_A_GUEST | mode;
        if let Err(refused) = (ModeRegisters { cr0, cr4, efer }).are_taken(controls) {
            panic!("entering with {control:x?}: {refused}");
        }
        require(Field::ENTRY_CONTROLS, controls);
    }

    /// What a dead VMM has prepared and not done is done; what it has not prepared to the end, nobody
    /// knows of: the guest does again what it was left for.
    fn go_on(&mut self, outcome: Outcome, vcpu: VcpuIs) {
        self.runs = vcpu == VcpuIs::Running;
        // It may have died between two of the fields that have to agree.
        if let Some(control) = self.kept.control.state().copied() {
            self.write_cr4(control.cr4);
            self.set_control_registers(control);
        }
        let entered = read_vmcs(Field::PRIMARY_CONTROLS);
        let is_prepared = self.kept.prepared.load(Ordering::Relaxed) != 0;
        let is_not_made = (entered ^ self.kept.entered) & FLIPS == 0;
        if outcome == Outcome::Stands && (!self.runs || is_prepared && is_not_made) {
            // They may have been written before; the vCPU has them or gets them.
            self.kept.registers.newer |= newer::GENERAL;
            self.kept.held.commit(&self.kept.registers);
        } else {
            self.kept.prepared.store(0, Ordering::Release);
            self.kept.entered = entered;
            self.kept.entry.rip = read_vmcs(Field::GUEST_RIP);
            self.kept.entry.interruption_info = Injected::NONE.0;
            if self.runs {
                self.kept.registers.newer = 0;
            } else if let Some(held) = self.kept.held.state() {
                self.kept.registers = *held;
            }
        }
        // CS is asked for.
        self.situation();
    }

    /// CR4.PGE is the guest's: only its own write makes the hardware forget what it remembers
    /// of the guest's tables, for which the kernel has no call.
    fn write_cr4(&self, cr4: u64) {
        // The kernel adds what VT-x wants to be set.
        write_vmcs(Field::GUEST_CR4, cr4);
        write_vmcs(Field::CR4_READ_SHADOW, cr4);
    }
}

impl GuestRegisters {
    #[cold]
    fn write_newer(&mut self, slow: &mut SlowRegisters) {
        let newer = self.newer;
        for (of, field, value) in [
            (newer::RSP, Field::GUEST_RSP, self.rsp),
            (newer::RFLAGS, Field::GUEST_RFLAGS, self.rflags),
            (
                newer::INTERRUPTIBILITY,
                Field::GUEST_INTERRUPTIBILITY,
                self.interruptibility,
            ),
            (
                newer::STEP,
                Field::GUEST_PENDING_DEBUG_EXCEPTIONS,
                PENDING_SINGLE_STEP,
            ),
        ] {
            if newer & of != 0 {
                write_vmcs(field, value);
            }
        }
        if newer & newer::GENERAL != 0 {
            send_registers(VCPU, &self.general, slow);
        }
        self.newer = 0;
    }
}

impl CodeSegment {
    /// From access rights as the VMCS has them.
    const fn of(access_rights: Word, base: u64) -> Self {
        let low = access_rights & 0xff;
        let high = access_rights >> 12 & 0xf;
        Self {
            base,
            attributes: (high << 8 | low) as u16,
        }
    }
}
