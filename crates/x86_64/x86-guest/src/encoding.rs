//! What stands around an opcode: prefixes, REX, ModRM and SIB, displacement and immediate.
//!
//! Used by `decode`, which knows the opcodes. Invariant: no bytes panic; what is cut off after
//! any byte is `None`.
//!
//! ```text
//!   66 67 f2 f3 2e..65   REX      opcode        ModRM  SIB  displacement  immediate
//!   any, in any order    at most  1 to 3 bytes  0..1   0..1   0..8          0..8
//!                        one, last
//! ```
//!
//! Specification: AMD APM volume 3, 1.2 (encoding), 1.4 (ModRM and SIB), 1.5 (displacement), 1.6
//! (immediates); Intel SDM volume 2, 2.1, 2.2.

use crate::Mode;
use crate::instruction::{MemoryOperand, Register, RegisterPart, Segment};
use guest_access::AccessWidth;

/// The last prefix of F2 and F3.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// F2.
    NotEqual,
    /// F3.
    Equal,
}

/// The prefixes of an instruction.
#[derive(Clone, Copy, Default)]
pub struct Prefixes {
    /// 66.
    pub operand_size: bool,
    /// 67.
    address_size: bool,
    /// F0.
    pub lock: bool,
    /// F2 or F3.
    pub repeat: Option<Repeat>,
    segment: Option<Segment>,
    /// 40 to 4F, in 64-bit mode.
    rex: Option<u8>,
}

/// REX: the operand is 64 bits wide.
const REX_W: u8 = 1 << 3;
/// REX: the upper bit of the register's number.
const REX_R: u8 = 1 << 2;
/// REX: that of the index.
const REX_X: u8 = 1 << 1;
/// REX: that of the base.
const REX_B: u8 = 1 << 0;

const RBX: u8 = 3;
const RSP: u8 = 4;
const RBP: u8 = 5;
const RSI: u8 = 6;
const RDI: u8 = 7;

/// An instruction's bytes, of which the first few have been read.
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    mode: Mode,
    /// What came before the opcode.
    pub prefixes: Prefixes,
}

/// A ModRM byte whose operand is memory.
pub struct ModRm {
    /// Its middle field, without what REX adds: a part of the opcode.
    pub extension: u8,
    /// The number of the register that it names.
    pub register: u8,
    /// Where the operand is.
    pub memory: MemoryOperand,
}

impl<'a> Reader<'a> {
    /// Reads the prefixes.
    pub fn new(bytes: &'a [u8], mode: Mode) -> Option<Self> {
        let mut prefixes = Prefixes::default();
        let mut at = 0;
        loop {
            let byte = *bytes.get(at)?;
            if mode == Mode::Long && byte & 0xf0 == 0x40 {
                // Only the one before the opcode counts.
                prefixes.rex = Some(byte);
                at += 1;
                continue;
            }
            let segment = match byte {
                0x26 => Some(Segment::Es),
                0x2e => Some(Segment::Cs),
                0x36 => Some(Segment::Ss),
                0x3e => Some(Segment::Ds),
                0x64 => Some(Segment::Fs),
                0x65 => Some(Segment::Gs),
                _ => None,
            };
            match byte {
                0x66 => prefixes.operand_size = true,
                0x67 => prefixes.address_size = true,
                0xf0 => prefixes.lock = true,
                0xf2 => prefixes.repeat = Some(Repeat::NotEqual),
                0xf3 => prefixes.repeat = Some(Repeat::Equal),
                // In 64-bit mode the other segments' prefixes do nothing.
                0x26 | 0x2e | 0x36 | 0x3e if mode == Mode::Long => {}
                _ if segment.is_some() => prefixes.segment = segment,
                _ => break,
            }
            prefixes.rex = None;
            at += 1;
        }
        Some(Self {
            bytes,
            at,
            mode,
            prefixes,
        })
    }

    /// How many bytes have been read.
    pub fn len(&self) -> Option<u8> {
        u8::try_from(self.at).ok()
    }

    /// How the CPU reads the code.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The next byte.
    pub fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// The next number of so many bytes, at most 8, sign-extended.
    fn number(&mut self, len: usize) -> Option<i64> {
        let bytes = self.bytes.get(self.at..self.at + len)?;
        self.at += len;
        let mut all = [0; 8];
        all.get_mut(..len)?.copy_from_slice(bytes);
        let unused = 64 - 8 * len as u32;
        Some((u64::from_le_bytes(all) << unused) as i64 >> unused)
    }

    /// An immediate of one byte, sign-extended.
    pub fn immediate_byte(&mut self) -> Option<u64> {
        Some(self.number(1)? as u64)
    }

    /// An immediate for an operand of this width: at most four bytes, sign-extended.
    pub fn immediate(&mut self, width: AccessWidth) -> Option<u64> {
        Some(self.number(width.bytes().min(4) as usize)? as u64)
    }

    /// The operand's width, if the opcode does not say another.
    pub fn operand_width(&self) -> AccessWidth {
        let other = self.prefixes.operand_size;
        if self.has(REX_W) {
            AccessWidth::Doubleword
        } else if (self.mode == Mode::Real) != other {
            AccessWidth::Halfword
        } else {
            AccessWidth::Word
        }
    }

    /// The width of what goes to the stack, if the opcode does not say another.
    pub fn stack_width(&self) -> AccessWidth {
        match self.mode {
            Mode::Long if self.operand_width() == AccessWidth::Halfword => AccessWidth::Halfword,
            Mode::Long => AccessWidth::Doubleword,
            Mode::Protected | Mode::Real => self.operand_width(),
        }
    }

    fn has(&self, rex: u8) -> bool {
        self.prefixes.rex.unwrap_or(0) & rex != 0
    }

    fn address_bits(&self) -> u32 {
        match (self.mode, self.prefixes.address_size) {
            (Mode::Long, false) => 64,
            (Mode::Long, true) | (Mode::Protected, false) | (Mode::Real, true) => 32,
            (Mode::Protected, true) | (Mode::Real, false) => 16,
        }
    }

    fn address_mask(&self) -> u64 {
        u64::MAX >> (64 - self.address_bits())
    }

    /// The general register with this number, or its part.
    pub fn register(&self, number: u8, width: AccessWidth) -> Register {
        let part = match width {
            // Without REX, 4 to 7 are the high bytes of 0 to 3.
            AccessWidth::Byte if number & 4 != 0 && self.prefixes.rex.is_none() => {
                let part = RegisterPart::HighByte;
                return Register {
                    number: number & 3,
                    part,
                };
            }
            AccessWidth::Byte => RegisterPart::LowByte,
            AccessWidth::Halfword => RegisterPart::Word,
            AccessWidth::Word => RegisterPart::Doubleword,
            AccessWidth::Doubleword => RegisterPart::Quadword,
        };
        Register { number, part }
    }

    /// AL, AX, EAX or RAX.
    pub fn accumulator(&self, width: AccessWidth) -> Register {
        self.register(0, width)
    }

    /// The segment of an operand whose default one is `default`.
    fn segment(&self, default: Segment) -> Segment {
        self.prefixes.segment.unwrap_or(default)
    }

    /// An operand at a register, in this segment if no prefix names another.
    fn at_register(&self, number: u8, segment: Segment) -> MemoryOperand {
        MemoryOperand {
            segment,
            base: Some(number),
            index: None,
            scale: 1,
            rip_relative: false,
            displacement: 0,
            address_mask: self.address_mask(),
        }
    }

    /// Where a string instruction reads.
    pub fn string_source(&self) -> MemoryOperand {
        self.at_register(RSI, self.segment(Segment::Ds))
    }

    /// Where a string instruction writes; no prefix moves that to another segment.
    pub fn string_destination(&self) -> MemoryOperand {
        self.at_register(RDI, Segment::Es)
    }

    /// The operand at `displacement` from the top of the stack. The stack's addresses are as wide
    /// as the mode's: a stack of another width beside 32-bit code is presumed not to be there.
    pub fn stack(&self, displacement: i64) -> MemoryOperand {
        MemoryOperand {
            displacement,
            address_mask: match self.mode {
                Mode::Long => u64::MAX,
                Mode::Protected => 0xffff_ffff,
                Mode::Real => 0xffff,
            },
            ..self.at_register(RSP, Segment::Ss)
        }
    }

    /// An operand whose address is in the instruction.
    pub fn absolute(&mut self) -> Option<MemoryOperand> {
        let displacement = self.number(self.address_bits() as usize / 8)?;
        Some(MemoryOperand {
            base: None,
            displacement,
            ..self.at_register(0, self.segment(Segment::Ds))
        })
    }

    /// A ModRM byte and what belongs to it; `None` if its operand is a register.
    pub fn modrm(&mut self) -> Option<ModRm> {
        let byte = self.byte()?;
        let (form, extension, low) = (byte >> 6, byte >> 3 & 7, byte & 7);
        if form == 3 {
            return None;
        }
        let memory = if self.address_bits() == 16 {
            self.memory_of_16_bits(form, low)?
        } else {
            self.memory(form, low)?
        };
        let upper = if self.has(REX_R) { 8 } else { 0 };
        Some(ModRm {
            extension,
            register: extension | upper,
            memory,
        })
    }

    fn displacement(&mut self, form: u8, wide: usize) -> Option<i64> {
        match form {
            0 => Some(0),
            1 => self.number(1),
            _ => self.number(wide),
        }
    }

    fn memory_of_16_bits(&mut self, form: u8, low: u8) -> Option<MemoryOperand> {
        let (mut base, index) = match low {
            0 => (Some(RBX), Some(RSI)),
            1 => (Some(RBX), Some(RDI)),
            2 => (Some(RBP), Some(RSI)),
            3 => (Some(RBP), Some(RDI)),
            4 => (Some(RSI), None),
            5 => (Some(RDI), None),
            6 => (Some(RBP), None),
            _ => (Some(RBX), None),
        };
        let displacement = if form == 0 && low == 6 {
            base = None;
            self.number(2)?
        } else {
            self.displacement(form, 2)?
        };
        Some(self.operand(base, index, 1, displacement))
    }

    fn memory(&mut self, form: u8, low: u8) -> Option<MemoryOperand> {
        let upper = |is_set| if is_set { 8 } else { 0 };
        let (upper_base, upper_index) = (upper(self.has(REX_B)), upper(self.has(REX_X)));
        if low == 4 {
            let sib = self.byte()?;
            let (scale, index, low) = (1 << (sib >> 6), sib >> 3 & 7 | upper_index, sib & 7);
            // RSP is no index; R12 is one.
            let index = (index != RSP).then_some(index);
            let (base, displacement) = if form == 0 && low == RBP {
                (None, self.number(4)?)
            } else {
                (Some(low | upper_base), self.displacement(form, 4)?)
            };
            return Some(self.operand(base, index, scale, displacement));
        }
        if form == 0 && low == RBP {
            let displacement = self.number(4)?;
            let operand = self.operand(None, None, 1, displacement);
            return Some(MemoryOperand {
                rip_relative: self.mode == Mode::Long,
                ..operand
            });
        }
        let displacement = self.displacement(form, 4)?;
        Some(self.operand(Some(low | upper_base), None, 1, displacement))
    }

    fn operand(
        &self,
        base: Option<u8>,
        index: Option<u8>,
        scale: u8,
        displacement: i64,
    ) -> MemoryOperand {
        // What is relative to SP or BP is on the stack.
        let default = match base {
            Some(RSP | RBP) => Segment::Ss,
            _ => Segment::Ds,
        };
        MemoryOperand {
            segment: self.segment(default),
            base,
            index,
            scale,
            rip_relative: false,
            displacement,
            address_mask: self.address_mask(),
        }
    }
}
