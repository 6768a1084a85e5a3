//! The short way of an access on x86: one read or write of an isolated device by an instruction that was
//! decoded before.
//!
//! Called by the platform for each exit. Invariant: it does the whole access or nothing; what is in
//! its way is handled by `exits`.

use super::{X86, X86Exit, X86ExitReason, X86Machine};
use crate::Vmm;
use crate::vmm::Device;
use crate::vmm::device_point::{Attempt, DevicePoint, Seen};
use crate::vmm::trace_link::TraceLink;
use guest_access::{Access, AccessWidth, Direction, Extension, Gpr, GuestPhysAddr};
use x86_guest::Recalled;

impl Vmm<X86> {
    /// Handles an exit of the vCPU.
    #[inline(always)]
    pub fn exit(&mut self, exit: X86Exit, machine: &mut impl X86Machine) {
        let done = match exit.reason {
            X86ExitReason::Access { address, direction } => {
                self.complete_access(address, direction, machine)
            }
            _ => false,
        };
        if !done {
            self.other_exit(exit, machine);
        }
    }

    /// The short way of [`Self::exit`]: completes one read or write of an isolated device that was
    /// made before, if nothing stands against it. Returns whether it did; if not, nothing has
    /// happened.
    #[inline(always)]
    pub fn complete_access<M: X86Machine>(
        &mut self,
        address: GuestPhysAddr,
        direction: Direction,
        machine: &mut M,
    ) -> bool {
        let look = |point: &mut DevicePoint, access: &Access, link: &TraceLink| {
            if !point.is_its_word(access) {
                return Err(Attempt::Later);
            }
            point.look_at_word(direction, link)
        };
        self.complete(address, direction, look, machine)
    }

    /// The same, by what a device's point makes of the access.
    #[inline(always)]
    pub(super) fn complete<M: X86Machine>(
        &mut self,
        address: GuestPhysAddr,
        direction: Direction,
        look: impl Fn(&mut DevicePoint, &Access, &TraceLink) -> Result<Seen, Attempt>,
        machine: &mut M,
    ) -> bool {
        let Some(Device::Isolated(point)) = self.bus.find(address) else {
            return false;
        };
        let situation = machine.presumed_situation();
        let recalled = self.memory.recall(&situation, machine, machine.ram_words());
        let Some(Recalled {
            instruction,
            address: operand,
            reads_alike,
        }) = recalled
        else {
            return false;
        };
        let is_such = match direction {
            Direction::Read => !instruction.writes(),
            Direction::Write => !instruction.reads(),
        };
        if operand != address || !is_such {
            return false;
        }
        if !M::SEES_CODE_SEGMENT && !reads_alike && machine.situation() != situation {
            return false;
        }
        let access = access(address, instruction.width, direction, situation.rip);
        let Ok(seen) = look(point, &access, &self.link) else {
            return false;
        };
        if !self.link.access.has_known_room() {
            return false;
        }
        let value = match direction {
            Direction::Read => seen.value,
            // A store needs no value that was read.
            Direction::Write => match instruction.execute(0, machine).write {
                Some(value) => value as u32,
                None => return false,
            },
        };
        let record = point.record(&access, &seen, value, machine.now());
        machine.intend(self.link.intent());
        if direction == Direction::Read {
            let effect = instruction.execute(value.into(), machine);
            if let Some((number, value)) = effect.register {
                machine.set_gpr(number, value);
            }
            if let Some(rflags) = effect.rflags {
                machine.set_rflags(rflags);
            }
        }
        machine.proceed(situation.rip.wrapping_add(instruction.len.into()));
        self.link.push(record, machine);
        true
    }
}

#[inline(always)]
fn access(address: GuestPhysAddr, width: AccessWidth, direction: Direction, pc: u64) -> Access {
    Access {
        address,
        width,
        direction,
        register: Gpr::ZERO,
        extension: Extension {
            signed: false,
            to_64_bits: true,
        },
        pc,
    }
}
