//! The trace component with readers of its rings that are honest, slow, lying and gone: what
//! it does for the guest and what it writes to the trace ring are the same, word for word.

mod fixtures;

use fixtures::{compiled, contents, leak, trace_device};
use guest_access::{AccessWidth, Direction, GuestPhysAddr};
use shared_ring::{
    BoundedProducer, Consumer, ConsumerPage, Observation, Observer, RingKind, RingMemory,
};
use trace_records::{
    ACCESS_SLOTS, DeviceState, Kind, LOG_SLOTS, Record, StatePage, TRACE_SLOTS, Tag,
};
use vm_components::{Channel, ChannelSet, Clock, Host, Trace, TracePort, channel};
use vm_config::{Contents, RamRange, VmConfig};

const HZ: u64 = 1_000_000;
/// More than any ring has room for.
const ACCESSES: u64 = 20_000;
const CLOCK: Clock = Clock {
    hz: HZ,
    start_ticks: 0,
};

struct Machine {
    now: u64,
    notified: Vec<Channel>,
}

impl Host for Machine {
    fn now(&mut self) -> u64 {
        self.now
    }

    fn notify(&mut self, channel: Channel) {
        self.notified.push(channel);
    }
}

/// The console, as the trace component sees it.
enum LogReader {
    Honest(Consumer<LOG_SLOTS>),
    /// Takes one record at each turn.
    Slow(Consumer<LOG_SLOTS>),
    /// Says that it has read what is in another ring, with other positions.
    Lying(Consumer<LOG_SLOTS>, BoundedProducer<LOG_SLOTS>),
    Gone,
}

impl LogReader {
    fn turn(&mut self) {
        match self {
            Self::Honest(consumer) => while consumer.pop().is_some() {},
            Self::Slow(consumer) => drop(consumer.pop()),
            Self::Lying(consumer, producer) => {
                for _ in 0..700 {
                    let _ = producer.push(&[0; 7]);
                    consumer.pop();
                }
            }
            Self::Gone => {}
        }
    }
}

/// What the outside world sees of a run.
#[derive(Debug, PartialEq)]
struct Seen {
    state: DeviceState,
    traced: Vec<Observation>,
    /// The VMM never had to wait.
    waits: u64,
}

fn config() -> VmConfig<'static> {
    compiled(&Contents {
        ram: &[RamRange {
            base: 0x4000_0000,
            len_bytes: 0x1000,
        }],
        devices: &[trace_device(0xfa00_0000, true, Some(12))],
        ..contents()
    })
}

fn run(
    reader: impl Fn(&'static RingMemory<LOG_SLOTS>, &'static ConsumerPage) -> LogReader,
    watched: bool,
) -> Seen {
    let (access, access_reader) = (leak(RingMemory::new()), leak(ConsumerPage::new()));
    let (log, log_reader) = (leak(RingMemory::new()), leak(ConsumerPage::new()));
    let (state, memory) = (
        leak(StatePage::new()),
        leak(RingMemory::<TRACE_SLOTS>::new()),
    );
    let port = TracePort {
        access,
        access_reader,
        state,
        log,
        log_reader,
        trace: memory,
    };
    let mut machine = Machine {
        now: 1,
        notified: Vec::new(),
    };
    let mut trace = Trace::init([(port, config())], CLOCK, 0);
    let mut vmm = BoundedProducer::<ACCESS_SLOTS>::new(
        access,
        access_reader,
        CLOCK.identity(RingKind::Access, 0),
    );
    let mut reader = reader(log, log_reader);
    let mut watcher = Observer::new(memory);
    let mut waits = 0;
    for number in 1..=ACCESSES {
        machine.now += 10;
        let direction = match number % 3 {
            0 => Direction::Write,
            _ => Direction::Read,
        };
        let record = Record {
            time: machine.now,
            address: GuestPhysAddr(0xfa00_0000),
            pc: 0x4008_0000,
            value: number as u32,
            old: 0,
            sequence: number,
            tag: Tag::new(Kind::Access).with_access(direction, Some(AccessWidth::Word)),
            state_seen: 0,
            epoch: 0,
        };
        waits += u64::from(vmm.push(&record.to_words()).is_err());
        if number % 100 == 0 {
            let mut set = ChannelSet::EMPTY;
            set.insert(channel::trace::CLOCK);
            trace.notified(set, &mut machine);
            reader.turn();
        }
        // Somebody who looks at the trace ring now and then, and reads less than is written.
        if watched && number % 7 == 0 {
            watcher.observe();
        }
    }
    let mut observer = Observer::new(memory);
    Seen {
        state: state.read(0),
        traced: std::iter::from_fn(|| observer.observe()).collect(),
        waits,
    }
}

#[test]
fn no_reader_changes_what_the_trace_component_does() {
    let honest = |ring, page| LogReader::Honest(Consumer::new(ring, page, RingKind::Log));
    let slow = |ring, page| LogReader::Slow(Consumer::new(ring, page, RingKind::Log));
    let lying = |_, page| {
        let other = leak(RingMemory::new());
        let identity = CLOCK.identity(RingKind::Log, 0);
        LogReader::Lying(
            Consumer::new(other, page, RingKind::Log),
            BoundedProducer::new(other, page, identity),
        )
    };
    let expected = run(honest, false);
    // Every access was applied, the newest are in the ring, and nobody was held up.
    assert_eq!(expected.state.sequence, ACCESSES as u32);
    assert_eq!(
        expected.traced[0],
        Observation::Lost(ACCESSES - TRACE_SLOTS as u64)
    );
    assert_eq!(
        (expected.traced.len(), expected.waits),
        (TRACE_SLOTS + 1, 0)
    );
    for (what, seen) in [
        ("watched", run(honest, true)),
        ("slow", run(slow, true)),
        ("lying", run(lying, true)),
        ("gone", run(|_, _| LogReader::Gone, false)),
    ] {
        assert!(seen == expected, "with a reader that is {what}");
    }
}
