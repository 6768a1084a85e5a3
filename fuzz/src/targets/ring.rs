//! Both ends of a ring, each against a peer whose memory holds anything and changes at any
//! load.

use crate::peer_memory::{self, AtomicCell, RingPeer, TAIL, WAKE_AT, Words, page_words};
use crate::script::Script;
use shared_ring::{
    AtomicU64, BoundedProducer, Consumer, ConsumerPage, Identity, LAYOUT_VERSION, MAGIC,
    Observation, Observer, Ordering, RingKind, RingMemory, SLOT_BYTES, SLOT_WORDS, Wake, Word,
    header_word,
};
use std::cell::Cell;

const SLOTS: usize = 8;
const KIND: RingKind = RingKind::Log;
/// More loads than a call may need, whatever is claimed: one slot, its number again, and the
/// header.
const MOST_LOADS: u64 = (SLOT_WORDS + 1 + header_word::COUNT) as u64;

/// A word that its peer may change just before a load.
#[repr(transparent)]
#[derive(Default)]
struct Shaky(AtomicU64);

// SAFETY: it is a transparent struct of one.
unsafe impl AtomicCell for Shaky {}

#[derive(Clone, Copy)]
struct Memory {
    ring: &'static RingMemory<SLOTS, Shaky>,
    page: &'static ConsumerPage<Shaky>,
}

thread_local! {
    static MEMORY: Memory = Memory {
        ring: Box::leak(Box::new(RingMemory::zeroed())),
        page: Box::leak(Box::default()),
    };
    /// At which load from now a change comes (0: never), and what is there then.
    static CHANGE: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
    static LOADS: Cell<u64> = const { Cell::new(0) };
}

impl Word for Shaky {
    fn load(&self, order: Ordering) -> u64 {
        LOADS.set(LOADS.get() + 1);
        let (at_load, value) = CHANGE.get();
        if at_load == 1 {
            self.0.store(value, Ordering::Relaxed);
        }
        CHANGE.set((at_load.saturating_sub(1), value));
        self.0.load(order)
    }

    fn store(&self, value: u64, order: Ordering) {
        self.0.store(value, order);
    }

    fn fence(_: Ordering) {}
}

pub(crate) fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let memory = MEMORY.with(|memory| *memory);
    let (ring, page) = (RingPeer::new(memory.ring), page_words(memory.page));
    CHANGE.set((0, 0));
    ring.clear();
    peer_memory::clear(page);
    for position in 0..SLOTS as u64 {
        peer_memory::clear(ring.slot(position));
    }
    if script.byte() & 1 == 0 {
        read(memory, ring, page, &mut script);
    } else {
        write(memory, ring, page, &mut script);
    }
}

/// A consumer and an observer against a producer that does what it likes.
fn read(memory: Memory, ring: RingPeer, page: Words, script: &mut Script<'_>) {
    let constants = [
        (header_word::MAGIC, MAGIC),
        (header_word::LAYOUT_VERSION, LAYOUT_VERSION),
        (header_word::SLOT_BYTES, SLOT_BYTES as u64),
        (header_word::SLOT_COUNT, SLOTS as u64),
        (header_word::KIND_AND_VM, KIND as u64),
    ];
    for (index, value) in constants {
        ring.header[index].store(value, Ordering::Relaxed);
    }
    let mut consumer = Consumer::new(memory.ring, memory.page, KIND);
    let mut observer = Observer::new(memory.ring);
    let (mut last, mut lost) = (0, 0u64);
    let mut seen = 0u64;
    while !script.is_over() {
        let tail = page[TAIL].load(Ordering::Relaxed);
        let faults = consumer.misbehaviour();
        LOADS.set(0);
        match script.byte() % 8 {
            0 | 1 => ring.poke(script),
            2 => CHANGE.set((u64::from(script.byte()), script.number())),
            3 => ring.push([script.number(); SLOT_WORDS - 1]),
            4 => {
                if let Some(item) = consumer.pop() {
                    assert!(item.sequence > last);
                    assert_eq!(item.lost_before, item.sequence - last - 1);
                    lost = lost.saturating_add(item.lost_before);
                    last = item.sequence;
                }
                assert_eq!(consumer.lost(), lost);
            }
            5 => {
                consumer.sleep_until(u64::from(script.byte()));
            }
            6 => {
                consumer.take_waiter();
            }
            _ => match observer.observe() {
                Some(Observation::Record(sequence, _)) => {
                    seen += 1;
                    assert_eq!(sequence, seen);
                }
                Some(Observation::Lost(lost)) => seen += lost,
                None => {}
            },
        }
        assert!(LOADS.get() <= MOST_LOADS);
        let faults = consumer.misbehaviour() - faults;
        assert!(faults <= 1 && (faults == 0 || consumer.last_fault().is_some()));
        // One record is taken, or none and all that was claimed: that is a fault.
        let taken = page[TAIL].load(Ordering::Relaxed) - tail;
        assert!(taken <= 1 || taken <= SLOTS as u64 && faults == 1);
    }
    // The producer stands still now: its consumer comes to an end and can sleep.
    CHANGE.set((0, 0));
    // It takes what it believed before and then what is claimed now, or skips it.
    for _ in 0..=2 * SLOTS {
        consumer.pop();
    }
    assert_eq!(consumer.pop(), None);
    assert!(
        consumer.sleep_until(1),
        "the reader of a still ring stays awake"
    );
    let mut looks = 0..SLOTS + 2;
    assert!(looks.any(|_| observer.observe().is_none()));
}

/// A bounded producer against a consumer that does what it likes.
fn write(memory: Memory, ring: RingPeer, page: Words, script: &mut Script<'_>) {
    let identity = Identity {
        kind: KIND,
        vm: 1,
        clock_hz: 1,
        start_ticks: 0,
    };
    let mut producer = BoundedProducer::new(memory.ring, memory.page, identity);
    // What it must believe: a position between the last believed one and its own.
    let (mut head, mut believed, mut sequence, mut checked) = (0u64, 0u64, 0u64, 0u64);
    while !script.is_over() {
        LOADS.set(0);
        match script.byte() % 4 {
            0 => peer_memory::poke(page, script),
            1 => page[TAIL].store(head, Ordering::Relaxed),
            2 => {
                if head - believed == SLOTS as u64 {
                    let claim = page[TAIL].load(Ordering::Relaxed);
                    if (believed..=head).contains(&claim) {
                        believed = claim;
                    }
                }
                let room = head - believed < SLOTS as u64;
                sequence += 1;
                assert_eq!(producer.push_or_lose(&[sequence; 7]).is_ok(), room);
                if room {
                    head += 1;
                    let slot = ring.slot(head - 1);
                    assert!(
                        slot.iter()
                            .all(|word| word.load(Ordering::Relaxed) == sequence)
                    );
                }
            }
            _ => {
                let wake_at = page[WAKE_AT].load(Ordering::Relaxed);
                let asked = producer.take_wake() == Wake::Asked;
                assert_eq!(asked, (checked..head).contains(&wake_at));
                checked = head;
            }
        }
        assert_eq!(ring.header[header_word::HEAD].load(Ordering::Relaxed), head);
        assert_eq!(producer.lost(), sequence - head);
        assert!(LOADS.get() <= 2);
    }
}
