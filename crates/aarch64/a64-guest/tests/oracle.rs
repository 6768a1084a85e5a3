//! The decoder against a maintained disassembler, `yaxpeax-arm`.
//!
//! Enumerates the fields that choose a form, with the edges of the others, and adds words
//! from a generator with a fixed seed. Both must agree on what is a load or store and on every
//! part of it; the words on which we differ by intention are in [`EXCEPTIONS`], each with its
//! reason.

use a64_guest::load_store::{
    Base, Extend, Indexing, Instruction, LoadStore, Offset, Register, decode,
};
use guest_access::{Direction, Extension, Gpr};
use yaxpeax_arch::{Decoder, U8Reader};
use yaxpeax_arm::armv8::a64::{
    InstDecoder, Instruction as Listed, Opcode, Operand, SIMDSizeCode, ShiftStyle, SizeCode,
};

/// A set of words that the disassembler takes for loads and stores and we do not.
struct Exception {
    /// Bits that are compared with `value`.
    mask: u32,
    value: u32,
    /// Bits of which at least one is clear; 0 if that does not matter.
    not_all_ones: u32,
}

/// The words on which we differ by intention.
const EXCEPTIONS: &[Exception] = &[
    // LDAR, LDLAR, STLR, STLLR whose Rs and Rt2 are not the ones that they should be: the
    // disassembler ignores them; the manual allows a CPU to do anything, so we leave it to
    // the policy.
    Exception {
        mask: 0x3fa0_0000,
        value: 0x0880_0000,
        not_all_ones: 0x001f_7c00,
    },
    // LDAPR whose Rs is not ones: likewise.
    Exception {
        mask: 0x3fe0_fc00,
        value: 0x38a0_c000,
        not_all_ones: 0x001f_0000,
    },
    // Register offsets of vector registers with an extension from bytes or halfwords, which
    // is not allocated (C4.1, "Load/store register (register offset)": option<1> is 0).
    Exception {
        mask: 0x3f20_4c00,
        value: 0x3c20_0800,
        not_all_ones: 0,
    },
];

impl Exception {
    fn holds(&self, word: u32) -> bool {
        let differs = self.not_all_ones == 0 || word & self.not_all_ones != self.not_all_ones;
        word & self.mask == self.value && differs
    }
}

/// What a mnemonic says by itself.
enum Mnemonic {
    /// A load or store whose width and extension are these; `None` is the register's width.
    Single(Direction, Option<u8>, Signed),
    Pair(Direction, Signed),
    /// Anything else.
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Signed {
    Yes,
    No,
}

fn mnemonic(opcode: Opcode) -> Mnemonic {
    use Direction::{Read, Write};
    use Mnemonic::{Other, Pair, Single};
    match opcode {
        Opcode::LDR | Opcode::LDUR | Opcode::LDTR => Single(Read, None, Signed::No),
        Opcode::LDAR | Opcode::LDLAR | Opcode::LDAPR | Opcode::LDAPUR => {
            Single(Read, None, Signed::No)
        }
        Opcode::LDRB | Opcode::LDURB | Opcode::LDTRB => Single(Read, Some(0), Signed::No),
        Opcode::LDARB | Opcode::LDLARB | Opcode::LDAPRB | Opcode::LDAPURB => {
            Single(Read, Some(0), Signed::No)
        }
        Opcode::LDRH | Opcode::LDURH | Opcode::LDTRH => Single(Read, Some(1), Signed::No),
        Opcode::LDARH | Opcode::LDLARH | Opcode::LDAPRH | Opcode::LDAPURH => {
            Single(Read, Some(1), Signed::No)
        }
        Opcode::LDRSB | Opcode::LDURSB | Opcode::LDTRSB | Opcode::LDAPURSB => {
            Single(Read, Some(0), Signed::Yes)
        }
        Opcode::LDRSH | Opcode::LDURSH | Opcode::LDTRSH | Opcode::LDAPURSH => {
            Single(Read, Some(1), Signed::Yes)
        }
        Opcode::LDRSW | Opcode::LDURSW | Opcode::LDTRSW | Opcode::LDAPURSW => {
            Single(Read, Some(2), Signed::Yes)
        }
        Opcode::STR | Opcode::STUR | Opcode::STTR => Single(Write, None, Signed::No),
        Opcode::STLR | Opcode::STLLR | Opcode::STLUR => Single(Write, None, Signed::No),
        Opcode::STRB | Opcode::STURB | Opcode::STTRB => Single(Write, Some(0), Signed::No),
        Opcode::STLRB | Opcode::STLLRB | Opcode::STLURB => Single(Write, Some(0), Signed::No),
        Opcode::STRH | Opcode::STURH | Opcode::STTRH => Single(Write, Some(1), Signed::No),
        Opcode::STLRH | Opcode::STLLRH | Opcode::STLURH => Single(Write, Some(1), Signed::No),
        Opcode::LDP | Opcode::LDNP => Pair(Read, Signed::No),
        Opcode::LDPSW => Pair(Read, Signed::Yes),
        Opcode::STP | Opcode::STNP => Pair(Write, Signed::No),
        _ => Other,
    }
}

/// A target operand: the register, its width, and whether it is an X register.
fn target(operand: Operand) -> Option<(Register, u8, bool)> {
    match operand {
        Operand::Register(size, number) | Operand::RegisterOrSP(size, number) => {
            let register = Register::General(Gpr::from_number(number as u8));
            let is_x = size == SizeCode::X;
            Some((register, if is_x { 3 } else { 2 }, is_x))
        }
        Operand::SIMDRegister(size, number) => {
            let log2 = match size {
                SIMDSizeCode::B => 0,
                SIMDSizeCode::H => 1,
                SIMDSizeCode::S => 2,
                SIMDSizeCode::D => 3,
                SIMDSizeCode::Q => 4,
            };
            Some((Register::Vector(number as u8), log2, false))
        }
        _ => None,
    }
}

fn base(number: u16) -> Base {
    match number {
        31 => Base::StackPointer,
        _ => Base::General(Gpr::from_number(number as u8)),
    }
}

fn addressing(operand: Operand) -> Option<(Base, Offset, Indexing)> {
    match operand {
        Operand::RegPreIndex(number, offset, write_back) => {
            let indexing = match write_back {
                true => Indexing::Pre,
                false => Indexing::Offset,
            };
            Some((base(number), Offset::Immediate(offset.into()), indexing))
        }
        Operand::RegPostIndex(number, offset) => Some((
            base(number),
            Offset::Immediate(offset.into()),
            Indexing::Post,
        )),
        Operand::RegRegOffset(number, index, _, style, shift) => {
            let extend = match style {
                ShiftStyle::UXTW => Extend::UnsignedWord,
                ShiftStyle::SXTW => Extend::SignedWord,
                ShiftStyle::LSL | ShiftStyle::UXTX | ShiftStyle::SXTX => Extend::Doubleword,
                _ => return None,
            };
            let index = Gpr::from_number(index as u8);
            let offset = Offset::Register {
                index,
                extend,
                shift,
            };
            Some((base(number), offset, Indexing::Offset))
        }
        Operand::PCOffset(offset) => Some((
            Base::ProgramCounter,
            Offset::Immediate(offset),
            Indexing::Offset,
        )),
        _ => None,
    }
}

/// The disassembler's answer in our terms: `None` if it is no load or store.
fn listed(word: u32) -> Option<LoadStore> {
    let bytes = word.to_le_bytes();
    let mut listed = Listed::default();
    InstDecoder::default()
        .decode_into(&mut listed, &mut U8Reader::new(&bytes))
        .ok()?;
    let [first, second, third, _] = listed.operands;
    let (direction, log2, signed, second, address) = match mnemonic(listed.opcode) {
        Mnemonic::Single(direction, log2, signed) => (direction, log2, signed, None, second),
        Mnemonic::Pair(direction, signed) => {
            let log2 = (signed == Signed::Yes).then_some(2);
            (direction, log2, signed, Some(second), third)
        }
        Mnemonic::Other => return None,
    };
    let (first, register_log2, is_x) =
        target(first).unwrap_or_else(|| panic!("{word:#010x} `{listed}`: no target"));
    let (base, offset, indexing) = match address {
        // Without an address operand: the base alone.
        Operand::Nothing => panic!("{word:#010x} `{listed}`: no address"),
        address => {
            addressing(address).unwrap_or_else(|| panic!("{word:#010x} `{listed}`: {address:?}"))
        }
    };
    let signed = signed == Signed::Yes;
    Some(LoadStore {
        direction,
        log2_bytes: log2.unwrap_or(register_log2),
        first,
        second: second.and_then(target).map(|(register, ..)| register),
        extension: Extension {
            signed,
            // How wide a zero-extended load's target is makes no difference.
            to_64_bits: !signed || is_x,
        },
        base,
        offset,
        indexing,
        unprivileged: matches!(
            listed.opcode,
            Opcode::LDTR
                | Opcode::LDTRB
                | Opcode::LDTRH
                | Opcode::LDTRSB
                | Opcode::LDTRSH
                | Opcode::LDTRSW
                | Opcode::STTR
                | Opcode::STTRB
                | Opcode::STTRH
        ),
    })
}

/// CONSTRAINED UNPREDICTABLE by the manual, judged on the disassembler's answer.
fn is_unpredictable(access: &LoadStore) -> bool {
    let general_base = match access.base {
        Base::General(base) => Some(Register::General(base)),
        _ => None,
    };
    let writes_back = access.indexing != Indexing::Offset;
    let overlap = general_base == Some(access.first) || general_base == access.second;
    let loads_twice = access.direction == Direction::Read && access.second == Some(access.first);
    writes_back && general_base.is_some() && overlap || loads_twice
}

fn check(word: u32) {
    let ours = match decode(word) {
        Instruction::LoadStore(access) => Some(access),
        Instruction::OtherAccess { .. } | Instruction::NoAccess => None,
    };
    if EXCEPTIONS.iter().any(|exception| exception.holds(word)) {
        assert_eq!(ours, None, "{word:#010x}");
        return;
    }
    let theirs = listed(word).filter(|access| !is_unpredictable(access));
    if ours != theirs {
        panic!("{word:#010x}\n  ours   {ours:?}\n  theirs {theirs:?}");
    }
}

/// SplitMix64: the same words in every run.
struct Words(u64);

impl Iterator for Words {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some((mixed ^ mixed >> 31) as u32)
    }
}

#[test]
fn we_agree_on_every_form_with_the_edges_of_its_fields() {
    // Bits 31:21 and 15:10 choose the form; Rm, Rn and Rt are registers or parts of a number.
    let registers = [0, 1, 30, 31];
    for high in 0..1 << 11 {
        // Bit 27 set and bit 25 clear: the loads and stores.
        if high & 1 << (27 - 21) == 0 || high & 1 << (25 - 21) != 0 {
            continue;
        }
        for low in 0..1 << 6 {
            for rm in registers {
                for rn in registers {
                    for rt in registers {
                        check(high << 21 | rm << 16 | low << 10 | rn << 5 | rt);
                    }
                }
            }
        }
    }
}

#[test]
fn we_agree_on_a_million_loads_and_stores() {
    for word in Words(1).take(1_000_000) {
        check(word & !(1 << 25) | 1 << 27);
    }
}

#[test]
fn we_agree_on_a_million_words() {
    Words(2).take(1_000_000).for_each(check);
}
