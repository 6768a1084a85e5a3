//! What no device takes, the CPU does not describe or the VM does not have, and the exceptions that
//! the guest gets for it.

use crate::fixtures::{LOC, PC, trace_device};
use crate::machine::{MS, System, external_abort};
use guest_access::{Direction, GuestPhysAddr};
use vm_components::{Exit, GuestException};
use vm_config::{Action, Unsupported};

#[test]
fn where_there_is_no_device_reads_give_all_ones_and_are_counted() {
    let mut system = System::new();
    for (log2, ones) in [(0, 0xff), (1, 0xffff), (2, 0xffff_ffff)] {
        assert!(system.access(LOC + 0x100, log2, 0, 1));
        assert_eq!(system.platform.gprs[1], ones);
    }
    assert!(system.access(LOC + 4, 2, 1, 2));
    assert_eq!(system.read(), 0);
    system.pass(20 * MS);
    assert_eq!(
        system.lines("no device").len(),
        1,
        "the log is limited to one a second"
    );
    system.power_off();
    assert!(
        system.screen.0.contains("; 4 outside a device"),
        "{}",
        system.screen.0
    );
}

#[test]
fn what_the_device_does_not_support_follows_the_reference_policy() {
    for (action, running, injected) in [
        (Action::Ignore, true, 0),
        (Action::Fail, true, 1),
        (Action::Abort, false, 0),
    ] {
        let unsupported = Unsupported {
            reference: action,
            ..Unsupported::default()
        };
        let mut system = System::with(&[trace_device(true, None)], unsupported);
        assert_eq!(system.access(LOC, 3, 0, 1), running, "{action:?}");
        assert_eq!(system.platform.injected.len(), injected);
        system.pass(200 * MS);
        assert_eq!(
            system.lines("R8 0xfa000000 not supported").len(),
            1,
            "{}",
            system.screen.0
        );
        assert_eq!(system.lines("verdict: failed").len(), usize::from(!running));
    }
}

#[test]
fn what_the_hardware_does_not_describe_follows_the_instruction_policy() {
    let undescribed = 0x24 << 26 | 0b111;
    let mut system = System::new();
    assert!(system.exit(undescribed, LOC));
    assert_eq!(
        system.platform.injected,
        [external_abort(Direction::Read, LOC)]
    );
    system.pass(20 * MS);
    assert_eq!(system.lines("R? 0xfa000000 not supported").len(), 1);
    let ignore = Unsupported {
        instruction: Action::Ignore,
        ..Unsupported::default()
    };
    let mut system = System::with(&[trace_device(true, None)], ignore);
    assert!(system.exit(undescribed, LOC));
    assert_eq!(
        (system.platform.pc, system.platform.injected.len()),
        (PC + 4, 0)
    );
}

#[test]
fn a_guest_at_the_end_of_its_address_space_goes_on_at_the_start() {
    let ignore = Unsupported {
        instruction: Action::Ignore,
        reference: Action::Ignore,
        register: Action::Ignore,
    };
    let mut system = System::with(&[trace_device(true, None)], ignore);
    let (undescribed, described) = (0x24 << 26 | 0b111, 0x24 << 26 | 1 << 24 | 2 << 22 | 0b111);
    for syndrome in [undescribed, described, 0x17 << 26, 0x18 << 26] {
        let exit = Exit {
            syndrome,
            address: GuestPhysAddr(LOC),
            pc: u64::MAX - 3,
        };
        system.vmm.fault(exit, &mut system.platform);
        assert_eq!(system.platform.pc, 0);
    }
}

#[test]
fn an_unsupported_system_register_is_undefined_to_the_guest() {
    let mut system = System::new();
    assert!(system.exit(0x18 << 26, 0));
    assert_eq!(system.platform.injected, [GuestException::Undefined]);
}

#[test]
fn extensions_that_the_vm_does_not_have_are_undefined_to_the_guest() {
    // SIMD, pointer authentication, SVE.
    for class in [0x07, 0x09, 0x19] {
        let mut system = System::new();
        assert!(system.exit(class << 26 | 1 << 25, 0));
        assert_eq!(system.platform.injected, [GuestException::Undefined]);
    }
}

#[test]
fn a_flood_of_exceptions_is_one_message_a_second_and_the_numbers_add_up() {
    let mut system = System::new();
    for _ in 0..3_000 {
        assert!(system.exit(0x18 << 26, 0));
        system.pass(MS);
    }
    system.power_off();
    let told: Vec<u64> = system
        .lines("exceptions given")
        .iter()
        .map(|line| line.split_whitespace().nth(4).unwrap().parse().unwrap())
        .collect();
    assert!(told.len() <= 4, "{told:?}");
    assert_eq!(told.iter().sum::<u64>(), 3_000);
}
