//! Tables built by hand from D8.3, in a small memory with nothing around it.
use super::*;
extern crate std;
use std::collections::BTreeMap;

const RAM: u64 = 0x4000_0000;
const RAM_LEN_BYTES: u64 = 0x20_0000;

const TABLE: u64 = 0b11;
const PAGE: u64 = 0b11 | AF;
const BLOCK: u64 = 0b01 | AF;
const AF: u64 = 1 << 10;
const AP_EL0: u64 = 1 << 6;
const AP_READ_ONLY: u64 = 1 << 7;

const SCTLR_M: u64 = 1;
/// TCR_EL1.IPS of 40 bits.
const IPS_40: u64 = 0b010 << 32;

const LOAD: Purpose = Purpose::Access(Direction::Read, Privilege::El1);
const STORE: Purpose = Purpose::Access(Direction::Write, Privilege::El1);

/// The guest's RAM: eight bytes at each address that was set, zero elsewhere.
#[derive(Default)]
struct Memory(BTreeMap<u64, u64>);

impl Memory {
    fn with(entries: &[(u64, u64)]) -> Self {
        Self(entries.iter().copied().collect())
    }

    fn read(&self, address: GuestPhysAddr) -> Option<u64> {
        let inside = address.0.wrapping_sub(RAM) <= RAM_LEN_BYTES - 8;
        inside.then(|| self.0.get(&address.0).copied().unwrap_or(0))
    }

    fn translate(&self, regime: Regime, address: u64, purpose: Purpose) -> Result<u64, Fault> {
        regime
            .translate(address, purpose, &mut |at| self.read(at))
            .map(|address| address.0)
    }
}

/// T0SZ = T1SZ = `size`, with the granules' encodings in TG0 and TG1.
fn regime(size: u64, tg0: u64, tg1: u64) -> Regime {
    Regime {
        sctlr: SCTLR_M,
        tcr: size | size << 16 | tg0 << 14 | tg1 << 30 | IPS_40,
        ttbr0: 0x4000_0000,
        ttbr1: 0x4001_0000,
    }
}

fn small_pages() -> Regime {
    regime(25, 0b00, 0b10)
}

#[test]
fn without_the_mmu_addresses_are_physical() {
    let mut regime = small_pages();
    regime.sctlr = 0;
    let memory = Memory::default();
    assert_eq!(
        memory.translate(regime, 0xfa00_0000, STORE),
        Ok(0xfa00_0000)
    );
    assert_eq!(
        memory.translate(regime, 1 << 48, LOAD),
        Err(Fault::AddressSize { level: 0 })
    );
}

#[test]
fn a_walk_of_4_kib_pages_uses_nine_bits_a_level() {
    // 39 bits of address: levels 1 to 3.
    let address = 5 << 30 | 6 << 21 | 7 << 12 | 0x123;
    let memory = Memory::with(&[
        (RAM + 8 * 5, 0x4000_1000 | TABLE),
        (0x4000_1000 + 8 * 6, 0x4000_2000 | TABLE),
        (0x4000_2000 + 8 * 7, 0xfa00_0000 | PAGE),
    ]);
    assert_eq!(
        memory.translate(small_pages(), address, LOAD),
        Ok(0xfa00_0123)
    );
    let next = memory.translate(small_pages(), address + 0x1000, LOAD);
    assert_eq!(next, Err(Fault::Translation { level: 3 }));
}

#[test]
fn four_levels_of_4_kib_pages() {
    let address = 1 << 39 | 2 << 30 | 3 << 21 | 4 << 12 | 0xffc;
    let memory = Memory::with(&[
        (RAM + 8, 0x4000_1000 | TABLE),
        (0x4000_1000 + 8 * 2, 0x4000_2000 | TABLE),
        (0x4000_2000 + 8 * 3, 0x4000_3000 | TABLE),
        (0x4000_3000 + 8 * 4, 0xfa00_0000 | PAGE),
    ]);
    let regime = regime(16, 0b00, 0b10);
    assert_eq!(memory.translate(regime, address, LOAD), Ok(0xfa00_0ffc));
}

#[test]
fn blocks_end_a_walk_where_their_granule_has_them() {
    // (TG0, T0SZ, level, log2 of the block)
    let cases = [
        (0b00, 25, 1, 30), // 4 KiB: 1 GiB
        (0b00, 34, 2, 21), // 4 KiB: 2 MiB
        (0b10, 28, 2, 25), // 16 KiB: 32 MiB
        (0b01, 22, 2, 29), // 64 KiB: 512 MiB
    ];
    for (tg0, size, level, block_bits) in cases {
        let regime = regime(size, tg0, 0b10);
        let output = 1_u64 << block_bits;
        let memory = Memory::with(&[(RAM + 8, output | BLOCK)]);
        let address = output | 0x1_2345;
        let translated = memory.translate(regime, address, LOAD);
        assert_eq!(translated, Ok(output | 0x1_2345), "level {level}");
    }
}

#[test]
fn blocks_where_there_are_none_are_translation_faults() {
    // 4 KiB at level 0, 16 KiB at level 1, 64 KiB at level 1.
    for (tg0, size, level) in [(0b00, 16, 0), (0b10, 17, 1), (0b01, 16, 1)] {
        let regime = regime(size, tg0, 0b10);
        let memory = Memory::with(&[(RAM, BLOCK)]);
        let fault = memory.translate(regime, 0, LOAD);
        assert_eq!(fault, Err(Fault::Translation { level }));
    }
    // At level 3 bit 1 must be set.
    let memory = Memory::with(&[
        (RAM, 0x4000_1000 | TABLE),
        (0x4000_1000, 0x4000_2000 | TABLE),
        (0x4000_2000, 0xfa00_0000 | BLOCK),
    ]);
    let fault = memory.translate(small_pages(), 0, LOAD);
    assert_eq!(fault, Err(Fault::Translation { level: 3 }));
}

#[test]
fn a_walk_of_16_kib_pages_uses_eleven_bits_a_level() {
    // 47 bits: levels 1 to 3; the offset in a page has 14.
    let address = 3 << 36 | 4 << 25 | 5 << 14 | 0x3abc;
    let memory = Memory::with(&[
        (RAM + 8 * 3, 0x4000_4000 | TABLE),
        (0x4000_4000 + 8 * 4, 0x4000_8000 | TABLE),
        (0x4000_8000 + 8 * 5, 0xfa00_0000 | PAGE),
    ]);
    let regime = regime(17, 0b10, 0b01);
    assert_eq!(memory.translate(regime, address, LOAD), Ok(0xfa00_3abc));
}

#[test]
fn the_first_table_of_16_kib_pages_has_two_entries_for_48_bits() {
    let address = 1 << 47 | 4 << 25 | 0x10;
    let memory = Memory::with(&[
        (RAM + 8, 0x4000_4000 | TABLE),
        (0x4000_4000, 0x4000_8000 | TABLE),
        (0x4000_8000 + 8 * 4, 0x8000_0000 | BLOCK),
    ]);
    let regime = regime(16, 0b10, 0b01);
    assert_eq!(memory.translate(regime, address, LOAD), Ok(0x8000_0010));
}

#[test]
fn a_walk_of_64_kib_pages_uses_thirteen_bits_a_level() {
    // 42 bits: levels 2 and 3; the offset in a page has 16.
    let address = 8 << 29 | 9 << 16 | 0xfedc;
    let memory = Memory::with(&[
        (RAM + 8 * 8, 0x4002_0000 | TABLE),
        (0x4002_0000 + 8 * 9, 0xfa00_0000 | PAGE),
    ]);
    let regime = regime(22, 0b01, 0b11);
    assert_eq!(memory.translate(regime, address, LOAD), Ok(0xfa00_fedc));
}

#[test]
fn the_upper_half_has_its_own_table_and_granule() {
    // TG1 encodes 4, 16, 64 KiB as 10, 01, 11; T1SZ such that one table suffices.
    for (tg1, size, block_bits) in [(0b10, 25, 30), (0b01, 28, 25), (0b11, 22, 29)] {
        let mut regime = regime(size, 0b00, tg1);
        regime.ttbr1 = 0x4010_0000;
        let output = 1_u64 << block_bits;
        let memory = Memory::with(&[(0x4010_0000 + 8 * 2, output | BLOCK)]);
        let start = u64::MAX << (64 - size);
        let address = start | 2 << block_bits | 0x44;
        assert_eq!(memory.translate(regime, address, LOAD), Ok(output | 0x44));
    }
}

#[test]
fn addresses_between_the_halves_have_no_translation() {
    let memory = Memory::with(&[(RAM, BLOCK)]);
    for address in [
        1 << 39,
        1 << 54,
        1 << 55,
        u64::MAX << 40,
        0x0100_0000_0000_0000,
    ] {
        let fault = memory.translate(small_pages(), address, LOAD);
        assert_eq!(fault, Err(Fault::Translation { level: 0 }), "{address:#x}");
    }
    assert_eq!(memory.translate(small_pages(), 0x88, LOAD), Ok(0x88));
}

#[test]
fn tags_are_ignored_where_tbi_says_so() {
    let mut regime = small_pages();
    let memory = Memory::with(&[
        (RAM, 0x4000_0000 | BLOCK),
        (0x4001_0000, 0x4000_0000 | BLOCK),
    ]);
    let (low, high) = (0x5a00_0000_0000_0040, 0x5aff_ff80_0000_0040);
    for address in [low, high] {
        let fault = memory.translate(regime, address, LOAD);
        assert_eq!(fault, Err(Fault::Translation { level: 0 }));
    }
    regime.tcr |= 1 << 37;
    assert_eq!(memory.translate(regime, low, LOAD), Ok(0x4000_0040));
    assert!(memory.translate(regime, high, LOAD).is_err());
    regime.tcr |= 1 << 38;
    assert_eq!(memory.translate(regime, high, LOAD), Ok(0x4000_0040));
}

#[test]
fn a_disabled_half_has_no_translation() {
    let memory = Memory::with(&[(RAM, BLOCK), (0x4001_0000, BLOCK)]);
    let low = |tcr| {
        let regime = Regime {
            tcr,
            ..small_pages()
        };
        (
            memory.translate(regime, 0, LOAD).is_ok(),
            memory.translate(regime, u64::MAX << 39, LOAD).is_ok(),
        )
    };
    let tcr = small_pages().tcr;
    assert_eq!(low(tcr), (true, true));
    assert_eq!(low(tcr | 1 << 7), (false, true));
    assert_eq!(low(tcr | 1 << 23), (true, false));
}

#[test]
fn a_table_that_points_to_itself_ends_the_walk() {
    let memory = Memory::with(&[(RAM, 0x4000_0000 | TABLE | AF)]);
    // At level 3 the same descriptor is a page: the table itself.
    assert_eq!(memory.translate(small_pages(), 0x18, LOAD), Ok(RAM + 0x18));
    let memory = Memory::with(&[(RAM, 0x4000_0000 | TABLE)]);
    let fault = memory.translate(small_pages(), 0x18, LOAD);
    assert_eq!(fault, Err(Fault::AccessFlag { level: 3 }));
}

#[test]
fn a_table_that_is_not_in_ram_is_an_external_abort_of_its_level() {
    let mut regime = small_pages();
    regime.ttbr0 = 0xfa00_0000;
    let fault = Memory::default().translate(regime, 0, LOAD);
    assert_eq!(fault, Err(Fault::TableOutsideRam { level: 1 }));
    // In the device's page, found at level 2.
    let memory = Memory::with(&[(RAM, 0xfa00_0000 | TABLE)]);
    let fault = memory.translate(small_pages(), 0, LOAD);
    assert_eq!(fault, Err(Fault::TableOutsideRam { level: 2 }));
    // The last entry of a table at the end of the RAM is there, and the next is not.
    let end = RAM + RAM_LEN_BYTES;
    let memory = Memory::with(&[(RAM, (end - 0x1000) | TABLE), (RAM + 8, end | TABLE)]);
    let at = |address| memory.translate(small_pages(), address, LOAD);
    assert_eq!(at(511 << 21), Err(Fault::Translation { level: 2 }));
    assert_eq!(at(1 << 30), Err(Fault::TableOutsideRam { level: 2 }));
}

#[test]
fn addresses_beyond_ips_are_address_size_faults() {
    let mut regime = small_pages();
    let memory = Memory::with(&[
        (RAM, 1 << 40 | BLOCK),
        (RAM + 8, 1 << 40 | TABLE),
        (RAM + 16, 1 << 39 | BLOCK),
    ]);
    let at = |regime, address| memory.translate(regime, address, LOAD);
    assert_eq!(at(regime, 0), Err(Fault::AddressSize { level: 1 }));
    assert_eq!(at(regime, 1 << 30), Err(Fault::AddressSize { level: 1 }));
    assert_eq!(at(regime, 2 << 30), Ok(1 << 39));
    regime.tcr = regime.tcr & !(7 << 32) | 0b101 << 32;
    assert_eq!(at(regime, 0), Ok(1 << 40));
    regime.tcr &= !(7 << 32);
    regime.ttbr0 |= 1 << 32;
    assert_eq!(at(regime, 0), Err(Fault::AddressSize { level: 0 }));
}

#[test]
fn the_first_table_is_aligned_to_its_size_and_the_register_s_other_bits_do_not_count() {
    // D17.2.144, TTBR0_EL1: ASID above, CnP and what is below the size of the table under it.
    // 39 bits: 512 entries; 34 bits: 16 entries of 8 bytes.
    for (size, table_bytes) in [(25, 0x1000), (30, 0x80)] {
        let mut regime = regime(size, 0b00, 0b10);
        let table = RAM + table_bytes;
        let memory = Memory::with(&[(table, BLOCK)]);
        for others in [0, 1, table_bytes - 1, 0xabcd << 48] {
            regime.ttbr0 = table | others;
            let found = memory.translate(regime, 0x123, LOAD);
            assert_eq!(found, Ok(0x123), "{size} {others:#x}");
        }
    }
}

#[test]
fn each_intermediate_physical_size_admits_its_addresses_and_no_more() {
    // D17.2.139, IPS: the value, and the bits of an address.
    for (ips, bits) in [
        (0b000, 32),
        (0b001, 36),
        (0b010, 40),
        (0b011, 42),
        (0b100, 44),
    ] {
        let mut regime = small_pages();
        regime.tcr = regime.tcr & !(7 << 32) | ips << 32;
        let last = (1 << bits) - (1 << 30);
        let memory = Memory::with(&[(RAM, last | BLOCK), (RAM + 8, 1 << bits | BLOCK)]);
        let at = |address| memory.translate(regime, address, LOAD);
        assert_eq!(at(0x3fff_ffff), Ok((1 << bits) - 1), "{ips:#b}");
        let beyond = Err(Fault::AddressSize { level: 1 });
        assert_eq!(at(1 << 30), beyond, "{ips:#b}");
    }
    // 48 bits are all that a descriptor has.
    let mut regime = small_pages();
    regime.tcr = regime.tcr & !(7 << 32) | 0b101 << 32;
    let memory = Memory::with(&[(RAM, 0xffff_c000_0000 | BLOCK)]);
    assert_eq!(memory.translate(regime, 0, LOAD), Ok(0xffff_c000_0000));
}

#[test]
fn without_the_mmu_the_intermediate_physical_size_does_not_count() {
    let mut regime = small_pages();
    regime.sctlr = 0;
    regime.tcr &= !(7 << 32);
    let last = 0xffff_ffff_fff8;
    assert_eq!(Memory::default().translate(regime, last, LOAD), Ok(last));
}

#[test]
fn permissions_depend_on_who_asks_and_for_what() {
    use Direction::{Read, Write};
    use Privilege::{El0, El1, El1NotEl0};
    // AP[2:1] (D8.4.1), and who may read and write: EL1, EL1 with PAN, EL0.
    let cases = [
        (0, "rw", "rw", ""),
        (AP_EL0, "rw", "", "rw"),
        (AP_READ_ONLY, "r", "r", ""),
        (AP_READ_ONLY | AP_EL0, "r", "", "r"),
    ];
    for (ap, el1, el1_pan, el0) in cases {
        let memory = Memory::with(&[(RAM, BLOCK | ap)]);
        for (privilege, may) in [(El1, el1), (El1NotEl0, el1_pan), (El0, el0)] {
            for (direction, letter) in [(Read, 'r'), (Write, 'w')] {
                let purpose = Purpose::Access(direction, privilege);
                let wanted = match may.contains(letter) {
                    true => Ok(0),
                    false => Err(Fault::Permission { level: 1 }),
                };
                let result = memory.translate(small_pages(), 0, purpose);
                assert_eq!(result, wanted, "{ap:#x} {privilege:?} {direction:?}");
            }
        }
        assert_eq!(memory.translate(small_pages(), 0, Purpose::Fetch), Ok(0));
    }
}

#[test]
fn tables_take_permissions_from_what_is_below_them() {
    const AP_TABLE_READ_ONLY: u64 = 1 << 62;
    const AP_TABLE_NOT_EL0: u64 = 1 << 61;
    let block = BLOCK | AP_EL0;
    let at = |table: u64, purpose| {
        let memory = Memory::with(&[(RAM, 0x4000_1000 | TABLE | table), (0x4000_1000, block)]);
        memory.translate(small_pages(), 0, purpose)
    };
    let el0 = Purpose::Access(Direction::Read, Privilege::El0);
    let forbidden = Err(Fault::Permission { level: 2 });
    assert_eq!((at(0, STORE), at(0, el0)), (Ok(0), Ok(0)));
    assert_eq!(at(AP_TABLE_READ_ONLY, STORE), forbidden);
    assert_eq!(at(AP_TABLE_READ_ONLY, LOAD), Ok(0));
    assert_eq!(at(AP_TABLE_NOT_EL0, el0), forbidden);
    assert_eq!(at(AP_TABLE_NOT_EL0, STORE), Ok(0));
}

#[test]
fn a_clear_access_flag_faults_unless_the_hardware_manages_it() {
    let mut regime = small_pages();
    let memory = Memory::with(&[(RAM, 0b01)]);
    let fault = memory.translate(regime, 0, LOAD);
    assert_eq!(fault, Err(Fault::AccessFlag { level: 1 }));
    regime.tcr |= 1 << 39;
    assert_eq!(memory.translate(regime, 0, LOAD), Ok(0));
}

#[test]
fn fault_status_codes_are_those_of_the_manual() {
    // D17.2.37, DFSC.
    assert_eq!(Fault::AddressSize { level: 2 }.status(), 0b000010);
    assert_eq!(Fault::Translation { level: 3 }.status(), 0b000111);
    assert_eq!(Fault::AccessFlag { level: 1 }.status(), 0b001001);
    assert_eq!(Fault::Permission { level: 3 }.status(), 0b001111);
    assert_eq!(Fault::TableOutsideRam { level: 1 }.status(), 0b010101);
}

#[test]
fn tables_have_the_byte_order_of_el1() {
    let little = small_pages();
    let entries = [
        (RAM, 0x4000_1000 | TABLE),
        (0x4000_1000, 0x4000_2000 | TABLE),
        (0x4000_2000, 0xfa00_0000 | PAGE),
    ];
    let swapped = entries.map(|(at, entry)| (at, entry.swap_bytes()));
    let (e0e, ee) = (1 << 24, 1 << 25);
    for (sctlr, entries) in [
        (0, entries),
        (e0e, entries),
        (ee, swapped),
        (ee | e0e, swapped),
    ] {
        let regime = Regime {
            sctlr: little.sctlr | sctlr,
            ..little
        };
        let translated = Memory::with(&entries).translate(regime, 8, LOAD);
        assert_eq!(translated, Ok(0xfa00_0008), "{sctlr:#x}");
    }
}

proptest::proptest! {
    #[test]
    fn random_tables_end_in_an_address_or_a_fault(
        sctlr: u64, tcr: u64, ttbr0: u64, ttbr1: u64, address: u64, seed: u64, in_ram: bool,
    ) {
        // Tables whose next level is often there: addresses inside the RAM, type bits any.
        let mut reads = 0;
        let mut read = |at: GuestPhysAddr| {
            reads += 1;
            assert_eq!(at.0 % 8, 0);
            let mixed = (seed ^ at.0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (in_ram || mixed >> 60 != 0).then_some(match in_ram {
                true => RAM | mixed & 0x1f_ffff | 0b11,
                false => mixed,
            })
        };
        let regime = Regime { sctlr, tcr, ttbr0, ttbr1 };
        for address in [address, address & 0x7f_ffff_ffff, address | u64::MAX << 40] {
            if let Ok(translated) = regime.translate(address, LOAD, &mut read) {
                assert!(translated.0 < 1 << 48);
            }
        }
        assert!(reads <= 12, "{reads} reads in three walks");
    }

    #[test]
    fn what_a_page_maps_keeps_its_offset(
        page in 0_u64..1 << 28, offset in 0_u64..0x1000, index in 0_u64..512,
    ) {
        let memory = Memory::with(&[
            (RAM, 0x4000_1000 | TABLE),
            (0x4000_1000, 0x4000_2000 | TABLE),
            (0x4000_2000 + 8 * index, page << 12 | PAGE),
        ]);
        let translated = memory.translate(small_pages(), index << 12 | offset, LOAD);
        assert_eq!(translated, Ok(page << 12 | offset));
    }
}
