//! What a syndrome at an address means to this VM: an access to all of an isolated device's word, or nothing
//! that the short way could do.
//!
//! Used by `access` for each exit, and by nobody else. A guest that works with a device does the same load or
//! store again and again, so the last of each is remembered, with the device's place on the bus. Invariant: what
//! is remembered is what decoding would give again. It is never out of date, as nothing else goes into it:
//! the hardware's words for an access mean one thing, and no device comes or goes while a VMM lives.

use super::Exit;
use crate::vmm::{Device, DeviceBus};
use a64_guest::syndrome::{Trap, decode, direction, is_permission_fault};
use guest_access::{Access, AccessWidth, Extension, Gpr, GuestPhysAddr};

/// The last load and the last store that the short way knew.
#[derive(Default)]
pub struct LastDescribed([Described; 2]);

struct Described {
    syndrome: u64,
    address: GuestPhysAddr,
    register: Gpr,
    extension: Extension,
    /// The device's place on the bus.
    place: usize,
}

impl Default for Described {
    /// What no hardware says, at a place where no device is.
    fn default() -> Self {
        Self {
            syndrome: 0,
            address: GuestPhysAddr(0),
            register: Gpr::ZERO,
            extension: Extension::ZERO,
            place: usize::MAX,
        }
    }
}

impl LastDescribed {
    /// The access that this exit is, and its device's place on the bus.
    #[inline(always)]
    pub(super) fn recall(&mut self, exit: Exit, bus: &mut DeviceBus) -> Option<(Access, usize)> {
        let direction = direction(exit.syndrome);
        let last = &mut self.0[direction as usize];
        if (last.syndrome, last.address) != (exit.syndrome, exit.address) {
            if is_permission_fault(exit.syndrome) {
                // No device is where memory is.
                return None;
            }
            let Trap::Access(access) = decode(exit.syndrome, exit.address, exit.pc) else {
                return None;
            };
            let place = bus.place_of(access.address)?;
            match bus.at(place) {
                Some(Device::Isolated(point)) if point.is_its_word(&access) => {}
                _ => return None,
            }
            *last = Described {
                syndrome: exit.syndrome,
                address: exit.address,
                register: access.register,
                extension: access.extension,
                place,
            };
        }
        let access = Access {
            address: exit.address,
            width: AccessWidth::Word,
            direction,
            register: last.register,
            extension: last.extension,
            pc: exit.pc,
        };
        Some((access, last.place))
    }
}
