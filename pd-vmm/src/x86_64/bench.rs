//! What `make bench` measures beside the isolated device: other answers to an access.
//!
//! Asked by `main`'s loop before the VMM component, in builds with one of the features below;
//! no other build has this file. Invariant: every exit that is no access to the demo's
//! location is left to the component.

use guest_access::GuestPhysAddr;
#[cfg(feature = "bench-in-vmm")]
use vdev_model::{Lane, Register};
use vm_components::{X86Exit, X86ExitReason, X86Machine};
use vm_config::VmConfig;
#[cfg(feature = "bench-in-vmm")]
use vm_config::{AnyVdev, Vdev};

/// Where the benchmark's guest has its device.
const LOCATION: GuestPhysAddr = GuestPhysAddr(0xfa00_0000);

/// Feature `bench-floor`: the trap moves RIP on, past the two bytes of `mov eax, [rdx]`, and that
/// is all. What seL4 and the CPU cost.
#[cfg(feature = "bench-floor")]
pub struct Answers;

#[cfg(feature = "bench-floor")]
impl Answers {
    /// Ready for the first access.
    pub fn new(_: &VmConfig<'_>) -> Self {
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
    vdev: Vdev,
    register: &'static Register,
    word: [u32; 1],
    cache: x86_guest::AccessCache,
}

#[cfg(feature = "bench-in-vmm")]
impl Answers {
    /// The first device of the VM's configuration, as it begins, if it is one word.
    pub fn new(config: &VmConfig<'_>) -> Self {
        let device = config.devices().next().expect("a device to measure");
        let mut word = [0];
        device.vdev.begin(&mut word, &device.options);
        Self {
            vdev: device.vdev,
            register: device.vdev.word().expect("a device of one word"),
            word,
            cache: x86_guest::AccessCache::default(),
        }
    }

    /// Answers an access; `false` if it is none.
    #[inline(always)]
    pub fn answer(&mut self, exit: X86Exit, machine: &mut impl X86Machine) -> bool {
        use guest_access::{AccessWidth, Direction};
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
        if instruction.width != AccessWidth::Word {
            return false;
        }
        match direction {
            Direction::Read => {
                let told = self.vdev.told(&self.word, self.register.offset);
                let effect = instruction.execute(told.into(), machine);
                if let Some((number, value)) = effect.register {
                    machine.set_gpr(number, value);
                }
            }
            Direction::Write => {
                let Some(value) = instruction.execute(0, machine).write else {
                    return false;
                };
                let word = &mut self.word;
                self.vdev
                    .write(word, self.register, Lane::WORD, value as u32);
            }
        }
        machine.proceed(exit.rip.wrapping_add(instruction.len.into()));
        true
    }
}
