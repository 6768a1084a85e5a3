//! The guest's calls: what `psci` decides of them is done here.
//!
//! Called by the architectures' exits. Invariant: a call that ends or resets the VM returns
//! nothing to the guest.

use super::architecture::Architecture;
use super::psci::{self, Call};
use super::{Isa, Vmm};
use crate::Machine;
use trace_records::{Address, EndReason, Kind, Tag};

/// What a call returns.
pub(crate) enum Answer {
    Now(u64),
    /// When the guest has waited for an interrupt.
    AfterWaiting(u64),
}

impl<A: Isa> Vmm<A> {
    /// A call of the guest's; gives what it is to return and when, if it goes on.
    pub(crate) fn call<M: Machine>(
        &mut self,
        function: u64,
        arguments: [u64; 2],
        pc: u64,
        machine: &mut M,
    ) -> Option<Answer>
    where
        A: Architecture<M>,
    {
        match psci::judge(function, arguments) {
            Call::Return(value) => return Some(Answer::Now(value)),
            Call::Wait(value) => return Some(Answer::AfterWaiting(value)),
            Call::PowerOff => self.end(EndReason::PoweredOff, 0, pc, machine),
            Call::Failed(code) => self.end(EndReason::GuestFailed, code, pc, machine),
            Call::Reset => {
                let tag = Tag::new(Kind::Reset);
                let record = self.record(tag, Address::NONE, pc, machine);
                self.tell(Kind::Reset, record, 0, machine);
            }
        }
        None
    }
}
