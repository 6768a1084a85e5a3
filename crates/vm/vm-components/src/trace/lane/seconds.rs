//! When a VM's next second is over: the time of its devices.
//!
//! Asked by the lane for each record and at each wake-up. Invariant: the phase is fixed when the
//! system starts; whatever is late or early, the n-th second ends n seconds after the start.

/// Counts whole seconds by a free-running clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seconds {
    next: u64,
    len_ticks: u64,
}

impl Seconds {
    /// Seconds by a clock of `clock_hz` ticks a second, the first starting at `start_ticks`. One
    /// that would be shorter than a tick is a tick long.
    pub const fn new(start_ticks: u64, clock_hz: u64) -> Self {
        let len_ticks = match clock_hz {
            0 => 1,
            len_ticks => len_ticks,
        };
        Self {
            next: start_ticks.saturating_add(len_ticks),
            len_ticks,
        }
    }

    /// Whether a second has ended by `now`.
    #[inline(always)]
    pub const fn is_over(&self, now: u64) -> bool {
        now >= self.next
    }

    /// How many seconds have ended by `now` since this was last asked.
    #[inline]
    pub fn take(&mut self, now: u64) -> u64 {
        let Some(late) = now.checked_sub(self.next) else {
            return 0;
        };
        let seconds = late / self.len_ticks + 1;
        self.next = self
            .next
            .saturating_add(seconds.saturating_mul(self.len_ticks));
        seconds
    }

    /// When the second that ended last did so, in ticks.
    #[inline]
    pub const fn last_end(&self) -> u64 {
        self.next.saturating_sub(self.len_ticks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    extern crate std;

    #[test]
    fn seconds_do_not_drift_however_late_they_are_asked() {
        let mut seconds = Seconds::new(500, 1000);
        assert_eq!(seconds.take(1499), 0);
        assert!(!seconds.is_over(1499) && seconds.is_over(1500));
        assert_eq!(seconds.take(1510), 1);
        assert_eq!(seconds.last_end(), 1500);
        assert_eq!(seconds.take(4999), 3);
        assert_eq!(seconds.take(5499), 0);
        assert_eq!(seconds.take(5500), 1);
    }

    #[test]
    fn a_clock_of_no_frequency_counts_as_one_of_a_hertz() {
        let mut seconds = Seconds::new(10, 0);
        assert_eq!(seconds.take(10), 0);
        assert_eq!(seconds.take(13), 3);
        assert_eq!(seconds.last_end(), 13);
    }

    proptest! {
        #[test]
        fn seconds_add_up(
            start in 0u64..1 << 50, hz in 1u64..1 << 32,
            steps in prop::collection::vec(0u64..1 << 34, 1..50),
        ) {
            let mut seconds = Seconds::new(start, hz);
            let (mut now, mut total) = (start, 0);
            for step in steps {
                now += step;
                total += seconds.take(now);
            }
            prop_assert_eq!(total, (now - start) / hz);
        }
    }
}
