//! What `make bench` measures beside the isolated device: other answers to an access.
//!
//! Asked by `main`'s loop before the VMM component, in builds with one of the features below;
//! no other build has this file. Invariant: every exit that is no access to the demo's
//! location is left to the component.

use guest_access::GuestPhysAddr;
use vm_components::{A64Machine, Exit};

/// Where the benchmark's guest has its device.
const LOCATION: GuestPhysAddr = GuestPhysAddr(0xfa00_0000);

/// Feature `bench-floor`: the trap moves the PC on, and that is all. What seL4 and the CPU cost.
#[cfg(feature = "bench-floor")]
pub struct Answers;

#[cfg(feature = "bench-floor")]
impl Answers {
    /// Ready for the first access.
    pub fn new() -> Self {
        Self
    }

    /// Answers an access; `false` if it is none.
    #[inline(always)]
    pub fn answer(&mut self, exit: Exit, machine: &mut impl A64Machine) -> bool {
        let ours = exit.address == LOCATION;
        if ours {
            machine.resume(exit.pc + 4, None);
        }
        ours
    }
}

/// Feature `bench-in-vmm`: the same device inside the VMM, as monitors without isolation have
/// it. No rings, no log, no ticks.
#[cfg(feature = "bench-in-vmm")]
pub struct Answers {
    device: vdevs::trace::TraceDevice,
    sequence: u64,
}

#[cfg(feature = "bench-in-vmm")]
impl Answers {
    /// A device whose counter is zero.
    pub fn new() -> Self {
        let emit = vdevs::trace::Emit::default();
        Self {
            device: vdevs::trace::TraceDevice::new(LOCATION, emit),
            sequence: 0,
        }
    }

    /// Answers an access; `false` if it is none.
    #[inline(always)]
    pub fn answer(&mut self, exit: Exit, machine: &mut impl A64Machine) -> bool {
        use a64_guest::syndrome::{Trap, decode};
        use guest_access::Direction;
        use trace_records::{Kind, Record, Tag};

        let Trap::Access(access) = decode(exit.syndrome, exit.address, exit.pc) else {
            return false;
        };
        if access.address != LOCATION {
            return false;
        }
        let value = match access.direction {
            Direction::Read => 0,
            Direction::Write => machine.gpr(access.register) as u32,
        };
        self.sequence += 1;
        let mut record = Record {
            time: machine.now(),
            address: access.address,
            pc: access.pc,
            value,
            old: 0,
            sequence: self.sequence,
            tag: Tag::new(Kind::Access).with_access(access.direction, Some(access.width)),
            state_seen: 0,
            epoch: 0,
        };
        if self.device.apply(&mut record).is_err() {
            return false;
        }
        let seen = access.extend(u64::from(self.device.state().value));
        let read = access.direction == Direction::Read;
        machine.resume(exit.pc + 4, read.then_some((access.register, seen)));
        true
    }
}
