//! An instruction that accesses memory, in the form in which it is carried out.
//!
//! Built by `decode`, carried out by `execute`, kept by `cache`.
//!
//! Invariant: each value is one that can be carried out; what cannot is not decoded.
//!
//! Specification: AMD APM volume 3, 1.4 (operands) and chapter 3 (general purpose
//! instructions).

use guest_access::AccessWidth;
use heapless::Vec;

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

/// Shifts and rotations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shift {
    /// ROL.
    RotateLeft,
    /// ROR.
    RotateRight,
    /// RCL.
    RotateLeftThroughCarry,
    /// RCR.
    RotateRightThroughCarry,
    /// SHL, SAL.
    Left,
    /// SHR.
    Right,
    /// SAR.
    RightSigned,
}

/// What is found out of an operand's bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scan {
    /// BSF: the lowest bit that is set.
    Forward,
    /// BSR: the highest.
    Reverse,
    /// TZCNT.
    TrailingZeros,
    /// LZCNT.
    LeadingZeros,
    /// POPCNT.
    Population,
}

/// What is done to the bit that goes to the carry flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bit {
    /// BT: nothing.
    Test,
    /// BTS.
    Set,
    /// BTR.
    Reset,
    /// BTC.
    Complement,
}

/// The condition of SETcc and CMOVcc.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition(u8);

impl Condition {
    /// From the lowest four bits of an opcode.
    pub const fn from_number(number: u8) -> Self {
        Self(number & 0xf)
    }

    /// Those bits.
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// What is done with the memory operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// MOV, MOVZX, LODS: read, and put into a register, zero-extended.
    Load(Register),
    /// MOVSX, MOVSXD: read, and put into a register, sign-extended.
    LoadSigned(Register),
    /// MOV, STOS: write.
    Store(Source),
    /// Read, combine with the source, write; CMP and TEST do not write.
    ToMemory(Alu, Source),
    /// Read, combine with the register and put the result there.
    ToRegister(Alu, Register),
    /// Read, change, write.
    Change(Unary),
    /// XCHG: read and write, in one.
    Exchange(Register),
    /// MOVBE: read, and put into a register, the bytes in the other order.
    LoadSwapped(Register),
    /// MOVBE: write, the bytes in the other order.
    StoreSwapped(Register),
    /// CMOVcc: read, and put into a register if it holds.
    LoadIf(Condition, Register),
    /// SETcc: write whether it holds.
    StoreIf(Condition),
    /// Read, shift by the source, write.
    Shift(Shift, Source),
    /// IMUL: read, multiply with the source, and put the lower half into a register.
    Multiply(Register, Source),
    /// MUL, IMUL: read, multiply with the accumulator, and put both halves into registers.
    MultiplyAccumulator {
        /// IMUL.
        signed: bool,
    },
    /// Read, and put what is found into a register.
    Scan(Scan, Register),
    /// Read, a bit of it to the carry flag, and write if that is changed. By a register's value
    /// it may be a bit of another operand than the one that is named.
    Bit(Bit, Source),
    /// XADD: read, write the sum, and what was read goes to the register.
    ExchangeAdd(Register),
    /// CMPXCHG: read, write the register if the accumulator holds the same, and what was read if
    /// not; then it goes to the accumulator.
    CompareExchange(Register),
    /// MOVS, PUSH, POP: read, and write at the other operand.
    Copy,
    /// CLFLUSH, CLFLUSHOPT, CLWB: what a device has is in no cache.
    Flush,
}

/// How the registers that lead to the operands move on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steps {
    /// They do not.
    None,
    /// RSI, RDI or both, to the next element; and RCX counts, if the instruction is repeated.
    String {
        /// RSI leads to an operand.
        source: bool,
        /// RDI does.
        destination: bool,
        /// REP.
        repeated: bool,
    },
    /// RSP, down by the width.
    Push,
    /// RSP, up by the width.
    Pop,
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

/// An instruction that accesses memory at one place, or reads at one and writes at another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// Its length in bytes: 1 to 15.
    pub len: u8,
    /// How many bytes of memory it accesses.
    pub width: AccessWidth,
    /// Where.
    pub memory: MemoryOperand,
    /// Where it writes, if that is not where it reads.
    pub written: Option<MemoryOperand>,
    /// What it does with them.
    pub operation: Operation,
    /// What it does to the registers that led there.
    pub steps: Steps,
}

/// The registers after a step, and whether the instruction is to be carried out once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stepped {
    /// Numbers of registers and all of their bits.
    pub registers: Vec<(u8, u64), 3>,
    /// RIP stays where it is.
    pub repeats: bool,
}

const RCX: u8 = 1;
const RSP: u8 = 4;
const RSI: u8 = 6;
const RDI: u8 = 7;
const DIRECTION: u64 = 1 << 10;

impl Instruction {
    /// Whether it reads the memory operand.
    #[inline(always)]
    pub const fn reads(&self) -> bool {
        !matches!(
            self.operation,
            Operation::Store(_)
                | Operation::StoreSwapped(_)
                | Operation::StoreIf(_)
                | Operation::Flush
        )
    }

    /// Whether it writes the memory operand, after having read it if it does both, or the other
    /// operand.
    #[inline(always)]
    pub const fn writes(&self) -> bool {
        match self.operation {
            Operation::Store(_)
            | Operation::StoreSwapped(_)
            | Operation::StoreIf(_)
            | Operation::Change(_)
            | Operation::Exchange(_)
            | Operation::Shift(..)
            | Operation::ExchangeAdd(_)
            | Operation::CompareExchange(_)
            | Operation::Copy => true,
            Operation::ToMemory(alu, _) => !matches!(alu, Alu::Cmp | Alu::Test),
            Operation::Bit(bit, _) => !matches!(bit, Bit::Test),
            Operation::Load(_)
            | Operation::LoadSigned(_)
            | Operation::ToRegister(..)
            | Operation::LoadSwapped(_)
            | Operation::LoadIf(..)
            | Operation::Multiply(..)
            | Operation::MultiplyAccumulator { .. }
            | Operation::Scan(..)
            | Operation::Flush => false,
        }
    }

    /// Whether its one operand is where `memory` says, and what it does is all in an
    /// [`Effect`](crate::Effect) with one register.
    pub const fn is_plain(&self) -> bool {
        let by_register = matches!(self.operation, Operation::Bit(_, Source::Register(_)));
        let of_two_halves = matches!(self.operation, Operation::MultiplyAccumulator { .. });
        let is_flush = matches!(self.operation, Operation::Flush);
        let stays = matches!(self.steps, Steps::None) && self.written.is_none();
        stays && !by_register && !of_two_halves && !is_flush
    }

    /// The linear address of the first byte that it reads, or that it writes if it has one
    /// operand. `next_rip` is the address of the next instruction.
    pub fn linear(&self, registers: &impl Registers, next_rip: u64) -> u64 {
        let mut memory = self.memory;
        if let Operation::Bit(_, Source::Register(number)) = self.operation {
            // Whole operands, up or down, until the bit is one of the operand's.
            let bytes = self.width.bytes();
            let unused = 64 - 8 * bytes as u32;
            let number = number.of(registers.gpr(number.number));
            let number = (number << unused) as i64 >> unused;
            let operands = number.div_euclid(8 * bytes as i64);
            let moved = operands.wrapping_mul(bytes as i64);
            memory.displacement = memory.displacement.wrapping_add(moved);
        }
        memory.linear(registers, next_rip)
    }

    /// Whether there is nothing to be done: the count of what is repeated is 0.
    pub fn is_over(&self, registers: &impl Registers) -> bool {
        let Steps::String { repeated, .. } = self.steps else {
            return false;
        };
        repeated && registers.gpr(RCX) & self.memory.address_mask == 0
    }

    /// The registers that led to the operands, after this element.
    pub fn stepped(&self, registers: &impl Registers) -> Stepped {
        let mut changed = Vec::new();
        let bytes = self.width.bytes();
        let mut add = |number: u8, mask: u64, summand: u64| {
            let whole = registers.gpr(number);
            let sum = whole.wrapping_add(summand) & mask;
            // A part of 32 bits takes the upper half with it; one of 16 leaves the rest.
            let kept = if mask == 0xffff { whole & !mask } else { 0 };
            // There is room for three.
            let _ = changed.push((number, kept | sum));
            sum
        };
        let mut repeats = false;
        match self.steps {
            Steps::None => {}
            Steps::Push => {
                let mask = self.written.map_or(u64::MAX, |stack| stack.address_mask);
                add(RSP, mask, bytes.wrapping_neg());
            }
            Steps::Pop => {
                add(RSP, self.memory.address_mask, bytes);
            }
            Steps::String {
                source,
                destination,
                repeated,
            } => {
                let mask = self.memory.address_mask;
                let summand = match registers.rflags() & DIRECTION {
                    0 => bytes,
                    _ => bytes.wrapping_neg(),
                };
                for (is_used, number) in [(source, RSI), (destination, RDI)] {
                    if is_used {
                        add(number, mask, summand);
                    }
                }
                repeats = repeated && add(RCX, mask, u64::MAX) != 0;
            }
        }
        Stepped {
            registers: changed,
            repeats,
        }
    }
}
