use super::*;

// Bit positions restated from the Arm ARM, not taken from the decoder.
const EC_DATA_ABORT: u64 = 0x24 << 26;
const IL: u64 = 1 << 25;
const TRANSLATION_FAULT_L3: u64 = 0b000111;

fn data_abort(isv: u64, sas: u64, sse: u64, srt: u64, sf: u64, wnr: u64, dfsc: u64) -> u64 {
    EC_DATA_ABORT | IL | isv << 24 | sas << 22 | sse << 21 | srt << 16 | sf << 15 | wnr << 6 | dfsc
}

fn decoded(syndrome: u64) -> Trap {
    decode(syndrome, GuestPhysAddr(0xfa00_0000), 0x4008_0010)
}

fn access(syndrome: u64) -> Access {
    match decoded(syndrome) {
        Trap::Access(access) => access,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_word_load_names_its_register_and_address() {
    let access = access(data_abort(1, 2, 0, 7, 0, 0, TRANSLATION_FAULT_L3));
    assert_eq!(access.address, GuestPhysAddr(0xfa00_0000));
    assert_eq!(access.width, AccessWidth::Word);
    assert_eq!(access.direction, Direction::Read);
    assert_eq!(access.register.number(), 7);
    assert_eq!(access.pc, 0x4008_0010);
}

#[test]
fn every_width_and_direction_is_told_apart() {
    for (sas, bytes) in [(0, 1), (1, 2), (2, 4), (3, 8)] {
        for (wnr, direction) in [(0, Direction::Read), (1, Direction::Write)] {
            let access = access(data_abort(1, sas, 0, 30, 0, wnr, TRANSLATION_FAULT_L3));
            assert_eq!(access.width.bytes(), bytes);
            assert_eq!(access.direction, direction);
        }
    }
}

#[test]
fn loads_extend_as_the_instruction_says() {
    let cases = [
        // (sas, sse, sf, loaded, register)
        (0, 0, 0, 0x1_80, 0x80),
        (0, 1, 0, 0x80, 0xffff_ff80),
        (0, 1, 1, 0x80, 0xffff_ffff_ffff_ff80),
        (1, 1, 0, 0x8000, 0xffff_8000),
        (1, 1, 1, 0x7fff, 0x7fff),
        (2, 1, 1, 0x8000_0000, 0xffff_ffff_8000_0000),
        (2, 0, 0, 0xffff_ffff_ffff_ffff, 0xffff_ffff),
        (3, 0, 1, 0x8000_0000_0000_0001, 0x8000_0000_0000_0001),
    ];
    for (sas, sse, sf, loaded, register) in cases {
        let access = access(data_abort(1, sas, sse, 0, sf, 0, TRANSLATION_FAULT_L3));
        assert_eq!(
            access.extend(loaded),
            register,
            "sas {sas} sse {sse} sf {sf}"
        );
    }
}

#[test]
fn without_a_valid_syndrome_the_access_is_undescribed() {
    for wnr in [0, 1] {
        let trap = decoded(data_abort(0, 2, 0, 0, 0, wnr, TRANSLATION_FAULT_L3));
        assert!(matches!(trap, Trap::Undescribed { .. }), "{trap:?}");
    }
}

#[test]
fn cache_maintenance_and_table_walks_are_no_accesses() {
    const CM: u64 = 1 << 8;
    const S1PTW: u64 = 1 << 7;
    for isv in [0, 1] {
        let trap =
            |wnr, bits| decoded(data_abort(isv, 2, 0, 0, 0, wnr, TRANSLATION_FAULT_L3) | bits);
        assert_eq!(trap(1, CM), Trap::CacheMaintenance);
        for (wnr, direction) in [(0, Direction::Read), (1, Direction::Write)] {
            assert_eq!(trap(wnr, S1PTW), Trap::TableWalk { direction });
            // An address translation instruction's.
            assert_eq!(trap(wnr, S1PTW | CM), Trap::TableWalk { direction });
        }
    }
}

#[test]
fn what_is_undescribed_still_says_its_place_and_direction() {
    for (wnr, direction) in [(0, Direction::Read), (1, Direction::Write)] {
        let address = GuestPhysAddr(0xfa00_0000);
        let trap = decoded(data_abort(0, 0, 0, 0, 0, wnr, TRANSLATION_FAULT_L3));
        assert_eq!(trap, Trap::Undescribed { address, direction });
    }
}

#[test]
fn stage_2_stops_an_access_by_translation_access_flag_and_permission_alone() {
    // DFSC: 0b0001LL, 0b0010LL, 0b0011LL, at each of four levels.
    for status in 0..64 {
        let trap = decoded(data_abort(1, 2, 0, 0, 0, 0, status));
        let is_access = matches!(trap, Trap::Access(_));
        assert_eq!(is_access, (4..16).contains(&status), "{status:#08b}");
        if !is_access {
            let status = status as u8;
            assert_eq!(trap, Trap::MemoryError { status });
        }
    }
}

#[test]
fn a_width_is_named_by_its_logarithm_and_by_its_bytes() {
    for (log2, bytes, mask) in [
        (0, 1, 0xff),
        (1, 2, 0xffff),
        (2, 4, 0xffff_ffff),
        (3, 8, u64::MAX),
    ] {
        let width = AccessWidth::from_log2(log2);
        assert_eq!(
            (width.log2(), width.bytes(), width.mask()),
            (log2, bytes, mask)
        );
    }
}

#[test]
fn what_the_vm_does_not_have_is_told_from_what_nobody_knows() {
    for class in [0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0c, 0x19] {
        assert_eq!(
            decoded(class << 26 | IL),
            Trap::Unavailable { class: class as u8 }
        );
    }
    for class in [0x00, 0x02, 0x0b, 0x0d, 0x0e, 0x11, 0x15, 0x1a, 0x22] {
        assert_eq!(
            decoded(class << 26 | IL),
            Trap::Other { class: class as u8 }
        );
    }
}

#[test]
fn a_syndrome_tells_how_long_an_aarch32_instruction_is_and_when_it_is_executed() {
    let bytes = aarch32_instruction_bytes;
    assert_eq!([bytes(0x01 << 26), bytes(0x01 << 26 | IL)], [2, 4]);
    const CV: u64 = 1 << 24;
    assert_eq!(aarch32_condition(0x05 << 26 | IL | 0x5 << 20), None);
    assert_eq!(aarch32_condition(0x05 << 26 | IL | CV | 0x5 << 20), Some(5));
}

#[test]
fn an_external_abort_is_no_access() {
    let trap = decoded(data_abort(1, 2, 0, 0, 0, 0, 0b010000));
    assert_eq!(trap, Trap::MemoryError { status: 0b010000 });
}

#[test]
fn calls_and_waits_are_recognised() {
    let call = |ec: u64, imm: u64| decoded(ec << 26 | IL | imm);
    assert_eq!(
        call(0x16, 5),
        Trap::Call {
            instruction: CallInstruction::Hvc,
            immediate: 5
        }
    );
    assert_eq!(
        call(0x17, 0),
        Trap::Call {
            instruction: CallInstruction::Smc,
            immediate: 0
        }
    );
    assert_eq!(call(0x01, 0), Trap::Wait);
    assert!(matches!(
        call(0x18, 0x1234),
        Trap::SystemRegister { iss: 0x1234 }
    ));
    assert_eq!(
        call(0x20, 0),
        Trap::FetchAbort {
            address: GuestPhysAddr(0xfa00_0000)
        }
    );
    assert_eq!(call(0x3c, 0), Trap::Other { class: 0x3c });
}

proptest::proptest! {
    #[test]
    fn no_syndrome_panics(syndrome: u64, address: u64, pc: u64, loaded: u64) {
        if let Trap::Access(access) = decode(syndrome, GuestPhysAddr(address), pc) {
            access.extend(loaded);
        }
    }
}
