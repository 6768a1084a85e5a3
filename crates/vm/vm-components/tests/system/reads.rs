//! What a read of a device's register gives, by how the device's kind says that it is read: at once, later,
//! and where nobody answers.

use crate::fixtures::{LOC, device, emit};
use crate::machine::{HZ, MS, System, TraceIs};
use guest_access::Direction;
use shared_ring::{AtomicU64, Ordering};
use trace_records::ACCESS_SLOTS;
use vm_config::{Device, Options, Unsupported};

/// Two registers that read back, and what follows from them.
const A: u64 = LOC;
const B: u64 = LOC + 4;
const SUM: u64 = LOC + 8;
/// What is asked, and how many there are.
const DATA: u64 = LOC;
const LEVEL: u64 = LOC + 4;

fn with(kind: &'static str) -> System {
    let device = Device {
        emit: emit(true, Some(12)),
        ..device(kind, LOC)
    };
    System::with(&[device], Unsupported::default())
}

/// A store of a word. Whether the guest runs on.
fn store(system: &mut System, address: u64, value: u64) -> bool {
    system.platform.gprs[2] = value;
    system.access(address, 2, 1, 2)
}

/// A load of a word; `None` if the guest waits.
fn load(system: &mut System, address: u64) -> Option<u64> {
    let runs = system.access(address, 2, 0, 1);
    runs.then_some(system.platform.gprs[1])
}

/// What a load gave that had to wait.
fn has_got(system: &mut System) -> u64 {
    assert!(!system.platform.running, "the guest waits");
    system.trace_is = TraceIs::Alive;
    system.pass(10 * MS);
    assert!(system.platform.running);
    system.platform.gprs[1]
}

#[test]
fn what_reads_back_is_known_before_it_is_applied_whatever_else_is_written() {
    let mut system = with("adder");
    system.trace_is = TraceIs::Stopped;
    assert!(store(&mut system, A, 30));
    assert_eq!(load(&mut system, A), Some(30));
    assert!(store(&mut system, B, 11));
    assert!(store(&mut system, B, 12));
    assert_eq!(load(&mut system, A), Some(30));
    assert_eq!(load(&mut system, B), Some(12));
    assert_eq!(
        system.memory.state.read(0).sequence,
        0,
        "nothing is applied"
    );
}

#[test]
fn what_follows_waits_while_a_write_to_the_device_is_not_applied_and_only_then() {
    let mut system = with("adder");
    assert!(store(&mut system, A, 30));
    assert!(store(&mut system, B, 12));
    system.trace_is = TraceIs::Stopped;
    assert_eq!(load(&mut system, SUM), None);
    assert_eq!(has_got(&mut system), 42);
    // A read is no write.
    system.trace_is = TraceIs::Stopped;
    assert_eq!(load(&mut system, SUM), Some(42));
    assert_eq!(load(&mut system, A), Some(30));
    assert_eq!(load(&mut system, SUM), Some(42));
    // Nor is one that is refused.
    assert!(store(&mut system, SUM, 9));
    assert_eq!(load(&mut system, SUM), Some(42));
}

#[test]
fn what_is_asked_waits_for_its_answer_and_is_recorded_once() {
    let mut system = with("fifo-tester");
    for value in [7, 8] {
        assert!(store(&mut system, DATA, value));
    }
    system.trace_is = TraceIs::Stopped;
    for (answer, left) in [(7, 1), (8, 0), (0, 0)] {
        assert_eq!(load(&mut system, DATA), None);
        assert_eq!(has_got(&mut system), answer);
        system.trace_is = TraceIs::Stopped;
        assert_eq!(
            load(&mut system, LEVEL),
            Some(left),
            "it is known with the answer"
        );
    }
    system.trace_is = TraceIs::Alive;
    system.pass(20 * MS);
    let asked = system
        .traced()
        .into_iter()
        .filter(|record| record.address.0 == DATA && record.tag.direction() == Direction::Read);
    let told: Vec<_> = asked
        .map(|record| (record.sequence, record.value))
        .collect();
    assert_eq!(told, [(3, 7), (5, 8), (7, 0)]);
}

#[test]
fn what_is_asked_is_asked_once_there_is_room() {
    let mut system = with("fifo-tester");
    assert!(store(&mut system, DATA, 7));
    system.pass(10 * MS);
    system.trace_is = TraceIs::Stopped;
    for _ in 0..ACCESS_SLOTS {
        assert_eq!(load(&mut system, LEVEL), Some(1));
    }
    assert_eq!(load(&mut system, DATA), None);
    assert_eq!(has_got(&mut system), 7);
    assert_eq!(load(&mut system, LEVEL), Some(0));
}

#[test]
fn a_question_that_nobody_answers_is_recorded_once_and_reads_all_ones() {
    let mut system = with("fifo-tester");
    assert!(store(&mut system, DATA, 7));
    system.pass(10 * MS);
    system.trace_is = TraceIs::Stopped;
    assert_eq!(load(&mut system, DATA), None);
    system.pass(350 * MS);
    assert!(system.platform.running);
    assert_eq!(system.platform.gprs[1], 0xffff_ffff);
    system.trace_is = TraceIs::Alive;
    system.pass(200 * MS);
    // It is in the ring, so the number is gone.
    assert_eq!(load(&mut system, LEVEL), Some(0));
    system.power_off();
    assert!(system.screen.0.contains("3 accesses = 2 reads + 1 writes"));
    assert!(
        system.screen.0.contains(" 0 unrecorded"),
        "{}",
        system.screen.0
    );
}

#[test]
fn whoever_is_gone_is_not_asked() {
    let mut system = with("fifo-tester");
    assert!(store(&mut system, DATA, 7));
    system.pass(200 * MS);
    system.trace_is = TraceIs::Stopped;
    system.pass(HZ);
    for _ in 0..5 {
        assert_eq!(load(&mut system, DATA), Some(0xffff_ffff));
        assert_eq!(load(&mut system, LEVEL), Some(0xffff_ffff));
    }
    system.trace_is = TraceIs::Alive;
    system.pass(200 * MS);
    // No guest has read it: it is still there, and no record says otherwise.
    assert_eq!(load(&mut system, LEVEL), Some(1));
    assert_eq!(load(&mut system, DATA), Some(7));
    assert_eq!(system.lines("5 accesses went unrecorded").len(), 1);
    system.power_off();
    assert!(
        system.screen.0.contains(" 5 unrecorded"),
        "{}",
        system.screen.0
    );
}

/// The word of the state page that stamps the first device, behind its writer's back.
fn stamp(system: &System) -> &AtomicU64 {
    let first = std::ptr::from_ref(system.memory.state).cast::<AtomicU64>();
    // SAFETY: the page is `repr(C)` and begins with the heartbeat, then the stamps.
    let stamp = unsafe { first.add(1) };
    // SAFETY: which are atomic.
    unsafe { &*stamp }
}

#[test]
fn a_state_that_is_being_published_is_waited_for_and_not_for_ever() {
    let mut system = with("adder");
    assert!(store(&mut system, A, 42));
    system.pass(10 * MS);
    system.trace_is = TraceIs::Stopped;
    assert_eq!(load(&mut system, SUM), Some(42));
    // Its writer is in the middle.
    stamp(&system).fetch_or(1, Ordering::Relaxed);
    assert_eq!(load(&mut system, SUM), None);
    assert_eq!(has_got(&mut system), 42);
    // And stays there.
    system.trace_is = TraceIs::Stopped;
    stamp(&system).fetch_or(1, Ordering::Relaxed);
    assert_eq!(load(&mut system, SUM), None);
    system.pass(350 * MS);
    assert!(system.platform.running);
    assert_eq!(system.platform.gprs[1], 0xffff_ffff);
}

#[test]
fn a_place_that_is_ignored_reads_0_keeps_nobody_waiting_and_is_told() {
    let mut system = with("pl031");
    system.trace_is = TraceIs::Stopped;
    // Where no register is, as wide as none is, and a store to what can only be read.
    assert!(store(&mut system, LOC + 0x800, 5));
    assert_eq!(load(&mut system, LOC + 0x800), Some(0));
    assert!(system.access(LOC, 3, 0, 1));
    assert_eq!(system.platform.gprs[1], 0);
    assert!(store(&mut system, LOC, 5));
    assert_eq!(load(&mut system, LOC), Some(0), "no write has been made");
    system.trace_is = TraceIs::Alive;
    system.pass(20 * MS);
    let widths: Vec<_> = system
        .traced()
        .iter()
        .map(|it| it.tag.width_bytes())
        .collect();
    assert_eq!(widths, [4, 4, 8, 4, 4]);
    assert!(system.platform.injected.is_empty());
    system.power_off();
    assert!(
        system
            .screen
            .0
            .contains("5 accesses = 3 reads + 2 writes + 0 refused")
    );
    assert!(system.screen.0.contains(" 0 misbehaviour"));
}

/// SYSTEM_RESET.
const RESET: u64 = 0x8400_0009;

#[test]
fn a_clock_keeps_its_time_through_a_reset_and_nothing_else() {
    let clock = Device {
        options: Options([Some(1000), None, None, None]),
        ..device("pl031", LOC)
    };
    let mut system = System::with(&[clock], Unsupported::default());
    let [time, alarm, load_register, mask] = [0x0, 0x4, 0x8, 0x10].map(|offset| LOC + offset);
    assert!(store(&mut system, load_register, 5000));
    assert!(store(&mut system, alarm, 5001));
    assert!(store(&mut system, mask, 1));
    system.pass(2 * HZ);
    assert_eq!(system.memory.state.lines(), 1);
    assert!(system.hypercall(RESET, 0));
    assert_eq!(load(&mut system, time), Some(5002));
    assert_eq!(load(&mut system, alarm), Some(0));
    assert_eq!(load(&mut system, mask), Some(0));
    assert_eq!(system.memory.state.lines(), 0);
}
