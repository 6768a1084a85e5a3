//! A guest's program in AArch32 at EL0, on the simulated machine.
//!
//! Instructions are as an assembler gives them for the text beside them; what they leave is from
//! the Arm ARM (F5.1, F1.2 for IT).

use crate::fixtures::{LOC, PC, RAM, trace_device};
use crate::machine::{MS, System, external_abort};
use crate::platform::MMU_OFF;
use a64_guest::stage1::Regime;
use guest_access::{Direction, GuestPhysAddr};
use vm_components::{Exit, GuestException};
use vm_config::{Action, Unsupported};

// PSTATE of User mode in A32 and T32, with E, and with an IT block whose next is EQ (ITT EQ).
const A32: u64 = 0x1d0;
const T32: u64 = 0x1f0;
const E: u64 = 1 << 9;
const Z: u64 = 1 << 30;
const SS: u64 = 1 << 21;
/// IT[7:2] and IT[1:0] of 0000_0100: two instructions with EQ, the first of them next.
const ITT_EQ: u64 = 0b00_0001 << 10;
/// The same one instruction later: 0000_1000.
const IT_EQ: u64 = 0b00_0010 << 10;

const IL: u64 = 1 << 25;
const FAULT: u64 = 0x24 << 26 | 0b111;

/// A program that is in this PSTATE.
fn program(pstate: u64) -> System {
    let mut system = System::new();
    system.write(0x8122_3344);
    system.pass(20 * MS);
    system.platform.pstate = pstate;
    system
}

impl System {
    /// The CPU reports the access of `code` at PC without describing it.
    fn executes(&mut self, code: &[u16], write: u64, address: u64) -> bool {
        for (index, half) in code.iter().enumerate() {
            let at = (PC - RAM) as usize + 2 * index;
            self.platform.ram[at..at + 2].copy_from_slice(&half.to_le_bytes());
        }
        self.exit(FAULT | IL | write << 6, address)
    }

    fn executes_a32(&mut self, word: u32, write: u64, address: u64) -> bool {
        self.executes(&[word as u16, (word >> 16) as u16], write, address)
    }
}

#[test]
fn a_described_access_of_a_halfword_of_code_goes_on_two_bytes_behind() {
    // ISV, SAS = word, SRT = r3; IL says how long the instruction is.
    let load = FAULT | 1 << 24 | 2 << 22 | 3 << 16;
    for (il, pstate, len_bytes) in [(0, T32, 2), (IL, T32, 4), (IL, A32, 4)] {
        let mut system = program(pstate);
        assert!(system.exit(load | il, LOC));
        assert_eq!(system.platform.gprs[3], 0x8122_3344);
        assert_eq!(system.platform.pc, PC + len_bytes);
        assert_eq!(system.platform.pstate, pstate);
    }
}

#[test]
fn the_it_block_goes_on_and_a_step_is_over() {
    let load = FAULT | 1 << 24 | 2 << 22 | 3 << 16;
    let mut system = program(T32 | Z | ITT_EQ | SS);
    assert!(system.exit(load, LOC));
    assert_eq!(system.platform.pstate, T32 | Z | IT_EQ);
    assert!(system.exit(load, LOC));
    assert_eq!(system.platform.pstate, T32 | Z);
}

#[test]
fn a_program_chooses_its_byte_order() {
    let access = |sas: u64, signed: u64, write: u64| {
        FAULT | IL | 1 << 24 | sas << 22 | signed << 21 | 3 << 16 | write << 6
    };
    let mut system = program(A32 | E);
    for (syndrome, offset, register) in [
        (access(2, 0, 0), 0, 0x4433_2281),
        (access(1, 0, 0), 0, 0x4433),
        (access(1, 1, 0), 2, 0x2281),
        (access(0, 1, 0), 3, 0xffff_ff81),
    ] {
        assert!(system.exit(syndrome, LOC + offset));
        assert_eq!(system.platform.gprs[3], register);
    }
    system.platform.gprs[3] = 0x1122_3344;
    assert!(system.exit(access(2, 0, 1), LOC));
    system.platform.pstate = A32;
    assert_eq!(system.read(), 0x4433_2211);
}

#[test]
fn loads_and_stores_with_write_back_are_carried_out() {
    for (word, text, write, base, base_after) in [
        (0xe491_3004_u32, "ldr r3, [r1], #4", 0, LOC, LOC + 4),
        (0xe531_3004, "ldr r3, [r1, #-4]!", 0, LOC + 4, LOC),
        (0xe611_3002, "ldr r3, [r1], -r2", 0, LOC, LOC - 2),
        (0xe8b1_0008, "ldm r1!, {r3}", 0, LOC, LOC + 4),
        (0xe931_0008, "ldmdb r1!, {r3}", 0, LOC + 4, LOC),
        (0xe521_3004, "str r3, [r1, #-4]!", 1, LOC + 4, LOC),
        (0xe8a1_0008, "stm r1!, {r3}", 1, LOC, LOC + 4),
    ] {
        let mut system = program(A32);
        system.platform.gprs[1..4].copy_from_slice(&[0xffff_ffff << 32 | base, 2, 0x55]);
        assert!(system.executes_a32(word, write, LOC), "{text}");
        assert_eq!(system.platform.injected, [], "{text}");
        assert_eq!(system.platform.gprs[1], base_after, "{text}");
        assert_eq!(system.platform.pc, PC + 4);
        let wanted = if write == 1 { 0x55 } else { 0x8122_3344 };
        system.platform.pstate = A32;
        assert_eq!(system.platform.gprs[3] == 0x8122_3344, write == 0, "{text}");
        assert_eq!(system.read(), wanted, "{text}");
    }
}

#[test]
fn halfwords_of_code_are_decoded_as_such() {
    // ldr r3, [r1], #4; ldmia r1!, {r3}; pop {r3} with its base in r13.
    for (code, base_register, len_bytes) in [
        (&[0xf851, 0x3b04][..], 1, 4),
        (&[0xc908], 1, 2),
        (&[0xbc08], 13, 2),
    ] {
        let mut system = program(T32);
        system.platform.gprs[base_register] = LOC;
        assert!(system.executes(code, 0, LOC));
        assert_eq!(system.platform.injected, []);
        assert_eq!(system.platform.gprs[base_register], LOC + 4);
        assert_eq!(system.platform.gprs[3], 0x8122_3344);
        assert_eq!(system.platform.pc, PC + len_bytes);
    }
}

#[test]
fn a_pair_is_two_accesses_each_judged_by_itself() {
    // ldrd r4, r5, [r1] of the word and its neighbour, where there is no device.
    let mut system = program(A32);
    system.platform.gprs[1] = LOC;
    assert!(system.executes_a32(0xe1c1_40d0, 0, LOC));
    assert_eq!(system.platform.injected, []);
    assert_eq!(system.platform.gprs[4..6], [0x8122_3344, 0xffff_ffff]);
    system.pass(20 * MS);
    assert_eq!(system.lines("R4 0xfa000000 = 2166502212").len(), 1);
    assert_eq!(system.lines("no device").len(), 1);
    // In the other byte order each word is turned round by itself.
    let mut system = program(A32 | E);
    system.platform.gprs[1] = LOC;
    assert!(system.executes_a32(0xe1c1_40d0, 0, LOC));
    assert_eq!(system.platform.gprs[4..6], [0x4433_2281, 0xffff_ffff]);
}

#[test]
fn what_is_not_carried_out_is_skipped_as_long_as_it_is() {
    let ignore = Unsupported {
        instruction: Action::Ignore,
        ..Unsupported::default()
    };
    // ldrex r3, [r1]; ldm r1, {r3, r4, r5}, both also in a halfword or two.
    for (pstate, code, len_bytes) in [
        (A32, &[0x3f9f, 0xe191][..], 4),
        (T32, &[0xe851, 0x3f00], 4),
        (T32, &[0xc938], 2),
    ] {
        let mut system = System::with(&[trace_device(true, None)], ignore);
        system.platform.pstate = pstate | ITT_EQ | Z;
        system.platform.gprs[1] = LOC;
        assert!(system.executes(code, 0, LOC));
        assert_eq!(system.platform.injected, []);
        assert_eq!(system.platform.pc, PC + len_bytes, "{code:x?}");
        assert_eq!(system.platform.pstate, pstate | IT_EQ | Z);
        // And by policy `fail` it is an abort.
        let mut system = program(pstate);
        system.platform.gprs[1] = LOC;
        assert!(system.executes(code, 0, LOC));
        let abort = external_abort(Direction::Read, LOC);
        assert_eq!(system.platform.injected, [abort]);
        assert_eq!(system.platform.pc, PC + 4, "that of the write before");
    }
}

#[test]
fn a_trapped_coprocessor_is_undefined_and_the_vm_lives() {
    // MRC p14 (DBGDIDR), MRC and MRRC of p15, LDC, VMRS, MRRC p14: CV, COND = AL.
    for class in [0x03, 0x04, 0x05, 0x06, 0x08, 0x0c] {
        let syndrome = class << 26 | IL | 1 << 24 | 0xe << 20;
        let mut system = program(A32);
        assert!(system.exit(syndrome, 0));
        assert_eq!(system.platform.injected, [GuestException::Undefined]);
        let ignore = Unsupported {
            register: Action::Ignore,
            ..Unsupported::default()
        };
        let mut system = System::with(&[trace_device(true, None)], ignore);
        system.platform.pstate = T32;
        assert!(system.exit(syndrome, 0));
        assert_eq!(system.platform.pc, PC + 4);
        let abort = Unsupported {
            register: Action::Abort,
            ..Unsupported::default()
        };
        let mut system = System::with(&[trace_device(true, None)], abort);
        system.platform.pstate = A32;
        assert!(!system.exit(syndrome, 0));
    }
}

#[test]
fn what_is_trapped_although_its_condition_fails_does_nothing() {
    const CV: u64 = 1 << 24;
    const EQ: u64 = 0;
    for class in [0x01, 0x05] {
        let named = class << 26 | IL | CV | EQ << 20;
        let mut system = program(A32);
        assert!(system.exit(named, 0));
        assert_eq!(system.platform.pc, PC + 4);
        assert_eq!(system.platform.injected, []);
        // Without CV the IT block says; WFI has two bytes in T32.
        let mut system = program(T32 | ITT_EQ);
        assert!(system.exit(class << 26, 0));
        assert_eq!(system.platform.pc, PC + 2);
        assert_eq!(system.platform.pstate, T32 | IT_EQ);
        assert_eq!(system.platform.injected, []);
    }
    let mut system = program(A32 | Z);
    assert!(system.exit(0x05 << 26 | IL | CV | EQ << 20, 0));
    assert_eq!(system.platform.injected, [GuestException::Undefined]);
}

#[test]
fn a_wait_goes_on_behind_a_halfword_of_code() {
    let mut system = program(T32 | ITT_EQ | Z);
    assert!(!system.exit(0x01 << 26, 0));
    system.pass(100 * MS);
    assert!(system.platform.running);
    assert_eq!(system.platform.pc, PC + 2);
    assert_eq!(system.platform.pstate, T32 | IT_EQ | Z);
}

/// The VMM asserts that nothing of the guest's is set.
#[test]
fn where_a_platform_cannot_set_its_registers_a_program_is_answered_by_policy() {
    let described = FAULT | IL | 1 << 24 | 2 << 22 | 3 << 16;
    let ignore = Unsupported {
        instruction: Action::Ignore,
        ..Unsupported::default()
    };
    // ldr r3, [r1], described and not; ldr r3, [r1], #4
    for (word, syndrome) in [
        (0xe591_3000_u32, described),
        (0xe591_3000, FAULT | IL),
        (0xe491_3004, FAULT | IL),
    ] {
        for (unsupported, injected) in [(Unsupported::default(), 1), (ignore, 0)] {
            let mut system = System::with(&[trace_device(true, None)], unsupported);
            system.platform.sets_aarch32 = false;
            system.platform.pstate = A32;
            system.platform.gprs[1] = LOC;
            let at = (PC - RAM) as usize;
            system.platform.ram[at..at + 4].copy_from_slice(&word.to_le_bytes());
            assert!(system.exit(syndrome, LOC));
            let abort = [external_abort(Direction::Read, LOC)];
            assert_eq!(system.platform.injected, abort[..injected]);
            assert_eq!(system.platform.pc == PC + 4, injected == 0);
            system.pass(20 * MS);
            assert_eq!(system.lines("R? 0xfa000000 not supported").len(), 1);
        }
    }
    // What cannot be stepped over is refused: WFI, and a load, in an IT block.
    let mut system = System::with(&[trace_device(true, None)], ignore);
    system.platform.sets_aarch32 = false;
    system.platform.pstate = T32 | ITT_EQ | Z;
    system.platform.gprs[1] = LOC;
    assert!(system.exit(0x01 << 26, 0));
    assert!(system.executes(&[0xc908], 0, LOC));
    let abort = external_abort(Direction::Read, LOC);
    assert_eq!(system.platform.injected, [GuestException::Undefined, abort]);
    // Outside a block it can be.
    system.platform.pstate = T32;
    assert!(!system.exit(0x01 << 26, 0));
    system.pass(100 * MS);
    assert_eq!(system.platform.pc, PC + 2);
}

#[test]
fn a_program_reads_and_writes_only_what_the_guests_tables_let_el0() {
    // Nothing is mapped for EL0: strd r4, r5, [r1], whose second word is EL1's.
    let mut system = program(A32);
    const TABLE: u64 = 0b11;
    const PAGE: u64 = 0b11 | 1 << 10;
    let put = |system: &mut System, at: u64, entry: u64| {
        let at = (at - RAM) as usize;
        system.platform.ram[at..at + 8].copy_from_slice(&entry.to_le_bytes());
    };
    put(&mut system, RAM, (RAM + 0x1000) | TABLE);
    put(&mut system, RAM + 0x1000, (RAM + 0x2000) | TABLE);
    put(&mut system, RAM + 0x2000 + 8 * 3, LOC | PAGE | 1 << 6);
    put(&mut system, RAM + 0x2000 + 8 * 4, (RAM + 0x6000) | PAGE);
    put(&mut system, RAM + 0x2000 + 8 * 5, PC | PAGE | 1 << 6);
    system.platform.stage1 = Regime {
        sctlr: MMU_OFF.sctlr | 1,
        tcr: 25 | 1 << 23 | 0b010 << 32,
        ttbr0: RAM,
        ttbr1: 0,
    };
    let at = (PC - RAM) as usize;
    system.platform.ram[at..at + 4].copy_from_slice(&0xe1c1_40f0_u32.to_le_bytes());
    system.platform.gprs[1] = 0x3ffc;
    let exit = Exit {
        syndrome: FAULT | IL | 1 << 6,
        address: GuestPhysAddr(LOC + 0xffc),
        pc: 0x5000,
    };
    system.vmm.fault(exit, &mut system.platform);
    let abort = GuestException::DataAbort {
        direction: Direction::Write,
        status: 0b001111,
        address: 0x4000,
    };
    assert_eq!(system.platform.injected, [abort]);
}
