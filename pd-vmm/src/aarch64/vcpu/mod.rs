//! The virtual machine of this protection domain: its vCPU and its RAM, through seL4.
//!
//! Called by `main`'s loop and by the VMM component. Every system call of the access path is
//! here, and the path is built to make few, of few words: an access to w0 takes one call
//! that fetches the registers up to x0, and one that writes back what changed and resumes
//! the vCPU. (The kernel refuses to fuse the latter with the next receive: a thread cannot be
//! invoked in the first phase of `seL4_NBSendRecv`.)
//!
//! Invariants: message registers are copied before anything else is called; what is written
//! back between the PC and the target register is what was read (SP_EL0 and PSTATE are the
//! guest's); the guest's RAM is only written by copy.
//!
//! Specification: seL4 reference manual, "TCB" and "ARM VCPU" invocations; Microkit manual,
//! "Virtual Machines"; `a64_guest::exception` has the injected exceptions.

mod machine;

use super::registers::{COUNT, PC};
use crate::guest_ram::GuestRam;
use guest_access::GuestPhysAddr;
use pd_runtime::life;
use sel4::sys::{invocation_label, seL4_Fault_tag};
use sel4::{MessageInfoBuilder, VCpuReg, Word, cap};
use vm_components::{ChannelSet, Exit, channel};
use vm_config::VmConfig;

// Capability slots that the Microkit gives a protection domain (its manual, "CSpace").
const INPUT: cap::Endpoint = sel4::Cap::from_bits(1);
const REPLY: cap::Reply = sel4::Cap::from_bits(4);
const VM_TCB: cap::Tcb = sel4::Cap::from_bits(266);
const VCPU: cap::VCpu = sel4::Cap::from_bits(330);

/// Set in the badge of a fault, beside the number of who faulted.
const FAULT_BADGE: Word = 1 << 62;
/// Message registers that a system call passes in registers of the CPU.
const FAST_REGISTERS: usize = 4;
/// Words before the registers in a message of TCB_WriteRegisters.
const WRITE_HEADER: usize = 2;

/// ESR_EL2 of an HVC with immediate 0 (Arm ARM D24.2.40).
const HVC: u64 = 0x16 << 26;

/// What woke this protection domain.
pub enum Event {
    /// The vCPU left the guest.
    Exit(Exit),
    /// Channels were signalled.
    Notified(ChannelSet),
}

/// The only VM and its only vCPU.
pub struct VirtualMachine {
    ram: GuestRam,
    /// What is known of the vCPU's registers, in seL4's order.
    registers: [Word; COUNT],
    /// How many of them are, since the last exit.
    known: usize,
    /// SCTLR_EL1, when it was last asked for, had a big-endian EL1 or EL0. To ask costs a sixth of
    /// an access, so it is asked at each of the clock's wake-ups, at each access that does not
    /// take the short way, and, once this is set, at every access.
    may_be_big_endian: bool,
}

impl VirtualMachine {
    /// The VM of this protection domain, whose vCPU does not run yet.
    pub fn new(config: &VmConfig<'_>) -> Self {
        Self {
            ram: GuestRam::new(config),
            registers: [0; COUNT],
            known: 0,
            may_be_big_endian: false,
        }
    }

    /// Waits for the next event. Each is a sign of life.
    #[inline(always)]
    pub fn next_event(&mut self) -> Event {
        loop {
            let received = INPUT.recv_with_mrs(REPLY);
            life().beat();
            let badge = received.badge;
            if badge & FAULT_BADGE == 0 {
                let channels = ChannelSet::from_bits(badge);
                if channels.contains(channel::vmm::CLOCK) {
                    self.sctlr();
                }
                return Event::Notified(channels);
            }
            self.known = 0;
            if let Some(exit) = self.exit(received.info.label(), received.msg) {
                return Event::Exit(exit);
            }
        }
    }

    /// Writes the first `count` registers and lets the vCPU run.
    #[inline(always)]
    fn write_and_resume(&mut self, count: usize) {
        const RESUME: Word = 1;
        self.write(count, RESUME);
    }

    /// Sets one register, by its place, and leaves the vCPU as it is.
    fn set_register(&mut self, place: usize, value: Word) {
        const LEAVE: Word = 0;
        // All are read, so that no later read brings an old value back.
        self.fetch(COUNT);
        self.registers[place] = value;
        self.write(place + 1, LEAVE);
    }

    /// TCB_WriteRegisters of the first `count` registers.
    #[inline(always)]
    fn write(&mut self, count: usize, resume: Word) {
        let in_buffer = count.saturating_sub(FAST_REGISTERS - WRITE_HEADER);
        if in_buffer != 0 {
            sel4::with_ipc_buffer_mut(|buffer| {
                buffer.msg_regs_mut()[FAST_REGISTERS..][..in_buffer]
                    .copy_from_slice(&self.registers[FAST_REGISTERS - WRITE_HEADER..count]);
            });
        }
        let info = MessageInfoBuilder::default()
            .label(Word::from(invocation_label::TCBWriteRegisters))
            .length(WRITE_HEADER + count)
            .build();
        VM_TCB.cast::<sel4::cap_type::Endpoint>().call_with_mrs(
            info,
            [resume, count as Word, self.registers[0], self.registers[1]],
        );
    }

    /// What a fault message means; `None` if the vCPU just goes on.
    #[inline(always)]
    fn exit(&mut self, label: Word, message: [Word; FAST_REGISTERS]) -> Option<Exit> {
        let [pc, address, _, syndrome] = message;
        if label == seL4_Fault_tag::seL4_Fault_VMFault {
            self.registers[PC] = pc;
            return Some(Exit {
                syndrome,
                address: GuestPhysAddr(address),
                pc,
            });
        }
        self.other_exit(label, message[0])
    }

    #[cold]
    fn other_exit(&mut self, label: Word, first: Word) -> Option<Exit> {
        let syndrome = match label {
            seL4_Fault_tag::seL4_Fault_VCPUFault => first,
            // The guest's virtual timer fired, or its interrupt interface wants service: it
            // has neither. The timer's interrupt stays masked as it is not acknowledged.
            seL4_Fault_tag::seL4_Fault_VPPIEvent | seL4_Fault_tag::seL4_Fault_VGICMaintenance => {
                VM_TCB.tcb_resume().ok();
                return None;
            }
            // The kernel takes a guest's HVC for a system call that it does not know. It would
            // be repeated; the hardware says HVC and points behind it.
            seL4_Fault_tag::seL4_Fault_UnknownSyscall => {
                self.fetch(1);
                return Some(Exit {
                    syndrome: HVC,
                    address: GuestPhysAddr(0),
                    pc: self.registers[PC].wrapping_add(4),
                });
            }
            // Reported with a class that no hardware uses.
            _ => 0x3f << 26,
        };
        self.fetch(1);
        Some(Exit {
            syndrome,
            address: GuestPhysAddr(0),
            pc: self.registers[PC],
        })
    }

    /// Reads registers of the vCPU until `count` are known.
    #[inline(always)]
    fn fetch(&mut self, count: usize) {
        if self.known >= count {
            return;
        }
        let info = MessageInfoBuilder::default()
            .label(Word::from(invocation_label::TCBReadRegisters))
            .length(2)
            .build();
        let answer = VM_TCB
            .cast::<sel4::cap_type::Endpoint>()
            .call_with_mrs(info, [0, count as Word]);
        let fast = count.min(FAST_REGISTERS);
        self.registers[..fast].copy_from_slice(&answer.msg[..fast]);
        if count > FAST_REGISTERS {
            sel4::with_ipc_buffer(|buffer| {
                self.registers[FAST_REGISTERS..count]
                    .copy_from_slice(&buffer.msg_regs()[FAST_REGISTERS..count]);
            });
        }
        self.known = count;
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
