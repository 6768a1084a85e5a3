//! What is not carried out, is in no device, or the VM does not have.

use crate::code::{LOAD_64, LOCK_ADD, RAX, RDI};
use crate::fixtures::LOC;
use crate::machine::{RIP, System};
use guest_access::Direction;
use vm_components::{X86Exception, X86ExitReason};
use vm_config::{Action, Unsupported};

fn unsupported(action: Action) -> Unsupported {
    Unsupported {
        instruction: action,
        reference: action,
        register: action,
    }
}

#[test]
fn policy_answers_what_is_not_carried_out() {
    let mut system = System::new();
    system.platform.gprs[RDI] = LOC;
    system.access(&LOCK_ADD, Direction::Write);
    assert_eq!(system.platform.injected, [X86Exception::InvalidOpcode]);
    assert_eq!(system.platform.rip, RIP);

    let mut system = System::with(unsupported(Action::Ignore));
    system.platform.gprs[RDI] = LOC;
    system.access(&LOCK_ADD, Direction::Write);
    assert!(system.was_completed(&LOCK_ADD) && system.platform.injected.is_empty());

    let mut system = System::with(unsupported(Action::Abort));
    system.platform.gprs[RDI] = LOC;
    system.access(&LOCK_ADD, Direction::Write);
    assert!(!system.platform.running);
}

#[test]
fn eight_bytes_are_more_than_the_device_has() {
    let mut system = System::with(unsupported(Action::Fail));
    system.platform.gprs[RDI] = LOC;
    system.access(&LOAD_64, Direction::Read);
    assert_eq!(system.platform.injected, [X86Exception::GeneralProtection]);

    let mut system = System::new();
    system.platform.gprs[RDI] = LOC;
    system.access(&LOAD_64, Direction::Read);
    assert!(system.was_completed(&LOAD_64));
    assert_eq!(system.platform.gprs[RAX], u64::MAX);
}

#[test]
fn where_no_device_is_reads_give_all_ones_of_their_width() {
    let mut system = System::new();
    system.platform.gprs[RDI] = LOC + 0x100;
    system.platform.gprs[RAX] = 0x1234_5678;
    // mov ah, [rdi]
    system.access(&[0x8a, 0x27], Direction::Read);
    assert_eq!(system.platform.gprs[RAX], 0x1234_ff78);
    assert!(system.traced().is_empty());
}

#[test]
fn a_register_that_is_not_there_is_a_general_protection_exception() {
    let mut system = System::new();
    system.run(&[0x0f, 0x32], X86ExitReason::Register { number: 0x1b });
    assert_eq!(system.platform.injected, [X86Exception::GeneralProtection]);
}
