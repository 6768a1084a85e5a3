//! Accesses that the syndrome does not describe, on the simulated machine.
//!
//! Instructions are words from the Arm ARM's diagrams (C6.2, C7.2); page tables are built by
//! hand from D8.3.

mod page_tables;
mod pairs;

use crate::fixtures::{LOC, PC, RAM, trace_device};
use crate::machine::{HZ, MS, System, UART, external_abort};
use crate::platform::MMU_OFF;
use a64_guest::stage1::Regime;
use guest_access::{Direction, GuestPhysAddr};
use proptest::prelude::*;
use vm_components::GuestException;
use vm_config::{Action, Device, Unsupported};

/// A second trace device right behind the first, so that a pair reaches both.
const SECOND: u64 = LOC + 4;
const NO_ABORT: [GuestException; 0] = [];

fn two_devices() -> [Device<'static>; 2] {
    let second = Device {
        name: "trace1",
        loc: SECOND,
        ..trace_device(true, Some(13))
    };
    [trace_device(true, Some(12)), second]
}

fn with_reference(action: Action) -> Unsupported {
    Unsupported {
        reference: action,
        ..Unsupported::default()
    }
}

impl System {
    /// The guest executes `word` at its PC, and the CPU reports an access without a syndrome.
    /// Returns whether the guest runs again.
    fn execute(&mut self, word: u32, direction: Direction, address: u64) -> bool {
        self.put(PC, &word.to_le_bytes());
        self.report(direction, address)
    }

    fn report(&mut self, direction: Direction, address: u64) -> bool {
        let write = u64::from(direction == Direction::Write);
        // EC data abort, IL, WnR, translation fault at level 3; ISV clear.
        self.exit(0x24 << 26 | 1 << 25 | write << 6 | 0b111, address)
    }

    fn put(&mut self, address: u64, bytes: &[u8]) {
        let place = self.platform.ram_at(GuestPhysAddr(address), bytes.len());
        place.unwrap().copy_from_slice(bytes);
    }

    fn ram_word(&mut self, address: u64) -> u32 {
        let place = self.platform.ram_at(GuestPhysAddr(address), 4).unwrap();
        u32::from_le_bytes((&*place).try_into().unwrap())
    }
}

// LDR W1, [X2], #4 and STR W1, [X2], #4
const LOAD_POST: u32 = 0xb840_4441;
const STORE_POST: u32 = 0xb800_4441;
// LDP W3, W4, [X2], #8 and STP W3, W4, [X2], #8
const LOAD_PAIR: u32 = 0x28c1_1043;
const STORE_PAIR: u32 = 0x2881_1043;

#[test]
fn a_post_indexed_load_gets_the_counter_and_moves_its_base_once() {
    let mut system = System::new();
    system.write(77);
    system.platform.gprs[2] = LOC;
    assert!(system.execute(LOAD_POST, Direction::Read, LOC));
    assert_eq!(system.platform.gprs[1..3], [77, LOC + 4]);
    assert_eq!(system.platform.pc, PC + 4);
    assert_eq!(system.platform.injected, NO_ABORT);
    system.pass(20 * MS);
    assert_eq!(system.lines("R4 0xfa000000 = 77").len(), 1);
}

#[test]
fn a_pre_indexed_store_through_the_stack_pointer_moves_the_current_one() {
    // STR W1, [SP, #-16]!
    let word = 0xb81f_0fe1;
    for (pstate, own, other) in [(0x3c5, 1, 0), (0x3c4, 0, 1), (0x3c0, 0, 1)] {
        let mut system = System::new();
        system.platform.pstate = pstate;
        system.platform.stack_pointers[own] = LOC + 16;
        system.platform.gprs[1] = 0xffff_ffff_0000_1234;
        assert!(system.execute(word, Direction::Write, LOC));
        assert_eq!(system.platform.stack_pointers[own], LOC);
        assert_eq!(system.platform.stack_pointers[other], 0);
        assert_eq!(system.read(), 0x1234);
    }
}

#[test]
fn what_is_wider_than_the_device_follows_the_reference_policy_and_changes_nothing() {
    // LDP X3, X4, [X2], #16; LDR X3, [X2], #8; LDR Q3, [X2], #16
    let cases = [
        (0xa8c1_1043, "R8 0xfa000000 not supported"),
        (0xf840_8443, "R8 0xfa000000 not supported"),
        (0x3cc1_0443, "R? 0xfa000000 not supported"),
    ];
    for (word, line) in cases {
        let fail = with_reference(Action::Fail);
        let mut system = System::with(&[trace_device(true, None)], fail);
        system.platform.gprs[2] = LOC;
        let before = system.platform.gprs;
        assert!(system.execute(word, Direction::Read, LOC));
        assert_eq!(system.platform.gprs, before, "{word:#x}");
        let abort = external_abort(Direction::Read, LOC);
        assert_eq!(system.platform.injected, [abort]);
        system.pass(20 * MS);
        assert_eq!(system.lines(line).len(), 1, "{}", system.screen.0);

        let mut system = System::new();
        system.platform.gprs[2] = LOC;
        assert!(system.execute(word, Direction::Read, LOC));
        assert_eq!(system.platform.injected, NO_ABORT);
        assert_ne!(system.platform.gprs[2], LOC, "the base moves");
    }
}

#[test]
fn vector_registers_move_where_the_platform_has_them() {
    // LDR S3, [X2], #4; STR S3, [X2], #4
    let (load, store) = (0xbc40_4443, 0xbc00_4443);
    let mut system = System::new();
    system.write(0x3f80_0000);
    system.platform.vectors = Some([u128::MAX; 32]);
    system.platform.gprs[2] = LOC;
    assert!(system.execute(load, Direction::Read, LOC));
    let vectors = system.platform.vectors.unwrap();
    assert_eq!((vectors[3], vectors[4]), (0x3f80_0000, u128::MAX));
    system.platform.vectors = Some([0xffff_ffff_4000_0000; 32]);
    system.platform.gprs[2] = LOC;
    assert!(system.execute(store, Direction::Write, LOC));
    assert_eq!(system.read(), 0x4000_0000);

    system.platform.vectors = None;
    system.platform.gprs[2] = LOC;
    assert!(system.execute(load, Direction::Read, LOC));
    let abort = external_abort(Direction::Read, LOC);
    assert_eq!(system.platform.injected, [abort]);
    assert_eq!(system.platform.gprs[2], LOC);
}

#[test]
fn each_form_of_addressing_finds_the_device() {
    // The word, x2, x3 and what x2 holds afterwards.
    let cases = [
        (0xb863_5841, LOC - 4 * 7, 7, LOC - 4 * 7), // LDR W1, [X2, W3, UXTW #2]
        (0xb863_d841, LOC + 4, 0xffff_ffff, LOC + 4), // LDR W1, [X2, W3, SXTW #2]
        (0xb863_6841, LOC - 0x20, 0x20, LOC - 0x20), // LDR W1, [X2, X3]
        (0xb85f_c041, LOC + 4, 0, LOC + 4),         // LDUR W1, [X2, #-4]
        (0xb85f_c841, LOC + 4, 0, LOC + 4),         // LDTR W1, [X2, #-4]
        (0xb840_4c41, LOC - 4, 0, LOC),             // LDR W1, [X2, #4]!
        (0x88df_fc41, LOC, 0, LOC),                 // LDAR W1, [X2]
        (0xb8bf_c041, LOC, 0, LOC),                 // LDAPR W1, [X2]
        (0xb980_0041, LOC, 0, LOC),                 // LDRSW X1, [X2]
    ];
    for (word, base, index, base_after) in cases {
        let mut system = System::new();
        system.write(0x8000_0001);
        system.platform.gprs[1] = u64::MAX;
        system.platform.gprs[2..4].copy_from_slice(&[base, index]);
        assert!(system.execute(word, Direction::Read, LOC), "{word:#x}");
        assert_eq!(system.platform.injected, NO_ABORT, "{word:#x}");
        let signed = word == 0xb980_0041;
        let loaded = if signed {
            0xffff_ffff_8000_0001
        } else {
            0x8000_0001
        };
        let registers = system.platform.gprs[1..3].to_vec();
        assert_eq!(registers, [loaded, base_after], "{word:#x}");
    }
}

#[test]
fn the_zero_register_is_moved_and_not_kept() {
    // LDR WZR, [X2], #4; STR WZR, [X2], #4
    let mut system = System::new();
    system.write(9);
    system.platform.gprs[2] = LOC;
    assert!(system.execute(0xb840_445f, Direction::Read, LOC));
    system.platform.gprs[2] = LOC;
    assert!(system.execute(0xb800_445f, Direction::Write, LOC));
    assert_eq!(system.platform.gprs[2], LOC + 4);
    assert_eq!(system.read(), 0);
}

#[test]
fn a_serial_port_takes_post_indexed_stores() {
    let mut system = System::new();
    for byte in "hello\n".bytes() {
        system.platform.gprs[1..3].copy_from_slice(&[byte.into(), UART]);
        // STRB W1, [X2], #1
        assert!(system.execute(0x3800_1441, Direction::Write, UART));
    }
    system.power_off();
    assert_eq!(system.lines("demo| hello").len(), 1);
}

#[test]
fn an_instruction_that_disagrees_with_the_report_is_not_carried_out() {
    let loads = |system: &mut System, base| {
        system.platform.gprs[2] = base;
        system.execute(LOAD_POST, Direction::Read, LOC)
    };
    let mut system = System::new();
    assert!(loads(&mut system, LOC));
    assert_eq!(system.platform.injected, NO_ABORT);
    // Another address; another direction; no memory access at all.
    assert!(loads(&mut system, LOC + 8));
    system.platform.gprs[2] = LOC;
    assert!(system.execute(STORE_POST, Direction::Read, LOC));
    assert!(system.execute(0xd503_201f, Direction::Read, LOC));
    let abort = external_abort(Direction::Read, LOC);
    assert_eq!(system.platform.injected, [abort; 3]);
    assert_eq!(system.platform.gprs[2], LOC);
    system.pass(20 * MS);
    assert_eq!(system.lines("R? 0xfa000000 not supported").len(), 3);
}

#[test]
fn exclusives_and_atomics_follow_the_instruction_policy() {
    // LDXR W1, [X2]; LDADD W1, W3, [X2]; LD1 {V1.4S}, [X2]; DC CIVAC, X2
    for word in [0x885f_7c41, 0xb821_0043, 0x4c40_7841, 0xd50b_7e22] {
        let mut system = System::new();
        system.platform.gprs[2] = LOC;
        assert!(system.execute(word, Direction::Read, LOC));
        let abort = external_abort(Direction::Read, LOC);
        assert_eq!(system.platform.injected, [abort], "{word:#x}");
    }
}

#[test]
fn cache_maintenance_by_a_devices_address_has_no_effect() {
    // The syndrome of DC IVAC, CVAC and CIVAC: CM, and WnR as of all of them.
    const MAINTENANCE: u64 = 0x24 << 26 | 1 << 25 | 1 << 8 | 1 << 6 | 0b111;
    let abort = Unsupported {
        instruction: Action::Abort,
        reference: Action::Abort,
        ..Unsupported::default()
    };
    let mut system = System::with(&[trace_device(true, None)], abort);
    for address in [LOC, LOC + 0x100] {
        assert!(system.exit(MAINTENANCE, address));
        assert_eq!(system.platform.pc, PC + 4);
    }
    assert_eq!(system.platform.injected, NO_ABORT);
    system.power_off();
    assert!(system.screen.0.contains("trace0: 0 accesses"));
    assert!(system.screen.0.contains("; 0 outside a device"));
    // DC ZVA is a store: policy `instruction`.
    let mut system = System::new();
    assert!(system.execute(0xd50b_7422, Direction::Write, LOC));
    let abort = external_abort(Direction::Write, LOC);
    assert_eq!(system.platform.injected, [abort]);
}

#[test]
fn policy_abort_ends_the_vm_at_an_instruction() {
    let abort = Unsupported {
        instruction: Action::Abort,
        ..Unsupported::default()
    };
    let mut system = System::with(&[trace_device(true, None)], abort);
    system.platform.gprs[2] = LOC;
    assert!(system.execute(LOAD_POST, Direction::Read, LOC));
    assert!(!system.execute(0x885f_7c41, Direction::Read, LOC));
    system.pass(200 * MS);
    assert_eq!(
        system.lines("policy abort, unsupported instruction").len(),
        1
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the instruction, the registers and the tables are, the VMM answers: the guest
    /// runs on, or is held and runs on when the clock has woken the VMM often enough.
    #[test]
    fn no_guest_makes_the_vmm_panic_or_wait_without_end(
        words in prop::collection::vec(any::<u32>(), 32),
        sctlr: u64, tcr: u64, seed: u64, pstate in 0_u64..1 << 32, write: bool,
    ) {
        let mut system = System::with(&two_devices(), Unsupported::default());
        system.platform.pstate = pstate;
        for (index, word) in words.into_iter().enumerate() {
            let mixed = seed.rotate_left(index as u32);
            system.platform.gprs = [LOC.wrapping_add(mixed & 0x3c); 31];
            system.platform.stack_pointers = [LOC; 2];
            system.platform.stage1 = Regime {
                sctlr: if index % 2 == 0 { MMU_OFF.sctlr } else { sctlr },
                tcr,
                ttbr0: RAM,
                ttbr1: RAM + (mixed & 0xf_f000),
            };
            system.put(RAM, &mixed.to_le_bytes());
            let direction = if write { Direction::Write } else { Direction::Read };
            // Bit 27 set and bit 25 clear: the loads and stores.
            let word = word & !(1 << 25) | 1 << 27;
            if !system.execute(word, direction, LOC) {
                system.pass(HZ);
            }
            prop_assert!(system.platform.running);
        }
    }
}
