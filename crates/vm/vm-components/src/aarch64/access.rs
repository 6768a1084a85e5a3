//! The short way of an access on aarch64: one load or store that the syndrome describes, on an isolated
//! device.
//!
//! Called by the platform for each exit. Invariant: it does the whole access or nothing; what is in
//! its way is handled by `exits`.

use super::step::INSTRUCTION_BYTES;
use super::{A64, A64Machine, Exit};
use crate::Vmm;
use crate::vmm::Device;
use crate::vmm::device_point::{Attempt, DevicePoint, Seen};
use crate::vmm::trace_link::TraceLink;
use a64_guest::syndrome::{Trap, decode};
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
        self.complete(exit, DevicePoint::look_at_word, machine)
    }

    /// The same, by what a device's point makes of the access.
    #[inline(always)]
    pub(super) fn complete(
        &mut self,
        exit: Exit,
        look: impl Fn(&mut DevicePoint, &Access, &TraceLink) -> Result<Seen, Attempt>,
        machine: &mut impl A64Machine,
    ) -> bool {
        if let Trap::Access(access) = decode(exit.syndrome, exit.address, exit.pc)
            && machine.is_ordinary(access.register)
            && let Some(Device::Isolated(point)) = self.bus.find(access.address)
            && let Ok(seen) = look(point, &access, &self.link)
            && self.link.access.has_known_room()
        {
            let value = match access.direction {
                Direction::Read => seen.value,
                Direction::Write => register(&access, machine) as u32,
            };
            let record = point.record(&access, &seen, value, machine.now());
            machine.intend(self.link.intent());
            end(&access, u64::from(value), machine);
            self.link.push(record, machine);
            return true;
        }
        false
    }
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
