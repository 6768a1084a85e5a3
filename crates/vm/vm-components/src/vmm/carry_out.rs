//! Carries out a load or store that does not take the short way, element by element.
//!
//! Called by the architectures' exits, and when the trace component has answered or the clock says
//! that it will not.
//!
//! Invariant: an element is carried out once, in order; while one waits for the trace component
//! the vCPU is held, for three wake-ups of the clock at most.

use super::architecture::Architecture;
use super::device_point::Attempt;
use super::interrupts::InterruptController;
use super::trace_link::PATIENCE;
use super::transfer::{Element, Transfer};
use super::{Device, Held, Isa, Vmm, device_at};
use crate::Machine;
use guest_access::{AddressSpace, GuestPhysAddr};
use trace_records::{Address, EndReason};
use vm_config::Action;

/// What became of an element of a load or store.
pub(super) enum Moved {
    /// It is done.
    Done,
    /// The trace component has to do something first.
    Later,
    /// There is nothing for it at this address: policy `reference`. It is recorded.
    Refused(Address),
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
                self.leave_unrecorded(element, machine);
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
                            let first = GuestPhysAddr(address.number);
                            let exception = A::unanswered(element, first, pc, machine);
                            return self.inject(exception, address, pc, machine);
                        }
                        Action::Abort => {
                            let reason = EndReason::UnsupportedReference;
                            return self.end(reason, address, pc, machine);
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
        let address = element.address();
        match device_at(address, &mut self.bus) {
            Some(Device::Isolated(point)) => {
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
                    Attempt::Later | Attempt::Asked => Moved::Later,
                    Attempt::Refused => {
                        self.record_refused(address, Some(element), element.direction, pc, machine);
                        Moved::Refused(address)
                    }
                }
            }
            Some(Device::Local(device)) => {
                let Some(access) = device.supports(element, pc) else {
                    match device.emits {
                        true => {
                            let direction = element.direction;
                            self.record_refused(address, Some(element), direction, pc, machine);
                        }
                        false => self.record_outside(address, element, pc, machine),
                    }
                    return Moved::Refused(address);
                };
                let link = &mut self.link;
                if device.emits && !link.has_room_or_nobody() {
                    return Moved::Later;
                }
                device.carry_out(element, &mut self.console, &mut self.typed, machine);
                if device.emits {
                    let record = device.record(&access, element.value() as u32, machine.now());
                    link.append_or_count(record);
                }
                Moved::Done
            }
            None => match address.space {
                AddressSpace::Ports => {
                    self.record_outside(address, element, pc, machine);
                    Moved::Refused(address)
                }
                AddressSpace::Memory if A::Interrupts::is_at(element.place.first) => {
                    self.move_at_controller(element, pc, machine)
                }
                AddressSpace::Memory => match element.move_in_ram(machine) {
                    Ok(()) => Moved::Done,
                    Err(outside) => {
                        let outside = Address::memory(outside.0);
                        self.record_outside(outside, element, pc, machine);
                        Moved::Refused(outside)
                    }
                },
            },
        }
    }

    /// Ends an element that the device domain did not take in time: a gap in the device's numbers, unless it
    /// is told and was not answered. Reads of an isolated device give all-ones.
    fn leave_unrecorded(&mut self, element: &mut Element, machine: &mut impl Machine) {
        let address = element.address();
        match device_at(address, &mut self.bus) {
            Some(Device::Isolated(point)) => {
                if element.asked.is_none() {
                    point.leave_unrecorded(&mut self.link);
                }
                element.ignore();
            }
            Some(Device::Local(device)) => {
                device.carry_out(element, &mut self.console, &mut self.typed, machine);
                device.sequence += 1;
                self.link.kept.unrecorded += 1;
            }
            None if A::Interrupts::is_at(element.place.first) => {
                // What waits here is a store that ends an interrupt.
                let _ = self.move_at_once(element);
            }
            None => element.ignore(),
        }
    }
}
