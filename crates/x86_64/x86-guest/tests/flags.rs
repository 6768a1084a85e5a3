//! Results and flags by the manual, on any machine: `any_encoding` holds the same against a CPU, and
//! only where the tests run on one of this architecture.
//!
//! The numbers are worked out by hand from Intel SDM volume 2, "Operation" and "Flags Affected" of
//! each instruction, and volume 1, table B-1 (conditions). A flag that is left undefined is not
//! looked at.

use x86_guest::{Code, Effect, Mode, Registers, Segment, decode};

const C: u64 = 1 << 0;
const P: u64 = 1 << 2;
const A: u64 = 1 << 4;
const Z: u64 = 1 << 6;
const S: u64 = 1 << 7;
const O: u64 = 1 << 11;
const ALL: u64 = C | P | A | Z | S | O;
/// What is no status flag and stays: bit 1, IF.
const OTHERS: u64 = 0x202;

struct Before {
    rax: u64,
    rcx: u64,
    flags: u64,
}

impl Registers for Before {
    fn gpr(&self, number: u8) -> u64 {
        match number {
            0 => self.rax,
            1 => self.rcx,
            _ => 0,
        }
    }

    fn rflags(&self) -> u64 {
        self.flags | OTHERS
    }

    fn segment_base(&self, _: Segment) -> u64 {
        0
    }
}

fn effect(bytes: &[u8], memory: u64, before: &Before) -> Effect {
    let instruction = decode(&Code::new(bytes), Mode::Long).unwrap();
    instruction.execute(memory, before)
}

/// The instruction's bytes, CL or RAX as `operand`, memory and flags before; memory and flags
/// afterwards.
type Change = (&'static str, &'static [u8], u64, u64, u64, u64, u64);

/// Checks changes of memory, by all flags but `undefined`.
fn assert_changes(undefined: u64, changes: &[Change]) {
    for &(text, bytes, operand, memory, flags, memory_after, flags_after) in changes {
        let before = Before {
            rax: operand,
            rcx: operand,
            flags,
        };
        let effect = effect(bytes, memory, &before);
        let what = format!("{text}: {memory:#x} {operand:#x} {flags:#x}");
        assert_eq!(effect.write, Some(memory_after), "{what}");
        assert_eq!(effect.register, None, "{what}");
        let after = effect.rflags.unwrap_or(flags | OTHERS);
        let defined = !undefined;
        assert_eq!(after & defined, (flags_after | OTHERS) & defined, "{what}");
    }
}

#[test]
fn sums_and_differences_carry_and_overflow() {
    let (add, adc, sub, sbb) = (&[0x00, 0x07], &[0x10, 0x07], &[0x28, 0x07], &[0x18, 0x07]);
    assert_changes(
        0,
        &[
            ("add [rdi], al", add, 0x01, 0x7f, ALL, 0x80, A | S | O),
            ("add [rdi], al", add, 0x01, 0xff, 0, 0x00, C | P | A | Z),
            ("add [rdi], al", add, 0x80, 0x80, 0, 0x00, C | P | Z | O),
            ("add [rdi], al", add, 0x02, 0x01, C, 0x03, P),
            ("adc [rdi], al", adc, 0x00, 0x0f, C, 0x10, A),
            ("adc [rdi], al", adc, 0x00, 0x0f, ALL & !C, 0x0f, P),
            ("adc [rdi], al", adc, 0xff, 0xff, C, 0xff, C | P | A | S),
            ("sub [rdi], al", sub, 0x01, 0x00, 0, 0xff, C | P | A | S),
            ("sub [rdi], al", sub, 0x01, 0x80, C, 0x7f, A | O),
            ("sub [rdi], al", sub, 0xff, 0x7f, 0, 0x80, C | S | O),
            ("sbb [rdi], al", sbb, 0x0f, 0x10, C, 0x00, P | A | Z),
            ("sbb [rdi], al", sbb, 0x0f, 0x10, 0, 0x01, A),
            ("sbb [rdi], al", sbb, 0xff, 0x00, C, 0x00, C | P | A | Z),
        ],
    );
    let wide = &[0x48, 0x01, 0x07];
    let (half, top) = (0x7fff_ffff_ffff_ffff, 1 << 63);
    assert_changes(
        0,
        &[
            ("add [rdi], rax", wide, 1, half, 0, top, P | A | S | O),
            ("add [rdi], rax", wide, top, top, 0, 0, C | P | Z | O),
        ],
    );
}

#[test]
fn logic_clears_carry_and_overflow() {
    let (and, or, xor) = (&[0x20, 0x07], &[0x08, 0x07], &[0x30, 0x07]);
    assert_changes(
        A,
        &[
            ("and [rdi], al", and, 0x8f, 0xf0, ALL, 0x80, S),
            ("or [rdi], al", or, 0x06, 0x03, ALL, 0x07, 0),
            ("xor [rdi], al", xor, 0x55, 0x55, C | O, 0x00, P | Z),
        ],
    );
}

#[test]
fn changes_of_one_operand_leave_what_is_not_theirs() {
    let (inc, dec, neg, not) = (&[0xfe, 0x07], &[0xfe, 0x0f], &[0xf6, 0x1f], &[0xf6, 0x17]);
    assert_changes(
        0,
        &[
            ("inc byte [rdi]", inc, 0, 0xff, C, 0x00, C | P | A | Z),
            ("inc byte [rdi]", inc, 0, 0x7f, 0, 0x80, A | S | O),
            ("dec byte [rdi]", dec, 0, 0x80, C, 0x7f, C | A | O),
            ("dec byte [rdi]", dec, 0, 0x00, 0, 0xff, P | A | S),
            ("neg byte [rdi]", neg, 0, 0x01, 0, 0xff, C | P | A | S),
            ("neg byte [rdi]", neg, 0, 0x80, 0, 0x80, C | S | O),
            ("neg byte [rdi]", neg, 0, 0x00, C, 0x00, P | Z),
            ("not byte [rdi]", not, 0, 0x0f, ALL, 0xf0, ALL),
            ("not byte [rdi]", not, 0, 0x0f, 0, 0xf0, 0),
        ],
    );
}

#[test]
fn shifts_by_one_define_all_but_the_auxiliary_carry() {
    let (shl, shr, sar) = (&[0xd0, 0x27], &[0xd0, 0x2f], &[0xd0, 0x3f]);
    assert_changes(
        A,
        &[
            ("shl byte [rdi], 1", shl, 0, 0x80, 0, 0x00, C | P | Z | O),
            ("shl byte [rdi], 1", shl, 0, 0x40, C, 0x80, S | O),
            ("shl byte [rdi], 1", shl, 0, 0xc0, O, 0x80, C | S),
            ("shr byte [rdi], 1", shr, 0, 0x81, 0, 0x40, C | O),
            ("shr byte [rdi], 1", shr, 0, 0x01, O, 0x00, C | P | Z),
            ("shr byte [rdi], 1", shr, 0, 0x80, C, 0x40, O),
            ("sar byte [rdi], 1", sar, 0, 0x81, O, 0xc0, C | P | S),
            ("sar byte [rdi], 1", sar, 0, 0x7e, C, 0x3f, P),
        ],
    );
}

#[test]
fn a_shift_takes_its_carry_from_the_last_bit_that_went_out() {
    assert_changes(
        A | O,
        &[
            (
                "shl dword [rdi], 4",
                &[0xc1, 0x27, 4],
                0,
                0x1800_0001,
                0,
                0x8000_0010,
                C | S,
            ),
            (
                "shl qword [rdi], 32",
                &[0x48, 0xc1, 0x27, 32],
                0,
                0x1_0000_0001,
                0,
                0x1_0000_0000,
                C | P,
            ),
            (
                "shr word [rdi], cl",
                &[0x66, 0xd3, 0x2f],
                9,
                0x8f00,
                0,
                0x47,
                C | P,
            ),
            (
                "shr qword [rdi], 63",
                &[0x48, 0xc1, 0x2f, 63],
                0,
                0xc000_0000_0000_0000,
                0,
                1,
                C,
            ),
            (
                "sar dword [rdi], 31",
                &[0xc1, 0x3f, 31],
                0,
                0x8000_0000,
                C,
                0xffff_ffff,
                P | S,
            ),
            (
                "sar byte [rdi], 9",
                &[0xc0, 0x3f, 9],
                0,
                0x80,
                0,
                0xff,
                C | P | S,
            ),
        ],
    );
}

#[test]
fn a_count_has_five_bits_or_six_and_none_of_zero_changes_anything() {
    for (text, bytes) in [
        ("shl dword [rdi], 32", &[0xc1, 0x27, 32][..]),
        ("shr byte [rdi], 32", &[0xc0, 0x2f, 32]),
        ("sar qword [rdi], 64", &[0x48, 0xc1, 0x3f, 64]),
        ("rol dword [rdi], 32", &[0xc1, 0x07, 32]),
        ("rcr word [rdi], 0", &[0x66, 0xc1, 0x1f, 0]),
    ] {
        for flags in [0, ALL] {
            let before = Before {
                rax: 0,
                rcx: 0,
                flags,
            };
            let effect = effect(bytes, 0x81, &before);
            assert_eq!(effect.write, Some(0x81), "{text}");
            let after = effect.rflags.unwrap_or(flags | OTHERS);
            assert_eq!(after, flags | OTHERS, "{text}");
        }
    }
    // shl byte [rdi], 0x21; shl qword [rdi], 0x41
    assert_changes(
        A,
        &[
            ("by 33", &[0xc0, 0x27, 0x21], 0, 0x41, 0, 0x82, P | S | O),
            ("by 65", &[0x48, 0xc1, 0x27, 0x41], 0, 0x41, 0, 0x82, P),
        ],
    );
}

#[test]
fn rotations_change_carry_and_overflow_alone() {
    let (rol, ror, rcl, rcr) = (&[0xd0, 0x07], &[0xd0, 0x0f], &[0xd0, 0x17], &[0xd0, 0x1f]);
    let kept = P | A | Z | S;
    assert_changes(
        0,
        &[
            ("rol byte [rdi], 1", rol, 0, 0x81, 0, 0x03, C | O),
            ("rol byte [rdi], 1", rol, 0, 0x40, ALL, 0x80, kept | O),
            ("rol byte [rdi], 1", rol, 0, 0xc0, 0, 0x81, C),
            ("ror byte [rdi], 1", ror, 0, 0x01, 0, 0x80, C | O),
            ("ror byte [rdi], 1", ror, 0, 0x02, ALL, 0x01, kept),
            ("ror byte [rdi], 1", ror, 0, 0x80, 0, 0x40, O),
            ("ror byte [rdi], 1", ror, 0, 0x81, 0, 0xc0, C),
            ("rcl byte [rdi], 1", rcl, 0, 0x80, 0, 0x00, C | O),
            ("rcl byte [rdi], 1", rcl, 0, 0x80, ALL, 0x01, kept | C | O),
            ("rcl byte [rdi], 1", rcl, 0, 0xc0, 0, 0x80, C),
            ("rcr byte [rdi], 1", rcr, 0, 0x01, 0, 0x00, C),
            ("rcr byte [rdi], 1", rcr, 0, 0x00, C, 0x80, O),
            ("rcr byte [rdi], 1", rcr, 0, 0x80, C, 0xc0, 0),
        ],
    );
    assert_changes(
        O,
        &[
            // Once round: the carry is still the bit that went in last.
            ("rol byte [rdi], 8", &[0xc0, 0x07, 8], 0, 0x81, 0, 0x81, C),
            ("ror byte [rdi], 8", &[0xc0, 0x0f, 8], 0, 0x81, 0, 0x81, C),
            (
                "ror dword [rdi], 8",
                &[0xc1, 0x0f, 8],
                0,
                0x1234_5678,
                C,
                0x7812_3456,
                0,
            ),
            (
                "rol qword [rdi], 8",
                &[0x48, 0xc1, 0x07, 8],
                0,
                0x0123_4567_89ab_cdef,
                0,
                0x2345_6789_abcd_ef01,
                C,
            ),
            // Nine bits with the carry.
            ("rcl byte [rdi], 9", &[0xc0, 0x17, 9], 0, 0x5a, C, 0x5a, C),
            ("rcl byte [rdi], 9", &[0xc0, 0x17, 9], 0, 0x5a, 0, 0x5a, 0),
            ("rcr byte [rdi], 2", &[0xc0, 0x1f, 2], 0, 0x03, C, 0xc0, C),
            ("rcr byte [rdi], 9", &[0xc0, 0x1f, 9], 0, 0x5a, C, 0x5a, C),
        ],
    );
}

#[test]
fn a_bit_goes_to_the_carry_and_leaves_zero_alone() {
    let undefined = P | A | S | O;
    assert_changes(
        undefined,
        &[
            ("bts, 5", &[0x0f, 0xba, 0x2f, 5], 0, 0, C | Z, 0x20, Z),
            ("bts, 5", &[0x0f, 0xba, 0x2f, 5], 0, 0x21, 0, 0x21, C),
            ("btr, 5", &[0x0f, 0xba, 0x37, 5], 0, 0x21, 0, 0x01, C),
            ("btc, 5", &[0x0f, 0xba, 0x3f, 5], 0, 0x01, C, 0x21, 0),
            ("btc, 0x25", &[0x0f, 0xba, 0x3f, 0x25], 0, 0x21, 0, 0x01, C),
            (
                "btr qword, 63",
                &[0x48, 0x0f, 0xba, 0x37, 63],
                0,
                1 << 63,
                0,
                0,
                C,
            ),
        ],
    );
    for (memory, carry) in [(0x20, C), (0x1f, 0)] {
        let before = Before {
            rax: 0,
            rcx: 0,
            flags: Z,
        };
        let test = effect(&[0x0f, 0xba, 0x27, 5], memory, &before);
        assert_eq!(test.write, None);
        assert_eq!(test.rflags.unwrap() & (C | Z), carry | Z);
    }
}

/// The instruction's bytes, memory and RAX; registers afterwards, and flags, where all were set.
type Result = (
    &'static str,
    &'static [u8],
    u64,
    u64,
    Option<(u8, u64)>,
    Option<(u8, u64)>,
    u64,
);

fn assert_results(undefined: u64, results: &[Result]) {
    for &(text, bytes, memory, rax, register, second, flags_after) in results {
        for flags in [0, ALL & undefined] {
            let before = Before { rax, rcx: 0, flags };
            let effect = effect(bytes, memory, &before);
            let what = format!("{text}: {memory:#x} {rax:#x}");
            assert_eq!(effect.register, register, "{what}");
            assert_eq!(effect.second_register, second, "{what}");
            assert_eq!(effect.write, None, "{what}");
            let after = effect.rflags.unwrap() & !undefined;
            assert_eq!(after, (flags_after | OTHERS) & !undefined, "{what}");
        }
    }
}

#[test]
fn a_product_says_whether_its_lower_half_is_all_of_it() {
    let (mul, imul) = (&[0xf6, 0x27], &[0xf6, 0x2f]);
    let high = 0xaaaa_0000;
    let rdx = |value| Some((2, value));
    let rax = |value| Some((0, value));
    assert_results(
        P | A | Z | S,
        &[
            (
                "mul byte",
                mul,
                0x02,
                high | 0x80,
                rax(high | 0x100),
                None,
                C | O,
            ),
            (
                "mul byte",
                mul,
                0x0f,
                high | 0x10,
                rax(high | 0xf0),
                None,
                0,
            ),
            (
                "imul byte",
                imul,
                0x02,
                high | 0xff,
                rax(high | 0xfffe),
                None,
                0,
            ),
            (
                "imul byte",
                imul,
                0x0f,
                high | 0x10,
                rax(high | 0xf0),
                None,
                C | O,
            ),
            (
                "imul byte",
                imul,
                0x80,
                high | 0x80,
                rax(high | 0x4000),
                None,
                C | O,
            ),
            (
                "mul dword",
                &[0xf7, 0x27],
                0xffff_ffff,
                0xffff_ffff,
                rax(1),
                rdx(0xffff_fffe),
                C | O,
            ),
            (
                "imul dword",
                &[0xf7, 0x2f],
                0xffff_ffff,
                0xffff_ffff,
                rax(1),
                rdx(0),
                0,
            ),
            (
                "mul qword",
                &[0x48, 0xf7, 0x27],
                1 << 63,
                2,
                rax(0),
                rdx(1),
                C | O,
            ),
            (
                "imul eax, [rdi]",
                &[0x0f, 0xaf, 0x07],
                0x1_0000,
                0x1_0000,
                rax(0),
                None,
                C | O,
            ),
            (
                "imul eax, [rdi]",
                &[0x0f, 0xaf, 0x07],
                0xffff_ffff,
                5,
                rax(0xffff_fffb),
                None,
                0,
            ),
            (
                "imul eax, [rdi], -3",
                &[0x6b, 0x07, 0xfd],
                7,
                0,
                rax(0xffff_ffeb),
                None,
                0,
            ),
        ],
    );
}

#[test]
fn what_is_searched_is_counted_from_its_end() {
    let rax = |value| Some((0, value));
    let (bsf, bsr) = (&[0x0f, 0xbc, 0x07], &[0x0f, 0xbd, 0x07]);
    assert_results(
        C | P | A | S | O,
        &[
            ("bsf", bsf, 0x90, 0, rax(4), None, 0),
            ("bsf", bsf, 0x01, 0, rax(0), None, 0),
            ("bsr", bsr, 0x90, 0, rax(7), None, 0),
            ("bsr", bsr, 0x01, 0, rax(0), None, 0),
            // AMD: the register is unchanged.
            ("bsf", bsf, 0, 5, None, None, Z),
            ("bsr", bsr, 0, 5, None, None, Z),
        ],
    );
    let (tzcnt, lzcnt) = (&[0xf3, 0x0f, 0xbc, 0x07], &[0xf3, 0x0f, 0xbd, 0x07]);
    assert_results(
        P | A | S | O,
        &[
            ("tzcnt", tzcnt, 0x90, 0, rax(4), None, 0),
            ("tzcnt", tzcnt, 0x01, 5, rax(0), None, Z),
            ("tzcnt", tzcnt, 0, 0, rax(32), None, C),
            ("lzcnt", lzcnt, 0x90, 0, rax(24), None, 0),
            ("lzcnt", lzcnt, 0x8000_0000, 5, rax(0), None, Z),
            ("lzcnt", lzcnt, 0, 0, rax(32), None, C),
        ],
    );
    let popcnt = &[0xf3, 0x0f, 0xb8, 0x07];
    for (memory, count, flags) in [(0xf0, 4, 0), (0, 0, Z), (0xffff_ffff, 32, 0)] {
        let before = Before {
            rax: 7,
            rcx: 0,
            flags: ALL,
        };
        let effect = effect(popcnt, memory, &before);
        assert_eq!(effect.register, rax(count), "popcnt: {memory:#x}");
        assert_eq!(effect.rflags, Some(flags | OTHERS), "popcnt: {memory:#x}");
    }
}

#[test]
fn comparing_changes_flags_alone() {
    for (text, bytes, memory, rax, flags) in [
        ("cmp [rdi], al", &[0x38, 0x07], 0x7f, 0xff, C | S | O),
        ("cmp al, [rdi]", &[0x3a, 0x07], 0xff, 0x7f, C | S | O),
        ("cmp al, [rdi]", &[0x3a, 0x07], 0x01, 0x80, A | O),
        ("test [rdi], al", &[0x84, 0x07], 0xf0, 0x8f, S),
    ] {
        let before = Before {
            rax,
            rcx: 0,
            flags: 0,
        };
        let effect = effect(bytes, memory, &before);
        let wanted = Effect {
            write: None,
            register: None,
            rflags: Some(flags | OTHERS),
            second_register: None,
        };
        assert_eq!(effect, wanted, "{text}");
    }
}

#[test]
fn a_result_may_go_to_the_register() {
    for (text, bytes, memory, rax, result, flags) in [
        (
            "add al, [rdi]",
            &[0x02, 0x07],
            0x01,
            0xaa7f,
            0xaa80,
            A | S | O,
        ),
        ("sub al, [rdi]", &[0x2a, 0x07], 0x01, 0xaa80, 0xaa7f, A | O),
        ("sbb eax, [rdi]", &[0x1b, 0x07], 0x0f, 0x0010, 0x0001, A),
    ] {
        let before = Before {
            rax,
            rcx: 0,
            flags: 0,
        };
        let wanted = Effect {
            write: None,
            register: Some((0, result)),
            rflags: Some(flags | OTHERS),
            second_register: None,
        };
        assert_eq!(effect(bytes, memory, &before), wanted, "{text}");
    }
    // xchg [rdi], cl: no flags.
    let before = Before {
        rax: 0,
        rcx: 0x1122,
        flags: ALL,
    };
    let wanted = Effect {
        write: Some(0x22),
        register: Some((1, 0x1133)),
        rflags: None,
        second_register: None,
    };
    assert_eq!(effect(&[0x86, 0x0f], 0x33, &before), wanted);
}

#[test]
fn an_exchange_leaves_what_was_in_memory_in_the_register() {
    // xadd [rdi], cl; cmpxchg [rdi], cl
    for (bytes, memory, rax, rcx, write, register, flags) in [
        (&[0x0f, 0xc0, 0x0f], 5, 0, 3, 8, Some((1, 5)), 0),
        (&[0x0f, 0xb0, 0x0f], 5, 5, 9, 9, None, P | Z),
        (&[0x0f, 0xb0, 0x0f], 5, 4, 9, 5, Some((0, 5)), C | P | A | S),
    ] {
        let before = Before {
            rax,
            rcx,
            flags: ALL,
        };
        let effect = effect(bytes, memory, &before);
        assert_eq!(effect.write, Some(write), "{bytes:02x?}");
        assert_eq!(effect.register, register, "{bytes:02x?}");
        assert_eq!(effect.rflags, Some(flags | OTHERS), "{bytes:02x?}");
    }
}

#[test]
fn conditions_are_those_of_the_manual() {
    // O NO B NB E NE BE NBE S NS P NP L NL LE NLE, from the lowest bit on.
    for (flags, wanted) in [
        (0, 0b1010_1010_1010_1010),
        (O, 0b0101_1010_1010_1001),
        (C, 0b1010_1010_0110_0110),
        (Z, 0b0110_1010_0101_1010),
        (S, 0b0101_1001_1010_1010),
        (P, 0b1010_0110_1010_1010),
        (S | O, 0b1010_1001_1010_1001),
        (Z | S | O, 0b0110_1001_0101_1001),
        (A, 0b1010_1010_1010_1010),
    ] {
        for number in 0..16_u8 {
            let holds = u64::from(wanted >> number & 1 != 0);
            let before = Before {
                rax: 0xffff_ffff_1111_1111,
                rcx: 0,
                flags,
            };
            // setcc [rdi]; cmovcc eax, [rdi], which clears the upper half in any case.
            let set = effect(&[0x0f, 0x90 | number, 0x07], 0, &before);
            assert_eq!(set.write, Some(holds), "{flags:#x} {number}");
            let moved = effect(&[0x0f, 0x40 | number, 0x07], 0x2222_2222, &before);
            let value = if holds == 1 { 0x2222_2222 } else { 0x1111_1111 };
            assert_eq!(moved.register, Some((0, value)), "{flags:#x} {number}");
        }
    }
}

#[test]
fn what_is_moved_is_extended_swapped_or_cut() {
    let high = 0xaaaa_bbbb_cccc_eedd_u64;
    for (text, bytes, memory, register) in [
        (
            "mov al, [rdi]",
            &[0x8a, 0x07][..],
            0x11,
            0xaaaa_bbbb_cccc_ee11,
        ),
        ("mov ah, [rdi]", &[0x8a, 0x27], 0x11, 0xaaaa_bbbb_cccc_11dd),
        (
            "mov ax, [rdi]",
            &[0x66, 0x8b, 0x07],
            0x1122,
            0xaaaa_bbbb_cccc_1122,
        ),
        ("mov eax, [rdi]", &[0x8b, 0x07], 0x1122_3344, 0x1122_3344),
        ("movsx eax, byte", &[0x0f, 0xbe, 0x07], 0x80, 0xffff_ff80),
        (
            "movsx rax, word",
            &[0x48, 0x0f, 0xbf, 0x07],
            0x8000,
            0xffff_ffff_ffff_8000,
        ),
        ("movzx eax, byte", &[0x0f, 0xb6, 0x07], 0x80, 0x80),
        (
            "movsxd rax",
            &[0x48, 0x63, 0x07],
            0x8000_0000,
            0xffff_ffff_8000_0000,
        ),
        (
            "movbe eax",
            &[0x0f, 0x38, 0xf0, 0x07],
            0x1122_3344,
            0x4433_2211,
        ),
        (
            "movbe ax",
            &[0x66, 0x0f, 0x38, 0xf0, 0x07],
            0x1122,
            0xaaaa_bbbb_cccc_2211,
        ),
    ] {
        let before = Before {
            rax: high,
            rcx: 0,
            flags: ALL,
        };
        let effect = effect(bytes, memory, &before);
        assert_eq!(effect.register, Some((0, register)), "{text}");
        assert_eq!((effect.write, effect.rflags), (None, None), "{text}");
    }
    for (text, bytes, write) in [
        ("mov [rdi], al", &[0x88, 0x07][..], 0xdd),
        ("mov [rdi], ah", &[0x88, 0x27], 0xee),
        ("mov [rdi], eax", &[0x89, 0x07], 0xcccc_eedd),
        (
            "movbe [rdi], rax",
            &[0x48, 0x0f, 0x38, 0xf1, 0x07],
            0xddee_cccc_bbbb_aaaa,
        ),
        (
            "mov qword [rdi], -2",
            &[0x48, 0xc7, 0x07, 0xfe, 0xff, 0xff, 0xff],
            u64::MAX - 1,
        ),
        (
            "mov word [rdi], -2",
            &[0x66, 0xc7, 0x07, 0xfe, 0xff],
            0xfffe,
        ),
    ] {
        let before = Before {
            rax: high,
            rcx: 0,
            flags: ALL,
        };
        let effect = effect(bytes, 0, &before);
        assert_eq!(effect.write, Some(write), "{text}");
        assert_eq!((effect.register, effect.rflags), (None, None), "{text}");
    }
}
