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
//! Invariants: message registers are copied before anything else is called; CR0, CR4 and EFER
//! change only by `processor`, since every bit of theirs leaves the guest, so they are known
//! without asking; a guest that spins with its interrupts off leaves by the preemption timer; no
//! value goes to the kernel that an entry would fail by (`vt_x::may_write`): what a guest asks for
//! is refused before, so one that comes here is this program's bug, and a panic ends this VM alone.
//! This protection domain has no interrupts, so there are none to acknowledge.
//!
//! Specification: Intel SDM volume 3, "VM Entries", "VM Exits"; seL4 reference manual, "X86
//! VCPU"; Microkit manual, "Virtual Machines".

use super::invocations::{
    GENERAL_REGISTERS, VCpuInvocations, VmEntry, VmExit, exit_message, vm_enter,
};
use super::own_time::OwnTime;
use crate::guest_ram::GuestRam;
use core::cell::Cell;
use guest_access::GuestPhysAddr;
use pd_runtime::{Counter, Signals};
use sel4::{Word, cap};
use vm_components::{
    Channel, ChannelSet, Host, Machine, X86Exception, X86Exit, X86ExitReason, X86Machine,
};
use vm_config::VmConfig;
use vt_x::vmcs::{
    Field, INTERRUPT_SHADOW, PIN_PREEMPTION_TIMER, SegmentRegister, entry, primary, secondary,
};
use vt_x::{
    EPT_VIOLATION, Event as Injected, MadeBy, ModeRegisters, is_canonical, may_load, may_write,
    memory_access, vector,
};
use x86_guest::{ControlRegisters, Mode, Paging, Registers, Segment, Situation};

// Capability slots that the Microkit gives a protection domain (its manual, "CSpace").
const INPUT: cap::Endpoint = sel4::Cap::from_bits(1);
const REPLY: cap::Reply = sel4::Cap::from_bits(4);
pub(super) const VCPU: cap::VCpu = sel4::Cap::from_bits(330);

/// #DB and #AC: a guest whose handlers cause them again would never be left.
const EXCEPTIONS: Word = 1 << vector::DEBUG | 1 << vector::ALIGNMENT_CHECK;

const RFLAGS_FIXED: u64 = 1 << 1;
const RFLAGS_TF: u64 = 1 << 8;
const DR7_RESET: u64 = 0x400;
const PAT_RESET: u64 = 0x0007_0406_0007_0406;
/// CR0 PG, WP, NE, ET, PE; CR4 PAE; EFER NXE, LMA, LME.
const LONG_MODE: ControlRegisters = ControlRegisters {
    cr0: 1 << 31 | 1 << 16 | 1 << 5 | 1 << 4 | 1,
    cr4: 1 << 5,
    efer: 1 << 11 | 1 << 10 | 1 << 8,
};

const CR4_PGE: u64 = 1 << 7;

/// Access rights: present, type, and for code the L bit, for data the D bit.
const CODE_64: Word = 0xa09b;
const DATA: Word = 0xc093;
const TASK_64: Word = 0x8b;
const UNUSABLE: Word = 1 << 16;

/// The numbers of general registers in instructions.
pub(super) const RAX: u8 = 0;
pub(super) const RCX: u8 = 1;
pub(super) const RDX: u8 = 2;
pub(super) const RBX: u8 = 3;
const RSP: u8 = 4;
const RSI: u8 = 6;
const RDI: u8 = 7;

/// Where the kernel has the register with this number; RSP has no place.
const PLACES: [u8; 16] = [0, 2, 3, 1, 0, 6, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14];

/// What woke this protection domain.
pub enum Event {
    /// The vCPU left the guest.
    Exit(X86Exit),
    /// Channels were signalled.
    Notified(ChannelSet),
}

/// The only VM and its only vCPU.
pub struct VirtualMachine {
    pub(super) ram: GuestRam,
    /// The VMM's part of this thread's time.
    time: OwnTime,
    /// Whether the guest is to run.
    runs: bool,
    /// RIP, and the event that the next entry injects.
    pub(super) entry: VmEntry,
    /// Whether the last entry had an event to inject.
    delivers: bool,
    /// The general registers, in the kernel's order, and whether one of them is newer here.
    registers: [Word; GENERAL_REGISTERS],
    changed: bool,
    rflags: Word,
    interruptibility: Word,
    cr3: Word,
    /// Of the last exit.
    pub(super) qualification: Word,
    pub(super) instruction_len: Word,
    /// As the guest reads them.
    pub(super) control: ControlRegisters,
    /// The guest's task priority: nothing of it is here but its value.
    pub(super) cr8: Word,
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
    pub fn new(config: &VmConfig<'_>) -> Self {
        Self {
            ram: GuestRam::new(config),
            time: OwnTime::new(),
            runs: false,
            entry: VmEntry {
                rip: 0,
                primary_controls: primary::OF_A_GUEST,
                interruption_info: Injected::NONE.0,
            },
            delivers: false,
            registers: [0; GENERAL_REGISTERS],
            changed: false,
            rflags: RFLAGS_FIXED,
            interruptibility: 0,
            cr3: 0,
            qualification: 0,
            instruction_len: 0,
            control: LONG_MODE,
            cr8: 0,
            code: Cell::new(CodeSegment::of(CODE_64, 0)),
        }
    }

    /// Runs the guest, if it is to run, until the next event.
    #[inline(always)]
    pub fn next_event(&mut self) -> Event {
        loop {
            if !self.runs {
                let received = self.time.pause(|| INPUT.recv_with_mrs(REPLY));
                return self.notified(received.badge);
            }
            if self.changed {
                self.changed = false;
                // Of a vCPU's capability there is no error.
                VCPU.vcpu_write_registers(&self.registers).ok();
            }
            self.delivers = Injected(self.entry.interruption_info).is_there();
            self.time.ends();
            let left = vm_enter(&mut self.entry);
            self.time.begins();
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
        let mut address = 0;
        sel4::with_ipc_buffer(|buffer| {
            if let Some(message) = exit_message(buffer) {
                self.qualification = message.qualification;
                self.instruction_len = message.instruction_len;
                address = message.guest_physical_address;
                self.rflags = message.rflags;
                self.interruptibility = message.interruptibility;
                self.cr3 = message.cr3;
                self.registers = *message.registers;
            }
        });
        if reason == EPT_VIOLATION {
            return Some(self.ept_violation(GuestPhysAddr(address)));
        }
        self.other_exit(reason)
    }

    #[inline(always)]
    fn ept_violation(&self, address: GuestPhysAddr) -> X86Exit {
        let (direction, made_by) = memory_access(self.qualification);
        X86Exit {
            rip: self.entry.rip,
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
            rip: self.entry.rip,
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
        let next = self.entry.rip.wrapping_add(self.instruction_len);
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
        self.entry.interruption_info = event.0;
        self.leave_shadow();
        self.runs = true;
    }

    /// The instruction in the shadow of STI or MOV SS is done, or an event ends it.
    #[inline(always)]
    fn leave_shadow(&mut self) {
        if self.interruptibility & INTERRUPT_SHADOW != 0 {
            self.interruptibility &= !INTERRUPT_SHADOW;
            write_vmcs(Field::GUEST_INTERRUPTIBILITY, self.interruptibility);
        }
    }

    /// Changes the control registers that the hardware runs the guest with.
    pub(super) fn set_control_registers(&mut self, control: ControlRegisters) {
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

    /// CR4.PGE is the guest's: only its own write makes the hardware forget what it remembers
    /// of the guest's tables, for which the kernel has no call.
    fn write_cr4(&self, cr4: u64) {
        // The kernel adds what VT-x wants to be set.
        write_vmcs(Field::GUEST_CR4, cr4);
        write_vmcs(Field::CR4_READ_SHADOW, cr4);
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
fn require(field: Field, bits: Word) {
    let missing = bits & !write_vmcs(field, bits);
    assert!(
        missing == 0,
        "this CPU's VT-x does not have bits {missing:#x} of {field:x?}, which this VMM needs"
    );
}

impl Host for VirtualMachine {
    #[inline(always)]
    fn now(&mut self) -> u64 {
        Counter::now()
    }

    #[inline(always)]
    fn notify(&mut self, channel: Channel) {
        // Whoever is notified may run at once.
        self.time.pause(|| Signals.notify(channel));
    }
}

impl Machine for VirtualMachine {
    #[inline(always)]
    fn proceed(&mut self, pc: u64) {
        self.entry.rip = pc;
        self.runs = true;
        self.leave_shadow();
        if self.rflags & RFLAGS_TF != 0 {
            // The instruction that was carried out is a step as well.
            const SINGLE_STEP: Word = 1 << 14;
            write_vmcs(Field::GUEST_PENDING_DEBUG_EXCEPTIONS, SINGLE_STEP);
        }
    }

    fn hold(&mut self) {
        self.runs = false;
    }

    fn read_ram(&mut self, address: GuestPhysAddr, bytes: &mut [u8]) -> bool {
        self.ram.read(address, bytes)
    }

    fn write_ram(&mut self, address: GuestPhysAddr, bytes: &[u8]) -> bool {
        self.ram.write(address, bytes)
    }

    fn clear_ram(&mut self) {
        self.ram.clear();
    }
}

impl Registers for VirtualMachine {
    #[inline(always)]
    fn gpr(&self, number: u8) -> u64 {
        if number == RSP {
            return read_vmcs(Field::GUEST_RSP);
        }
        self.registers[usize::from(PLACES[usize::from(number & 0xf)])]
    }

    #[inline(always)]
    fn rflags(&self) -> u64 {
        self.rflags
    }

    fn segment_base(&self, segment: Segment) -> u64 {
        let register = match segment {
            Segment::Fs => return read_vmcs(SegmentRegister::Fs.base()),
            Segment::Gs => return read_vmcs(SegmentRegister::Gs.base()),
            // In 64-bit mode the others begin at 0 whatever was loaded.
            _ if self.situation().mode() == Mode::Long => return 0,
            Segment::Es => SegmentRegister::Es,
            Segment::Cs => SegmentRegister::Cs,
            Segment::Ss => SegmentRegister::Ss,
            Segment::Ds => SegmentRegister::Ds,
        };
        read_vmcs(register.base()) & 0xffff_ffff
    }
}

impl X86Machine for VirtualMachine {
    const SEES_CODE_SEGMENT: bool = false;

    #[inline(always)]
    fn set_gpr(&mut self, number: u8, value: u64) {
        if number == RSP {
            write_vmcs(Field::GUEST_RSP, value);
            return;
        }
        self.registers[usize::from(PLACES[usize::from(number & 0xf)])] = value;
        self.changed = true;
    }

    fn set_rflags(&mut self, value: u64) {
        self.rflags = value;
        write_vmcs(Field::GUEST_RFLAGS, value);
    }

    fn situation(&self) -> Situation {
        const L: u16 = 1 << 9;
        let rights = read_vmcs(SegmentRegister::Cs.access_rights());
        let mut code = CodeSegment::of(rights, 0);
        if code.attributes & L == 0 {
            code.base = read_vmcs(SegmentRegister::Cs.base());
        }
        self.code.set(code);
        self.presumed_situation()
    }

    #[inline(always)]
    fn presumed_situation(&self) -> Situation {
        let CodeSegment { base, attributes } = self.code.get();
        let ControlRegisters { cr0, cr4, efer } = self.control;
        Situation {
            rip: self.entry.rip,
            code_base: base,
            code_attributes: attributes,
            paging: Paging {
                cr0,
                cr3: self.cr3,
                cr4,
                efer,
            },
        }
    }

    /// SS's privilege level, which the hardware keeps equal to CPL.
    fn privilege_level(&self) -> u8 {
        (read_vmcs(SegmentRegister::Ss.access_rights()) >> 5 & 3) as u8
    }

    #[inline(always)]
    fn ram_words(&self) -> impl Fn(GuestPhysAddr) -> Option<u64> + Copy + use<> {
        self.ram.words()
    }

    fn inject(&mut self, exception: X86Exception) {
        match exception {
            X86Exception::InvalidOpcode => self.raise(vector::INVALID_OPCODE),
            // CR2 is neither in the VMCS nor otherwise the kernel's to give: a handler would
            // read an old address. What the hardware itself has checked does not lead here; the
            // second page of an access may.
            X86Exception::GeneralProtection | X86Exception::PageFault { .. } => {
                self.raise(vector::GENERAL_PROTECTION);
            }
        }
    }

    fn start(&mut self, entry: u64, page_tables: GuestPhysAddr, rdi: u64, rsi: u64) {
        for register in SegmentRegister::ALL {
            let (selector, access_rights, limit) = match register {
                SegmentRegister::Cs => (8, CODE_64, 0xffff_ffff),
                SegmentRegister::Ldtr => (0, UNUSABLE, 0),
                SegmentRegister::Tr => (0, TASK_64, 0xffff),
                _ => (16, DATA, 0xffff_ffff),
            };
            write_vmcs(register.selector(), selector);
            write_vmcs(register.access_rights(), access_rights);
            write_vmcs(register.limit(), limit);
            write_vmcs(register.base(), 0);
        }
        require(Field::PIN_BASED_CONTROLS, PIN_PREEMPTION_TIMER);
        require(Field::PRIMARY_CONTROLS, primary::OF_A_GUEST);
        require(Field::SECONDARY_CONTROLS, secondary::OF_A_GUEST);
        for (field, value) in [
            (Field::PREEMPTION_TIMER_VALUE, preemption_timer_value()),
            (Field::EXCEPTION_BITMAP, EXCEPTIONS),
            (Field::CR0_MASK, Word::MAX),
            (Field::CR4_MASK, !CR4_PGE),
            (Field::GUEST_CR3, page_tables.0),
            (Field::GUEST_PAT, PAT_RESET),
            (Field::GUEST_GDTR_BASE, 0),
            (Field::GUEST_GDTR_LIMIT, 0),
            (Field::GUEST_IDTR_BASE, 0),
            (Field::GUEST_IDTR_LIMIT, 0),
            (Field::GUEST_DR7, DR7_RESET),
            (Field::GUEST_RSP, 0),
            (Field::GUEST_RFLAGS, RFLAGS_FIXED),
            (Field::GUEST_INTERRUPTIBILITY, 0),
            (Field::GUEST_ACTIVITY, 0),
            (Field::GUEST_PENDING_DEBUG_EXCEPTIONS, 0),
            (Field::GUEST_SYSENTER_CS, 0),
            (Field::GUEST_SYSENTER_ESP, 0),
            (Field::GUEST_SYSENTER_EIP, 0),
        ] {
            write_vmcs(field, value);
        }
        self.reset_system_call_registers();
        self.write_cr4(LONG_MODE.cr4);
        self.set_control_registers(LONG_MODE);
        self.cr8 = 0;
        self.cr3 = page_tables.0;
        self.rflags = RFLAGS_FIXED;
        self.interruptibility = 0;
        self.code.set(CodeSegment::of(CODE_64, 0));
        self.registers = [0; GENERAL_REGISTERS];
        self.set_gpr(RDI, rdi);
        self.set_gpr(RSI, rsi);
        assert!(is_canonical(entry), "a guest that begins at {entry:#x}");
        self.entry.rip = entry;
        self.entry.interruption_info = Injected::NONE.0;
        self.runs = true;
    }
}

/// A millisecond, in the timer's unit: the counter's ticks, 2^N of them at a time.
fn preemption_timer_value() -> Word {
    const IA32_VMX_MISC: u32 = 0x485;
    const UNIT: Word = 0x1f;
    // The kernel passes this register on.
    let unit_log2 = VCPU.vcpu_read_msr(IA32_VMX_MISC).unwrap_or(0) & UNIT;
    ((Counter::hz() / 1000) >> unit_log2).clamp(1, u32::MAX.into())
}
