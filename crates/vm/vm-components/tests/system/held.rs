//! Accesses that have to wait for the trace component, and what becomes of the VM where it does not
//! answer or lies.

use crate::fixtures::{LOC, claim_read, device};
use crate::machine::{HZ, MS, System, TraceIs};
use trace_records::ACCESS_SLOTS;
use vm_config::Unsupported;

#[test]
fn a_read_after_a_narrow_write_waits_for_the_trace_component() {
    let mut system = System::new();
    system.write(0x1122_3344);
    system.platform.gprs[3] = 0xffaa;
    assert!(system.access(LOC + 2, 0, 1, 3));
    assert_eq!(system.read(), 0x11aa_3344);
    system.trace_is = TraceIs::Stopped;
    assert!(system.access(LOC, 0, 1, 3));
    assert!(
        !system.access(LOC, 2, 0, 1),
        "only the trace component knows the outcome"
    );
    system.trace_is = TraceIs::Alive;
    system.pass(10 * MS);
    assert!(system.platform.running);
    assert_eq!(system.platform.gprs[1], 0x11aa_33aa);
}

#[test]
fn a_full_ring_holds_the_guest_and_loses_nothing() {
    let mut system = System::new();
    system.trace_is = TraceIs::Stopped;
    for value in 0..ACCESS_SLOTS as u64 {
        system.write(value);
    }
    system.platform.gprs[2] = 9999;
    assert!(!system.access(LOC, 2, 1, 2));
    system.trace_is = TraceIs::Alive;
    system.pass(10 * MS);
    assert!(system.platform.running);
    assert_eq!(system.read(), 9999);
    system.power_off();
    assert!(
        system
            .screen
            .0
            .contains("1026 accesses = 1 reads + 1025 writes"),
        "{}",
        system.screen.0
    );
    assert!(system.screen.0.contains(" 0 unrecorded"));
}

#[test]
fn without_the_trace_component_the_guest_lives_and_one_error_is_logged() {
    let mut system = System::new();
    system.pass(100 * MS);
    system.trace_is = TraceIs::Stopped;
    system.pass(HZ);
    assert_eq!(system.read(), 0xffff_ffff);
    for _ in 0..3 * ACCESS_SLOTS {
        assert_eq!(system.read(), 0xffff_ffff);
    }
    system.pass(HZ);
    assert_eq!(system.lines("does not answer").len(), 1);
    system.trace_is = TraceIs::Alive;
    system.pass(200 * MS);
    let unrecorded = 3 * ACCESS_SLOTS + 1 - ACCESS_SLOTS;
    assert_eq!(
        system
            .lines(&format!("{unrecorded} accesses went unrecorded"))
            .len(),
        1
    );
    assert_eq!(system.read(), 2);
    system.power_off();
    assert!(
        system
            .screen
            .0
            .contains(&format!("{unrecorded} unrecorded")),
        "{}",
        system.screen.0
    );
}

#[test]
fn an_end_that_the_trace_component_cannot_hear_of_is_told_to_whoever_watches() {
    let mut system = System::new();
    system.power_off();
    assert_eq!(system.vmm.unheard_end(), None, "it has been heard of");
    let mut system = System::new();
    system.trace_is = TraceIs::Stopped;
    system.pass(HZ);
    for _ in 0..ACCESS_SLOTS {
        system.read();
    }
    system.power_off();
    system.pass(HZ);
    assert_eq!(
        system.vmm.unheard_end(),
        Some(trace_records::EndReason::PoweredOff)
    );
}

#[test]
fn a_held_access_is_completed_by_policy_after_three_wake_ups() {
    let mut system = System::new();
    system.trace_is = TraceIs::Stopped;
    for _ in 0..ACCESS_SLOTS {
        system.read();
    }
    assert!(!system.access(LOC, 2, 0, 1));
    system.pass(250 * MS);
    assert!(!system.platform.running);
    system.pass(100 * MS);
    assert!(system.platform.running);
    assert_eq!(system.platform.gprs[1], 0xffff_ffff);
}

#[test]
fn a_reader_that_says_it_has_read_the_future_is_told_of_once_a_second() {
    let mut system = System::new();
    system.trace_is = TraceIs::Stopped;
    // One more than the ring has room for.
    for _ in 0..ACCESS_SLOTS {
        assert!(system.access(LOC, 2, 0, 1));
    }
    claim_read(system.memory.access_reader, u64::MAX);
    assert!(!system.access(LOC, 2, 0, 1), "there is no room");
    for _ in 0..20 {
        system.access(LOC, 2, 0, 1);
        system.pass(100 * MS);
    }
    let told = system.lines("error demo: the other ends of the VMM's rings misbehave: ");
    assert_eq!(told.len(), 2, "{}", system.screen.0);
}

#[test]
fn an_ended_vm_is_reported_even_without_the_trace_component() {
    let mut system = System::new();
    system.trace_is = TraceIs::Stopped;
    system.pass(500 * MS);
    system.power_off();
    assert_eq!(system.lines("ended: powered off by the guest").len(), 1);
    assert_eq!(system.lines("verdict: ok").len(), 1);
}

/// A system with a device whose second word follows from its first, of which the trace component was gone so
/// long that the ring is full. `unheard` is what the guest does then; after that it is back.
fn after(unheard: impl FnOnce(&mut System)) -> System {
    let devices = [device("adder", LOC)];
    let mut system = System::with(&devices, Unsupported::default());
    system.trace_is = TraceIs::Stopped;
    system.pass(HZ);
    for _ in 0..ACCESS_SLOTS {
        assert_eq!(system.read(), 0xffff_ffff);
    }
    unheard(&mut system);
    system.trace_is = TraceIs::Alive;
    system.pass(200 * MS);
    system
}

#[test]
fn a_write_of_which_nobody_heard_keeps_no_later_read_waiting() {
    let mut system = after(|system| system.write(5));
    assert!(system.access(LOC + 8, 2, 0, 1), "the sum is known");
    assert_eq!(system.platform.gprs[1], 0);
    assert_eq!(system.read(), 0, "it was not carried out");
}

#[test]
fn nor_does_what_nobody_heard_of_keep_the_next_vmms_guest_waiting() {
    let unheard: [fn(&mut System); 3] = [
        |system| system.write(5),
        |system| assert_eq!(system.read(), 0xffff_ffff),
        // Which the device does not support.
        |system| assert!(system.access(LOC + 8, 2, 1, 2)),
    ];
    for unheard in unheard {
        let mut system = after(unheard);
        system.replace_vmm();
        assert!(system.access(LOC + 8, 2, 0, 1), "the sum is known");
        assert_eq!(system.platform.gprs[1], 0);
    }
}
