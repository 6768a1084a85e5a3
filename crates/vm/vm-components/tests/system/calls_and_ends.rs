//! The guest's calls by PSCI, and how a VM ends or starts again by them.

use crate::fixtures::{LOC, PC, device};
use crate::machine::{HZ, MS, System, TraceIs};
use vm_config::Unsupported;

/// SYSTEM_RESET.
const RESET: u64 = 0x8400_0009;

#[test]
fn a_cpu_that_suspends_itself_waits_and_goes_on_with_success() {
    let mut system = System::new();
    assert!(!system.hypercall(0xc400_0001, 0));
    system.pass(100 * MS);
    assert!(system.platform.running);
    assert_eq!((system.platform.gprs[0], system.platform.pc), (0, PC));
}

#[test]
fn a_vm_whose_only_cpu_is_off_has_ended() {
    let mut system = System::new();
    assert!(!system.hypercall(0x8400_0002, 0));
    system.pass(200 * MS);
    assert_eq!(system.lines("ended: powered off by the guest").len(), 1);
}

#[test]
fn a_reset_clears_the_counter_and_starts_the_guest_again() {
    let mut system = System::new();
    system.pass(3 * HZ);
    system.write(55);
    system.platform.ram[0] = 1;
    assert!(system.hypercall(0x8400_0009, 0));
    assert_eq!(system.platform.starts, [PC, PC]);
    assert_eq!(system.platform.ram[0], 0);
    system.pass(20 * MS);
    assert_eq!(system.read(), 0);
    system.pass(20 * MS);
    let last = *system.traced().last().unwrap();
    assert_eq!((last.sequence, last.epoch), (2, 1));
    assert_eq!(system.lines("reset, epoch 1").len(), 1);
}

#[test]
fn no_guest_starts_again_on_devices_that_are_not_reset() {
    for kind in ["trace", "adder"] {
        let mut system = System::with(&[device(kind, LOC)], Unsupported::default());
        system.write(55);
        system.pass(20 * MS);
        system.write(66);
        system.trace_is = TraceIs::Stopped;
        let starts = system.platform.starts.len();
        assert!(!system.hypercall(RESET, 0));
        assert_eq!(system.platform.starts.len(), starts, "{kind}");
        system.trace_is = TraceIs::Alive;
        system.pass(10 * MS);
        assert_eq!(system.platform.starts.len(), starts + 1);
        system.trace_is = TraceIs::Stopped;
        assert_eq!(system.read(), 0, "{kind}");
    }
}

#[test]
fn a_reset_of_which_nobody_hears_starts_the_guest_all_the_same() {
    let mut system = System::new();
    system.trace_is = TraceIs::Stopped;
    assert!(!system.hypercall(RESET, 0));
    system.pass(350 * MS);
    assert!(system.platform.running);
    // By now it counts as gone.
    let starts = system.platform.starts.len();
    assert!(system.hypercall(RESET, 0));
    assert_eq!(system.platform.starts.len(), starts + 1);
}

#[test]
fn a_guest_that_fails_ends_with_its_code_and_a_bad_verdict() {
    let mut system = System::new();
    assert!(!system.hypercall(0xc600_0000, 7));
    system.pass(200 * MS);
    assert_eq!(
        system.lines("the guest says that it failed, code 7").len(),
        1
    );
    assert_eq!(system.lines("verdict: failed").len(), 1);
}
