//! An instruction that accesses memory once, in the form in which it is carried out.
//!
//! Built by `decode`, carried out by `execute`, kept by `cache`.
//!
//! Invariant: each value is one that can be carried out; what cannot is not decoded.
//!
//! Specification: AMD APM volume 3, 1.4 (operands) and chapter 3 (general purpose
//! instructions).

use guest_trap::AccessWidth;

/// The registers that an instruction can name, as they are when it begins.
pub trait Registers {
    /// All 64 bits of RAX to R15, by the number that encodes it.
    fn gpr(&self, number: u8) -> u64;

    /// RFLAGS.
    fn rflags(&self) -> u64;

    /// The base of a segment, as the CPU adds it in any mode.
    fn segment_base(&self, segment: Segment) -> u64;
}

/// A segment register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Segment {
    Es,
    Cs,
    Ss,
    Ds,
    Fs,
    Gs,
}

/// A general register, or the part of one that an instruction names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register {
    /// RAX to R15, 0 to 15.
    pub number: u8,
    /// Which part of it.
    pub part: RegisterPart,
}

/// Which part of a general register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegisterPart {
    /// Bits 7 to 0; the others stay.
    LowByte,
    /// AH, CH, DH, BH: bits 15 to 8; the others stay.
    HighByte,
    /// Bits 15 to 0; the others stay.
    Word,
    /// Bits 31 to 0; the upper half becomes 0.
    Doubleword,
    /// All of it.
    Quadword,
}

impl RegisterPart {
    /// How wide it is.
    #[inline(always)]
    pub const fn width(self) -> AccessWidth {
        match self {
            Self::LowByte | Self::HighByte => AccessWidth::Byte,
            Self::Word => AccessWidth::Halfword,
            Self::Doubleword => AccessWidth::Word,
            Self::Quadword => AccessWidth::Doubleword,
        }
    }
}

impl Register {
    /// The part's value when the whole register holds `whole`.
    #[inline(always)]
    pub const fn of(self, whole: u64) -> u64 {
        match self.part {
            RegisterPart::HighByte => whole >> 8 & 0xff,
            part => whole & part.width().mask(),
        }
    }

    /// What the whole register holds after `value` was put into the part of `whole`.
    #[inline(always)]
    pub const fn put(self, whole: u64, value: u64) -> u64 {
        match self.part {
            RegisterPart::LowByte => whole & !0xff | value & 0xff,
            RegisterPart::HighByte => whole & !0xff00 | (value & 0xff) << 8,
            RegisterPart::Word => whole & !0xffff | value & 0xffff,
            RegisterPart::Doubleword => value & 0xffff_ffff,
            RegisterPart::Quadword => value,
        }
    }
}

/// Where an instruction's other operand comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A register.
    Register(Register),
    /// A constant, sign-extended as far as the instruction does.
    Immediate(u64),
}

/// Operations of two operands that set the flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Alu {
    Add,
    Or,
    Adc,
    Sbb,
    And,
    Sub,
    Xor,
    /// SUB without a result.
    Cmp,
    /// AND without a result.
    Test,
}

/// Operations of one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Unary {
    Inc,
    Dec,
    Neg,
    Not,
}

/// What is done with the memory operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// MOV, MOVZX: read, and put into a register, zero-extended.
    Load(Register),
    /// MOVSX, MOVSXD: read, and put into a register, sign-extended.
    LoadSigned(Register),
    /// MOV: write.
    Store(Source),
    /// Read, combine with the source, write; CMP and TEST do not write.
    ToMemory(Alu, Source),
    /// Read, combine with the register and put the result there.
    ToRegister(Alu, Register),
    /// Read, change, write.
    Change(Unary),
    /// XCHG: read and write, in one.
    Exchange(Register),
}

/// Where the memory operand is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryOperand {
    /// The segment whose base is added.
    pub segment: Segment,
    /// The base register's number.
    pub base: Option<u8>,
    /// The index register's number.
    pub index: Option<u8>,
    /// 1, 2, 4 or 8, by which the index is multiplied.
    pub scale: u8,
    /// The address of the next instruction is added.
    pub rip_relative: bool,
    /// What is added besides.
    pub displacement: i64,
    /// The bits of the effective address: 16, 32 or 64.
    pub address_mask: u64,
}

impl MemoryOperand {
    /// The linear address of its first byte. `next_rip` is the address of the next
    /// instruction.
    pub fn linear(&self, registers: &impl Registers, next_rip: u64) -> u64 {
        let base = registers.segment_base(self.segment);
        self.effective(registers, next_rip).wrapping_add(base)
    }

    /// The same without the segment's base.
    #[inline(always)]
    pub(crate) fn effective(&self, registers: &impl Registers, next_rip: u64) -> u64 {
        let register = |number: Option<u8>| number.map_or(0, |number| registers.gpr(number));
        let index = register(self.index).wrapping_mul(u64::from(self.scale));
        let mut address = register(self.base)
            .wrapping_add(index)
            .wrapping_add(self.displacement as u64);
        if self.rip_relative {
            address = address.wrapping_add(next_rip);
        }
        address & self.address_mask
    }
}

/// An instruction that accesses memory at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// Its length in bytes: 1 to 15.
    pub len: u8,
    /// How many bytes of memory it accesses.
    pub width: AccessWidth,
    /// Where.
    pub memory: MemoryOperand,
    /// What it does with them.
    pub operation: Operation,
}

impl Instruction {
    /// Whether it reads the memory operand.
    #[inline(always)]
    pub const fn reads(&self) -> bool {
        !matches!(self.operation, Operation::Store(_))
    }

    /// Whether it writes the memory operand, after having read it if it does both.
    #[inline(always)]
    pub const fn writes(&self) -> bool {
        match self.operation {
            Operation::Store(_) | Operation::Change(_) | Operation::Exchange(_) => true,
            Operation::ToMemory(alu, _) => !matches!(alu, Alu::Cmp | Alu::Test),
            Operation::Load(_) | Operation::LoadSigned(_) | Operation::ToRegister(..) => false,
        }
    }
}
