//! Pairs of words, whose halves may meet two devices or none, and wait for the trace component each.

use super::{LOAD_PAIR, SECOND, STORE_PAIR, two_devices, with_reference};
use crate::fixtures::{LOC, PC, trace_device};
use crate::machine::{MS, System, TraceIs, external_abort};
use guest_access::Direction;
use trace_records::ACCESS_SLOTS;
use vm_config::{Action, Unsupported};

#[test]
fn a_pair_of_words_is_two_accesses_in_order() {
    let mut system = System::with(&two_devices(), Unsupported::default());
    system.platform.gprs[2..5].copy_from_slice(&[LOC, 11, 22]);
    assert!(system.execute(STORE_PAIR, Direction::Write, LOC));
    assert_eq!(system.platform.gprs[2], LOC + 8);
    system.platform.gprs[2] = LOC;
    assert!(system.execute(LOAD_PAIR, Direction::Read, LOC));
    assert_eq!(system.platform.gprs[2..5], [LOC + 8, 11, 22]);
    system.pass(20 * MS);
    let records = system.traced();
    let places: Vec<_> = records
        .iter()
        .map(|record| (record.address.0, record.tag.width_bytes(), record.sequence))
        .collect();
    assert_eq!(
        places,
        [(LOC, 4, 1), (SECOND, 4, 1), (LOC, 4, 2), (SECOND, 4, 2)]
    );
}

#[test]
fn the_word_of_a_pair_that_meets_no_device_follows_the_reference_policy() {
    for (action, registers) in [
        (Action::Ignore, [LOC + 8, 5, 0xffff_ffff]),
        (Action::Fail, [LOC, 0, 0]),
    ] {
        let mut system = System::with(&[trace_device(true, None)], with_reference(action));
        system.write(5);
        system.platform.gprs[2..5].copy_from_slice(&[LOC, 0, 0]);
        assert!(system.execute(LOAD_PAIR, Direction::Read, LOC));
        assert_eq!(system.platform.gprs[2..5], registers, "{action:?}");
        let abort = external_abort(Direction::Read, LOC + 4);
        let injected = system.platform.injected.clone();
        assert_eq!(injected.contains(&abort), action == Action::Fail);
        system.power_off();
        assert!(system.screen.0.contains("; 1 outside a device"));
    }
}

#[test]
fn a_pair_that_is_parked_in_the_middle_does_nothing_twice() {
    let mut system = System::with(&two_devices(), Unsupported::default());
    system.trace_is = TraceIs::Stopped;
    for value in 1..ACCESS_SLOTS as u64 {
        system.write(value);
    }
    // One slot is left: the first word's.
    system.platform.gprs[2..5].copy_from_slice(&[LOC, 1111, 2222]);
    assert!(!system.execute(STORE_PAIR, Direction::Write, LOC));
    assert_eq!(
        system.platform.gprs[2], LOC,
        "the instruction has not ended"
    );
    system.trace_is = TraceIs::Alive;
    system.pass(10 * MS);
    assert!(system.platform.running);
    assert_eq!(system.platform.gprs[2], LOC + 8);
    assert_eq!(system.platform.pc, PC + 4);
    system.pass(20 * MS);
    system.power_off();
    let slots = ACCESS_SLOTS as u64;
    for (device, count, value) in [("trace0", slots, 1111), ("trace1", 1, 2222)] {
        let line = format!("demo {device}: {count} accesses = 0 reads + {count} writes");
        assert_eq!(system.lines(&line).len(), 1, "{}", system.screen.0);
        assert_eq!(system.lines(&format!("counter {value}")).len(), 1);
    }
}

#[test]
fn a_parked_pair_load_keeps_what_it_has_and_waits_for_the_rest() {
    let mut system = System::with(&two_devices(), Unsupported::default());
    system.write(40);
    system.platform.gprs[3] = 0x55;
    assert!(system.access(SECOND, 2, 1, 3));
    system.pass(20 * MS);
    system.trace_is = TraceIs::Stopped;
    // Only the trace component knows the outcome of this narrow write.
    assert!(system.access(SECOND + 1, 0, 1, 3));
    system.platform.gprs[2..5].copy_from_slice(&[LOC, 0, 0]);
    assert!(!system.execute(LOAD_PAIR, Direction::Read, LOC));
    system.trace_is = TraceIs::Alive;
    system.pass(10 * MS);
    assert_eq!(system.platform.gprs[2..5], [LOC + 8, 40, 0x5555]);
    system.pass(20 * MS);
    let reads = system
        .traced()
        .iter()
        .filter(|record| record.tag.direction() == Direction::Read)
        .count();
    assert_eq!(reads, 2);
}

#[test]
fn a_parked_pair_is_completed_by_policy_after_three_wake_ups() {
    let mut system = System::with(&two_devices(), Unsupported::default());
    system.trace_is = TraceIs::Stopped;
    for _ in 0..ACCESS_SLOTS {
        system.read();
    }
    system.platform.gprs[2] = LOC;
    assert!(!system.execute(LOAD_PAIR, Direction::Read, LOC));
    system.pass(250 * MS);
    assert!(!system.platform.running);
    system.pass(100 * MS);
    assert!(system.platform.running);
    let ones = 0xffff_ffff;
    assert_eq!(system.platform.gprs[2..5], [LOC + 8, ones, ones]);
}

#[test]
fn the_second_word_of_a_pair_has_a_wait_of_its_own() {
    let mut system = System::with(&two_devices(), Unsupported::default());
    system.trace_is = TraceIs::Stopped;
    // The first word waits for the outcome of this narrow write, in vain.
    assert!(system.access(LOC + 1, 0, 1, 3));
    system.platform.gprs[2] = LOC;
    assert!(!system.execute(LOAD_PAIR, Direction::Read, LOC));
    system.pass(400 * MS);
    assert!(system.platform.running);
    system.trace_is = TraceIs::Alive;
    system.pass(200 * MS);
    assert_eq!(system.lines("1 accesses went unrecorded").len(), 1);
    system.pass(20 * MS);
    let last = *system.traced().last().unwrap();
    assert_eq!((last.address.0, last.sequence), (SECOND, 1));
}
