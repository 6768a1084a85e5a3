//! From bytes to an [`Instruction`], or to the knowledge that it is not one of those that are
//! carried out.
//!
//! Called by `cache`. The opcodes stand here, one after the other, as the manual has them, and
//! not in a library: what one says of an operand's width or of which register is meant would be
//! believed until a guest notices. Each form is held against a CPU by the tests.
//!
//! Not carried out: LOCK, INS and OUTS, SCAS and CMPS, division, double shifts, vector and x87
//! registers, segment registers, jumps and calls, VEX, and whatever else is not here.
//!
//! Invariant: no bytes panic.
//!
//! Specification: AMD APM volume 3, chapter 3 and appendix A (opcodes); Intel SDM volume 2.

use crate::encoding::{ModRm, Reader, Repeat};
use crate::instruction::{
    Alu, Bit, Condition, Instruction, MemoryOperand, Operation, Register, Scan, Shift, Source,
    Steps, Unary,
};
use crate::{Code, Mode};
use guest_access::AccessWidth;
// Field's crate, for the length of what is not carried out.
use yaxpeax_arch::LengthedInstruction;
use yaxpeax_x86::{long_mode, protected_mode, real_mode};

/// Decodes the instruction that `code` begins with.
pub fn decode(code: &Code, mode: Mode) -> Option<Instruction> {
    let (bytes, len) = code.bytes();
    let mut reader = Reader::new(bytes.get(..len)?, mode)?;
    if reader.prefixes.lock {
        return None;
    }
    let decoded = match reader.byte()? {
        0x0f => two_bytes(&mut reader),
        opcode => one_byte(&mut reader, opcode),
    };
    let Decoded {
        memory,
        written,
        width,
        operation,
        steps,
    } = decoded?;
    Some(Instruction {
        len: reader.len()?,
        width,
        memory,
        written,
        operation,
        steps,
    })
}

/// The length in bytes of the instruction that `code` begins with, whatever it is.
pub fn instruction_len(code: &Code, mode: Mode) -> Option<u8> {
    let (bytes, len) = code.bytes();
    let bytes = bytes.get(..len)?;
    macro_rules! len {
        ($mode:ident) => {{
            let decoder = $mode::InstDecoder::default();
            u8::try_from(decoder.decode_slice(bytes).ok()?.len().to_const()).ok()
        }};
    }
    match mode {
        Mode::Long => len!(long_mode),
        Mode::Protected => len!(protected_mode),
        Mode::Real => len!(real_mode),
    }
}

/// All of an instruction but its length.
struct Decoded {
    memory: MemoryOperand,
    written: Option<MemoryOperand>,
    width: AccessWidth,
    operation: Operation,
    steps: Steps,
}

/// An instruction that does this to an operand of this width.
fn plain(memory: MemoryOperand, width: AccessWidth, operation: Operation) -> Option<Decoded> {
    Some(Decoded {
        memory,
        written: None,
        width,
        operation,
        steps: Steps::None,
    })
}

const ALU: [Alu; 8] = [
    Alu::Add,
    Alu::Or,
    Alu::Adc,
    Alu::Sbb,
    Alu::And,
    Alu::Sub,
    Alu::Xor,
    Alu::Cmp,
];
const SHIFTS: [Shift; 8] = [
    Shift::RotateLeft,
    Shift::RotateRight,
    Shift::RotateLeftThroughCarry,
    Shift::RotateRightThroughCarry,
    Shift::Left,
    Shift::Right,
    // Not in the manuals, and the same on every CPU.
    Shift::Left,
    Shift::RightSigned,
];
const BITS: [Bit; 4] = [Bit::Test, Bit::Set, Bit::Reset, Bit::Complement];

fn one_byte(reader: &mut Reader<'_>, opcode: u8) -> Option<Decoded> {
    // Bit 0 of most opcodes: not a byte, but what the prefixes say.
    let width = if opcode & 1 == 0 {
        AccessWidth::Byte
    } else {
        reader.operand_width()
    };
    let alu = |number: u8| ALU[usize::from(number & 7)];
    match opcode {
        // ADD, OR, ADC, SBB, AND, SUB, XOR, CMP.
        0x00..=0x3f if opcode & 4 == 0 => {
            let ModRm {
                register, memory, ..
            } = reader.modrm()?;
            let register = reader.register(register, width);
            let alu = alu(opcode >> 3);
            let operation = if opcode & 2 == 0 {
                Operation::ToMemory(alu, Source::Register(register))
            } else {
                Operation::ToRegister(alu, register)
            };
            plain(memory, width, operation)
        }
        // MOVSXD. Without REX.W its target is as wide as the operand: nothing is extended.
        0x63 if reader.mode() == Mode::Long => {
            let target_width = reader.operand_width();
            let width = match target_width {
                AccessWidth::Halfword => AccessWidth::Halfword,
                _ => AccessWidth::Word,
            };
            let ModRm {
                register, memory, ..
            } = reader.modrm()?;
            let target = reader.register(register, target_width);
            plain(memory, width, Operation::LoadSigned(target))
        }
        // IMUL with a constant.
        0x69 | 0x6b => {
            let width = reader.operand_width();
            let ModRm {
                register, memory, ..
            } = reader.modrm()?;
            let factor = match opcode {
                0x69 => reader.immediate(width)?,
                _ => reader.immediate_byte()?,
            };
            let target = reader.register(register, width);
            let operation = Operation::Multiply(target, Source::Immediate(factor));
            plain(memory, width, operation)
        }
        // ADD to CMP with a constant.
        0x80..=0x83 => {
            if opcode == 0x82 && reader.mode() == Mode::Long {
                return None;
            }
            let ModRm {
                extension, memory, ..
            } = reader.modrm()?;
            let value = match opcode {
                0x81 => reader.immediate(width)?,
                _ => reader.immediate_byte()?,
            };
            let operation = Operation::ToMemory(alu(extension), Source::Immediate(value));
            plain(memory, width, operation)
        }
        // TEST, XCHG, MOV.
        0x84..=0x8b => {
            let ModRm {
                register, memory, ..
            } = reader.modrm()?;
            let register = reader.register(register, width);
            let operation = match opcode {
                0x84 | 0x85 => Operation::ToMemory(Alu::Test, Source::Register(register)),
                0x86 | 0x87 => Operation::Exchange(register),
                0x88 | 0x89 => Operation::Store(Source::Register(register)),
                _ => Operation::Load(register),
            };
            plain(memory, width, operation)
        }
        // POP. An address that is relative to RSP is so to the one after it.
        0x8f => pop(reader),
        // MOV of the accumulator and an address.
        0xa0..=0xa3 => {
            let memory = reader.absolute()?;
            let register = reader.accumulator(width);
            let operation = match opcode {
                0xa0 | 0xa1 => Operation::Load(register),
                _ => Operation::Store(Source::Register(register)),
            };
            plain(memory, width, operation)
        }
        // MOVS, STOS, LODS.
        0xa4 | 0xa5 | 0xaa..=0xad => string(reader, opcode, width),
        // Shifts and rotations.
        0xc0 | 0xc1 | 0xd0..=0xd3 => {
            let ModRm {
                extension, memory, ..
            } = reader.modrm()?;
            let count = match opcode {
                0xc0 | 0xc1 => Source::Immediate(reader.immediate_byte()? & 0xff),
                0xd0 | 0xd1 => Source::Immediate(1),
                _ => Source::Register(CL),
            };
            let shift = SHIFTS[usize::from(extension)];
            plain(memory, width, Operation::Shift(shift, count))
        }
        // MOV of a constant.
        0xc6 | 0xc7 => {
            let modrm = reader.modrm()?;
            let value = reader.immediate(width)?;
            let operation = Operation::Store(Source::Immediate(value));
            (modrm.extension == 0).then(|| plain(modrm.memory, width, operation))?
        }
        // TEST of a constant, NOT, NEG, MUL, IMUL.
        0xf6 | 0xf7 => {
            let ModRm {
                extension, memory, ..
            } = reader.modrm()?;
            let operation = match extension {
                0 | 1 => {
                    let value = reader.immediate(width)?;
                    Operation::ToMemory(Alu::Test, Source::Immediate(value))
                }
                2 => Operation::Change(Unary::Not),
                3 => Operation::Change(Unary::Neg),
                4 => Operation::MultiplyAccumulator { signed: false },
                5 => Operation::MultiplyAccumulator { signed: true },
                _ => return None,
            };
            plain(memory, width, operation)
        }
        // INC, DEC, PUSH.
        0xfe | 0xff => {
            let ModRm {
                extension, memory, ..
            } = reader.modrm()?;
            match extension {
                0 => plain(memory, width, Operation::Change(Unary::Inc)),
                1 => plain(memory, width, Operation::Change(Unary::Dec)),
                6 if opcode == 0xff => {
                    let width = reader.stack_width();
                    Some(Decoded {
                        memory,
                        written: Some(reader.stack(-(width.bytes() as i64))),
                        width,
                        operation: Operation::Copy,
                        steps: Steps::Push,
                    })
                }
                _ => None,
            }
        }
        _ => None,
    }
}

const CL: Register = Register {
    number: 1,
    part: crate::RegisterPart::LowByte,
};
const RSP: u8 = 4;

fn pop(reader: &mut Reader<'_>) -> Option<Decoded> {
    let ModRm {
        extension,
        mut memory,
        ..
    } = reader.modrm()?;
    let width = reader.stack_width();
    if memory.base == Some(RSP) {
        memory.displacement += width.bytes() as i64;
    }
    (extension == 0).then(|| Decoded {
        memory: reader.stack(0),
        written: Some(memory),
        width,
        operation: Operation::Copy,
        steps: Steps::Pop,
    })
}

fn string(reader: &Reader<'_>, opcode: u8, width: AccessWidth) -> Option<Decoded> {
    let register = reader.accumulator(width);
    let (memory, written, operation) = match opcode & !1 {
        0xa4 => {
            let written = Some(reader.string_destination());
            (reader.string_source(), written, Operation::Copy)
        }
        0xaa => {
            let operation = Operation::Store(Source::Register(register));
            (reader.string_destination(), None, operation)
        }
        _ => (reader.string_source(), None, Operation::Load(register)),
    };
    let steps = Steps::String {
        source: opcode & !1 != 0xaa,
        destination: opcode & !1 != 0xac,
        // F2 repeats these as F3 does, on every CPU.
        repeated: reader.prefixes.repeat.is_some(),
    };
    Some(Decoded {
        memory,
        written,
        width,
        operation,
        steps,
    })
}

fn two_bytes(reader: &mut Reader<'_>) -> Option<Decoded> {
    let opcode = reader.byte()?;
    let operand_width = reader.operand_width();
    let width = if opcode & 1 == 0 {
        AccessWidth::Byte
    } else {
        operand_width
    };
    let repeat = reader.prefixes.repeat;
    // These prefixes make other instructions of most of the opcodes, or none.
    if repeat.is_some() && !matches!((opcode, repeat), (0xb8 | 0xbc | 0xbd, Some(Repeat::Equal))) {
        return None;
    }
    // MOVBE has a third byte.
    let swapped = match opcode {
        0x38 => Some(reader.byte().filter(|third| matches!(third, 0xf0 | 0xf1))?),
        _ => None,
    };
    let ModRm {
        extension,
        register: number,
        memory,
    } = reader.modrm()?;
    let register = reader.register(number, operand_width);
    let condition = Condition::from_number(opcode);
    let bit = |number: u8| BITS[usize::from(number & 3)];
    match opcode {
        0x38 if swapped == Some(0xf0) => {
            plain(memory, operand_width, Operation::LoadSwapped(register))
        }
        0x38 => plain(memory, operand_width, Operation::StoreSwapped(register)),
        // CMOVcc, SETcc.
        0x40..=0x4f => {
            let operation = Operation::LoadIf(condition, register);
            plain(memory, operand_width, operation)
        }
        0x90..=0x9f => plain(memory, AccessWidth::Byte, Operation::StoreIf(condition)),
        // BT, BTS, BTR, BTC.
        0xa3 | 0xab | 0xb3 | 0xbb => {
            let operation = Operation::Bit(bit(opcode >> 3), Source::Register(register));
            plain(memory, operand_width, operation)
        }
        0xba if extension >= 4 => {
            let number = reader.immediate_byte()? & 0xff;
            let operation = Operation::Bit(bit(extension), Source::Immediate(number));
            plain(memory, operand_width, operation)
        }
        // CLFLUSH, CLFLUSHOPT, CLWB.
        0xae if extension == 7 || extension == 6 && reader.prefixes.operand_size => {
            plain(memory, AccessWidth::Byte, Operation::Flush)
        }
        // IMUL.
        0xaf => {
            let operation = Operation::Multiply(register, Source::Register(register));
            plain(memory, operand_width, operation)
        }
        // CMPXCHG, XADD.
        0xb0 | 0xb1 => {
            let operation = Operation::CompareExchange(reader.register(number, width));
            plain(memory, width, operation)
        }
        0xc0 | 0xc1 => {
            let operation = Operation::ExchangeAdd(reader.register(number, width));
            plain(memory, width, operation)
        }
        // MOVZX, MOVSX.
        0xb6 | 0xb7 | 0xbe | 0xbf => {
            let width = match opcode & 1 {
                0 => AccessWidth::Byte,
                _ => AccessWidth::Halfword,
            };
            let operation = match opcode {
                0xb6 | 0xb7 => Operation::Load(register),
                _ => Operation::LoadSigned(register),
            };
            plain(memory, width, operation)
        }
        // POPCNT, TZCNT, LZCNT, BSF, BSR.
        0xb8 | 0xbc | 0xbd => {
            let scan = match (opcode, repeat) {
                (0xb8, Some(_)) => Scan::Population,
                (0xbc, Some(_)) => Scan::TrailingZeros,
                (0xbd, Some(_)) => Scan::LeadingZeros,
                (0xbc, None) => Scan::Forward,
                (0xbd, None) => Scan::Reverse,
                _ => return None,
            };
            plain(memory, operand_width, Operation::Scan(scan, register))
        }
        // MOVNTI.
        0xc3 if !reader.prefixes.operand_size => {
            let operation = Operation::Store(Source::Register(register));
            plain(memory, operand_width, operation)
        }
        _ => None,
    }
}
