//! A64 instructions for the table's cases.
//!
//! Register contract: x1 is the base, x0 (or v0) moved, x2 (or v2) the second of a pair, x3
//! the index, x5 the operand of an atomic. Arm ARM C4.1 "Loads and Stores", C6.2, C7.2.

use super::{Abilities, Column, Direction, Exclusion};

/// How the address is made, and what else the instruction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The base register alone.
    Base,
    /// The base and a constant, in units of the width.
    Offset,
    /// The base and a constant in bytes.
    Unscaled,
    /// The base and another register.
    Register,
    /// The base register gets the address.
    PreIndexed,
    /// The base register moves after the access.
    PostIndexed,
    /// With the rights of EL0.
    Unprivileged,
    /// Acquires or releases.
    Ordered,
    /// Two registers.
    Pair,
    /// Two registers, and the base gets the address.
    PairPreIndexed,
    /// Two registers, and the base moves afterwards.
    PairPostIndexed,
    /// A vector register.
    Vector,
    /// Two vector registers.
    VectorPair,
    /// A load exclusive.
    Exclusive,
    /// A read-modify-write.
    Atomic,
    /// Relative to the program counter.
    Literal,
}

impl super::Form for Form {
    const ALL: &'static [Self] = &[
        Self::Base,
        Self::Offset,
        Self::Unscaled,
        Self::Register,
        Self::PreIndexed,
        Self::PostIndexed,
        Self::Unprivileged,
        Self::Ordered,
        Self::Pair,
        Self::PairPreIndexed,
        Self::PairPostIndexed,
        Self::Vector,
        Self::VectorPair,
        Self::Exclusive,
        Self::Atomic,
        Self::Literal,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Offset => "offset",
            Self::Unscaled => "unscaled",
            Self::Register => "register",
            Self::PreIndexed => "pre-indexed",
            Self::PostIndexed => "post-indexed",
            Self::Unprivileged => "unprivileged",
            Self::Ordered => "ordered",
            Self::Pair => "pair",
            Self::PairPreIndexed => "pair pre",
            Self::PairPostIndexed => "pair post",
            Self::Vector => "vector",
            Self::VectorPair => "vector pair",
            Self::Exclusive => "exclusive",
            Self::Atomic => "atomic",
            Self::Literal => "literal",
        }
    }

    fn elements(self) -> u64 {
        match self {
            Self::Pair | Self::PairPreIndexed | Self::PairPostIndexed | Self::VectorPair => 2,
            _ => 1,
        }
    }

    fn excluded(self, column: Column, in_page: u64, abilities: Abilities) -> Option<Exclusion> {
        let ordered = matches!(self, Self::Ordered | Self::Exclusive | Self::Atomic);
        if self == Self::Literal {
            return Some(Exclusion::Elsewhere);
        }
        if instruction(self, column).is_none() {
            return Some(Exclusion::NoSuchInstruction);
        }
        match self {
            Self::Atomic if !abilities.atomics => Some(Exclusion::NotOnThisCpu),
            Self::Exclusive if column.writes() => Some(Exclusion::NoAccess),
            _ if ordered && !in_page.is_multiple_of(column.width) => {
                Some(Exclusion::CpuWantsAlignment)
            }
            _ => None,
        }
    }

    fn is_unsupported(self, abilities: Abilities) -> bool {
        let reachable = abilities.vectors || !self.is_vector();
        matches!(self, Self::Exclusive | Self::Atomic) || !reachable
    }
}

impl Form {
    /// Whether it moves vector registers.
    pub const fn is_vector(self) -> bool {
        matches!(self, Self::Vector | Self::VectorPair)
    }
}

/// What the index register has to hold.
pub const INDEX: u64 = 0x40;

/// One instruction, what the base register holds before it, minus the address that is
/// accessed, and by how much the instruction moves it.
#[derive(Debug, Clone, Copy)]
pub struct Instruction {
    /// The instruction.
    pub word: u32,
    /// The base register minus the address.
    pub base: i64,
    /// What is added to the base register.
    pub moves: i64,
}

const BASE: u32 = 1 << 5;
const SECOND: u32 = 2 << 10;
const INDEX_REGISTER: u32 = 3 << 16;
const OPERAND: u32 = 5 << 16;
const VECTOR: u32 = 1 << 26;

/// Bytes by which the indexed forms move.
const PRE: i64 = -16;
const POST: i64 = 8;
const UNSCALED: i64 = -1;
const UNPRIVILEGED: i64 = 2;

/// The instruction of a form, if there is one of that direction and width.
pub fn instruction(form: Form, column: Column) -> Option<Instruction> {
    let width = column.width as i64;
    let single = single(form, column);
    let pair = pair(form, column);
    let plain = |word: u32| Instruction {
        word,
        base: 0,
        moves: 0,
    };
    Some(match form {
        Form::Base => plain(0x3900_0000 | single?),
        Form::Offset => Instruction {
            base: -width,
            ..plain(0x3900_0000 | single? | 1 << 10)
        },
        Form::Unscaled => Instruction {
            base: -UNSCALED,
            ..plain(0x3800_0000 | single? | imm9(UNSCALED))
        },
        Form::Register => Instruction {
            base: -(INDEX as i64),
            ..plain(0x3820_6800 | single? | INDEX_REGISTER)
        },
        Form::PreIndexed => Instruction {
            word: 0x3800_0c00 | single? | imm9(PRE),
            base: -PRE,
            moves: PRE,
        },
        Form::PostIndexed => Instruction {
            word: 0x3800_0400 | single? | imm9(POST),
            base: 0,
            moves: POST,
        },
        Form::Unprivileged => Instruction {
            base: -UNPRIVILEGED,
            ..plain(0x3800_0800 | single? | imm9(UNPRIVILEGED))
        },
        Form::Vector => plain(0x3900_0000 | single?),
        Form::Pair => Instruction {
            base: -2 * width,
            ..plain(0x2900_0000 | pair? | imm7(2))
        },
        Form::PairPreIndexed => Instruction {
            word: 0x2980_0000 | pair? | imm7(-2),
            base: 2 * width,
            moves: -2 * width,
        },
        Form::PairPostIndexed | Form::VectorPair => Instruction {
            word: 0x2880_0000 | pair? | imm7(1),
            base: 0,
            moves: width,
        },
        Form::Ordered | Form::Exclusive | Form::Atomic => plain(ordered(form, column)?),
        Form::Literal => return None,
    })
}

fn imm9(value: i64) -> u32 {
    (value as u32 & 0x1ff) << 12
}

fn imm7(value: i64) -> u32 {
    (value as u32 & 0x7f) << 15
}

/// Size, opc and V of a load or store of one register, and its base.
fn single(form: Form, column: Column) -> Option<u32> {
    let log2 = column.width.trailing_zeros();
    let (size, opc) = match (form.is_vector(), column.direction) {
        (true, Direction::Write) if column.width == 16 => (0, 0b10),
        (true, Direction::Read) if column.width == 16 => (0, 0b11),
        (_, Direction::Write) if column.width <= 8 => (log2, 0b00),
        (_, Direction::Read) if column.width <= 8 => (log2, 0b01),
        (false, Direction::ReadSigned64) => (log2, 0b10),
        (false, Direction::ReadSigned32) => (log2, 0b11),
        _ => return None,
    };
    let vector = if form.is_vector() { VECTOR } else { 0 };
    Some(size << 30 | opc << 22 | vector | BASE)
}

/// Opc, L and V of a pair, its second register and its base.
fn pair(form: Form, column: Column) -> Option<u32> {
    let opc = match (form.is_vector(), column.width, column.direction) {
        (true, 4, Direction::Read | Direction::Write) => 0b00,
        (true, 8, Direction::Read | Direction::Write) => 0b01,
        (true, 16, Direction::Read | Direction::Write) => 0b10,
        (false, 4, Direction::Read | Direction::Write) => 0b00,
        (false, 4, Direction::ReadSigned64) => 0b01,
        (false, 8, Direction::Read | Direction::Write) => 0b10,
        _ => return None,
    };
    let load = u32::from(!column.writes());
    let vector = if form.is_vector() { VECTOR } else { 0 };
    Some(opc << 30 | load << 22 | vector | SECOND | BASE)
}

/// Those that are ordered or exclusive.
fn ordered(form: Form, column: Column) -> Option<u32> {
    if column.width > 8 {
        return None;
    }
    let instruction = match (form, column.direction) {
        // LDAR and STLR.
        (Form::Ordered, Direction::Read) => 0x08df_fc00,
        (Form::Ordered, Direction::Write) => 0x089f_fc00,
        // LDXR and STXR.
        (Form::Exclusive, Direction::Read) => 0x085f_7c00,
        (Form::Exclusive, Direction::Write) => 0x0800_7c00 | OPERAND,
        // LDADD, which does both.
        (Form::Atomic, Direction::Write) => 0x3820_0000 | OPERAND,
        _ => return None,
    };
    Some(column.width.trailing_zeros() << 30 | instruction | BASE)
}
