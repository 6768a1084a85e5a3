//! The console with two VMs whose VMMs and trace component the test plays, by the rings that the
//! console reads.
//!
//! Invariant: each look at the clock takes a tick, and else time passes only by the wake-ups of
//! the clock.

use crate::fixtures::{Screen, VmMemory, access, leak_mut, logging_vm, only};
use guest_access::Direction;
use shared_ring::{BoundedProducer, Payload};
use trace_records::{
    Address, CONSOLE_SLOTS, ConsoleRecord, DeviceSummary, EndReason, Kind, LOG_SLOTS, Notice, Span,
    Tag, Text, VmSummary,
};
use vm_components::{Channel, Clock, Console, Host, KeptConsole, SystemPort, channel};

pub const HZ: u64 = 1_000_000;
pub const CLOCK: Clock = Clock {
    hz: HZ,
    start_ticks: 0,
};
pub const NAMES: [&str; 2] = ["hostile", "honest"];
pub const HOSTILE: usize = 0;
pub const HONEST: usize = 1;

/// What the clock reads; each look takes a tick.
pub struct Now(pub u64);

impl Host for Now {
    fn now(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }

    fn notify(&mut self, _: Channel) {}
}

pub struct Peers {
    pub memory: VmMemory,
    pub log: BoundedProducer<LOG_SLOTS>,
    pub text: BoundedProducer<CONSOLE_SLOTS>,
}

pub struct System {
    pub console: Console,
    pub vms: [Peers; 2],
    pub watch: BoundedProducer<CONSOLE_SLOTS>,
    /// Of which only the text ring is used.
    pub watch_memory: VmMemory,
    pub now: Now,
    pub screen: Screen,
}

/// Whether somebody watches over the components.
#[derive(PartialEq)]
pub enum Watch {
    There,
    Nobody,
}

pub fn system(watch: Watch) -> System {
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
        console: Console::init(ports, port, leak_mut(KeptConsole::new()), CLOCK),
        vms,
        watch: watch_memory.text_producer(CLOCK, 0xff),
        watch_memory,
        now: Now(0),
        screen: Screen::default(),
    }
}

pub fn end(reason: EndReason) -> Payload {
    crate::fixtures::end(reason).to_words()
}

pub fn read() -> Payload {
    access(Direction::Read, 7).to_words()
}

pub fn text(text: &[u8]) -> Payload {
    ConsoleRecord::Text(Text::new(1, text)).to_words()
}

pub fn notice(notice: Notice) -> Payload {
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
pub fn sums() -> [Payload; 3] {
    [
        DeviceSummary::default().to_words(Tag::new(Kind::DeviceSummary)),
        VmSummary::default().to_words(Tag::new(Kind::VmSummary)),
        Span::default().to_words(1, Tag::new(Kind::Span)),
    ]
}

impl System {
    /// The clock wakes the console, as it does ten times a second.
    pub fn wake(&mut self) {
        self.now.0 += HZ / 10;
        self.console.notified(
            only(channel::console::CLOCK),
            &mut self.now,
            &mut self.screen,
        );
    }

    pub fn watch_says(&mut self, record: ConsoleRecord) {
        assert!(self.watch.push(&record.to_words()).is_ok());
    }

    pub fn log(&mut self, vm: usize, words: &Payload) {
        let _ = self.vms[vm].log.push(words);
    }

    pub fn text(&mut self, vm: usize, words: &Payload) {
        let _ = self.vms[vm].text.push(words);
    }

    pub fn count(&self, with: &str) -> usize {
        self.screen.lines(with).len()
    }

    /// Lets the other VM print a line each time that the clock wakes the console, and sees to
    /// it that each is there at once.
    pub fn wake_beside_the_honest_one(&mut self, number: usize) {
        let line = format!("line {number} of the honest guest\n");
        self.text(HONEST, &text(line.as_bytes()));
        self.wake();
        assert_eq!(self.count(&format!("honest| {}", line.trim())), 1);
    }
}
