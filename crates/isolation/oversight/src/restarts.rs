//! How often who dies is started again, and on whose account a death is.
//!
//! Who serves several VMs and dies at the work for one of them would die for the others at its next
//! start again, and for ever. So each death is charged to the VM whose work was under way, and only
//! those that nobody is charged with count against the part itself:
//!
//! ```text
//!   a death ─┬─ work of a VM under way ──► charged to that VM; its third within ten seconds:
//!            │                             the part closes that VM's rings and goes on
//!            └─ none, or that of a VM ───► charged to the part; its third within ten seconds:
//!               whose rings are closed     it stays dead
//! ```
//!
//! [`Restarts`] is `pd-monitor`'s, one for each part. [`Deaths`], the count for one account, is kept by the
//! components as well, of which each closes a VM's rings by itself.
//!
//! Invariant: whose work was under way is the dead one's claim. Whatever it claims, it is started
//! at most [`MOST_DEATHS`] times in [`WITHIN_SECONDS`] for each VM and once more for itself.

use trace_records::MAX_VMS;

/// The death, counted within [`WITHIN_SECONDS`], that is one too many. Two may be one accident: what
/// came of the first.
pub const MOST_DEATHS: usize = 3;
/// In how many seconds. Whoever dies less often costs the others next to nothing: a restart takes
/// a fraction of a millisecond.
pub const WITHIN_SECONDS: u64 = match cfg!(feature = "unlimited-restarts") {
    true => 0,
    false => 10,
};

/// The deaths on one account. Plain data; all zero, or [`Deaths::NONE`]: none yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deaths {
    count: u64,
    /// When the last ones were, the latest first: as many as `count` says.
    times: [u64; MOST_DEATHS - 1],
}

impl Deaths {
    /// None yet.
    pub const NONE: Self = Self {
        count: 0,
        times: [0; MOST_DEATHS - 1],
    };

    /// Counts a death at `now`, in ticks of a counter that never goes back. Whether that is one too
    /// many.
    #[must_use]
    pub fn add(&mut self, now: u64, hz: u64) -> bool {
        let before = self.times.len();
        let first = self.times[before - 1];
        let within = now.saturating_sub(first) < hz.saturating_mul(WITHIN_SECONDS);
        let is_one_too_many = self.count >= before as u64 && within;
        self.times.copy_within(..before - 1, 1);
        self.times[0] = now;
        self.count += 1;
        is_one_too_many
    }

    /// How many there were in all.
    pub const fn count(&self) -> u64 {
        self.count
    }
}

/// What becomes of a part that has died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is started again, for so many times now.
    Restart(u64),
    /// It has died too often.
    StaysDead,
}

/// The deaths of one part. See the file's header.
#[derive(Debug, Clone, Copy, Default)]
pub struct Restarts {
    count: u64,
    own: Deaths,
    of_vms: [OfVm; MAX_VMS],
}

#[derive(Debug, Clone, Copy, Default)]
struct OfVm {
    deaths: Deaths,
    /// The part has closed its rings.
    is_closed: bool,
}

impl Restarts {
    /// A part that has not died yet.
    pub const fn new() -> Self {
        const NONE: OfVm = OfVm {
            deaths: Deaths::NONE,
            is_closed: false,
        };
        Self {
            count: 0,
            own: Deaths::NONE,
            of_vms: [NONE; MAX_VMS],
        }
    }

    /// The part has died `now`, in ticks, while the work of `under_way` was, as it claims.
    pub fn died(&mut self, under_way: Option<usize>, now: u64, hz: u64) -> Fate {
        let of_vm = under_way.and_then(|vm| self.of_vms.get_mut(vm));
        match of_vm.filter(|of_vm| !of_vm.is_closed) {
            Some(of_vm) => of_vm.is_closed = of_vm.deaths.add(now, hz),
            None if self.own.add(now, hz) => return Fate::StaysDead,
            None => {}
        }
        self.count += 1;
        Fate::Restart(self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HZ: u64 = 62_500_000;

    /// What becomes of a part that dies at these seconds, each time at the work of this VM.
    fn fates<const N: usize>(deaths: [(u64, Option<usize>); N]) -> [Fate; N] {
        let mut restarts = Restarts::new();
        deaths.map(|(second, under_way)| restarts.died(under_way, second * HZ, HZ))
    }

    #[test]
    fn the_third_death_within_ten_seconds_is_one_too_many() {
        for (third, wanted) in [(9, true), (10, false), (11, false)] {
            let mut deaths = Deaths::NONE;
            // Also in a machine's first moment, in which a time is what memory is at first: zero.
            assert!(!deaths.add(0, HZ));
            assert!(!deaths.add(2 * HZ, HZ));
            assert_eq!(deaths.add(third * HZ, HZ), wanted, "{third}");
            assert_eq!(deaths.count(), 3);
        }
    }

    #[test]
    fn deaths_that_are_far_apart_are_never_too_many() {
        let mut deaths = Deaths::default();
        for death in 0..1000 {
            assert!(!deaths.add(death * 5 * HZ, HZ), "{death}");
        }
        assert!(deaths.add(4996 * HZ, HZ));
    }

    #[test]
    fn a_counter_of_any_frequency_and_value_counts() {
        let mut deaths = Deaths::NONE;
        for now in [u64::MAX, 0, u64::MAX] {
            let _ = deaths.add(now, u64::MAX);
        }
        assert!(deaths.add(0, u64::MAX));
        assert!(!deaths.add(u64::MAX, 0));
    }

    #[test]
    fn a_part_that_dies_by_itself_is_started_twice() {
        let wanted = [Fate::Restart(1), Fate::Restart(2), Fate::StaysDead];
        assert_eq!(fates([(1, None), (2, None), (3, None)]), wanted);
    }

    #[test]
    fn a_part_that_dies_now_and_then_is_started_each_time() {
        let wanted = [1, 2, 3, 4].map(Fate::Restart);
        assert_eq!(fates([1, 2, 12, 22].map(|second| (second, None))), wanted);
    }

    #[test]
    fn who_dies_by_a_vms_fault_lives_on_and_then_dies_by_its_own() {
        let wanted = [
            Fate::Restart(1),
            Fate::Restart(2),
            // It closes that VM's rings.
            Fate::Restart(3),
            // So these are no longer that VM's fault, however long after.
            Fate::Restart(4),
            Fate::Restart(5),
            Fate::StaysDead,
        ];
        let of_one = [1, 2, 3, 60, 61, 62].map(|second| (second, Some(7)));
        assert_eq!(fates(of_one), wanted);
    }

    #[test]
    fn what_is_charged_to_one_is_charged_to_nobody_else() {
        // Two of each within ten seconds.
        let deaths = [Some(0), None, Some(1), Some(1), None, Some(0)].map(|whose| (1, whose));
        assert_eq!(fates(deaths), [1, 2, 3, 4, 5, 6].map(Fate::Restart));
    }

    #[test]
    fn a_vm_that_there_cannot_be_takes_no_blame() {
        let deaths = [MAX_VMS, usize::MAX, MAX_VMS].map(|vm| (1, Some(vm)));
        assert_eq!(fates(deaths)[2], Fate::StaysDead);
    }
}
