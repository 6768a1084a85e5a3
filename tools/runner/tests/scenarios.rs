//! Whole systems under an emulator: one list of scenarios for all platforms.
//!
//! The machine's clock counts instructions (QEMU's by `-icount`), so the times below are the
//! machine's and the same on every host; the deadlines are the host's. The unikernel is always
//! there; seL4 is when `MICROKIT_SDK` is set, and each test says by name if it left it out.

mod platforms;

use guest_access::Direction;
use platforms::{BOARDS, guests, instruction_ns_log2, microkit, root, say, unikernel};
use regex::Regex;
use runner::{
    Architecture, Failure, Platform, Request, Transcript, Unikernel, configurations, run,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use trace_records::{Flags, Kind, Record};
use vdev_trace::dump::{Ring, TRACE, rings_in};
use vdev_trace::places::Places;

/// What a scenario left behind.
struct Outcome {
    result: Result<Transcript, Failure>,
    dump: Vec<u8>,
    ring_places: Places,
    platform: String,
    architecture: Architecture,
    on_sel4: bool,
    /// What the numbers of its accesses were divided by.
    divisor: u64,
}

/// An access as its log line tells it.
#[derive(Debug)]
struct Logged {
    seconds: f64,
    device: String,
    write: bool,
    value: u64,
    sequence: u64,
}

fn platforms(scenario: &str) -> Vec<Platform> {
    let mut platforms = on_architecture(scenario, Architecture::Aarch64);
    match NOT_ON_X86
        .iter()
        .find(|(name, _)| scenario.starts_with(name))
    {
        Some((_, reason)) => say(&format!("left out: {scenario} on x86_64: {reason}")),
        None => platforms.extend(on_architecture(scenario, Architecture::X86_64)),
    }
    platforms
}

/// The unikernel, and seL4 in both configurations.
fn on_architecture(scenario: &str, architecture: Architecture) -> Vec<Platform> {
    let [aarch64, x86] = BOARDS;
    let board = match architecture {
        Architecture::Aarch64 => aarch64,
        Architecture::X86_64 => x86,
    };
    let on_sel4 = microkit(scenario, board, &["debug", "release"], &[]);
    let unikernel = unikernel(scenario, architecture);
    unikernel.into_iter().chain(on_sel4).collect()
}

/// What x86_64 does not have, by how its name begins, and why.
const NOT_ON_X86: [(&str, &str); 4] = [
    ("aarch32", "it is about AArch32"),
    ("addressing-forms", "it is about the forms of A64"),
    ("byte-order", "it is about the byte order of A64"),
    ("user-mode", "it is about EL0"),
];

/// The unikernel on other CPUs of aarch64 than the usual one.
fn on_other_cpus(scenario: &str, cpus: &[&'static str], check: impl Fn(Outcome)) {
    let config = root().join(format!("tools/runner/scenarios/{scenario}.conf"));
    let with = |cpu: &&'static str| {
        let Platform::Unikernel(usual) = unikernel(scenario, Architecture::Aarch64)? else {
            return None;
        };
        let cpu = Some(*cpu);
        Some(Platform::Unikernel(Unikernel { cpu, ..usual }))
    };
    let platforms = cpus.iter().filter_map(with).collect();
    on(platforms, &[config], None, check);
}

/// Runs a scenario on every platform that is there.
fn everywhere(scenario: &str, check: impl Fn(Outcome)) {
    everywhere_until(scenario, None, check);
}

/// The same for a guest that does not end: a line with `until` ends the run.
fn everywhere_until(scenario: &str, until: Option<&str>, check: impl Fn(Outcome)) {
    let configs = match scenario {
        "demo" => vec![root().join("vm.conf")],
        _ => {
            let scenarios = root().join("tools/runner/scenarios");
            configurations(Path::new(scenario), &scenarios).unwrap()
        }
    };
    on(platforms(scenario), &configs, until, check);
}

fn on(platforms: Vec<Platform>, configs: &[PathBuf], until: Option<&str>, check: impl Fn(Outcome)) {
    for platform in platforms {
        let work = tempfile::tempdir().unwrap();
        let dump = work.path().join("memory.dump");
        let request = Request {
            configs: &configs_for(&platform, configs, work.path()),
            images: &guests(&platform),
            work: work.path(),
            platform: &platform,
            icount: Some(instruction_ns_log2(&platform)),
            dump: Some(dump.clone()),
            until,
            deadline: Duration::from_secs(600),
        };
        let result = run(&request, |_| {});
        check(Outcome {
            result,
            dump: std::fs::read(&dump).unwrap_or_default(),
            ring_places: platform.ring_places(),
            platform: platform.name(),
            architecture: platform.architecture(),
            on_sel4: is_sel4(&platform),
            divisor: divisor(&platform),
        });
    }
}

fn is_sel4(platform: &Platform) -> bool {
    matches!(platform, Platform::Microkit(..))
}

/// Accesses of a storm, and rounds of the one that measures a neighbour's flood.
const STORM: u64 = 1_000_000;
const ROUNDS: u64 = 400;

/// By what those are divided. Bochs takes ten times as long for an instruction as QEMU, so a
/// storm of a million would take minutes; a fourth of it still fills each ring many times.
fn divisor(platform: &Platform) -> u64 {
    match platform.architecture() {
        Architecture::X86_64 if is_sel4(platform) => 4,
        _ => 1,
    }
}

/// The configurations with the console that the platform's guests have, and with storms as long
/// as they are there; as they are where that makes no difference.
fn configs_for(platform: &Platform, configs: &[PathBuf], work: &Path) -> Vec<PathBuf> {
    let architecture = platform.architecture();
    let configs = runner::on_architecture(architecture, configs.to_vec(), work).unwrap();
    let divisor = divisor(platform);
    if divisor == 1 {
        return configs;
    }
    let shortened = |config: &PathBuf| {
        let text = std::fs::read_to_string(config).unwrap();
        let divided = |text: String, key: &str, number: u64| {
            let shorter = number / divisor;
            text.replace(&format!(" {key}={number} "), &format!(" {key}={shorter} "))
        };
        let shorter = divided(divided(text.clone(), "n", STORM), "rounds", ROUNDS);
        if shorter == text {
            return config.clone();
        }
        let copy = work.join(config.file_name().unwrap());
        std::fs::write(&copy, shorter).unwrap();
        copy
    };
    configs.iter().map(shortened).collect()
}

impl Outcome {
    /// The lines of a run that ended well.
    fn lines(&self) -> &[String] {
        match &self.result {
            Ok(transcript) => &transcript.lines,
            Err(Failure::System { transcript, reason }) => {
                panic!(
                    "{}: {reason}\n{}",
                    self.platform,
                    transcript.lines.join("\n")
                )
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

    /// What was printed, however the run ended.
    fn printed(&self) -> &[String] {
        match &self.result {
            Err(Failure::System { transcript, .. }) => &transcript.lines,
            _ => self.lines(),
        }
    }

    fn contains(&self, text: &str) -> bool {
        self.lines().iter().any(|line| line.contains(text))
    }

    fn assert_guest_is_done(&self) {
        assert!(
            self.contains("| guest: done"),
            "{}: {:#?}",
            self.platform,
            self.lines()
        );
    }

    fn logged(&self) -> Vec<Logged> {
        let line = Regex::new(
            r"^\[ *(\d+\.\d{6})\] info  \S+ (\S+) cpu0 ([RW])[124] 0x[0-9a-f]{8} = (\d+)(?: -> (\d+))? pc 0x[0-9a-f]+ seq (\d+)$",
        )
        .unwrap();
        let number = |text: &str| text.parse().unwrap();
        self.lines()
            .iter()
            .filter_map(|text| line.captures(text))
            .map(|found| Logged {
                seconds: found[1].parse().unwrap(),
                device: found[2].to_owned(),
                write: &found[3] == "W",
                value: number(found.get(5).map_or(&found[4], |new| new.as_str())),
                sequence: number(&found[6]),
            })
            .collect()
    }

    /// The number that stands before `words` in the line that holds `line`.
    fn number(&self, line: &str, words: &str) -> u64 {
        let found = self.lines().iter().find(|text| text.contains(line));
        let text = found.unwrap_or_else(|| panic!("{}: no line with {line}", self.platform));
        let before = &text[..text
            .find(words)
            .unwrap_or_else(|| panic!("no {words} in {text}"))];
        before.split_whitespace().last().unwrap().parse().unwrap()
    }

    /// The end's line about the CPU: seconds of wall time, and each part in percent, those of a
    /// VM with its name before them.
    fn cpu(&self) -> (f64, BTreeMap<String, f64>) {
        let line = self
            .lines()
            .iter()
            .find_map(|line| line.strip_prefix("cpu of "));
        let line = line.unwrap_or_else(|| panic!("{}: no line about the CPU", self.platform));
        let (wall, parts) = line.split_once(" s: ").unwrap();
        let groups = parts.split("; ").flat_map(|group| {
            let (vm, parts) = group.split_once(": ").unwrap_or(("", group));
            parts.split(", ").map(move |part| (vm, part))
        });
        let parts = groups.map(|(vm, part)| {
            let (what, percent) = part.strip_suffix(" %").unwrap().rsplit_once(' ').unwrap();
            let what = format!("{vm} {what}").trim().to_owned();
            (what, percent.parse().unwrap())
        });
        (wall.parse().unwrap(), parts.collect())
    }

    /// The trace ring of VM 0, as the memory dump has it.
    fn trace_ring(&self) -> Ring {
        self.trace_ring_of(0)
    }

    fn trace_ring_of(&self, vm: u8) -> Ring {
        let rings = rings_in(&self.dump, &self.ring_places)
            .into_iter()
            .flatten();
        let mut trace_rings = rings.filter(|ring| (ring.kind, ring.vm) == (TRACE, vm));
        trace_rings
            .next()
            .unwrap_or_else(|| panic!("{}: no trace ring in the dump", self.platform))
    }

    /// The numbers of the accesses that this VM's log lines tell of, in their order.
    fn sequences_of(&self, name: &str) -> Vec<u64> {
        let access = Regex::new(&format!(r"info  {name} trace0 cpu0 .* seq (\d+)$")).unwrap();
        let lines = self.printed().iter();
        lines
            .filter_map(|line| access.captures(line))
            .map(|found| found[1].parse().unwrap())
            .collect()
    }

    /// Every access of the VM's first device is a line, and none is missing.
    fn assert_that_the_log_is_whole(&self, name: &str) {
        let sums = format!("info  {name} trace0: ");
        let line = self.printed().iter().find(|line| line.contains(&sums));
        let line = line.unwrap_or_else(|| panic!("{}: no sums of {name}", self.platform));
        let accesses = line.split_once(&sums).unwrap().1.split(' ').next().unwrap();
        let accesses: u64 = accesses.parse().unwrap();
        let all: Vec<u64> = (1..=accesses).collect();
        assert_eq!(self.sequences_of(name), all, "{}: {name}", self.platform);
        let missing = format!("warn  {name}: ");
        let missing = self.printed().iter().find(|line| line.contains(&missing));
        assert_eq!(missing, None, "{}: {name}", self.platform);
        assert!(accesses > 0, "{}: {name}", self.platform);
    }

    fn traced(&self) -> Vec<Record> {
        let ring = self.trace_ring();
        let accesses = ring.events().filter(|(kind, _)| *kind == Kind::Access);
        accesses.map(|(_, record)| record).collect()
    }
}

/// Any number of ticks takes as many seconds, ± 50 ms, as far as these reads tell: each was
/// at most one second after the tick that it saw, and none before it.
fn assert_that_ticks_are_seconds<'a>(reads: impl Iterator<Item = &'a Logged> + Clone) {
    let since_first_tick = |read: &Logged| read.seconds - read.value as f64;
    let earliest = reads.clone().map(since_first_tick).reduce(f64::min);
    let latest = reads.map(|read| since_first_tick(read) - 1.0);
    let (earliest, latest) = (earliest.unwrap(), latest.reduce(f64::max).unwrap());
    assert!(
        latest - earliest <= 0.05,
        "the first tick was before {earliest} s and after {latest} s"
    );
}

/// Every line has one of the forms that the README shows.
fn assert_that_each_line_is_known(outcome: &Outcome) {
    let lines = [
        r"demo\| guest: .+",
        r"info  demo trace0 cpu0 R4 0xfa000000 = \d+ pc 0x[0-9a-f]+ seq \d+",
        r"info  demo trace0 cpu0 W4 0xfa000000 = \d+ -> \d+ pc 0x[0-9a-f]+ seq \d+",
        r"info  demo trace0: \d+ accesses = \d+ reads \+ \d+ writes \+ \d+ refused; \d+ logged, \d+ traced; counter \d+",
        r"info  demo: lost: \d+ not logged, \d+ not printed, \d+ overwritten in the trace, \d+ unrecorded; \d+ outside a device, \d+ misbehaviour",
        r"info  demo: accesses from \[ *\d+\.\d{6}\] to \[ *\d+\.\d{6}\], recorded by \[ *\d+\.\d{6}\]",
        r"info  demo: ended: powered off by the guest",
    ];
    let line = Regex::new(&format!(r"^\[ *\d+\.\d{{6}}\] (?:{})$", lines.join("|"))).unwrap();
    for text in outcome.lines().iter().filter(|text| text.starts_with('[')) {
        assert!(line.is_match(text), "{}: {text}", outcome.platform);
    }
}

#[test]
fn the_demo_logs_each_access_once_and_the_sums_agree() {
    everywhere("demo", |outcome| {
        outcome.assert_guest_is_done();
        let logged = outcome.logged();
        let sequences: Vec<u64> = logged.iter().map(|access| access.sequence).collect();
        assert_eq!(sequences, (1..=logged.len() as u64).collect::<Vec<_>>());
        assert!(logged.is_sorted_by_key(|access| access.seconds));
        let writes: Vec<u64> = logged
            .iter()
            .filter(|it| it.write)
            .map(|it| it.value)
            .collect();
        assert_eq!(writes, [1000]);
        assert_that_each_line_is_known(&outcome);
        let written = logged.iter().position(|access| access.write).unwrap();
        let (before, after) = logged.split_at(written);
        assert_that_ticks_are_seconds(before.iter());
        assert!(
            before.is_sorted_by_key(|access| access.value) && before.last().unwrap().value >= 5
        );
        assert!(
            after.is_sorted_by_key(|access| access.value) && after.last().unwrap().value == 1002
        );
        let count = logged.len() as u64;
        assert_eq!(outcome.number("accesses = ", " accesses"), count);
        assert_eq!(outcome.number("accesses = ", " reads"), count - 1);
        assert_eq!(outcome.number("accesses = ", " writes"), 1);
        assert_eq!(outcome.number("accesses = ", " logged"), count);
        assert_eq!(outcome.number("accesses = ", " traced"), count);
        for kind_of_loss in [" not logged", " not printed", " overwritten", " unrecorded"] {
            assert_eq!(outcome.number("not logged", kind_of_loss), 0);
        }
        let traced = outcome.traced();
        assert_eq!(traced.len() as u64, count);
        assert!(traced.iter().all(|record| record.tag.event() == 12));
    });
}

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
            outcome.platform
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
            outcome.platform
        );
    });
}

#[test]
fn the_cpu_of_a_guest_that_waits_for_interrupts_idles() {
    everywhere("wfi", |outcome| {
        assert_that_the_parts_are_the_whole(&outcome);
        let (_, parts) = outcome.cpu();
        assert!(parts["idle"] > 90.0, "{}: {parts:?}", outcome.platform);
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
                outcome.platform
            );
        }
    });
}

/// The lines of a run by whom they come from, times and values aside, equal neighbours once:
/// how many readings it takes to see a tick depends on when in a second the guest starts.
fn lines_by_source(outcome: &Outcome) -> [Vec<String>; 2] {
    let number =
        Regex::new(r"\[ *\d+\.\d+\]|\d+ ms|(counter|=|seq) \d+|pc 0x[0-9a-f]+|\d+ (accesses|reads|logged|traced)")
            .unwrap();
    let lines = outcome.lines().iter().filter(|line| line.starts_with('['));
    let (guest, log) = lines.partition(|line| line.contains("| guest: "));
    [guest, log].map(|lines: Vec<&String>| {
        let bare = lines.iter().map(|line| number.replace_all(line, "#"));
        let mut bare: Vec<_> = bare.map(String::from).collect();
        bare.dedup();
        bare
    })
}

#[test]
fn every_platform_prints_the_same_source_by_source() {
    let transcripts = std::cell::RefCell::new(Vec::new());
    everywhere("demo", |outcome| {
        transcripts.borrow_mut().push(lines_by_source(&outcome));
    });
    let transcripts = transcripts.into_inner();
    for transcript in &transcripts {
        assert!(
            transcript.iter().all(|lines| lines.len() > 5),
            "{transcript:#?}"
        );
        assert_eq!(transcript, &transcripts[0]);
    }
}

#[test]
fn with_both_options_off_the_counter_works_and_nothing_is_told() {
    everywhere("both-off", |outcome| {
        outcome.assert_guest_is_done();
        assert!(outcome.logged().is_empty());
        assert_eq!(outcome.number("accesses = ", " logged"), 0);
        let traced = outcome.traced();
        assert!(traced.is_empty());
    });
}

#[test]
fn with_emit_trace_alone_the_ring_holds_every_access_and_the_log_none() {
    everywhere("trace-only", |outcome| {
        outcome.assert_guest_is_done();
        assert!(outcome.logged().is_empty());
        let accesses = outcome.number("accesses = ", " accesses");
        assert_eq!(outcome.number("accesses = ", " traced"), accesses);
        let traced = outcome.traced();
        assert_eq!(traced.len() as u64, accesses);
        assert!(traced.iter().all(|record| record.tag.event() == 7));
    });
}

#[test]
fn a_logger_that_leaves_info_out_logs_no_access() {
    everywhere("logger-without-info", |outcome| {
        outcome.assert_guest_is_done();
        assert!(outcome.logged().is_empty());
    });
}

#[test]
fn two_devices_have_a_counter_and_numbers_each() {
    everywhere("two-devices", |outcome| {
        outcome.assert_guest_is_done();
        // The line has room for a part of them, by chance for few of one device; the trace has all.
        let logged = outcome.logged();
        assert!(!logged.is_empty(), "{}", outcome.platform);
        for device in ["trace0", "second"] {
            let mine: Vec<_> = logged.iter().filter(|it| it.device == device).collect();
            assert!(mine.is_sorted_by_key(|access| access.sequence));
        }
        let traced = outcome.traced();
        for (instance, event) in [(0, 12), (1, 13)] {
            let mine = traced.iter().filter(|it| it.tag.instance() == instance);
            assert!(mine.clone().all(|record| record.tag.event() == event));
            let sequences: Vec<u64> = mine.map(|record| record.sequence).collect();
            assert!(!sequences.is_empty(), "{}", outcome.platform);
            assert_eq!(sequences, (1..=sequences.len() as u64).collect::<Vec<_>>());
        }
    });
}

#[test]
fn the_rest_of_the_page_reads_all_ones_and_is_counted() {
    everywhere("outside", |outcome| {
        outcome.assert_guest_is_done();
        // The guest reads, writes and reads again, in three widths, at three places.
        assert_eq!(outcome.number("outside a device", " outside a device"), 27);
        assert!(outcome.contains("no device: "));
        let traced = outcome.traced();
        for direction in [Direction::Read, Direction::Write] {
            for width in [1, 2, 4] {
                let is_such = |record: &Record| {
                    (record.tag.direction(), record.tag.width_bytes()) == (direction, width)
                };
                assert!(traced.iter().any(is_such), "no {direction:?} of {width}");
            }
        }
    });
}

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
        outcome.platform
    );
    let first = outcome.logged()[0].seconds;
    let times = std::iter::once(first).chain(told.iter().map(|(seconds, _)| *seconds));
    for (from, to) in times.zip(told.iter().map(|(seconds, _)| *seconds)) {
        let silent = to - from;
        assert!(silent <= 0.1, "{}: silent for {silent} s", outcome.platform);
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

/// The guest judges its ticks by its own clock: within 50 ms of whole seconds.
fn assert_that_the_guest_is_content(scenario: &str) {
    everywhere(scenario, |outcome| outcome.assert_guest_is_done());
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
                assert!(logged >= told, "{}: access {told}", outcome.platform);
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

#[test]
fn a_guest_that_jumps_to_where_there_is_no_code_ends_and_the_log_says_where() {
    for (scenario, address, pc) in [
        ("lost-hole", 0x1000_0000_u64, 0x1000_0000_u64),
        ("lost-device", 0xfa00_0000, 0xfa00_0000),
        ("lost-end", 0xff_ffff_fffc, 0xff_ffff_fffc),
        ("lost-table", 0x1000_0000, 0x8000_0000),
    ] {
        everywhere(scenario, |outcome| {
            let is_x86 = outcome.architecture == Architecture::X86_64;
            // seL4 for Arm does not tell where a walk of the guest's tables went.
            let told = scenario != "lost-table" || is_x86 || !outcome.on_sel4;
            let address = if told { address } else { 0 };
            // There is no paging off in 64-bit mode: the end is on a page of the window.
            let moved = scenario == "lost-end" && is_x86;
            let pc = if moved { 0x8000_0ffc } else { pc };
            let why = match (scenario, is_x86) {
                ("lost-table", true) => format!("memory error at {address:#x}, pc {pc:#x}"),
                _ => format!("the guest left its RAM: it executes {address:#x}, pc {pc:#x}"),
            };
            let line = format!("fatal {scenario}: ended: {why}");
            assert!(outcome.reason().contains(&line), "{}", outcome.reason());
        });
    }
}

/// Where a CPU can neither go on nor blame an instruction.
#[test]
fn an_x86_guest_whose_cpu_cannot_go_on_ends_and_the_log_says_where() {
    for (scenario, why) in [
        ("lost-walk", "memory error at 0xfa000000, pc 0x"),
        ("lost-stack", "memory error at 0xffffff8, pc 0x"),
        (
            "lost-triple-fault",
            "unexpected exception class 0x0 at pc 0x",
        ),
        (
            "lost-mode",
            "unexpected exception class 0xffffffff at pc 0x",
        ),
    ] {
        let config = root().join(format!("tools/runner/scenarios/{scenario}.conf"));
        let platforms = on_architecture(scenario, Architecture::X86_64);
        on(platforms, &[config], None, |outcome| {
            // Every change of CR4 leaves the guest there, and the VMM refuses as a CPU does.
            let why = match scenario {
                "lost-mode" if outcome.on_sel4 => "the guest says that it failed, code 4",
                _ => why,
            };
            let line = format!("fatal {scenario}: ended: {why}");
            assert!(outcome.reason().contains(&line), "{}", outcome.reason());
        });
    }
}

#[test]
fn calls_and_registers_that_do_not_exist_are_answered_one_by_one() {
    everywhere("calls", |outcome| {
        outcome.assert_guest_is_done();
        // By HVC and SMC, or by the vendor's one instruction.
        let ways = match outcome.architecture {
            Architecture::X86_64 => 1,
            Architecture::Aarch64 => 2,
        };
        let calls = outcome.number("that do not exist", " calls that");
        assert_eq!(calls, ways * 1024, "{}", outcome.platform);
        if ways == 1 {
            let ports = outcome.number("to ports where nothing is", " accesses to ports");
            assert_eq!(
                outcome.number("outside a device", " outside a device"),
                ports
            );
        }
        assert!(outcome.contains("info  calls: ended: powered off by the guest"));
    });
}

#[test]
fn a_guest_that_misuses_psci_gets_answers_and_as_many_resets_as_it_wants() {
    everywhere("psci", |outcome| {
        outcome.assert_guest_is_done();
        // Each life begins with one read and one write; the numbers go on.
        let accesses = outcome.number("accesses = ", " reads");
        assert_eq!(outcome.number("accesses = ", " writes"), accesses);
        assert!(accesses > 10, "{accesses} lives");
        assert!(outcome.contains("info  psci: ended: powered off by the guest"));
    });
}

#[test]
fn what_changes_between_trap_and_fetch_is_refused_and_the_guest_lives() {
    everywhere("rewritten", |outcome| {
        outcome.assert_guest_is_done();
        assert!(outcome.contains("warn  rewritten: "));
        assert!(outcome.contains("info  rewritten: ended: powered off by the guest"));
        let told = match (outcome.architecture, outcome.on_sel4) {
            (Architecture::X86_64, _) => 14,
            // A walk of the CPU's that ends in the device is an exception and no access.
            (Architecture::Aarch64, _) => 11,
        };
        assert_eq!(outcome.number("accesses = ", " refused"), told);
    });
}

/// The matrix of an architecture in the README: header, rows, and the sums below them.
fn matrix_of_the_readme(architecture: Architecture) -> Vec<String> {
    let number = match architecture {
        Architecture::Aarch64 => 1,
        Architecture::X86_64 => 2,
    };
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let mut headers = 0;
    let lines = readme.lines().skip_while(|line| {
        headers += usize::from(line.trim_start().starts_with("R1 "));
        headers < number
    });
    lines
        .take_while(|line| !line.starts_with("```"))
        .map(|line| line.trim().to_owned())
        .collect()
}

#[test]
fn every_case_of_the_contract_ends_as_the_matrix_in_the_readme_says() {
    let on_aarch64 = matrix_of_the_readme(Architecture::Aarch64);
    let on_x86 = matrix_of_the_readme(Architecture::X86_64);
    assert_eq!(on_aarch64.len(), 1 + 16 + 6, "{on_aarch64:#?}");
    assert_eq!(on_x86.len(), 1 + 39 + 2, "{on_x86:#?}");
    for scenario in ["conformance-fail", "conformance-ignore"] {
        everywhere(scenario, |outcome| {
            outcome.assert_guest_is_done();
            let wanted = match outcome.architecture {
                Architecture::X86_64 => &on_x86,
                Architecture::Aarch64 => &on_aarch64,
            };
            let guest = format!("{scenario}| guest: ");
            let said = outcome
                .lines()
                .iter()
                .filter_map(|line| line.split_once(&guest));
            let said: Vec<&str> = said.map(|(_, text)| text.trim()).collect();
            // Nobody on seL4 can reach a guest's vector registers: policy `instruction`, which
            // on x86 is what they get everywhere.
            let differs_on_sel4 = outcome.on_sel4 && outcome.architecture == Architecture::Aarch64;
            let differs = |line: &str| {
                differs_on_sel4
                    && (line.starts_with("vector") || line.contains("refused by policy"))
            };
            for (wanted, said) in wanted.iter().zip(&said) {
                assert!(
                    wanted == said || differs(said),
                    "{}: {said}",
                    outcome.platform
                );
            }
            assert_eq!(said.len(), wanted.len() + 1, "{said:#?}");
            let vectors = said.iter().filter(|line| line.starts_with("vector"));
            for row in vectors.filter(|_| differs_on_sel4) {
                let mut cells = row.split_whitespace().filter(|cell| cell.contains('+'));
                assert!(cells.all(|cell| cell.starts_with("0+")), "{row}");
            }
        });
    }
}

#[test]
fn what_is_not_supported_is_flagged_and_the_guest_lives() {
    for scenario in ["unsupported", "unsupported-ignored"] {
        everywhere(scenario, |outcome| {
            outcome.assert_guest_is_done();
            assert!(outcome.contains("R8 0xfa000000 not supported"));
            // What reads and writes in one: a CPU reports the write, QEMU for x86 the read.
            let either = ["R?", "W?"].map(|what| format!("{what} 0xfa000000 not supported"));
            assert!(either.iter().any(|line| outcome.contains(line)));
            assert_eq!(
                outcome.contains("exceptions given"),
                scenario == "unsupported"
            );
        });
    }
}

#[test]
fn an_instruction_leaves_the_same_on_ram_and_on_the_device() {
    // With reference fail, pairs end in an exception: one of their words is nowhere.
    let scenarios = [
        ("addressing-forms", 64, 13),
        ("addressing-forms-fail", 50, 10),
    ];
    for (scenario, forms, vector_forms) in scenarios {
        everywhere(scenario, |outcome| {
            outcome.assert_guest_is_done();
            let says = |text: &str| {
                let line = format!("| guest: {text}");
                assert!(outcome.contains(&line), "{}: no {text}", outcome.platform);
            };
            // seL4 gives nobody a guest's vector registers.
            let vectors = match outcome.on_sel4 {
                false => "leave the same",
                true => "are answered by policy",
            };
            for place in ["mmu off", "lower half", "upper half"] {
                says(&format!(
                    "{place}: {forms} forms leave the same on RAM and on the device"
                ));
                says(&format!(
                    "{place}: {vector_forms} forms of vector registers {vectors}"
                ));
                says(&format!(
                    "{place}: what is not supported is answered by policy"
                ));
            }
            for line in ["4 KiB:", "64 KiB:", "literals", "pairs across pages"] {
                says(line);
            }
        });
    }
}

#[test]
fn an_instruction_leaves_the_same_on_ram_and_on_the_device_in_the_other_byte_order() {
    everywhere("byte-order", |outcome| {
        outcome.assert_guest_is_done();
        for level in ["EL1", "EL0"] {
            let line = format!("{level}: 22 forms leave the same on RAM and on the device");
            assert!(outcome.contains(&line), "{}: no {line}", outcome.platform);
        }
    });
}

#[test]
fn a_program_of_aarch32_finds_the_same_on_ram_and_on_the_device_and_ends_nothing() {
    let check = |outcome: Outcome| {
        outcome.assert_guest_is_done();
        // Of each set, those whose condition does not hold make no access.
        for (set, forms, none) in [("A32", 45, 1), ("T32", 42, 1)] {
            for order in ["little-endian", "big-endian"] {
                // seL4 lets nobody set PSTATE of a guest in AArch32, nor the registers behind it.
                let made = match outcome.on_sel4 {
                    false => format!("{forms} forms leave the same on RAM and on the device"),
                    true => format!(
                        "{} forms are answered by policy, {none} make no access",
                        forms - none
                    ),
                };
                let line = format!("{set}, {order}: {made}");
                assert!(outcome.contains(&line), "{}: no {line}", outcome.platform);
            }
        }
        // seL4 does not trap them all.
        let undefined = match outcome.on_sel4 {
            false => "4 of 4 registers are undefined",
            true => "of 4 registers are undefined",
        };
        for line in [
            "what is not supported is answered by policy",
            undefined,
            "a wait ends behind its instruction",
        ] {
            assert!(outcome.contains(line), "{}: no {line}", outcome.platform);
        }
        assert!(outcome.contains("info  aarch32: ended: powered off by the guest"));
    };
    everywhere("aarch32", check);
    on_other_cpus("aarch32", &["cortex-a76", "max"], check);
    on_other_cpus("aarch32", &["a64fx"], |outcome| {
        assert!(outcome.contains("this CPU has no AArch32"));
    });
}

#[test]
fn on_a_cpu_with_atomics_the_contract_refuses_them() {
    for scenario in ["conformance-fail", "conformance-ignore"] {
        on_other_cpus(scenario, &["cortex-a76", "max"], |outcome| {
            outcome.assert_guest_is_done();
            let row = outcome.lines().iter().find_map(|line| {
                let (_, row) = line.split_once("| guest: atomic ")?;
                Some(row.split_whitespace().collect::<Vec<_>>())
            });
            let row = row.expect("there is such a row");
            // They exist as stores of 1 to 8 bytes, and want to be aligned.
            let cells = [&["-"; 10][..], &["0+12", "0+6", "0+3", "0+2", "-"]].concat();
            assert_eq!(row, cells, "{}", outcome.platform);
            assert!(!outcome.contains("that this CPU does not have"));
        });
    }
}

#[test]
fn a_program_at_el0_gains_nothing_by_using_the_device() {
    assert_that_the_guest_is_content("user-mode");
}

/// The guest says of each access in which lane of the word it was and what its register holds.
#[test]
fn the_device_sees_what_the_code_does_in_every_mode_of_an_x86_cpu() {
    let said = Regex::new(r"([RW])(\d)\+(\d)=0x([0-9a-f]+)").unwrap();
    // QEMU's CPU takes some of what no CPU takes; Bochs's is as exact as one.
    for (scenario, wants_sel4) in [("modes", false), ("modes-exact", true)] {
        let config = root().join(format!("tools/runner/scenarios/{scenario}.conf"));
        let mut platforms = on_architecture(scenario, Architecture::X86_64);
        platforms.retain(|platform| is_sel4(platform) == wants_sel4);
        on(platforms, &[config], None, |outcome| {
            outcome.assert_guest_is_done();
            let guest = format!("{scenario}| guest: ");
            let lines = outcome.lines().iter().filter(|line| line.contains(&guest));
            let made: Vec<_> = lines
                .flat_map(|line| said.captures_iter(line))
                .map(|access| {
                    let number = |index: usize| access[index].parse::<u64>().unwrap();
                    let value = u32::from_str_radix(&access[4], 16).unwrap();
                    (&access[1] == "W", number(2), number(3), value)
                })
                .collect();
            let records = outcome.traced().into_iter();
            let seen: Vec<_> = records
                .filter(|record| !record.tag.flags().contains(Flags::REFUSED))
                .map(|record| {
                    let width = record.tag.width().unwrap();
                    let lane = record.address.0 - 0xfa00_0000;
                    let is_write = record.tag.direction() == Direction::Write;
                    // A record of a write has the whole word.
                    let shift = if is_write { 8 * lane } else { 0 };
                    let value = record.value >> shift & width.mask() as u32;
                    (is_write, width.bytes(), lane, value)
                })
                .collect();
            assert!(made.len() > 200, "{}: {}", outcome.platform, made.len());
            assert_eq!(made.len(), seen.len(), "{}", outcome.platform);
            for (made, seen) in made.iter().zip(&seen) {
                let alike = |one: &(bool, u64, u64, u32)| (one.0, one.1, one.2);
                // A guest does not know of ticks that came before it added to the word.
                let ticks = seen.3.wrapping_sub(made.3);
                assert!(
                    alike(made) == alike(seen) && (ticks == 0 || seen.2 == 0 && ticks <= 4),
                    "{}: {made:x?} made, {seen:x?} seen",
                    outcome.platform
                );
            }
        });
    }
}

#[test]
fn policy_abort_ends_the_vm_and_says_where() {
    everywhere("unsupported-aborts", |outcome| {
        let reason = outcome.reason();
        assert!(
            reason.contains("policy abort, unsupported instruction at pc 0x"),
            "{reason}"
        );
    });
}

#[test]
fn a_guest_that_fails_makes_the_run_fail_with_its_reason() {
    for (how, code) in [("panic", 3), ("exception", 4), ("fail", 5)] {
        everywhere(&format!("stuck-{how}"), |outcome| {
            let wanted = format!("the guest says that it failed, code {code}");
            assert!(outcome.reason().contains(&wanted), "{}", outcome.reason());
        });
    }
}

#[test]
fn a_configuration_with_mistakes_boots_nothing_and_names_each() {
    everywhere("refused", |outcome| {
        let Err(Failure::Config(text)) = &outcome.result else {
            panic!("it was not refused");
        };
        assert!(
            text.contains("refused.conf:6:9") && text.contains("refused.conf:7:16"),
            "{text}"
        );
    });
}

/// As `make run` calls it where there is no SDK.
fn runner_without_sdk(arguments: &[&str]) -> (bool, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_runner"))
        .args(arguments)
        .current_dir(root())
        .env("MICROKIT_SDK", "")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), said)
}

#[test]
fn the_command_refuses_a_configuration_with_the_diagnostics_and_a_bad_status() {
    let (success, said) = runner_without_sdk(&["run", "tools/runner/scenarios/refused.conf"]);
    assert!(!success && said.contains("refused.conf:6:9"), "{said}");
}

#[test]
fn the_command_says_what_to_set_when_there_is_no_sdk() {
    let (success, said) = runner_without_sdk(&["run", "vm.conf", "--platform", "microkit"]);
    assert!(!success && said.contains("set MICROKIT_SDK"), "{said}");
}

#[test]
fn two_vms_have_devices_counters_and_logs_of_their_own() {
    everywhere("two-vms", |outcome| {
        for (vm, name, address, event) in
            [(0, "first", "fa000000", 12), (1, "second", "fb000040", 20)]
        {
            assert!(outcome.contains(&format!("{name}| guest: done")), "{name}");
            outcome.assert_that_the_log_is_whole(name);
            let own = format!("info  {name} trace0 cpu0 W4 0x{address} = 5 -> 1000 ");
            assert!(outcome.contains(&own), "{}: {name}", outcome.platform);
            assert!(outcome.contains(&format!("info  {name}: ended: powered off by the guest")));
            let ring = outcome.trace_ring_of(vm);
            let events: Vec<_> = ring.events().collect();
            let accesses = outcome.sequences_of(name).len();
            assert_eq!(events.len(), accesses, "{name}");
            let own =
                |(_, record): &(Kind, Record)| (record.tag.vm(), record.tag.event()) == (vm, event);
            assert!(events.iter().all(own), "{name}");
        }
    });
}

/// How long an access may take beside a VM that floods its ring: as long as that VM's turn, with
/// what the trace component and the console do in it. On the unikernel a turn is a wake-up of
/// the clock; on seL4 it is a millisecond of the vCPU's own, and what its VMM does comes on top.
fn longest_wait_ns(on_sel4: bool) -> u64 {
    match on_sel4 {
        false => 15_000_000,
        true => 10_000_000,
    }
}

#[test]
fn a_vm_that_floods_its_ring_takes_no_line_of_the_others_and_delays_it_within_a_bound() {
    everywhere("flood", |outcome| {
        outcome.assert_that_the_log_is_whole("probe");
        let rounds = ROUNDS / outcome.divisor;
        assert_eq!(outcome.sequences_of("probe").len() as u64, rounds);
        let storm = outcome
            .lines()
            .iter()
            .find(|line| line.contains("info  storm trace0: "));
        let storm = storm.unwrap();
        let made = STORM / outcome.divisor;
        let sums = format!(": {made} accesses = {made} reads + 0 writes");
        assert!(storm.contains(&sums), "{storm}");
        // The flood outlasted the measurement.
        let end_of = |name: &str| {
            let end = format!("info  {name}: ended");
            outcome.lines().iter().position(|line| line.contains(&end))
        };
        assert!(end_of("probe").unwrap() < end_of("storm").unwrap());
        for which in ["logged", "silent"] {
            let line = format!(" {which} accesses: mean ");
            let line = outcome
                .lines()
                .iter()
                .find(|text| text.contains(&line))
                .unwrap();
            let longest = line.split_once("longest ").unwrap().1;
            let longest: u64 = longest.trim_end_matches(" ns").parse().unwrap();
            say(&format!("{}: {line}", outcome.platform));
            let bound = longest_wait_ns(outcome.on_sel4);
            assert!(longest <= bound, "{}: {line}", outcome.platform);
        }
    });
}

#[test]
fn a_vm_that_its_policy_ends_leaves_the_other_alone() {
    everywhere("one-aborts", |outcome| {
        let reason = outcome.reason();
        assert!(
            reason.contains("fatal aborts: ended: policy abort"),
            "{reason}"
        );
        let position = |text: &str| {
            outcome
                .printed()
                .iter()
                .position(|line| line.contains(text))
        };
        let aborted = position("fatal aborts: ended").unwrap();
        assert!(
            aborted < position("goes-on| guest: done").unwrap(),
            "{}",
            outcome.platform
        );
        outcome.assert_that_the_log_is_whole("goes-on");
        assert_eq!(outcome.printed().last().unwrap(), "verdict: failed");
    });
}

#[test]
fn a_vm_finds_its_registers_as_it_left_them() {
    everywhere("registers", |outcome| {
        for name in ["registers-0", "registers-1"] {
            let kept = format!("{name}| guest: 20 rounds kept their registers");
            assert!(outcome.contains(&kept), "{}: {name}", outcome.platform);
        }
    });
}

/// Configurations of VMs that use a second range of RAM, of so many bytes each.
fn vms_with_two_ranges(folder: &Path, second_ranges: &[u64]) -> Vec<PathBuf> {
    let config = |(number, len_bytes): (usize, &u64)| {
        // Not all in large pages, and each somewhere else.
        let from = 0x5000_0000 + 0x1000 * number as u64;
        let text = format!(
            "system ranges-{number}\ncpu\nram 0x40000000,2M\nram {from:#x},{len_bytes:#x}\n\
             load ram-ranges\n\
             cmdline \"trace=0xfa000000 console=0x9000000 from={from:#x} to={:#x}\"\n\
             logger info,warn,error,fatal stdout\n\
             vdev trace loc 0xfa000000 emit-logger emit-trace 1\nvdev pl011 loc 0x9000000\n",
            from + len_bytes
        );
        let file = folder.join(format!("{number}.conf"));
        std::fs::write(&file, text).unwrap();
        file
    };
    second_ranges.iter().enumerate().map(config).collect()
}

#[test]
fn eight_vms_with_several_ranges_of_ram_run_beside_each_other() {
    const MIB: u64 = 1 << 20;
    let folder = tempfile::tempdir().unwrap();
    let ranges = [
        256 * MIB,
        0x1000,
        2 * MIB,
        0x3000,
        0x1000,
        MIB,
        4 * MIB,
        0x1000,
    ];
    let configs = vms_with_two_ranges(folder.path(), &ranges);
    on(platforms("eight VMs"), &configs, None, |outcome| {
        for vm in 0..8 {
            let name = format!("ranges-{vm}");
            // All end within a few milliseconds, so a slow line has no room for all that is logged.
            for text in [
                ": ended: powered off by the guest",
                " trace0: 2 accesses = 1 reads + 1 writes + 0 refused",
            ] {
                assert!(outcome.contains(&format!("{name}{text}")), "{name}: {text}");
            }
        }
    });
}

#[test]
fn a_vm_has_a_gibibyte_of_ram_and_an_image_of_64_mib_on_the_unikernel() {
    let folder = tempfile::tempdir().unwrap();
    let configs = vms_with_two_ranges(folder.path(), &[1 << 30]);
    for architecture in [Architecture::Aarch64, Architecture::X86_64] {
        if let Some(platform) = unikernel("much RAM and a large image", architecture) {
            // What follows an ELF file's contents belongs to nothing.
            let mut image = std::fs::read(guests(&platform).join("ram-ranges")).unwrap();
            image.resize(64 << 20, 0);
            std::fs::write(folder.path().join("ram-ranges"), image).unwrap();
            let text = std::fs::read_to_string(&configs[0]).unwrap();
            let here = format!("load {}", folder.path().join("ram-ranges").display());
            std::fs::write(&configs[0], text.replace("load ram-ranges", &here)).unwrap();
            on(vec![platform], &configs, None, |outcome| {
                assert!(outcome.contains("ranges-0| guest: done"));
            });
            std::fs::write(&configs[0], text).unwrap();
        }
    }
}

/// A guest that means harm as VM 0, and one that times its ticks as VM 1, which must not notice.
#[test]
fn a_vm_goes_on_beside_one_that_means_harm() {
    let scenarios = root().join("tools/runner/scenarios");
    for (hostile, line, until) in [
        (
            "lost-hole",
            "fatal lost-hole: ended: the guest left its RAM",
            None,
        ),
        ("rewritten", "info  rewritten: ended: powered off", None),
        ("psci", "info  psci: ended: powered off", None),
        ("calls", "info  calls: ended: powered off", None),
        ("lost-table", "fatal lost-table: ended: ", None),
        (
            "waits",
            "warn  waits: the guest only waits for interrupts",
            Some("warn  waits: "),
        ),
    ] {
        let configs = [format!("{hostile}.conf"), "one-aborts/1.conf".into()];
        let configs = configs.map(|file| scenarios.join(file));
        let name = format!("{hostile} beside a VM that goes on");
        on(platforms(&name), &configs, until, |outcome| {
            let printed = outcome.printed();
            let has = |text: &str| printed.iter().any(|printed| printed.contains(text));
            for text in [
                line,
                "goes-on| guest: done",
                "info  goes-on: ended: powered off",
            ] {
                assert!(
                    has(text),
                    "{}: no {text} beside {hostile}",
                    outcome.platform
                );
            }
            outcome.assert_that_the_log_is_whole("goes-on");
        });
    }
}
