//! The ring's algorithm under a model checker: every interleaving and every reordering that
//! the memory model allows, for rings of two slots.

use shared_ring::{
    BoundedProducer, Consumer, ConsumerPage, Identity, InputConsumer, InputMemory, InputPosition,
    InputProducer, InputReader, Observation, Observer, Ordering, OverwritingProducer, RingKind,
    RingMemory, Wake, Word,
};

#[derive(Default)]
struct LoomWord(loom::sync::atomic::AtomicU64);

impl Word for LoomWord {
    fn load(&self, order: Ordering) -> u64 {
        self.0.load(order)
    }

    fn store(&self, value: u64, order: Ordering) {
        self.0.store(value, order);
    }

    fn fence(order: Ordering) {
        loom::sync::atomic::fence(order);
    }
}

const IDENTITY: Identity = Identity {
    kind: RingKind::Access,
    vm: 0,
    clock_hz: 1_000_000,
    start_ticks: 0,
};

fn ring<const SLOTS: usize>() -> &'static RingMemory<SLOTS, LoomWord> {
    Box::leak(Box::new(RingMemory::zeroed()))
}

fn page() -> &'static ConsumerPage<LoomWord> {
    Box::leak(Box::default())
}

/// Whole records have seven equal words.
fn assert_whole(payload: &[u64; 7]) -> u64 {
    assert_eq!(*payload, [payload[0]; 7], "a torn record was accepted");
    payload[0]
}

fn model(test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(test);
}

#[test]
fn a_consumer_sees_whole_records_in_order() {
    model(|| {
        let (ring, page) = (ring::<2>(), page());
        let mut producer = BoundedProducer::new(ring, page, IDENTITY);
        let mut consumer = Consumer::new(ring, page, RingKind::Access);
        let writer = loom::thread::spawn(move || {
            let mut pushed = 0;
            for value in 1..=3 {
                if producer.push_or_lose(&[value; 7]).is_ok() {
                    pushed += 1;
                }
            }
            (pushed, producer.lost())
        });
        let mut taken = Vec::new();
        for _ in 0..2 {
            taken.extend(consumer.pop().map(|item| assert_whole(&item.payload)));
        }
        let (pushed, lost) = writer.join().unwrap();
        while let Some(item) = consumer.pop() {
            taken.push(assert_whole(&item.payload));
        }
        assert!(taken.is_sorted() && taken.iter().all(|value| (1..=3).contains(value)));
        assert_eq!(taken.len() as u64, pushed);
        assert_eq!(pushed + lost, 3);
        assert_eq!(consumer.misbehaviour(), 0);
    });
}

#[test]
fn an_observer_of_overwritten_slots_never_accepts_a_torn_record() {
    model(|| {
        let ring = ring::<2>();
        let mut producer = OverwritingProducer::new(ring, IDENTITY);
        producer.push(&[1; 7]);
        let writer = loom::thread::spawn(move || {
            producer.push(&[2; 7]);
            producer.push(&[3; 7]);
        });
        let mut observer = Observer::new(ring);
        let mut accounted = 0;
        for _ in 0..2 {
            match observer.observe() {
                Some(Observation::Record(sequence, payload)) => {
                    assert_eq!(assert_whole(&payload), sequence);
                    accounted += 1;
                }
                Some(Observation::Lost(lost)) => accounted += lost,
                None => {}
            }
        }
        writer.join().unwrap();
        while let Some(observation) = observer.observe() {
            accounted += match observation {
                Observation::Record(..) => 1,
                Observation::Lost(lost) => lost,
            };
        }
        assert_eq!(accounted, 3);
    });
}

/// One record is pushed in this way while the consumer goes to sleep.
fn a_push_while_the_consumer_goes_to_sleep(
    push: impl Fn(&mut BoundedProducer<2, LoomWord>) -> Wake + Copy + Sync + Send + 'static,
) {
    model(move || {
        let (ring, page) = (ring::<2>(), page());
        let mut producer = BoundedProducer::new(ring, page, IDENTITY);
        let mut consumer = Consumer::new(ring, page, RingKind::Access);
        assert_eq!(push(&mut producer), Wake::Asked);
        assert!(consumer.pop().is_some());
        let writer = loom::thread::spawn(move || push(&mut producer) == Wake::Asked);
        let sleeps = consumer.sleep_until(1);
        let woken = writer.join().unwrap();
        assert!(
            !sleeps || woken,
            "the consumer sleeps on a record nobody announces"
        );
    });
}

#[test]
fn a_consumer_that_goes_to_sleep_is_woken() {
    a_push_while_the_consumer_goes_to_sleep(|producer| {
        assert!(producer.push(&[1; 7]).is_ok());
        producer.take_wake()
    });
}

#[test]
fn a_consumer_that_goes_to_sleep_is_woken_by_a_push_into_known_room() {
    a_push_while_the_consumer_goes_to_sleep(|producer| producer.push_into_room(&[1; 7]));
}

#[test]
fn a_producer_that_waits_for_room_is_noticed() {
    model(|| {
        let (ring, page) = (ring::<2>(), page());
        let mut producer = BoundedProducer::new(ring, page, IDENTITY);
        let mut consumer = Consumer::new(ring, page, RingKind::Access);
        assert!(producer.push(&[1; 7]).is_ok());
        assert!(producer.push(&[2; 7]).is_ok());
        let reader = loom::thread::spawn(move || {
            consumer.pop();
            consumer.take_waiter()
        });
        producer.announce_wait();
        let sleeps = !producer.has_room();
        let noticed = reader.join().unwrap();
        assert!(!sleeps || noticed, "the producer waits and nobody knows");
    });
}

/// The word that holds a byte holds others too, which stay as they are while it is written.
#[test]
fn typed_bytes_come_whole_and_in_order() {
    model(|| {
        let memory: &InputMemory<LoomWord> = Box::leak(Box::default());
        let reader: &InputReader<LoomWord> = Box::leak(Box::default());
        let at = InputPosition::default();
        let mut producer = InputProducer::resume(memory, reader, at);
        let mut consumer = InputConsumer::resume(memory, reader, at);
        let writer = loom::thread::spawn(move || {
            for byte in 1..=3 {
                assert!(producer.append(byte));
                producer.publish();
            }
        });
        let mut taken: Vec<_> = (0..2).filter_map(|_| consumer.take()).collect();
        consumer.publish();
        writer.join().unwrap();
        taken.extend(std::iter::from_fn(|| consumer.take()));
        assert_eq!(taken, [1, 2, 3]);
        assert_eq!(consumer.position().misbehaviour, 0);
    });
}
