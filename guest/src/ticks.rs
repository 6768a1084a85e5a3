//! Watching a location for its ticks, and judging when they came.
//!
//! A tick belongs on a whole second after any other tick of the same device. What a guest
//! sees is late by up to one wake-up of the trace component, so every judgement allows
//! [`TOLERANCE`]. Used by all programs that hold the device against the clock.

use core::time::Duration;

use crate::{
    check,
    clock::{Clock, Instant, Wait},
    driver::TraceLocation,
};

/// How far off a whole second a tick may be seen.
pub const TOLERANCE: Duration = Duration::from_millis(50);

/// A counter that stands still for longer than this does not count seconds.
const PATIENCE: Duration = Duration::from_secs(3);

/// Time between two readings for a program that wants to see a tick soon, and to leave the
/// log readable.
pub const CLOSELY: Duration = Duration::from_millis(5);

/// A change of the counter that the guest saw. It happened after `unseen` and before `seen`.
#[derive(Debug, Clone, Copy)]
pub struct Tick {
    /// The counter's new value.
    pub value: u32,
    /// By how much it grew since it was last looked at.
    pub advance: u32,
    /// Before the last reading that did not show the change.
    pub unseen: Instant,
    /// After the reading that did.
    pub seen: Instant,
}

/// The value last seen at a location, and when.
#[derive(Debug)]
pub struct TickWatch {
    value: u32,
    looked: Instant,
    changed: Instant,
}

impl TickWatch {
    /// Begins with the value that the location has now.
    pub fn start(location: &mut TraceLocation, clock: &Clock) -> Self {
        let looked = clock.now();
        Self {
            value: location.read(),
            looked,
            changed: looked,
        }
    }

    /// Begins with a value that the caller read or wrote just now.
    pub fn from_value(value: u32, clock: &Clock) -> Self {
        let looked = clock.now();
        Self {
            value,
            looked,
            changed: looked,
        }
    }

    /// The value last seen.
    pub fn value(&self) -> u32 {
        self.value
    }

    /// Reads once. The guest fails if the last change is too long ago for a counter of seconds.
    pub fn poll(&mut self, location: &mut TraceLocation, clock: &Clock) -> Option<Tick> {
        let unseen = self.looked;
        self.looked = clock.now();
        let value = location.read();
        let seen = clock.now();
        let advance = value.wrapping_sub(self.value);
        if advance == 0 {
            check!(
                clock.between(self.changed, seen) < PATIENCE,
                "counter still {value} after {} s",
                PATIENCE.as_secs()
            );
            return None;
        }
        self.value = value;
        self.changed = seen;
        Some(Tick {
            value,
            advance,
            unseen,
            seen,
        })
    }

    /// Reads every `step` (back to back if that is zero) until the value changes.
    pub fn wait(
        &mut self,
        location: &mut TraceLocation,
        clock: &Clock,
        step: Duration,
        wait: Wait,
    ) -> Tick {
        let mut next = clock.now();
        loop {
            if !step.is_zero() {
                next = clock.after(next, step);
                clock.wait_until(next, wait);
            }
            if let Some(tick) = self.poll(location, clock) {
                return tick;
            }
        }
    }

    /// Waits for a tick and sees it soon.
    pub fn wait_closely(&mut self, location: &mut TraceLocation, clock: &Clock) -> Tick {
        self.wait(location, clock, CLOSELY, Wait::Busy)
    }
}

/// The guest fails unless `tick` came a whole number of seconds after `first`, and as many as
/// the counter advanced in between. Returns how many microseconds off (negative: early).
pub fn check_on_second(clock: &Clock, first: Tick, tick: Tick) -> i64 {
    let time = clock.between(first.seen, tick.seen);
    let advance = tick.value.wrapping_sub(first.value);
    let off_us = off_us(time, advance);
    check!(
        off_us.unsigned_abs() <= TOLERANCE.as_micros() as u64,
        "counter advanced by {advance} in {} us, {off_us} us off",
        time.as_micros()
    );
    off_us
}

/// Microseconds from the moment `advance` seconds after the beginning of `time` to its end.
fn off_us(time: Duration, advance: u32) -> i64 {
    time.as_micros() as i64 - i64::from(advance) * 1_000_000
}

/// Whether a counter can advance by `advance` in `time` when the phase of its ticks is unknown.
pub fn is_possible_advance(advance: u32, time: Duration) -> bool {
    let ticks = Duration::from_secs(advance.into());
    let second = Duration::from_secs(1);
    time + TOLERANCE + second > ticks && time < ticks + second + TOLERANCE
}

/// Whether a counter can advance by `advance` in the `time` after one of its ticks.
pub fn is_advance_since_tick(advance: u32, time: Duration) -> bool {
    let fewest = time.saturating_sub(TOLERANCE).as_secs();
    let most = (time + TOLERANCE).as_secs();
    (fewest..=most).contains(&advance.into())
}

/// How far `time` is from a whole number of seconds.
pub fn off_nearest_second(time: Duration) -> Duration {
    let second = Duration::from_secs(1);
    let beyond = Duration::from_nanos(time.subsec_nanos().into());
    beyond.min(second - beyond)
}

/// Whether `value` is what was written as `written`, at most one tick later.
pub fn is_written_or_next(value: u32, written: u32) -> bool {
    value.wrapping_sub(written) <= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_off_by_its_distance_from_its_second() {
        assert_eq!(off_us(Duration::from_micros(3_000_000), 3), 0);
        assert_eq!(off_us(Duration::from_micros(2_999_000), 3), -1000);
        assert_eq!(off_us(Duration::from_micros(3_050_001), 3), 50_001);
    }

    #[test]
    fn two_and_a_half_seconds_hold_two_or_three_ticks() {
        let time = Duration::from_millis(2500);
        let possible = [1, 2, 3, 4].map(|advance| is_possible_advance(advance, time));
        assert_eq!(possible, [false, true, true, false]);
    }

    #[test]
    fn no_time_holds_at_most_one_tick() {
        let possible = [0, 1, 2].map(|advance| is_possible_advance(advance, Duration::ZERO));
        assert_eq!(possible, [true, true, false]);
    }

    #[test]
    fn two_and_a_half_seconds_after_a_tick_there_were_two() {
        let at = |ms| [1, 2, 3].map(|n| is_advance_since_tick(n, Duration::from_millis(ms)));
        assert_eq!(at(2500), [false, true, false]);
        assert_eq!(at(1990), [true, true, false]);
        assert_eq!(at(2010), [true, true, false]);
    }

    #[test]
    fn the_nearest_second_may_be_on_either_side() {
        let off = |ms| off_nearest_second(Duration::from_millis(ms)).as_millis();
        assert_eq!(
            [off(2000), off(2030), off(1970), off(2500)],
            [0, 30, 30, 500]
        );
    }

    #[test]
    fn a_written_value_may_have_ticked_once_even_across_the_wrap() {
        assert!(is_written_or_next(1000, 1000));
        assert!(is_written_or_next(1001, 1000));
        assert!(!is_written_or_next(1002, 1000));
        assert!(!is_written_or_next(999, 1000));
        assert!(is_written_or_next(0, u32::MAX));
    }
}
