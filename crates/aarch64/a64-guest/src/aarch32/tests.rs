//! Words as an assembler gives them for the text beside them; what they do is from the manual
//! (F5.1).

use super::*;
use Direction::{Read, Write};

const R1: Base = Base::Register(register(1));

/// A load or store of r3 whose address is r1.
fn word(direction: Direction) -> LoadStore {
    LoadStore {
        direction,
        log2_bytes: 2,
        signed: false,
        first: register(3),
        second: None,
        base: R1,
        at: Offset::Immediate(0),
        moves: None,
    }
}

fn pair(direction: Direction, first: u32, second: u32) -> LoadStore {
    LoadStore {
        first: register(first),
        second: Some(register(second)),
        ..word(direction)
    }
}

fn narrow(direction: Direction, log2_bytes: u8, signed: bool) -> LoadStore {
    LoadStore {
        log2_bytes,
        signed,
        ..word(direction)
    }
}

impl LoadStore {
    fn at(self, offset: i32) -> Self {
        self.with(Offset::Immediate(offset), None)
    }

    fn pre(self, offset: i32) -> Self {
        self.pre_by(Offset::Immediate(offset))
    }

    fn post(self, offset: i32) -> Self {
        self.post_by(Offset::Immediate(offset))
    }

    fn pre_by(self, offset: Offset) -> Self {
        self.with(offset, Some(offset))
    }

    fn post_by(self, offset: Offset) -> Self {
        self.with(Offset::Immediate(0), Some(offset))
    }

    fn based_on(self, number: u32) -> Self {
        Self {
            base: base(number),
            ..self
        }
    }

    fn with(self, at: Offset, moves: Option<Offset>) -> Self {
        Self { at, moves, ..self }
    }
}

/// r2, shifted, added or subtracted.
fn r2(shift: Shift, subtract: bool) -> Offset {
    Offset::Register {
        index: register(2),
        shift,
        subtract,
    }
}

const PLAIN: Shift = Shift::Left(0);

#[test]
fn a32_says_what_is_moved_where() {
    for (instruction, text, wanted) in [
        (0xe591_3000, "ldr r3, [r1]", word(Read)),
        (0xe491_3004, "ldr r3, [r1], #4", word(Read).post(4)),
        (0x0491_3004, "ldreq r3, [r1], #4", word(Read).post(4)),
        (0xe531_3004, "ldr r3, [r1, #-4]!", word(Read).pre(-4)),
        (
            0xe791_3102,
            "ldr r3, [r1, r2, lsl #2]",
            word(Read).with(r2(Shift::Left(2), false), None),
        ),
        (
            0xe611_33e2,
            "ldr r3, [r1], -r2, ror #7",
            word(Read).post_by(r2(Shift::Rotate(7), true)),
        ),
        (
            0xe731_3062,
            "ldr r3, [r1, -r2, rrx]!",
            word(Read).pre_by(r2(Shift::RotateWithCarry, true)),
        ),
        (0xe521_3004, "str r3, [r1, #-4]!", word(Write).pre(-4)),
        (
            0xe4c1_3001,
            "strb r3, [r1], #1",
            narrow(Write, 0, false).post(1),
        ),
        (
            0xe7d1_3042,
            "ldrb r3, [r1, r2, asr #32]",
            narrow(Read, 0, false).with(r2(Shift::SignedRight(32), false), None),
        ),
        (0xe4b1_3004, "ldrt r3, [r1], #4", word(Read).post(4)),
        (
            0xe661_3002,
            "strbt r3, [r1], -r2",
            narrow(Write, 0, false).post_by(r2(PLAIN, true)),
        ),
        (
            0xe0d1_30b2,
            "ldrh r3, [r1], #2",
            narrow(Read, 1, false).post(2),
        ),
        (
            0xe171_3fdf,
            "ldrsb r3, [r1, #-255]!",
            narrow(Read, 0, true).pre(-255),
        ),
        (
            0xe011_30f2,
            "ldrsh r3, [r1], -r2",
            narrow(Read, 1, true).post_by(r2(PLAIN, true)),
        ),
        (
            0xe1e1_30b2,
            "strh r3, [r1, #2]!",
            narrow(Write, 1, false).pre(2),
        ),
        (
            0xe0f1_30b2,
            "ldrht r3, [r1], #2",
            narrow(Read, 1, false).post(2),
        ),
        (0xe1c1_40d0, "ldrd r4, r5, [r1]", pair(Read, 4, 5)),
        (
            0xe161_40d8,
            "ldrd r4, r5, [r1, #-8]!",
            pair(Read, 4, 5).pre(-8),
        ),
        (
            0xe081_40d2,
            "ldrd r4, r5, [r1], r2",
            pair(Read, 4, 5).post_by(r2(PLAIN, false)),
        ),
        (
            0xe0c1_40f8,
            "strd r4, r5, [r1], #8",
            pair(Write, 4, 5).post(8),
        ),
        (
            0xe1cf_40d8,
            "ldrd r4, r5, [pc, #8]",
            pair(Read, 4, 5).based_on(15).at(8),
        ),
        (
            0xe59f_3008,
            "ldr r3, [pc, #8]",
            word(Read).based_on(15).at(8),
        ),
        (0xe191_3c9f, "lda r3, [r1]", word(Read)),
        (0xe1d1_3c9f, "ldab r3, [r1]", narrow(Read, 0, false)),
        (0xe1e1_fc93, "stlh r3, [r1]", narrow(Write, 1, false)),
    ] {
        let wanted = Instruction::LoadStore(wanted);
        assert_eq!(decode_a32(instruction), wanted, "{text}");
    }
}

#[test]
fn a_list_of_one_or_two_lies_where_its_mode_says() {
    let moves =
        |at, by, access: LoadStore| access.with(Offset::Immediate(at), Some(Offset::Immediate(by)));
    for (instruction, text, wanted) in [
        (0xe891_0008, "ldm r1, {r3}", word(Read)),
        (
            0xe8b1_0018,
            "ldm r1!, {r3, r4}",
            moves(0, 8, pair(Read, 3, 4)),
        ),
        (
            0xe931_0018,
            "ldmdb r1!, {r3, r4}",
            moves(-8, -8, pair(Read, 3, 4)),
        ),
        (
            0xe9b1_0018,
            "ldmib r1!, {r3, r4}",
            moves(4, 8, pair(Read, 3, 4)),
        ),
        (
            0xe831_0018,
            "ldmda r1!, {r3, r4}",
            moves(-4, -8, pair(Read, 3, 4)),
        ),
        (
            0xe8a1_0012,
            "stm r1!, {r1, r4}",
            moves(0, 8, pair(Write, 1, 4)),
        ),
        (
            0xe92d_4008,
            "push {r3, lr}",
            moves(-8, -8, pair(Write, 3, 14)).based_on(13),
        ),
        (
            0xe49d_3004,
            "pop {r3}",
            moves(0, 4, word(Read)).based_on(13),
        ),
        (0xe801_0008, "stmda r1, {r3}", word(Write)),
    ] {
        let wanted = Instruction::LoadStore(wanted);
        assert_eq!(decode_a32(instruction), wanted, "{text}");
    }
}

#[test]
fn what_a32_has_besides_is_known_by_its_base_or_is_no_access() {
    for (instruction, text) in [
        (0xe891_0038, "ldm r1, {r3, r4, r5}"),
        (0xe8d1_0018, "ldm r1, {r3, r4}^"),
        (0xe8b1_0002, "ldm r1!, {r1}"),
        (0xe8a1_0003, "stm r1!, {r0, r1}"),
        (0xe891_0000, "ldm r1, {}"),
        (0xe491_f004, "ldr pc, [r1], #4"),
        (0xe491_1004, "ldr r1, [r1], #4"),
        (0xe691_300f, "ldr r3, [r1], pc"),
        (0xe1c1_30d0, "ldrd r3, r4, [r1]"),
        (0xe1c1_e0d0, "ldrd lr, pc, [r1]"),
        (0xe0c1_00d8, "ldrd r0, r1, [r1], #8"),
        (0xe081_40d5, "ldrd r4, r5, [r1], r5"),
        (0xe191_3f9f, "ldrex r3, [r1]"),
        (0xe181_2f93, "strex r2, r3, [r1]"),
        (0xe191_3e9f, "ldaex r3, [r1]"),
        (
            0xe191_3c90,
            "lda r3, [r1] without the ones that should be there",
        ),
        (0xe181_0c93, "stl r3, [r1] without them"),
        (0xed91_0a00, "vldr s0, [r1]"),
        (0xecb1_0b02, "vldmia r1!, {d0}"),
    ] {
        let wanted = Instruction::OtherAccess { base: R1 };
        assert_eq!(decode_a32(instruction), wanted, "{text}");
    }
    let sp = Instruction::OtherAccess { base: base(13) };
    assert_eq!(decode_a32(0xe8bd_8008), sp, "pop {{r3, pc}}");
    for (instruction, text) in [
        (0xf5d1_f000, "pld [r1]"),
        (0xe003_0291, "mul r3, r1, r2"),
        (0xe081_3002, "add r3, r1, r2"),
        (0xe081_3142, "add r3, r1, r2, asr #2"),
        (0xe081_30a2, "add r3, r1, r2, lsr #1"),
        (0xe081_3432, "add r3, r1, r2, lsr r4"),
        (0xe713_f211, "sdiv r3, r1, r2"),
        (0xe320_f000, "nop"),
        (0xeb00_0002, "bl"),
        (0xee10_3e10, "mrc p14, 0, r3, c0, c0, 0"),
    ] {
        assert_eq!(decode_a32(instruction), Instruction::NoAccess, "{text}");
    }
}

#[test]
fn t32_says_what_is_moved_where() {
    for (first, second, text, wanted) in [
        (0x680b, 0, "ldr r3, [r1]", word(Read)),
        (
            0x588b,
            0,
            "ldr r3, [r1, r2]",
            word(Read).with(r2(PLAIN, false), None),
        ),
        (0x604b, 0, "str r3, [r1, #4]", word(Write).at(4)),
        (
            0x77cb,
            0,
            "strb r3, [r1, #31]",
            narrow(Write, 0, false).at(31),
        ),
        (
            0x8fcb,
            0,
            "ldrh r3, [r1, #62]",
            narrow(Read, 1, false).at(62),
        ),
        (
            0x508b,
            0,
            "str r3, [r1, r2]",
            word(Write).with(r2(PLAIN, false), None),
        ),
        (
            0x548b,
            0,
            "strb r3, [r1, r2]",
            narrow(Write, 0, false).with(r2(PLAIN, false), None),
        ),
        (
            0x5a8b,
            0,
            "ldrh r3, [r1, r2]",
            narrow(Read, 1, false).with(r2(PLAIN, false), None),
        ),
        (
            0x5c8b,
            0,
            "ldrb r3, [r1, r2]",
            narrow(Read, 0, false).with(r2(PLAIN, false), None),
        ),
        (
            0x5e8b,
            0,
            "ldrsh r3, [r1, r2]",
            narrow(Read, 1, true).with(r2(PLAIN, false), None),
        ),
        (
            0x568b,
            0,
            "ldrsb r3, [r1, r2]",
            narrow(Read, 0, true).with(r2(PLAIN, false), None),
        ),
        (
            0x528b,
            0,
            "strh r3, [r1, r2]",
            narrow(Write, 1, false).with(r2(PLAIN, false), None),
        ),
        (0x9b02, 0, "ldr r3, [sp, #8]", word(Read).based_on(13).at(8)),
        (0x4b02, 0, "ldr r3, [pc, #8]", word(Read).based_on(15).at(8)),
        (
            0xb508,
            0,
            "push {r3, lr}",
            pair(Write, 3, 14).based_on(13).pre(-8),
        ),
        (
            0xbc18,
            0,
            "pop {r3, r4}",
            pair(Read, 3, 4).based_on(13).post(8),
        ),
        (0xc118, 0, "stmia r1!, {r3, r4}", pair(Write, 3, 4).post(8)),
        (0xc908, 0, "ldmia r1!, {r3}", word(Read).post(4)),
        (0xc90a, 0, "ldm r1, {r1, r3}", pair(Read, 1, 3)),
        (
            0xf8d1,
            0x3fff,
            "ldr.w r3, [r1, #0xfff]",
            word(Read).at(0xfff),
        ),
        (0xf851, 0x3b04, "ldr r3, [r1], #4", word(Read).post(4)),
        (0xf851, 0x3d04, "ldr r3, [r1, #-4]!", word(Read).pre(-4)),
        (0xf851, 0x3c04, "ldr r3, [r1, #-4]", word(Read).at(-4)),
        (0xf851, 0x3e04, "ldrt r3, [r1, #4]", word(Read).at(4)),
        (
            0xf811,
            0x39ff,
            "ldrb r3, [r1], #-255",
            narrow(Read, 0, false).post(-255),
        ),
        (
            0xf931,
            0x3f02,
            "ldrsh r3, [r1, #2]!",
            narrow(Read, 1, true).pre(2),
        ),
        (
            0xf911,
            0x3032,
            "ldrsb.w r3, [r1, r2, lsl #3]",
            narrow(Read, 0, true).with(r2(Shift::Left(3), false), None),
        ),
        (
            0xf841,
            0x3022,
            "str.w r3, [r1, r2, lsl #2]",
            word(Write).with(r2(Shift::Left(2), false), None),
        ),
        (
            0xf821,
            0x3b02,
            "strh r3, [r1], #2",
            narrow(Write, 1, false).post(2),
        ),
        (
            0xf85f,
            0x3008,
            "ldr.w r3, [pc, #-8]",
            word(Read).based_on(15).at(-8),
        ),
        (0xe9d1, 0x3400, "ldrd r3, r4, [r1]", pair(Read, 3, 4)),
        (
            0xe971,
            0x3402,
            "ldrd r3, r4, [r1, #-8]!",
            pair(Read, 3, 4).pre(-8),
        ),
        (
            0xe8e1,
            0x3402,
            "strd r3, r4, [r1], #8",
            pair(Write, 3, 4).post(8),
        ),
        (
            0xe9df,
            0x3402,
            "ldrd r3, r4, [pc, #8]",
            pair(Read, 3, 4).based_on(15).at(8),
        ),
        (
            0xe8b1,
            0x0018,
            "ldm.w r1!, {r3, r4}",
            pair(Read, 3, 4).post(8),
        ),
        (
            0xe931,
            0x0018,
            "ldmdb r1!, {r3, r4}",
            pair(Read, 3, 4).pre(-8),
        ),
        (
            0xe901,
            0x0018,
            "stmdb r1, {r3, r4}",
            pair(Write, 3, 4).at(-8),
        ),
        (
            0xe92d,
            0x4008,
            "push.w {r3, lr}",
            pair(Write, 3, 14).based_on(13).pre(-8),
        ),
        (0xe8d1, 0x3faf, "lda r3, [r1]", word(Read)),
        (0xe8d1, 0x3f9f, "ldah r3, [r1]", narrow(Read, 1, false)),
        (0xe8c1, 0x3f8f, "stlb r3, [r1]", narrow(Write, 0, false)),
    ] {
        let wanted = Instruction::LoadStore(wanted);
        assert_eq!(decode_t32(first, second), wanted, "{text}");
    }
}

#[test]
fn what_t32_has_besides_is_known_by_its_base_or_is_no_access() {
    for (first, second, text) in [
        (0xf851, 0xfb04, "ldr pc, [r1], #4"),
        (0xf851, 0x1b04, "ldr r1, [r1], #4"),
        (0xe891, 0x0038, "ldm.w r1, {r3, r4, r5}"),
        (0xe891, 0x0008, "ldm.w r1, {r3}"),
        (0xe891, 0x2008, "ldm.w r1, {r3, sp}"),
        (0xe8a1, 0x0006, "stm.w r1!, {r1, r2}"),
        (0xe9d1, 0x3300, "ldrd r3, r3, [r1]"),
        (0xe851, 0x3f00, "ldrex r3, [r1]"),
        (0xe851, 0x3faf, "ldrex r3, [r1, #0x2bc]"),
        (0xe8d1, 0x30af, "lda r3, [r1] without Rt2's ones"),
        (0xe8d1, 0x3fa0, "lda r3, [r1] without Rd's ones"),
        (0xf851, 0x3804, "ldr r3, [r1] with neither P nor W"),
        (0xf951, 0x3002, "ldrsw r3, [r1, r2], which there is not"),
        (0xf9a1, 0x000f, "vld1.8 {d0[0]}, [r1]"),
        (0xe8d1, 0x3fef, "ldaex r3, [r1]"),
        (0xe8d1, 0xf002, "tbb [r1, r2]"),
        (0xed91, 0x0a00, "vldr s0, [r1]"),
        (0xf921, 0x078f, "vld1.32 {d0}, [r1]"),
    ] {
        let wanted = Instruction::OtherAccess { base: R1 };
        assert_eq!(decode_t32(first, second), wanted, "{text}");
    }
    for (first, text) in [(0xbd08, "pop {r3, pc}"), (0xb438, "push {r3, r4, r5}")] {
        let wanted = Instruction::OtherAccess { base: base(13) };
        assert_eq!(decode_t32(first, 0), wanted, "{text}");
    }
    for (first, second, text) in [
        (0xf891, 0xf000, "pld [r1]"),
        (0xf991, 0xf000, "pli [r1]"),
        (0xfb01, 0xf303, "mul r3, r1, r3"),
        (0xbf00, 0, "nop"),
        (0xeb01, 0x0302, "add.w r3, r1, r2"),
        (0xee10, 0x3e10, "mrc p14, 0, r3, c0, c0, 0"),
        (0xdf00, 0, "svc 0"),
        (0x2455, 0, "movs r4, #0x55"),
        (0x400b, 0, "ands r3, r1"),
        (0x4770, 0, "bx lr"),
    ] {
        let wanted = Instruction::NoAccess;
        assert_eq!(decode_t32(first, second), wanted, "{text}");
    }
}

#[test]
fn the_fifteenth_register_is_the_program_counter() {
    let moved = [
        // ldr r3, [pc, #8] in both sets.
        decode_a32(0xe59f_3008),
        decode_t32(0x4b02, 0),
    ];
    for instruction in moved {
        let Instruction::LoadStore(access) = instruction else {
            panic!("{instruction:?}")
        };
        assert_eq!(access.base, Base::ProgramCounter);
    }
    let others = [
        // vldr s0, [pc]; lda r3, [pc], which is unpredictable.
        decode_a32(0xed9f_0a00),
        decode_a32(0xe19f_3c9f),
        decode_t32(0xed9f, 0x0a00),
        decode_t32(0xe8df, 0x3faf),
    ];
    for instruction in others {
        let base = Base::ProgramCounter;
        assert_eq!(instruction, Instruction::OtherAccess { base });
    }
}

#[test]
fn each_register_of_an_access_has_one_two_or_four_bytes() {
    for (instruction, text, wanted) in [
        (0xe5d1_3000, "ldrb r3, [r1]", 1),
        (0xe1d1_30b0, "ldrh r3, [r1]", 2),
        (0xe591_3000, "ldr r3, [r1]", 4),
        (0xe1c1_40d0, "ldrd r4, r5, [r1]", 4),
    ] {
        let Instruction::LoadStore(access) = decode_a32(instruction) else {
            panic!("{text}")
        };
        assert_eq!(access.width_bytes(), wanted, "{text}");
    }
}

#[test]
fn an_index_is_shifted_as_the_barrel_does() {
    let (value, carry) = (0x8000_0003_u32, true);
    for (kind, amount, wanted) in [
        (0, 0, value),
        (0, 1, 6),
        (0, 31, 0x8000_0000),
        (1, 1, 0x4000_0001),
        (1, 0, 0),
        (2, 1, 0xc000_0001),
        (2, 0, 0xffff_ffff),
        (3, 1, 0xc000_0001),
        (3, 4, 0x3800_0000),
        (3, 0, 0xc000_0001),
    ] {
        let shift = Shift::decode(kind, amount);
        assert_eq!(shift.apply(value, carry), wanted, "{shift:?}");
    }
    assert_eq!(Shift::RotateWithCarry.apply(value, false), 0x4000_0001);
}

#[test]
fn addresses_have_32_bits_and_so_has_what_is_written_back() {
    let index = Index {
        value: 3,
        carry: false,
    };
    let post = word(Read).post_by(r2(Shift::Left(2), true));
    assert_eq!(post.index(), Some(register(2)));
    assert_eq!(post.address(8, index), 8);
    assert_eq!(post.written_back(8, index), Some(0xffff_fffc));
    let pre = word(Read).pre(8);
    assert_eq!((pre.address(0xffff_fffc, index), pre.index()), (4, None));
    assert_eq!(pre.written_back(0xffff_fffc, index), Some(4));
    assert_eq!(word(Read).written_back(8, index), None);
}

#[test]
fn the_program_counter_is_two_instructions_ahead_and_aligned() {
    assert_eq!(Set::A32.program_counter(0x1004), 0x100c);
    assert_eq!(Set::T32.program_counter(0x1002), 0x1004);
    assert_eq!(Set::T32.program_counter(0xffff_fffe), 0);
}

proptest::proptest! {
    #[test]
    fn every_word_is_something_and_no_load_or_store_is_unpredictable(
        word: u32, base: u32, value: u32, carry: bool,
    ) {
        let halves = ((word >> 16) as u16, word as u16);
        for instruction in [decode_a32(word), decode_t32(halves.0, halves.1)] {
            let Instruction::LoadStore(access) = instruction else { continue };
            let index = Index { value, carry };
            access.address(base, index);
            assert!(access.first.number() < 15 && access.log2_bytes <= 2);
            assert!(access.second.is_none_or(|second| second.number() < 15));
            if access.written_back(base, index).is_some() {
                let Base::Register(written) = access.base else { panic!("{access:?}") };
                let loaded = [Some(access.first), access.second].contains(&Some(written));
                assert!(access.direction == Write || !loaded);
            }
        }
    }
}
