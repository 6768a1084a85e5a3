//! How much of this protection domain's time is the VMM's own, and how much its guest's: VT-x runs
//! the guest on the VMM's scheduling context, so the kernel's account is of both.
//!
//! Used by `vcpu` around everything in which not this code runs. Two instructions at each entry and
//! two at each exit: the counter's value is added when own time ends and subtracted when it begins,
//! so that the sum is what lies between. 32 bits of it are enough between two wake-ups of the
//! clock. Invariant: `begins` and `ends` alternate.
//!
//! Both times are by the wall, which passes for other VMs too: `pd-monitor` takes their ratio.

use pd_runtime::{Counter, life};

/// See the file's header.
pub struct OwnTime {
    /// Modulo 2^32.
    sum: u32,
    /// What it was when it was published last.
    published: u32,
    own_ticks: u64,
    waited_ticks: u64,
    began: u64,
}

impl OwnTime {
    /// Own time begins now.
    pub fn new() -> Self {
        let now = Counter::now();
        Self {
            sum: 0_u32.wrapping_sub(now as u32),
            published: 0,
            own_ticks: 0,
            waited_ticks: 0,
            began: now,
        }
    }

    /// The guest runs, or another protection domain that was notified.
    #[inline(always)]
    pub fn ends(&mut self) {
        self.sum = self.sum.wrapping_add(Counter::now() as u32);
    }

    /// This protection domain runs.
    #[inline(always)]
    pub fn begins(&mut self) {
        self.sum = self.sum.wrapping_sub(Counter::now() as u32);
    }

    /// Waits by `wait`: neither own time nor the guest's.
    pub fn pause<T>(&mut self, wait: impl FnOnce() -> T) -> T {
        let before = Counter::now();
        self.ends();
        let result = wait();
        self.begins();
        self.waited_ticks += Counter::now() - before;
        result
    }

    /// Publishes both times. Called at each notification, in own time.
    pub fn publish(&mut self) {
        let now = Counter::now();
        let sum = self.sum.wrapping_add(now as u32);
        let passed = sum.wrapping_sub(core::mem::replace(&mut self.published, sum));
        self.own_ticks += u64::from(passed);
        let not_the_guests = self.own_ticks + self.waited_ticks;
        life().set_spent_ticks(0, self.own_ticks);
        life().set_spent_ticks(1, (now - self.began).saturating_sub(not_the_guests));
    }
}
