//! From bytes to an [`Instruction`], or to the knowledge that it is not one of those that are
//! carried out.
//!
//! Called by `cache`, and for the length of an instruction that needs no operands. Not carried
//! out: LOCK, string instructions, vector and x87 registers, segment registers, two memory
//! operands, shifts, bit tests, and whatever the decoder does not know.
//!
//! Invariant: no bytes panic.
//!
//! Specification: AMD APM volume 3, 1.2 to 1.8 (encoding), appendix A (opcodes).

use crate::instruction::{
    Alu, Instruction, MemoryOperand, Operation, Register, RegisterPart, Segment, Source, Unary,
};
use crate::{Code, Mode};
use guest_trap::AccessWidth;
// Field's crate: the tables of opcodes.
use yaxpeax_arch::LengthedInstruction;
use yaxpeax_x86::{long_mode, protected_mode, real_mode};

/// Decodes the instruction that `code` begins with.
pub fn decode(code: &Code, mode: Mode) -> Option<Instruction> {
    let (bytes, len) = code.bytes();
    let bytes = bytes.get(..len)?;
    match mode {
        Mode::Long => long::decode(bytes),
        Mode::Protected => protected::decode(bytes),
        Mode::Real => real::decode(bytes),
    }
}

/// The length in bytes of the instruction that `code` begins with, whatever it is.
pub fn instruction_len(code: &Code, mode: Mode) -> Option<u8> {
    let (bytes, len) = code.bytes();
    let bytes = bytes.get(..len)?;
    match mode {
        Mode::Long => long::len(bytes),
        Mode::Protected => protected::len(bytes),
        Mode::Real => real::len(bytes),
    }
}

/// An operand that is no memory.
enum Other {
    Register(Register),
    Immediate(u64),
}

/// The operations of which either operand may be memory.
fn alu_of(name: Name) -> Option<Alu> {
    Some(match name {
        Name::ADD => Alu::Add,
        Name::OR => Alu::Or,
        Name::ADC => Alu::Adc,
        Name::SBB => Alu::Sbb,
        Name::AND => Alu::And,
        Name::SUB => Alu::Sub,
        Name::XOR => Alu::Xor,
        Name::CMP => Alu::Cmp,
        Name::TEST => Alu::Test,
        _ => return None,
    })
}

/// Opcodes that are carried out, the same in all modes.
#[derive(Clone, Copy)]
#[allow(clippy::upper_case_acronyms)]
enum Name {
    MOV,
    MOVZX,
    MOVSX,
    MOVSXD,
    ADD,
    OR,
    ADC,
    SBB,
    AND,
    SUB,
    XOR,
    CMP,
    TEST,
    INC,
    DEC,
    NEG,
    NOT,
    XCHG,
}

/// The operation of an instruction whose memory operand is the `place`th, with its other
/// operand if it has one.
fn operation(name: Name, place: u8, other: Option<Other>) -> Option<Operation> {
    let unary = match name {
        Name::INC => Some(Unary::Inc),
        Name::DEC => Some(Unary::Dec),
        Name::NEG => Some(Unary::Neg),
        Name::NOT => Some(Unary::Not),
        _ => None,
    };
    if let Some(unary) = unary {
        return other.is_none().then_some(Operation::Change(unary));
    }
    Some(match (name, place, other?) {
        (Name::MOV, 0, Other::Register(from)) => Operation::Store(Source::Register(from)),
        (Name::MOV, 0, Other::Immediate(value)) => Operation::Store(Source::Immediate(value)),
        (Name::MOV | Name::MOVZX, 1, Other::Register(to)) => Operation::Load(to),
        (Name::MOVSX | Name::MOVSXD, 1, Other::Register(to)) => Operation::LoadSigned(to),
        (Name::XCHG, _, Other::Register(with)) => Operation::Exchange(with),
        (name, 0, Other::Register(from)) => {
            Operation::ToMemory(alu_of(name)?, Source::Register(from))
        }
        (name, 0, Other::Immediate(value)) => {
            Operation::ToMemory(alu_of(name)?, Source::Immediate(value))
        }
        (name, 1, Other::Register(to)) => Operation::ToRegister(alu_of(name)?, to),
        _ => return None,
    })
}

fn width(bytes: u8) -> Option<AccessWidth> {
    Some(match bytes {
        1 => AccessWidth::Byte,
        2 => AccessWidth::Halfword,
        4 => AccessWidth::Word,
        8 => AccessWidth::Doubleword,
        _ => return None,
    })
}

/// The addresses of so many bits.
const fn address_mask(bits: u32) -> u64 {
    u64::MAX >> (64 - bits)
}

/// Whether a prefix names DS, which the crate does not tell from no prefix.
fn names_ds(bytes: &[u8]) -> bool {
    const PREFIXES: [u8; 10] = [0x66, 0x67, 0xf2, 0xf3, 0x26, 0x2e, 0x36, DS, 0x64, 0x65];
    const DS: u8 = 0x3e;
    let mut prefixes = bytes.iter().take_while(|byte| PREFIXES.contains(byte));
    prefixes.any(|byte| *byte == DS)
}

/// The decoder of one mode. The crate has one for each, alike but for their types and names.
macro_rules! decoder {
    (
        $module:ident, $mode:ident,
        displaced $disp:ident,
        opcodes { $($opcode:ident)* },
        registers { $($class:ident $part:ident,)* },
        immediates { $($immediate:ident)* },
        absolute { $($absolute:ident)* },
        address_bits $address_bits:literal, with_prefix $other_address_bits:literal,
        rip { $($rip:ident)* },
    ) => {
        mod $module {
            use super::*;
            use $mode::{InstDecoder, Opcode, Operand, RegSpec, register_class};

            fn instruction(bytes: &[u8]) -> Option<$mode::Instruction> {
                InstDecoder::default().decode_slice(bytes).ok()
            }

            pub fn len(bytes: &[u8]) -> Option<u8> {
                u8::try_from(instruction(bytes)?.len().to_const()).ok()
            }

            pub fn decode(bytes: &[u8]) -> Option<Instruction> {
                let decoded = instruction(bytes)?;
                if decoded.prefixes.lock() {
                    return None;
                }
                let name = name(decoded.opcode())?;
                let count = decoded.operand_count();
                let place = (0..count.min(2)).find(|index| decoded.operand(*index).is_memory())?;
                let other = match count {
                    1 => None,
                    2 => Some(other(decoded.operand(1 - place))?),
                    _ => return None,
                };
                Some(Instruction {
                    len: u8::try_from(decoded.len().to_const()).ok()?,
                    width: width(decoded.mem_size()?.bytes_size()?)?,
                    memory: memory(&decoded, place, bytes)?,
                    operation: operation(name, place, other)?,
                })
            }

            fn name(opcode: Opcode) -> Option<Name> {
                match opcode {
                    $(Opcode::$opcode => Some(Name::$opcode),)*
                    _ => None,
                }
            }

            fn register(register: RegSpec) -> Option<Register> {
                let (class, number) = (register.class(), register.num());
                // Without REX, 4 to 7 are the high bytes of 0 to 3.
                if class == register_class::B && number >= 4 {
                    let part = RegisterPart::HighByte;
                    let number = number - 4;
                    return Some(Register { number, part });
                }
                $(if class == register_class::$class {
                    let part = RegisterPart::$part;
                    return Some(Register { number, part });
                })*
                None
            }

            fn other(operand: Operand) -> Option<Other> {
                Some(match operand {
                    Operand::Register { reg } => Other::Register(register(reg)?),
                    Operand::ImmediateI8 { imm } => Other::Immediate(imm as u64),
                    Operand::ImmediateU8 { imm } => Other::Immediate(imm.into()),
                    Operand::ImmediateI16 { imm } => Other::Immediate(imm as u64),
                    Operand::ImmediateU16 { imm } => Other::Immediate(imm.into()),
                    Operand::ImmediateI32 { imm } => Other::Immediate(imm as u64),
                    Operand::ImmediateU32 { imm } => Other::Immediate(imm.into()),
                    $(Operand::$immediate { imm } => Other::Immediate(imm as u64),)*
                    _ => return None,
                })
            }

            fn memory(
                decoded: &$mode::Instruction,
                place: u8,
                bytes: &[u8],
            ) -> Option<MemoryOperand> {
                // Not by the registers: some that the crate gives are too narrow.
                let address_mask = match decoded.prefixes.address_size() {
                    false => address_mask($address_bits),
                    true => address_mask($other_address_bits),
                };
                let (base, index, scale, displacement) = match decoded.operand(place) {
                    $(Operand::$absolute { addr } => {
                        // A displacement of 32 bits is sign-extended, as far as the mask goes.
                        let unused = 64 - 8 * size_of_val(&addr) as u32;
                        let displacement = ((addr as u64) << unused) as i64 >> unused;
                        return Some(MemoryOperand {
                            segment: segment(decoded, place, None, bytes),
                            base: None,
                            index: None,
                            scale: 1,
                            rip_relative: false,
                            displacement,
                            address_mask,
                        });
                    })*
                    Operand::MemDeref { base } => (Some(base), None, 1, 0),
                    Operand::$disp { base, disp } => (Some(base), None, 1, disp),
                    Operand::MemIndexScale { index, scale } => (None, Some(index), scale, 0),
                    Operand::MemIndexScaleDisp { index, scale, disp } => {
                        (None, Some(index), scale, disp)
                    }
                    Operand::MemBaseIndexScale { base, index, scale } => {
                        (Some(base), Some(index), scale, 0)
                    }
                    Operand::MemBaseIndexScaleDisp { base, index, scale, disp } => {
                        (Some(base), Some(index), scale, disp)
                    }
                    _ => return None,
                };
                let rip_relative = base.is_some_and(|base| {
                    [$(register_class::$rip),*].contains(&base.class())
                });
                let base = base.filter(|_| !rip_relative).map(|base| base.num());
                Some(MemoryOperand {
                    segment: segment(decoded, place, base, bytes),
                    base,
                    index: index.map(|index| index.num()),
                    scale,
                    rip_relative,
                    displacement: displacement.into(),
                    address_mask,
                })
            }

            fn segment(
                decoded: &$mode::Instruction,
                place: u8,
                base: Option<u8>,
                bytes: &[u8],
            ) -> Segment {
                match decoded.segment_override_for_op(place) {
                    Some($mode::Segment::ES) => Segment::Es,
                    Some($mode::Segment::CS) => Segment::Cs,
                    Some($mode::Segment::SS) => Segment::Ss,
                    Some($mode::Segment::FS) => Segment::Fs,
                    Some($mode::Segment::GS) => Segment::Gs,
                    Some($mode::Segment::DS) => Segment::Ds,
                    // What is relative to SP or BP is on the stack.
                    None if matches!(base, Some(4 | 5)) && !names_ds(bytes) => Segment::Ss,
                    None => Segment::Ds,
                }
            }
        }
    };
}

decoder! {
    long, long_mode,
    displaced Disp,
    opcodes {
        MOV MOVZX MOVSX MOVSXD ADD OR ADC SBB AND SUB XOR CMP TEST INC DEC NEG NOT XCHG
    },
    registers { B LowByte, RB LowByte, W Word, D Doubleword, Q Quadword, },
    immediates { ImmediateI64 ImmediateU64 },
    absolute { AbsoluteU32 AbsoluteU64 },
    address_bits 64, with_prefix 32,
    rip { RIP EIP },
}

decoder! {
    protected, protected_mode,
    displaced Disp,
    opcodes { MOV MOVZX MOVSX ADD OR ADC SBB AND SUB XOR CMP TEST INC DEC NEG NOT XCHG },
    registers { B LowByte, W Word, D Doubleword, },
    immediates {},
    absolute { AbsoluteU16 AbsoluteU32 },
    address_bits 32, with_prefix 16,
    rip {},
}

decoder! {
    real, real_mode,
    displaced MemDisp,
    opcodes { MOV MOVZX MOVSX ADD OR ADC SBB AND SUB XOR CMP TEST INC DEC NEG NOT XCHG },
    registers { B LowByte, W Word, D Doubleword, },
    immediates {},
    absolute { AbsoluteU16 AbsoluteU32 },
    address_bits 16, with_prefix 32,
    rip {},
}
