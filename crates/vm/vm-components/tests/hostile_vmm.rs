//! What a VMM that does what it likes can make of the trace component: a count, a line a second,
//! an end of its own VM, and nothing else. The VMM is played by the test, which writes the access
//! ring word by word.

mod fixtures;

use fixtures::{
    LOC, StillHost, VmMemory, access, claim_read, compiled, contents, end, leak_mut, only, record,
    set_header_word, trace_device,
};
use guest_access::{Direction, GuestPhysAddr};
use shared_ring::{BoundedProducer, Consumer};
use trace_records::{
    ACCESS_SLOTS, Address, AddressSpace, EndReason, Entry, Kind, LOG_SLOTS, Misbehaviour, Misdeed,
    Record, RingFate, Tag,
};
use vm_components::{ChannelSet, Clock, KeptTrace, MOST_MISDEEDS, Trace, channel};
use vm_config::{Contents, SeverityMask};

const HZ: u64 = 1_000_000;
const CLOCK: Clock = Clock {
    hz: HZ,
    start_ticks: 0,
};

struct System {
    platform: StillHost,
    trace: Trace,
    memory: VmMemory,
    vmm: BoundedProducer<ACCESS_SLOTS>,
    log_reader: Consumer<LOG_SLOTS>,
}

/// What the system says does not ask the VM's mask.
fn system() -> System {
    logging(SeverityMask::empty())
}

fn logging(logger: SeverityMask) -> System {
    let config = compiled(&Contents {
        logger,
        devices: &[trace_device(true, None)],
        ..contents()
    });
    let memory = VmMemory::new();
    System {
        platform: StillHost::at(1),
        trace: Trace::init(
            [(memory.trace_port(), config)],
            leak_mut(KeptTrace::new()),
            CLOCK,
            0,
        ),
        vmm: memory.access_producer(CLOCK, 0),
        log_reader: memory.log_consumer(),
        memory,
    }
}

fn read(sequence: u64) -> Record {
    access(Direction::Read, sequence)
}

impl System {
    fn push(&mut self, record: Record) {
        assert!(self.vmm.push(&record.to_words()).is_ok());
    }

    /// The clock wakes the trace component; what it tells the console.
    fn wake(&mut self) -> Vec<Entry> {
        self.trace
            .notified(only(channel::trace::CLOCK), &mut self.platform);
        let popped = std::iter::from_fn(|| self.log_reader.pop());
        popped
            .map(|item| Entry::from_words(&item.payload).unwrap())
            .collect()
    }
}

fn misbehaviours(told: &[Entry]) -> Vec<Misbehaviour> {
    let told = told.iter().filter_map(|entry| match entry {
        Entry::Misbehaviour(misbehaviour) => Some(*misbehaviour),
        _ => None,
    });
    told.collect()
}

#[test]
fn each_misdeed_is_told_at_once_and_by_its_name() {
    let beside = Record {
        address: GuestPhysAddr(LOC + 8),
        ..read(2)
    };
    let elsewhere = Record {
        tag: read(2).tag.with_instance(7),
        ..read(2)
    };
    let no_port = Record {
        address: GuestPhysAddr(0x1_0000),
        tag: Tag::new(Kind::Outside).with_space(AddressSpace::Ports),
        ..read(2)
    };
    for (record, misdeed) in [
        (no_port, Misdeed::Location),
        (read(1), Misdeed::Number),
        (beside, Misdeed::Location),
        (elsewhere, Misdeed::Device),
        (record(Kind::Text), Misdeed::Kind),
        (record(Kind::Verdict), Misdeed::Kind),
        (end(EndReason::VmmDied), Misdeed::Kind),
    ] {
        let mut system = system();
        system.push(read(1));
        system.push(record);
        let told = misbehaviours(&system.wake());
        assert_eq!(
            told,
            [Misbehaviour {
                time: 1,
                count: 1,
                last: misdeed,
                ring: RingFate::Open,
            }]
        );
    }
}

#[test]
fn only_what_can_be_at_a_port_is_told_of_as_at_one() {
    let at_port = |record: Record| Record {
        tag: record.tag.with_space(AddressSpace::Ports),
        ..record
    };
    let mut system = logging(SeverityMask::INFO | SeverityMask::WARN);
    system.push(at_port(read(1)));
    system.push(Record {
        address: GuestPhysAddr(0xffff),
        value: 1,
        ..at_port(record(Kind::Outside))
    });
    system.push(Record {
        address: GuestPhysAddr(0x3f8),
        ..at_port(end(EndReason::UnsupportedReference))
    });
    let told = system.wake();
    assert_eq!(misbehaviours(&told), []);
    let spaces = told.iter().filter_map(|entry| match entry {
        Entry::Event(kind, record) => Some((*kind, record.location())),
        _ => None,
    });
    assert_eq!(
        spaces.collect::<Vec<_>>(),
        [
            (Kind::Access, Address::memory(LOC)),
            (Kind::Outside, Address::port(0xffff)),
            (Kind::End, Address::port(0x3f8)),
        ]
    );
}

#[test]
fn what_is_wrong_with_the_ring_itself_is_told_as_well() {
    use shared_ring::header_word::{HEAD, LAYOUT_VERSION, MAGIC, SLOT_COUNT};
    for (word, value, misdeed) in [
        (HEAD, u64::MAX, Misdeed::Position),
        (HEAD, 0, Misdeed::Position),
        (HEAD, 1 + ACCESS_SLOTS as u64, Misdeed::Slot),
        (MAGIC, 0, Misdeed::Header),
        (LAYOUT_VERSION, 1, Misdeed::Version(1)),
        (LAYOUT_VERSION, 5, Misdeed::Version(5)),
        (SLOT_COUNT, 1 << 40, Misdeed::Header),
    ] {
        let mut system = system();
        system.push(read(1));
        assert_eq!(system.wake(), []);
        if word != HEAD {
            system.push(read(2));
        }
        set_header_word(system.memory.access, word, value);
        let told = misbehaviours(&system.wake());
        assert_eq!((told.len(), told[0].last), (1, misdeed), "{word}: {value}");
    }
}

#[test]
fn it_is_told_once_a_second_with_how_often() {
    let mut system = system();
    let mut told = Vec::new();
    for _ in 0..250 {
        system.platform.now += HZ / 100;
        system.push(record(Kind::Span));
        told.extend(misbehaviours(&system.wake()));
    }
    let counts: Vec<u64> = told.iter().map(|told| told.count).collect();
    assert_eq!(counts, [1, 100, 100]);
    assert_eq!(system.trace.ended(0), None);
}

#[test]
fn a_vmm_that_goes_on_is_listened_to_no_more_and_its_vm_has_ended() {
    let mut system = system();
    let mut told = Vec::new();
    for number in 0..3 * MOST_MISDEEDS {
        system.platform.now += 1;
        // Once the ring is closed nobody makes room.
        let _ = system.vmm.push(&record(Kind::Notice).to_words());
        if number % 10 == 9 {
            told.extend(system.wake());
        }
    }
    let misbehaviours = misbehaviours(&told);
    let closed = |told: &&Misbehaviour| told.ring == RingFate::Closed;
    assert_eq!(misbehaviours.iter().filter(closed).count(), 1);
    let sum: u64 = misbehaviours.iter().map(|told| told.count).sum();
    assert_eq!(sum, MOST_MISDEEDS);
    assert_eq!(system.trace.ended(0), Some(EndReason::VmmMisbehaved));
    // Its sums are told as for any end, after the line that says why, and once.
    let ends = told.iter().filter_map(|entry| match entry {
        Entry::Event(Kind::End, record) => Some((record.value, record.address.0)),
        _ => None,
    });
    let reason = EndReason::VmmMisbehaved.number();
    assert_eq!(ends.collect::<Vec<_>>(), [(reason, MOST_MISDEEDS)]);
    let sums = |entry: &&Entry| matches!(entry, Entry::Device(..) | Entry::Vm(_) | Entry::Span(..));
    assert_eq!(told.iter().filter(sums).count(), 3);
    // Neither its records nor its signals are anything to do.
    set_header_word(system.memory.access, shared_ring::header_word::WAITING, 99);
    system.platform.notified.clear();
    let looks = system.platform.looks;
    assert_eq!(system.wake(), []);
    assert_eq!(system.platform.notified, []);
    assert!(system.platform.looks - looks <= 4);
}

#[test]
fn a_vm_ends_once_and_the_first_reason_stays() {
    let mut system = system();
    system.push(read(1));
    system.push(end(EndReason::GuestFailed));
    system.push(read(2));
    system.push(record(Kind::Reset));
    system.push(end(EndReason::PoweredOff));
    let mut told = system.wake();
    for _ in 0..5 {
        system.platform.now += HZ;
        system.push(end(EndReason::PoweredOff));
        told.extend(system.wake());
    }
    let ends = told.iter().filter_map(|entry| match entry {
        Entry::Event(kind, record) => Some((*kind, record.value)),
        _ => None,
    });
    let first = (Kind::End, EndReason::GuestFailed.number());
    assert_eq!(ends.collect::<Vec<_>>(), [first]);
    assert_eq!(system.trace.ended(0), Some(EndReason::GuestFailed));
    assert_eq!(
        system.memory.state.read(0).sequence,
        1,
        "an access after the end"
    );
    let told = misbehaviours(&told);
    assert!(told.iter().all(|told| told.last == Misdeed::AfterEnd));
    assert_eq!(told.iter().map(|told| told.count).sum::<u64>(), 8);
}

#[test]
fn a_reader_that_lies_is_told_of_and_ends_nothing() {
    let mut system = system();
    let fill = |system: &mut System| {
        for _ in 0..LOG_SLOTS {
            system.push(record(Kind::Reset));
            system
                .trace
                .notified(ChannelSet::EMPTY, &mut system.platform);
        }
    };
    fill(&mut system);
    // The ring is full, and its reader says that it has read what comes after.
    claim_read(system.memory.log_reader, u64::MAX);
    fill(&mut system);
    // It reads all that there is, after all.
    while system.log_reader.pop().is_some() {}
    let told = misbehaviours(&system.wake());
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].last, told[0].ring),
        (Misdeed::Reader, RingFate::Open)
    );
    assert_eq!(system.trace.ended(0), None);
}
