//! The virtual machine of this protection domain: its vCPU and its RAM, through seL4.
//!
//! Called by `main`'s loop and by the VMM component. Every system call of the access path is
//! here, and the path is built to make few, of few words: an access to w0 takes one call
//! that fetches the registers up to x0, and one that writes back what changed and resumes
//! the vCPU. (The kernel refuses to fuse the latter with the next receive: a thread cannot be
//! invoked in the first phase of `seL4_NBSendRecv`.)
//!
//! What the VMM component does to the vCPU is prepared, in memory that outlives this protection domain, and
//! takes effect by the one call that resumes it, before the next event is waited for. After a death it is
//! done again unless it has taken effect: harmless, as long as the guest has not run since, and where it has,
//! its PC or its next fault tells. (The guest is below its VMM. Where several VMs share the CPU it can be
//! above, and run before this protection domain has noted that it may.)
//!
//! Invariants: message registers are copied before anything else is called; what is written
//! back between the PC and the target register is what was read (SP_EL0 and PSTATE are the
//! guest's); the guest's RAM is only written by copy.
//!
//! Specification: seL4 reference manual, "TCB" and "ARM VCPU" invocations; Microkit manual,
//! "Virtual Machines"; `a64_guest::exception` has the injected exceptions.

mod machine;

use super::registers::{COUNT, PC};
use super::system_calls::{self, FAST_REGISTERS, MessageInfo};
use crate::guest_ram::GuestRam;
use crate::slow_registers::SlowRegisters;
use guest_access::GuestPhysAddr;
use pd_runtime::{LifePage, life};
use sel4::sys::{invocation_label, seL4_Fault_tag};
use sel4::{VCpuReg, Word, cap};
use shared_ring::{Cell, Ordering};
use vm_components::{ChannelSet, Exit, channel};
use vm_config::VmConfig;

// Capability slots that the Microkit gives a protection domain (its manual, "CSpace").
const INPUT: cap::Endpoint = sel4::Cap::from_bits(1);
const REPLY: cap::Reply = sel4::Cap::from_bits(4);
const VM_TCB: cap::Tcb = sel4::Cap::from_bits(266);
const VCPU: cap::VCpu = sel4::Cap::from_bits(330);

/// Set in the badge of a fault, beside the number of who faulted.
const FAULT_BADGE: Word = 1 << 62;
/// Words before the registers in a message of TCB_WriteRegisters.
const WRITE_HEADER: usize = 2;

/// Whether TCB_WriteRegisters lets the thread run.
const RESUME: Word = 1;
const LEAVE: Word = 0;

/// List registers of a GIC-400, and of QEMU's GICv2 (GICH_VTR.ListRegs).
const LIST_REGISTERS: usize = 4;

/// ESR_EL2 of an HVC with immediate 0 (Arm ARM D24.2.40).
const HVC: u64 = 0x16 << 26;

/// What woke this protection domain.
pub enum Event {
    /// The vCPU left the guest.
    Exit(Exit),
    /// Channels were signalled, or the guest's timer has fired.
    Notified(ChannelSet),
    /// The interrupt in this list register has ended.
    InterruptEnded(usize),
}

/// Of [`KeptVcpu::prepared`]: nothing is.
const NOTHING: Word = 0;
/// One register is written, the first: the PC.
const PC_ALONE: Word = PC as Word + 1;
/// How many registers are written before the vCPU is resumed.
const REGISTERS: Word = 0xff;
/// SP_EL1 is written before that.
const STACK_POINTER: Word = 1 << 8;
/// The vCPU is suspended, and does not run on.
const HOLD: Word = 1 << 9;

/// What of the vCPU outlives this protection domain. All zero: it has not run.
#[repr(C)]
pub struct KeptVcpu {
    /// What the VMM was about to do.
    intent: Cell,
    /// What takes effect next.
    prepared: Cell,
    /// PC as the last exit brought it.
    left_at: Word,
    /// SP_EL1 as it will be, if it was set.
    stack_pointer: Word,
    /// The vCPU's registers as they will be, as far as they are known, in seL4's order.
    registers: [Word; COUNT],
}

/// The only VM and its only vCPU.
pub struct VirtualMachine {
    ram: GuestRam,
    kept: &'static mut KeptVcpu,
    /// The rest of a message with many registers.
    slow: SlowRegisters,
    /// Where this protection domain says that it lives, at each event.
    life: &'static LifePage,
    /// How many of the registers are known since the last exit.
    known: usize,
    /// What was set since then: how many registers have to be written, and whether SP_EL1.
    set: Word,
    /// SCTLR_EL1, when it was last asked for, had a big-endian EL1 or EL0. To ask costs a sixth of
    /// an access, so it is asked at each of the clock's wake-ups, at each access that does not
    /// take the short way, and, once this is set, at every access.
    may_be_big_endian: bool,
    timer: Timer,
    /// `pd-alarm` was asked for a wake-up, and has not answered yet.
    is_alarm_set: bool,
}

/// What is known of the guest's virtual timer, whose interrupt the kernel delivers once: it is masked from
/// then on until it is acknowledged.
#[derive(Clone, Copy, PartialEq)]
enum Timer {
    /// The kernel tells when it fires.
    Told,
    /// It has told, or may have told a `pd-vmm` before this one.
    Masked,
}

impl VirtualMachine {
    /// The VM of this protection domain, whose vCPU does not run yet.
    pub fn new(config: &VmConfig<'_>, kept: &'static mut KeptVcpu) -> Self {
        Self {
            ram: GuestRam::new(config),
            kept,
            slow: SlowRegisters::of_this_thread(),
            life: life(),
            known: 0,
            set: 0,
            may_be_big_endian: false,
            timer: Timer::Masked,
            is_alarm_set: false,
        }
    }

    /// Waits for the next event. Each is a sign of life.
    #[inline(always)]
    pub fn next_event(&mut self) -> Event {
        loop {
            self.take_effect();
            let received = system_calls::recv(INPUT.bits(), REPLY.bits());
            self.life.beat();
            let badge = received.badge;
            if badge & FAULT_BADGE == 0 {
                let channels = ChannelSet::from_bits(badge);
                if channels.contains(channel::vmm::CLOCK) {
                    self.sctlr();
                }
                if channels.contains(channel::vmm::TIMER) {
                    self.is_alarm_set = false;
                }
                return Event::Notified(channels);
            }
            (self.known, self.set) = (0, 0);
            match self.exit(received.info.label(), received.message) {
                Ok(exit) => return Event::Exit(exit),
                Err(Some(event)) => return event,
                Err(None) => {}
            }
        }
    }

    /// What is prepared takes effect.
    #[inline(always)]
    fn take_effect(&mut self) {
        let prepared = self.kept.prepared.load(Ordering::Relaxed);
        if prepared == NOTHING {
            return;
        }
        match prepared {
            // After a store: of so many the compiler makes a call without a loop.
            PC_ALONE => self.write(PC_ALONE as usize, RESUME),
            ..=REGISTERS => self.write(prepared as usize, RESUME),
            _ => self.take_rare_effect(prepared),
        }
        self.kept.prepared.store(NOTHING, Ordering::Release);
    }

    #[cold]
    fn take_rare_effect(&mut self, prepared: Word) {
        if prepared & STACK_POINTER != 0 {
            Self::write_system_register(VCpuReg::SP_EL1, self.kept.stack_pointer);
        }
        let count = (prepared & REGISTERS) as usize;
        if prepared & HOLD == 0 {
            return self.write(count, RESUME);
        }
        // Nobody answers the fault for now, and a debug kernel would say so at each switch.
        VM_TCB.tcb_suspend().ok();
        if count != 0 {
            self.write(count, LEAVE);
        }
        self.set = 0;
    }

    /// The vCPU runs on with the first `count` registers, and what else was set.
    #[inline(always)]
    fn prepare(&mut self, count: usize) {
        let prepared = match self.set {
            0 => count as Word,
            set => (count as Word).max(set & REGISTERS) | set & STACK_POINTER,
        };
        self.kept.prepared.store(prepared, Ordering::Release);
    }

    /// Sets one register, by its place.
    fn set_register(&mut self, place: usize, value: Word) {
        // All are read, so that no later read brings an old value back.
        self.fetch(COUNT);
        self.kept.registers[place] = value;
        let registers = (self.set & REGISTERS).max(place as Word + 1);
        self.set = self.set & !REGISTERS | registers;
    }

    /// Whether what is prepared has taken effect already, as far as the guest can have run since.
    fn has_taken_effect(&self) -> bool {
        let waiting = INPUT.nb_recv(REPLY).1;
        // The next fault: it comes again when the vCPU is resumed.
        if waiting & FAULT_BADGE != 0 {
            return true;
        }
        let [pc, ..] = Self::read_registers(1);
        pc != self.kept.left_at && pc != self.kept.registers[PC]
    }

    /// TCB_WriteRegisters of the first `count` registers. Nothing is answered: of this capability, and so few
    /// registers, there is no error.
    #[inline(always)]
    fn write(&mut self, count: usize, resume: Word) {
        const IN_MEMORY: usize = FAST_REGISTERS - WRITE_HEADER;
        let registers = &self.kept.registers;
        if let Some(in_memory) = registers.get(IN_MEMORY..count) {
            self.slow.write(in_memory);
        }
        let label = Word::from(invocation_label::TCBWriteRegisters);
        let info = MessageInfo::new(label, WRITE_HEADER + count);
        let message = [resume, count as Word, registers[0], registers[1]];
        system_calls::send(VM_TCB.bits(), info, message);
    }

    /// What a fault message means. One that is no exit is none of the guest's doing, and the vCPU just goes on.
    #[inline(always)]
    fn exit(
        &mut self,
        label: Word,
        message: [Word; FAST_REGISTERS],
    ) -> Result<Exit, Option<Event>> {
        let [pc, address, _, syndrome] = message;
        if label == seL4_Fault_tag::seL4_Fault_VMFault {
            self.kept.left_at = pc;
            return Ok(Exit {
                syndrome,
                address: GuestPhysAddr(address),
                pc,
            });
        }
        self.other_exit(label, message[0])
    }

    #[cold]
    fn other_exit(&mut self, label: Word, first: Word) -> Result<Exit, Option<Event>> {
        let syndrome = match label {
            seL4_Fault_tag::seL4_Fault_VCPUFault => first,
            seL4_Fault_tag::seL4_Fault_VPPIEvent => {
                VM_TCB.tcb_resume().ok();
                self.timer = Timer::Masked;
                let mut channels = ChannelSet::EMPTY;
                channels.insert(channel::vmm::TIMER);
                return Err(Some(Event::Notified(channels)));
            }
            // Which list register, or all ones if the kernel found none.
            seL4_Fault_tag::seL4_Fault_VGICMaintenance => {
                VM_TCB.tcb_resume().ok();
                let slot = usize::try_from(first)
                    .ok()
                    .filter(|slot| *slot < LIST_REGISTERS);
                return Err(slot.map(Event::InterruptEnded));
            }
            // The kernel takes a guest's HVC for a system call that it does not know. It would
            // be repeated; the hardware says HVC and points behind it.
            seL4_Fault_tag::seL4_Fault_UnknownSyscall => {
                self.fetch(1);
                self.kept.left_at = self.kept.registers[PC];
                return Ok(Exit {
                    syndrome: HVC,
                    address: GuestPhysAddr(0),
                    pc: self.kept.left_at.wrapping_add(4),
                });
            }
            // Reported with a class that no hardware uses.
            _ => 0x3f << 26,
        };
        self.fetch(1);
        self.kept.left_at = self.kept.registers[PC];
        Ok(Exit {
            syndrome,
            address: GuestPhysAddr(0),
            pc: self.kept.left_at,
        })
    }

    /// Reads registers of the vCPU until `count` are known.
    #[inline(always)]
    fn fetch(&mut self, count: usize) {
        if self.known >= count {
            return;
        }
        let answer = Self::read_registers(count);
        let (fast, slow) = self.kept.registers.split_at_mut(FAST_REGISTERS);
        fast.copy_from_slice(&answer);
        if let Some(slow) = slow.get_mut(..count.saturating_sub(FAST_REGISTERS)) {
            for (place, word) in slow.iter_mut().enumerate() {
                *word = self.slow.read(place);
            }
        }
        self.known = count;
    }

    /// TCB_ReadRegisters of the first `count` registers: those that come in the CPU's. The message is longer than
    /// it need be: of one that could go to a thread the kernel finds out only later that it does not.
    #[inline(always)]
    fn read_registers(count: usize) -> [Word; FAST_REGISTERS] {
        const TOO_LONG_FOR_A_FAST_PATH: usize = FAST_REGISTERS + 1;
        let label = Word::from(invocation_label::TCBReadRegisters);
        let info = MessageInfo::new(label, TOO_LONG_FOR_A_FAST_PATH);
        system_calls::call(VM_TCB.bits(), info, [0, count as Word])
    }

    /// SCTLR_EL1 as it is.
    fn sctlr(&mut self) -> u64 {
        const E0E_AND_EE: u64 = 0b11 << 24;
        let sctlr = Self::read_system_register(VCpuReg::SCTLR);
        self.may_be_big_endian = sctlr & E0E_AND_EE != 0;
        sctlr
    }

    fn read_system_register(register: VCpuReg) -> u64 {
        // The capability is there and the register exists: no error is possible.
        VCPU.vcpu_read_regs(register).unwrap_or(0)
    }

    fn write_system_register(register: VCpuReg, value: u64) {
        // As above.
        VCPU.vcpu_write_regs(register, value).ok();
    }
}
