//! What an instruction does to memory, to a register and to the flags.
//!
//! Called with the value that was read; the caller writes what there is to write.
//!
//! Invariant: nothing is changed here, so an instruction may be carried out again until its
//! write has found room. The results are those of the CPU: the tests run both.
//!
//! Specification: AMD APM volume 3, chapter 3; volume 1, 3.1.4 (flags).

use crate::instruction::{Alu, Instruction, Operation, Register, Registers, Source, Unary};
use guest_trap::AccessWidth;

/// CF, PF, AF, ZF, SF, OF in RFLAGS.
mod flag {
    pub const CARRY: u64 = 1 << 0;
    pub const PARITY: u64 = 1 << 2;
    pub const AUXILIARY: u64 = 1 << 4;
    pub const ZERO: u64 = 1 << 6;
    pub const SIGN: u64 = 1 << 7;
    pub const OVERFLOW: u64 = 1 << 11;
    pub const STATUS: u64 = CARRY | PARITY | AUXILIARY | ZERO | SIGN | OVERFLOW;
}

/// What is left to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effect {
    /// To be written to memory, in the width of the access.
    pub write: Option<u64>,
    /// The number of a general register and all of its 64 bits.
    pub register: Option<(u8, u64)>,
    /// RFLAGS, if they change.
    pub rflags: Option<u64>,
}

impl Effect {
    const NOTHING: Self = Self {
        write: None,
        register: None,
        rflags: None,
    };
}

impl Instruction {
    /// Carries it out on `read`, the value of its memory operand; ignored if it reads none.
    #[inline(always)]
    pub fn execute(&self, read: u64, registers: &impl Registers) -> Effect {
        let read = read & self.width.mask();
        match self.operation {
            Operation::Load(target) => Effect {
                register: Some(put(target, read, registers)),
                ..Effect::NOTHING
            },
            Operation::LoadSigned(target) => Effect {
                register: Some(put(target, sign_extend(read, self.width), registers)),
                ..Effect::NOTHING
            },
            Operation::Store(source) => Effect {
                write: Some(value(source, registers) & self.width.mask()),
                ..Effect::NOTHING
            },
            other => self.combine(other, read, registers),
        }
    }

    fn combine(&self, operation: Operation, read: u64, registers: &impl Registers) -> Effect {
        let rflags = registers.rflags();
        match operation {
            Operation::ToMemory(alu, source) => {
                let operand = value(source, registers);
                let (result, rflags) = combine(alu, self.width, read, operand, rflags);
                Effect {
                    write: self.writes().then_some(result),
                    register: None,
                    rflags: Some(rflags),
                }
            }
            Operation::ToRegister(alu, target) => {
                let operand = target.of(registers.gpr(target.number));
                let (result, rflags) = combine(alu, self.width, operand, read, rflags);
                let is_kept = !matches!(alu, Alu::Cmp | Alu::Test);
                Effect {
                    write: None,
                    register: is_kept.then(|| put(target, result, registers)),
                    rflags: Some(rflags),
                }
            }
            Operation::Change(unary) => {
                let (result, rflags) = change(unary, self.width, read, rflags);
                Effect {
                    write: Some(result),
                    register: None,
                    rflags,
                }
            }
            Operation::Exchange(register) => Effect {
                write: Some(register.of(registers.gpr(register.number))),
                register: Some(put(register, read, registers)),
                rflags: None,
            },
            Operation::Load(_) | Operation::LoadSigned(_) | Operation::Store(_) => Effect::NOTHING,
        }
    }
}

#[inline(always)]
fn put(target: Register, value: u64, registers: &impl Registers) -> (u8, u64) {
    let whole = registers.gpr(target.number);
    (target.number, target.put(whole, value))
}

#[inline(always)]
fn value(source: Source, registers: &impl Registers) -> u64 {
    match source {
        Source::Register(register) => register.of(registers.gpr(register.number)),
        Source::Immediate(value) => value,
    }
}

const fn sign_extend(value: u64, width: AccessWidth) -> u64 {
    let unused = 64 - 8 * width.bytes() as u32;
    ((value << unused) as i64 >> unused) as u64
}

/// `first` op `second`, and RFLAGS after it.
fn combine(alu: Alu, width: AccessWidth, first: u64, second: u64, rflags: u64) -> (u64, u64) {
    let mask = width.mask();
    let (first, second) = (first & mask, second & mask);
    let carry = rflags & flag::CARRY;
    let (result, carries) = match alu {
        Alu::Add => add(first, second, 0),
        Alu::Adc => add(first, second, carry),
        Alu::Sub | Alu::Cmp => subtract(first, second, 0),
        Alu::Sbb => subtract(first, second, carry),
        Alu::And | Alu::Test => (first & second, 0),
        Alu::Or => (first | second, 0),
        Alu::Xor => (first ^ second, 0),
    };
    let rflags = rflags & !flag::STATUS | status(result, carries, width);
    (result & mask, rflags)
}

fn change(unary: Unary, width: AccessWidth, operand: u64, rflags: u64) -> (u64, Option<u64>) {
    let mask = width.mask();
    let operand = operand & mask;
    let (result, carries) = match unary {
        Unary::Not => return (!operand & mask, None),
        Unary::Neg => subtract(0, operand, 0),
        Unary::Inc => add(operand, 1, 0),
        Unary::Dec => subtract(operand, 1, 0),
    };
    let mut set = status(result, carries, width);
    if unary != Unary::Neg {
        // INC and DEC leave the carry alone.
        set = set & !flag::CARRY | rflags & flag::CARRY;
    }
    (result & mask, Some(rflags & !flag::STATUS | set))
}

/// The sum, and for each bit whether there was a carry out of it.
fn add(first: u64, second: u64, carry: u64) -> (u64, u64) {
    let sum = first.wrapping_add(second).wrapping_add(carry);
    (sum, first & second | (first | second) & !sum)
}

/// The difference, and for each bit whether it had to borrow.
fn subtract(first: u64, second: u64, borrow: u64) -> (u64, u64) {
    let difference = first.wrapping_sub(second).wrapping_sub(borrow);
    (difference, !first & second | (!first | second) & difference)
}

/// The status flags of a result with these carries.
fn status(result: u64, carries: u64, width: AccessWidth) -> u64 {
    let top = 8 * width.bytes() as u32 - 1;
    let bit = |value: u64, index: u32| value >> index & 1;
    let carry = bit(carries, top);
    let overflow = carry ^ bit(carries, top - 1);
    let flags = [
        (flag::CARRY, carry),
        (
            flag::PARITY,
            u64::from((result as u8).count_ones().is_multiple_of(2)),
        ),
        (flag::AUXILIARY, bit(carries, 3)),
        (flag::ZERO, u64::from(result & width.mask() == 0)),
        (flag::SIGN, bit(result, top)),
        (flag::OVERFLOW, overflow),
    ];
    flags.iter().map(|(flag, set)| flag * set).sum()
}
