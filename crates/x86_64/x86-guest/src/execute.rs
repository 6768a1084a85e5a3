//! What an instruction does to memory, to a register and to the flags.
//!
//! Called with the value that was read; the caller writes what there is to write.
//!
//! Invariant: nothing is changed here, so an instruction may be carried out again until its
//! write has found room. The results are those of the CPU: the tests run both.
//!
//! Specification: AMD APM volume 3, chapter 3; volume 1, 3.1.4 (flags).

use crate::flags::{self, add, holds, sign_extend, status, subtract};
use crate::instruction::{
    Alu, Bit, Instruction, Operation, Register, RegisterPart, Registers, Scan, Source, Unary,
};
use crate::shift::shift;
use guest_access::AccessWidth;

/// What is left to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effect {
    /// To be written to memory, in the width of the access.
    pub write: Option<u64>,
    /// The number of a general register and all of its 64 bits.
    pub register: Option<(u8, u64)>,
    /// RFLAGS, if they change.
    pub rflags: Option<u64>,
    /// A second register. A [plain](Instruction::is_plain) instruction has none.
    pub second_register: Option<(u8, u64)>,
}

impl Effect {
    const NOTHING: Self = Self {
        write: None,
        register: None,
        rflags: None,
        second_register: None,
    };

    const fn write(value: u64) -> Self {
        Self {
            write: Some(value),
            ..Self::NOTHING
        }
    }

    const fn register(register: (u8, u64)) -> Self {
        Self {
            register: Some(register),
            ..Self::NOTHING
        }
    }
}

const RAX: u8 = 0;
const RDX: u8 = 2;

impl Instruction {
    /// Carries it out on `read`, the value of its memory operand; ignored if it reads none.
    #[inline(always)]
    pub fn execute(&self, read: u64, registers: &impl Registers) -> Effect {
        let read = read & self.width.mask();
        match self.operation {
            Operation::Load(target) => Effect::register(put(target, read, registers)),
            Operation::LoadSigned(target) => {
                let value = sign_extend(read, self.width);
                Effect::register(put(target, value, registers))
            }
            Operation::Store(source) => Effect::write(value(source, registers) & self.width.mask()),
            other => self.combine(other, read, registers),
        }
    }

    fn combine(&self, operation: Operation, read: u64, registers: &impl Registers) -> Effect {
        let (width, mask) = (self.width, self.width.mask());
        let rflags = registers.rflags();
        match operation {
            Operation::ToMemory(alu, source) => {
                let operand = value(source, registers);
                let (result, rflags) = combine(alu, width, read, operand, rflags);
                Effect {
                    write: self.writes().then_some(result),
                    rflags: Some(rflags),
                    ..Effect::NOTHING
                }
            }
            Operation::ToRegister(alu, target) => {
                let operand = of(target, registers);
                let (result, rflags) = combine(alu, width, operand, read, rflags);
                let is_kept = !matches!(alu, Alu::Cmp | Alu::Test);
                Effect {
                    register: is_kept.then(|| put(target, result, registers)),
                    rflags: Some(rflags),
                    ..Effect::NOTHING
                }
            }
            Operation::Change(unary) => {
                let (result, rflags) = change(unary, width, read, rflags);
                Effect {
                    rflags,
                    ..Effect::write(result)
                }
            }
            Operation::Exchange(register) => Effect {
                register: Some(put(register, read, registers)),
                ..Effect::write(of(register, registers))
            },
            Operation::LoadSwapped(target) => {
                Effect::register(put(target, swapped(read, width), registers))
            }
            Operation::StoreSwapped(source) => Effect::write(swapped(of(source, registers), width)),
            Operation::LoadIf(condition, target) => {
                // What is not loaded is put back: of 32 bits, the upper half is cleared anyway.
                let value = match holds(condition, rflags) {
                    true => read,
                    false => of(target, registers),
                };
                Effect::register(put(target, value, registers))
            }
            Operation::StoreIf(condition) => Effect::write(holds(condition, rflags).into()),
            Operation::Shift(kind, count) => {
                let count = value(count, registers);
                let (result, rflags) = shift(kind, width, read, count, rflags);
                Effect {
                    rflags: Some(rflags),
                    ..Effect::write(result)
                }
            }
            Operation::Multiply(target, factor) => {
                let factor = value(factor, registers);
                let (low, high) = multiply(width, true, read, factor);
                Effect {
                    rflags: Some(of_product(width, true, low, high, rflags)),
                    ..Effect::register(put(target, low, registers))
                }
            }
            Operation::MultiplyAccumulator { signed } => {
                multiply_accumulator(width, signed, read, registers)
            }
            Operation::Scan(kind, target) => {
                let (found, rflags) = scan(kind, width, read, rflags);
                Effect {
                    register: found.map(|value| put(target, value, registers)),
                    rflags: Some(rflags),
                    ..Effect::NOTHING
                }
            }
            Operation::Bit(kind, number) => {
                let number = value(number, registers) % (8 * width.bytes());
                let bit = 1 << number;
                let write = match kind {
                    Bit::Test => None,
                    Bit::Set => Some(read | bit),
                    Bit::Reset => Some(read & !bit),
                    Bit::Complement => Some(read ^ bit),
                };
                Effect {
                    write,
                    rflags: Some(flags::with(rflags, [(flags::CARRY, read >> number & 1)])),
                    ..Effect::NOTHING
                }
            }
            Operation::ExchangeAdd(register) => {
                let operand = of(register, registers);
                let (sum, rflags) = combine(Alu::Add, width, read, operand, rflags);
                Effect {
                    register: Some(put(register, read, registers)),
                    rflags: Some(rflags),
                    ..Effect::write(sum)
                }
            }
            Operation::CompareExchange(register) => {
                let accumulator = Register {
                    number: RAX,
                    part: part_of(width),
                };
                let expected = of(accumulator, registers);
                let (_, rflags) = combine(Alu::Cmp, width, expected, read, rflags);
                let is_expected = expected == read;
                let write = match is_expected {
                    true => of(register, registers),
                    false => read,
                };
                Effect {
                    register: (!is_expected).then(|| put(accumulator, read, registers)),
                    rflags: Some(rflags),
                    ..Effect::write(write & mask)
                }
            }
            Operation::Copy => Effect::write(read),
            Operation::Load(_)
            | Operation::LoadSigned(_)
            | Operation::Store(_)
            | Operation::Flush => Effect::NOTHING,
        }
    }
}

#[inline(always)]
fn put(target: Register, value: u64, registers: &impl Registers) -> (u8, u64) {
    let whole = registers.gpr(target.number);
    (target.number, target.put(whole, value))
}

#[inline(always)]
fn of(register: Register, registers: &impl Registers) -> u64 {
    register.of(registers.gpr(register.number))
}

#[inline(always)]
fn value(source: Source, registers: &impl Registers) -> u64 {
    match source {
        Source::Register(register) => of(register, registers),
        Source::Immediate(value) => value,
    }
}

/// The lowest part of a register that is so wide.
const fn part_of(width: AccessWidth) -> RegisterPart {
    match width {
        AccessWidth::Byte => RegisterPart::LowByte,
        AccessWidth::Halfword => RegisterPart::Word,
        AccessWidth::Word => RegisterPart::Doubleword,
        AccessWidth::Doubleword => RegisterPart::Quadword,
    }
}

const fn swapped(value: u64, width: AccessWidth) -> u64 {
    value.swap_bytes() >> (64 - 8 * width.bytes() as u32)
}

/// `first` op `second`, and RFLAGS after it.
fn combine(alu: Alu, width: AccessWidth, first: u64, second: u64, rflags: u64) -> (u64, u64) {
    let mask = width.mask();
    let (first, second) = (first & mask, second & mask);
    let carry = rflags & flags::CARRY;
    let (result, carries) = match alu {
        Alu::Add => add(first, second, 0),
        Alu::Adc => add(first, second, carry),
        Alu::Sub | Alu::Cmp => subtract(first, second, 0),
        Alu::Sbb => subtract(first, second, carry),
        Alu::And | Alu::Test => (first & second, 0),
        Alu::Or => (first | second, 0),
        Alu::Xor => (first ^ second, 0),
    };
    let rflags = rflags & !flags::STATUS | status(result, carries, width);
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
        set = set & !flags::CARRY | rflags & flags::CARRY;
    }
    (result & mask, Some(rflags & !flags::STATUS | set))
}

/// Both halves of a product.
fn multiply(width: AccessWidth, signed: bool, first: u64, second: u64) -> (u64, u64) {
    let (mask, bits) = (width.mask(), 8 * width.bytes() as u32);
    let product = if signed {
        let extended = |value| i128::from(sign_extend(value, width) as i64);
        (extended(first) * extended(second)) as u128
    } else {
        u128::from(first & mask) * u128::from(second & mask)
    };
    (product as u64 & mask, (product >> bits) as u64 & mask)
}

/// RFLAGS after a product: CF and OF if the lower half is not all of it.
fn of_product(width: AccessWidth, signed: bool, low: u64, high: u64, rflags: u64) -> u64 {
    let implied = match signed {
        true => (sign_extend(low, width) as i64 >> 63) as u64 & width.mask(),
        false => 0,
    };
    let more = u64::from(high != implied);
    flags::with(rflags, [(flags::CARRY, more), (flags::OVERFLOW, more)])
}

fn multiply_accumulator(
    width: AccessWidth,
    signed: bool,
    read: u64,
    registers: &impl Registers,
) -> Effect {
    let whole = Register {
        number: RAX,
        part: part_of(width),
    };
    let (low, high) = multiply(width, signed, read, of(whole, registers));
    let rflags = Some(of_product(width, signed, low, high, registers.rflags()));
    let register = |number, part, value| put(Register { number, part }, value, registers);
    match width {
        // Both halves are AX.
        AccessWidth::Byte => Effect {
            register: Some(register(RAX, RegisterPart::Word, high << 8 | low)),
            rflags,
            ..Effect::NOTHING
        },
        _ => Effect {
            register: Some(register(RAX, whole.part, low)),
            second_register: Some(register(RDX, whole.part, high)),
            rflags,
            ..Effect::NOTHING
        },
    }
}

/// What is found, if the register changes, and RFLAGS.
fn scan(kind: Scan, width: AccessWidth, operand: u64, rflags: u64) -> (Option<u64>, u64) {
    let bits = 8 * width.bytes() as u32;
    let is_zero = operand == 0;
    let leading = operand.leading_zeros() - (64 - bits);
    let trailing = operand.trailing_zeros().min(bits);
    let found = match kind {
        Scan::Forward | Scan::Reverse if is_zero => {
            return (None, flags::with(rflags, [(flags::ZERO, 1)]));
        }
        Scan::Forward => trailing,
        Scan::Reverse => bits - 1 - leading,
        Scan::TrailingZeros => trailing,
        Scan::LeadingZeros => leading,
        Scan::Population => operand.count_ones(),
    };
    let zero = u64::from(found == 0);
    let rflags = match kind {
        Scan::Forward | Scan::Reverse => flags::with(rflags, [(flags::ZERO, 0)]),
        Scan::TrailingZeros | Scan::LeadingZeros => flags::with(
            rflags,
            [(flags::CARRY, is_zero.into()), (flags::ZERO, zero)],
        ),
        Scan::Population => {
            let others = rflags & !flags::STATUS;
            flags::with(others, [(flags::ZERO, zero)])
        }
    };
    (Some(found.into()), rflags)
}
