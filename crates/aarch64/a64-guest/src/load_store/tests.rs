//! Encodings restated by hand from the Arm ARM's diagrams (C6.2, C7.2), not assembled by our
//! code. `tests/oracle.rs` compares all forms with a disassembler.
use super::*;

fn load_store(word: u32) -> LoadStore {
    match decode(word) {
        Instruction::LoadStore(access) => access,
        other => panic!("{word:#010x}: {other:?}"),
    }
}

const fn x(number: u8) -> Gpr {
    Gpr::from_number(number)
}

const fn general(number: u8) -> Register {
    Register::General(x(number))
}

#[test]
fn a_post_indexed_load_moves_its_base_after_the_access() {
    // LDR W1, [X2], #-4: 10 111 0 00 01 0 111111100 01 00010 00001
    let access = load_store(0xb85f_c441);
    assert_eq!(
        (access.direction, access.width_bytes()),
        (Direction::Read, 4)
    );
    assert_eq!((access.first, access.second), (general(1), None));
    assert_eq!(access.base, Base::General(x(2)));
    assert_eq!(access.address(0x1000, 0), 0x1000);
    assert_eq!(access.written_back(0x1000), Some(0xffc));
}

#[test]
fn a_pre_indexed_store_moves_its_base_before_the_access() {
    // STR X3, [SP, #16]!: 11 111 0 00 00 0 000010000 11 11111 00011
    let access = load_store(0xf801_0fe3);
    assert_eq!(
        (access.direction, access.width_bytes()),
        (Direction::Write, 8)
    );
    assert_eq!(access.base, Base::StackPointer);
    assert_eq!(access.address(0x1000, 0), 0x1010);
    assert_eq!(access.written_back(0x1000), Some(0x1010));
}

#[test]
fn a_pair_of_words_has_a_scaled_offset_and_two_registers() {
    // LDP W4, W5, [X6, #-8]: 00 101 0 010 1 1111110 00101 00110 00100
    let access = load_store(0x297f_14c4);
    assert_eq!(access.width_bytes(), 4);
    assert_eq!(
        (access.first, access.second),
        (general(4), Some(general(5)))
    );
    assert_eq!(access.address(0x1000, 0), 0xff8);
    assert_eq!(access.written_back(0x1000), None);
}

#[test]
fn ldpsw_sign_extends_both_words() {
    // LDPSW X1, X2, [X3], #8: 01 101 0 001 1 0000010 00010 00011 00001
    let access = load_store(0x68c1_0861);
    assert_eq!(access.width_bytes(), 4);
    assert!(access.extension.signed && access.extension.to_64_bits);
    assert_eq!(access.written_back(0), Some(8));
}

#[test]
fn an_index_register_is_extended_and_then_shifted() {
    // LDR W0, [X1, W2, SXTW #2]: 10 111 0 00 01 1 00010 110 1 10 00001 00000
    let access = load_store(0xb862_d820);
    assert_eq!(access.index(), Some(x(2)));
    assert_eq!(access.address(0x1000, 0xffff_fffe), 0xff8);
    // LDRH W0, [X1, W2, UXTW]: 01 111 0 00 01 1 00010 010 0 10 00001 00000
    let access = load_store(0x7862_4820);
    assert_eq!(access.address(0x1000, 0xffff_ffff_0000_0003), 0x1003);
    // LDRB W0, [X1, X2, LSL #0]: 00 111 0 00 01 1 00010 011 1 10 00001 00000
    let access = load_store(0x3862_7820);
    assert_eq!(access.address(0x1000, u64::MAX), 0xfff);
    // LDR Q7, [X1, X2, LSL #4]: 00 111 1 00 11 1 00010 011 1 10 00001 00111
    let access = load_store(0x3ce2_7827);
    assert_eq!(
        (access.width_bytes(), access.first),
        (16, Register::Vector(7))
    );
    assert_eq!(access.address(0x1000, 3), 0x1030);
}

#[test]
fn a_literal_is_relative_to_the_instruction() {
    // LDR W9, .-4: 00 011 0 00 1111111111111111111 01001
    let access = load_store(0x18ff_ffe9);
    assert_eq!(access.base, Base::ProgramCounter);
    assert_eq!(
        (access.width_bytes(), access.address(0x1000, 0)),
        (4, 0xffc)
    );
}

#[test]
fn signed_loads_name_the_width_of_their_target() {
    // LDRSB W0, [X1]; LDRSB X0, [X1]; LDRSH W0; LDRSH X0; LDRSW X0 (unsigned offset 0)
    let cases = [
        (0x39c0_0020, 1, false),
        (0x3980_0020, 1, true),
        (0x79c0_0020, 2, false),
        (0x7980_0020, 2, true),
        (0xb980_0020, 4, true),
    ];
    for (word, width, to_64_bits) in cases {
        let access = load_store(word);
        assert_eq!(access.width_bytes(), width, "{word:#x}");
        let extension = Extension {
            signed: true,
            to_64_bits,
        };
        assert_eq!(access.extension, extension, "{word:#x}");
    }
}

#[test]
fn acquire_and_release_are_plain_accesses_of_the_base() {
    // LDAR W0, [X1]; STLR W0, [X1]; LDARB W0, [X1]; LDAPR X0, [X1]; LDLAR W0, [X1]
    let cases = [
        (0x88df_fc20, Direction::Read, 4),
        (0x889f_fc20, Direction::Write, 4),
        (0x08df_fc20, Direction::Read, 1),
        (0xf8bf_c020, Direction::Read, 8),
        (0x88df_7c20, Direction::Read, 4),
    ];
    for (word, direction, width) in cases {
        let access = load_store(word);
        assert_eq!((access.direction, access.width_bytes()), (direction, width));
        assert_eq!(access.address(0x1000, 0), 0x1000);
    }
}

#[test]
fn unprivileged_accesses_are_marked() {
    // LDTR W0, [X1, #4]; LDUR W0, [X1, #4]
    assert!(load_store(0xb840_4820).unprivileged);
    assert!(!load_store(0xb840_4020).unprivileged);
}

#[test]
fn other_accesses_tell_their_base_alone() {
    let cases = [
        0x885f_7c20, // LDXR W0, [X1]
        0x8802_7c20, // STXR W2, W0, [X1]
        0xb820_0022, // LDADD W0, W2, [X1]
        0xb820_8022, // SWP W0, W2, [X1]
        0x88a0_7c22, // CAS W0, W2, [X1]
        0x4820_7c22, // CASP X0, X1, X2, X3, [X1]
        0x4c40_7020, // LD1 {V0.16B}, [X1]
        0x0d40_0020, // LD1 {V0.B}[0], [X1]
        0xd920_0820, // STG X0, [X1]
        0x6900_0820, // STGP X0, X2, [X1]
        0xf820_0420, // LDRAA X0, [X1]
        0xf83f_d020, // LD64B X0, [X1]
        // Beside PRFUM, but post-indexed, unprivileged, pre-indexed: not allocated, and no prefetch.
        0xf880_0420,
        0xf880_0820,
        0xf880_0c20,
    ];
    for word in cases {
        let base = Base::General(x(1));
        assert_eq!(
            decode(word),
            Instruction::OtherAccess { base },
            "{word:#010x}"
        );
    }
    // DC ZVA, X3; DC CIVAC, X3; IC IVAU, X3
    for word in [0xd50b_7423, 0xd50b_7e23, 0xd50b_7523] {
        let base = Base::General(x(3));
        assert_eq!(decode(word), Instruction::OtherAccess { base });
    }
}

#[test]
fn prefetches_and_everything_else_are_no_access() {
    let cases = [
        0xf980_0020, // PRFM PLDL1KEEP, [X1]
        0xf880_0020, // PRFUM PLDL1KEEP, [X1]
        0xf8a2_6820, // PRFM PLDL1KEEP, [X1, X2]
        0xd800_0000, // PRFM PLDL1KEEP, .
        0xd503_201f, // NOP
        0x8b02_0020, // ADD X0, X1, X2
        0x0000_0000, // UDF #0
        0xd503_207f, // WFI
        0x8b02_7020, // ADD X0, X1, X2, LSL #28
        0xd508_8723, // TLBI VAE1, X3
        0x8c40_7020, // LD1's encoding with bit 31 set, which there is not
    ];
    for word in cases {
        assert_eq!(decode(word), Instruction::NoAccess, "{word:#010x}");
    }
}

#[test]
fn what_is_unpredictable_is_not_carried_out() {
    let cases = [
        0xb840_4421, // LDR W1, [X1], #4
        0xf800_8c21, // STR X1, [X1, #8]!
        0x2940_0420, // LDP W0, W1, [X1] is fine: no write-back
        0x28c0_8420, // LDP W0, W1, [X1], #4
        0x2940_0820, // LDP W0, W2, [X1] is fine
        0x2940_0020, // LDP W0, W0, [X1]
        0x2d40_0020, // LDP S0, S0, [X1]
    ];
    let carried_out = cases.map(|word| matches!(decode(word), Instruction::LoadStore(_)));
    assert_eq!(carried_out, [false, false, true, false, true, false, false]);
    // Storing a register twice is fine, and so is a base that shares its number with a vector
    // register or, as the stack pointer, with the zero register.
    load_store(0x2900_0020); // STP W0, W0, [X1]
    load_store(0x3c40_4421); // LDR B1, [X1], #4
    load_store(0xb840_47ff); // LDR WZR, [SP], #4
}

proptest::proptest! {
    #[test]
    fn no_word_panics(word: u32, base: u64, index: u64) {
        if let Instruction::LoadStore(access) = decode(word) {
            access.address(base, index);
            access.written_back(base);
            assert!(access.log2_bytes <= 4);
        }
    }
}
