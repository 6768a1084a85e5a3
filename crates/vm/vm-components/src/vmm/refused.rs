//! What the VM does not have: told to the trace component, and to the guest by an exception if
//! that is the policy.
//!
//! Called by `carry_out` and the architectures' exits.
//!
//! Invariant: nobody waits for it, and what the console says of it is one message a second,
//! however fast the guest asks.

use super::architecture::Architecture;
use super::transfer::Element;
use super::{Device, Isa, Vmm, device_at};
use crate::Machine;
use guest_access::Direction;
use trace_records::{Address, Flags, Kind, Notice, Tag};

/// Exceptions given to the guest, of which one message a second tells.
#[derive(Clone, Copy, Default)]
pub(super) struct Refusals {
    untold: u64,
    next_notice: u64,
    /// Address or exception class, and program counter, of the last.
    last: Option<(Address, u64)>,
}

impl<A: Isa> Vmm<A> {
    /// Tells of an access to where there is no device.
    pub(crate) fn record_outside(
        &mut self,
        address: Address,
        element: &Element,
        pc: u64,
        machine: &mut impl Machine,
    ) {
        let tag = Tag::new(Kind::Outside).with_access(element.direction, element.width());
        let mut record = self.record(tag, address, pc, machine);
        record.old = match element.direction {
            Direction::Read => element.all_ones() as u32,
            Direction::Write => element.value() as u32,
        };
        self.link.append_outside(record);
    }

    /// Tells of an access that the device at `address` does not support or that the hardware
    /// did not describe (`element` is `None`).
    pub(crate) fn record_refused(
        &mut self,
        address: impl Into<Address>,
        element: Option<&Element>,
        direction: Direction,
        pc: u64,
        machine: &mut impl Machine,
    ) {
        let address = address.into();
        let width = element.and_then(Element::width);
        let tag = Tag::new(Kind::Access)
            .with_access(direction, width)
            .with_flags(Flags::REFUSED);
        let mut record = self.record(tag, address, pc, machine);
        let has_room = self.link.access.has_room();
        let told = match device_at(address, &mut self.bus) {
            Some(Device::Isolated(point)) if !has_room => {
                return point.leave_unrecorded(&mut self.link);
            }
            Some(Device::Isolated(point)) => Some((point.instance, &mut point.sequence)),
            Some(Device::Local(device)) if device.emits => {
                Some((device.instance, &mut device.sequence))
            }
            _ => None,
        };
        if let Some((instance, sequence)) = told {
            *sequence += 1;
            record.sequence = *sequence;
            record.tag = record.tag.with_instance(instance);
            self.link.append_or_count(record);
        } else {
            let tag = Tag::new(Kind::Outside).with_access(direction, width);
            record.tag = tag.with_space(address.space);
            self.link.append_outside(record);
        }
    }

    /// Gives the guest an exception for an address, or for what else is not supported, and tells
    /// of it at most once a second.
    pub(crate) fn inject<M: Machine>(
        &mut self,
        exception: A::Exception,
        about: impl Into<Address>,
        pc: u64,
        machine: &mut M,
    ) where
        A: Architecture<M>,
    {
        let now = machine.now();
        self.refusals.untold += 1;
        self.refusals.last = Some((about.into(), pc));
        if now >= self.refusals.next_notice {
            self.refusals.next_notice = now.saturating_add(self.clock_hz);
            self.tell_refusals(machine);
        }
        A::inject(exception, machine);
    }

    pub(super) fn tell_refusals(&mut self, machine: &mut impl Machine) {
        let number = core::mem::take(&mut self.refusals.untold);
        if number != 0
            && let Some((address, pc)) = self.refusals.last
        {
            self.console
                .notice(Notice::Refused, number, address, pc, machine);
        }
    }
}
