//! One trace component and one console for two VMs, one of which floods its ring: what the
//! other loses by it (nothing) and how long it waits. The VMMs are played by the test, which
//! writes the access rings as a VMM does.

mod fixtures;

use fixtures::{LINE_RATE, Screen, StillHost, VmMemory, access, leak_mut, logging_vm, only};
use guest_access::Direction;
use shared_ring::{BoundedProducer, Wake};
use trace_records::{ACCESS_SLOTS, Record, StatePage};
use vm_components::{
    Channel, ChannelSet, Clock, Console, Host, KeptConsole, KeptTrace, Trace, channel,
};

const HZ: u64 = 1_000_000;
const MS: u64 = HZ / 1000;
const CLOCK: Clock = Clock {
    hz: HZ,
    start_ticks: 0,
};
/// What may be printed at once after a silence, and the line that overdraws it.
const BURST: usize = 4096 + 400;

/// A VM as the components see it: somebody who writes accesses.
struct Guest {
    access: BoundedProducer<ACCESS_SLOTS>,
    state: &'static StatePage,
    sequence: u64,
}

impl Guest {
    /// Reads the location, unless the ring is full: then a VMM would hold the guest. Returns
    /// whether the trace component is to be woken.
    fn read(&mut self, now: u64) -> bool {
        let record = Record {
            time: now,
            ..access(Direction::Read, self.sequence + 1)
        };
        if self.access.push(&record.to_words()).is_err() {
            return true;
        }
        self.sequence += 1;
        self.access.take_wake() == Wake::Asked
    }
}

struct System {
    platform: StillHost,
    guests: [Guest; 2],
    trace: Trace,
    console: Console,
    screen: Screen,
}

impl System {
    fn new() -> Self {
        let mut traced = Vec::new();
        let mut printed = Vec::new();
        let guests = [(0, "flood"), (1, "quiet")].map(|(vm, name)| {
            let (memory, config) = (VmMemory::new(), logging_vm(vm, name));
            traced.push((memory.trace_port(), config));
            printed.push((memory.console_port(), config));
            Guest {
                access: memory.access_producer(CLOCK, vm),
                state: memory.state,
                sequence: 0,
            }
        });
        Self {
            platform: StillHost::at(0),
            guests,
            trace: Trace::init(traced, leak_mut(KeptTrace::new()), CLOCK, 0),
            console: Console::init(printed, None, leak_mut(KeptConsole::new()), CLOCK),
            screen: Screen::default(),
        }
    }

    fn read(&mut self, vm: u8) {
        if self.guests[usize::from(vm)].read(self.platform.now) {
            self.run_trace(channel::trace::vmm(vm));
        }
    }

    fn run_trace(&mut self, channel: Channel) {
        self.trace.notified(only(channel), &mut self.platform);
        for channel in std::mem::take(&mut self.platform.notified) {
            if channel == channel::trace::CONSOLE {
                self.run_console(channel::console::TRACE);
            }
        }
    }

    fn run_console(&mut self, channel: Channel) {
        self.console
            .notified(only(channel), &mut self.platform, &mut self.screen);
    }

    /// A millisecond passes, with the clock's wake-ups.
    fn pass_a_millisecond(&mut self) {
        self.platform.now += MS;
        if self.platform.now.is_multiple_of(10 * MS) {
            self.run_trace(channel::trace::CLOCK);
        }
        if self.platform.now.is_multiple_of(100 * MS) {
            self.run_console(channel::console::CLOCK);
        }
    }

    fn printed(&self, name: &str) -> usize {
        let access = format!(" {name} trace0 cpu0 R4 ");
        self.screen.0.matches(&access).count()
    }

    /// The lines that the console says are missing.
    fn lost(&self, name: &str) -> u64 {
        let mine = format!("warn  {name}: ");
        let lines = self.screen.lines(&mine).into_iter();
        lines
            .map(|line| {
                let number = line.split_once(&mine).unwrap().1.split(' ').next().unwrap();
                number.parse::<u64>().unwrap()
            })
            .sum()
    }
}

#[test]
fn a_flood_takes_none_of_the_other_vms_lines() {
    let mut system = System::new();
    for millisecond in 0..10_000 {
        for _ in 0..60 {
            system.read(0);
        }
        if millisecond % 20 == 7 {
            system.read(1);
        }
        system.pass_a_millisecond();
    }
    assert_eq!((system.printed("quiet"), system.lost("quiet")), (500, 0));
    let flood = system.printed("flood") as u64 + system.lost("flood");
    assert_eq!(flood, system.guests[0].sequence);
    assert!(system.printed("flood") > 100, "a flood is told as well");
    let printed = system.screen.0.len();
    assert!(printed <= 10 * LINE_RATE + BURST, "{printed} bytes");
}

#[test]
fn a_line_of_the_other_vm_is_out_within_two_wake_ups() {
    let mut system = System::new();
    for millisecond in 0..2_000 {
        for _ in 0..60 {
            system.read(0);
        }
        if millisecond % 20 == 7 {
            system.read(1);
        }
        system.pass_a_millisecond();
        if millisecond % 20 == 19 {
            assert_eq!(system.printed("quiet"), millisecond / 20 + 1);
        }
    }
}

#[test]
fn what_one_vm_leaves_of_the_line_the_other_gets() {
    let mut system = System::new();
    for _ in 0..10_000 {
        for _ in 0..60 {
            system.read(0);
        }
        system.pass_a_millisecond();
    }
    let printed = system.screen.0.len();
    assert!(printed > 10 * LINE_RATE * 95 / 100, "{printed} bytes");
    assert!(printed <= 10 * LINE_RATE + BURST, "{printed} bytes");
}

#[test]
fn two_floods_have_half_the_line_each() {
    let mut system = System::new();
    for _ in 0..10_000 {
        for _ in 0..60 {
            system.read(0);
            system.read(1);
        }
        system.pass_a_millisecond();
    }
    let (one, two) = (system.printed("flood"), system.printed("quiet"));
    assert!(one.abs_diff(two) * 20 < one + two, "{one} and {two} lines");
    assert!(system.screen.0.len() > 10 * LINE_RATE * 95 / 100);
}

/// A machine with another core, on which VM 0 accesses whenever the trace component looks at
/// the clock.
struct BusyCore<'a> {
    guest: &'a mut Guest,
    accesses_left: u64,
    quiet: &'static StatePage,
    flood: &'static StatePage,
    /// At each signal to the console: accesses applied of VM 0 and of VM 1.
    signals: Vec<(u32, u32)>,
}

impl Host for BusyCore<'_> {
    fn now(&mut self) -> u64 {
        for _ in 0..self.accesses_left.min(ACCESS_SLOTS as u64) {
            let before = self.guest.sequence;
            self.guest.read(0);
            self.accesses_left -= self.guest.sequence - before;
        }
        0
    }

    fn notify(&mut self, channel: Channel) {
        if channel == channel::trace::CONSOLE {
            let applied = (self.flood.read(0).sequence, self.quiet.read(0).sequence);
            self.signals.push(applied);
        }
    }
}

#[test]
fn a_flood_that_never_stops_keeps_the_other_vm_waiting_for_one_ring_at_most() {
    let mut system = System::new();
    system.read(1);
    let [flood, quiet] = &mut system.guests;
    let beats = quiet.state.heartbeat();
    let mut host = BusyCore {
        flood: flood.state,
        guest: flood,
        accesses_left: 20 * ACCESS_SLOTS as u64,
        quiet: quiet.state,
        signals: Vec::new(),
    };
    system.trace.notified(ChannelSet::EMPTY, &mut host);
    let (flood_applied, quiet_applied) = host.signals[0];
    assert_eq!(quiet_applied, 1);
    assert!(
        flood_applied <= ACCESS_SLOTS as u32,
        "{flood_applied} accesses came first"
    );
    assert_eq!(host.accesses_left, 0, "the flood was not taken");
    // It was said all along that the trace component lives, and the console was woken.
    assert!(host.signals.len() >= 10, "{:?}", host.signals);
    assert!(quiet.state.heartbeat() - beats >= 10);
}
