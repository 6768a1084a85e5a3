//! Every form that is carried out, by any encoding, against the CPU that runs the tests: bytes are
//! made up, decoded and carried out on a copy; the CPU carries out the same bytes, one step. Memory,
//! registers, flags and where it goes on must agree. So the judge of what an opcode means, of its
//! widths and of its length is a CPU, in all operand and address sizes and with all prefixes.
//!
//! `ENCODINGS=1000000` makes it more.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod cpu;
#[path = "../signal_context/mod.rs"]
mod signal_context;

use cpu::{CODE, Cpu, DATA, Ended, PAGE};
use guest_access::AccessWidth;
use std::collections::BTreeMap;
use x86_guest::{
    Alu, Code, Instruction, Mode, Operation, RegisterPart, Registers, Scan, Segment, Shift, Source,
    Steps, decode,
};

/// How many encodings that are carried out are tried.
const ENCODINGS: u64 = 100_000;

/// Marsaglia's xorshift: the same numbers in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 16) % bound
    }

    fn one_in(&mut self, number: u64) -> bool {
        self.below(number) == 0
    }

    /// Values at which carries and signs change, and others.
    fn number(&mut self) -> u64 {
        const EDGES: [u64; 8] = [0, 1, 0x7f, 0x80, 0x7fff, 0x8000, 0x7fff_ffff, 0x8000_0000];
        match self.below(4) {
            0 => EDGES[self.below(8) as usize],
            1 => EDGES[self.below(8) as usize].wrapping_neg(),
            2 => self.next() >> self.below(64),
            _ => self.next(),
        }
    }
}

/// Bytes of an instruction, and where in them a constant of an address is that may be chosen.
struct Encoding {
    bytes: Vec<u8>,
    /// Place and length.
    address: Option<(usize, usize)>,
}

fn encoding(random: &mut Random) -> Encoding {
    let mut bytes = Vec::new();
    let mut has = |prefix: u8, one_in: u64, random: &mut Random| {
        if random.one_in(one_in) {
            bytes.push(prefix);
            true
        } else {
            false
        }
    };
    let first_half = random.one_in(2);
    if first_half {
        has(0xf3, 6, random);
    }
    has(0x66, 4, random);
    let short_address = has(0x67, 8, random);
    for segment in [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65] {
        has(segment, 40, random);
    }
    has(0xf2, 12, random);
    if !first_half {
        has(0xf3, 6, random);
    }
    if random.one_in(2) {
        bytes.push(0x40 | random.next() as u8 & 0xf);
        // Now and then it counts no more.
        if random.one_in(30) {
            bytes.push(0x66);
        }
    }
    let opcode = random.next() as u8;
    let mut absolute = false;
    match random.below(10) {
        0..6 => {
            bytes.push(opcode);
            absolute = (0xa0..=0xa3).contains(&opcode);
        }
        6..9 => bytes.extend([0x0f, opcode]),
        _ => bytes.extend([0x0f, 0x38, 0xf0 | opcode & 1]),
    }
    let mut address = None;
    if absolute {
        let len = if short_address { 4 } else { 8 };
        address = Some((bytes.len(), len));
        bytes.extend([0; 8].iter().take(len));
    } else {
        let modrm = random.next() as u8;
        bytes.push(modrm);
        let (form, low) = (modrm >> 6, modrm & 7);
        let mut len = [0, 1, 4, 0][usize::from(form)];
        if form != 3 && low == 4 {
            let sib = random.next() as u8;
            bytes.push(sib);
            if form == 0 && sib & 7 == 5 {
                len = 4;
            }
        } else if form == 0 && low == 5 {
            len = 4;
        }
        if len == 4 {
            address = Some((bytes.len(), 4));
        }
        bytes.extend(random.next().to_le_bytes().iter().take(len));
    }
    bytes.extend(random.next().to_le_bytes());
    bytes.truncate(15);
    Encoding { bytes, address }
}

/// The registers of a step, for an instruction that is carried out by us.
struct View<'a> {
    registers: &'a cpu::Registers,
    thread_bases: [u64; 2],
}

impl Registers for View<'_> {
    fn gpr(&self, number: u8) -> u64 {
        self.registers.gpr[usize::from(number)]
    }

    fn rflags(&self) -> u64 {
        self.registers.rflags
    }

    fn segment_base(&self, segment: Segment) -> u64 {
        match segment {
            Segment::Fs => self.thread_bases[0],
            Segment::Gs => self.thread_bases[1],
            _ => 0,
        }
    }
}

/// An instruction and its operands, such that it accesses the sandbox and nothing else.
struct Trial {
    bytes: Vec<u8>,
    instruction: Instruction,
    registers: cpu::Registers,
}

/// The middle of the operands' page, so that what is near is there as well.
fn target(random: &mut Random) -> u64 {
    DATA + 0x600 + random.below(0x400)
}

/// Chooses registers, or the constant of the address, so that the operand is in the sandbox.
fn trial(mut encoding: Encoding, random: &mut Random, thread_bases: [u64; 2]) -> Option<Trial> {
    let len = encoding.bytes.len();
    let code = Code::new(&encoding.bytes[..len]);
    let mut instruction = decode(&code, Mode::Long)?;
    let mut gpr = [0; 16].map(|_: u64| random.number());
    for number in [4, 6, 7] {
        // The stack, and where strings are.
        gpr[number] = target(random);
    }
    if let Steps::String { .. } = instruction.steps {
        gpr[1] = 1 + random.below(3);
    }
    // CF, PF, AF, ZF, SF, DF, OF as they come; bit 1 and IF are always set in a program.
    let rflags = random.next() & 0xcd5 | 0x202;
    let mut registers = cpu::Registers {
        gpr,
        rip: CODE,
        rflags,
    };
    // POP reads the stack, wherever it writes.
    let memory = match instruction.steps {
        Steps::Pop => instruction.written?,
        _ => instruction.memory,
    };
    let linear = |instruction: &Instruction, registers: &cpu::Registers| {
        let view = View {
            registers,
            thread_bases,
        };
        let next = CODE + u64::from(instruction.len);
        match instruction.steps {
            Steps::Pop => instruction.written.map_or(0, |it| it.linear(&view, next)),
            _ => instruction.linear(&view, next),
        }
    };
    let wanted = target(random);
    if let Some(base) = memory.base {
        let place = &mut registers.gpr[usize::from(base)];
        let upper = *place & !memory.address_mask;
        *place = upper;
        let missing = wanted.wrapping_sub(linear(&instruction, &registers));
        registers.gpr[usize::from(base)] = upper | missing & memory.address_mask;
    } else if let Some((at, len)) = encoding.address {
        encoding.bytes[at..at + len].fill(0);
        instruction = decode(&Code::new(&encoding.bytes), Mode::Long)?;
        let missing = wanted.wrapping_sub(linear(&instruction, &registers));
        encoding.bytes[at..at + len].copy_from_slice(&missing.to_le_bytes()[..len]);
        instruction = decode(&Code::new(&encoding.bytes), Mode::Long)?;
    }
    let is_there = |address: u64| (DATA + 0x100..DATA + PAGE as u64 - 0x100).contains(&address);
    let view = View {
        registers: &registers,
        thread_bases,
    };
    let next = CODE + u64::from(instruction.len);
    let written = instruction.written.map(|it| it.linear(&view, next));
    (is_there(instruction.linear(&view, next)) && written.is_none_or(is_there)).then(|| Trial {
        bytes: encoding.bytes[..usize::from(instruction.len)].to_vec(),
        instruction,
        registers,
    })
}

/// Carries it out by ourselves.
fn by_ourselves(trial: &Trial, data: &mut [u8; PAGE], thread_bases: [u64; 2]) -> cpu::Registers {
    let Trial {
        instruction,
        registers,
        ..
    } = trial;
    let view = View {
        registers,
        thread_bases,
    };
    let next = CODE + u64::from(instruction.len);
    let width = instruction.width.bytes() as usize;
    let place = |linear: u64| {
        let first = (linear - DATA) as usize;
        first..first + width
    };
    let read_at = instruction.linear(&view, next);
    let mut lane = [0; 8];
    lane[..width].copy_from_slice(&data[place(read_at)]);
    let effect = instruction.execute(u64::from_le_bytes(lane), &view);
    assert_eq!(effect.write.is_some(), instruction.writes(), "{trial:?}");
    if let Some(value) = effect.write {
        let written = instruction.written.map(|it| it.linear(&view, next));
        data[place(written.unwrap_or(read_at))].copy_from_slice(&value.to_le_bytes()[..width]);
    }
    let stepped = instruction.stepped(&view);
    let mut after = *registers;
    let changed = effect.register.into_iter().chain(effect.second_register);
    for (number, value) in changed.chain(stepped.registers) {
        after.gpr[usize::from(number)] = value;
    }
    after.rflags = effect.rflags.unwrap_or(registers.rflags);
    if !stepped.repeats {
        after.rip = next;
    }
    after
}

impl std::fmt::Debug for Trial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:02x?} {:?} on {:x?}",
            self.bytes, self.instruction, self.registers
        )
    }
}

const CARRY: u64 = 1 << 0;
const PARITY: u64 = 1 << 2;
const AUXILIARY: u64 = 1 << 4;
const ZERO: u64 = 1 << 6;
const SIGN: u64 = 1 << 7;
const OVERFLOW: u64 = 1 << 11;
/// The kernel sets it when it goes on behind a trap.
const RESUME: u64 = 1 << 16;

/// The flags that the manual leaves undefined.
fn undefined(trial: &Trial) -> u64 {
    let instruction = &trial.instruction;
    let logical = |alu| matches!(alu, Alu::And | Alu::Or | Alu::Xor | Alu::Test);
    match instruction.operation {
        Operation::ToMemory(alu, _) | Operation::ToRegister(alu, _) if logical(alu) => AUXILIARY,
        Operation::Multiply(..) | Operation::MultiplyAccumulator { .. } => {
            SIGN | ZERO | AUXILIARY | PARITY
        }
        Operation::Bit(..) => OVERFLOW | SIGN | AUXILIARY | PARITY,
        Operation::Scan(scan, _) => match scan {
            Scan::Forward | Scan::Reverse => OVERFLOW | SIGN | AUXILIARY | PARITY | CARRY,
            Scan::TrailingZeros | Scan::LeadingZeros => OVERFLOW | SIGN | AUXILIARY | PARITY,
            Scan::Population => 0,
        },
        Operation::Shift(shift, count) => {
            let bits = 8 * instruction.width.bytes();
            let count = match count {
                Source::Immediate(count) => count,
                Source::Register(_) => trial.registers.gpr[1],
            };
            let count = count & if bits == 64 { 63 } else { 31 };
            let overflow = if count > 1 { OVERFLOW } else { 0 };
            let (carry, auxiliary) = match shift {
                Shift::Left | Shift::Right => (if count > bits { CARRY } else { 0 }, AUXILIARY),
                Shift::RightSigned => (0, AUXILIARY),
                _ => (0, 0),
            };
            match count {
                0 => 0,
                _ => overflow | carry | auxiliary,
            }
        }
        _ => 0,
    }
}

/// Whether this CPU has the instruction.
fn is_there(operation: Operation) -> bool {
    match operation {
        Operation::LoadSwapped(_) | Operation::StoreSwapped(_) => {
            std::is_x86_feature_detected!("movbe")
        }
        Operation::Scan(Scan::Population, _) => std::is_x86_feature_detected!("popcnt"),
        Operation::Scan(Scan::TrailingZeros, _) => std::is_x86_feature_detected!("bmi1"),
        Operation::Scan(Scan::LeadingZeros, _) => std::is_x86_feature_detected!("lzcnt"),
        _ => true,
    }
}

/// What a form is, for the count of those that were met.
fn name(instruction: &Instruction) -> String {
    let operation = format!("{:?}", instruction.operation);
    let head = |text: &str| text.split(['(', ' ', '{']).next().unwrap().to_owned();
    let kind = match instruction.operation {
        Operation::ToMemory(alu, _) | Operation::ToRegister(alu, _) => format!(" {alu:?}"),
        Operation::Change(unary) => format!(" {unary:?}"),
        Operation::Shift(shift, _) => format!(" {shift:?}"),
        Operation::Bit(bit, _) => format!(" {bit:?}"),
        Operation::Scan(scan, _) => format!(" {scan:?}"),
        Operation::MultiplyAccumulator { signed } => format!(" {signed}"),
        _ => String::new(),
    };
    let steps = match instruction.steps {
        Steps::None => String::new(),
        Steps::String { repeated: true, .. } => " REP".into(),
        other => format!(" {}", head(&format!("{other:?}"))),
    };
    format!(
        "{}{kind}{steps} {}",
        head(&operation),
        8 * instruction.width.bytes()
    )
}

#[test]
fn any_encoding_that_is_carried_out_does_what_the_cpu_does() {
    let wanted = match std::env::var("ENCODINGS") {
        Ok(number) => number.parse().unwrap(),
        Err(_) => ENCODINGS,
    };
    let mut cpu = Cpu::new();
    let thread_bases = cpu.thread_bases();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut met: BTreeMap<String, u64> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut tried = 0;
    let mut before = [0; PAGE];
    for word in before.chunks_mut(8) {
        word.copy_from_slice(&random.number().to_le_bytes());
    }
    while tried < wanted && wrong.len() < 10 {
        let encoding = encoding(&mut random);
        let Some(trial) = trial(encoding, &mut random, thread_bases) else {
            continue;
        };
        if !is_there(trial.instruction.operation) {
            continue;
        }
        for _ in 0..8 {
            let place = 0x600 + random.below(0x400) as usize;
            before[place..place + 8].copy_from_slice(&random.number().to_le_bytes());
        }
        let (mut real, mut ours) = (before, before);
        let mut after = trial.registers;
        let ended = cpu.step(&trial.bytes, &mut after, &mut real);
        if ended == Ended::Signal(libc::SIGILL) && trial.instruction.operation == Operation::Flush {
            continue;
        }
        tried += 1;
        *met.entry(name(&trial.instruction)).or_default() += 1;
        let mut wanted = by_ourselves(&trial, &mut ours, thread_bases);
        for registers in [&mut after, &mut wanted] {
            registers.rflags &= !(undefined(&trial) | RESUME);
        }
        if ended != Ended::Done || after != wanted || ours != real {
            wrong.push(format!(
                "{trial:?}: {ended:?}\n  CPU  {after:x?}\n  ours {wanted:x?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "after {tried}:\n{}", wrong.join("\n"));
    assert_that_all_were_met(&met);
}

/// Each kind of form, and in each width that it has.
fn assert_that_all_were_met(met: &BTreeMap<String, u64>) {
    let all = "8 16 32 64";
    let no_byte = "16 32 64";
    let few = met.values().min().unwrap_or(&0);
    println!("{} kinds and widths, each at least {few} times", met.len());
    for (kinds, widths) in [
        ("Load Store Exchange ExchangeAdd CompareExchange", all),
        ("LoadSigned", "8 16 32"),
        ("LoadSwapped StoreSwapped LoadIf Multiply", no_byte),
        ("StoreIf Flush", "8"),
    ] {
        for kind in kinds.split(' ') {
            for width in widths.split(' ') {
                assert!(
                    met.contains_key(&format!("{kind} {width}")),
                    "{kind} {width}"
                );
            }
        }
    }
    let alu = ["Add", "Or", "Adc", "Sbb", "And", "Sub", "Xor", "Cmp"];
    let kinds = alu
        .iter()
        .flat_map(|alu| [format!("ToMemory {alu}"), format!("ToRegister {alu}")])
        .chain(["ToMemory Test".into()])
        .chain(["Inc", "Dec", "Neg", "Not"].map(|it| format!("Change {it}")))
        .chain(["true", "false"].map(|it| format!("MultiplyAccumulator {it}")))
        .chain(["Copy", "Load", "Store"].map(|it| format!("{it} REP")))
        .chain(["Copy", "Load", "Store"].map(|it| format!("{it} String")))
        .chain(
            [
                Shift::RotateLeft,
                Shift::RotateRight,
                Shift::RotateLeftThroughCarry,
                Shift::RotateRightThroughCarry,
                Shift::Left,
                Shift::Right,
                Shift::RightSigned,
            ]
            .map(|it| format!("Shift {it:?}")),
        );
    for kind in kinds {
        for width in all.split(' ') {
            assert!(
                met.contains_key(&format!("{kind} {width}")),
                "{kind} {width}"
            );
        }
    }
    for bit in ["Test", "Set", "Reset", "Complement"] {
        for width in no_byte.split(' ') {
            assert!(
                met.contains_key(&format!("Bit {bit} {width}")),
                "{bit} {width}"
            );
        }
    }
    for scan in ["Forward", "Reverse"] {
        for width in no_byte.split(' ') {
            assert!(
                met.contains_key(&format!("Scan {scan} {width}")),
                "{scan} {width}"
            );
        }
    }
    for kind in ["Push", "Pop"] {
        for width in ["16", "64"] {
            assert!(
                met.contains_key(&format!("Copy {kind} {width}")),
                "{kind} {width}"
            );
        }
    }
}

/// Known to be what libraries get wrong; the manuals' own words.
#[test]
fn movsxd_is_as_wide_as_its_operand_size() {
    let part = |bytes: &[u8]| {
        let instruction = decode(&Code::new(bytes), Mode::Long).unwrap();
        match instruction.operation {
            Operation::LoadSigned(target) => (instruction.width, target.part),
            other => panic!("{other:?}"),
        }
    };
    let (halfword, word) = (AccessWidth::Halfword, AccessWidth::Word);
    assert_eq!(part(&[0x63, 0x07]), (word, RegisterPart::Doubleword));
    assert_eq!(part(&[0x66, 0x63, 0x07]), (halfword, RegisterPart::Word));
    assert_eq!(part(&[0x48, 0x63, 0x07]), (word, RegisterPart::Quadword));
}
