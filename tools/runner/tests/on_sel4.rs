//! What only seL4 can show: protection domains that die, a trace component that the scheduler
//! keeps from running, other priorities and budgets, another board.
//!
//! Each test changes the text of a system description and nothing else, so the protection domains are
//! the ones that users run. Needs `MICROKIT_SDK`; without it each test says so by name.

mod platforms;

use platforms::{BOARDS, guests, instruction_ns_log2, microkit, root, set_by_make};
use regex::Regex;
use runner::{
    Failure, Platform, Request, Transcript, configurations, on_architecture, run,
    system_description,
};
use std::path::{Path, PathBuf};
use std::time::Duration;

const CONFIGS: [&str; 2] = ["debug", "release"];

/// A change of the system description: what stands there once, and what is to.
type Change<'a> = (&'a str, &'a str);

/// The system description for so many VMs on a board after the changes, in a file of its own.
fn changed_system(folder: &Path, board: &str, vms: usize, changes: &[Change]) -> PathBuf {
    let description = system_description(board, vms);
    let mut text = std::fs::read_to_string(root().join(&description)).unwrap();
    for (from, to) in changes {
        let count = text.matches(from).count();
        assert_eq!(count, 1, "{} has {from} once", description.display());
        text = text.replace(from, to);
    }
    let file = folder.join("system.xml");
    std::fs::write(&file, text).unwrap();
    file
}

struct Run {
    result: Result<Transcript, Failure>,
    platform: String,
}

impl Run {
    /// The lines of a run that ended well.
    fn lines(&self) -> &[String] {
        match &self.result {
            Ok(transcript) => &transcript.lines,
            Err(Failure::System { transcript, reason }) => {
                let lines = transcript.lines.join("\n");
                panic!("{}: {reason}\n{lines}", self.platform)
            }
            Err(failure) => panic!("{}: {failure}", self.platform),
        }
    }

    /// Why the run ended badly, as it should.
    fn reason(&self) -> &str {
        match &self.result {
            Err(Failure::System { reason, .. }) => reason,
            Err(failure) => panic!("{}: {failure}", self.platform),
            Ok(_) => panic!("{}: the run did not fail", self.platform),
        }
    }
}

/// The configurations of a scenario's VMs.
fn configs_of(scenario: &str) -> Vec<PathBuf> {
    if scenario == "demo" {
        return vec![root().join("vm.conf")];
    }
    let scenarios = root().join("tools/runner/scenarios");
    configurations(Path::new(scenario), &scenarios).unwrap()
}

/// Boots a scenario in the changed system, once on each board for each of the SDK's
/// configurations.
fn boot(scenario: &str, changes: &[Change]) -> Vec<Run> {
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
) -> Vec<Run> {
    let folder = tempfile::tempdir().unwrap();
    let vms = configs_of(scenario).len();
    let system = changed_system(folder.path(), board, vms, changes);
    let platforms = microkit(scenario, board, configs, &system);
    // Without an SDK there are no protection domains to prepare either.
    if !platforms.is_empty() {
        prepare(folder.path());
    }
    let run_on = |platform| boot_on(scenario, folder.path(), platform, None);
    platforms.iter().map(run_on).collect()
}

fn boot_on(scenario: &str, work: &Path, platform: &Platform, icount: Option<u32>) -> Run {
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
    Run {
        result: run(&request, |_| {}),
        platform: platform.name(),
    }
}

/// Writes a copy of a protection domain whose first instruction is undefined: `UDF #0`, or UD2.
fn write_broken_copy(folder: &Path, board: &str, config: &str, domain: &str) {
    let from = set_by_make("VDEV_TRACE_DOMAINS").join(board).join(config);
    let [aarch64, _] = BOARDS;
    let undefined: [u8; 4] = match board {
        name if name == aarch64 => [0; 4],
        _ => [0x0f, 0x0b, 0, 0],
    };
    let mut file = std::fs::read(from.join(domain)).unwrap();
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
    file[place..place + 4].copy_from_slice(&undefined);
    std::fs::write(folder.join("broken"), file).unwrap();
}

#[test]
fn whoever_faults_is_named_with_address_and_pc_and_the_run_fails() {
    // Each maps something read-only that it has to write.
    let cases: [(&str, Change, &str); 3] = [
        (
            "pd-vmm",
            (
                r#"mr="access_ring" vaddr="0x10010000" perms="rw""#,
                r#"mr="access_ring" vaddr="0x10010000" perms="r""#,
            ),
            "0x10010",
        ),
        (
            "pd-trace",
            (
                r#"mr="trace_ring" vaddr="0x10100000" perms="rw""#,
                r#"mr="trace_ring" vaddr="0x10100000" perms="r""#,
            ),
            "0x10100",
        ),
        (
            "pd-console",
            (
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
fn of_two_vmms_the_one_that_faults_is_named() {
    let read_only = (
        r#"mr="access_ring_1" vaddr="0x10010000" perms="rw""#,
        r#"mr="access_ring_1" vaddr="0x10010000" perms="r""#,
    );
    for run in boot("two-vms", &[read_only]) {
        let reason = run.reason();
        let line = "panic in pd-vmm-1: access to address 0x10010";
        assert!(reason.starts_with(line), "{reason}");
    }
}

#[test]
fn a_trace_component_that_faults_in_the_middle_of_its_work_is_named() {
    // A ring of half its size: the fault comes with the record that has no room.
    let half = (
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
    let broken = (
        r#"<program_image path="pd-clock" />"#,
        r#"<program_image path="broken" />"#,
    );
    let everywhere = BOARDS
        .iter()
        .flat_map(|board| CONFIGS.map(|config| (board, config)));
    for (board, config) in everywhere {
        let prepare = |folder: &Path| write_broken_copy(folder, board, config, "pd-clock");
        for run in boot_on_board("demo", board, &[config], &[broken], prepare) {
            let line = r"^panic in pd-clock: undefined instruction or exception at pc 0x[0-9a-f]+ ";
            let reason = run.reason();
            assert!(Regex::new(line).unwrap().is_match(reason), "{reason}");
        }
    }
}

#[test]
fn a_panic_is_told_with_its_words_and_its_place() {
    // The VMM gets another image than the one that its configuration was compiled for.
    let other_image = (r#"prefill_path="guest.elf""#, r#"prefill_path="vm.blob""#);
    for run in boot("demo", &[other_image]) {
        let line = r"^panic in pd-vmm: pd-vmm/src/main\.rs:\d+:\d+: the configuration was compiled for an image of \d+ bytes, but this one has \d+";
        let reason = run.reason();
        assert!(Regex::new(line).unwrap().is_match(reason), "{reason}");
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
        let change = (PD_TRACE, scheduling);
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
    let starved = (
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
    let platforms = BOARDS.iter().flat_map(|board| {
        let system = root().join(system_description(board, 1));
        microkit("ticks", board, &["release"], &system)
    });
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
    let system = root().join(system_description(x86, 1));
    for platform in microkit("demo, twice", x86, &["release"], &system) {
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
