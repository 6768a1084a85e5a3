//! The loads and stores of AArch32, which a guest may run at EL0: decoded from A32 and T32.
//!
//! Called by the VMM component when the syndrome does not describe an access. [`decode`] tells
//! the same three things apart as [`crate::load_store`]. One or two registers are carried out:
//! LDM and STM too, where the list is no longer. Of others only the base is known: longer lists,
//! exclusives, vector registers, and whatever loads or stores the program counter.
//!
//! Invariant: r0 to r14 of the decoded are x0 to x14, where AArch64 sees an EL0's registers, and
//! addresses and registers have 32 bits.
//!
//! ```text
//!   bytes at PC ─┬─ A32 ─► a32 ─┐
//!                └─ T32 ─► t32 ─┴─► LoadStore: base + at = address
//!                                              base + moves = base afterwards
//! ```
//!
//! Specification: Arm ARM (DDI 0487) F3 (T32), F4 (A32), F5.1 (instructions), D1.20.1 (registers).

mod a32;
mod t32;

use guest_access::{Direction, Gpr};

/// What the bytes at an AArch32 guest's PC are, to somebody who has to carry out a load or store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instruction {
    /// A load or store of one or two registers.
    LoadStore(LoadStore),
    /// It touches memory in another way or unpredictably.
    OtherAccess {
        /// The register that holds the address, or whose value is near it.
        base: Base,
    },
    /// It touches no memory, or does not exist. Prefetches belong here: they never fault.
    NoAccess,
}

/// A load or store of one or two registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadStore {
    /// Load or store.
    pub direction: Direction,
    /// Log2 of the bytes that each register moves: 0 to 2.
    pub log2_bytes: u8,
    /// A load extends the sign; otherwise zeroes. Always to 32 bits.
    pub signed: bool,
    /// The register moved from or to.
    pub first: Gpr,
    /// The register whose bytes lie behind the first one's.
    pub second: Option<Gpr>,
    /// What the address is relative to.
    pub base: Base,
    /// What is added to the base for the address.
    pub at: Offset,
    /// What is added to the base register afterwards, if it changes.
    pub moves: Option<Offset>,
}

/// What an address is relative to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// r0 to r14.
    Register(Gpr),
    /// The program counter as an instruction reads it, aligned to a word.
    ProgramCounter,
}

/// What is added to a base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offset {
    /// A constant.
    Immediate(i32),
    /// A register, shifted.
    Register {
        /// r0 to r14.
        index: Gpr,
        /// How it is shifted.
        shift: Shift,
        /// It is subtracted.
        subtract: bool,
    },
}

/// How an index register is shifted (F2.4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shift {
    /// To the left, by 0 to 31.
    Left(u8),
    /// To the right, by 1 to 32.
    Right(u8),
    /// To the right with the sign, by 1 to 32.
    SignedRight(u8),
    /// Round to the right, by 1 to 31.
    Rotate(u8),
    /// By one to the right, the carry flag coming in.
    RotateWithCarry,
}

impl Shift {
    /// Type and amount as instructions encode them (DecodeImmShift).
    const fn decode(kind: u32, amount: u32) -> Self {
        let or_32 = if amount == 0 { 32 } else { amount as u8 };
        match kind & 3 {
            0 => Self::Left(amount as u8),
            1 => Self::Right(or_32),
            2 => Self::SignedRight(or_32),
            _ if amount == 0 => Self::RotateWithCarry,
            _ => Self::Rotate(amount as u8),
        }
    }

    fn apply(self, value: u32, carry: bool) -> u32 {
        match self {
            Self::Left(by) => value.checked_shl(by.into()).unwrap_or(0),
            Self::Right(by) => value.checked_shr(by.into()).unwrap_or(0),
            Self::SignedRight(by) => (value as i32 >> by.min(31)) as u32,
            Self::Rotate(by) => value.rotate_right(by.into()),
            Self::RotateWithCarry => u32::from(carry) << 31 | value >> 1,
        }
    }
}

/// The value of the index register, if an offset has one, and the carry flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Index {
    /// The register.
    pub value: u32,
    /// PSTATE.C.
    pub carry: bool,
}

impl Offset {
    fn value(self, index: Index) -> u32 {
        match self {
            Self::Immediate(offset) => offset as u32,
            Self::Register {
                shift, subtract, ..
            } => {
                let shifted = shift.apply(index.value, index.carry);
                if subtract {
                    shifted.wrapping_neg()
                } else {
                    shifted
                }
            }
        }
    }
}

impl LoadStore {
    /// Bytes that each register moves: 1, 2 or 4.
    pub const fn width_bytes(&self) -> u64 {
        1 << self.log2_bytes
    }

    /// The index register, if one offset is in a register. Both never are in two.
    pub const fn index(&self) -> Option<Gpr> {
        match (self.at, self.moves) {
            (Offset::Register { index, .. }, _) | (_, Some(Offset::Register { index, .. })) => {
                Some(index)
            }
            _ => None,
        }
    }

    /// The address of the first register's bytes.
    pub fn address(&self, base: u32, index: Index) -> u32 {
        base.wrapping_add(self.at.value(index))
    }

    /// What the base register holds afterwards, if the instruction changes it.
    pub fn written_back(&self, base: u32, index: Index) -> Option<u32> {
        Some(base.wrapping_add(self.moves?.value(index)))
    }
}

/// The instruction set that an AArch32 guest executes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// Four bytes each.
    A32,
    /// Two or four bytes each.
    T32,
}

impl Set {
    /// What an instruction at `pc` reads as the program counter, aligned to a word.
    pub const fn program_counter(self, pc: u32) -> u32 {
        let ahead = match self {
            Self::A32 => 8,
            Self::T32 => 4,
        };
        pc.wrapping_add(ahead) & !3
    }
}

/// Whether a T32 instruction has a second halfword, by its first.
pub const fn has_second_half(first: u16) -> bool {
    first >> 11 >= 0b1_1101
}

/// Decodes an A32 instruction, as the little-endian word that it is in memory.
pub fn decode_a32(word: u32) -> Instruction {
    a32::decode(word)
}

/// Decodes a T32 instruction. `second` is ignored if it has none.
pub fn decode_t32(first: u16, second: u16) -> Instruction {
    if has_second_half(first) {
        t32::decode_32(u32::from(first) << 16 | u32::from(second))
    } else {
        t32::decode_16(first)
    }
}

/// An instruction and its fields, by the bit numbers of the manual.
#[derive(Clone, Copy)]
struct Word(u32);

impl Word {
    const fn bits(self, high: u32, low: u32) -> u32 {
        self.0 >> low & (u32::MAX >> (31 - (high - low)))
    }

    const fn bit(self, number: u32) -> bool {
        self.bits(number, number) != 0
    }

    const fn direction(self, load: u32) -> Direction {
        if self.bit(load) {
            Direction::Read
        } else {
            Direction::Write
        }
    }

    /// A constant that is added if bit `up` is set, and else subtracted.
    const fn signed(self, value: u32, up: u32) -> Offset {
        let value = value as i32;
        Offset::Immediate(if self.bit(up) { value } else { -value })
    }
}

/// Number of the program counter.
const PC: u32 = 15;

const fn register(number: u32) -> Gpr {
    Gpr::from_number(number as u8)
}

const fn base(number: u32) -> Base {
    match number {
        PC => Base::ProgramCounter,
        _ => Base::Register(register(number)),
    }
}

const fn other(number: u32) -> Instruction {
    Instruction::OtherAccess { base: base(number) }
}

/// When an offset is added.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Indexing {
    Offset,
    Pre,
    Post,
}

impl Indexing {
    /// P and W. With P = 0, W says that the access is unprivileged, as all of EL0's are.
    const fn decode(p: bool, w: bool) -> Self {
        match (p, w) {
            (false, _) => Self::Post,
            (true, false) => Self::Offset,
            (true, true) => Self::Pre,
        }
    }
}

/// A load or store of one register or of two that are not a list.
struct Access {
    direction: Direction,
    log2_bytes: u8,
    signed: bool,
    /// Rt, Rt2 and Rn.
    first: u32,
    second: Option<u32>,
    base: u32,
    offset: Offset,
    indexing: Indexing,
}

impl Access {
    /// It as an instruction, unless it is CONSTRAINED UNPREDICTABLE or moves the program counter.
    fn instruction(self) -> Instruction {
        let written_back = self.indexing != Indexing::Offset;
        let moved = [Some(self.first), self.second];
        let index = match self.offset {
            Offset::Register { index, .. } => Some(index.number() as u32),
            Offset::Immediate(_) => None,
        };
        let pair_to_its_index = self.second.is_some() && moved.contains(&index) && index.is_some();
        let unpredictable = moved.contains(&Some(PC))
            || index == Some(PC)
            || written_back && (self.base == PC || moved.contains(&Some(self.base)))
            || self.second == Some(self.first) && self.direction == Direction::Read
            || pair_to_its_index && self.direction == Direction::Read;
        if unpredictable {
            return other(self.base);
        }
        let none = Offset::Immediate(0);
        let (at, moves) = match self.indexing {
            Indexing::Offset => (self.offset, None),
            Indexing::Pre => (self.offset, Some(self.offset)),
            Indexing::Post => (none, Some(self.offset)),
        };
        Instruction::LoadStore(LoadStore {
            direction: self.direction,
            log2_bytes: self.log2_bytes,
            signed: self.signed,
            first: register(self.first),
            second: self.second.map(register),
            base: base(self.base),
            at,
            moves,
        })
    }
}

/// A load or store of a list of registers, bit n being rn.
struct List {
    direction: Direction,
    base: u32,
    registers: u32,
    /// The addresses go up from the base; otherwise down.
    up: bool,
    /// The base itself is not one of them.
    before: bool,
    write_back: bool,
}

impl List {
    /// It as an instruction, if it has one or two registers, neither of them the program counter,
    /// and is predictable.
    fn instruction(self) -> Instruction {
        let Self { registers, up, .. } = self;
        let count = registers.count_ones();
        let lowest = registers.trailing_zeros();
        let highest = 31 - registers.leading_zeros().min(31);
        let in_list = registers >> self.base & 1 != 0;
        // A store of the base is predictable if it is the first, before the base changes.
        let of_the_base = self.write_back
            && in_list
            && (self.direction == Direction::Read || self.base != lowest);
        if !matches!(count, 1 | 2) || registers >> PC != 0 || self.base == PC || of_the_base {
            return other(self.base);
        }
        let bytes = 4 * count as i32;
        let (start, moves) = match up {
            true => (if self.before { 4 } else { 0 }, bytes),
            false => (if self.before { -bytes } else { 4 - bytes }, -bytes),
        };
        Instruction::LoadStore(LoadStore {
            direction: self.direction,
            log2_bytes: 2,
            signed: false,
            first: register(lowest),
            second: (count == 2).then(|| register(highest)),
            base: base(self.base),
            at: Offset::Immediate(start),
            moves: self.write_back.then_some(Offset::Immediate(moves)),
        })
    }
}

#[cfg(test)]
mod tests;
