//! Whose the machine's time was, as the last lines of a run account for it.

use crate::everywhere::everywhere;
use crate::outcome::Outcome;

/// The parts are the whole, but for what each was rounded by.
fn assert_that_the_parts_are_the_whole(outcome: &Outcome) {
    let (_, parts) = outcome.cpu();
    let sum: f64 = parts.values().sum();
    let rounding = 0.05 * parts.len() as f64 + 0.01;
    assert!((sum - 100.0).abs() <= rounding, "{parts:?}");
}

#[test]
fn a_guest_that_never_idles_has_the_cpu_but_for_what_its_accesses_cost() {
    everywhere("demo", |outcome| {
        assert_that_the_parts_are_the_whole(&outcome);
        let (wall, parts) = outcome.cpu();
        assert!(
            parts["demo guest"] > 90.0,
            "{}: {parts:?}",
            outcome.ran.platform
        );
        let end = outcome.lines().iter().find(|line| line.contains("ended: "));
        let end: f64 = end.unwrap()[1..]
            .split(']')
            .next()
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        // On seL4 the stamps begin with the machine, and the account with the monitor.
        let before = end - wall;
        let longest = if outcome.on_sel4 { 3.0 } else { 0.5 };
        assert!(
            (-0.5..longest).contains(&before),
            "{}: {wall} {end}",
            outcome.ran.platform
        );
    });
}

#[test]
fn the_cpu_of_a_guest_that_waits_for_interrupts_idles() {
    everywhere("wfi", |outcome| {
        assert_that_the_parts_are_the_whole(&outcome);
        let (_, parts) = outcome.cpu();
        assert!(parts["idle"] > 90.0, "{}: {parts:?}", outcome.ran.platform);
    });
}

#[test]
fn of_two_vms_each_is_told_its_own_part_of_the_cpu() {
    everywhere("flood", |outcome| {
        assert_that_the_parts_are_the_whole(&outcome);
        let (_, parts) = outcome.cpu();
        for component in ["vmm", "trace", "console"] {
            let of = |vm: &str| parts[&format!("{vm} {component}")];
            assert!(
                of("storm") > 2.0 * of("probe"),
                "{}: {parts:?}",
                outcome.ran.platform
            );
        }
    });
}
