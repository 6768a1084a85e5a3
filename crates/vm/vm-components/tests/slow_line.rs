//! The console component on a line that takes its time, as a real serial port does: a character
//! has to be waited for, and meanwhile the guest goes on.

mod fixtures;

use fixtures::{VmMemory, access, end, leak_mut, logging_vm, only};
use guest_access::Direction;
use shared_ring::{BoundedProducer, Wake};
use std::cell::RefCell;
use trace_records::{CONSOLE_SLOTS, ConsoleRecord, EndReason, LOG_SLOTS, Record, Text};
use vm_components::{
    Channel, ChannelSet, Clock, Console, Host, KeptConsole, Output, SystemPort, Verdict, channel,
};

const HZ: u64 = 115_200 * 100;
const MS: u64 = HZ / 1000;
const CLOCK: Clock = Clock {
    hz: HZ,
    start_ticks: 0,
};
/// 115200 baud, ten bits a character.
const CHARACTER_TICKS: u64 = HZ / 11_520;

const NAMES: [&str; 2] = ["one", "other"];

/// How long after the others the guest makes its last access.
const PAUSE: u64 = 500 * MS;

/// A guest that makes one access every `period` ticks until `end`, and one after a pause.
struct Guest {
    log: BoundedProducer<LOG_SLOTS>,
    next: u64,
    period: u64,
    end: u64,
    accesses: u64,
    /// Filled with text when the guest ends, if it does.
    last_words: Option<BoundedProducer<CONSOLE_SLOTS>>,
}

/// Time, and the guests that go on with it.
struct World {
    now: u64,
    guests: Vec<Guest>,
    wakes_console: bool,
}

impl World {
    fn pass(&mut self, ticks: u64) {
        self.now += ticks;
        for guest in &mut self.guests {
            self.wakes_console |= guest.run_until(self.now);
        }
    }
}

impl Guest {
    /// Whether the console is to be woken.
    fn run_until(&mut self, now: u64) -> bool {
        let mut wakes = false;
        if now >= self.end
            && let Some(mut words) = self.last_words.take()
        {
            let text = Text::new(self.end, b"a guest that has much to say at its end\n");
            let text = ConsoleRecord::Text(text).to_words();
            while words.push(&text).is_ok() {}
            let end = Record {
                time: self.end,
                ..end(EndReason::PoweredOff)
            };
            let _ = self.log.push(&end.to_words());
            self.next = u64::MAX;
            return true;
        }
        while self.next <= now.min(self.end + PAUSE) {
            self.accesses += 1;
            let record = Record {
                time: self.next,
                ..access(Direction::Read, self.accesses)
            };
            // As the trace component does: a full ring wakes the console, too.
            wakes |= self.log.push_or_lose(&record.to_words()).is_err();
            wakes |= self.log.take_wake() == Wake::Asked;
            self.next += match self.next == self.end {
                true => PAUSE,
                false => self.period,
            };
        }
        wakes
    }
}

struct Platform<'a>(&'a RefCell<World>);

impl Host for Platform<'_> {
    /// The console's work takes time, too: about a microsecond for each look at the clock.
    fn now(&mut self) -> u64 {
        self.0.borrow_mut().pass(MS / 1000);
        self.0.borrow().now
    }

    fn notify(&mut self, _: Channel) {}
}

/// A line of the log, and when its last character was sent.
struct Line {
    sent: u64,
    text: String,
}

struct SerialLine<'a> {
    world: &'a RefCell<World>,
    lines: Vec<Line>,
}

impl Output for SerialLine<'_> {
    fn write(&mut self, bytes: &[u8]) {
        self.world
            .borrow_mut()
            .pass(bytes.len() as u64 * CHARACTER_TICKS);
        let text = std::str::from_utf8(bytes).unwrap().to_owned();
        let sent = self.world.borrow().now;
        self.lines.push(Line { sent, text });
    }
}

/// Guests that make so many accesses, one every so many ticks, after a second of silence, and
/// then one more; what is printed of them, and how many accesses each has made in fact.
fn run(guests: &[(u64, u64)]) -> (Vec<Line>, Vec<u64>) {
    run_to_the_end_of(None, guests)
}

/// The same, and the guest of this VM ends instead of its last access, with a ring full of text.
fn run_to_the_end_of(ending: Option<u8>, guests: &[(u64, u64)]) -> (Vec<Line>, Vec<u64>) {
    const BEGIN: u64 = 1000 * MS;
    let mut ports = Vec::new();
    let guests = (0..).zip(guests).map(|(vm, (accesses, period))| {
        let memory = VmMemory::new();
        let config = logging_vm(vm, NAMES[usize::from(vm)]);
        ports.push((memory.console_port(), config));
        Guest {
            log: memory.log_producer(CLOCK, vm),
            next: BEGIN,
            period: *period,
            end: BEGIN + (accesses - 1) * period,
            accesses: 0,
            last_words: (ending == Some(vm)).then(|| memory.text_producer(CLOCK, vm)),
        }
    });
    let guests: Vec<Guest> = guests.collect();
    let end = guests.iter().map(|guest| guest.end).max().unwrap();
    let mut console = Console::init(ports, None, leak_mut(KeptConsole::new()), CLOCK);
    let world = RefCell::new(World {
        now: 0,
        guests,
        wakes_console: false,
    });
    let mut output = SerialLine {
        world: &world,
        lines: Vec::new(),
    };
    let mut next_clock = 0;
    while world.borrow().now < end + 1000 * MS {
        let mut channels = ChannelSet::EMPTY;
        if std::mem::take(&mut world.borrow_mut().wakes_console) {
            channels.insert(channel::console::TRACE);
        }
        if world.borrow().now >= next_clock {
            channels.insert(channel::console::CLOCK);
            // The clock that signals while the console is busy has signalled once.
            next_clock = world.borrow().now.next_multiple_of(100 * MS) + 100 * MS;
        }
        if channels != ChannelSet::EMPTY {
            console.notified(channels, &mut Platform(&world), &mut output);
        }
        world.borrow_mut().pass(MS / 10);
    }
    let guests = &world.borrow().guests;
    let accesses = guests.iter().map(|guest| guest.accesses).collect();
    (output.lines, accesses)
}

impl Line {
    /// The time with which the line begins.
    fn stamp(&self) -> u64 {
        let seconds = self.text[1..self.text.find(']').unwrap()].trim();
        let (whole, micros) = seconds.split_once('.').unwrap();
        let micros = whole.parse::<u64>().unwrap() * 1_000_000 + micros.parse::<u64>().unwrap();
        micros * HZ / 1_000_000
    }

    fn lost(&self) -> Option<u64> {
        let before = self.text.split_once(" log lines lost")?.0;
        before.rsplit(' ').next()?.parse().ok()
    }
}

#[test]
fn a_burst_is_printed_whole_however_long_the_line_takes() {
    // 4096 characters at once, or more if the line carries some meanwhile.
    for (accesses, period) in [(10, MS / 10), (40, MS / 10), (60, 5 * MS)] {
        let (lines, made) = run(&[(accesses, period)]);
        assert_eq!(made, [accesses + 1]);
        let lost: u64 = lines.iter().filter_map(Line::lost).sum();
        assert_eq!((lines.len() as u64, lost), (made[0], 0));
    }
}

#[test]
fn in_a_storm_the_line_is_never_far_behind_and_says_what_is_missing() {
    let (lines, accesses) = run(&[(100_000, MS / 20)]);
    let lost: u64 = lines.iter().filter_map(Line::lost).sum();
    let printed = lines.iter().filter(|line| line.lost().is_none()).count() as u64;
    assert_eq!(printed + lost, accesses[0]);
    assert!(printed > 400, "{printed} lines in five seconds");
    // 4096 characters take 356 ms.
    for line in &lines {
        let behind = line.sent - line.stamp();
        assert!(behind < 400 * MS, "{} ticks behind: {}", behind, line.text);
    }
    let stamps = lines.iter().filter(|line| line.lost().is_some());
    let stamps = std::iter::once(1000 * MS).chain(stamps.map(Line::stamp));
    let during: Vec<u64> = stamps.filter(|stamp| *stamp < 6000 * MS).collect();
    assert!(during.last().is_some_and(|stamp| *stamp > 5900 * MS));
    for pair in during.windows(2) {
        let silent = pair[1].saturating_sub(pair[0]);
        assert!(
            silent <= 100 * MS,
            "silent from {} for {silent} ticks",
            pair[0]
        );
    }
}

#[test]
fn beside_a_storm_the_other_loses_no_line_and_waits_for_turns_alone() {
    let (lines, accesses) = run(&[(100_000, MS / 20), (200, 20 * MS)]);
    let others = lines.iter().filter(|line| line.text.contains(NAMES[1]));
    let mut printed = 0;
    for line in others {
        assert_eq!(line.lost(), None);
        printed += 1;
        // Its own turn and the other's, 512 characters and the end of a line: 50 ms each.
        let behind = line.sent - line.stamp();
        assert!(behind < 110 * MS, "{behind} ticks behind: {}", line.text);
    }
    assert_eq!(printed, accesses[1]);
}

#[test]
fn beside_the_last_words_of_a_vm_the_other_loses_no_line() {
    let (lines, accesses) = run_to_the_end_of(Some(0), &[(20, 50 * MS), (60, 50 * MS)]);
    let others = lines.iter().filter(|line| line.text.contains(NAMES[1]));
    let mut printed = 0;
    for line in others {
        assert_eq!(line.lost(), None);
        printed += 1;
        // As beside a storm, and once more in a wake-up of the clock.
        let behind = line.sent - line.stamp();
        assert!(behind < 220 * MS, "{behind} ticks behind: {}", line.text);
    }
    assert_eq!(printed, accesses[1]);
    let ended = lines.iter().filter(|line| line.text.contains("one: ended"));
    assert_eq!(ended.count(), 1);
}

/// A turn of the console ends in the middle of the log where the line is slow: what is behind it the
/// console has not seen when it is asked for the verdict.
#[test]
fn a_bad_verdict_waits_for_an_end_that_is_behind_a_storm() {
    let (memory, watch_memory) = (VmMemory::new(), VmMemory::new());
    let mut watch = watch_memory.text_producer(CLOCK, 0xff);
    let mut log = memory.log_producer(CLOCK, 0);
    let vms = [(memory.console_port(), logging_vm(0, NAMES[0]))];
    let system = SystemPort {
        text: watch_memory.text,
        text_reader: watch_memory.text_reader,
    };
    let mut console = Console::init(vms, Some(system), leak_mut(KeptConsole::new()), CLOCK);
    let world = RefCell::new(World {
        now: 0,
        guests: Vec::new(),
        wakes_console: false,
    });
    let mut output = SerialLine {
        world: &world,
        lines: Vec::new(),
    };
    for number in 1..LOG_SLOTS as u64 {
        log.push(&access(Direction::Read, number).to_words())
            .unwrap();
    }
    log.push(&end(EndReason::GuestFailed).to_words()).unwrap();
    let verdict = ConsoleRecord::Verdict(Verdict::Failed);
    watch.push(&verdict.to_words()).unwrap();
    for _ in 0..100 {
        let clock = only(channel::console::CLOCK);
        console.notified(clock, &mut Platform(&world), &mut output);
        if console.verdict().is_some() {
            break;
        }
        world.borrow_mut().pass(100 * MS);
    }
    assert_eq!(console.verdict(), Some(Verdict::Failed));
    let last = &output.lines.last().unwrap().text;
    assert!(last.contains("one: ended"), "{last}");
}
