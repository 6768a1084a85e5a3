//! A million accesses without a pause: what is lost is told, and the rest is all there.

use crate::everywhere::{STORM, everywhere};
use crate::outcome::Outcome;
use crate::seconds::assert_that_ticks_are_seconds;
use regex::Regex;

fn assert_that_a_storm_adds_up(outcome: &Outcome) {
    let made = STORM / outcome.divisor;
    outcome.assert_guest_is_done();
    assert_eq!(outcome.number("accesses = ", " accesses"), made);
    let not_logged = outcome.number("not logged", " not logged");
    assert_eq!(outcome.number("accesses = ", " logged") + not_logged, made);
    let lost = Regex::new(r"^\[ *(\d+\.\d+)\] warn  \S+: (\d+) log lines lost$").unwrap();
    let told: Vec<(f64, u64)> = outcome
        .lines()
        .iter()
        .filter_map(|line| lost.captures(line))
        .map(|found| (found[1].parse().unwrap(), found[2].parse().unwrap()))
        .collect();
    let missing: u64 = told.iter().map(|(_, lines)| lines).sum();
    assert_eq!(
        outcome.logged().len() as u64 + missing,
        made,
        "{}",
        outcome.ran.platform
    );
    let first = outcome.logged()[0].seconds;
    let times = std::iter::once(first).chain(told.iter().map(|(seconds, _)| *seconds));
    for (from, to) in times.zip(told.iter().map(|(seconds, _)| *seconds)) {
        let silent = to - from;
        assert!(
            silent <= 0.1,
            "{}: silent for {silent} s",
            outcome.ran.platform
        );
    }
    let overwritten = outcome.number("overwritten", " overwritten");
    let ring = outcome.trace_ring();
    assert_eq!(ring.records.len() as u64 + overwritten, made);
    assert_eq!((ring.lost, ring.torn), (overwritten, 0));
}

#[test]
fn a_million_reads_are_all_accounted_for() {
    everywhere("storm-read", |outcome| {
        assert_that_a_storm_adds_up(&outcome);
        let reads = outcome.logged();
        assert!(
            reads.last().unwrap().value >= 5,
            "the storm is over too soon"
        );
        assert_that_ticks_are_seconds(reads.iter());
    });
}

#[test]
fn a_million_writes_are_all_accounted_for() {
    everywhere("storm-write", |outcome| {
        assert_that_a_storm_adds_up(&outcome)
    });
}
