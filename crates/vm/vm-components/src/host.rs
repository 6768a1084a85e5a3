//! What the components may ask of the platform that hosts them.
//!
//! Implemented once per platform; a test implements it with plain variables. Invariant:
//! nothing here blocks, and nothing calls back into the component that called.

use crate::Channel;
use guest_access::GuestPhysAddr;
use shared_ring::{Identity, RingKind};

/// The counter that all components of a machine read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Its frequency in hertz.
    pub hz: u64,
    /// Its value when the system started.
    pub start_ticks: u64,
}

impl Clock {
    /// What the header of a ring of `kind` says, if this clock stamps the records in it.
    pub const fn identity(self, kind: RingKind, vm: u8) -> Identity {
        Identity {
            kind,
            vm,
            clock_hz: self.hz,
            start_ticks: self.start_ticks,
        }
    }
}

/// The platform, as every component sees it.
pub trait Host {
    /// The machine's counter, in ticks; it never goes back.
    fn now(&mut self) -> u64;

    /// Signals the component at the other end of `channel`. It runs later, or at once if it
    /// has a higher priority and the platform can preempt.
    fn notify(&mut self, channel: Channel);

    /// The work of the VM with this number begins, or is over. Whoever watches over the component
    /// charges its death to that VM meanwhile.
    fn under_way(&mut self, _vm: Option<u8>) {}
}

/// What an event is to change, by the number that says whether it has: a word, of which its VMM alone
/// knows the meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Intent(pub u64);

/// Whether a vCPU runs between two events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VcpuIs {
    /// It does.
    Running,
    /// It waits until it is told to run on, to take an exception, or to start.
    Held,
}

/// What becomes of what a dead VMM has done to its vCPU since the guest was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It takes effect, unless it has already.
    Stands,
    /// Nothing of it takes effect: the guest does again what it was left for.
    Undone,
}

/// The virtual machine of one VMM, as far as its architecture does not matter.
///
/// What a VMM does to the vCPU by this and what extends it takes effect at once and as a whole, when the
/// VMM has returned to the platform; until then the vCPU does not run, and its registers read as they
/// will be.
pub trait Machine: Host {
    /// Keeps what the VMM is about to do, with what it is about to prepare, for whoever comes after it. A
    /// platform on which no VMM comes back has nothing to do.
    #[inline(always)]
    fn intend(&mut self, _intent: Intent) {}

    /// What [`Self::intend`] kept last.
    fn intent(&self) -> Intent {
        Intent::default()
    }

    /// Called once, before anything else, by a VMM that was started in the place of a dead one: what
    /// becomes of what that one has done, and whether the vCPU is to run. What leaves it held takes effect
    /// before this returns. A platform on which no VMM comes back has nothing to do.
    fn recover(&mut self, _outcome: Outcome, _vcpu: VcpuIs) {}

    /// Lets the vCPU run on at `pc`.
    fn proceed(&mut self, pc: u64);

    /// Keeps the vCPU from running until it is told to run on, to take an exception, or to
    /// start.
    fn hold(&mut self);

    /// The vCPU, which is held, is to run again at this time at the latest, in ticks of [`Host::now`]: the
    /// VMM is then notified by channel [`TIMER`](crate::channel::vmm::TIMER). Each call replaces the one
    /// before, and none is left once the vCPU runs. Where guests have no timer that interrupts them, it is never
    /// asked for.
    fn wake_at(&mut self, _deadline: Option<u64>) {}

    /// Copies from the guest's RAM. Returns whether all of it is RAM; if not, `bytes` stays as
    /// it is.
    fn read_ram(&mut self, address: GuestPhysAddr, bytes: &mut [u8]) -> bool;

    /// Copies `bytes` to the guest's RAM. Returns whether all of it is RAM; if not, nothing
    /// is copied.
    fn write_ram(&mut self, address: GuestPhysAddr, bytes: &[u8]) -> bool;

    /// Fills the guest's RAM with zeroes.
    fn clear_ram(&mut self);
}
