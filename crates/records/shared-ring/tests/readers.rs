//! A reader never disturbs the writer: not one that is slow, not one that lies, not one that
//! is gone.
//!
//! A trace ring's writer reads no memory at all, so that nothing a reader does can reach it.
//! A log ring's writer reads one word of its reader's page, at most once for each record.

use shared_ring::{
    BoundedProducer, ConsumerPage, Full, Identity, Observation, Observer, Ordering,
    OverwritingProducer, RingKind, RingMemory, Wake, Word,
};
use std::cell::RefCell;
use std::sync::atomic::AtomicBool;
use std::thread;

const IDENTITY: Identity = Identity {
    kind: RingKind::Trace,
    vm: 0,
    clock_hz: 62_500_000,
    start_ticks: 0,
};

/// What a reader's page says, each time that it is read.
type Claims = Box<dyn FnMut() -> u64>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Store(u64),
    Load,
    Fence,
}

std::thread_local! {
    /// What the writer did to memory since the test last looked.
    static STEPS: RefCell<Vec<Step>> = const { RefCell::new(Vec::new()) };
    /// What a lying reader's page says next.
    static CLAIM: RefCell<Claims> = RefCell::new(Box::new(|| 0));
}

fn steps() -> Vec<Step> {
    STEPS.take()
}

/// A word that notes what is done to it. Whoever loads one gets what the test claims: in the
/// tests below that is the reader's page alone.
#[derive(Default)]
struct Noted;

impl Word for Noted {
    fn load(&self, _: Ordering) -> u64 {
        STEPS.with_borrow_mut(|steps| steps.push(Step::Load));
        CLAIM.with_borrow_mut(|claim| claim())
    }

    fn store(&self, value: u64, _: Ordering) {
        STEPS.with_borrow_mut(|steps| steps.push(Step::Store(value)));
    }

    fn fence(_: Ordering) {
        STEPS.with_borrow_mut(|steps| steps.push(Step::Fence));
    }
}

fn leak<T>(memory: T) -> &'static T {
    Box::leak(Box::new(memory))
}

#[test]
fn the_writer_of_a_trace_ring_reads_no_memory() {
    let mut producer = OverwritingProducer::new(leak(RingMemory::<4, Noted>::zeroed()), IDENTITY);
    steps();
    for number in 1..=100 {
        producer.push(&[7; 7]);
        let steps = steps();
        assert!(!steps.contains(&Step::Load), "record {number}: {steps:?}");
        // The number twice, the payload, the head, and the count of what was overwritten.
        let stores = steps.iter().filter(|step| matches!(step, Step::Store(_)));
        assert_eq!(stores.count(), if number <= 4 { 10 } else { 11 });
    }
}

/// What each of a hundred records made the writer of a log ring do, with a reader whose
/// position is what `claim` says.
fn logged(claim: impl FnMut() -> u64 + 'static) -> (Vec<Vec<Step>>, u64) {
    CLAIM.set(Box::new(claim));
    let ring = leak(RingMemory::<4, Noted>::zeroed());
    let page = leak(ConsumerPage::<Noted>::default());
    let mut producer = BoundedProducer::new(ring, page, IDENTITY);
    steps();
    let each = (0..100).map(|_| {
        let _ = producer.push_or_lose(&[7; 7]);
        steps()
    });
    (each.collect(), producer.lost())
}

#[test]
fn no_reader_makes_the_writer_of_a_log_ring_wait() {
    let mut slow = 0;
    let mut wild = 1_u64;
    let readers: [(&str, Claims, u64); 4] = [
        ("gone", Box::new(|| 0), 96),
        // It takes a record each time it is looked at.
        (
            "slow",
            Box::new(move || {
                slow += 1;
                slow
            }),
            0,
        ),
        ("ahead of everything", Box::new(|| u64::MAX), 96),
        (
            "anywhere",
            Box::new(move || {
                wild = wild.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                wild
            }),
            96,
        ),
    ];
    for (reader, claim, lost) in readers {
        let (each, counted) = logged(claim);
        assert_eq!(counted, lost, "with a reader that is {reader}");
        for steps in each {
            let loads = steps.iter().filter(|step| **step == Step::Load).count();
            assert!(loads <= 1 && steps.len() <= 13, "{reader}: {steps:?}");
        }
    }
}

#[test]
fn a_reader_that_lies_cannot_make_the_writer_wake_it_twice_for_a_record() {
    CLAIM.set(Box::new(|| 0));
    let ring = leak(RingMemory::<4, Noted>::zeroed());
    let page = leak(ConsumerPage::<Noted>::default());
    let mut producer = BoundedProducer::new(ring, page, IDENTITY);
    let mut wakes = 0;
    for _ in 0..4 {
        assert_eq!(producer.push(&[7; 7]), Ok(()));
        for claim in [0, 1, 2, 3, 4, u64::MAX] {
            CLAIM.set(Box::new(move || claim));
            wakes += u32::from(producer.take_wake() == Wake::Asked);
        }
        CLAIM.set(Box::new(|| 0));
    }
    assert!(wakes <= 4, "{wakes} wake-ups for four records");
    assert_eq!(producer.push(&[7; 7]), Err(Full));
}

/// On real memory, at full speed: what the reader sees is whole, and with what it missed it
/// adds up, whatever its pace.
#[test]
fn a_slow_reader_loses_records_and_counts_them_while_the_writer_goes_on() {
    const RECORDS: u64 = 300_000;
    let ring: &RingMemory<64> = leak(RingMemory::new());
    let finished = leak(AtomicBool::new(false));
    let mut producer = OverwritingProducer::new(ring, IDENTITY);
    let reader = thread::spawn(move || {
        let mut observer = Observer::new(ring);
        let (mut seen, mut lost, mut last) = (0, 0, 0);
        loop {
            let over = finished.load(Ordering::Acquire);
            while let Some(observation) = observer.observe() {
                match observation {
                    Observation::Record(number, payload) => {
                        assert_eq!(payload, [number; 7], "a torn record was accepted");
                        assert!(number > last);
                        last = number;
                        seen += 1;
                    }
                    Observation::Lost(count) => lost += count,
                }
                if seen % 1000 == 0 {
                    thread::yield_now();
                }
            }
            if over {
                return (seen, lost);
            }
        }
    });
    for number in 1..=RECORDS {
        producer.push(&[number; 7]);
    }
    finished.store(true, Ordering::Release);
    let (seen, lost) = reader.join().unwrap();
    assert_eq!(seen + lost, RECORDS);
    assert_eq!(producer.lost(), RECORDS - 64);
}

#[test]
fn who_looks_in_the_middle_of_a_run_counts_what_it_went_over_as_lost() {
    let ring: &RingMemory<8> = leak(RingMemory::new());
    let mut writer = OverwritingProducer::new(ring, IDENTITY);
    (1..=16).for_each(|value| writer.push(&[value; 7]));
    let kept = *writer.position();
    (17..=19).for_each(|value| writer.append(&[value; 7]));
    let observed = || {
        let mut observer = Observer::new(ring);
        let all = std::iter::from_fn(|| observer.observe());
        all.fold((0, vec![]), |(lost, mut numbers), seen| match seen {
            Observation::Lost(more) => (lost + more, numbers),
            Observation::Record(number, payload) => {
                assert_eq!(payload, [number; 7]);
                numbers.push(number);
                (lost, numbers)
            }
        })
    };
    assert_eq!(observed(), (11, (12..=16).collect()));
    // Who goes on after the writer's death writes the same once more.
    let mut writer = OverwritingProducer::resume(ring, IDENTITY, kept);
    writer.append(&[17; 7]);
    assert_eq!(observed(), (11, (12..=16).collect()));
    (18..=19).for_each(|value| writer.append(&[value; 7]));
    writer.publish();
    assert_eq!(observed(), (11, (12..=19).collect()));
}
