//! The guest's own translation: where its code and its operands are, and which faults are its own.

use super::{LOAD_PAIR, LOAD_POST, NO_ABORT, STORE_PAIR, with_reference};
use crate::fixtures::{LOC, PC, RAM, trace_device};
use crate::machine::{MS, System, external_abort};
use crate::platform::{EL1H, MMU_OFF};
use a64_guest::stage1::Regime;
use guest_access::{Direction, GuestPhysAddr};
use vm_components::{Exit, GuestException};
use vm_config::{Action, Unsupported};

impl System {
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
