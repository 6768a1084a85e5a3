//! The counter's seconds, and how soon what happens is told, whatever the guest does with its time.

use crate::everywhere::{assert_that_the_guest_is_content, everywhere, everywhere_until};
use crate::outcome::Logged;
use trace_records::Record;

/// Any number of ticks takes as many seconds, ± 50 ms, as far as these reads tell: each was
/// at most one second after the tick that it saw, and none before it.
pub(crate) fn assert_that_ticks_are_seconds<'a>(reads: impl Iterator<Item = &'a Logged> + Clone) {
    let since_first_tick = |read: &Logged| read.seconds - read.value as f64;
    let earliest = reads.clone().map(since_first_tick).reduce(f64::min);
    let latest = reads.map(|read| since_first_tick(read) - 1.0);
    let (earliest, latest) = (earliest.unwrap(), latest.reduce(f64::max).unwrap());
    assert!(
        latest - earliest <= 0.05,
        "the first tick was before {earliest} s and after {latest} s"
    );
}

#[test]
fn five_ticks_take_five_seconds_by_the_machines_clock() {
    everywhere("ticks", |outcome| {
        outcome.assert_guest_is_done();
        assert_that_ticks_are_seconds(outcome.logged().iter());
        let ring = outcome.trace_ring();
        let seconds = |record: &Record| record.time as f64 / ring.clock.hz as f64;
        let traced = outcome.traced();
        let ticks: Vec<f64> = traced
            .windows(2)
            .filter(|pair| pair[0].value != pair[1].value)
            .map(|pair| seconds(&pair[1]))
            .collect();
        assert!(ticks.len() >= 6, "{ticks:?}");
        for (number, tick) in ticks.iter().enumerate() {
            let late = tick - ticks[0] - number as f64;
            assert!(late.abs() <= 0.05, "tick {number} is {late} s late");
        }
    });
}

#[test]
fn an_access_is_in_the_log_within_20_ms_of_a_guest_that_never_idles() {
    everywhere("log-latency", |outcome| {
        outcome.assert_guest_is_done();
        // The guest's line about an access stands behind the access.
        let (mut logged, mut told) = (0, 0);
        for line in outcome.lines() {
            logged += usize::from(line.contains("trace0 cpu0 R4 "));
            if line.contains("was made 20 ms ago") {
                told += 1;
                assert!(logged >= told, "{}: access {told}", outcome.ran.platform);
            }
        }
        assert_eq!((logged, told), (100, 100));
    });
}

#[test]
fn a_guest_that_spins_with_interrupts_masked_stops_no_tick() {
    assert_that_the_guest_is_content("spin");
}

#[test]
fn a_guest_that_attacks_the_timers_stops_no_tick() {
    assert_that_the_guest_is_content("timers");
}

#[test]
fn a_write_counts_on_the_side_of_the_tick_on_which_it_was_made() {
    assert_that_the_guest_is_content("tick-edge");
}

#[test]
fn a_guest_may_wait_for_interrupts_that_never_come() {
    assert_that_the_guest_is_content("wfi");
}

#[test]
fn a_guest_that_waits_for_ever_is_named() {
    let line = "warn  waits: the guest only waits for interrupts, for 5 s now";
    everywhere_until("waits", Some(line), |outcome| {
        assert!(outcome.contains("waits| guest: waits, with the counter at 0"));
        assert!(outcome.contains(line));
    });
}
