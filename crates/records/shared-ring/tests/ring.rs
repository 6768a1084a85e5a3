//! The ring's contract towards honest and dishonest peers, on one thread.

use proptest::prelude::*;
use shared_ring::{
    AtomicU64, BoundedProducer, Consumer, ConsumerPage, Full, Identity, Observation, Observer,
    Ordering, OverwritingProducer, RingFault, RingKind, RingMemory, Wake, Word,
};
use std::cell::Cell;

const IDENTITY: Identity = Identity {
    kind: RingKind::Log,
    vm: 3,
    clock_hz: 62_500_000,
    start_ticks: 77,
};

// Restated from the layout's description: header words, then slots of eight words.
const SLOTS_AT: usize = 512;
const HEAD: usize = 8;
const LOST: usize = 9;

/// Memory that a test may also corrupt, word by word, as a hostile peer would.
fn memory<const SLOTS: usize>() -> (&'static RingMemory<SLOTS>, &'static ConsumerPage) {
    (
        Box::leak(Box::new(RingMemory::new())),
        Box::leak(Box::new(ConsumerPage::new())),
    )
}

std::thread_local! {
    /// Words read since the test last looked.
    static LOADS: Cell<u32> = const { Cell::new(0) };
}

/// A word of memory whose peer answers what the test wants it to.
#[derive(Default)]
struct Claimed {
    value: AtomicU64,
    lie: AtomicU64,
}

impl Word for Claimed {
    fn load(&self, order: Ordering) -> u64 {
        LOADS.set(LOADS.get() + 1);
        self.value.load(order) ^ self.lie.load(order)
    }

    fn store(&self, value: u64, order: Ordering) {
        self.value.store(value, order);
    }

    fn fence(_: Ordering) {}
}

/// The words of a ring, in the order of the layout.
fn words<W, const SLOTS: usize>(ring: &'static RingMemory<SLOTS, W>) -> &'static [W] {
    let count = size_of::<RingMemory<SLOTS, W>>() / size_of::<W>();
    let first = std::ptr::from_ref(ring).cast::<W>();
    // SAFETY: a ring is `repr(C)` and made of words and padding between header and slots
    // only; the padding is a multiple of the word's size, and the callers index words.
    unsafe { std::slice::from_raw_parts(first, count) }
}

fn page_words<W>(page: &'static ConsumerPage<W>) -> &'static [W] {
    let first = std::ptr::from_ref(page).cast::<W>();
    // SAFETY: a consumer page is `repr(C)` and starts with two words, tail and wake_at.
    unsafe { std::slice::from_raw_parts(first, 2) }
}

#[test]
fn the_header_describes_the_ring_to_whoever_looks_from_outside() {
    let (ring, page) = memory::<4>();
    let mut producer = BoundedProducer::new(ring, page, IDENTITY);
    let _ = producer.push(&[1, 2, 3, 4, 5, 6, 7]);
    let word = |index: usize| words(ring)[index].load(Ordering::Relaxed);
    assert_eq!(word(0).to_le_bytes(), *b"VTRACRNG");
    assert_eq!([word(1), word(2), word(3)], [4, 64, 4]);
    assert_eq!(word(4), 2 | 3 << 8);
    assert_eq!([word(5), word(6), word(7)], [62_500_000, 77, 0]);
    assert_eq!(word(HEAD), 1);
    let slot: Vec<u64> = (0..8).map(|index| word(SLOTS_AT + index)).collect();
    assert_eq!(slot, [1, 1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn what_is_pushed_comes_out_once_and_in_order() {
    let (ring, page) = memory::<4>();
    let mut producer = BoundedProducer::new(ring, page, IDENTITY);
    let mut consumer = Consumer::new(ring, page, RingKind::Log);
    assert_eq!(consumer.pop(), None);
    for value in 1..=100 {
        assert!(producer.push(&[value; 7]).is_ok());
        let item = consumer.pop().unwrap();
        assert_eq!(
            (item.sequence, item.payload, item.lost_before),
            (value, [value; 7], 0)
        );
    }
    assert_eq!(consumer.pop(), None);
}

#[test]
fn a_full_ring_takes_nothing_until_the_consumer_reads() {
    let (ring, page) = memory::<2>();
    let mut producer = BoundedProducer::new(ring, page, IDENTITY);
    let mut consumer = Consumer::new(ring, page, RingKind::Log);
    assert!(producer.push(&[1; 7]).is_ok());
    assert!(producer.push(&[2; 7]).is_ok());
    assert_eq!(producer.push(&[3; 7]), Err(Full));
    assert_eq!(consumer.pop().unwrap().payload, [1; 7]);
    assert!(producer.push(&[4; 7]).is_ok());
    assert_eq!(consumer.pop().unwrap().payload, [2; 7]);
    assert_eq!(consumer.pop().unwrap().payload, [4; 7]);
    assert_eq!(consumer.lost(), 0);
}

#[test]
fn a_dropped_record_is_a_gap_where_it_happened_and_a_total() {
    let (ring, page) = memory::<2>();
    let mut producer = BoundedProducer::new(ring, page, IDENTITY);
    let mut consumer = Consumer::new(ring, page, RingKind::Log);
    for value in 1..=5 {
        let _ = producer.push_or_lose(&[value; 7]);
    }
    assert_eq!(consumer.pop().unwrap().lost_before, 0);
    let _ = producer.push_or_lose(&[6; 7]);
    assert_eq!(consumer.pop().unwrap().lost_before, 0);
    let after = consumer.pop().unwrap();
    assert_eq!(
        (after.sequence, after.lost_before, after.payload),
        (6, 3, [6; 7])
    );
    assert_eq!((producer.lost(), consumer.lost()), (3, 3));
    assert_eq!(words(ring)[LOST].load(Ordering::Relaxed), 3);
}

#[test]
fn a_wake_up_comes_once_at_the_position_asked_for() {
    let (ring, page) = memory::<8>();
    let mut producer = BoundedProducer::new(ring, page, IDENTITY);
    let mut consumer = Consumer::new(ring, page, RingKind::Log);
    assert!(consumer.sleep_until(3));
    let asked: Vec<bool> = (0..6)
        .map(|_| {
            assert!(producer.push(&[0; 7]).is_ok());
            producer.take_wake() == Wake::Asked
        })
        .collect();
    assert_eq!(asked, [false, false, true, false, false, false]);
    assert!(!consumer.sleep_until(1), "six records wait");
}

#[test]
fn a_wake_up_asked_for_in_the_middle_of_a_batch_is_noticed_after_it() {
    let (ring, page) = memory::<8>();
    let mut producer = BoundedProducer::new(ring, page, IDENTITY);
    let mut consumer = Consumer::new(ring, page, RingKind::Log);
    assert!(consumer.sleep_until(2));
    for _ in 0..4 {
        assert!(producer.push(&[0; 7]).is_ok());
    }
    assert_eq!(producer.take_wake(), Wake::Asked);
    assert_eq!(producer.take_wake(), Wake::NotAsked);
}

#[test]
fn a_push_into_known_room_tells_of_its_own_record_only() {
    let (ring, page) = memory::<8>();
    let mut producer = BoundedProducer::new(ring, page, IDENTITY);
    let mut consumer = Consumer::new(ring, page, RingKind::Access);
    assert!(consumer.sleep_until(2));
    let woken: Vec<_> = (0..3).map(|_| producer.push_into_room(&[1; 7])).collect();
    assert_eq!(woken, [Wake::NotAsked, Wake::Asked, Wake::NotAsked]);
}

#[test]
fn a_waiting_producer_is_noticed_once_each_time() {
    let (ring, page) = memory::<2>();
    let mut producer = BoundedProducer::new(ring, page, IDENTITY);
    let mut consumer = Consumer::new(ring, page, RingKind::Log);
    assert!(!consumer.take_waiter());
    producer.announce_wait();
    assert!(consumer.take_waiter());
    assert!(!consumer.take_waiter());
    producer.announce_wait();
    assert!(consumer.take_waiter());
}

#[test]
fn an_observer_counts_what_was_overwritten() {
    let ring: &'static RingMemory<4> = Box::leak(Box::new(RingMemory::new()));
    let mut producer = OverwritingProducer::new(ring, IDENTITY);
    for value in 1..=10 {
        producer.push(&[value; 7]);
    }
    let mut observer = Observer::new(ring);
    assert_eq!(observer.observe(), Some(Observation::Lost(6)));
    for value in 7..=10 {
        assert_eq!(
            observer.observe(),
            Some(Observation::Record(value, [value; 7]))
        );
    }
    assert_eq!(observer.observe(), None);
    assert_eq!(producer.lost(), 6);
}

#[test]
fn the_epoch_stands_in_the_header_of_either_ring() {
    let epoch = |ring: &'static RingMemory<4>| words(ring)[7].load(Ordering::Relaxed);
    let (ring, page) = memory::<4>();
    BoundedProducer::new(ring, page, IDENTITY).set_epoch(5);
    assert_eq!(epoch(ring), 5);
    let (ring, _) = memory::<4>();
    OverwritingProducer::new(ring, IDENTITY).set_epoch(6);
    assert_eq!(epoch(ring), 6);
}

#[test]
fn a_producer_knows_how_many_records_it_has_published() {
    let (ring, page) = memory::<4>();
    let mut producer = BoundedProducer::new(ring, page, IDENTITY);
    for _ in 0..6 {
        let _ = producer.push_or_lose(&[0; 7]);
    }
    assert_eq!((producer.published(), producer.lost()), (4, 2));
}

#[test]
fn a_position_that_cannot_be_is_counted_each_time_that_it_is_looked_at() {
    let (ring, page) = memory::<2>();
    let mut producer = BoundedProducer::new(ring, page, IDENTITY);
    for value in [1, 2] {
        assert!(producer.push(&[value; 7]).is_ok());
    }
    // Ahead of all that was written; then behind what was believed.
    page_words(page)[0].store(3, Ordering::Relaxed);
    assert_eq!(producer.push(&[3; 7]), Err(Full));
    assert_eq!(producer.push(&[3; 7]), Err(Full));
    assert_eq!(producer.misbehaviour(), 2);
    page_words(page)[0].store(1, Ordering::Relaxed);
    assert!(producer.push(&[3; 7]).is_ok());
    page_words(page)[0].store(0, Ordering::Relaxed);
    assert_eq!(producer.push(&[4; 7]), Err(Full));
    assert_eq!(producer.misbehaviour(), 3);
}

#[test]
fn a_full_ring_keeps_its_consumer_awake_and_an_impossible_head_does_not() {
    let (ring, page) = memory::<4>();
    let mut producer = BoundedProducer::new(ring, page, IDENTITY);
    let mut consumer = Consumer::new(ring, page, RingKind::Log);
    // Some lie behind already, so that positions are not lengths.
    for _ in 0..3 {
        assert!(producer.push(&[0; 7]).is_ok());
        assert!(consumer.pop().is_some());
    }
    assert!(consumer.sleep_until(4));
    for _ in 0..4 {
        assert!(producer.push(&[0; 7]).is_ok());
    }
    assert!(!consumer.sleep_until(4), "all four are here");
    assert!(consumer.sleep_until(5));
    words(ring)[HEAD].store(3 + 5, Ordering::Relaxed);
    assert!(consumer.sleep_until(1), "no ring of four holds five");
}

#[test]
fn an_observer_does_not_take_a_later_lap_s_record_for_the_one_it_looks_for() {
    let ring: &'static RingMemory<2> = Box::leak(Box::new(RingMemory::new()));
    let mut producer = OverwritingProducer::new(ring, IDENTITY);
    for value in [1, 2] {
        producer.push(&[value; 7]);
    }
    // The writer has written number 3 over number 1 and not yet moved the head.
    words(ring)[SLOTS_AT].store(3, Ordering::Relaxed);
    let mut observer = Observer::new(ring);
    assert_eq!(observer.observe(), Some(Observation::Lost(1)));
    assert_eq!(observer.observe(), Some(Observation::Record(2, [2; 7])));
    assert_eq!(observer.observe(), None);
}

#[test]
fn a_ring_for_another_purpose_is_not_read() {
    let (ring, page) = memory::<2>();
    let mut producer = BoundedProducer::new(ring, page, IDENTITY);
    assert!(producer.push(&[1; 7]).is_ok());
    let mut consumer = Consumer::new(ring, page, RingKind::Access);
    assert_eq!(consumer.pop(), None);
    assert_eq!(consumer.misbehaviour(), 1);
    // Nor does it keep its consumer awake, which would look again for ever.
    assert!(consumer.sleep_until(1));
}

#[test]
fn records_in_a_ring_that_is_not_set_up_keep_nobody_awake() {
    for word in [0, 1, 2, 3, 4] {
        let (ring, page) = memory::<4>();
        let mut producer = BoundedProducer::new(ring, page, IDENTITY);
        assert!(producer.push(&[1; 7]).is_ok());
        words(ring)[word].store(99, Ordering::Relaxed);
        let mut consumer = Consumer::new(ring, page, RingKind::Log);
        assert_eq!(consumer.pop(), None);
        assert!(
            consumer.sleep_until(1),
            "awake because of header word {word}"
        );
    }
}

#[test]
fn a_record_with_the_number_of_the_last_one_is_none() {
    let (ring, page) = memory::<4>();
    let mut producer = BoundedProducer::new(ring, page, IDENTITY);
    let mut consumer = Consumer::new(ring, page, RingKind::Log);
    for value in [1, 2] {
        assert!(producer.push(&[value; 7]).is_ok());
    }
    words(ring)[SLOTS_AT + 8].store(1, Ordering::Relaxed);
    assert_eq!(consumer.pop().unwrap().sequence, 1);
    assert_eq!(consumer.pop(), None);
    assert_eq!(consumer.last_fault(), Some(RingFault::Slot));
}

/// A word of memory that its writer may change right after it is read.
#[derive(Default)]
struct Restless {
    value: AtomicU64,
    /// What it will be after it is read; 0 for the same.
    next: AtomicU64,
}

impl Word for Restless {
    fn load(&self, order: Ordering) -> u64 {
        let value = self.value.load(order);
        match self.next.load(order) {
            0 => {}
            next => self.value.store(next, Ordering::Relaxed),
        }
        value
    }

    fn store(&self, value: u64, order: Ordering) {
        self.value.store(value, order);
    }

    fn fence(_: Ordering) {}
}

#[test]
fn a_record_that_is_overwritten_while_it_is_copied_is_lost() {
    let ring: &'static RingMemory<2, Restless> = Box::leak(Box::new(RingMemory::zeroed()));
    let mut producer = OverwritingProducer::new(ring, IDENTITY);
    producer.push(&[1; 7]);
    let number = &words(ring)[4096 / size_of::<Restless>()];
    number.next.store(3, Ordering::Relaxed);
    assert_eq!(Observer::new(ring).observe(), Some(Observation::Lost(1)));
}

/// What one call may cost: the header's six words, the eight of a slot, its number again.
const MOST_LOADS: u32 = 6 + 8 + 1;

/// A ring that has been filled and emptied once, so that its slots hold old records.
fn stale() -> (
    &'static RingMemory<8, Claimed>,
    BoundedProducer<8, Claimed>,
    Consumer<8, Claimed>,
) {
    let ring: &'static RingMemory<8, Claimed> = Box::leak(Box::new(RingMemory::zeroed()));
    let page: &'static ConsumerPage<Claimed> = Box::leak(Box::default());
    let mut producer = BoundedProducer::new(ring, page, IDENTITY);
    let mut consumer = Consumer::new(ring, page, RingKind::Log);
    for value in 1..=8 {
        assert!(producer.push(&[value; 7]).is_ok());
    }
    while consumer.pop().is_some() {}
    assert_eq!((consumer.misbehaviour(), consumer.last_fault()), (0, None));
    (ring, producer, consumer)
}

#[test]
fn a_claim_of_a_whole_ring_without_records_costs_one_look_and_counts_once() {
    let (ring, _, mut consumer) = stale();
    let head = &words(ring)[HEAD].value;
    for claims in 1..=5 {
        head.store(8 + 8 * claims, Ordering::Relaxed);
        LOADS.set(0);
        assert_eq!(consumer.pop(), None);
        let loads = LOADS.replace(0);
        assert!(loads <= MOST_LOADS, "{loads} loads for one store");
        assert_eq!(consumer.misbehaviour(), claims);
        assert_eq!(consumer.last_fault(), Some(RingFault::Slot));
        // What is rejected is done with: the next look finds nothing, and the reader sleeps.
        assert_eq!(consumer.pop(), None);
        assert!(consumer.sleep_until(1));
        assert_eq!(consumer.misbehaviour(), claims);
    }
}

#[test]
fn behind_a_hole_nothing_is_read_and_what_is_written_after_it_is() {
    let (ring, mut producer, mut consumer) = stale();
    // Five records, of which the third was never written.
    for value in 9..=13 {
        assert!(producer.push(&[value; 7]).is_ok());
    }
    let slot = |index: usize| &words(ring)[4096 / size_of::<Claimed>() + index * 8];
    slot(2).value.store(3, Ordering::Relaxed);
    let taken: Vec<u64> = std::iter::from_fn(|| consumer.pop().map(|item| item.sequence)).collect();
    assert_eq!(taken, [9, 10]);
    assert_eq!(consumer.misbehaviour(), 1);
    assert!(producer.push(&[14; 7]).is_ok());
    let item = consumer.pop().unwrap();
    assert_eq!((item.sequence, item.lost_before), (14, 3));
}

#[test]
fn what_was_wrong_has_a_name() {
    let (ring, mut producer, mut consumer) = stale();
    for impossible in [7, 17, u64::MAX] {
        words(ring)[HEAD].value.store(impossible, Ordering::Relaxed);
        assert_eq!(consumer.pop(), None);
        assert_eq!(consumer.last_fault(), Some(RingFault::Position));
    }
    assert!(producer.push(&[9; 7]).is_ok());
    words(ring)[0].lie.store(1, Ordering::Relaxed);
    assert_eq!(consumer.pop(), None);
    assert_eq!(consumer.last_fault(), Some(RingFault::Header));
    words(ring)[0].lie.store(0, Ordering::Relaxed);
    // The version is the header's second word. Of another one the rest of the header is not judged.
    words(ring)[1].lie.store(4 ^ 7, Ordering::Relaxed);
    words(ring)[2].lie.store(1, Ordering::Relaxed);
    assert_eq!(consumer.pop(), None);
    assert_eq!(consumer.last_fault(), Some(RingFault::Version(7)));
    assert!(consumer.sleep_until(1));
    words(ring)[1].lie.store(0, Ordering::Relaxed);
    assert_eq!(consumer.pop(), None);
    assert_eq!(consumer.last_fault(), Some(RingFault::Header));
    words(ring)[2].lie.store(0, Ordering::Relaxed);
    assert_eq!(consumer.misbehaviour(), 6);
    assert_eq!(consumer.pop().unwrap().sequence, 9);
}

proptest! {
    /// A consumer whose producer's memory holds arbitrary lies ends each call, stays inside
    /// the ring and never goes back.
    #[test]
    fn no_producer_can_hurt_a_consumer(
        lies in prop::collection::vec((0usize..11 + 4 * 8, any::<u64>()), 1..60),
        small in any::<bool>(),
    ) {
        let ring: &'static RingMemory<4, Claimed> = Box::leak(Box::new(RingMemory::zeroed()));
        let page: &'static ConsumerPage<Claimed> = Box::leak(Box::default());
        let _producer = BoundedProducer::new(ring, page, IDENTITY);
        let mut consumer = Consumer::new(ring, page, RingKind::Log);
        let mut last = 0;
        for (index, lie) in lies {
            let slots_at = 4096 / size_of::<Claimed>();
            let index = if index < 11 { index } else { slots_at + index - 11 };
            let lie = if small { lie % 16 } else { lie };
            words(ring)[index].lie.store(lie, Ordering::Relaxed);
            consumer.sleep_until(lie % 4);
            consumer.take_waiter();
            for _ in 0..6 {
                let before = consumer.misbehaviour();
                LOADS.set(0);
                if let Some(item) = consumer.pop() {
                    prop_assert!(item.sequence > last);
                    last = item.sequence;
                }
                prop_assert!(LOADS.replace(0) <= MOST_LOADS);
                prop_assert!(consumer.misbehaviour() - before <= 1);
            }
        }
    }

    /// A producer whose consumer lies about its position never writes over what an honest
    /// consumer would still have to read, and counts the lies.
    #[test]
    fn no_consumer_can_make_a_producer_overwrite(
        claims in prop::collection::vec(prop_oneof![0u64..12, any::<u64>()], 1..60),
    ) {
        let (ring, page) = memory::<4>();
        let mut producer = BoundedProducer::new(ring, page, IDENTITY);
        let (mut head, mut believed) = (0u64, 0u64);
        for claim in claims {
            page_words(page)[0].store(claim, Ordering::Relaxed);
            if producer.push(&[head; 7]).is_ok() {
                if head - believed == 4 {
                    prop_assert!((believed + 1..=head).contains(&claim));
                    believed = claim;
                }
                head += 1;
            }
        }
    }

    /// Any interleaving of pushes and pops of honest parties adds up.
    #[test]
    fn nothing_is_lost_that_is_not_counted(steps in prop::collection::vec(any::<bool>(), 0..400)) {
        let (ring, page) = memory::<8>();
        let mut producer = BoundedProducer::new(ring, page, IDENTITY);
        let mut consumer = Consumer::new(ring, page, RingKind::Log);
        let (mut pushes, mut taken) = (0, 0);
        for push in steps {
            if push {
                pushes += 1;
                let _ = producer.push_or_lose(&[pushes; 7]);
            } else if let Some(item) = consumer.pop() {
                prop_assert_eq!(item.payload, [item.sequence; 7]);
                taken += 1;
            }
        }
        while consumer.pop().is_some() {
            taken += 1;
        }
        prop_assert_eq!(taken + producer.lost(), pushes);
        prop_assert_eq!(consumer.misbehaviour() + producer.misbehaviour(), 0);
    }
}

std::thread_local! {
    /// The ring that is read at every step of its writer.
    static WATCHED: std::cell::Cell<Option<&'static RingMemory<1, Watched>>> =
        const { std::cell::Cell::new(None) };
}

/// A word of memory after each of whose stores somebody reads the whole ring.
#[derive(Default)]
struct Watched(AtomicU64);

impl Word for Watched {
    fn load(&self, order: Ordering) -> u64 {
        self.0.load(order)
    }

    fn store(&self, value: u64, order: Ordering) {
        self.0.store(value, order);
        let Some(ring) = WATCHED.get() else {
            return;
        };
        let mut observer = Observer::new(ring);
        while let Some(observation) = observer.observe() {
            if let Observation::Record(sequence, payload) = observation {
                assert_eq!(payload, [sequence; 7], "a torn record was accepted");
            }
        }
    }

    fn fence(_: Ordering) {}
}

#[test]
fn at_no_step_of_an_overwrite_is_a_torn_record_accepted() {
    let ring: &'static RingMemory<1, Watched> = Box::leak(Box::new(RingMemory::zeroed()));
    let mut producer = OverwritingProducer::new(ring, IDENTITY);
    WATCHED.set(Some(ring));
    for value in 1..=4 {
        producer.push(&[value; 7]);
    }
    WATCHED.set(None);
}
