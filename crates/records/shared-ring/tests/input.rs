//! The ring of typed bytes, with peers that lie and ends that die.

use proptest::prelude::*;
use shared_ring::{
    AtomicU64, INPUT_BYTES, InputConsumer, InputMemory, InputPosition, InputProducer, InputReader,
    Ordering,
};
use std::collections::VecDeque;

struct Ring {
    memory: &'static InputMemory,
    reader: &'static InputReader,
}

impl Ring {
    fn new() -> Self {
        Self {
            memory: Box::leak(Box::new(InputMemory::new())),
            reader: Box::leak(Box::new(InputReader::new())),
        }
    }

    fn producer(&self, at: InputPosition) -> InputProducer {
        InputProducer::resume(self.memory, self.reader, at)
    }

    fn consumer(&self, at: InputPosition) -> InputConsumer {
        InputConsumer::resume(self.memory, self.reader, at)
    }

    fn both(&self) -> (InputProducer, InputConsumer) {
        let at = InputPosition::default();
        (self.producer(at), self.consumer(at))
    }
}

/// Puts what a liar says into the first word of its memory.
fn claim<T>(memory: &T, value: u64) {
    // SAFETY: both ends' memory is `repr(C)` and begins with an atomic word.
    let first = unsafe { &*std::ptr::from_ref(memory).cast::<AtomicU64>() };
    first.store(value, Ordering::Relaxed);
}

#[test]
fn bytes_come_out_as_they_were_typed_however_often_the_ring_goes_round() {
    let (mut producer, mut consumer) = Ring::new().both();
    for round in 0..5_000_u64 {
        for byte in [round as u8, (round >> 8) as u8, 0xff] {
            assert!(producer.append(byte));
            assert_eq!(consumer.take(), None, "it is not published");
            producer.publish();
            assert_eq!(consumer.take(), Some(byte));
        }
        consumer.publish();
    }
}

#[test]
fn a_full_ring_takes_nothing_until_what_was_taken_is_given_back() {
    let (mut producer, mut consumer) = Ring::new().both();
    let written = (0..).take_while(|at| producer.append(*at as u8)).count();
    assert_eq!(written, INPUT_BYTES);
    producer.publish();
    assert_eq!(consumer.take(), Some(0));
    assert!(!producer.append(1));
    consumer.publish();
    assert!(producer.append(7) && !producer.append(8));
    producer.publish();
    let rest: Vec<_> = std::iter::from_fn(|| consumer.take()).collect();
    assert_eq!((rest.len(), rest.last()), (INPUT_BYTES, Some(&7)));
}

#[test]
fn a_head_that_cannot_be_is_counted_and_ignored() {
    let ring = Ring::new();
    let (mut producer, mut consumer) = ring.both();
    for (lie, misbehaviour) in [(INPUT_BYTES as u64 + 1, 1), (u64::MAX, 2)] {
        claim(ring.memory, lie);
        assert_eq!(consumer.take(), None);
        assert_eq!(consumer.position().misbehaviour, misbehaviour);
    }
    assert!(producer.append(1));
    producer.publish();
    assert_eq!(consumer.take(), Some(1));
    claim(ring.memory, 0);
    assert_eq!(consumer.take(), None);
    assert_eq!(consumer.position().misbehaviour, 3);
}

#[test]
fn a_tail_that_cannot_be_is_counted_and_makes_no_room() {
    let ring = Ring::new();
    let (mut producer, _) = ring.both();
    while producer.append(0) {}
    for lie in [INPUT_BYTES as u64 + 1, u64::MAX] {
        claim(ring.reader, lie);
        assert!(!producer.has_room());
    }
    assert_eq!(producer.position().misbehaviour, 2);
    claim(ring.reader, 1);
    assert!(producer.append(0) && !producer.append(0));
}

/// What happens to the two ends.
#[derive(Debug, Clone)]
enum Step {
    Type(Vec<u8>),
    Take(usize),
    /// An end dies, before or after it has published what it keeps.
    ProducerDies {
        published: bool,
    },
    ConsumerDies {
        published: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..600).prop_map(Step::Type),
        (0..600usize).prop_map(Step::Take),
        any::<bool>().prop_map(|published| Step::ProducerDies { published }),
        any::<bool>().prop_map(|published| Step::ConsumerDies { published }),
    ]
}

proptest! {
    #[test]
    fn no_byte_is_lost_or_doubled_whoever_dies(steps in prop::collection::vec(step(), 0..60)) {
        let ring = Ring::new();
        let (mut producer, mut consumer) = ring.both();
        let mut waiting = VecDeque::new();
        for step in steps {
            match step {
                Step::Type(bytes) => {
                    for byte in bytes {
                        if producer.append(byte) {
                            waiting.push_back(byte);
                        }
                    }
                    producer.publish();
                }
                Step::Take(count) => {
                    for _ in 0..count {
                        prop_assert_eq!(consumer.take(), waiting.pop_front());
                    }
                    consumer.publish();
                }
                Step::ProducerDies { published } => {
                    // What it had appended and not kept, nobody has seen.
                    let kept = producer.position();
                    producer.append(b'?');
                    producer = ring.producer(kept);
                    if published {
                        producer.publish();
                    }
                }
                Step::ConsumerDies { published } => {
                    let kept = consumer.position();
                    consumer.take();
                    consumer = ring.consumer(kept);
                    if published {
                        consumer.publish();
                    }
                }
            }
            prop_assert!(waiting.len() <= INPUT_BYTES);
        }
        producer.publish();
        while let Some(byte) = waiting.pop_front() {
            prop_assert_eq!(consumer.take(), Some(byte));
        }
        prop_assert_eq!(consumer.take(), None);
        prop_assert_eq!(consumer.position().misbehaviour + producer.position().misbehaviour, 0);
    }

    #[test]
    fn whatever_the_peer_claims_each_end_stays_in_the_ring(
        claims in prop::collection::vec((any::<bool>(), prop_oneof![any::<u64>(), 0..5_000u64]), 0..50)
    ) {
        let ring = Ring::new();
        let (mut producer, mut consumer) = ring.both();
        for (of_producer, lie) in claims {
            match of_producer {
                true => {
                    claim(ring.memory, lie);
                    let taken = std::iter::from_fn(|| consumer.take()).take(2 * INPUT_BYTES).count();
                    prop_assert!(taken <= INPUT_BYTES);
                }
                false => {
                    claim(ring.reader, lie);
                    let written = (0..4 * INPUT_BYTES).take_while(|_| producer.append(0)).count();
                    // What there was room for, and what the claim gives.
                    prop_assert!(written <= 2 * INPUT_BYTES);
                }
            }
        }
    }
}
