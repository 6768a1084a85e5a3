//! What appending a record costs on the host, in nanoseconds: `cargo bench -p shared-ring`.
//!
//! The median of many rounds, so that what else the machine does shows little. No test: how
//! fast a machine is proves nothing about the code.

use shared_ring::{
    BoundedProducer, Consumer, ConsumerPage, Identity, Observer, OverwritingProducer, RingKind,
    RingMemory,
};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: usize = 501;
const RECORDS: u64 = 10_000;
/// As a trace ring and as a log ring have.
const TRACE_SLOTS: usize = 8192;
const LOG_SLOTS: usize = 1024;

fn main() {
    let ring = leak(RingMemory::<TRACE_SLOTS>::new());
    let mut trace = OverwritingProducer::new(ring, identity(RingKind::Trace));
    measure("trace ring, overwriting", || {
        for value in 0..RECORDS {
            trace.push(black_box(&[value; 7]));
        }
    });
    let mut observer = Observer::new(ring);
    measure(
        "trace ring, overwriting, and somebody looks at each",
        || {
            for value in 0..RECORDS {
                trace.push(black_box(&[value; 7]));
                black_box(observer.observe());
            }
        },
    );

    let (ring, page) = (
        leak(RingMemory::<LOG_SLOTS>::new()),
        leak(ConsumerPage::new()),
    );
    let mut log = BoundedProducer::new(ring, page, identity(RingKind::Log));
    let mut consumer = Consumer::new(ring, page, RingKind::Log);
    measure("log ring, and its consumer takes each", || {
        for value in 0..RECORDS {
            let _ = black_box(log.push_or_lose(black_box(&[value; 7])));
            black_box(consumer.pop());
        }
    });
    measure("log ring, whose consumer is gone", || {
        for value in 0..RECORDS {
            let _ = black_box(log.push_or_lose(black_box(&[value; 7])));
        }
    });
}

fn leak<T>(memory: T) -> &'static T {
    Box::leak(Box::new(memory))
}

fn identity(kind: RingKind) -> Identity {
    Identity {
        kind,
        vm: 0,
        clock_hz: 62_500_000,
        start_ticks: 0,
    }
}

fn measure(what: &str, mut round: impl FnMut()) {
    let mut nanoseconds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begin = Instant::now();
            round();
            begin.elapsed().as_nanos() as f64 / RECORDS as f64
        })
        .collect();
    nanoseconds.sort_by(f64::total_cmp);
    let (median, best) = (nanoseconds[ROUNDS / 2], nanoseconds[0]);
    println!("{median:6.1} ns a record, {best:.1} at best: {what}");
}
