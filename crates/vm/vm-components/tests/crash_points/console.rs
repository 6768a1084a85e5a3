//! The console component, dead over everything it does: no line is printed twice or in another order, one
//! line or frame at most is missing for each death, and what is missing is told.
//!
//! ```text
//!   the wire:  whole lines, a whole line, ha│↵ other lines …, a line↵│↵ …
//!                                   cut here┘        it may have been counted as missing┘
//! ```
//!
//! What the line carries is looked at in pieces, one from each death to the next.

use crate::deaths::{self, Deaths};
use crate::fixtures::{LOC, VmMemory, access, end, logging_vm, only, record};
use guest_access::Direction;
use shared_ring::mortal;
use shared_ring::{BoundedProducer, OverwritingProducer, Payload};
use std::cell::Cell;
use trace_records::{
    Address, CONSOLE_SLOTS, ConsoleRecord, DeviceSummary, EVENT_NONE, EndReason, Kind, LOG_SLOTS,
    Misbehaviour, Misdeed, Notice, Record, RingFate, Span, Stamp, TRACE_SLOTS, Tag, Text,
    VmSummary,
};
use trace_stream::{Content, Decoder, Received};
use vm_components::{Clock, Console, Host, KeptConsole, Output, SystemPort, Verdict, channel};

const HZ: u64 = 1_000_000;
const CLOCK: Clock = Clock {
    hz: HZ,
    start_ticks: 0,
};
const NAMES: [&str; 2] = ["one", "other"];
const ONE: usize = 0;
const OTHER: usize = 1;
const LAST_LINES: [&str; 2] = ["the price of it all\n", Verdict::Ok.line()];

/// A serial line, and where it was cut by deaths.
#[derive(Default)]
struct Wire {
    bytes: Vec<u8>,
    cuts: Vec<usize>,
}

impl Output for Wire {
    /// What is written may be written only in part.
    fn write(&mut self, bytes: &[u8]) {
        for half in bytes.chunks(bytes.len().div_ceil(2).max(1)) {
            mortal::step();
            self.bytes.extend(half);
        }
        mortal::step();
    }
}

/// Time passes only by wake-ups of the clock. The console may be made to die over VM 0.
#[derive(Default)]
struct Now {
    time: u64,
    /// Whose turn it is, and which one of VM 0 since the console was woken or made.
    turn: Option<u8>,
    turns: u32,
    /// So often it dies at the first look at the clock in this turn of VM 0.
    kills: u32,
    in_turn: u32,
}

impl Host for Now {
    fn now(&mut self) -> u64 {
        if self.kills > 0 && self.turn == Some(0) && self.turns == self.in_turn {
            self.kills -= 1;
            mortal::die_at(0);
        }
        mortal::step();
        self.time
    }

    fn under_way(&mut self, vm: Option<u8>) {
        mortal::step();
        self.turn = vm;
        self.turns += u32::from(vm == Some(0));
    }

    fn notify(&mut self, _: vm_components::Channel) {
        panic!("the console signals nobody");
    }
}

/// What the console and its peers share, for one run after the other.
struct Memory {
    vms: [VmMemory; 2],
    /// Of which only the text ring is used.
    watch: VmMemory,
}

impl Memory {
    fn new() -> Self {
        Self {
            vms: [VmMemory::new(), VmMemory::new()],
            watch: VmMemory::new(),
        }
    }
}

/// The console and its peers, which the test plays.
struct System<'a> {
    memory: &'a Memory,
    kept: *mut KeptConsole,
    console: Console,
    log: [BoundedProducer<LOG_SLOTS>; 2],
    text: [BoundedProducer<CONSOLE_SLOTS>; 2],
    trace: OverwritingProducer<TRACE_SLOTS>,
    watch: BoundedProducer<CONSOLE_SLOTS>,
    now: Now,
    wire: Wire,
    /// The lines and accesses with which VM 0 fills its rings, again whenever the console has died.
    floods: Option<[u64; 2]>,
}

/// A console that goes on from what is kept.
fn start(memory: &Memory, kept: *mut KeptConsole) -> Console {
    let vms = [0, 1].map(|vm: u8| {
        let at = usize::from(vm);
        (memory.vms[at].console_port(), logging_vm(vm, NAMES[at]))
    });
    let system = SystemPort {
        text: memory.watch.text,
        text_reader: memory.watch.text_reader,
    };
    // SAFETY: it was allocated by `run`, which frees it at its end, and the console that had a reference
    // to it before is used no more.
    let kept = unsafe { &mut *kept };
    let mut console = Console::init(vms, Some(system), kept, CLOCK);
    console.stream(0, memory.vms[ONE].trace);
    console
}

/// Lets a script run with the console dying as it is to.
fn run(memory: &Memory, deaths: &mut Deaths, script: impl Fn(&mut System, &mut Deaths)) -> Wire {
    memory.vms.iter().for_each(VmMemory::clear);
    memory.watch.clear();
    let kept = Box::into_raw(Box::<KeptConsole>::default());
    let [one, other] = &memory.vms;
    let mut system = System {
        memory,
        kept,
        log: [one.log_producer(CLOCK, 0), other.log_producer(CLOCK, 1)],
        text: [one.text_producer(CLOCK, 0), other.text_producer(CLOCK, 1)],
        trace: one.trace_producer(CLOCK, 0),
        watch: memory.watch.text_producer(CLOCK, 0xff),
        console: start(memory, kept),
        now: Now::default(),
        wire: Wire::default(),
        floods: None,
    };
    script(&mut system, deaths);
    let wire = std::mem::take(&mut system.wire);
    drop(system);
    // SAFETY: it was allocated above, and those with references to it are no more.
    drop(unsafe { Box::from_raw(kept) });
    wire
}

impl System<'_> {
    /// The clock wakes the console, which says what its platform has it say when there is a verdict. Who
    /// has died is made anew, and told the same again.
    fn wake(&mut self, deaths: &mut Deaths) {
        self.now.time += HZ / 10;
        loop {
            (self.now.turn, self.now.turns) = (None, 0);
            let Self {
                console, now, wire, ..
            } = self;
            let done = deaths.attempt(|| {
                console.notified(only(channel::console::CLOCK), now, wire);
                if console.verdict().is_some() {
                    console.finish(&LAST_LINES, wire);
                }
            });
            if done.is_some() {
                return;
            }
            self.wire.cuts.push(self.wire.bytes.len());
            self.flood();
            self.console = loop {
                let made = deaths.attempt(|| start(self.memory, self.kept));
                if let Some(console) = made {
                    break console;
                }
                self.wire.cuts.push(self.wire.bytes.len());
            };
        }
    }

    fn log(&mut self, vm: usize, words: &Payload) {
        assert!(self.log[vm].push(words).is_ok());
    }

    fn accesses(&mut self, vm: usize, numbers: std::ops::RangeInclusive<u64>) {
        for number in numbers {
            self.log(vm, &access(Direction::Read, number).to_words());
        }
    }

    /// Fills the rings of VM 0, with numbered lines and accesses.
    fn flood(&mut self) {
        let Some([mut lines, mut accesses]) = self.floods else {
            return;
        };
        while self.text[ONE].has_room() {
            lines += 1;
            self.text(ONE, &format!("line {lines}\n"));
        }
        while self.log[ONE].has_room() {
            accesses += 1;
            self.accesses(ONE, accesses..=accesses);
        }
        self.floods = Some([lines, accesses]);
    }

    fn traced(&mut self, numbers: std::ops::RangeInclusive<u64>) {
        for number in numbers {
            self.trace.push(&access(Direction::Read, number).to_words());
        }
    }

    fn misbehaved(&mut self, vm: usize, ring: RingFate) {
        let misbehaviour = Misbehaviour {
            time: 1,
            count: 3,
            last: Misdeed::Number,
            ring,
        };
        self.log(vm, &misbehaviour.to_words(Stamp::new(0, EVENT_NONE)));
    }

    fn sums(&mut self, vm: usize) {
        let sums = [
            DeviceSummary::default().to_words(Tag::new(Kind::DeviceSummary)),
            VmSummary::default().to_words(Tag::new(Kind::VmSummary)),
            Span::default().to_words(1, Tag::new(Kind::Span)),
        ];
        for words in sums {
            self.log(vm, &words);
        }
    }

    fn text(&mut self, vm: usize, text: &str) {
        for chunk in text.as_bytes().chunks(40) {
            let words = ConsoleRecord::Text(Text::new(1, chunk)).to_words();
            assert!(self.text[vm].push(&words).is_ok());
        }
    }

    fn notice(&mut self, vm: usize, notice: Notice) {
        let notice = ConsoleRecord::Notice {
            time: 1,
            notice,
            number: 9,
            address: Address::memory(LOC),
            pc: 4,
        };
        assert!(self.text[vm].push(&notice.to_words()).is_ok());
    }

    fn watch_says(&mut self, record: ConsoleRecord) {
        assert!(self.watch.push(&record.to_words()).is_ok());
    }

    fn watch_prints(&mut self, text: &str) {
        for chunk in text.as_bytes().chunks(40) {
            self.watch_says(ConsoleRecord::Text(Text::new(0, chunk)));
        }
    }
}

/// Something of everything, in no hurry.
fn quiet(system: &mut System, deaths: &mut Deaths) {
    system.accesses(ONE, 1..=3);
    system.log(ONE, &record(Kind::Reset).to_words());
    system.traced(1..=5);
    system.text(ONE, "a line, and the next\nin part");
    system.accesses(OTHER, 1..=2);
    system.watch_prints("warn pd-trace restarted (1)\nits last wor");
    system.wake(deaths);
    system.text(ONE, ", which goes on\n\n");
    system.text(ONE, &"long".repeat(60));
    system.notice(ONE, Notice::Refused);
    system.misbehaved(ONE, RingFate::Open);
    // Nothing that there is, in either ring.
    system.log(OTHER, &[0; 7]);
    assert!(system.text[OTHER].push(&[0; 7]).is_ok());
    system.notice(OTHER, Notice::TraceGone);
    system.watch_prints("ds\n");
    system.wake(deaths);
    system.misbehaved(ONE, RingFate::Closed);
    system.text(OTHER, "prompt> ");
    system.traced(6..=8);
    system.wake(deaths);
    system.wake(deaths);
    system.text(OTHER, "answer\nlast wor");
    system.notice(OTHER, Notice::Ended(EndReason::GuestFailed));
    system.accesses(ONE, 4..=5);
    system.sums(ONE);
    system.log(ONE, &end(EndReason::PoweredOff).to_words());
    system.wake(deaths);
    system.text(OTHER, "ds");
    system.watch_says(ConsoleRecord::VmDied { time: 2, vm: 1 });
    system.watch_prints("the monitor is not ");
    system.watch_says(ConsoleRecord::Verdict(Verdict::Ok));
    system.wake(deaths);
    system.wake(deaths);
}

/// More than the line has room for.
fn storm(system: &mut System, deaths: &mut Deaths) {
    system.accesses(OTHER, 1..=2);
    system.traced(1..=10);
    system.accesses(ONE, 1..=80);
    system.wake(deaths);
    system.text(ONE, "in the storm\n");
    system.text(OTHER, "beside it\n");
    for first in [81, 101, 121] {
        system.accesses(ONE, first..=first + 19);
        system.wake(deaths);
    }
    // The line has room again, but these are long ago by now; one is not.
    system.accesses(ONE, 141..=143);
    let fresh = Record {
        time: system.now.time + HZ / 10,
        ..access(Direction::Read, 144)
    };
    system.log(ONE, &fresh.to_words());
    system.wake(deaths);
    // And has none any more when the sums come, which are printed whatever it has.
    system.accesses(ONE, 145..=STORM);
    system.sums(ONE);
    system.log(ONE, &end(EndReason::PoweredOff).to_words());
    system.sums(OTHER);
    system.log(OTHER, &end(EndReason::PoweredOff).to_words());
    system.watch_says(ConsoleRecord::Verdict(Verdict::Ok));
    for _ in 0..10 {
        system.wake(deaths);
    }
}

const STORM: u64 = 190;

/// What came over a wire.
#[derive(Default)]
struct Seen {
    /// The lines of each VM, and of the monitor.
    lines: [Vec<String>; 3],
    /// How many of them were told missing.
    told: [u64; 3],
    /// Of which so many may be told again, since their number was on its way.
    in_doubt: [u64; 3],
    /// Records that the sums of each VM say are not printed.
    unprinted: [Option<u64>; 2],
    /// Beginnings of lines that have not gone on.
    beginnings: u64,
    last: Vec<String>,
    /// Records of the trace that arrived.
    records: Vec<u64>,
    deaths: usize,
}

const MONITOR: usize = 2;

impl Seen {
    fn of(wire: &Wire) -> Self {
        let mut seen = Self {
            deaths: wire.cuts.len(),
            ..Self::default()
        };
        seen.receive(&wire.bytes);
        let ends = wire.cuts.iter().copied().chain([wire.bytes.len()]);
        let mut begin = 0;
        let mut was_cut = false;
        for end in ends {
            was_cut = seen.read(&wire.bytes[begin..end], was_cut);
            begin = end;
        }
        seen
    }

    /// The frames: none twice, and each that is missing shows as a gap.
    fn receive(&mut self, bytes: &[u8]) {
        let mut decoder = Decoder::new();
        let mut numbers = Vec::new();
        for byte in bytes {
            if let Some(Received::Frame(frame)) = decoder.push(*byte) {
                numbers.push(frame.number);
                if let Content::Record { sequence, .. } = frame.content {
                    self.records.push(sequence);
                }
            }
        }
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
        assert!(self.records.is_sorted_by(|one, next| one < next));
        let sent = numbers.last().map_or(0, |last| *last as usize + 1);
        assert!(sent - numbers.len() <= self.deaths, "{numbers:?}");
    }

    /// Reads what came from one death to the next. Whether it was cut short in a line or a frame.
    fn read(&mut self, piece: &[u8], is_after_cut: bool) -> bool {
        // Half a line is told from a whole one.
        if is_after_cut && b" (cut)\n".starts_with(piece) {
            return piece != b" (cut)\n";
        }
        let piece = match is_after_cut {
            true => piece.strip_prefix(b" (cut)\n"),
            false => Some(piece),
        };
        let piece = piece.expect("a line that was cut ends");
        // Frames stand between zeroes.
        let parts: Vec<&[u8]> = piece.split(|byte| *byte == 0).collect();
        let is_in_frame = parts.len().is_multiple_of(2);
        let text: Vec<u8> = parts.into_iter().step_by(2).collect::<Vec<_>>().concat();
        let text = String::from_utf8(text).unwrap();
        let (whole, rest) = text.rsplit_once('\n').unwrap_or(("", &text));
        // A line that had its end as well has another.
        for line in whole.lines().filter(|line| *line != " (cut)") {
            self.take(line);
        }
        if let Some((source, lost)) = whole.lines().last().and_then(lost) {
            self.in_doubt[source] += lost;
        }
        is_in_frame || !rest.is_empty()
    }

    fn take(&mut self, line: &str) {
        if LAST_LINES.contains(&format!("{line}\n").as_str()) {
            return self.last.push(line.into());
        }
        assert_eq!(self.last, [""; 0], "after the last lines: {line}");
        if let Some((source, lost)) = lost(line) {
            self.told[source] += lost;
            return;
        }
        let source = source(line);
        // The beginning of a line is shown when it has not gone on for a while, and which lines that
        // are depends on when the console looks.
        if line.contains(&format!(" {}> ", NAMES[ONE])) || line.contains(" other> ") {
            self.beginnings += 1;
            return;
        }
        let mut line = line.to_owned();
        if let Some((before, after)) = line.split_once(" not printed") {
            let number = before.rsplit(' ').next().unwrap();
            self.unprinted[source] = Some(number.parse().unwrap());
            line = format!("{} …{after}", before.trim_end_matches(number));
        }
        self.lines[source].push(line);
    }

    fn events(&self, vm: usize) -> u64 {
        let lines = self.lines[vm].iter();
        lines.filter(|line| line.contains(" seq ")).count() as u64
    }
}

/// Whose line it is.
fn source(line: &str) -> usize {
    let Some((_, rest)) = line.split_once("] ") else {
        return MONITOR;
    };
    let is_of = |name: &&str| {
        let after = rest.strip_prefix(*name);
        after.is_some_and(|rest| rest.starts_with(['|', '>']))
            || rest.get(6..).is_some_and(|rest| rest.starts_with(*name))
    };
    NAMES
        .iter()
        .position(is_of)
        .unwrap_or_else(|| panic!("whose is {line}"))
}

/// How many lines of whom this one says are missing.
fn lost(line: &str) -> Option<(usize, u64)> {
    let before = line.strip_suffix(" lost")?;
    let (_, number) = before.split_once(": ")?;
    let number = number.split(' ').next()?.parse().ok()?;
    let is_of_monitor = line.starts_with("warn the monitor: ");
    Some((if is_of_monitor { MONITOR } else { source(line) }, number))
}

/// Whether the line is of what a log ring says. How those of several rings are mixed depends on when
/// the console looks at each.
fn from_log(line: &str) -> bool {
    let words = [
        " seq ",
        "reset",
        "no accesses",
        " accesses = ",
        "ended: ",
        "times, last an access",
    ];
    words.iter().any(|words| line.contains(words))
}

/// Whether it is of what the guest prints, or its VMM or the monitor says.
fn from_text(line: &str) -> bool {
    !from_log(line) && !line.contains("misbehaves")
}

fn is_subsequence<'a>(
    mut part: impl Iterator<Item = &'a String>,
    mut whole: impl Iterator<Item = &'a String>,
) -> bool {
    part.all(|line| whole.any(|other| other == line))
}

/// That an undisturbed run has what the others are compared with.
fn assert_whole(undisturbed: &Seen, lines: [usize; 3], records: u64) {
    let counts = undisturbed.lines.each_ref().map(Vec::len);
    assert_eq!(counts, lines, "{:#?}", undisturbed.lines);
    assert!(undisturbed.records.iter().copied().eq(1..=records));
    assert_eq!(undisturbed.beginnings, 2);
    assert_eq!(undisturbed.last, LAST_LINES.map(str::trim));
}

/// What is said of a record that is skipped, or of a ring that is closed, since the console died over it.
const DEADLY: &str = " of which its reader died";

/// What every run has, however often the console dies. How many lines are missing.
fn compare(undisturbed: &Seen, seen: &Seen, sources: &[usize], at: &str) -> u64 {
    let deaths = seen.deaths as u64;
    let mut missing = 0;
    for source in sources {
        // Of a record that is skipped nobody knows how many lines it would have been.
        if seen.lines[*source].iter().any(|line| line.contains(DEADLY)) {
            continue;
        }
        let (lines, all) = (&seen.lines[*source], &undisturbed.lines[*source]);
        for comes_from in [from_log, from_text] {
            let [lines, all] =
                [lines, all].map(|lines| lines.iter().filter(|line| comes_from(line)));
            let seen: Vec<_> = lines.clone().collect();
            assert!(is_subsequence(lines, all), "{at}: {seen:#?}");
        }
        let lost = (all.len() - lines.len()) as u64;
        let told = seen.told[*source];
        assert!(lost <= told, "{at}: {lost} missing, {told} told");
        assert!(told - seen.in_doubt[*source].min(told) <= deaths, "{at}");
        missing += lost;
    }
    missing += undisturbed.beginnings.saturating_sub(seen.beginnings);
    // A frame that is missing costs a death, too.
    assert!(missing <= deaths, "{at}: {missing} lines");
    // The verdict is there, and only the line on its way is printed again.
    assert_eq!(seen.last.last(), undisturbed.last.last(), "{at}");
    let mut last = seen.last.clone();
    assert!(last.len() <= undisturbed.last.len() + seen.deaths, "{at}");
    last.dedup();
    assert_eq!(last, undisturbed.last, "{at}");
    assert!(
        undisturbed.records.len() - seen.records.len() <= seen.deaths,
        "{at}"
    );
    missing
}

/// In a storm: what is printed and what is told missing add up to what there was.
fn compare_sums(seen: &Seen, at: &str) {
    let deaths = seen.deaths as u64;
    let lines = &seen.lines[ONE];
    assert!(
        !lines.iter().any(|line| line.contains("misbehaves")),
        "{at}"
    );
    let printed = seen.events(ONE);
    let all = printed + seen.told[ONE];
    assert!(all >= STORM, "{at}: {printed} and {}", seen.told[ONE]);
    assert!(
        all - seen.in_doubt[ONE].min(seen.told[ONE]) <= STORM + deaths,
        "{at}"
    );
    if let Some(unprinted) = seen.unprinted[ONE] {
        let all = printed + unprinted;
        assert!((STORM..=STORM + deaths).contains(&all), "{at}: {all}");
    }
}

#[test]
fn whoever_dies_over_a_line_costs_that_line_and_says_so() {
    let memory = Memory::new();
    let run = |deaths: &mut Deaths| Seen::of(&run(&memory, deaths, quiet));
    let all = [ONE, OTHER, MONITOR];
    let falsely_told = Cell::new(0);
    let steps = deaths::once(run, |undisturbed, seen, step| {
        assert_whole(undisturbed, [18, 9, 3], 8);
        let missing = compare(undisturbed, seen, &all, &format!("dead at step {step}"));
        falsely_told.set(falsely_told.get() + seen.told.iter().sum::<u64>() - missing);
    });
    assert!(steps > 500, "{steps} steps");
    // A line is whole and not known to be at two steps: before `write` returns, and before that is kept.
    let lines = 18 + 9 + 3 + 2;
    assert_eq!(falsely_told.get(), 2 * lines);
}

#[test]
fn whoever_dies_in_a_storm_goes_on_counting() {
    let memory = Memory::new();
    let run = |deaths: &mut Deaths| Seen::of(&run(&memory, deaths, storm));
    let steps = deaths::once(run, |undisturbed, seen, step| {
        let at = format!("dead at step {step}");
        assert_eq!(undisturbed.events(ONE) + undisturbed.told[ONE], STORM);
        compare(undisturbed, seen, &[OTHER, MONITOR], &at);
        compare_sums(seen, &at);
    });
    assert!(steps > 500, "{steps} steps");
}

#[test]
fn whoever_dies_twice_costs_no_more_than_two_lines() {
    let memory = Memory::new();
    let run = |deaths: &mut Deaths| Seen::of(&run(&memory, deaths, quiet));
    let seconds = [0, 1, 3, 6, 20, 70].into_iter();
    deaths::twice(run, seconds, |undisturbed, seen, steps| {
        let all = [ONE, OTHER, MONITOR];
        compare(undisturbed, seen, &all, &format!("dead at steps {steps:?}"));
    });
}

/// The numbers of the flood's accesses or lines that are printed.
fn numbers(seen: &Seen, before: &str) -> Vec<u64> {
    let lines = seen.lines[ONE].iter();
    let numbers = lines.filter_map(|line| line.split_once(before)?.1.parse().ok());
    numbers.collect()
}

#[test]
fn no_place_is_given_back_before_it_is_kept_that_its_record_was_taken() {
    let memory = Memory::new();
    let flooded = Cell::new(0);
    let flood = |system: &mut System, deaths: &mut Deaths| {
        system.floods = Some([0, 0]);
        system.flood();
        for _ in 0..10 {
            system.wake(deaths);
        }
        flooded.set(system.floods.take().unwrap().iter().sum());
        for _ in 0..20 {
            system.wake(deaths);
        }
    };
    // A run is long, and from one record to the next it does the same.
    for step in (0..).step_by(23) {
        let mut deaths = Deaths::at(&[step]);
        let seen = Seen::of(&run(&memory, &mut deaths, flood));
        let lines = &seen.lines[ONE];
        assert!(!lines.iter().any(|line| line.contains("misbehaves")));
        for before in ["| line ", " seq "] {
            let printed = numbers(&seen, before);
            assert!(printed.is_sorted_by(|one, next| one < next), "{printed:?}");
        }
        let all = lines.len() as u64 + seen.told[ONE];
        assert!(all >= flooded.get(), "dead at step {step}: {all}");
        if deaths.died == 0 {
            let rings = (CONSOLE_SLOTS + LOG_SLOTS) as u64;
            assert_eq!((all, flooded.get()), (rings, rings));
            return;
        }
    }
}

/// The console dies so often in this turn of VM 0, each time that the clock wakes it.
struct Kills {
    times: u32,
    in_turn: u32,
    wake_ups: u64,
    /// From one to the next.
    ticks: u64,
}

/// The VM's first turn is of its trace, the second of its records.
const IN_TRACE: u32 = 1;
const OVER_A_RECORD: u32 = 2;

/// What is seen of a run in which both VMs access their devices after each wake-up, as long as the
/// console listens, and then end.
fn seen_with(kills: &Kills) -> Seen {
    let script = |system: &mut System, deaths: &mut Deaths| {
        for number in 1..=kills.wake_ups {
            system.accesses(ONE, 3 * number - 2..=3 * number);
            system.traced(number..=number);
            system.accesses(OTHER, number..=number);
            (system.now.kills, system.now.in_turn) = (kills.times, kills.in_turn);
            system.wake(deaths);
            assert_eq!(system.now.kills, 0);
            system.now.time += kills.ticks;
        }
        system.traced(kills.wake_ups + 1..=kills.wake_ups + 1);
        for vm in [ONE, OTHER] {
            system.log(vm, &end(EndReason::PoweredOff).to_words());
        }
        system.watch_says(ConsoleRecord::Verdict(Verdict::Ok));
        system.wake(deaths);
    };
    let mut deaths = Deaths::at(&[]);
    let seen = Seen::of(&run(&Memory::new(), &mut deaths, script));
    assert_eq!(seen.deaths as u64, u64::from(kills.times) * kills.wake_ups);
    assert_eq!(seen.last, LAST_LINES.map(str::trim));
    assert_eq!(seen.told[OTHER], 0);
    let others = seen.lines[OTHER].len() as u64;
    assert_eq!(others, kills.wake_ups + 1, "{:#?}", seen.lines[OTHER]);
    seen
}

#[test]
fn the_third_death_within_ten_seconds_closes_the_rings_of_the_vm_and_of_no_other() {
    let seen = seen_with(&Kills {
        times: 3,
        in_turn: IN_TRACE,
        wake_ups: 1,
        ticks: 0,
    });
    let one = &seen.lines[ONE];
    let closed = one
        .iter()
        .filter(|line| line.ends_with("; its ring is closed"));
    assert_eq!(closed.count(), 2, "{one:#?}");
    assert!(one.iter().all(|line| line.contains(DEADLY)), "{one:#?}");
    assert_eq!(seen.records, [1], "that was on its way");
}

#[test]
fn deaths_that_are_far_apart_close_nothing() {
    let seen = seen_with(&Kills {
        times: 1,
        in_turn: IN_TRACE,
        wake_ups: 5,
        ticks: 5 * HZ,
    });
    assert_eq!((seen.events(ONE), seen.told[ONE]), (15, 0));
    assert_eq!(seen.records, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_record_that_kills_is_tried_twice_and_then_skipped_and_told() {
    let with = |times| {
        seen_with(&Kills {
            times,
            in_turn: OVER_A_RECORD,
            wake_ups: 1,
            ticks: 0,
        })
    };
    let once = with(1);
    assert_eq!((once.events(ONE), once.told[ONE]), (3, 0));
    let twice = with(2);
    assert_eq!((twice.events(ONE), twice.told[ONE]), (2, 1));
    let lines = twice.lines[ONE].iter();
    let named: Vec<_> = lines.filter(|line| line.contains(DEADLY)).collect();
    assert!(
        named.len() == 1 && named[0].contains("the record at position 0 of its ring"),
        "{named:?}"
    );
}
