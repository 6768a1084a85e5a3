//! An x86 vCPU as the VMM sees it: its exits, its registers, its exceptions.
//!
//! Implemented by each platform. Specification: AMD APM volume 2, 15.9 (intercepts), 8.2
//! (exceptions), 8.4.2 (page fault error code); Intel SDM volume 3, chapters 26 and 28, 6.15, 4.7.

use crate::Machine;
use guest_access::{AccessWidth, Direction, GuestPhysAddr};
use x86_guest::{Registers, Situation, fetch, instruction_len};

/// A virtual machine with an x86 vCPU.
pub trait X86Machine: Machine + Registers {
    /// Whether [`Self::situation`] costs nothing. Where CS must be asked for, the short way
    /// presumes it as long as that makes no difference.
    const SEES_CODE_SEGMENT: bool = true;

    /// Sets all 64 bits of a general register while the vCPU does not run.
    fn set_gpr(&mut self, number: u8, value: u64);

    /// Sets RFLAGS while the vCPU does not run.
    fn set_rflags(&mut self, value: u64);

    /// What decides what RIP means.
    fn situation(&self) -> Situation;

    /// The same, but CS is what it was when [`Self::situation`] was last called; equal if the
    /// machine [sees](Self::SEES_CODE_SEGMENT) it.
    fn presumed_situation(&self) -> Situation {
        self.situation()
    }

    /// CPL.
    fn privilege_level(&self) -> u8;

    /// What reads eight bytes of the guest's RAM, at an address that is a multiple of 8. All it
    /// needs it carries with it.
    fn ram_words(&self) -> impl Fn(GuestPhysAddr) -> Option<u64> + Copy + use<Self>;

    /// Makes the guest take an exception at the instruction that exited, and run on.
    fn inject(&mut self, exception: X86Exception);

    /// Sets the vCPU to its state at a VM's start, in 64-bit mode on these tables, and lets it
    /// run at `entry` with RDI and RSI.
    fn start(&mut self, entry: u64, page_tables: GuestPhysAddr, rdi: u64, rsi: u64);
}

/// An exit of the vCPU, as the hardware reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct X86Exit {
    /// RIP of the instruction that exited.
    pub rip: u64,
    /// RIP of the one after it, where the hardware tells.
    pub next_rip: Option<u64>,
    /// Why.
    pub reason: X86ExitReason,
}

/// Why an x86 vCPU left the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum X86ExitReason {
    /// Second-stage paging has no page for a load or store.
    Access {
        /// The guest-physical address.
        address: GuestPhysAddr,
        /// Whether it was going to change memory.
        direction: Direction,
    },
    /// Second-stage paging has no page for what the CPU did by itself: walking the guest's
    /// tables, delivering an exception.
    OwnAccess {
        /// The guest-physical address.
        address: GuestPhysAddr,
        /// Whether it was going to change memory.
        direction: Direction,
    },
    /// Second-stage paging has no page for an instruction fetch.
    Fetch {
        /// The guest-physical address.
        address: GuestPhysAddr,
    },
    /// IN or OUT.
    Port {
        /// The first port.
        port: u16,
        /// Whether it writes.
        direction: Direction,
        /// How many ports.
        width: AccessWidth,
    },
    /// INS, OUTS, and instructions that a guest does not have here.
    Instruction,
    /// HLT.
    Halt,
    /// The call of the hypervisor: VMMCALL on AMD's CPUs, VMCALL on Intel's.
    Call,
    /// RDMSR, WRMSR or MOV DR of a register that the platform does not know.
    Register {
        /// Its number.
        number: u32,
    },
    /// The triple fault.
    Shutdown,
    /// Anything else.
    Other {
        /// The hardware's number for it.
        code: u64,
    },
}

/// An exception for an x86 guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum X86Exception {
    /// #UD.
    InvalidOpcode,
    /// #GP, error code 0.
    GeneralProtection,
    /// #PF.
    PageFault {
        /// For CR2.
        address: u64,
        /// Present, write, user.
        error_code: u32,
    },
}

impl X86Exit {
    /// Where the guest goes on after the instruction that exited; `None` if its length cannot
    /// be found out.
    pub fn after(&self, machine: &impl X86Machine) -> Option<u64> {
        self.next_rip.or_else(|| {
            let situation = machine.situation();
            let (address, words) = (situation.linear_rip(), machine.ram_words());
            let code = fetch(&situation.paging, address, words)?;
            let len = instruction_len(&code, situation.mode())?;
            Some(situation.next_rip(len))
        })
    }
}
