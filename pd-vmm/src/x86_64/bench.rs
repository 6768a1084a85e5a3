//! What `make bench` measures beside the isolated device: other answers to an access.
//!
//! Asked by `main`'s loop before the VMM component, in builds with one of the features below;
//! no other build has this file. Invariant: every exit that is no access to the demo's
//! location is left to the component.

use guest_access::GuestPhysAddr;
use vm_components::{X86Exit, X86ExitReason, X86Machine};

/// Where the benchmark's guest has its device.
const LOCATION: GuestPhysAddr = GuestPhysAddr(0xfa00_0000);

/// Feature `bench-floor`: the trap moves RIP on, past the two bytes of `mov eax, [rdx]`, and that
/// is all. What seL4 and the CPU cost.
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
    pub fn answer(&mut self, exit: X86Exit, machine: &mut impl X86Machine) -> bool {
        let X86ExitReason::Access { address, .. } = exit.reason else {
            return false;
        };
        let ours = address == LOCATION;
        if ours {
            machine.proceed(exit.rip.wrapping_add(2));
        }
        ours
    }
}

/// Feature `bench-in-vmm`: the same device inside the VMM, as monitors without isolation have
/// it. No rings, no log, no ticks; what was decoded is kept, as in the component.
#[cfg(feature = "bench-in-vmm")]
pub struct Answers {
    device: vdevs::trace::TraceDevice,
    sequence: u64,
    cache: x86_guest::AccessCache,
}

#[cfg(feature = "bench-in-vmm")]
impl Answers {
    /// A device whose counter is zero.
    pub fn new() -> Self {
        let emit = vdevs::trace::Emit::default();
        Self {
            device: vdevs::trace::TraceDevice::new(LOCATION, emit),
            sequence: 0,
            cache: x86_guest::AccessCache::default(),
        }
    }

    /// Answers an access; `false` if it is none.
    #[inline(always)]
    pub fn answer(&mut self, exit: X86Exit, machine: &mut impl X86Machine) -> bool {
        use guest_access::Direction;
        use trace_records::{Kind, Record, Tag};

        let X86ExitReason::Access { address, direction } = exit.reason else {
            return false;
        };
        if address != LOCATION {
            return false;
        }
        let (situation, words) = (machine.presumed_situation(), machine.ram_words());
        let recalled = self.cache.recall(&situation, machine, words);
        let instruction = match recalled {
            Some(recalled) if recalled.address == address => *recalled.instruction,
            _ => match self.cache.find(&situation, machine, words) {
                Some(found) if found.address == address => found.instruction,
                _ => return false,
            },
        };
        let value = match direction {
            Direction::Read => 0,
            Direction::Write => match instruction.execute(0, machine).write {
                Some(value) => value as u32,
                None => return false,
            },
        };
        self.sequence += 1;
        let mut record = Record {
            time: machine.now(),
            address,
            pc: exit.rip,
            value,
            old: 0,
            sequence: self.sequence,
            tag: Tag::new(Kind::Access).with_access(direction, Some(instruction.width)),
            state_seen: 0,
            epoch: 0,
        };
        if self.device.apply(&mut record).is_err() {
            return false;
        }
        if direction == Direction::Read {
            let effect = instruction.execute(self.device.state().value.into(), machine);
            if let Some((number, value)) = effect.register {
                machine.set_gpr(number, value);
            }
        }
        machine.proceed(exit.rip.wrapping_add(instruction.len.into()));
        true
    }
}
