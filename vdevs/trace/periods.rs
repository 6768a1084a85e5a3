//! When the counter's next period is over.
//!
//! Asked by the trace component for each record and at each wake-up. Invariant: the phase is
//! fixed when the system starts; whatever is late or early, the n-th period ends n times its
//! length after the start.

use super::COUNTER_PERIOD_MS;

/// Counts the counter's whole periods by a free-running clock.
#[derive(Debug, Clone, Copy)]
pub struct Periods {
    next: u64,
    len_ticks: u64,
}

impl Periods {
    /// Periods by a clock of `clock_hz` ticks a second, the first starting at `start_ticks`. One
    /// that would be shorter than a tick is a tick long.
    pub const fn new(start_ticks: u64, clock_hz: u64) -> Self {
        let len_ticks = match clock_hz.saturating_mul(COUNTER_PERIOD_MS) / 1000 {
            0 => 1,
            len_ticks => len_ticks,
        };
        Self {
            next: start_ticks.saturating_add(len_ticks),
            len_ticks,
        }
    }

    /// Whether a period has ended by `now`.
    #[inline(always)]
    pub const fn is_over(&self, now: u64) -> bool {
        now >= self.next
    }

    /// How many periods have ended by `now` since this was last asked.
    #[inline]
    pub fn take(&mut self, now: u64) -> u64 {
        let Some(late) = now.checked_sub(self.next) else {
            return 0;
        };
        let periods = late / self.len_ticks + 1;
        self.next = self
            .next
            .saturating_add(periods.saturating_mul(self.len_ticks));
        periods
    }

    /// When the period that ended last did so, in ticks.
    #[inline]
    pub const fn last_end(&self) -> u64 {
        self.next.saturating_sub(self.len_ticks)
    }
}
