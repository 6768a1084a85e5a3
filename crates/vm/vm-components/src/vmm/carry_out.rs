//! Carries out a load or store that does not take the short way, element by element.
//!
//! Called by the architectures' exits, and when the trace component has answered or the clock says
//! that it will not.
//!
//! Invariant: an element is carried out once, in order; while one waits for the trace component
//! the vCPU is held, for three wake-ups of the clock at most.

use super::architecture::Architecture;
use super::trace_link::PATIENCE;
use super::trace_point::Attempt;
use super::transfer::{Element, Transfer};
use super::{Device, Held, Isa, Vmm};
use crate::Machine;
use guest_access::{Direction, GuestPhysAddr};
use trace_records::EndReason;
use vm_config::Action;

/// What became of an element of a load or store.
enum Moved {
    /// It is done.
    Done,
    /// The trace component has to do something first.
    Later,
    /// There is nothing for it at this address: policy `reference`. It is recorded.
    Refused(GuestPhysAddr),
}

impl<A: Isa> Vmm<A> {
    /// Carries out what is left of a load or store, one element after the other. Holds the
    /// vCPU if the trace component has to do something first; `wakes` says how often the
    /// clock has woken this component while it waited for the next element.
    #[cold]
    pub(crate) fn carry_out<M: Machine>(
        &mut self,
        mut transfer: Transfer<A::End>,
        mut wakes: u32,
        machine: &mut M,
    ) where
        A: Architecture<M>,
    {
        let pc = transfer.pc;
        while let Some(element) = transfer.next() {
            if wakes >= PATIENCE {
                self.leave_unrecorded(element);
            } else {
                match self.move_element(element, pc, machine) {
                    Moved::Done => {}
                    Moved::Later => {
                        machine.hold();
                        self.link.is_wanted = true;
                        self.held = Some(Held::Transfer { transfer, wakes });
                        return;
                    }
                    Moved::Refused(address) => match self.config.unsupported().reference {
                        Action::Ignore => element.ignore(),
                        Action::Fail => {
                            let exception = A::unanswered(element, address, pc, machine);
                            return self.inject(exception, address.0, pc, machine);
                        }
                        Action::Abort => {
                            let reason = EndReason::UnsupportedReference;
                            return self.end(reason, address.0, pc, machine);
                        }
                    },
                }
            }
            wakes = 0;
            transfer.advance();
            A::advanced(&mut transfer, machine);
        }
        A::finish(transfer, machine);
    }

    /// Moves one element from or to a device or the guest's RAM.
    fn move_element(
        &mut self,
        element: &mut Element,
        pc: u64,
        machine: &mut impl Machine,
    ) -> Moved {
        let address = element.place.first;
        match self.bus.find(address) {
            Some(Device::Trace(point)) => {
                let (link, now) = (&mut self.link, machine.now());
                let mut attempt = point.attempt_element(element, pc, now, link);
                if let Attempt::Later = attempt {
                    // Once more after saying that this component waits.
                    link.access.announce_wait();
                    attempt = point.attempt_element(element, pc, now, link);
                }
                match attempt {
                    Attempt::Done(value) => {
                        element.set_value(value.into());
                        Moved::Done
                    }
                    Attempt::Later => Moved::Later,
                    Attempt::Refused => {
                        self.record_refused(address, Some(element), element.direction, pc, machine);
                        Moved::Refused(address)
                    }
                }
            }
            Some(Device::Pl011 { location }) => {
                let offset = address.0 - location.0;
                match element.direction {
                    Direction::Read => element.set_value(self.console.read(offset, machine).into()),
                    Direction::Write => self.console.write(offset, element.value() as u32, machine),
                }
                Moved::Done
            }
            None => match element.move_in_ram(machine) {
                Ok(()) => Moved::Done,
                Err(outside) => {
                    self.record_outside(outside, element, pc, machine);
                    Moved::Refused(outside)
                }
            },
        }
    }

    /// Ends an element that the trace component did not take in time: a gap in the device's
    /// numbers. Reads give all-ones.
    fn leave_unrecorded(&mut self, element: &mut Element) {
        if let Some(Device::Trace(point)) = self.bus.find(element.place.first) {
            point.kept.sequence += 1;
            self.link.kept.unrecorded += 1;
        }
        element.ignore();
    }
}
