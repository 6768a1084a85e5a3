//! The serial line is shared: what a hostile VM writes costs another no line, and no more time than
//! a turn.

use crate::fixtures::{LINE_RATE, only};
use crate::machine::{HONEST, HOSTILE, HZ, Watch, end, notice, read, sums, system, text};
use shared_ring::BoundedProducer;
use std::cell::RefCell;
use trace_records::{
    CONSOLE_SLOTS, EVENT_NONE, EndReason, LOG_SLOTS, Misbehaviour, Misdeed, Notice, RingFate, Stamp,
};
use vm_components::{Output, Verdict, channel};

#[test]
fn ends_sums_and_words_without_end_leave_the_other_vm_its_lines() {
    let mut system = system(Watch::Nobody);
    let newlines = [b'\n'; 40];
    for number in 0..200 {
        for words in sums() {
            for _ in 0..300 {
                system.log(HOSTILE, &words);
                system.log(HOSTILE, &end(EndReason::PoweredOff));
            }
        }
        for _ in 0..CONSOLE_SLOTS / 2 {
            system.text(HOSTILE, &text(&newlines));
            system.text(HOSTILE, &notice(Notice::TraceGone));
        }
        system.wake_beside_the_honest_one(number);
    }
    let most = 20 * LINE_RATE + 3 * 4096;
    assert!(system.screen.0.len() <= most, "{}", system.screen.0.len());
}

#[test]
fn one_record_of_newlines_costs_the_other_vm_no_more_than_a_turn() {
    let mut system = system(Watch::Nobody);
    for _ in 0..CONSOLE_SLOTS {
        system.text(HOSTILE, &text(&[b'\n'; 40]));
    }
    system.text(HONEST, &text(b"here\n"));
    system.wake();
    let before = system.screen.0.split("honest| here").next().unwrap();
    assert!(before.len() <= 512 / 2 + 40, "{} characters", before.len());
    // What was held back is not lost.
    for _ in 0..400 {
        system.wake();
    }
    assert_eq!(system.count("hostile| "), 40 * CONSOLE_SLOTS);
}

/// A line whose writing lets another core fill the hostile VM's console ring again.
struct BusyCore<'a> {
    text: RefCell<&'a mut BoundedProducer<CONSOLE_SLOTS>>,
    refills: u32,
    screen: String,
}

impl Output for BusyCore<'_> {
    fn write(&mut self, bytes: &[u8]) {
        self.screen.push_str(std::str::from_utf8(bytes).unwrap());
        self.refills += 1;
        assert!(self.refills < 10_000, "the console does not come to an end");
        let mut ring = self.text.borrow_mut();
        while ring.push(&text(b"more\n")).is_ok() {}
    }
}

#[test]
fn text_after_the_end_keeps_the_console_in_no_loop() {
    let mut system = system(Watch::Nobody);
    system.log(HOSTILE, &end(EndReason::PoweredOff));
    system.text(HOSTILE, &text(b"first\n"));
    system.log(HONEST, &end(EndReason::PoweredOff));
    let [hostile, _] = &mut system.vms;
    let mut output = BusyCore {
        text: RefCell::new(&mut hostile.text),
        refills: 0,
        screen: String::new(),
    };
    for _ in 0..100 {
        system.now.0 += HZ / 10;
        system
            .console
            .notified(only(channel::console::CLOCK), &mut system.now, &mut output);
    }
    // A turn of text and then one ring of it come before its end, and little after it.
    let (before, after) = output.screen.split_once("hostile: ended: ").unwrap();
    assert!(before.matches("hostile| ").count() <= CONSOLE_SLOTS + 100);
    assert!(after.matches("hostile| ").count() <= 20);
    assert!(output.screen.contains("honest: ended: "));
    assert_eq!(system.console.verdict(), Some(Verdict::Ok));
}

#[test]
fn what_the_trace_component_says_of_a_vmm_is_printed_though_the_vm_is_in_debt() {
    let mut system = system(Watch::Nobody);
    let misbehaviour = |count, ring| Misbehaviour {
        time: 1,
        count,
        last: Misdeed::Number,
        ring,
    };
    let stamp = Stamp::new(0, EVENT_NONE);
    for _ in 0..LOG_SLOTS - 200 {
        system.log(HOSTILE, &read());
    }
    system.log(HOSTILE, &misbehaviour(3, RingFate::Open).to_words(stamp));
    // Forged by the hundred they are lines like any others.
    for _ in 0..100 {
        system.log(HOSTILE, &misbehaviour(4, RingFate::Open).to_words(stamp));
    }
    for _ in 0..50 {
        system.log(HOSTILE, &misbehaviour(5, RingFate::Closed).to_words(stamp));
    }
    system.wake();
    let line = "error hostile: its VMM misbehaves: ";
    assert_eq!(
        system.count(&format!("{line}3 times, last an access whose number")),
        1
    );
    assert_eq!(system.count(&format!("{line}4 times")), 0);
    assert_eq!(system.count("; its ring is closed"), 1);
}

#[test]
fn time_is_charged_to_the_vm_that_it_was_spent_for() {
    let mut system = system(Watch::Nobody);
    for _ in 0..1000 {
        system.log(HOSTILE, &read());
    }
    system.wake();
    let [hostile, honest] = [0, 1].map(|vm| system.console.spent_ticks(vm));
    // Each look at the clock takes a tick here, and each event is one look.
    assert!(hostile > 3 * honest && honest > 0, "{hostile} and {honest}");
    assert_eq!(system.console.spent_ticks(9), 0);
}
