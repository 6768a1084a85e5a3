//! On whose account a death of this component is: that of the VM whose work was under way.
//!
//! For a component that serves several VMs. It says in memory that outlives it what it is about to do
//! ([`UnderWay`]); whoever is started in its place finds that there and charges the VM
//! ([`Account`]), in whose state the charge is kept.
//!
//! ```text
//!   the same record was under way ──── twice ────────────────────────► it is skipped, and told
//!   work of the VM was under way  ──── the third within ten seconds ─► its ring is closed
//! ```
//!
//! Invariant: a death is charged once at most. Whoever dies between finding a charge and keeping it
//! charges nobody with it, since a record is lost by a charge too many.

use core::sync::atomic::{Ordering, compiler_fence};
use oversight::Deaths;
use shared_ring::Cell;

/// So many deaths over a record are no accident. It does not get another try.
const MOST_OVER_A_RECORD: u32 = 2;

/// What the component is about to do, as one word: 0, or 1 + the VM's number in the highest byte, and
/// below it 0, or 1 + the place of one of its records.
#[repr(transparent)]
pub(crate) struct UnderWay(Cell);

/// The place of the VM's number in that word.
const VM: u32 = 56;

/// The word that says that work of this VM is under way, but no record of it. The word of a record is
/// this, and 1, and its place.
pub(crate) const fn work_of(vm: u8) -> u64 {
    (1 + vm as u64) << VM
}

impl UnderWay {
    /// Nothing is.
    pub const fn new() -> Self {
        Self(Cell::new(0))
    }

    /// Says what is under way from here on: [`work_of`] a VM, one of its records, or 0. What stands
    /// before this is done by then, and what stands after it is not begun.
    #[inline(always)]
    pub fn set(&self, word: u64) {
        compiler_fence(Ordering::SeqCst);
        self.0.store(word, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
    }

    /// What was under way when the one before died: the VM, and the place of its record if it was one.
    /// It no longer is.
    pub fn take(&self) -> Option<(u8, Option<u64>)> {
        let word = self.0.load(Ordering::Relaxed);
        self.set(0);
        let vm = (word >> VM).checked_sub(1)?;
        let record = (word & (work_of(0) - 1)).checked_sub(1);
        Some((u8::try_from(vm).ok()?, record))
    }
}

/// What a VM is charged with. Plain data, to be kept.
#[derive(Clone, Copy, Default)]
pub(crate) struct Account {
    deaths: Deaths,
    /// The place of the record that was under way at the last death over one, and at how many in a
    /// row.
    suspect: u64,
    over_it: u32,
}

impl Account {
    /// Charges a death at `now`, over this record if it was one. Whether the VM's ring is to be closed.
    #[must_use]
    pub fn charge(&mut self, record: Option<u64>, now: u64, hz: u64) -> bool {
        if let Some(place) = record {
            if self.suspect != place {
                self.over_it = 0;
            }
            self.suspect = place;
            self.over_it = self.over_it.saturating_add(1);
        }
        self.deaths.add(now, hz)
    }

    /// The place of a record that is to be skipped: whoever touches it dies.
    pub fn deadly(&self) -> Option<u64> {
        (self.over_it >= MOST_OVER_A_RECORD).then_some(self.suspect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_under_way_is_found_once() {
        let under_way = UnderWay::new();
        assert_eq!(under_way.take(), None);
        for vm in [0, 7, 254] {
            for (word, record) in [(0, None), (1, Some(0)), (1 << 55, Some((1 << 55) - 1))] {
                under_way.set(work_of(vm) + word);
                assert_eq!(under_way.take(), Some((vm, record)));
                assert_eq!(under_way.take(), None);
            }
        }
    }

    #[test]
    fn a_record_that_has_killed_twice_is_deadly_and_one_that_did_once_is_not() {
        let mut account = Account::default();
        for (second, record, deadly) in [
            (10, Some(5), None),
            (20, Some(0), None),
            (30, Some(5), None),
            // A death over none says nothing about it.
            (40, None, None),
            (50, Some(5), Some(5)),
            (60, None, Some(5)),
            (70, Some(6), None),
        ] {
            assert!(!account.charge(record, second, 1));
            assert_eq!(account.deadly(), deadly, "at {second} s");
        }
    }

    #[test]
    fn the_third_death_within_ten_seconds_is_one_too_many_whatever_it_was_over() {
        let mut account = Account::default();
        assert!(!account.charge(Some(1), 0, 1));
        assert!(!account.charge(None, 5, 1));
        assert!(account.charge(Some(2), 9, 1));
    }
}
