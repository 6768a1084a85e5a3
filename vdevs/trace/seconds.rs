//! When the next second is over.
//!
//! Asked by the trace component for each record and at each wake-up. Invariant: the phase is
//! fixed when the system starts; whatever is late or early, the n-th second ends n times
//! the clock's frequency after the start.

/// Counts whole seconds of a free-running counter.
#[derive(Debug, Clone, Copy)]
pub struct Seconds {
    next: u64,
    period: u64,
}

impl Seconds {
    /// Seconds of a counter of `clock_hz` ticks each, the first starting at `start_ticks`.
    /// A frequency of zero counts as one.
    pub const fn new(start_ticks: u64, clock_hz: u64) -> Self {
        let period = if clock_hz == 0 { 1 } else { clock_hz };
        Self {
            next: start_ticks.saturating_add(period),
            period,
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
        let seconds = late / self.period + 1;
        self.next = self
            .next
            .saturating_add(seconds.saturating_mul(self.period));
        seconds
    }

    /// When the second that ended last did so, in ticks.
    #[inline]
    pub const fn last_end(&self) -> u64 {
        self.next.saturating_sub(self.period)
    }
}
