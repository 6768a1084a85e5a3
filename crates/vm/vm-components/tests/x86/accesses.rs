//! Instructions that access the device: what they leave in registers, flags and the trace.

use crate::code::{ADD, CARRY, LOAD, RAX, RCX, RDI, RSP, STORE};
use crate::fixtures::{LOC, RAM};
use crate::machine::{RIP, System};
use crate::platform::CODE_32;
use guest_access::{Direction, GuestPhysAddr};
use trace_records::ACCESS_SLOTS;
use vm_components::{Machine, X86Exception, X86ExitReason};

/// push [edi] (32-bit code)
const PUSH: [u8; 2] = [0xff, 0x37];

#[test]
fn a_load_and_a_store_are_completed_and_recorded() {
    let mut system = System::new();
    system.platform.gprs[RDI] = LOC;
    // The first of each is decoded, the second recalled.
    for value in [7, 8] {
        system.platform.gprs[RAX] = 0xffff_ffff_0000_0000 | value;
        system.access(&STORE, Direction::Write);
        assert!(system.was_completed(&STORE));
        system.platform.gprs[RAX] = u64::MAX;
        system.access(&LOAD, Direction::Read);
        assert!(system.was_completed(&LOAD));
        assert_eq!(system.platform.gprs[RAX], value);
    }
    let wanted = [
        (Direction::Write, 4, 0, 7),
        (Direction::Read, 4, 0, 7),
        (Direction::Write, 4, 7, 8),
        (Direction::Read, 4, 0, 8),
    ];
    assert_eq!(system.traced(), wanted);
}

#[test]
fn a_read_modify_write_is_a_read_and_a_write_and_sets_the_flags() {
    let mut system = System::new();
    system.platform.gprs[RDI] = LOC;
    system.platform.gprs[RAX] = 0xffff_fffe;
    system.access(&STORE, Direction::Write);
    system.platform.gprs[RAX] = 3;
    // An emulator reports the reading half, a CPU the writing one.
    for (direction, sum) in [(Direction::Read, 1), (Direction::Write, 4)] {
        system.access(&ADD, direction);
        assert!(system.was_completed(&ADD));
        assert_eq!(system.platform.rflags & CARRY, u64::from(sum == 1));
    }
    let wanted = [
        (Direction::Write, 4, 0, 0xffff_fffe),
        (Direction::Read, 4, 0, 0xffff_fffe),
        (Direction::Write, 4, 0xffff_fffe, 1),
        (Direction::Read, 4, 0, 1),
        (Direction::Write, 4, 1, 4),
    ];
    assert_eq!(system.traced(), wanted);
}

#[test]
fn an_instruction_waits_in_its_middle_for_room_and_goes_on_there() {
    let mut system = System::new();
    system.platform.gprs[RDI] = LOC;
    system.platform.gprs[RAX] = 5;
    // One place is left in the ring: for the reading half.
    for _ in 0..ACCESS_SLOTS - 1 {
        system.access(&STORE, Direction::Write);
        assert!(system.was_completed(&STORE));
    }
    system.platform.notified.clear();
    system.access(&ADD, Direction::Write);
    assert!(!system.platform.running, "it did not wait");
    assert_eq!(system.platform.rip, RIP);
    system.run_trace();
    assert!(system.was_completed(&ADD));
    let traced = system.traced();
    assert_eq!(traced.len(), ACCESS_SLOTS + 1);
    let last = [(Direction::Read, 4, 0, 5), (Direction::Write, 4, 5, 10)];
    assert_eq!(traced[ACCESS_SLOTS - 1..], last);
}

#[test]
fn an_instruction_that_was_rewritten_meanwhile_is_not_carried_out() {
    let mut system = System::new();
    system.platform.gprs[RDI] = LOC;
    system.access(&LOAD, Direction::Read);
    // mov eax, [rsi]: not where the CPU says that the guest went.
    let address = GuestPhysAddr(LOC);
    let direction = Direction::Read;
    system.run(&[0x8b, 0x06], X86ExitReason::Access { address, direction });
    // A load, where the CPU says that the guest wrote.
    system.access(&LOAD, Direction::Write);
    assert_eq!(system.platform.injected, [X86Exception::InvalidOpcode; 2]);
    assert_eq!(system.traced().len(), 3);
}

#[test]
fn what_is_pushed_goes_from_the_device_to_the_stack() {
    let mut system = System::new();
    system.platform.code_attributes = CODE_32;
    system.platform.gprs[RDI] = LOC;
    system.platform.gprs[RAX] = 77;
    system.access(&STORE, Direction::Write);
    system.platform.gprs[RSP] = RAM + 0x1000;
    system.access(&PUSH, Direction::Read);
    assert!(system.was_completed(&PUSH));
    assert_eq!(system.platform.gprs[RSP], RAM + 0xffc);
    let mut pushed = [0; 4];
    assert!(
        system
            .platform
            .read_ram(GuestPhysAddr(RAM + 0xffc), &mut pushed)
    );
    assert_eq!(pushed, [77, 0, 0, 0]);
}

#[test]
fn a_flush_of_the_devices_cache_line_is_carried_out_and_is_no_access() {
    let mut system = System::new();
    system.platform.gprs[RDI] = LOC;
    // clflush, clflushopt, clwb [rdi]
    for code in [
        &[0x0f, 0xae, 0x3f][..],
        &[0x66, 0x0f, 0xae, 0x3f],
        &[0x66, 0x0f, 0xae, 0x37],
    ] {
        system.access(code, Direction::Read);
        assert!(system.was_completed(code), "{code:02x?}");
    }
    assert!(system.traced().is_empty());
}

#[test]
fn both_halves_of_a_product_and_a_failed_comparison_reach_their_registers() {
    const RDX: usize = 2;
    let mut system = System::new();
    system.platform.gprs[RDI] = LOC;
    system.platform.gprs[RAX] = 0x8000_0001;
    system.access(&STORE, Direction::Write);
    // mul dword [rdi], twice: what has two registers is found anew each time
    for _ in 0..2 {
        (system.platform.gprs[RAX], system.platform.gprs[RDX]) = (4, u64::MAX);
        system.access(&[0xf7, 0x27], Direction::Read);
        let gprs = &system.platform.gprs;
        assert_eq!((gprs[RAX], gprs[RDX]), (4, 2));
    }
    // cmpxchg [rdi], ecx
    (system.platform.gprs[RAX], system.platform.gprs[RCX]) = (1, 2);
    for wanted in [0x8000_0001, 2] {
        system.access(&[0x0f, 0xb1, 0x0f], Direction::Write);
        assert!(system.was_completed(&[0x0f, 0xb1, 0x0f]));
        let last = system.traced().pop().unwrap();
        assert_eq!((last.0, last.3), (Direction::Write, wanted));
        assert_eq!(system.platform.gprs[RAX], 0x8000_0001);
    }
}
