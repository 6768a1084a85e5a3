//! The guest's clock: the CPU's counter, at the frequency that the VMM names (`hz=`).

use core::time::Duration;

use crate::cpu;

/// A moment: a value of the counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant {
    ticks: u64,
}

impl Instant {
    /// The counter's value.
    pub fn ticks(self) -> u64 {
        self.ticks
    }

    /// Counter ticks since `earlier`.
    pub fn ticks_since(self, earlier: Self) -> u64 {
        self.ticks.wrapping_sub(earlier.ticks)
    }
}

/// How to spend the time until a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Never leave the vCPU; on time to within a few microseconds.
    Busy,
    /// WFI or HLT; as late as the VM lets it complete.
    ForInterrupt,
}

/// The counter and its frequency.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    hz: u64,
    zero: Instant,
}

impl Clock {
    /// A clock whose zero is now, if a counter can have that frequency.
    pub fn start(hz: u64) -> Option<Self> {
        let zero = Instant { ticks: 0 };
        let clock = Self::with_zero(hz, zero)?;
        Some(Self {
            zero: clock.now(),
            ..clock
        })
    }

    fn with_zero(hz: u64, zero: Instant) -> Option<Self> {
        const HIGHEST_HZ: u64 = 10_000_000_000;
        (1..=HIGHEST_HZ).contains(&hz).then_some(Self { hz, zero })
    }

    /// The counter's frequency.
    pub fn hz(&self) -> u64 {
        self.hz
    }

    /// The moment at which everything before this call is done.
    pub fn now(&self) -> Instant {
        Instant {
            ticks: cpu::counter(),
        }
    }

    /// The time from `earlier` to `later`; zero if they are the other way round.
    pub fn between(&self, earlier: Instant, later: Instant) -> Duration {
        let ticks = later.ticks.saturating_sub(earlier.ticks);
        let subsec_ns = ticks % self.hz * 1_000_000_000 / self.hz;
        Duration::new(ticks / self.hz, subsec_ns as u32)
    }

    /// The moment `time` after `instant`.
    pub fn after(&self, instant: Instant, time: Duration) -> Instant {
        Instant {
            ticks: instant.ticks + self.ticks(time),
        }
    }

    /// The moment `time` before `instant`, or the counter's zero.
    pub fn before(&self, instant: Instant, time: Duration) -> Instant {
        Instant {
            ticks: instant.ticks.saturating_sub(self.ticks(time)),
        }
    }

    fn ticks(&self, time: Duration) -> u64 {
        time.as_secs() * self.hz + u64::from(time.subsec_nanos()) * self.hz / 1_000_000_000
    }

    /// The time since the counter's own zero: on an emulated machine, since it was switched on.
    pub fn uptime(&self) -> Duration {
        self.since(Instant { ticks: 0 })
    }

    /// The time since `earlier`.
    pub fn since(&self, earlier: Instant) -> Duration {
        self.between(earlier, self.now())
    }

    /// Milliseconds from the guest's start to `instant`.
    pub fn ms(&self, instant: Instant) -> u64 {
        whole_ms(self.between(self.zero, instant))
    }

    /// Waits until `instant`, and returns the time at which it saw that it had come.
    pub fn wait_until(&self, instant: Instant, wait: Wait) -> Instant {
        loop {
            let now = self.now();
            if now >= instant {
                return now;
            }
            match wait {
                // Reading the counter over and over would be many times slower in an
                // emulator, where each reading leaves the translated code.
                Wait::Busy => cpu::spin_briefly(),
                Wait::ForInterrupt => cpu::wait_for_interrupt(),
            }
        }
    }
}

/// Milliseconds, rounded down.
pub fn whole_ms(time: Duration) -> u64 {
    time.as_secs() * 1000 + u64::from(time.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(hz: u64) -> Clock {
        Clock::with_zero(hz, Instant { ticks: 0 }).unwrap()
    }

    #[test]
    fn ticks_become_time_without_overflow_and_drift() {
        let clock = clock(62_500_000);
        let late = Instant {
            ticks: 62_500_000 * 86_400 * 365 * 100 + 62_500,
        };
        let time = clock.between(Instant { ticks: 0 }, late);
        assert_eq!(
            time,
            Duration::from_secs(86_400 * 365 * 100) + Duration::from_millis(1)
        );
        assert_eq!(clock.after(Instant { ticks: 0 }, time), late);
    }

    #[test]
    fn a_moment_in_the_future_is_no_time_ago() {
        let clock = clock(1000);
        let (early, late) = (Instant { ticks: 5 }, Instant { ticks: 9 });
        assert_eq!(clock.between(late, early), Duration::ZERO);
        assert_eq!(
            clock.before(early, Duration::from_secs(1)),
            Instant { ticks: 0 }
        );
    }

    #[test]
    fn a_clock_that_stands_still_is_refused() {
        assert!(Clock::with_zero(0, Instant { ticks: 0 }).is_none());
        assert!(Clock::with_zero(u64::MAX, Instant { ticks: 0 }).is_none());
    }
}
