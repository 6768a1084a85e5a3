//! What a scenario left behind, and how the tests read it: the lines of the console by their forms,
//! the trace rings in the memory dump.

use crate::platforms::ran::Ran;
use regex::Regex;
use runner::Architecture;
use std::collections::BTreeMap;
use trace_records::{Kind, Record};
use vdev_trace::input::places::Places;
use vdev_trace::whole_dump::{Ring, TRACE, rings_in};

/// What a scenario left behind.
pub(crate) struct Outcome {
    pub(crate) ran: Ran,
    pub(crate) dump: Vec<u8>,
    pub(crate) ring_places: Places,
    pub(crate) architecture: Architecture,
    pub(crate) on_sel4: bool,
    /// What the numbers of its accesses were divided by.
    pub(crate) divisor: u64,
}

/// An access as its log line tells it.
#[derive(Debug)]
pub(crate) struct Logged {
    pub(crate) seconds: f64,
    pub(crate) device: String,
    pub(crate) write: bool,
    pub(crate) value: u64,
    pub(crate) sequence: u64,
}

impl Outcome {
    /// The lines of a run that ended well.
    pub(crate) fn lines(&self) -> &[String] {
        self.ran.lines()
    }

    /// Why the run ended badly, as it should.
    pub(crate) fn reason(&self) -> &str {
        self.ran.reason()
    }

    /// What was printed, however the run ended.
    pub(crate) fn printed(&self) -> &[String] {
        self.ran.printed()
    }

    pub(crate) fn contains(&self, text: &str) -> bool {
        self.lines().iter().any(|line| line.contains(text))
    }

    pub(crate) fn assert_guest_is_done(&self) {
        assert!(
            self.contains("| guest: done"),
            "{}: {:#?}",
            self.ran.platform,
            self.lines()
        );
    }

    pub(crate) fn logged(&self) -> Vec<Logged> {
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
    pub(crate) fn number(&self, line: &str, words: &str) -> u64 {
        let found = self.lines().iter().find(|text| text.contains(line));
        let text = found.unwrap_or_else(|| panic!("{}: no line with {line}", self.ran.platform));
        let before = &text[..text
            .find(words)
            .unwrap_or_else(|| panic!("no {words} in {text}"))];
        before.split_whitespace().last().unwrap().parse().unwrap()
    }

    /// The end's line about the CPU: seconds of wall time, and each part in percent, those of a
    /// VM with its name before them.
    pub(crate) fn cpu(&self) -> (f64, BTreeMap<String, f64>) {
        let line = self
            .lines()
            .iter()
            .find_map(|line| line.strip_prefix("cpu of "));
        let line = line.unwrap_or_else(|| panic!("{}: no line about the CPU", self.ran.platform));
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
    pub(crate) fn trace_ring(&self) -> Ring {
        self.trace_ring_of(0)
    }

    pub(crate) fn trace_ring_of(&self, vm: u8) -> Ring {
        let rings = rings_in(&self.dump, &self.ring_places)
            .into_iter()
            .flatten();
        let mut trace_rings = rings.filter(|ring| (ring.kind, ring.vm) == (TRACE, vm));
        trace_rings
            .next()
            .unwrap_or_else(|| panic!("{}: no trace ring in the dump", self.ran.platform))
    }

    /// The numbers of the accesses that this VM's log lines tell of, in their order.
    pub(crate) fn sequences_of(&self, name: &str) -> Vec<u64> {
        let access = Regex::new(&format!(r"info  {name} trace0 cpu0 .* seq (\d+)$")).unwrap();
        let lines = self.printed().iter();
        lines
            .filter_map(|line| access.captures(line))
            .map(|found| found[1].parse().unwrap())
            .collect()
    }

    /// Every access of the VM's first device is a line, and none is missing.
    pub(crate) fn assert_that_the_log_is_whole(&self, name: &str) {
        let sums = format!("info  {name} trace0: ");
        let line = self.printed().iter().find(|line| line.contains(&sums));
        let line = line.unwrap_or_else(|| panic!("{}: no sums of {name}", self.ran.platform));
        let accesses = line.split_once(&sums).unwrap().1.split(' ').next().unwrap();
        let accesses: u64 = accesses.parse().unwrap();
        let all: Vec<u64> = (1..=accesses).collect();
        assert_eq!(
            self.sequences_of(name),
            all,
            "{}: {name}",
            self.ran.platform
        );
        let missing = format!("warn  {name}: ");
        let missing = self.printed().iter().find(|line| line.contains(&missing));
        assert_eq!(missing, None, "{}: {name}", self.ran.platform);
        assert!(accesses > 0, "{}: {name}", self.ran.platform);
    }

    pub(crate) fn traced(&self) -> Vec<Record> {
        let ring = self.trace_ring();
        let accesses = ring.events().filter(|(kind, _)| *kind == Kind::Access);
        accesses.map(|(_, record)| record).collect()
    }
}
