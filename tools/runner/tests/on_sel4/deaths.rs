//! Protection domains that fault, spin, panic or lie: the monitor starts again who can be, names them,
//! whatever they say, and gives them up when they have died too often.

use crate::changed::{
    SPIN, UNDEFINED, begin_with, boot, boot_with_changed, change, everywhere, say_instead,
};
use crate::platforms::ran::Ran;
use regex::Regex;

/// What seL4's two architectures call an access that the page tables do not allow.
const ABORT: &str = "(data abort|page fault)";

/// Asserts that a domain was started twice before it was given up, for a reason like this each time.
fn assert_restarts(run: &Ran, domain: &str, why: &str) {
    for count in [1, 2] {
        let line = Regex::new(&format!(r"^warn {domain} restarted \({count}\): {why}")).unwrap();
        let told = run.printed().iter().filter(|told| line.is_match(told));
        assert_eq!(told.count(), 1, "{}: {line}", run.printed().join("\n"));
    }
}

#[test]
fn whoever_faults_is_started_again_twice_and_then_named_with_address_and_pc_and_the_run_fails() {
    // Each maps something read-only that it has to write.
    let cases = [
        (
            "pd-vmm",
            change(
                r#"mr="access_ring" vaddr="0x10010000" perms="rw""#,
                r#"mr="access_ring" vaddr="0x10010000" perms="r""#,
            ),
            "0x10010",
        ),
        (
            "pd-trace",
            change(
                r#"mr="trace_ring" vaddr="0x10100000" perms="rw""#,
                r#"mr="trace_ring" vaddr="0x10100000" perms="r""#,
            ),
            "0x10100",
        ),
        (
            "pd-console",
            change(
                r#"mr="log_reader" vaddr="0x10030000" perms="rw""#,
                r#"mr="log_reader" vaddr="0x10030000" perms="r""#,
            ),
            "0x10030",
        ),
    ];
    for (domain, change, page) in cases {
        for run in boot("demo", &[change]) {
            let why = format!("{ABORT} at {page}[0-9a-f]{{3}} at pc 0x");
            let line = format!("^panic in {domain}: {why}");
            let reason = run.reason();
            assert!(Regex::new(&line).unwrap().is_match(reason), "{reason}");
            // What the console was told, it never printed.
            if domain != "pd-console" {
                assert_restarts(&run, domain, &why);
            }
            assert!(reason.ends_with("(verdict: failed)"), "{reason}");
        }
    }
}

#[test]
fn a_vmm_that_faults_is_named_and_ends_its_own_vm_alone() {
    let read_only = change(
        r#"mr="access_ring_1" vaddr="0x10010000" perms="rw""#,
        r#"mr="access_ring_1" vaddr="0x10010000" perms="r""#,
    );
    for run in boot("two-vms", &[read_only]) {
        let reason = run.reason();
        let line = format!("^panic in pd-vmm-1: {ABORT} at 0x10010");
        assert!(Regex::new(&line).unwrap().is_match(reason), "{reason}");
        assert_restarts(&run, "pd-vmm-1", ABORT);
        assert!(reason.ends_with("(verdict: failed)"), "{reason}");
        let told = run.printed().join("\n");
        assert!(told.contains("first| guest: done"), "{told}");
        assert!(told.contains("first: ended: powered off"), "{told}");
        assert!(told.contains("] fatal second: ended: "), "{told}");
    }
}

#[test]
fn whoever_spins_is_started_again_twice_and_then_named_and_the_run_fails() {
    for (domain, (board, config)) in ["pd-trace", "pd-console", "pd-vmm"]
        .into_iter()
        .flat_map(|domain| everywhere().map(move |place| (domain, place)))
    {
        let spin = |file: &mut [u8]| begin_with(file, board, SPIN);
        for run in boot_with_changed((board, config), domain, Vec::new(), spin) {
            let line = format!(r"^hung: {domain} has had (\d+) ms of the CPU and gives no sign");
            let reason = run.reason();
            let milliseconds = Regex::new(&line).unwrap().captures(reason);
            let milliseconds = milliseconds.unwrap_or_else(|| panic!("{reason}"));
            assert!(milliseconds[1].parse::<u32>().unwrap() < 150, "{reason}");
            if domain != "pd-console" {
                let why = r"hung: has had \d+ ms of the CPU and gave no sign of life$";
                assert_restarts(&run, domain, why);
            }
            assert!(reason.ends_with("(verdict: failed)"), "{reason}");
        }
    }
}

#[test]
fn a_console_that_prints_another_verdict_is_not_believed() {
    let read_only = r#"mr="access_ring" vaddr="0x10010000" perms="rw""#;
    let read_only = change(
        read_only,
        r#"mr="access_ring" vaddr="0x10010000" perms="r""#,
    );
    for place in everywhere() {
        let lie = |file: &mut [u8]| say_instead(file, "verdict: failed\n", "verdict: ok\n");
        for run in boot_with_changed(place, "pd-console", vec![read_only.clone()], lie) {
            let reason = run.reason();
            assert!(reason.starts_with("panic in pd-vmm: "), "{reason}");
            assert!(reason.ends_with("(verdict: failed)"), "{reason}");
            let lines = run.printed();
            assert!(lines.iter().any(|line| line == "verdict: ok"), "{lines:?}");
        }
    }
}

#[test]
fn last_words_are_one_line_of_their_author_whatever_is_in_them() {
    // The VMM gets another image than the one that its configuration was compiled for, and says so
    // in words that would end its line, clear the screen, and be another VM's and the verdict.
    let other_image = change(r#"prefill_path="guest.image""#, r#"prefill_path="vm.blob""#);
    let words = "the configuration was compiled for images of ";
    let forged = "oh\nverdict: ok\n\x1b[2Jsecond| guest: done\n";
    for place in everywhere() {
        let forge = |file: &mut [u8]| say_instead(file, words, forged);
        for run in boot_with_changed(place, "pd-vmm", vec![other_image.clone()], forge) {
            let line = r"^panic in pd-vmm: pd-vmm/src/main\.rs:\d+:\d+: oh\?verdict: ok\?\?\[2Jsecond\| guest: done\?+\d+ bytes, but";
            let reason = run.reason();
            assert!(Regex::new(line).unwrap().is_match(reason), "{reason}");
            assert!(reason.ends_with("(verdict: failed)"), "{reason}");
            let lines = run.printed();
            let is_forged = |line: &String| line == "verdict: ok" || line.starts_with("second|");
            assert!(!lines.iter().any(is_forged), "{lines:?}");
        }
    }
}

/// What is told of a VM over whose records the trace component has died too often.
fn assert_is_closed(run: &Ran, vm: &str) {
    let told = run.printed().join("\n");
    let restarted = |line: &&String| line.starts_with("warn pd-trace restarted (");
    let restarts = run.printed().iter().filter(restarted).count();
    assert_eq!(restarts, 3, "{told}");
    assert!(!told.contains("panic in pd-trace"), "{told}");
    let blamed = format!(
        r"\] error {vm}: its VMM misbehaves: \d+ times, last the record at position \d+ of its ring, of which its reader died; its ring is closed"
    );
    assert!(Regex::new(&blamed).unwrap().is_match(&told), "{told}");
    let ended = format!(r"\] fatal {vm}: ended: its VMM misbehaved \d+ times");
    let reason = run.reason();
    assert!(Regex::new(&ended).unwrap().is_match(reason), "{reason}");
    assert!(reason.ends_with("(verdict: failed)"), "{reason}");
}

#[test]
fn a_trace_component_that_faults_in_the_middle_of_its_work_is_named() {
    // A ring of half its size: the fault comes with the record that has no room.
    let half = change(
        r#"name="trace_ring" size="0x81000""#,
        r#"name="trace_ring" size="0x41000""#,
    );
    for run in boot("storm-mixed", &[half]) {
        let why = format!("{ABORT} at 0x10141000 at pc 0x");
        assert_restarts(&run, "pd-trace", &why);
        assert_is_closed(&run, "storm-mixed");
    }
}

#[test]
fn a_vm_whose_records_kill_the_trace_component_costs_another_vm_nothing() {
    // A ring without a slot: the fault comes with the first record, and with the next one.
    let none = change(
        r#"name="trace_ring" size="0x81000""#,
        r#"name="trace_ring" size="0x1000""#,
    );
    let sums = Regex::new(r"info  second trace0: (\d+) accesses = ").unwrap();
    let logged = Regex::new(r"info  second trace0 cpu0 .* seq (\d+)").unwrap();
    for run in boot("two-vms", &[none]) {
        assert_is_closed(&run, "first");
        let told = run.printed().join("\n");
        assert!(told.contains("second| guest: done"), "{told}");
        assert!(told.contains("info  second: ended: powered off"), "{told}");
        assert!(!told.contains("warn  second"), "{told}");
        let nothing = "info  second: lost: 0 not logged, 0 not printed, 0 overwritten in the trace, 0 unrecorded";
        assert!(told.contains(nothing), "{told}");
        let sums = sums.captures(&told).unwrap_or_else(|| panic!("{told}"));
        let accesses: u64 = sums[1].parse().unwrap();
        let logged = logged
            .captures_iter(&told)
            .map(|line| line[1].parse::<u64>().unwrap());
        assert!(logged.eq(1..=accesses), "{told}");
    }
}

#[test]
fn a_clock_that_dies_is_named() {
    for (board, config) in everywhere() {
        let undefined = |file: &mut [u8]| begin_with(file, board, UNDEFINED);
        for run in boot_with_changed((board, config), "pd-clock", Vec::new(), undefined) {
            let line = r"^panic in pd-clock: undefined instruction or exception at pc 0x[0-9a-f]+ ";
            let reason = run.reason();
            assert!(Regex::new(line).unwrap().is_match(reason), "{reason}");
        }
    }
}

#[test]
fn a_panic_is_told_with_its_words_and_its_place() {
    // The VMM gets another image than the one that its configuration was compiled for.
    let other_image = change(r#"prefill_path="guest.image""#, r#"prefill_path="vm.blob""#);
    for run in boot("demo", &[other_image]) {
        // What a panic's abort is, on each kernel.
        let abort = "(exception class 0x3c|breakpoint instruction at pc 0x[0-9a-f]+|undefined instruction or exception at pc 0x[0-9a-f]+)";
        let words = r"the configuration was compiled for images of \d+ bytes, but these have \d+";
        let line = format!(
            r"^panic in pd-vmm: pd-vmm/src/main\.rs:\d+:\d+: {words}; {abort} \(verdict: failed\)$"
        );
        let reason = run.reason();
        assert!(Regex::new(&line).unwrap().is_match(reason), "{reason}");
    }
}
