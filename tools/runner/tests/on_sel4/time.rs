//! Whose the CPU is: priorities, budgets, wake-ups, and what of that stands in the account.

use crate::changed::{CONFIGS, boot, boot_on, boot_on_board, change};
use crate::platforms::{BOARDS, microkit};
use regex::Regex;

#[test]
fn where_the_cpus_time_went_stands_in_one_line() {
    let parts = r"guest (\d+\.\d) %, vmm (\d+\.\d) %, trace (\d+\.\d) %, console (\d+\.\d) %";
    let line =
        format!(r"^cpu of (\d+\.\d\d) s: wfi: {parts}; idle (\d+\.\d) %, others (\d+\.\d) %$");
    let line = Regex::new(&line).unwrap();
    for run in boot("wfi", &[]) {
        let lines = run.lines();
        let told = lines.iter().find_map(|text| line.captures(text));
        let told = told.unwrap_or_else(|| panic!("{}", lines.join("\n")));
        let number = |group: usize| told[group].parse::<f64>().unwrap();
        // It waits for interrupts for two seconds.
        assert!(number(1) > 1.9, "{}", &told[0]);
        assert!(number(6) > 80.0, "{}", &told[0]);
        let sum: f64 = (2..8).map(number).sum();
        assert!((99.0..101.0).contains(&sum), "{}: {sum}", &told[0]);
    }
}

#[test]
fn the_path_is_correct_whatever_the_trace_component_s_priority_and_budget() {
    const PD_TRACE: &str = r#"name="pd-trace" id="1" priority="230""#;
    const TWENTIETH: &str = r#"name="pd-trace" id="1" priority="230" budget="500" period="10000""#;
    let [aarch64, x86] = BOARDS;
    for (board, scheduling) in [
        // As pd-vmm, and below it.
        (aarch64, r#"name="pd-trace" id="1" priority="210""#),
        (aarch64, r#"name="pd-trace" id="1" priority="205""#),
        (x86, r#"name="pd-trace" id="1" priority="100""#),
        (x86, r#"name="pd-trace" id="1" priority="95""#),
        // A twentieth of the CPU.
        (aarch64, TWENTIETH),
        (x86, TWENTIETH),
    ] {
        let change = change(PD_TRACE, scheduling);
        for run in boot_on_board("storm-mixed", board, &CONFIGS, &[change], |_| {}) {
            let lines = run.lines();
            let has = |text: &str| lines.iter().any(|line| line.contains(text));
            let told = lines.join("\n");
            assert!(has("| guest: done"), "{scheduling}: {told}");
            assert!(has(": 40000 accesses = "), "{scheduling}: {told}");
            assert!(
                has(" 0 unrecorded; 0 outside a device, 0 misbehaviour"),
                "{scheduling}: {told}"
            );
        }
    }
}

#[test]
fn a_trace_component_that_does_not_run_costs_the_guest_a_bounded_wait() {
    // After 40 ms of work it may not run again for three seconds. When it does, it answers what waits
    // and a storm, until the VMM looks at its next wake-up whether it is back: that takes up to half of it.
    let starved = change(
        r#"name="pd-trace" id="1" priority="230""#,
        r#"name="pd-trace" id="1" priority="230" budget="40000" period="3000000""#,
    );
    for run in boot("trace-gone", &[starved]) {
        let lines = run.lines();
        let count = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
        let told = lines.join("\n");
        assert_eq!(count("| guest: gone, after waiting for "), 1, "{told}");
        assert_eq!(count("] error "), 1, "one error is logged: {told}");
        assert_eq!(
            count("| guest: back, and reads what was written"),
            1,
            "{told}"
        );
        assert_eq!(count("| guest: done"), 1, "{told}");
    }
}

#[test]
fn wake_ups_keep_their_period_on_a_machine_where_they_take_long() {
    let lost = Regex::new(r"^\[ *(\d+\.\d+)\] warn  \S+: \d+ log lines lost$").unwrap();
    // 64 ns an instruction: the clock's wake-up takes longer than 100 us.
    let platforms = BOARDS
        .iter()
        .flat_map(|board| microkit("ticks", board, &["release"], &[]));
    for platform in platforms {
        let work = tempfile::tempdir().unwrap();
        let run = boot_on("ticks", work.path(), &platform, Some(6));
        let times: Vec<f64> = run
            .lines()
            .iter()
            .filter_map(|line| lost.captures(line)?[1].parse().ok())
            .collect();
        assert!(times.len() > 20, "{times:?}");
        for pair in times.windows(2) {
            assert!(
                pair[1] - pair[0] < 0.11,
                "silent from {} to {}",
                pair[0],
                pair[1]
            );
        }
    }
}

#[test]
fn two_runs_of_one_image_print_the_same_to_the_byte() {
    let [_, x86] = BOARDS;
    for platform in microkit("demo twice", x86, &["release"], &[]) {
        let print = || {
            let work = tempfile::tempdir().unwrap();
            let run = boot_on("demo", work.path(), &platform, None);
            run.lines().join("\n")
        };
        let first = print();
        assert!(first.contains("| guest: done"), "{first}");
        assert_eq!(first, print());
    }
}
