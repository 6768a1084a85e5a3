//! What is typed at a VM whose VMM lies about how far it has read, or reads nothing: it costs the console no more
//! than it can take at once, and another VM neither its lines nor what was typed for it before.

use crate::fixtures::first_word;
use crate::machine::{HONEST, HOSTILE, System, Watch, system};
use shared_ring::{INPUT_BYTES, InputConsumer, Ordering};
use std::collections::VecDeque;
use vm_components::{Input, Typed};

/// A UART, and how often somebody looked into it.
#[derive(Default)]
struct Keyboard {
    typed: VecDeque<u8>,
    looks: usize,
}

impl Input for Keyboard {
    fn is_there(&mut self) -> bool {
        self.looks += 1;
        !self.typed.is_empty()
    }

    fn take(&mut self) -> Option<u8> {
        self.looks += 1;
        self.typed.pop_front()
    }
}

/// The most bytes that the console takes at once, and a look before and after them.
const MOST_LOOKS: usize = 512 + 2;

impl System {
    /// The UART wakes the console until it has taken all or a VM has no room, beside lines of the honest VM.
    fn type_in(&mut self, keyboard: &mut Keyboard, text: &[u8], line: &mut usize) -> Typed {
        keyboard.typed.extend(text);
        let mut typed = Typed::All;
        for _ in 0..=2 * INPUT_BYTES / 512 {
            keyboard.looks = 0;
            typed = self.console.typed(keyboard, &mut self.now);
            assert!(keyboard.looks <= MOST_LOOKS, "{} looks", keyboard.looks);
            self.wake_beside_the_honest_one(*line);
            *line += 1;
        }
        typed
    }

    fn claim_to_have_read(&self, position: u64) {
        let tail = first_word(self.vms[HOSTILE].memory.input_reader);
        tail.store(position, Ordering::Relaxed);
    }
}

fn read(consumer: &mut InputConsumer) -> Vec<u8> {
    let bytes = std::iter::from_fn(|| consumer.take()).collect();
    consumer.publish();
    bytes
}

#[test]
fn a_vmm_that_has_read_what_nobody_typed_gets_a_ring_full_and_no_more() {
    for lie in [INPUT_BYTES as u64 + 1, 1 << 63, u64::MAX] {
        let mut system = system(Watch::Nobody);
        let (mut keyboard, mut line) = (Keyboard::default(), 0);
        system.claim_to_have_read(lie);
        let text = [b'x'; 2 * INPUT_BYTES];
        let typed = system.type_in(&mut keyboard, &text, &mut line);
        assert_eq!((typed, keyboard.typed.len()), (Typed::Left, INPUT_BYTES));
        // Each wake-up finds the lie again, and takes nothing.
        let typed = system.type_in(&mut keyboard, b"", &mut line);
        assert_eq!((typed, keyboard.typed.len()), (Typed::Left, INPUT_BYTES));
        // Another VMM in its place reads, and the rest comes.
        let mut hostile = system.vms[HOSTILE].memory.input_consumer();
        let first = read(&mut hostile);
        let typed = system.type_in(&mut keyboard, b"", &mut line);
        assert_eq!(typed, Typed::All);
        assert_eq!([first, read(&mut hostile)].concat(), text);
    }
}

#[test]
fn a_vmm_that_reads_nothing_costs_another_vm_only_what_was_typed_behind_the_last_that_it_has_room_for()
 {
    let mut system = system(Watch::Nobody);
    let (mut keyboard, mut line) = (Keyboard::default(), 0);
    let mut honest = system.vms[HONEST].memory.input_consumer();
    let text = [b'x'; INPUT_BYTES - 1];
    let typed = system.type_in(&mut keyboard, &text, &mut line);
    assert_eq!(typed, Typed::All);
    // Whoever types at another before the ring is full does so as ever, however much.
    for _ in 0..3 {
        let typed = system.type_in(&mut keyboard, b"\x012", &mut line);
        assert_eq!(typed, Typed::All);
        let text = [b'y'; INPUT_BYTES];
        let typed = system.type_in(&mut keyboard, &text, &mut line);
        assert_eq!((typed, read(&mut honest)), (Typed::All, text.to_vec()));
    }
    // What it has no room for stays, and with it what follows, until it reads a byte.
    let typed = system.type_in(&mut keyboard, b"\x011ab\x012behind", &mut line);
    assert_eq!((typed, read(&mut honest)), (Typed::Left, Vec::new()));
    assert_eq!(keyboard.typed, b"b\x012behind");
    system.claim_to_have_read(u64::MAX);
    let typed = system.type_in(&mut keyboard, b"", &mut line);
    assert_eq!((typed, read(&mut honest)), (Typed::Left, Vec::new()));
    system.claim_to_have_read(2);
    let typed = system.type_in(&mut keyboard, b"", &mut line);
    assert_eq!((typed, read(&mut honest)), (Typed::All, b"behind".to_vec()));
}
