//! What only seL4 can show: protection domains that die, a trace component that the scheduler
//! keeps from running, other priorities and budgets, another board.
//!
//! Each test changes the text of a system description and nothing else, so the protection domains are
//! the ones that users run. Needs `MICROKIT_SDK`; without it each test says so by name.

mod platforms;

use platforms::ran::Ran;
use platforms::{BOARDS, configs_of, guests, instruction_ns_log2, microkit, set_by_make};
use regex::Regex;
use runner::{Change, Platform, Request, on_architecture, run};
use std::path::Path;
use std::time::Duration;

const CONFIGS: [&str; 2] = ["debug", "release"];

/// What stands in the system description, and what is to.
fn change(from: &str, to: &str) -> Change {
    let (from, to) = (from.into(), to.into());
    Change { from, to }
}

/// Boots a scenario in the changed system, once on each board for each of the SDK's
/// configurations.
fn boot(scenario: &str, changes: &[Change]) -> Vec<Ran> {
    let boards = BOARDS.iter();
    boards
        .flat_map(|board| boot_on_board(scenario, board, &CONFIGS, changes, |_| {}))
        .collect()
}

/// The same on one board, after `prepare` has put files into the run's folder.
fn boot_on_board(
    scenario: &str,
    board: &str,
    configs: &[&str],
    changes: &[Change],
    prepare: impl Fn(&Path),
) -> Vec<Ran> {
    let folder = tempfile::tempdir().unwrap();
    let platforms = microkit(scenario, board, configs, changes);
    // Without an SDK there are no protection domains to prepare either.
    if !platforms.is_empty() {
        prepare(folder.path());
    }
    let run_on = |platform| boot_on(scenario, folder.path(), platform, None);
    platforms.iter().map(run_on).collect()
}

fn boot_on(scenario: &str, work: &Path, platform: &Platform, icount: Option<u32>) -> Ran {
    let configs = on_architecture(platform.architecture(), configs_of(scenario), work).unwrap();
    let request = Request {
        configs: &configs,
        images: &guests(platform),
        work,
        platform,
        icount: icount.or(Some(instruction_ns_log2(platform))),
        dump: None,
        until: None,
        deadline: Duration::from_secs(600),
    };
    Ran {
        result: run(&request, |_| {}),
        platform: platform.name(),
    }
}

/// Writes a copy of a protection domain, with a change, as `changed` to the run's folder.
fn write_changed_copy(
    folder: &Path,
    board: &str,
    config: &str,
    domain: &str,
    change: impl Fn(&mut [u8]),
) {
    let from = set_by_make("VDEV_TRACE_DOMAINS").join(board).join(config);
    let mut file = std::fs::read(from.join(domain)).unwrap();
    change(&mut file);
    std::fs::write(folder.join("changed"), file).unwrap();
}

/// Puts an instruction where a program begins: one for each of the boards.
fn begin_with(file: &mut [u8], board: &str, [aarch64, x86]: [[u8; 4]; 2]) {
    let instruction = match board == BOARDS[0] {
        true => aarch64,
        false => x86,
    };
    let header = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap());
    // ELF-64 specification, "ELF Header": e_entry at 24, e_phoff at 32, entries of 56 bytes,
    // in which p_offset is at 8, p_vaddr at 16, p_filesz at 32.
    let (entry, segments) = (header(24), header(32) as usize);
    let place = (0..usize::from(file[56])).find_map(|number| {
        let segment = segments + 56 * number;
        let into = entry.checked_sub(header(segment + 16))?;
        (into < header(segment + 32)).then(|| (header(segment + 8) + into) as usize)
    });
    let place = place.expect("the entry point lies in a segment");
    file[place..place + 4].copy_from_slice(&instruction);
}

/// `UDF #0`, and UD2.
const UNDEFINED: [[u8; 4]; 2] = [[0; 4], [0x0f, 0x0b, 0, 0]];
/// A branch to itself.
const SPIN: [[u8; 4]; 2] = [[0, 0, 0, 0x14], [0xeb, 0xfe, 0, 0]];

/// Puts a text in the place of another one in a program, with line feeds as far as it is shorter.
fn say_instead(file: &mut [u8], from: &str, to: &str) {
    let places: Vec<_> = (0..file.len() - from.len())
        .filter(|at| file[*at..].starts_with(from.as_bytes()))
        .collect();
    assert!(!places.is_empty(), "{from:?} is in the program");
    for at in places {
        file[at..][..from.len()].fill(b'\n');
        file[at..][..to.len()].copy_from_slice(to.as_bytes());
    }
}

/// Each board with each configuration of its kernel.
fn everywhere() -> impl Iterator<Item = (&'static str, &'static str)> {
    let boards = BOARDS.into_iter();
    boards.flat_map(|board| CONFIGS.map(|config| (board, config)))
}

/// Boots the demo on one board, with a copy of a protection domain's program that `edit` has changed.
fn boot_with_changed(
    (board, config): (&str, &str),
    domain: &str,
    mut changes: Vec<Change>,
    edit: impl Fn(&mut [u8]),
) -> Vec<Ran> {
    let from = format!(r#"<program_image path="{domain}""#);
    changes.push(change(&from, r#"<program_image path="changed""#));
    boot_on_board("demo", board, &[config], &changes, |folder| {
        write_changed_copy(folder, board, config, domain, &edit);
    })
}

#[test]
fn whoever_faults_is_named_with_address_and_pc_and_the_run_fails() {
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
            let line =
                format!(r"^panic in {domain}: access to address {page}[0-9a-f]{{3}} at pc 0x");
            let reason = run.reason();
            assert!(Regex::new(&line).unwrap().is_match(reason), "{reason}");
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
        let line = "panic in pd-vmm-1: access to address 0x10010";
        assert!(reason.starts_with(line), "{reason}");
        assert!(reason.ends_with("(verdict: failed)"), "{reason}");
        let told = run.printed().join("\n");
        assert!(told.contains("first| guest: done"), "{told}");
        assert!(told.contains("first: ended: powered off"), "{told}");
        assert!(told.contains("] fatal second: ended: "), "{told}");
    }
}

#[test]
fn whoever_spins_is_named_within_a_second_and_the_run_fails() {
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
            assert!(milliseconds[1].parse::<u32>().unwrap() < 1000, "{reason}");
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
    let other_image = change(r#"prefill_path="guest.elf""#, r#"prefill_path="vm.blob""#);
    let words = "the configuration was compiled for an image of ";
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
fn a_trace_component_that_faults_in_the_middle_of_its_work_is_named() {
    // A ring of half its size: the fault comes with the record that has no room.
    let half = change(
        r#"name="trace_ring" size="0x81000""#,
        r#"name="trace_ring" size="0x41000""#,
    );
    for run in boot("storm-mixed", &[half]) {
        let reason = run.reason();
        let line = "panic in pd-trace: access to address 0x10141000 at pc 0x";
        assert!(reason.starts_with(line), "{reason}");
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
    let other_image = change(r#"prefill_path="guest.elf""#, r#"prefill_path="vm.blob""#);
    for run in boot("demo", &[other_image]) {
        // What a panic's abort is, on each kernel.
        let abort = "(exception class 0x3c|breakpoint instruction at pc 0x[0-9a-f]+|undefined instruction or exception at pc 0x[0-9a-f]+)";
        let words =
            r"the configuration was compiled for an image of \d+ bytes, but this one has \d+";
        let line = format!(
            r"^panic in pd-vmm: pd-vmm/src/main\.rs:\d+:\d+: {words}; {abort} \(verdict: failed\)$"
        );
        let reason = run.reason();
        assert!(Regex::new(&line).unwrap().is_match(reason), "{reason}");
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
    // After 20 ms of work it may not run again for three seconds.
    let starved = change(
        r#"name="pd-trace" id="1" priority="230""#,
        r#"name="pd-trace" id="1" priority="230" budget="20000" period="3000000""#,
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
