//! The decoder of x86 instructions and what they do, with the bytes at a guest's instruction
//! pointer, in any mode.
//!
//! The results of MOV and the arithmetic are restated from the AMD APM, volume 1, 3.1.4 (flags), and
//! volume 3, 1.2 to 1.7 and chapter 3, in arithmetic of 128 bits; they are not taken from `execute`.
//! Of the other forms a CPU is the judge, in x86-guest's test `any_encoding`; here they must not
//! panic and must keep to their widths.

use crate::script::Script;
use crate::targets::x86_registers::X86Registers;
use x86_guest::{
    Alu, Code, Effect, Instruction, MemoryOperand, Mode, Operation, Register, RegisterPart,
    Registers, Segment, Source, Steps, Unary, decode, instruction_len,
};

/// Bytes of the longest instruction.
const LONGEST: usize = 15;

const CARRY: u64 = 1 << 0;
const PARITY: u64 = 1 << 2;
const AUXILIARY: u64 = 1 << 4;
const ZERO: u64 = 1 << 6;
const SIGN: u64 = 1 << 7;
const OVERFLOW: u64 = 1 << 11;
const STATUS: u64 = CARRY | PARITY | AUXILIARY | ZERO | SIGN | OVERFLOW;

fn mode(script: &mut Script<'_>) -> Mode {
    [Mode::Long, Mode::Protected, Mode::Real][usize::from(script.byte() % 3)]
}

pub(crate) fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let mode = mode(&mut script);
    let len = usize::from(script.byte()) % (LONGEST + 2);
    let bytes: Vec<u8> = (0..len).map(|_| script.byte()).collect();
    let (rflags, read, next_rip) = (script.little_endian(2), script.number(), script.number());
    let mut cpu = X86Registers {
        rflags,
        ..X86Registers::reset(mode)
    };
    // Those that are used stand first: RAX, RCX and so on.
    for register in cpu.gprs.iter_mut().chain(&mut cpu.bases) {
        *register = script.number();
    }

    let code = Code::new(&bytes);
    if let Some(len) = instruction_len(&code, mode).map(usize::from) {
        assert!((1..=bytes.len().min(LONGEST)).contains(&len));
        let exactly = Code::new(&bytes[..len]);
        assert_eq!(instruction_len(&exactly, mode), Some(len as u8));
        assert_eq!(instruction_len(&Code::new(&bytes[..len - 1]), mode), None);
    }
    let decoded = decode(&code, mode);
    if let Some(instruction) = decoded {
        // What follows an instruction is none of its business, and all before its end is.
        let len = usize::from(instruction.len);
        assert!((1..=bytes.len().min(LONGEST)).contains(&len));
        assert_eq!(decode(&Code::new(&bytes[..len]), mode), decoded);
        assert_eq!(decode(&Code::new(&bytes[..len - 1]), mode), None);
        check_encoding(&instruction, &bytes[..len], mode);
        check_operand(&instruction.memory, &cpu, next_rip);
        check_effect(&instruction, read, &cpu);
    }
}

/// What the prefixes say (volume 3, 1.2), and which registers there are.
fn check_encoding(instruction: &Instruction, bytes: &[u8], mode: Mode) {
    const REX: core::ops::RangeInclusive<u8> = 0x40..=0x4f;
    let is_prefix = |byte: &u8| match byte {
        0x66 | 0x67 | 0x2e | 0x36 | 0x3e | 0x26 | 0x64 | 0x65 | 0xf0 | 0xf2 | 0xf3 => true,
        other => mode == Mode::Long && REX.contains(other),
    };
    let prefixes: Vec<u8> = bytes.iter().copied().take_while(is_prefix).collect();
    assert!(prefixes.len() < bytes.len());
    // LOCK is not carried out.
    assert!(!prefixes.contains(&0xf0));

    // POP reads the stack, whatever the prefixes say.
    let memory = match (instruction.steps, &instruction.written) {
        (Steps::Pop, Some(written)) => written,
        _ => &instruction.memory,
    };
    let other_size = prefixes.contains(&0x67);
    let address_bits = match (mode, other_size) {
        (Mode::Long, false) => 64,
        (Mode::Long, true) | (Mode::Protected, false) | (Mode::Real, true) => 32,
        (Mode::Protected, true) | (Mode::Real, false) => 16,
    };
    assert_eq!(memory.address_mask, u64::MAX >> (64 - address_bits));

    let overrides: Vec<Segment> = prefixes
        .iter()
        .filter_map(|prefix| match prefix {
            0x26 => Some(Segment::Es),
            0x2e => Some(Segment::Cs),
            0x36 => Some(Segment::Ss),
            0x3e => Some(Segment::Ds),
            0x64 => Some(Segment::Fs),
            0x65 => Some(Segment::Gs),
            _ => None,
        })
        .collect();
    let has_base = |segment: &Segment| matches!(segment, Segment::Fs | Segment::Gs);
    // By RSP or RBP one reaches the stack.
    let is_destination = matches!(instruction.steps, Steps::String { source: false, .. });
    let by_default = match memory.base {
        Some(4 | 5) => Segment::Ss,
        _ => Segment::Ds,
    };
    match (mode, overrides.as_slice()) {
        // Where a string goes to no prefix says.
        _ if is_destination => assert_eq!(memory.segment, Segment::Es),
        (_, []) => assert_eq!(memory.segment, by_default),
        (Mode::Long, [one]) if !has_base(one) => assert!(!has_base(&memory.segment)),
        (_, [one]) => assert_eq!(memory.segment, *one),
        // Which one of several counts is not said.
        (_, several) => assert!(several.contains(&memory.segment) || mode == Mode::Long),
    }

    let registers = if mode == Mode::Long { 16 } else { 8 };
    for number in [memory.base, memory.index].into_iter().flatten() {
        assert!(number < registers);
    }
    assert!([1, 2, 4, 8].contains(&memory.scale));
    if address_bits != 16 {
        // RSP is no index.
        assert_ne!(memory.index, Some(4));
    }
    if memory.rip_relative {
        assert_eq!(mode, Mode::Long);
        assert_eq!((memory.base, memory.index), (None, None));
    }
    let width = instruction.width;
    let named = match instruction.operation {
        Operation::Load(register)
        | Operation::LoadSigned(register)
        | Operation::Store(Source::Register(register))
        | Operation::ToMemory(_, Source::Register(register))
        | Operation::ToRegister(_, register)
        | Operation::Exchange(register) => Some(register),
        _ => None,
    };
    if let Some(register) = named {
        assert!(register.number < registers);
        if register.part == RegisterPart::HighByte {
            assert!(register.number < 4);
            // With REX these are SPL, BPL, SIL and DIL; only the last prefix can be one.
            assert!(!matches!(prefixes.last(), Some(last) if REX.contains(last)));
        }
        let part = register.part.width().bytes();
        match instruction.operation {
            Operation::Load(_) | Operation::LoadSigned(_) => assert!(width.bytes() <= part),
            _ => assert_eq!(width.bytes(), part),
        }
        assert!(mode == Mode::Long || part < 8);
    }
    assert!(mode == Mode::Long || width.bytes() < 8);
}

/// The address of the operand (volume 1, 2.2.3 and volume 3, 1.7).
fn check_operand(memory: &MemoryOperand, cpu: &X86Registers, next_rip: u64) {
    let term = |number: Option<u8>| number.map_or(0, |number| i128::from(cpu.gpr(number)));
    let mut sum = term(memory.base)
        + term(memory.index) * i128::from(memory.scale)
        + i128::from(memory.displacement);
    if memory.rip_relative {
        sum += i128::from(next_rip);
    }
    let effective = sum.rem_euclid(i128::from(memory.address_mask) + 1);
    let linear = effective + i128::from(cpu.segment_base(memory.segment));
    assert_eq!(memory.linear(cpu, next_rip), linear as u64);
}

fn bits(width_bytes: u64) -> u32 {
    8 * width_bytes as u32
}

fn low(value: u64, width_bits: u32) -> u64 {
    value & u64::MAX >> (64 - width_bits)
}

/// As a signed number of as many bits.
fn signed(value: u64, width_bits: u32) -> i128 {
    let value = i128::from(low(value, width_bits));
    match value >> (width_bits - 1) {
        0 => value,
        _ => value - (1 << width_bits),
    }
}

/// The part of a register that an instruction names.
fn part(register: Register, cpu: &X86Registers) -> u64 {
    let whole = cpu.gpr(register.number);
    match register.part {
        RegisterPart::HighByte => low(whole >> 8, 8),
        named => low(whole, bits(named.width().bytes())),
    }
}

/// What the whole of the register is afterwards: 8 and 16 bits leave the rest, 32 clear it.
fn with_part(register: Register, value: u64, cpu: &X86Registers) -> u64 {
    let mut bytes = cpu.gpr(register.number).to_le_bytes();
    let value = value.to_le_bytes();
    match register.part {
        RegisterPart::LowByte => bytes[0] = value[0],
        RegisterPart::HighByte => bytes[1] = value[0],
        RegisterPart::Word => bytes[..2].copy_from_slice(&value[..2]),
        RegisterPart::Doubleword => {
            bytes = [0; 8];
            bytes[..4].copy_from_slice(&value[..4]);
        }
        RegisterPart::Quadword => bytes = value,
    }
    u64::from_le_bytes(bytes)
}

/// The result of an operation on two operands, and the status flags.
fn combined(alu: Alu, first: u64, second: u64, width_bits: u32, carry: bool) -> (u64, u64) {
    let (first, second) = (low(first, width_bits), low(second, width_bits));
    let carry_in = match alu {
        Alu::Adc | Alu::Sbb => i128::from(carry),
        _ => 0,
    };
    let logical = match alu {
        Alu::And | Alu::Test => Some(first & second),
        Alu::Or => Some(first | second),
        Alu::Xor => Some(first ^ second),
        _ => None,
    };
    let sign = if matches!(alu, Alu::Add | Alu::Adc) {
        1
    } else {
        -1
    };
    let sum = |first: i128, second: i128| first + sign * (second + carry_in);
    let unsigned = sum(first.into(), second.into());
    let result = logical.unwrap_or(low(unsigned as u64, width_bits));
    let mut flags = 0;
    let mut set = |flag, is_set: bool| flags |= if is_set { flag } else { 0 };
    if logical.is_none() {
        let in_range = 0..1 << width_bits;
        set(CARRY, !in_range.contains(&unsigned));
        let signed_sum = sum(signed(first, width_bits), signed(second, width_bits));
        set(OVERFLOW, signed_sum != signed(result, width_bits));
        let nibble = sum((first & 15).into(), (second & 15).into());
        set(AUXILIARY, !(0..16).contains(&nibble));
    }
    set(ZERO, result == 0);
    set(SIGN, signed(result, width_bits) < 0);
    set(
        PARITY,
        (0..8).filter(|bit| result >> bit & 1 != 0).count() % 2 == 0,
    );
    (result, flags)
}

/// What an instruction does, in the words of its page in volume 3; `None` if a CPU is to say.
fn expected(instruction: &Instruction, read: u64, cpu: &X86Registers) -> Option<Effect> {
    let width_bits = bits(instruction.width.bytes());
    let read = low(read, width_bits);
    let rflags = cpu.rflags;
    let nothing = Effect {
        write: None,
        register: None,
        rflags: None,
        second_register: None,
    };
    let into = |register: Register, value| Some((register.number, with_part(register, value, cpu)));
    let source = |source| match source {
        Source::Register(register) => part(register, cpu),
        Source::Immediate(value) => low(value, width_bits),
    };
    let with_flags = |flags: u64| Some(rflags & !STATUS | flags);
    let combined =
        |alu, first, second| combined(alu, first, second, width_bits, rflags & CARRY != 0);
    Some(match instruction.operation {
        Operation::Load(to) => Effect {
            register: into(to, read),
            ..nothing
        },
        Operation::LoadSigned(to) => Effect {
            register: into(to, signed(read, width_bits) as u64),
            ..nothing
        },
        Operation::Store(from) => Effect {
            write: Some(source(from)),
            ..nothing
        },
        Operation::Exchange(with) => Effect {
            write: Some(part(with, cpu)),
            register: into(with, read),
            ..nothing
        },
        Operation::ToMemory(alu, from) => {
            let (result, flags) = combined(alu, read, source(from));
            Effect {
                write: (!matches!(alu, Alu::Cmp | Alu::Test)).then_some(result),
                rflags: with_flags(flags),
                ..nothing
            }
        }
        Operation::ToRegister(alu, to) => {
            let (result, flags) = combined(alu, part(to, cpu), read);
            Effect {
                write: None,
                register: match alu {
                    Alu::Cmp | Alu::Test => None,
                    _ => into(to, result),
                },
                rflags: with_flags(flags),
                second_register: None,
            }
        }
        Operation::Change(unary) => {
            let (result, rflags) = match unary {
                Unary::Not => (low(!read, width_bits), None),
                Unary::Neg => {
                    let (result, flags) = combined(Alu::Sub, 0, read);
                    (result, with_flags(flags))
                }
                Unary::Inc | Unary::Dec => {
                    let alu = [Alu::Add, Alu::Sub][usize::from(unary == Unary::Dec)];
                    let (result, flags) = combined(alu, read, 1);
                    (result, with_flags(flags & !CARRY | rflags & CARRY))
                }
            };
            Effect {
                write: Some(result),
                rflags,
                ..nothing
            }
        }
        _ => return None,
    })
}

fn check_effect(instruction: &Instruction, read: u64, cpu: &X86Registers) {
    let effect = instruction.execute(read, cpu);
    if let Some(expected) = expected(instruction, read, cpu) {
        assert_eq!(effect, expected, "{instruction:?}");
    }
    let mask = instruction.width.mask();
    assert!(
        effect.write.is_none_or(|value| value <= mask),
        "{instruction:?}"
    );
    assert!(instruction.stepped(cpu).registers.len() <= 3);
    instruction.linear(cpu, read);
    assert_eq!(effect.write.is_some(), instruction.writes());
    if !instruction.reads() {
        assert_eq!(effect, instruction.execute(!read, cpu));
    }
    let changed = effect.rflags.map_or(0, |rflags| rflags ^ cpu.rflags);
    assert_eq!(changed & !STATUS, 0);
}
