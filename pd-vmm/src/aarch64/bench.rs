//! What `make bench` measures beside the isolated device: other answers to an access.
//!
//! Asked by `main`'s loop before the VMM component, in builds with one of the features below;
//! no other build has this file. Invariant: every exit that is no access to the demo's
//! location is left to the component.

use guest_access::GuestPhysAddr;
#[cfg(feature = "bench-in-vmm")]
use vdev_model::{Lane, Register};
use vm_components::{A64Machine, Exit};
use vm_config::VmConfig;
#[cfg(feature = "bench-in-vmm")]
use vm_config::{AnyVdev, Vdev};

/// Where the benchmark's guest has its device.
const LOCATION: GuestPhysAddr = GuestPhysAddr(0xfa00_0000);

/// Feature `bench-floor`: the trap moves the PC on, and that is all. What seL4 and the CPU cost.
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
    vdev: Vdev,
    register: &'static Register,
    word: [u32; 1],
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
        }
    }

    /// Answers an access; `false` if it is none.
    #[inline(always)]
    pub fn answer(&mut self, exit: Exit, machine: &mut impl A64Machine) -> bool {
        use a64_guest::syndrome::{Trap, decode};
        use guest_access::{AccessWidth, Direction};
        let Trap::Access(access) = decode(exit.syndrome, exit.address, exit.pc) else {
            return false;
        };
        if access.address != LOCATION || access.width != AccessWidth::Word {
            return false;
        }
        let read = match access.direction {
            Direction::Read => {
                let told = self.vdev.told(&self.word, self.register.offset);
                Some((access.register, access.extend(told.into())))
            }
            Direction::Write => {
                let value = machine.gpr(access.register) as u32;
                let word = &mut self.word;
                self.vdev.write(word, self.register, Lane::WORD, value);
                None
            }
        };
        machine.resume(exit.pc + 4, read);
        true
    }
}
