//! String instructions: an element an exit, with an operand in RAM and one in the device.

use crate::code::{RAX, RCX, RDI, RSI, STORE};
use crate::fixtures::{LOC, RAM};
use crate::machine::{RIP, System};
use guest_access::{Direction, GuestPhysAddr};
use trace_records::ACCESS_SLOTS;
use vm_components::{Machine, X86Exception, X86ExitReason};

/// rep movsd, rep stosd, rep lodsd
const REP_MOVS: [u8; 2] = [0xf3, 0xa5];
const REP_STOS: [u8; 2] = [0xf3, 0xab];
const REP_LODS: [u8; 2] = [0xf3, 0xad];

#[test]
fn of_a_string_each_exit_is_one_element_and_the_registers_are_those_between_two() {
    let mut system = System::new();
    let buffer = RAM + 0x1000;
    let words = [1_u32, 2, 3];
    for (place, word) in (buffer..).step_by(4).zip(words) {
        let address = GuestPhysAddr(place);
        assert!(system.platform.write_ram(address, &word.to_le_bytes()));
    }
    let gprs = &mut system.platform.gprs;
    (gprs[RSI], gprs[RDI], gprs[RCX]) = (buffer, LOC, 3);
    for left in [2, 1, 0] {
        // To the one word that the device has: the guest puts RDI back between two elements,
        // as an interrupt's handler could.
        system.platform.gprs[RDI] = LOC;
        system.access(&REP_MOVS, Direction::Write);
        let platform = &system.platform;
        assert!(platform.running);
        assert_eq!(platform.gprs[RCX], left);
        assert_eq!(platform.gprs[RSI], buffer + 4 * (3 - left));
        assert_eq!(platform.gprs[RDI], LOC + 4);
        let next = if left == 0 { RIP + 2 } else { RIP };
        assert_eq!(platform.rip, next, "{left}");
    }
    let wanted = [(0, 1), (1, 2), (2, 3)];
    assert_eq!(
        system.traced(),
        wanted.map(|(old, value)| (Direction::Write, 4, old, value))
    );
}

#[test]
fn a_string_may_lead_from_the_device_down_and_to_it_from_the_accumulator() {
    const DOWN: u64 = 1 << 10;
    let mut system = System::new();
    let buffer = RAM + 0x1000;
    system.platform.gprs[RAX] = 0x1234_5678_9abc_def0;
    (system.platform.gprs[RDI], system.platform.gprs[RCX]) = (LOC, 1);
    system.access(&REP_STOS, Direction::Write);
    assert!(system.was_completed(&REP_STOS));
    assert_eq!(system.platform.gprs[RDI], LOC + 4);

    system.platform.rflags |= DOWN;
    let gprs = &mut system.platform.gprs;
    (gprs[RSI], gprs[RDI], gprs[RCX]) = (LOC, buffer, 1);
    let (address, direction) = (GuestPhysAddr(LOC), Direction::Read);
    let reason = X86ExitReason::Access { address, direction };
    system.run(&REP_MOVS, reason);
    assert!(system.was_completed(&REP_MOVS));
    let gprs = &system.platform.gprs;
    assert_eq!((gprs[RSI], gprs[RDI], gprs[RCX]), (LOC - 4, buffer - 4, 0));
    let mut copied = [0; 4];
    assert!(system.platform.read_ram(GuestPhysAddr(buffer), &mut copied));
    assert_eq!(u32::from_le_bytes(copied), 0x9abc_def0);

    let gprs = &mut system.platform.gprs;
    (gprs[RAX], gprs[RSI], gprs[RCX]) = (u64::MAX, LOC, 1);
    system.run(&REP_LODS, reason);
    assert!(system.was_completed(&REP_LODS));
    assert_eq!(system.platform.gprs[RAX], 0x9abc_def0);
    let [stored, moved, loaded] = system.traced()[..] else {
        panic!("not three accesses");
    };
    assert_eq!(stored, (Direction::Write, 4, 0, 0x9abc_def0));
    assert_eq!([moved, loaded], [(Direction::Read, 4, 0, 0x9abc_def0); 2]);
}

#[test]
fn a_string_waits_for_the_trace_component_between_its_operands_and_moves_once() {
    let mut system = System::new();
    let buffer = RAM + 0x1000;
    system.platform.gprs[RDI] = LOC;
    for _ in 0..ACCESS_SLOTS {
        system.access(&STORE, Direction::Write);
    }
    system.platform.notified.clear();
    let gprs = &mut system.platform.gprs;
    (gprs[RSI], gprs[RCX]) = (buffer, 2);
    system.access(&REP_MOVS, Direction::Write);
    assert!(!system.platform.running, "it did not wait");
    let gprs = &system.platform.gprs;
    assert_eq!((gprs[RSI], gprs[RDI], gprs[RCX]), (buffer, LOC, 2));
    system.run_trace();
    let platform = &system.platform;
    assert!(platform.running && platform.rip == RIP);
    let gprs = &platform.gprs;
    assert_eq!((gprs[RSI], gprs[RDI], gprs[RCX]), (buffer + 4, LOC + 4, 1));
}

#[test]
fn what_a_string_moves_may_lie_on_two_pages_of_ram() {
    let mut system = System::new();
    let buffer = RAM + 0x1ffe;
    let bytes = 0x1122_3344_u32.to_le_bytes();
    assert!(system.platform.write_ram(GuestPhysAddr(buffer), &bytes));
    let gprs = &mut system.platform.gprs;
    (gprs[RSI], gprs[RDI], gprs[RCX]) = (buffer, LOC, 1);
    system.access(&REP_MOVS, Direction::Write);
    assert!(system.was_completed(&REP_MOVS));
    assert_eq!(system.traced(), [(Direction::Write, 4, 0, 0x1122_3344)]);
}

#[test]
fn the_other_operand_obeys_the_guests_tables() {
    let mut system = System::new();
    // The second 2 MiB from the start of RAM are not there.
    let hole = RAM + 0x20_0000;
    let place = GuestPhysAddr(system.platform.page_tables + 3 * 0x1000 + (hole >> 21 & 0x1ff) * 8);
    assert!(system.platform.write_ram(place, &[0; 8]));
    let gprs = &mut system.platform.gprs;
    (gprs[RSI], gprs[RDI], gprs[RCX]) = (LOC, hole, 1);
    let (address, direction) = (GuestPhysAddr(LOC), Direction::Read);
    system.run(&REP_MOVS, X86ExitReason::Access { address, direction });
    let wanted = X86Exception::PageFault {
        address: hole,
        error_code: 0b10,
    };
    assert_eq!(system.platform.injected, [wanted]);
    assert_eq!(system.platform.gprs[RCX], 1);
    assert!(system.traced().is_empty());
}

#[test]
fn a_string_is_carried_out_only_if_the_cpu_says_that_it_went_there() {
    let mut system = System::new();
    let gprs = &mut system.platform.gprs;
    (gprs[RSI], gprs[RDI]) = (RAM, LOC);
    // A read, where the device is written; and a count of 0, which goes nowhere.
    for (count, direction) in [(1, Direction::Read), (0, Direction::Write)] {
        system.platform.gprs[RCX] = count;
        system.access(&REP_MOVS, direction);
    }
    assert_eq!(system.platform.injected, [X86Exception::InvalidOpcode; 2]);
    let traced = system.traced();
    assert!(
        traced.iter().all(|(_, width, ..)| *width == 0),
        "{traced:?}"
    );
}
