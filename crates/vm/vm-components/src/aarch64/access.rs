//! The short way of an access on aarch64: one load or store that the syndrome describes, on an isolated
//! device.
//!
//! Called by the platform for each exit. Invariant: it does the whole access or nothing; what is in
//! its way is handled by `exits`. What an exit means is `described`'s.

use super::step::INSTRUCTION_BYTES;
use super::{A64, A64Machine, Exit};
use crate::Vmm;
use crate::vmm::Device;
use crate::vmm::device_point::{DevicePoint, Seen};
use crate::vmm::trace_link::TraceLink;
use a64_guest::syndrome::{Trap, decode, is_permission_fault};
use guest_access::{Access, Direction, Gpr};

impl Vmm<A64> {
    /// Handles an exit of the vCPU.
    #[inline(always)]
    pub fn fault(&mut self, exit: Exit, machine: &mut impl A64Machine) {
        if !self.complete_access(exit, machine) {
            self.other_exit(exit, machine);
        }
    }

    /// The short way of [`Self::fault`]: completes an access to an isolated device that the
    /// hardware described, if nothing stands against it. Returns whether it did; if not,
    /// nothing has happened, and [`Self::other_exit`] handles the exit.
    #[inline(always)]
    pub fn complete_access(&mut self, exit: Exit, machine: &mut impl A64Machine) -> bool {
        if let Some((access, place)) = self.memory.recall(exit, &mut self.bus)
            && machine.is_ordinary(access.register)
            && let Some(Device::Isolated(point)) = self.bus.at(place)
            && let Ok(seen) = point.look_at_word(access.direction, &self.link)
            && self.link.access.has_known_room()
        {
            complete(&access, point, &seen, &mut self.link, machine);
            return true;
        }
        false
    }

    /// The same of registers that are not all of their device's state.
    pub(super) fn complete_access_to_one_of_several(
        &mut self,
        exit: Exit,
        machine: &mut impl A64Machine,
    ) -> bool {
        if !is_permission_fault(exit.syndrome)
            && let Trap::Access(access) = decode(exit.syndrome, exit.address, exit.pc)
            && machine.is_ordinary(access.register)
            && let Some(Device::Isolated(point)) = self.bus.find(access.address)
            && let Ok(seen) = point.look(&access, &self.link)
            && self.link.access.has_known_room()
        {
            complete(&access, point, &seen, &mut self.link, machine);
            return true;
        }
        false
    }
}

/// Carries out an access that sees this: there is room for its record.
#[inline(always)]
fn complete(
    access: &Access,
    point: &mut DevicePoint,
    seen: &Seen,
    link: &mut TraceLink,
    machine: &mut impl A64Machine,
) {
    let value = match access.direction {
        Direction::Read => seen.value,
        Direction::Write => register(access, machine) as u32,
    };
    let record = point.record(access, seen, value, machine.now());
    machine.intend(link.intent());
    end(access, u64::from(value), machine);
    link.push(record, machine);
}

/// What a store stores.
#[inline(always)]
fn register(access: &Access, machine: &mut impl A64Machine) -> u64 {
    if access.register == Gpr::ZERO {
        0
    } else {
        machine.gpr(access.register) & access.width.mask()
    }
}

/// Ends an access: a load gets `value`, extended as the instruction says.
#[inline(always)]
fn end(access: &Access, value: u64, machine: &mut impl A64Machine) {
    let load = access.direction == Direction::Read && access.register != Gpr::ZERO;
    let result = load.then(|| (access.register, access.extend(value)));
    machine.resume(access.pc.wrapping_add(INSTRUCTION_BYTES), result);
}
