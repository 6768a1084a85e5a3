//! The trace component with readers of its rings that are honest, slow, lying and gone: what
//! it does for the guest and what it writes to the trace ring are the same, word for word.

mod fixtures;

use fixtures::{
    StillHost, VmMemory, access, compiled, contents, leak, leak_mut, only, trace_device,
};
use guest_access::Direction;
use shared_ring::{BoundedProducer, Consumer, Observation, RingKind, RingMemory};
use trace_records::{DeviceState, LOG_SLOTS, Record, TRACE_SLOTS};
use vm_components::{Clock, KeptTrace, Trace, channel};
use vm_config::Contents;

const HZ: u64 = 1_000_000;
/// More than any ring has room for.
const ACCESSES: u64 = 20_000;
const CLOCK: Clock = Clock {
    hz: HZ,
    start_ticks: 0,
};

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

fn run(reader: impl Fn(&VmMemory) -> LogReader, watched: bool) -> Seen {
    let config = compiled(&Contents {
        devices: &[trace_device(true, Some(12))],
        ..contents()
    });
    let memory = VmMemory::new();
    let mut machine = StillHost::at(1);
    let mut trace = Trace::init(
        [(memory.trace_port(), config)],
        leak_mut(KeptTrace::new()),
        CLOCK,
        0,
    );
    let mut vmm = memory.access_producer(CLOCK, 0);
    let mut reader = reader(&memory);
    let mut watcher = memory.trace_observer();
    let mut waits = 0;
    for number in 1..=ACCESSES {
        machine.now += 10;
        let direction = match number % 3 {
            0 => Direction::Write,
            _ => Direction::Read,
        };
        let record = Record {
            time: machine.now,
            value: number as u32,
            ..access(direction, number)
        };
        waits += u64::from(vmm.push(&record.to_words()).is_err());
        if number % 100 == 0 {
            trace.notified(only(channel::trace::CLOCK), &mut machine);
            reader.turn();
        }
        // Somebody who looks at the trace ring now and then, and reads less than is written.
        if watched && number % 7 == 0 {
            watcher.observe();
        }
    }
    let mut observer = memory.trace_observer();
    Seen {
        state: memory.state.read(0),
        traced: std::iter::from_fn(|| observer.observe()).collect(),
        waits,
    }
}

#[test]
fn no_reader_changes_what_the_trace_component_does() {
    let honest = |memory: &VmMemory| LogReader::Honest(memory.log_consumer());
    let slow = |memory: &VmMemory| LogReader::Slow(memory.log_consumer());
    let lying = |memory: &VmMemory| {
        let (other, page) = (leak(RingMemory::new()), memory.log_reader);
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
        ("gone", run(|_| LogReader::Gone, false)),
    ] {
        assert!(seen == expected, "with a reader that is {what}");
    }
}
