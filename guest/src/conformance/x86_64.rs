//! x86 instructions in 64-bit mode for the table's cases.
//!
//! Register contract: RSI is the base, and RDI the same for the string that stores there; RAX
//! (or XMM0) is moved, or the other operand; RCX is the index. AMD APM volume 3, 1.2
//! (encoding), chapter 3; volume 4.

use super::{Abilities, Column, Direction, Exclusion};

/// The rows of x86: eight ways to an address, then what else an instruction does at `[rsi]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// MOV, the base register alone.
    Base,
    /// The base and a constant of one byte.
    Displacement8,
    /// The base and a constant of four bytes.
    Displacement32,
    /// The base, an index times the width, and a constant.
    Index,
    /// An address of eight bytes in the instruction.
    Absolute,
    /// An address of four bytes in the instruction.
    Absolute32,
    /// Relative to the next instruction.
    RipRelative,
    /// With a base of 32 bits.
    Address32,
    /// MOV of AH.
    HighByte,
    /// MOV of R8.
    UpperRegister,
    /// MOVZX.
    ZeroExtended,
    /// MOV of a constant.
    Immediate,
    /// ADD to the register.
    AddToRegister,
    /// ADD to memory.
    AddToMemory,
    /// SBB of a constant of one byte.
    SubtractConstant,
    /// XOR to memory.
    Xor,
    /// CMP of memory with the register.
    Compare,
    /// TEST.
    Test,
    /// INC.
    Increment,
    /// NEG.
    Negate,
    /// XCHG.
    Exchange,
    /// SHL by one.
    Shift,
    /// SAR by a constant.
    ShiftByConstant,
    /// ROR by CL.
    Rotate,
    /// IMUL with the register.
    Multiply,
    /// MUL of the accumulator: two registers.
    MultiplyAccumulator,
    /// SETB.
    SetCondition,
    /// CMOVB.
    ConditionalMove,
    /// BSF.
    BitScan,
    /// POPCNT.
    Population,
    /// MOVBE.
    Swapped,
    /// BTS.
    BitTest,
    /// XADD.
    ExchangeAdd,
    /// CMPXCHG.
    CompareExchange,
    /// LODS and STOS.
    String,
    /// MOVS from where it goes to.
    StringMove,
    /// REP LODS and REP STOS, of one element.
    RepeatedString,
    /// LOCK ADD.
    Locked,
    /// MOVD, MOVQ, MOVUPS.
    Vector,
}

/// What the index register has to hold.
pub const INDEX: u64 = 0x40;

/// The longest that is made here.
const MAX_LEN: usize = 15;

/// One instruction, and what the base register holds before it, minus the address that is
/// accessed.
#[derive(Debug, Clone, Copy)]
pub struct Instruction {
    bytes: [u8; MAX_LEN],
    len: usize,
    /// The base register minus the address.
    pub base: i64,
}

impl Instruction {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl super::Form for Form {
    const ALL: &'static [Self] = &[
        Self::Base,
        Self::Displacement8,
        Self::Displacement32,
        Self::Index,
        Self::Absolute,
        Self::Absolute32,
        Self::RipRelative,
        Self::Address32,
        Self::HighByte,
        Self::UpperRegister,
        Self::ZeroExtended,
        Self::Immediate,
        Self::AddToRegister,
        Self::AddToMemory,
        Self::SubtractConstant,
        Self::Xor,
        Self::Compare,
        Self::Test,
        Self::Increment,
        Self::Negate,
        Self::Exchange,
        Self::Shift,
        Self::ShiftByConstant,
        Self::Rotate,
        Self::Multiply,
        Self::MultiplyAccumulator,
        Self::SetCondition,
        Self::ConditionalMove,
        Self::BitScan,
        Self::Population,
        Self::Swapped,
        Self::BitTest,
        Self::ExchangeAdd,
        Self::CompareExchange,
        Self::String,
        Self::StringMove,
        Self::RepeatedString,
        Self::Locked,
        Self::Vector,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Displacement8 => "disp8",
            Self::Displacement32 => "disp32",
            Self::Index => "index",
            Self::Absolute => "moffs",
            Self::Absolute32 => "absolute",
            Self::RipRelative => "rip-relative",
            Self::Address32 => "address32",
            Self::HighByte => "high byte",
            Self::UpperRegister => "r8",
            Self::ZeroExtended => "movzx",
            Self::Immediate => "immediate",
            Self::AddToRegister => "add to reg",
            Self::AddToMemory => "add",
            Self::SubtractConstant => "sbb imm8",
            Self::Xor => "xor",
            Self::Compare => "cmp",
            Self::Test => "test",
            Self::Increment => "inc",
            Self::Negate => "neg",
            Self::Exchange => "xchg",
            Self::Shift => "shl",
            Self::ShiftByConstant => "sar imm8",
            Self::Rotate => "ror cl",
            Self::Multiply => "imul",
            Self::MultiplyAccumulator => "mul",
            Self::SetCondition => "setb",
            Self::ConditionalMove => "cmovb",
            Self::BitScan => "bsf",
            Self::Population => "popcnt",
            Self::Swapped => "movbe",
            Self::BitTest => "bts",
            Self::ExchangeAdd => "xadd",
            Self::CompareExchange => "cmpxchg",
            Self::String => "string",
            Self::StringMove => "movs",
            Self::RepeatedString => "rep string",
            Self::Locked => "lock add",
            Self::Vector => "vector",
        }
    }

    fn elements(self) -> u64 {
        1
    }

    fn excluded(self, column: Column, _: u64, _: Abilities) -> Option<Exclusion> {
        instruction(self, column, 0, 0)
            .is_none()
            .then_some(Exclusion::NoSuchInstruction)
    }

    fn is_unsupported(self, _: Abilities) -> bool {
        matches!(self, Self::Locked | Self::Vector)
    }
}

impl Form {
    /// The flags that the manual leaves undefined after it.
    pub const fn undefined_flags(self) -> u64 {
        const PARITY: u64 = 1 << 2;
        const AUXILIARY: u64 = 1 << 4;
        const ZERO: u64 = 1 << 6;
        const SIGN: u64 = 1 << 7;
        const OVERFLOW: u64 = 1 << 11;
        const CARRY: u64 = 1 << 0;
        match self {
            Self::Shift => AUXILIARY,
            Self::ShiftByConstant => AUXILIARY | OVERFLOW,
            Self::Multiply | Self::MultiplyAccumulator => SIGN | ZERO | AUXILIARY | PARITY,
            Self::BitScan => CARRY | OVERFLOW | SIGN | AUXILIARY | PARITY,
            Self::BitTest => OVERFLOW | SIGN | AUXILIARY | PARITY,
            _ => 0,
        }
    }

    /// What RCX has to hold.
    pub const fn rcx(self) -> u64 {
        match self {
            Self::Rotate | Self::RepeatedString => 1,
            _ => INDEX,
        }
    }
}

/// Fields of the ModRM byte: `[rsi]`, with a constant of 1 or 4 bytes, with a SIB byte; the
/// register in `reg` is added by the caller.
mod modrm {
    pub const BASE: u8 = 0b00_000_110;
    pub const DISPLACEMENT_8: u8 = 0b01_000_110;
    pub const DISPLACEMENT_32: u8 = 0b10_000_110;
    pub const SIB: u8 = 0b00_000_100;
    pub const SIB_DISPLACEMENT_8: u8 = 0b01_000_100;
    pub const RIP: u8 = 0b00_000_101;
}

const OPERAND_SIZE: u8 = 0x66;
const ADDRESS_SIZE: u8 = 0x67;
const LOCK: u8 = 0xf0;
const REPEAT: u8 = 0xf3;
const REX: u8 = 0x40;
const REX_W: u8 = 1 << 3;
const REX_R: u8 = 1 << 2;
const DISPLACEMENT: i8 = -0x30;
const CONSTANT: [u8; 4] = [0xb4, 0xc3, 0xd2, 0x91];

/// The instruction of a form that accesses `address`, for the place `code`, if there is one of
/// that direction and width.
pub fn instruction(form: Form, column: Column, address: u64, code: u64) -> Option<Instruction> {
    use Direction::{Read, ReadSigned32, ReadSigned64, Write};
    let width = column.width;
    let wide = u8::from(width != 1);
    let plain = matches!(column.direction, Read | Write) && width <= 8;
    let (reads, writes) = (
        plain && column.direction == Read,
        plain && column.direction == Write,
    );
    let mut made = Encoder::default();
    let mut base = 0;

    // Opcode, register or extension of the opcode, and how wide the instruction says it is.
    let (opcode, reg, operand_len): (&[u8], u8, u64) = match form {
        Form::HighByte => match column.direction {
            Read if width == 1 => (&[0x8a], 4, 1),
            Write if width == 1 => (&[0x88], 4, 1),
            _ => return None,
        },
        Form::ZeroExtended => match (column.direction, width) {
            (Read, 1) => (&[0x0f, 0xb6], 0, 4),
            (Read, 2) => (&[0x0f, 0xb7], 0, 4),
            _ => return None,
        },
        Form::Immediate if writes => (&[0xc6 | wide], 0, width),
        Form::AddToRegister if reads => (&[0x02 | wide], 0, width),
        Form::AddToMemory | Form::Locked if writes => (&[wide], 0, width),
        Form::SubtractConstant if writes => (if wide == 0 { &[0x80] } else { &[0x83] }, 3, width),
        Form::Xor if writes => (&[0x30 | wide], 0, width),
        Form::Compare if reads => (&[0x38 | wide], 0, width),
        Form::Test if reads => (&[0x84 | wide], 0, width),
        Form::Increment if writes => (&[0xfe | wide], 0, width),
        Form::Negate if writes => (&[0xf6 | wide], 3, width),
        Form::Exchange if writes => (&[0x86 | wide], 0, width),
        Form::ShiftByConstant if writes => (&[0xc0 | wide], 7, width),
        Form::Rotate if writes => (&[0xd2 | wide], 1, width),
        Form::Multiply if reads && width != 1 => (&[0x0f, 0xaf], 0, width),
        Form::MultiplyAccumulator if reads => (&[0xf6 | wide], 4, width),
        Form::SetCondition if writes && width == 1 => (&[0x0f, 0x92], 0, width),
        Form::ConditionalMove if reads && width != 1 => (&[0x0f, 0x42], 0, width),
        Form::BitScan if reads && width != 1 => (&[0x0f, 0xbc], 0, width),
        Form::Population if reads && width != 1 => (&[0x0f, 0xb8], 0, width),
        Form::Swapped if reads && width != 1 => (&[0x0f, 0x38, 0xf0], 0, width),
        Form::Swapped if writes && width != 1 => (&[0x0f, 0x38, 0xf1], 0, width),
        Form::ExchangeAdd if writes => (&[0x0f, 0xc0 | wide], 0, width),
        Form::CompareExchange if writes => (&[0x0f, 0xb0 | wide], 1, width),
        Form::BitTest if writes && width != 1 => (&[0x0f, 0xba], 5, width),
        Form::Shift if writes => (&[0xd0 | wide], 4, width),
        Form::String | Form::RepeatedString if reads => (&[0xac | wide], 0, width),
        Form::String | Form::RepeatedString if writes => (&[0xaa | wide], 0, width),
        Form::StringMove if writes => (&[0xa4 | wide], 0, width),
        Form::Absolute if reads => (&[0xa0 | wide], 0, width),
        Form::Absolute if writes => (&[0xa2 | wide], 0, width),
        Form::Vector => match (column.direction, width) {
            (Read, 4) => (&[0x0f, 0x6e], 0, 2),
            (Write, 4) => (&[0x0f, 0x7e], 0, 2),
            (Read, 8) => (&[0x0f, 0x12], 0, 2),
            (Write, 8) => (&[0x0f, 0x13], 0, 2),
            (Read, 16) => (&[0x0f, 0x10], 0, 4),
            (Write, 16) => (&[0x0f, 0x11], 0, 4),
            _ => return None,
        },
        Form::Base
        | Form::Displacement8
        | Form::Displacement32
        | Form::Index
        | Form::Absolute32
        | Form::RipRelative
        | Form::Address32
        | Form::UpperRegister => match (column.direction, width) {
            (Read, 1..=8) => (&[0x8a | wide], 0, width),
            (Write, 1..=8) => (&[0x88 | wide], 0, width),
            (ReadSigned32, 1) => (&[0x0f, 0xbe], 0, 4),
            (ReadSigned32, 2) => (&[0x0f, 0xbf], 0, 4),
            (ReadSigned64, 1) => (&[0x0f, 0xbe], 0, 8),
            (ReadSigned64, 2) => (&[0x0f, 0xbf], 0, 8),
            (ReadSigned64, 4) => (&[0x63], 0, 8),
            _ => return None,
        },
        _ => return None,
    };

    match form {
        Form::Locked => made.put(&[LOCK]),
        Form::RepeatedString | Form::Population => made.put(&[REPEAT]),
        _ => {}
    }
    if matches!(form, Form::Address32 | Form::Absolute32) {
        made.put(&[ADDRESS_SIZE]);
    }
    if operand_len == 2 {
        made.put(&[OPERAND_SIZE]);
    }
    let mut rex = 0;
    if operand_len == 8 {
        rex |= REX | REX_W;
    }
    if form == Form::UpperRegister {
        rex |= REX | REX_R;
    }
    if rex != 0 {
        made.put(&[rex]);
    }
    made.put(opcode);
    let reg = reg << 3;
    let displacement = address as u32;
    match form {
        Form::String | Form::StringMove | Form::RepeatedString => {}
        Form::Absolute => made.put(&address.to_le_bytes()),
        Form::Displacement8 => {
            base = -i64::from(DISPLACEMENT);
            made.put(&[modrm::DISPLACEMENT_8 | reg, DISPLACEMENT as u8]);
        }
        Form::Displacement32 => {
            let displacement = 0x1234_5678_i32;
            base = -i64::from(displacement);
            made.put(&[modrm::DISPLACEMENT_32 | reg]);
            made.put(&displacement.to_le_bytes());
        }
        Form::Index => {
            const INDEX_RCX: u8 = 1 << 3;
            const BASE_RSI: u8 = 6;
            let scale = width.min(8);
            base = -(INDEX as i64 * scale as i64) - i64::from(DISPLACEMENT);
            let sib = (scale.trailing_zeros() as u8) << 6 | INDEX_RCX | BASE_RSI;
            made.put(&[modrm::SIB_DISPLACEMENT_8 | reg, sib, DISPLACEMENT as u8]);
        }
        Form::Absolute32 => {
            const NO_INDEX_NO_BASE: u8 = 0x25;
            made.put(&[modrm::SIB | reg, NO_INDEX_NO_BASE]);
            made.put(&displacement.to_le_bytes());
        }
        Form::RipRelative => {
            made.put(&[modrm::RIP | reg]);
            let next = code.wrapping_add(made.len as u64 + 4);
            made.put(&(address.wrapping_sub(next) as u32).to_le_bytes());
        }
        _ => made.put(&[modrm::BASE | reg]),
    }
    match form {
        Form::Immediate => made.put(&CONSTANT[..width.min(4) as usize]),
        Form::SubtractConstant => made.put(&[0x85]),
        Form::BitTest | Form::ShiftByConstant => made.put(&[3]),
        _ => {}
    }
    Some(Instruction {
        bytes: made.bytes,
        len: made.len,
        base,
    })
}

#[derive(Default)]
struct Encoder {
    bytes: [u8; MAX_LEN],
    len: usize,
}

impl Encoder {
    fn put(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        self.bytes[self.len..end].copy_from_slice(bytes);
        self.len = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(form: Form, direction: Direction, width: u64) -> Instruction {
        let column = Column { direction, width };
        instruction(form, column, 0x8000_1ffc, 0x4008_d000).expect("there is one")
    }

    /// The bytes are an assembler's.
    #[test]
    fn instructions_are_those_that_an_assembler_makes() {
        use Direction::{Read, ReadSigned64, Write};
        for (form, direction, width, wanted) in [
            (Form::Base, Read, 4, &[0x8b, 0x06][..]),
            (Form::Base, ReadSigned64, 4, &[0x48, 0x63, 0x06]),
            (Form::Displacement8, Write, 2, &[0x66, 0x89, 0x46, 0xd0]),
            (Form::Index, Read, 8, &[0x48, 0x8b, 0x44, 0xce, 0xd0]),
            (
                Form::RipRelative,
                Read,
                4,
                &[0x8b, 0x05, 0xf6, 0x4f, 0xf7, 0x3f],
            ),
            (
                Form::Absolute32,
                Write,
                1,
                &[0x67, 0x88, 0x04, 0x25, 0xfc, 0x1f, 0x00, 0x80],
            ),
            (Form::HighByte, Read, 1, &[0x8a, 0x26]),
            (Form::UpperRegister, Write, 8, &[0x4c, 0x89, 0x06]),
            (Form::Immediate, Write, 2, &[0x66, 0xc7, 0x06, 0xb4, 0xc3]),
            (Form::SubtractConstant, Write, 4, &[0x83, 0x1e, 0x85]),
            (Form::Locked, Write, 4, &[0xf0, 0x01, 0x06]),
            (Form::Negate, Write, 1, &[0xf6, 0x1e]),
            (Form::ShiftByConstant, Write, 2, &[0x66, 0xc1, 0x3e, 0x03]),
            (Form::Rotate, Write, 1, &[0xd2, 0x0e]),
            (Form::Multiply, Read, 8, &[0x48, 0x0f, 0xaf, 0x06]),
            (Form::SetCondition, Write, 1, &[0x0f, 0x92, 0x06]),
            (Form::Population, Read, 2, &[0xf3, 0x66, 0x0f, 0xb8, 0x06]),
            (Form::Swapped, Write, 4, &[0x0f, 0x38, 0xf1, 0x06]),
            (Form::RepeatedString, Write, 4, &[0xf3, 0xab]),
            (Form::StringMove, Write, 8, &[0x48, 0xa5]),
            (Form::Vector, Write, 16, &[0x0f, 0x11, 0x06]),
        ] {
            assert_eq!(bytes(form, direction, width).bytes(), wanted, "{form:?}");
        }
    }

    #[test]
    fn the_base_leads_to_the_address() {
        let made = bytes(Form::Index, Direction::Read, 4);
        assert_eq!(made.base + 4 * INDEX as i64 + i64::from(DISPLACEMENT), 0);
    }
}
