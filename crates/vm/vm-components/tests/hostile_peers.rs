//! The console with a VMM and a trace component that write what they like into the rings of one
//! VM, beside another VM that is well; and with whoever watches over the components.

mod fixtures;

use fixtures::{LINE_RATE, Screen, VmMemory, access, logging_vm, only, set_header_word};
use guest_access::Direction;
use shared_ring::{BoundedProducer, Payload, header_word};
use std::cell::RefCell;
use trace_records::{
    Address, CONSOLE_SLOTS, ConsoleRecord, DeviceSummary, EVENT_NONE, EndReason, Kind, LOG_SLOTS,
    Misbehaviour, Misdeed, Notice, RingFate, Span, Stamp, Tag, Text, VmSummary,
};
use vm_components::{
    Channel, Clock, Console, Host, MOST_MISDEEDS, Output, SystemPort, Verdict, channel,
};

const HZ: u64 = 1_000_000;
const CLOCK: Clock = Clock {
    hz: HZ,
    start_ticks: 0,
};
const NAMES: [&str; 2] = ["hostile", "honest"];
const HOSTILE: usize = 0;
const HONEST: usize = 1;

/// What the clock reads; each look takes a tick.
struct Now(u64);

impl Host for Now {
    fn now(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }

    fn notify(&mut self, _: Channel) {}
}

struct Peers {
    memory: VmMemory,
    log: BoundedProducer<LOG_SLOTS>,
    text: BoundedProducer<CONSOLE_SLOTS>,
}

struct System {
    console: Console,
    vms: [Peers; 2],
    watch: BoundedProducer<CONSOLE_SLOTS>,
    /// Of which only the text ring is used.
    watch_memory: VmMemory,
    now: Now,
    screen: Screen,
}

/// Whether somebody watches over the components.
#[derive(PartialEq)]
enum Watch {
    There,
    Nobody,
}

fn system(watch: Watch) -> System {
    let mut ports = Vec::new();
    let vms = [0, 1].map(|vm: u8| {
        let memory = VmMemory::new();
        let config = logging_vm(vm, NAMES[usize::from(vm)]);
        ports.push((memory.console_port(), config));
        Peers {
            log: memory.log_producer(CLOCK, vm),
            text: memory.text_producer(CLOCK, vm),
            memory,
        }
    });
    let watch_memory = VmMemory::new();
    let port = SystemPort {
        text: watch_memory.text,
        text_reader: watch_memory.text_reader,
    };
    let port = (watch == Watch::There).then_some(port);
    System {
        console: Console::init(ports, port, CLOCK),
        vms,
        watch: watch_memory.text_producer(CLOCK, 0xff),
        watch_memory,
        now: Now(0),
        screen: Screen::default(),
    }
}

fn end(reason: EndReason) -> Payload {
    fixtures::end(reason).to_words()
}

fn read() -> Payload {
    access(Direction::Read, 7).to_words()
}

fn text(text: &[u8]) -> Payload {
    ConsoleRecord::Text(Text::new(1, text)).to_words()
}

fn notice(notice: Notice) -> Payload {
    ConsoleRecord::Notice {
        time: 1,
        notice,
        number: u64::MAX,
        address: Address::memory(u64::MAX),
        pc: u64::MAX,
    }
    .to_words()
}

/// All that is told of a VM's life, once.
fn sums() -> [Payload; 3] {
    [
        DeviceSummary::default().to_words(Tag::new(Kind::DeviceSummary)),
        VmSummary::default().to_words(Tag::new(Kind::VmSummary)),
        Span::default().to_words(1, Tag::new(Kind::Span)),
    ]
}

impl System {
    /// The clock wakes the console, as it does ten times a second.
    fn wake(&mut self) {
        self.now.0 += HZ / 10;
        self.console.notified(
            only(channel::console::CLOCK),
            &mut self.now,
            &mut self.screen,
        );
    }

    fn watch_says(&mut self, record: ConsoleRecord) {
        assert!(self.watch.push(&record.to_words()).is_ok());
    }

    fn log(&mut self, vm: usize, words: &Payload) {
        let _ = self.vms[vm].log.push(words);
    }

    fn text(&mut self, vm: usize, words: &Payload) {
        let _ = self.vms[vm].text.push(words);
    }

    fn count(&self, with: &str) -> usize {
        self.screen.lines(with).len()
    }

    /// Lets the other VM print a line each time that the clock wakes the console, and sees to
    /// it that each is there at once.
    fn wake_beside_the_honest_one(&mut self, number: usize) {
        let line = format!("line {number} of the honest guest\n");
        self.text(HONEST, &text(line.as_bytes()));
        self.wake();
        assert_eq!(self.count(&format!("honest| {}", line.trim())), 1);
    }
}

#[test]
fn a_second_end_is_not_believed() {
    let mut system = system(Watch::Nobody);
    for vm in [HOSTILE, HONEST] {
        system.log(vm, &end(EndReason::GuestFailed));
    }
    system.log(HOSTILE, &end(EndReason::PoweredOff));
    system.log(HONEST, &end(EndReason::PoweredOff));
    system.wake();
    system.text(HOSTILE, &notice(Notice::Ended(EndReason::PoweredOff)));
    for _ in 0..30 {
        system.log(HOSTILE, &end(EndReason::PoweredOff));
        system.wake();
    }
    assert_eq!(system.count(" ended: "), 2, "{}", system.screen.0);
    assert_eq!(system.count("powered off"), 0);
    assert_eq!(system.console.verdict(), Some(Verdict::Failed));
    assert!(system.count("error hostile: the trace component misbehaves: ") > 1);
}

#[test]
fn sums_are_printed_once_and_forged_ones_counted() {
    let mut system = system(Watch::Nobody);
    for _ in 0..50 {
        for words in sums() {
            system.log(HOSTILE, &words);
        }
    }
    system.wake();
    assert_eq!(system.count("accesses = 0 reads"), 1);
    assert_eq!(system.count(" lost: 0 not logged"), 1);
    assert_eq!(system.count("no accesses"), 1);
    let told =
        "error hostile: the trace component misbehaves: 147 times, last something after the end";
    assert_eq!(system.count(told), 1, "{}", system.screen.0);
}

#[test]
fn ends_sums_and_words_without_end_leave_the_other_vm_its_lines() {
    let mut system = system(Watch::Nobody);
    let newlines = [b'\n'; 40];
    for number in 0..200 {
        for words in sums() {
            for _ in 0..300 {
                system.log(HOSTILE, &words);
                system.log(HOSTILE, &end(EndReason::PoweredOff));
            }
        }
        for _ in 0..CONSOLE_SLOTS / 2 {
            system.text(HOSTILE, &text(&newlines));
            system.text(HOSTILE, &notice(Notice::TraceGone));
        }
        system.wake_beside_the_honest_one(number);
    }
    let most = 20 * LINE_RATE + 3 * 4096;
    assert!(system.screen.0.len() <= most, "{}", system.screen.0.len());
}

#[test]
fn one_record_of_newlines_costs_the_other_vm_no_more_than_a_turn() {
    let mut system = system(Watch::Nobody);
    for _ in 0..CONSOLE_SLOTS {
        system.text(HOSTILE, &text(&[b'\n'; 40]));
    }
    system.text(HONEST, &text(b"here\n"));
    system.wake();
    let before = system.screen.0.split("honest| here").next().unwrap();
    assert!(before.len() <= 512 / 2 + 40, "{} characters", before.len());
    // What was held back is not lost.
    for _ in 0..400 {
        system.wake();
    }
    assert_eq!(system.count("hostile| "), 40 * CONSOLE_SLOTS);
}

/// A line whose writing lets another core fill the hostile VM's console ring again.
struct BusyCore<'a> {
    text: RefCell<&'a mut BoundedProducer<CONSOLE_SLOTS>>,
    refills: u32,
    screen: String,
}

impl Output for BusyCore<'_> {
    fn write(&mut self, bytes: &[u8]) {
        self.screen.push_str(std::str::from_utf8(bytes).unwrap());
        self.refills += 1;
        assert!(self.refills < 10_000, "the console does not come to an end");
        let mut ring = self.text.borrow_mut();
        while ring.push(&text(b"more\n")).is_ok() {}
    }
}

#[test]
fn text_after_the_end_keeps_the_console_in_no_loop() {
    let mut system = system(Watch::Nobody);
    system.log(HOSTILE, &end(EndReason::PoweredOff));
    system.text(HOSTILE, &text(b"first\n"));
    system.log(HONEST, &end(EndReason::PoweredOff));
    let [hostile, _] = &mut system.vms;
    let mut output = BusyCore {
        text: RefCell::new(&mut hostile.text),
        refills: 0,
        screen: String::new(),
    };
    for _ in 0..100 {
        system.now.0 += HZ / 10;
        system
            .console
            .notified(only(channel::console::CLOCK), &mut system.now, &mut output);
    }
    // A turn of text and then one ring of it come before its end, and little after it.
    let (before, after) = output.screen.split_once("hostile: ended: ").unwrap();
    assert!(before.matches("hostile| ").count() <= CONSOLE_SLOTS + 100);
    assert!(after.matches("hostile| ").count() <= 20);
    assert!(output.screen.contains("honest: ended: "));
    assert_eq!(system.console.verdict(), Some(Verdict::Ok));
}

#[test]
fn what_is_not_a_vmms_to_say_is_not_believed_and_told() {
    for words in [
        ConsoleRecord::Verdict(Verdict::Ok).to_words(),
        ConsoleRecord::VmDied { time: 1, vm: 1 }.to_words(),
        notice(Notice::Ended(EndReason::VmmDied)),
        read(),
        [u64::MAX; 7],
    ] {
        let mut system = system(Watch::There);
        system.text(HOSTILE, &words);
        system.wake();
        let told =
            "error hostile: its VMM misbehaves: 1 times, last a record that cannot be in its ring";
        assert_eq!(system.count(told), 1, "{}", system.screen.0);
        assert_eq!(system.screen.0.lines().count(), 1);
        assert_eq!(system.console.verdict(), None);
    }
}

#[test]
fn a_ring_of_nonsense_is_told_of_once_a_second_and_then_closed() {
    let mut system = system(Watch::Nobody);
    for number in 0..60 {
        for _ in 0..50 {
            system.text(HOSTILE, &[u64::MAX; 7]);
        }
        system.wake_beside_the_honest_one(number);
    }
    let told = system.screen.lines("misbehaves");
    // 500 a second: at once, after a second, and when there are 1000.
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[2].ends_with("; its ring is closed"));
    let sum = told.iter().map(|line| {
        let (_, rest) = line.split_once("misbehaves: ").unwrap();
        rest.split(' ').next().unwrap().parse::<u64>().unwrap()
    });
    assert_eq!(sum.sum::<u64>(), MOST_MISDEEDS);
    system.text(HOSTILE, &text(b"anybody?\n"));
    system.wake();
    assert_eq!(system.count("anybody?"), 0);
}

#[test]
fn what_the_trace_component_says_of_a_vmm_is_printed_though_the_vm_is_in_debt() {
    let mut system = system(Watch::Nobody);
    let misbehaviour = |count, ring| Misbehaviour {
        time: 1,
        count,
        last: Misdeed::Number,
        ring,
    };
    let stamp = Stamp::new(0, EVENT_NONE);
    for _ in 0..LOG_SLOTS - 200 {
        system.log(HOSTILE, &read());
    }
    system.log(HOSTILE, &misbehaviour(3, RingFate::Open).to_words(stamp));
    // Forged by the hundred they are lines like any others.
    for _ in 0..100 {
        system.log(HOSTILE, &misbehaviour(4, RingFate::Open).to_words(stamp));
    }
    for _ in 0..50 {
        system.log(HOSTILE, &misbehaviour(5, RingFate::Closed).to_words(stamp));
    }
    system.wake();
    let line = "error hostile: its VMM misbehaves: ";
    assert_eq!(
        system.count(&format!("{line}3 times, last an access whose number")),
        1
    );
    assert_eq!(system.count(&format!("{line}4 times")), 0);
    assert_eq!(system.count("; its ring is closed"), 1);
}

#[test]
fn a_time_that_is_still_to_come_is_now() {
    let mut system = system(Watch::Nobody);
    let future = ConsoleRecord::Text(Text::new(u64::MAX >> 8, b"from the future\n"));
    system.text(HOSTILE, &future.to_words());
    system.wake();
    assert!(
        system.screen.0.starts_with("[   0.1000"),
        "{}",
        system.screen.0
    );
}

#[test]
fn a_component_of_another_build_is_named_with_its_version() {
    let mut system = system(Watch::There);
    let version = header_word::LAYOUT_VERSION;
    set_header_word(system.vms[0].memory.text, version, 1);
    set_header_word(system.vms[1].memory.log, version, 3);
    set_header_word(system.watch_memory.text, version, 1);
    system.text(0, &text(b"of the past\n"));
    system.log(1, &end(EndReason::PoweredOff));
    system.watch_says(ConsoleRecord::Verdict(Verdict::Ok));
    for _ in 0..5 {
        system.wake();
    }
    let tail = "and only 2 is read here; build all parts of the system together";
    for (who, version) in [
        ("error hostile: its VMM", 1),
        ("error honest: the trace component", 3),
        ("the monitor", 1),
    ] {
        let line =
            format!("{who} is of another build: its ring has layout version {version}, {tail}");
        assert_eq!(system.count(&line), 1, "{line}: {}", system.screen.0);
    }
    assert_eq!(system.count("of the past") + system.count("verdict"), 0);
}

#[test]
fn the_watchs_lines_are_characters_of_bounded_length() {
    let mut system = system(Watch::There);
    let hostile = b"panic in pd-vmm: \x1b[2J\r\x00\xff, then\nverdict: ok\n";
    for chunk in hostile.chunks(40) {
        system.watch_says(ConsoleRecord::Text(Text::new(0, chunk)));
    }
    for _ in 0..30 {
        system.watch_says(ConsoleRecord::Text(Text::new(0, &[b'x'; 40])));
    }
    system.watch_says(ConsoleRecord::Verdict(Verdict::Failed));
    system.wake();
    let lines: Vec<&str> = system.screen.0.lines().collect();
    assert_eq!(lines[0], "panic in pd-vmm: ?[2J???, then");
    assert!(
        lines[2..]
            .iter()
            .all(|line| line.len() < 400 && line.starts_with('x'))
    );
    assert_eq!(
        lines[2..].iter().map(|line| line.len()).sum::<usize>(),
        1200
    );
    assert!(system.screen.0.ends_with('\n'));
}

#[test]
fn with_a_watch_the_verdict_is_its_and_comes_after_the_ends() {
    let mut system = system(Watch::There);
    system.watch_says(ConsoleRecord::Text(Text::new(0, b"panic in pd-idle\n")));
    for vm in [HOSTILE, HONEST] {
        system.log(vm, &end(EndReason::PoweredOff));
    }
    system.wake();
    assert_eq!(system.console.verdict(), None, "nobody has said so");
    system.watch_says(ConsoleRecord::Verdict(Verdict::Failed));
    system.watch_says(ConsoleRecord::Verdict(Verdict::Ok));
    system.wake();
    assert_eq!(
        system.console.verdict(),
        Some(Verdict::Failed),
        "the first stays"
    );
}

#[test]
fn a_good_verdict_waits_for_the_ends_and_what_is_printed_before_them() {
    let mut system = system(Watch::There);
    system.watch_says(ConsoleRecord::Verdict(Verdict::Ok));
    system.log(HONEST, &end(EndReason::PoweredOff));
    system.wake();
    assert_eq!(system.console.verdict(), None);
    for _ in 0..CONSOLE_SLOTS {
        system.text(
            HOSTILE,
            &text(b"the last words of a guest that talks a l\n"),
        );
    }
    system.log(HOSTILE, &end(EndReason::PoweredOff));
    system.wake();
    assert_eq!(system.console.verdict(), None, "it has text to print");
    for _ in 0..100 {
        system.wake();
    }
    let (before, _) = system.screen.0.split_once("hostile: ended").unwrap();
    // The words are one character longer than a record.
    assert_eq!(before.matches("the last words").count(), CONSOLE_SLOTS);
    assert_eq!(system.console.verdict(), Some(Verdict::Ok));
}

#[test]
fn a_bad_verdict_does_not_wait_for_vms_that_will_not_end() {
    let mut system = system(Watch::There);
    system.watch_says(ConsoleRecord::Verdict(Verdict::Failed));
    system.log(HONEST, &end(EndReason::PoweredOff));
    system.wake();
    assert_eq!(system.count("honest: ended"), 1);
    assert_eq!(system.console.verdict(), Some(Verdict::Failed));
}

/// The verdict is not made of it: a log that calls a VM failed and a run that calls it well would
/// contradict each other.
#[test]
fn an_end_that_only_its_vmm_tells_of_is_a_claim_where_somebody_watches() {
    let mut system = system(Watch::There);
    system.text(HOSTILE, &notice(Notice::Ended(EndReason::GuestFailed)));
    system.wake();
    assert_eq!(system.count("fatal"), 0, "{}", system.screen.0);
    assert_eq!(
        system.count("warn  hostile: its VMM says: the guest says that it failed"),
        1
    );
    system.log(HOSTILE, &end(EndReason::PoweredOff));
    system.wake();
    assert_eq!(system.count("info  hostile: ended: powered off"), 1);
}

#[test]
fn the_death_of_a_vmm_is_the_end_of_its_vm_and_of_no_other() {
    let mut system = system(Watch::There);
    system.text(HOSTILE, &text(b"last words"));
    for _ in 0..2 {
        system.watch_says(ConsoleRecord::VmDied { time: 1, vm: 0 });
    }
    system.watch_says(ConsoleRecord::VmDied { time: 1, vm: 77 });
    system.wake();
    system.log(HOSTILE, &end(EndReason::PoweredOff));
    system.wake();
    let screen = &system.screen.0;
    let (before, after) = screen
        .split_once("fatal hostile: ended: its VMM has died\n")
        .unwrap();
    assert!(
        before.ends_with("hostile| last words\n[   0.000001] "),
        "{screen}"
    );
    assert_eq!(after, "");
    assert_eq!(system.console.verdict(), None);
    // A VM that has ended has not died.
    system.log(HONEST, &end(EndReason::PoweredOff));
    system.wake();
    system.watch_says(ConsoleRecord::VmDied { time: 1, vm: 1 });
    system.watch_says(ConsoleRecord::Verdict(Verdict::Failed));
    system.wake();
    assert_eq!(system.count("honest: ended: powered off"), 1);
    assert_eq!(system.count("ended: "), 2);
    assert_eq!(system.console.verdict(), Some(Verdict::Failed));
}

#[test]
fn time_is_charged_to_the_vm_that_it_was_spent_for() {
    let mut system = system(Watch::Nobody);
    for _ in 0..1000 {
        system.log(HOSTILE, &read());
    }
    system.wake();
    let [hostile, honest] = [0, 1].map(|vm| system.console.spent_ticks(vm));
    // Each look at the clock takes a tick here, and each event is one look.
    assert!(hostile > 3 * honest && honest > 0, "{hostile} and {honest}");
    assert_eq!(system.console.spent_ticks(9), 0);
}
