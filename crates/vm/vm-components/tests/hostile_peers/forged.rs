//! Records that cannot be true or are not their writer's to write: they are counted and told, not
//! believed.

use crate::fixtures::set_header_word;
use crate::machine::{HONEST, HOSTILE, Watch, end, notice, read, sums, system, text};
use shared_ring::header_word;
use trace_records::{
    ConsoleRecord, EVENT_NONE, EndReason, Misbehaviour, Misdeed, Notice, RingFate, Stamp, Text,
};
use vm_components::{MOST_MISDEEDS, Verdict};

#[test]
fn a_second_end_is_not_believed() {
    let mut system = system(Watch::Nobody);
    for vm in [HOSTILE, HONEST] {
        system.log(vm, &end(EndReason::GuestFailed));
    }
    system.log(HOSTILE, &end(EndReason::PoweredOff));
    system.log(HONEST, &end(EndReason::PoweredOff));
    system.wake();
    system.text(HOSTILE, &notice(Notice::Ended(EndReason::PoweredOff)));
    for _ in 0..30 {
        system.log(HOSTILE, &end(EndReason::PoweredOff));
        system.wake();
    }
    assert_eq!(system.count(" ended: "), 2, "{}", system.screen.0);
    assert_eq!(system.count("powered off"), 0);
    assert_eq!(system.console.verdict(), Some(Verdict::Failed));
    assert!(system.count("error hostile: the trace component misbehaves: ") > 1);
}

#[test]
fn sums_are_printed_once_and_forged_ones_counted() {
    let mut system = system(Watch::Nobody);
    for _ in 0..50 {
        for words in sums() {
            system.log(HOSTILE, &words);
        }
    }
    system.wake();
    assert_eq!(system.count("accesses = 0 reads"), 1);
    assert_eq!(system.count(" lost: 0 not logged"), 1);
    assert_eq!(system.count("no accesses"), 1);
    let told =
        "error hostile: the trace component misbehaves: 147 times, last something after the end";
    assert_eq!(system.count(told), 1, "{}", system.screen.0);
}

#[test]
fn what_is_not_a_vmms_to_say_is_not_believed_and_told() {
    for words in [
        ConsoleRecord::Verdict(Verdict::Ok).to_words(),
        ConsoleRecord::VmDied { time: 1, vm: 1 }.to_words(),
        notice(Notice::Ended(EndReason::VmmDied)),
        read(),
        [u64::MAX; 7],
    ] {
        let mut system = system(Watch::There);
        system.text(HOSTILE, &words);
        system.wake();
        let told =
            "error hostile: its VMM misbehaves: 1 times, last a record that cannot be in its ring";
        assert_eq!(system.count(told), 1, "{}", system.screen.0);
        assert_eq!(system.screen.0.lines().count(), 1);
        assert_eq!(system.console.verdict(), None);
    }
}

#[test]
fn a_ring_of_nonsense_is_told_of_once_a_second_and_then_closed() {
    let mut system = system(Watch::Nobody);
    for number in 0..60 {
        for _ in 0..50 {
            system.text(HOSTILE, &[u64::MAX; 7]);
        }
        system.wake_beside_the_honest_one(number);
    }
    let told = system.screen.lines("misbehaves");
    // 500 a second: at once, after a second, and when there are 1000.
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[2].ends_with("; its ring is closed"));
    let sum = told.iter().map(|line| {
        let (_, rest) = line.split_once("misbehaves: ").unwrap();
        rest.split(' ').next().unwrap().parse::<u64>().unwrap()
    });
    assert_eq!(sum.sum::<u64>(), MOST_MISDEEDS);
    system.text(HOSTILE, &text(b"anybody?\n"));
    system.wake();
    assert_eq!(system.count("anybody?"), 0);
}

#[test]
fn that_a_ring_is_closed_is_printed_once_and_forgeries_are_counted() {
    let mut system = system(Watch::Nobody);
    let closed = Misbehaviour {
        time: 1,
        count: 1,
        last: Misdeed::Number,
        ring: RingFate::Closed,
    };
    let words = closed.to_words(Stamp::new(0, EVENT_NONE));
    for _ in 0..3 {
        system.log(HOSTILE, &words);
    }
    system.wake();
    assert_eq!(
        system.count("; its ring is closed"),
        1,
        "{}",
        system.screen.0
    );
    let blamed = system.count("error hostile: the trace component misbehaves: 2 times");
    assert_eq!(blamed, 1, "{}", system.screen.0);
}

#[test]
fn a_time_that_is_still_to_come_is_now() {
    let mut system = system(Watch::Nobody);
    let future = ConsoleRecord::Text(Text::new(u64::MAX >> 8, b"from the future\n"));
    system.text(HOSTILE, &future.to_words());
    system.wake();
    assert!(
        system.screen.0.starts_with("[   0.1000"),
        "{}",
        system.screen.0
    );
}

#[test]
fn a_component_of_another_build_is_named_with_its_version() {
    let mut system = system(Watch::There);
    let version = header_word::LAYOUT_VERSION;
    set_header_word(system.vms[0].memory.text, version, 1);
    set_header_word(system.vms[1].memory.log, version, 5);
    set_header_word(system.watch_memory.text, version, 1);
    system.text(0, &text(b"of the past\n"));
    system.log(1, &end(EndReason::PoweredOff));
    system.watch_says(ConsoleRecord::Verdict(Verdict::Ok));
    for _ in 0..5 {
        system.wake();
    }
    let tail = "and only 4 is read here; build all parts of the system together";
    for (who, version) in [
        ("error hostile: its VMM", 1),
        ("error honest: the trace component", 5),
        ("the monitor", 1),
    ] {
        let line =
            format!("{who} is of another build: its ring has layout version {version}, {tail}");
        assert_eq!(system.count(&line), 1, "{line}: {}", system.screen.0);
    }
    assert_eq!(system.count("of the past") + system.count("verdict"), 0);
}
