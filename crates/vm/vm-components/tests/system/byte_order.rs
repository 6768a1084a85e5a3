//! Loads and stores of a guest whose data is big-endian, on the simulated machine: they leave what
//! they leave on RAM, whose bytes are in the order of their addresses.

use crate::fixtures::{LOC, PC};
use crate::machine::{MS, System, UART};
use crate::platform::EL1H;

const EE: u64 = 1 << 25;
const E0E: u64 = 1 << 24;
const EL0: u64 = 0x3c0;

/// A guest of EL1 or EL0 with these bits in SCTLR_EL1.
fn guest(pstate: u64, sctlr: u64) -> System {
    let mut system = System::new();
    system.platform.pstate = pstate;
    system.platform.stage1.sctlr |= sctlr;
    system
}

/// A data abort that the CPU describes: SAS, SSE, SRT = 3, SF, WnR.
fn described(log2: u64, signed: u64, to_64_bits: u64, write: u64) -> u64 {
    let fields = log2 << 22 | signed << 21 | 3 << 16 | to_64_bits << 15 | write << 6;
    0x24 << 26 | 1 << 25 | 1 << 24 | fields | 0b111
}

#[test]
fn each_width_is_turned_round_where_the_level_is_big_endian() {
    for (pstate, sctlr) in [(EL1H, EE), (EL0, E0E), (EL1H, EE | E0E)] {
        let mut system = guest(EL1H, 0);
        // The bytes 44 33 22 81, from the first address on.
        system.write(0x8122_3344);
        system.platform.pstate = pstate;
        system.platform.stage1.sctlr |= sctlr;
        for (text, syndrome, offset, register) in [
            ("ldr w3", described(2, 0, 0, 0), 0, 0x4433_2281),
            ("ldrh w3", described(1, 0, 0, 0), 0, 0x4433),
            ("ldrh w3", described(1, 0, 0, 0), 2, 0x2281),
            ("ldrsh w3", described(1, 1, 0, 0), 2, 0x2281),
            ("ldrb w3", described(0, 0, 0, 0), 3, 0x81),
            ("ldrsb x3", described(0, 1, 1, 0), 3, 0xffff_ffff_ffff_ff81),
            ("ldrsw x3", described(2, 1, 1, 0), 0, 0x4433_2281),
        ] {
            assert!(system.exit(syndrome, LOC + offset), "{text}");
            assert_eq!(system.platform.gprs[3], register, "{text}");
            assert_eq!(system.platform.pc, PC + 4);
        }
    }
}

#[test]
fn a_store_puts_the_highest_byte_first() {
    let mut system = guest(EL1H, EE);
    for (log2, offset, word) in [
        (2, 0, 0x4433_2211),
        (1, 2, 0x4433_2211),
        (1, 0, 0x4433_4433),
        (0, 0, 0x4433_2244),
    ] {
        system.platform.gprs[3] = 0x1122_3344;
        assert!(system.exit(described(log2, 0, 0, 1), LOC + offset));
        system.pass(20 * MS);
        system.platform.stage1.sctlr &= !EE;
        assert_eq!(system.read(), word, "{log2} at {offset}");
        system.platform.stage1.sctlr |= EE;
        system.write(0x1122_3344_u32.into());
        system.pass(20 * MS);
    }
}

#[test]
fn the_other_levels_order_does_not_matter() {
    for (pstate, sctlr) in [(EL1H, E0E), (EL0, EE)] {
        let mut system = guest(EL1H, 0);
        system.write(0x1122_3344);
        system.platform.pstate = pstate;
        system.platform.stage1.sctlr |= sctlr;
        assert_eq!(system.read(), 0x1122_3344);
    }
}

#[test]
fn decoded_instructions_are_turned_round_register_by_register() {
    let mut system = guest(EL1H, 0);
    system.platform.ram[0x5ffc..0x6000].copy_from_slice(&[0xaa, 0xbb, 0xcc, 0xdd]);
    system.write(0x1122_3344);
    system.platform.stage1.sctlr |= EE;
    // LDR W1, [X2], #4
    system.platform.ram[0x8_0000..0x8_0004].copy_from_slice(&0xb840_4441_u32.to_le_bytes());
    system.platform.gprs[2] = LOC;
    assert!(system.exit(0x24 << 26 | 1 << 25 | 0b111, LOC));
    assert_eq!(system.platform.gprs[1..3], [0x4433_2211, LOC + 4]);
    // LDR S3, [X2], #4 and STR S3, [X2], #4
    system.platform.ram[0x8_0000..0x8_0004].copy_from_slice(&0xbc40_4443_u32.to_le_bytes());
    system.platform.gprs[2] = LOC;
    assert!(system.exit(0x24 << 26 | 1 << 25 | 0b111, LOC));
    assert_eq!(system.platform.vectors.unwrap()[3], 0x4433_2211);
    system.platform.ram[0x8_0000..0x8_0004].copy_from_slice(&0xbc00_4443_u32.to_le_bytes());
    system.platform.vectors.as_mut().unwrap()[3] = 0xffff_0000_5566_7788;
    system.platform.gprs[2] = LOC;
    assert!(system.exit(0x24 << 26 | 1 << 25 | 1 << 6 | 0b111, LOC));
    system.platform.stage1.sctlr &= !EE;
    assert_eq!(system.read(), 0x8877_6655);
}

#[test]
fn a_narrow_store_of_the_serial_port_is_a_character_in_either_order() {
    let mut system = guest(EL1H, EE);
    for byte in "ok\n".bytes() {
        system.platform.gprs[3] = byte.into();
        assert!(system.exit(described(0, 0, 0, 1), UART));
    }
    system.power_off();
    assert_eq!(system.lines("demo| ok").len(), 1);
}
