//! The loads and stores of A64, decoded from their four bytes.
//!
//! Called by the VMM component when the syndrome does not describe an access. [`decode`]
//! tells three things apart: a [`LoadStore`], which moves one or two registers and can be
//! carried out element by element; another instruction that touches memory (exclusives,
//! atomics, structures of vectors, cache maintenance, and what the architecture leaves
//! unpredictable), of which only the base register is known; and everything else.
//!
//! ```text
//!  31 30 29  27 26 25 24 23 22 21           Arm ARM C4.1, "Loads and Stores"
//! ┌─────┬──────┬──┬──┬──┬─────┬──
//! │size │ 001  │ 0│ 0│ 0│           exclusives, CAS; bit 23 and not 21: LDAR, STLR
//! │ 0 Q │ 001  │ 1│ 0│               structures of vectors
//! │ opc │ 011  │ V│ 0│ 0│           literal
//! │size │ 011  │ 0│ 0│ 1│           LDAPUR, STLUR; memory tags, memory copy
//! │ opc │ 101  │ V│ 0│ mode│ L      pairs
//! │size │ 111  │ V│ 0│ 0│ opc │ 0   unscaled, post-indexed, unprivileged, pre-indexed
//! │size │ 111  │ V│ 0│ 0│ opc │ 1   atomics, register offset, authenticated
//! │size │ 111  │ V│ 0│ 1│ opc │     unsigned offset
//! └─────┴──────┴──┴──┴──┴─────┴──
//! ```
//!
//! Specification: Arm ARM (DDI 0487) C4.1, C6.2, C7.2.

use guest_access::{Direction, Extension, Gpr};

/// What four bytes are, to somebody who has to carry out a load or store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instruction {
    /// A load or store of registers.
    LoadStore(LoadStore),
    /// It touches memory in another way or unpredictably, or it is an encoding among the
    /// loads and stores that is not allocated.
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
    /// Log2 of the bytes that each register moves: 0 to 4.
    pub log2_bytes: u8,
    /// The register moved from or to.
    pub first: Register,
    /// Of a pair: the register whose bytes lie behind the first one's.
    pub second: Option<Register>,
    /// How a load fills a general-purpose register.
    pub extension: Extension,
    /// Where the address comes from.
    pub base: Base,
    /// What is added to it.
    pub offset: Offset,
    /// When that is added.
    pub indexing: Indexing,
    /// LDTR, STTR: permissions are those of EL0.
    pub unprivileged: bool,
}

/// A register that a load or store moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Register {
    /// X or W; number 31 is the zero register.
    General(Gpr),
    /// B, H, S, D or Q: v0 to v31. A load clears the bits above its width.
    Vector(u8),
}

/// What an address is relative to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// X0 to X30.
    General(Gpr),
    /// The stack pointer of the current exception level.
    StackPointer,
    /// The instruction's own address.
    ProgramCounter,
}

/// What is added to the base, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offset {
    /// A constant.
    Immediate(i64),
    /// A register, extended and then shifted.
    Register {
        /// The register; number 31 is zero.
        index: Gpr,
        /// How it becomes 64 bits.
        extend: Extend,
        /// Bits by which it is shifted to the left: 0 to 4.
        shift: u8,
    },
}

/// How an index register becomes 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extend {
    /// UXTW: the lower half, zero-extended.
    UnsignedWord,
    /// SXTW: the lower half, sign-extended.
    SignedWord,
    /// LSL and SXTX: all 64 bits.
    Doubleword,
}

/// When the offset is added to the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Indexing {
    /// For the address alone.
    Offset,
    /// For the address, and the base register gets the sum.
    Pre,
    /// After the access: the address is the base.
    Post,
}

impl LoadStore {
    /// Bytes that each register moves: 1, 2, 4, 8 or 16.
    pub const fn width_bytes(&self) -> u64 {
        1 << self.log2_bytes
    }

    /// The index register, if the offset is one.
    pub const fn index(&self) -> Option<Gpr> {
        match self.offset {
            Offset::Immediate(_) => None,
            Offset::Register { index, .. } => Some(index),
        }
    }

    /// The address of the first register's bytes. `base` is the value of [`Self::base`] and
    /// `index` that of [`Self::index`], ignored if there is none.
    pub fn address(&self, base: u64, index: u64) -> u64 {
        match self.indexing {
            Indexing::Post => base,
            Indexing::Offset | Indexing::Pre => self.sum(base, index),
        }
    }

    /// What the base register holds afterwards, if the instruction changes it.
    pub fn written_back(&self, base: u64) -> Option<u64> {
        match self.indexing {
            Indexing::Offset => None,
            Indexing::Pre | Indexing::Post => Some(self.sum(base, 0)),
        }
    }

    fn sum(&self, base: u64, index: u64) -> u64 {
        let offset = match self.offset {
            Offset::Immediate(offset) => offset as u64,
            Offset::Register { extend, shift, .. } => {
                let index = match extend {
                    Extend::UnsignedWord => u64::from(index as u32),
                    Extend::SignedWord => index as i32 as u64,
                    Extend::Doubleword => index,
                };
                index << (shift & 63)
            }
        };
        base.wrapping_add(offset)
    }
}

/// Decodes one instruction, as the little-endian word that it is in memory.
pub fn decode(word: u32) -> Instruction {
    let word = Word(word);
    let decoded = match (word.bits(29, 27), word.bit(26), word.bits(25, 24)) {
        (0b001, false, 0b00) => ordered(word),
        (0b001, true, 0b00 | 0b01) if !word.bit(31) => Err(Not::CarriedOut),
        (0b011, _, 0b00) => return literal(word),
        (0b011, false, 0b01) => ordered_unscaled(word),
        (0b101, _, 0b00 | 0b01) => pair(word),
        (0b111, _, 0b01) => unsigned_offset(word),
        (0b111, _, 0b00) if !word.bit(21) => unscaled_and_indexed(word),
        (0b111, _, 0b00) => match word.bits(11, 10) {
            0b10 => register_offset(word),
            0b00 => load_acquire_pc(word),
            _ => Err(Not::CarriedOut),
        },
        _ => return system(word),
    };
    match decoded {
        Ok(access) => Instruction::LoadStore(access),
        Err(Not::Access) => Instruction::NoAccess,
        Err(Not::CarriedOut) => Instruction::OtherAccess { base: word.base() },
    }
}

/// What an encoding among the loads and stores is not.
enum Not {
    /// A prefetch: no access.
    Access,
    /// Another kind of access, unpredictable, or not allocated.
    CarriedOut,
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

    /// A field as a two's complement number.
    const fn signed(self, high: u32, low: u32) -> i64 {
        ((self.0 << (31 - high)) as i32 >> (31 - high + low)) as i64
    }

    const fn gpr(self, low: u32) -> Gpr {
        Gpr::from_number(self.bits(low + 4, low) as u8)
    }

    /// Rn, where 31 is the stack pointer.
    const fn base(self) -> Base {
        match self.bits(9, 5) {
            31 => Base::StackPointer,
            _ => Base::General(self.gpr(5)),
        }
    }

    /// Rt or Rt2, at bit `low`.
    const fn target(self, file: File, low: u32) -> Register {
        match file {
            File::General => Register::General(self.gpr(low)),
            File::Vector => Register::Vector(self.bits(low + 4, low) as u8),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum File {
    General,
    Vector,
}

/// What `size`, `V` and `opc` of the single-register forms say together.
struct Kind {
    file: File,
    log2_bytes: u8,
    direction: Direction,
    extension: Extension,
}

const ZERO_EXTENDED: Extension = Extension {
    signed: false,
    to_64_bits: true,
};

impl Kind {
    const fn new(file: File, log2_bytes: u32, direction: Direction) -> Self {
        Self {
            file,
            log2_bytes: log2_bytes as u8,
            direction,
            extension: ZERO_EXTENDED,
        }
    }

    const fn signed(log2_bytes: u32, to_64_bits: bool) -> Self {
        Self {
            extension: Extension {
                signed: true,
                to_64_bits,
            },
            ..Self::new(File::General, log2_bytes, Direction::Read)
        }
    }

    /// The access, with the addressing that most single-register forms begin with.
    fn access(&self, word: Word, offset: Offset, indexing: Indexing) -> LoadStore {
        LoadStore {
            direction: self.direction,
            log2_bytes: self.log2_bytes,
            first: word.target(self.file, 0),
            second: None,
            extension: self.extension,
            base: word.base(),
            offset,
            indexing,
            unprivileged: false,
        }
    }
}

/// `size` (31:30), `V` (26) and `opc` (23:22): C4.1, tables of "Load/store register".
fn kind(word: Word) -> Result<Kind, Not> {
    let size = word.bits(31, 30);
    let direction = |load| match load {
        0 => Direction::Write,
        _ => Direction::Read,
    };
    match (word.bit(26), size, word.bits(23, 22)) {
        (false, _, opc @ (0 | 1)) => Ok(Kind::new(File::General, size, direction(opc))),
        (false, 0..=2, 0b10) => Ok(Kind::signed(size, true)),
        (false, 0..=1, 0b11) => Ok(Kind::signed(size, false)),
        (false, 3, 0b10) => Err(Not::Access),
        (true, _, opc @ (0 | 1)) => Ok(Kind::new(File::Vector, size, direction(opc))),
        (true, 0, opc) => Ok(Kind::new(File::Vector, 4, direction(opc & 1))),
        _ => Err(Not::CarriedOut),
    }
}

/// LDR (immediate) and its kin with an unsigned offset of 12 bits, scaled.
fn unsigned_offset(word: Word) -> Result<LoadStore, Not> {
    let kind = kind(word)?;
    let offset = Offset::Immediate(i64::from(word.bits(21, 10)) << kind.log2_bytes);
    Ok(kind.access(word, offset, Indexing::Offset))
}

/// LDUR, LDTR, and the post- and pre-indexed forms, all with a signed offset of 9 bits.
fn unscaled_and_indexed(word: Word) -> Result<LoadStore, Not> {
    let form = word.bits(11, 10);
    let unscaled = form == 0b00;
    let kind = kind(word).map_err(|not| match not {
        Not::Access if unscaled => Not::Access,
        _ => Not::CarriedOut,
    })?;
    let indexing = match form {
        0b00 | 0b10 => Indexing::Offset,
        0b01 => Indexing::Post,
        _ => Indexing::Pre,
    };
    let unprivileged = form == 0b10;
    if unprivileged && kind.file == File::Vector {
        return Err(Not::CarriedOut);
    }
    let offset = Offset::Immediate(word.signed(20, 12));
    let access = LoadStore {
        unprivileged,
        ..kind.access(word, offset, indexing)
    };
    predictable(access)
}

/// LDR (register) and its kin.
fn register_offset(word: Word) -> Result<LoadStore, Not> {
    let extend = match word.bits(15, 13) {
        0b010 => Extend::UnsignedWord,
        0b110 => Extend::SignedWord,
        0b011 | 0b111 => Extend::Doubleword,
        _ => return Err(Not::CarriedOut),
    };
    let kind = kind(word)?;
    let offset = Offset::Register {
        index: word.gpr(16),
        extend,
        shift: if word.bit(12) { kind.log2_bytes } else { 0 },
    };
    Ok(kind.access(word, offset, Indexing::Offset))
}

/// LDR (literal), LDRSW (literal): relative to the program counter.
fn literal(word: Word) -> Instruction {
    let kind = match (word.bit(26), word.bits(31, 30)) {
        (false, opc @ (0 | 1)) => Kind::new(File::General, opc + 2, Direction::Read),
        (false, 2) => Kind::signed(2, true),
        (true, opc @ 0..=2) => Kind::new(File::Vector, opc + 2, Direction::Read),
        // PRFM, and an encoding that is not allocated.
        _ => return Instruction::NoAccess,
    };
    let offset = Offset::Immediate(word.signed(23, 5) * 4);
    Instruction::LoadStore(LoadStore {
        base: Base::ProgramCounter,
        ..kind.access(word, offset, Indexing::Offset)
    })
}

/// LDP, STP, LDPSW, LDNP, STNP.
fn pair(word: Word) -> Result<LoadStore, Not> {
    let direction = match word.bit(22) {
        false => Direction::Write,
        true => Direction::Read,
    };
    const NON_TEMPORAL: u32 = 0b00;
    let mode = word.bits(24, 23);
    let kind = match (word.bit(26), word.bits(31, 30)) {
        (false, 0) => Kind::new(File::General, 2, direction),
        (false, 2) => Kind::new(File::General, 3, direction),
        // The store of this encoding is STGP, which also writes a memory tag.
        (false, 1) if word.bit(22) && mode != NON_TEMPORAL => Kind::signed(2, true),
        (true, opc @ 0..=2) => Kind::new(File::Vector, opc + 2, direction),
        _ => return Err(Not::CarriedOut),
    };
    let indexing = match mode {
        0b01 => Indexing::Post,
        0b11 => Indexing::Pre,
        _ => Indexing::Offset,
    };
    let offset = Offset::Immediate(word.signed(21, 15) << kind.log2_bytes);
    let access = LoadStore {
        second: Some(word.target(kind.file, 10)),
        ..kind.access(word, offset, indexing)
    };
    predictable(access)
}

/// LDAR, LDLAR, STLR, STLLR; the exclusives and CAS around them are not carried out.
fn ordered(word: Word) -> Result<LoadStore, Not> {
    let ordered = word.bit(23) && !word.bit(21);
    // Rs and Rt2 should be ones.
    if !ordered || word.bits(20, 16) != 31 || word.bits(14, 10) != 31 {
        return Err(Not::CarriedOut);
    }
    let direction = match word.bit(22) {
        false => Direction::Write,
        true => Direction::Read,
    };
    let kind = Kind::new(File::General, word.bits(31, 30), direction);
    Ok(kind.access(word, Offset::Immediate(0), Indexing::Offset))
}

/// LDAPUR, STLUR and their kin; around them are memory tags and memory copies.
fn ordered_unscaled(word: Word) -> Result<LoadStore, Not> {
    if word.bit(21) || word.bits(11, 10) != 0b00 {
        return Err(Not::CarriedOut);
    }
    // The table of LDUR, without the prefetch.
    let kind = kind(word).map_err(|_| Not::CarriedOut)?;
    let offset = Offset::Immediate(word.signed(20, 12));
    Ok(kind.access(word, offset, Indexing::Offset))
}

/// LDAPR; the atomics around it are not carried out.
fn load_acquire_pc(word: Word) -> Result<LoadStore, Not> {
    // V = 0, A = 1, R = 0, Rs = ones, o3 = 1, opc = 100.
    if word.bit(26) || word.bits(23, 12) != 0b1011_1111_1100 {
        return Err(Not::CarriedOut);
    }
    let kind = Kind::new(File::General, word.bits(31, 30), Direction::Read);
    Ok(kind.access(word, Offset::Immediate(0), Indexing::Offset))
}

/// Outside the loads and stores: cache maintenance and DC ZVA, which are SYS with CRn = 7.
fn system(word: Word) -> Instruction {
    let is_cache_operation = word.bits(31, 19) == 0b1_1010_1010_0001 && word.bits(15, 12) == 7;
    match is_cache_operation {
        true => Instruction::OtherAccess {
            base: Base::General(word.gpr(0)),
        },
        false => Instruction::NoAccess,
    }
}

/// The same access, unless it is CONSTRAINED UNPREDICTABLE: it writes back to a register that
/// it moves, or loads one register twice (C6.2, "LDP", "LDR (immediate)", "STR (immediate)").
fn predictable(access: LoadStore) -> Result<LoadStore, Not> {
    let twice = access.direction == Direction::Read && access.second == Some(access.first);
    let written_back = match (access.indexing, access.base) {
        (Indexing::Pre | Indexing::Post, Base::General(base)) => Some(Register::General(base)),
        _ => None,
    };
    let moved = [Some(access.first), access.second];
    let overlap = written_back.is_some() && moved.contains(&written_back);
    if twice || overlap {
        return Err(Not::CarriedOut);
    }
    Ok(access)
}

#[cfg(test)]
mod tests;
