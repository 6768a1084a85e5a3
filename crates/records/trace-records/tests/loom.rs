//! A state of several words under a model checker: every interleaving and every reordering that the memory
//! model allows.

use shared_ring::{Ordering, Word};
use trace_records::{Answer, StatePage};

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

const WORDS: usize = 4;

fn model(test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(test);
}

fn page() -> &'static StatePage<LoomWord, 1> {
    Box::leak(Box::default())
}

#[test]
fn a_reader_sees_words_of_one_moment_and_their_number() {
    model(|| {
        let page = page();
        let writer = loom::thread::spawn(move || {
            for sequence in 1..=2 {
                page.publish(0, sequence, &[sequence; WORDS]);
            }
        });
        let mut words = [0; WORDS];
        if let Some(sequence) = page.read_several(0, &mut words) {
            assert_eq!(words, [sequence; WORDS], "words of two moments");
        }
        writer.join().unwrap();
        assert_eq!(page.read_several(0, &mut words), Some(2));
        assert_eq!(words, [2; WORDS]);
    });
}

#[test]
fn whoever_begins_anew_in_the_middle_repairs_what_is_torn() {
    model(|| {
        let page = page();
        let writer = loom::thread::spawn(move || {
            // Published, and then all of it once more, as after a death.
            page.publish(0, 7, &[1; WORDS]);
            page.publish(0, 7, &[1; WORDS]);
        });
        let mut words = [0; WORDS];
        if let Some(sequence) = page.read_several(0, &mut words) {
            assert!(matches!(
                (sequence, words),
                (0, [0, ..]) | (7, [1, 1, 1, 1])
            ));
        }
        writer.join().unwrap();
    });
}

#[test]
fn an_answer_is_there_when_its_number_is() {
    model(|| {
        let page = page();
        let writer = loom::thread::spawn(move || {
            let answer = Answer {
                sequence: 1,
                value: 5,
            };
            page.publish_answer(0, answer);
            page.publish(0, 1, &[9; WORDS]);
        });
        if page.read(0).includes(1) {
            assert_eq!(
                page.answer(0),
                Answer {
                    sequence: 1,
                    value: 5
                }
            );
        }
        writer.join().unwrap();
    });
}
