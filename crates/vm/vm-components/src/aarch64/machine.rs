//! An aarch64 vCPU as the VMM sees it: its exits, its registers, its exceptions.
//!
//! Implemented by each platform. Specification: Arm ARM (DDI 0487) D24.2.

use crate::Machine;
use a64_guest::pstate::ByteOrder;
use a64_guest::stage1::Regime;
use gic_v2::{Handed, Output};
use guest_access::{Direction, Gpr, GuestPhysAddr};

/// An exit of the vCPU, as the hardware reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// ESR_EL2 (Arm ARM D24.2.40).
    pub syndrome: u64,
    /// The guest-physical address of an abort, with its offset in the page.
    pub address: GuestPhysAddr,
    /// The guest's program counter as the exception saved it.
    pub pc: u64,
}

/// An exception for the guest to handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestException {
    /// The instruction is undefined (EC 0).
    Undefined,
    /// A data access failed.
    DataAbort {
        /// Whether the instruction reads or writes.
        direction: Direction,
        /// DFSC, the fault status code (Arm ARM D17.2.37).
        status: u8,
        /// The guest-virtual address, for FAR_EL1.
        address: u64,
    },
}

/// The two stack pointers that a guest has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StackPointer {
    /// SP_EL0.
    El0,
    /// SP_EL1.
    El1,
}

impl StackPointer {
    /// The one that an AArch64 guest with this PSTATE calls SP.
    pub const fn current(pstate: u64) -> Self {
        const EL1H: u64 = 0b0101;
        match pstate & 0xf {
            EL1H => Self::El1,
            _ => Self::El0,
        }
    }
}

/// A virtual machine with an A64 vCPU.
pub trait A64Machine: Machine {
    /// Reads x0 to x30. The VMM never asks for the zero register.
    fn gpr(&mut self, register: Gpr) -> u64;

    /// Sets all 64 bits of x0 to x30 while the vCPU does not run. Never the zero register.
    fn set_gpr(&mut self, register: Gpr, value: u64);

    /// Reads a stack pointer.
    fn stack_pointer(&mut self, which: StackPointer) -> u64;

    /// Sets a stack pointer while the vCPU does not run.
    fn set_stack_pointer(&mut self, which: StackPointer, value: u64);

    /// Reads v0 to v31; `None` if the platform has no way to a guest's vector registers.
    fn vector(&mut self, number: u8) -> Option<u128>;

    /// Sets all of v0 to v31 while the vCPU does not run, if [`Self::vector`] can read it.
    fn set_vector(&mut self, number: u8, value: u128);

    /// PSTATE as the exit saved it (SPSR_EL2).
    fn pstate(&mut self) -> u64;

    /// Sets PSTATE while the vCPU does not run. The mode is that of [`Self::pstate`].
    fn set_pstate(&mut self, pstate: u64);

    /// Whether the guest was in AArch64 and its data is little-endian, as the short way of an
    /// access takes for granted: so this is asked on each, with the register that it moves. A
    /// platform to which the exact answer is dear may be late with a change of the byte order, and
    /// says by how much.
    fn is_ordinary(&mut self, register: Gpr) -> bool;

    /// Whether a guest that was in AArch32 can go on there with other registers or another
    /// PSTATE. If not, its loads and stores are not carried out, [`Self::set_gpr`] and
    /// [`Self::set_pstate`] are not called, and it goes on at another program counter at most.
    fn sets_aarch32(&self) -> bool;

    /// The byte order of the guest's data, exactly.
    fn byte_order(&mut self) -> ByteOrder;

    /// How the guest translates addresses.
    fn stage1(&mut self) -> Regime;

    /// The guest-virtual address of the abort that was the last exit (FAR_EL2); `None` if the
    /// platform does not tell.
    fn fault_address(&mut self) -> Option<u64>;

    /// Lets the vCPU run on at `pc`, after writing one register if `result` says so.
    fn resume(&mut self, pc: u64, result: Option<(Gpr, u64)>);

    /// Makes the guest take an exception at the instruction that trapped, and run on.
    fn inject(&mut self, exception: GuestException);

    /// Whether the output of the guest's virtual timer, CNTV, is asserted; `was_due` is what this said last. From
    /// then on its VMM is notified by channel [`TIMER`](crate::channel::vmm::TIMER) when it is asserted next
    /// while the guest runs, so a platform need not look if it was not and nothing has been told since.
    fn sample_timer(&mut self, was_due: bool) -> bool;

    /// When that is going to be asserted, in ticks of [`Host::now`](crate::Host::now), if it is enabled and not
    /// masked.
    fn timer_deadline(&mut self) -> Option<u64>;

    /// The vCPU's interrupt inputs, as the modelled CPU interface has them.
    fn signal(&mut self, output: Output);

    /// How many list registers the vCPU has, if its guest has the CPU's own interface; else 0.
    fn list_registers(&self) -> usize {
        0
    }

    /// Fills a list register, which is free; one that is not, after a VMM has died, stays as it is. When its interrupt
    /// has ended, the platform calls
    /// [`Vmm::interrupt_ended`](crate::Vmm::interrupt_ended).
    fn fill_list_register(&mut self, _: Handed) {}

    /// Sets the vCPU to its state after reset and lets it run at `entry` with x0 and x1.
    fn start(&mut self, entry: u64, x0: u64, x1: u64);
}
