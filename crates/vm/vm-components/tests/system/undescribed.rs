//! Accesses that the syndrome does not describe, on the simulated machine.
//!
//! Instructions are words from the Arm ARM's diagrams (C6.2, C7.2); page tables are built by
//! hand from D8.3.

use crate::fixtures::{LOC, PC, RAM, trace_device};
use crate::machine::{HZ, MS, System, TraceIs, UART, external_abort};
use crate::platform::{EL1H, MMU_OFF};
use a64_guest::stage1::Regime;
use guest_access::{Direction, GuestPhysAddr};
use proptest::prelude::*;
use trace_records::ACCESS_SLOTS;
use vm_components::{Exit, GuestException};
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

    /// Tables of 4 KiB pages, 39 bits: lower half at level 1 in `RAM`, then level 2 and 3.
    /// Page n of the lower half is what `pages` says; the first 2 MiB of the upper half's
    /// first GiB are the RAM as it is, by a block.
    fn turn_mmu_on(&mut self, pages: &[(u64, u64)]) {
        const TABLE: u64 = 0b11;
        const BLOCK: u64 = 0b01 | 1 << 10;
        self.put(RAM, &((RAM + 0x1000) | TABLE).to_le_bytes());
        self.put(RAM + 0x1000, &((RAM + 0x2000) | TABLE).to_le_bytes());
        for (number, entry) in pages {
            self.put(RAM + 0x2000 + 8 * number, &entry.to_le_bytes());
        }
        self.put(RAM + 0x3000, &(RAM | BLOCK).to_le_bytes());
        self.platform.stage1 = Regime {
            sctlr: MMU_OFF.sctlr | 1,
            // T0SZ = T1SZ = 25, TG1 = 4 KiB, IPS = 40 bits.
            tcr: 25 | 25 << 16 | 0b10 << 30 | 0b010 << 32,
            ttbr0: RAM,
            ttbr1: RAM + 0x3000,
        };
    }

    /// The same as [`Self::execute`] with the PC in the upper half.
    fn execute_high(&mut self, word: u32, direction: Direction, address: u64) -> bool {
        self.put(PC, &word.to_le_bytes());
        self.platform.running = false;
        let write = u64::from(direction == Direction::Write);
        let exit = Exit {
            syndrome: 0x24 << 26 | 1 << 25 | write << 6 | 0b111,
            address: GuestPhysAddr(address),
            pc: HIGH_PC,
        };
        self.vmm.fault(exit, &mut self.platform);
        self.deliver();
        self.platform.running
    }
}

/// What `turn_mmu_on` maps at the start of the upper half is the RAM.
const HIGH: u64 = u64::MAX << 39;
const HIGH_PC: u64 = HIGH + (PC - RAM);
/// A page for EL1, and one that EL0 may use as well.
const PAGE: u64 = 0b11 | 1 << 10;
const PAGE_EL0: u64 = PAGE | 1 << 6;

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
fn with_the_mmu_on_both_halves_are_walked() {
    let mut system = System::new();
    system.write(5);
    system.turn_mmu_on(&[(7, LOC | PAGE)]);
    system.platform.gprs[2] = 7 << 12;
    assert!(system.execute_high(LOAD_POST, Direction::Read, LOC));
    assert_eq!(system.platform.injected, NO_ABORT);
    assert_eq!(system.platform.gprs[1..3], [5, 7 << 12 | 4]);
    assert_eq!(system.platform.pc, HIGH_PC + 4);
}

#[test]
fn a_pair_across_two_pages_moves_ram_and_device() {
    let mut system = System::new();
    system.turn_mmu_on(&[(3, (RAM + 0x5000) | PAGE), (4, LOC | PAGE)]);
    system.put(RAM + 0x5ffc, &0xaabb_ccdd_u32.to_le_bytes());
    system.write(6);
    system.platform.gprs[2..5].copy_from_slice(&[0x3ffc, 0, 0]);
    assert!(system.execute_high(LOAD_PAIR, Direction::Read, LOC));
    assert_eq!(system.platform.gprs[2..5], [0x4004, 0xaabb_ccdd, 6]);
    system.platform.gprs[2..5].copy_from_slice(&[0x3ffc, 0x1234, 8]);
    assert!(system.execute_high(STORE_PAIR, Direction::Write, LOC));
    assert_eq!(system.ram_word(RAM + 0x5ffc), 0x1234);
    assert_eq!(system.read(), 8);
    assert_eq!(system.platform.injected, NO_ABORT);
}

#[test]
fn an_unaligned_word_across_two_pages_follows_the_reference_policy() {
    let mut system = System::with(&[trace_device(true, None)], Unsupported::default());
    system.turn_mmu_on(&[
        (3, (RAM + 0x5000) | PAGE),
        (4, (RAM + 0x9000) | PAGE),
        (5, LOC | PAGE),
    ]);
    system.put(RAM + 0x5ffd, &[1, 2, 3]);
    system.put(RAM + 0x9000, &[4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
    // LDP X3, X4, [X2], both in RAM, one of them across: the report is for neither.
    system.platform.gprs[2] = 0x3ffd;
    assert!(system.execute_high(0xa940_1043, Direction::Read, LOC));
    assert_eq!(system.platform.injected.len(), 1);
    // LDP W3, W4, [X2]: the second word lies in RAM and, with its last byte, in the device.
    system.put(RAM + 0x9ff9, &[0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77]);
    system.platform.gprs[2] = 0x4ff9;
    assert!(system.execute_high(0x2940_1043, Direction::Read, LOC));
    assert_eq!(
        system.platform.injected.len(),
        1,
        "policy reference, ignore"
    );
    assert_eq!(system.platform.gprs[3..5], [0x4433_2211, 0xffff_ffff]);
    system.power_off();
    assert!(system.screen.0.contains("; 1 outside a device"));
}

#[test]
fn of_a_word_that_reaches_into_the_device_nothing_is_stored() {
    // STP W3, W4, [X2]
    let fail = with_reference(Action::Fail);
    let mut system = System::with(&[trace_device(true, None)], fail);
    system.turn_mmu_on(&[(3, (RAM + 0x5000) | PAGE), (4, LOC | PAGE)]);
    system.platform.gprs[2..5].copy_from_slice(&[0x3ffb, 0x4433_2211, 0x8877_6655]);
    assert!(system.execute_high(0x2900_1043, Direction::Write, LOC));
    assert_eq!(system.ram_word(RAM + 0x5ffb), 0x4433_2211);
    // The second word begins in RAM and ends in the device: nothing of it is written.
    let last = system.platform.ram[0x5fff];
    assert_eq!(last, 0);
    // The exception is at the first byte that is not RAM.
    let abort = external_abort(Direction::Write, 0x4000);
    assert_eq!(system.platform.injected, [abort]);
}

#[test]
fn the_other_word_of_a_pair_obeys_the_guests_page_tables() {
    // (page 4, EL0?, status): not mapped, read-only, not for EL0.
    let cases = [
        (0, EL1H, 0b000111),
        ((RAM + 0x6000) | PAGE | 1 << 7, EL1H, 0b001111),
        ((RAM + 0x6000) | PAGE, 0x3c0, 0b001111),
    ];
    for (entry, pstate, status) in cases {
        let mut system = System::new();
        // The device's page comes first, the other behind it.
        let device = (LOC & !0xfff) | PAGE_EL0;
        system.turn_mmu_on(&[(3, device), (4, entry)]);
        system.platform.pstate = pstate;
        system.platform.gprs[2..5].copy_from_slice(&[0x3ffc, 1, 2]);
        assert!(system.execute_high(STORE_PAIR, Direction::Write, LOC + 0xffc));
        let abort = GuestException::DataAbort {
            direction: Direction::Write,
            status,
            address: 0x4000,
        };
        assert_eq!(system.platform.injected, [abort]);
        assert_eq!(system.platform.gprs[2], 0x3ffc);
        assert_eq!(system.ram_word(RAM + 0x6000), 0);
        system.power_off();
        assert!(system.screen.0.contains("; 0 outside a device"));
    }
}

#[test]
fn a_walk_that_ends_in_the_device_is_an_external_abort_and_no_access() {
    // LDR W1, [X2], #4; LDXR W1, [X2]; STP W3, W4, [X2], #8
    for (word, write) in [(LOAD_POST, 0), (0x885f_7c41, 0), (STORE_PAIR, 1)] {
        for told in [None, Some(0x10)] {
            let mut system = System::new();
            system.turn_mmu_on(&[]);
            // Level 2 of the lower half lies in the device's page.
            system.put(RAM, &(LOC | 0b11).to_le_bytes());
            system.put(PC, &word.to_le_bytes());
            system.platform.fault_address = told;
            system.platform.gprs[2] = 0x10;
            let exit = Exit {
                // S1PTW. The address is the table's on a platform that tells, else any.
                syndrome: 0x24 << 26 | 1 << 25 | 1 << 7 | write << 6 | 0b111,
                address: GuestPhysAddr(if told.is_some() { LOC } else { 0xdead_b000 }),
                pc: HIGH_PC,
            };
            system.vmm.fault(exit, &mut system.platform);
            let directions = [Direction::Read, Direction::Write];
            let abort = GuestException::DataAbort {
                direction: directions[write as usize],
                status: 0b01_0110,
                address: 0x10,
            };
            assert_eq!(system.platform.injected, [abort], "{word:#x}");
            system.pass(200 * MS);
            let line = "1 exceptions given to the guest";
            assert_eq!(system.lines(line).len(), 1, "{}", system.screen.0);
            assert_eq!(system.lines("(0xfa000000)").len(), 1, "the descriptor");
            system.power_off();
            assert!(system.screen.0.contains("trace0: 0 accesses"));
            assert!(system.screen.0.contains("; 0 outside a device"));
        }
    }
}

#[test]
fn a_walk_that_has_been_mended_meanwhile_is_an_external_abort_all_the_same() {
    let mut system = System::new();
    system.turn_mmu_on(&[(7, LOC | PAGE)]);
    system.put(PC, &LOAD_POST.to_le_bytes());
    system.platform.gprs[2] = 7 << 12;
    let exit = Exit {
        syndrome: 0x24 << 26 | 1 << 25 | 1 << 7 | 0b111,
        address: GuestPhysAddr(LOC),
        pc: HIGH_PC,
    };
    system.vmm.fault(exit, &mut system.platform);
    let abort = external_abort(Direction::Read, 7 << 12);
    assert_eq!(system.platform.injected, [abort]);
}

#[test]
fn a_program_counter_that_is_not_mapped_is_not_decoded() {
    let mut system = System::new();
    system.turn_mmu_on(&[(7, LOC | PAGE)]);
    system.platform.gprs[2] = 7 << 12;
    // PC itself, in the lower half, has no page.
    assert!(system.execute(LOAD_POST, Direction::Read, LOC));
    assert_eq!(system.platform.injected.len(), 1);
    // In the device's page.
    system.turn_mmu_on(&[(7, LOC | PAGE), ((PC & 0x1f_ffff) >> 12, LOC | PAGE)]);
    assert!(system.execute(LOAD_POST, Direction::Read, LOC));
    assert_eq!(system.platform.injected.len(), 2);
}

#[test]
fn an_exception_names_the_virtual_address_whether_or_not_the_platform_tells() {
    let virtual_address = 7 << 12 | 8;
    let page = [(7, LOC | PAGE)];
    let policy = with_reference(Action::Fail);
    for told in [None, Some(virtual_address)] {
        let mut system = System::with(&[trace_device(true, None)], policy);
        system.turn_mmu_on(&page);
        system.platform.fault_address = told;
        system.platform.gprs[2] = virtual_address;
        let abort = external_abort(Direction::Read, virtual_address);
        // LDXR W1, [X2], then LDR X1, [X2], #8, both without a syndrome.
        assert!(system.execute_high(0x885f_7c41, Direction::Read, LOC + 8));
        assert!(system.execute_high(0xf840_8441, Direction::Read, LOC + 8));
        // LDR W1, [X2], with one.
        system.put(PC, &0xb940_0041_u32.to_le_bytes());
        let exit = Exit {
            syndrome: 0x24 << 26 | 1 << 24 | 2 << 22 | 1 << 16 | 0b111,
            address: GuestPhysAddr(LOC + 8),
            pc: HIGH_PC,
        };
        system.vmm.fault(exit, &mut system.platform);
        assert_eq!(system.platform.injected, [abort; 3], "{told:?}");
    }
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
