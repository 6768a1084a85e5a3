//! Each opcode that is carried out: that it is, and how it accesses memory. `any_encoding` holds
//! what the result is against a CPU; it cannot see what is no longer decoded, nor other modes. The
//! encodings are written out here, from AMD APM volume 3, chapter 3 and appendix A, and Intel SDM
//! volume 2.

use guest_access::AccessWidth;
use x86_guest::{
    Code, Instruction, MemoryOperand, Mode, Operation, Register, RegisterPart, Registers, Segment,
    decode,
};

fn decoded(mode: Mode, bytes: &[u8]) -> Option<Instruction> {
    decode(&Code::new(bytes), mode)
}

/// What an instruction does with memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Read,
    Write,
    /// Also where CMPXCHG writes back what it found.
    Both,
    Neither,
}
use Does::{Both, Neither, Read, Write};

/// Whether there is one operand, at an address that the general registers give, and one register
/// at most takes a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Other,
}
use Kind::{Other, Plain};

const IN_64_BIT_MODE: [(&str, &[u8], Does, Kind); 62] = [
    ("mov eax, [rdi]", &[0x8b, 0x07], Read, Plain),
    ("mov [rdi], eax", &[0x89, 0x07], Write, Plain),
    ("mov al, [rdi]", &[0x8a, 0x07], Read, Plain),
    ("mov [rdi], al", &[0x88, 0x07], Write, Plain),
    (
        "mov dword [rdi], 1",
        &[0xc7, 0x07, 1, 0, 0, 0],
        Write,
        Plain,
    ),
    ("mov byte [rdi], 1", &[0xc6, 0x07, 1], Write, Plain),
    (
        "mov al, [8 bytes]",
        &[0xa0, 8, 7, 6, 5, 4, 3, 2, 1],
        Read,
        Plain,
    ),
    (
        "mov [8 bytes], eax",
        &[0xa3, 8, 7, 6, 5, 4, 3, 2, 1],
        Write,
        Plain,
    ),
    ("movzx eax, byte [rdi]", &[0x0f, 0xb6, 0x07], Read, Plain),
    ("movzx eax, word [rdi]", &[0x0f, 0xb7, 0x07], Read, Plain),
    ("movsx eax, byte [rdi]", &[0x0f, 0xbe, 0x07], Read, Plain),
    ("movsx eax, word [rdi]", &[0x0f, 0xbf, 0x07], Read, Plain),
    ("movsxd rax, dword [rdi]", &[0x48, 0x63, 0x07], Read, Plain),
    ("movnti [rdi], eax", &[0x0f, 0xc3, 0x07], Write, Plain),
    ("movbe eax, [rdi]", &[0x0f, 0x38, 0xf0, 0x07], Read, Plain),
    ("movbe [rdi], eax", &[0x0f, 0x38, 0xf1, 0x07], Write, Plain),
    ("xchg [rdi], eax", &[0x87, 0x07], Both, Plain),
    ("add [rdi], eax", &[0x01, 0x07], Both, Plain),
    ("or eax, [rdi]", &[0x0b, 0x07], Read, Plain),
    ("adc [rdi], eax", &[0x11, 0x07], Both, Plain),
    ("sbb eax, [rdi]", &[0x1b, 0x07], Read, Plain),
    ("and dword [rdi], 5", &[0x83, 0x27, 5], Both, Plain),
    ("xor dword [rdi], 5", &[0x81, 0x37, 5, 0, 0, 0], Both, Plain),
    ("cmp [rdi], eax", &[0x39, 0x07], Read, Plain),
    ("cmp eax, [rdi]", &[0x3b, 0x07], Read, Plain),
    ("cmp byte [rdi], 5", &[0x80, 0x3f, 5], Read, Plain),
    ("test [rdi], eax", &[0x85, 0x07], Read, Plain),
    (
        "test dword [rdi], 5",
        &[0xf7, 0x07, 5, 0, 0, 0],
        Read,
        Plain,
    ),
    ("not dword [rdi]", &[0xf7, 0x17], Both, Plain),
    ("neg dword [rdi]", &[0xf7, 0x1f], Both, Plain),
    ("inc dword [rdi]", &[0xff, 0x07], Both, Plain),
    ("dec dword [rdi]", &[0xff, 0x0f], Both, Plain),
    ("shl dword [rdi], 1", &[0xd1, 0x27], Both, Plain),
    ("rcr dword [rdi], cl", &[0xd3, 0x1f], Both, Plain),
    ("sar dword [rdi], 3", &[0xc1, 0x3f, 3], Both, Plain),
    ("mul dword [rdi]", &[0xf7, 0x27], Read, Other),
    ("imul dword [rdi]", &[0xf7, 0x2f], Read, Other),
    ("imul eax, [rdi]", &[0x0f, 0xaf, 0x07], Read, Plain),
    ("imul eax, [rdi], 5", &[0x6b, 0x07, 5], Read, Plain),
    (
        "imul eax, [rdi], 0x500",
        &[0x69, 0x07, 0, 5, 0, 0],
        Read,
        Plain,
    ),
    ("bt [rdi], eax", &[0x0f, 0xa3, 0x07], Read, Other),
    ("bts [rdi], eax", &[0x0f, 0xab, 0x07], Both, Other),
    ("btr [rdi], eax", &[0x0f, 0xb3, 0x07], Both, Other),
    ("btc [rdi], eax", &[0x0f, 0xbb, 0x07], Both, Other),
    ("bt dword [rdi], 5", &[0x0f, 0xba, 0x27, 5], Read, Plain),
    ("bts dword [rdi], 5", &[0x0f, 0xba, 0x2f, 5], Both, Plain),
    ("btr dword [rdi], 5", &[0x0f, 0xba, 0x37, 5], Both, Plain),
    ("btc dword [rdi], 5", &[0x0f, 0xba, 0x3f, 5], Both, Plain),
    ("popcnt eax, [rdi]", &[0xf3, 0x0f, 0xb8, 0x07], Read, Plain),
    ("tzcnt eax, [rdi]", &[0xf3, 0x0f, 0xbc, 0x07], Read, Plain),
    ("lzcnt eax, [rdi]", &[0xf3, 0x0f, 0xbd, 0x07], Read, Plain),
    ("bsf eax, [rdi]", &[0x0f, 0xbc, 0x07], Read, Plain),
    ("bsr eax, [rdi]", &[0x0f, 0xbd, 0x07], Read, Plain),
    ("setz byte [rdi]", &[0x0f, 0x94, 0x07], Write, Plain),
    ("cmovz eax, [rdi]", &[0x0f, 0x44, 0x07], Read, Plain),
    ("cmpxchg [rdi], ecx", &[0x0f, 0xb1, 0x0f], Both, Plain),
    ("xadd [rdi], ecx", &[0x0f, 0xc1, 0x0f], Both, Plain),
    ("push qword [rdi]", &[0xff, 0x37], Both, Other),
    ("pop qword [rdi]", &[0x8f, 0x07], Both, Other),
    ("movsd", &[0xa5], Both, Other),
    ("stosd", &[0xab], Write, Other),
    ("lodsd", &[0xad], Read, Other),
];

#[test]
fn each_opcode_is_decoded_and_accesses_memory_as_the_manual_says() {
    for (text, bytes, does, kind) in IN_64_BIT_MODE {
        let Some(instruction) = decoded(Mode::Long, bytes) else {
            panic!("{text}")
        };
        assert_eq!(usize::from(instruction.len), bytes.len(), "{text}");
        let found = match (instruction.reads(), instruction.writes()) {
            (true, false) => Read,
            (false, true) => Write,
            (true, true) => Both,
            (false, false) => Neither,
        };
        assert_eq!(found, does, "{text}");
        let found = if instruction.is_plain() { Plain } else { Other };
        assert_eq!(found, kind, "{text}");
    }
}

#[test]
fn of_group_15_only_the_flushes_are_carried_out() {
    // The others with memory: FXSAVE, FXRSTOR, LDMXCSR, STMXCSR, XSAVE, XRSTOR, XSAVEOPT.
    for extension in 0..8 {
        let modrm = extension << 3 | 7;
        // CLFLUSH is /7; with 66, CLWB is /6 and CLFLUSHOPT /7.
        for (bytes, is_flush) in [
            (&[0x0f, 0xae, modrm][..], extension == 7),
            (&[0x66, 0x0f, 0xae, modrm], extension >= 6),
        ] {
            let found = decoded(Mode::Long, bytes);
            assert_eq!(found.is_some(), is_flush, "{bytes:02x?}");
            if let Some(flush) = found {
                assert_eq!(flush.operation, Operation::Flush);
                assert!(!flush.reads() && !flush.writes() && !flush.is_plain());
            }
        }
    }
}

#[test]
fn an_opcode_of_another_mode_is_not_carried_out() {
    // 63 is MOVSXD in 64-bit mode alone; ARPL elsewhere.
    assert!(decoded(Mode::Long, &[0x63, 0x07]).is_some());
    assert_eq!(decoded(Mode::Protected, &[0x63, 0x07]), None);
    assert_eq!(decoded(Mode::Real, &[0x63, 0x07]), None);
    // 82 is 80 outside 64-bit mode.
    assert_eq!(decoded(Mode::Long, &[0x82, 0x07, 1]), None);
    assert!(decoded(Mode::Protected, &[0x82, 0x07, 1]).is_some());
    // FE has INC and DEC alone; PUSH is FF /6.
    assert_eq!(decoded(Mode::Long, &[0xfe, 0x37]), None);
    // MOVNTI has no form of 16 bits, and 0F BA nothing below BT.
    assert_eq!(decoded(Mode::Long, &[0x66, 0x0f, 0xc3, 0x07]), None);
    for extension in 0..4 {
        let bytes = [0x0f, 0xba, extension << 3 | 7, 5];
        assert_eq!(decoded(Mode::Long, &bytes), None, "/{extension}");
    }
}

/// RAX to R15 and RFLAGS as given.
struct Numbered {
    gpr: [u64; 16],
    rflags: u64,
}

impl Numbered {
    /// RAX to R15 hold their number in hundreds.
    fn hundreds() -> Self {
        Self {
            gpr: std::array::from_fn(|number| number as u64 * 0x100),
            rflags: 2,
        }
    }

    fn with(mut self, number: usize, value: u64) -> Self {
        self.gpr[number] = value;
        self
    }
}

impl Registers for Numbered {
    fn gpr(&self, number: u8) -> u64 {
        self.gpr[usize::from(number)]
    }

    fn rflags(&self) -> u64 {
        self.rflags
    }

    fn segment_base(&self, _: Segment) -> u64 {
        0
    }
}

const RAX: usize = 0;
const RCX: usize = 1;
const RSP: usize = 4;
const RSI: usize = 6;
const RDI: usize = 7;

#[test]
fn pop_to_the_stack_counts_from_the_pointer_after_it() {
    // Intel SDM, POP: "If the ESP register is used as a base register ..., the POP instruction
    // computes the effective address of the operand after it increments the ESP register."
    let registers = Numbered::hundreds();
    for (mode, bytes, wanted) in [
        // pop qword [rsp + 0x10]; pop word [rsp + 0x10]; pop dword [esp]; pop qword [rdi]
        (Mode::Long, &[0x8f, 0x44, 0x24, 0x10][..], 0x400 + 8 + 0x10),
        (
            Mode::Long,
            &[0x66, 0x8f, 0x44, 0x24, 0x10],
            0x400 + 2 + 0x10,
        ),
        (Mode::Protected, &[0x8f, 0x04, 0x24], 0x400 + 4),
        (Mode::Long, &[0x8f, 0x07], 0x700),
    ] {
        let pop = decoded(mode, bytes).unwrap();
        let written = pop.written.unwrap();
        assert_eq!(written.linear(&registers, 0), wanted, "{bytes:02x?}");
        assert_eq!(pop.linear(&registers, 0), 0x400, "{bytes:02x?}");
    }
}

#[test]
fn the_stack_is_as_wide_as_the_mode_whatever_the_operands_address_is() {
    // push [edi] and the like: 67 is the operand's.
    let wide = 0x1_0000_0400;
    for (mode, bytes, stack) in [
        (Mode::Long, &[0xff, 0x37][..], wide - 8),
        (Mode::Long, &[0x67, 0xff, 0x37], wide - 8),
        (Mode::Protected, &[0xff, 0x37], 0x400 - 4),
        (Mode::Protected, &[0x67, 0xff, 0x34], 0x400 - 4),
        (Mode::Real, &[0xff, 0x34], 0x400 - 2),
        (Mode::Real, &[0x67, 0xff, 0x37], 0x400 - 2),
    ] {
        let push = decoded(mode, bytes).unwrap();
        let registers = Numbered::hundreds().with(RSP, wide);
        let written = push.written.unwrap().linear(&registers, 0);
        assert_eq!(written, stack, "{mode:?} {bytes:02x?}");
    }
}

#[test]
fn addresses_of_16_bits_are_made_of_the_registers_of_the_manuals_table() {
    // Intel SDM volume 2, table 2-1; RBX is 3, RBP 5, RSI 6, RDI 7.
    let table = [
        (Some(3), Some(6), Segment::Ds),
        (Some(3), Some(7), Segment::Ds),
        (Some(5), Some(6), Segment::Ss),
        (Some(5), Some(7), Segment::Ss),
        (Some(6), None, Segment::Ds),
        (Some(7), None, Segment::Ds),
        (Some(5), None, Segment::Ss),
        (Some(3), None, Segment::Ds),
    ];
    let parts = |memory: MemoryOperand| {
        let MemoryOperand { base, index, .. } = memory;
        (base, index, memory.segment)
    };
    for (low, wanted) in (0..).zip(table) {
        // mov ax, [...], with no displacement, one of a byte, one of a word.
        let forms: [(&[u8], i64); 3] = [
            (&[0x8b, low], 0),
            (&[0x8b, 0x40 | low, 0xfe], -2),
            (&[0x8b, 0x80 | low, 0x34, 0x12], 0x1234),
        ];
        for (bytes, displacement) in forms {
            // Without a displacement, that of BP alone is an address.
            if bytes.len() == 2 && low == 6 {
                continue;
            }
            let memory = decoded(Mode::Real, bytes).unwrap().memory;
            assert_eq!(parts(memory), wanted, "{bytes:02x?}");
            assert_eq!(memory.displacement, displacement, "{bytes:02x?}");
            assert_eq!((memory.scale, memory.address_mask), (1, 0xffff));
        }
    }
    let memory = decoded(Mode::Real, &[0x8b, 0x06, 0x34, 0x12])
        .unwrap()
        .memory;
    assert_eq!(parts(memory), (None, None, Segment::Ds));
    assert_eq!(memory.displacement, 0x1234);
}

#[test]
fn a_string_moves_only_as_much_of_its_registers_as_its_addresses_have() {
    // Of 16 bits the rest of the register stays; a result of 32 bits clears the upper half.
    let full = 0x1111_2222_3333_ffff_u64;
    let registers = Numbered::hundreds()
        .with(RCX, 0x5555_6666_7777_0001)
        .with(RSI, full)
        .with(RDI, full);
    let changed = |mode, bytes: &[u8]| {
        let stepped = decoded(mode, bytes).unwrap().stepped(&registers);
        (stepped.registers.to_vec(), stepped.repeats)
    };
    // movsb; rep movsb; a count of 16 bits is over here.
    let moved = 0x1111_2222_3333_0000;
    assert_eq!(
        changed(Mode::Real, &[0xa4]),
        (vec![(6, moved), (7, moved)], false)
    );
    let counted = (1, 0x5555_6666_7777_0000);
    assert_eq!(
        changed(Mode::Real, &[0xf3, 0xa4]),
        (vec![(6, moved), (7, moved), counted], false)
    );
    let moved = 0x3334_0000;
    assert_eq!(
        changed(Mode::Long, &[0x67, 0xf3, 0xa4]),
        (vec![(6, moved), (7, moved), (1, 0x7777_0000)], true)
    );
    let moved = 0x1111_2222_3334_0000;
    assert_eq!(
        changed(Mode::Long, &[0xa4]),
        (vec![(6, moved), (7, moved)], false)
    );
}

#[test]
fn each_string_instruction_moves_the_registers_that_lead_to_its_operands() {
    const DIRECTION: u64 = 1 << 10;
    let (rsi, rdi) = ((6, 0x600_u64), (7, 0x700));
    type Moved<'a> = &'a [(u8, u64)];
    let all: [(&str, &[u8], Moved<'_>, u64); 8] = [
        ("movsb", &[0xa4], &[rsi, rdi], 1),
        ("movsd", &[0xa5], &[rsi, rdi], 4),
        ("stosb", &[0xaa], &[rdi], 1),
        ("stosw", &[0x66, 0xab], &[rdi], 2),
        ("stosd", &[0xab], &[rdi], 4),
        ("lodsb", &[0xac], &[rsi], 1),
        ("lodsd", &[0xad], &[rsi], 4),
        ("lodsq", &[0x48, 0xad], &[rsi], 8),
    ];
    for (text, bytes, registers, width) in all {
        let instruction = decoded(Mode::Long, bytes).unwrap();
        for (rflags, by) in [(2, width), (2 | DIRECTION, width.wrapping_neg())] {
            let before = Numbered {
                rflags,
                ..Numbered::hundreds()
            };
            let stepped = instruction.stepped(&before);
            let wanted: Vec<_> = registers
                .iter()
                .map(|(number, value)| (*number, value.wrapping_add(by)))
                .collect();
            assert_eq!(stepped.registers.to_vec(), wanted, "{text} {rflags:#x}");
            assert!(!stepped.repeats, "{text}");
        }
    }
}

#[test]
fn a_bit_by_a_registers_number_may_be_of_an_operand_before_or_behind() {
    // Intel SDM volume 2, 3.1.1.9, "Bit(BitBase, BitOffset)", and BT: operands of the width, signed.
    let at = |bytes: &[u8], number: i64| {
        let registers = Numbered::hundreds().with(RAX, number as u64);
        let bit = decoded(Mode::Long, bytes).unwrap();
        bit.linear(&registers, 0) as i64 - 0x700
    };
    let (word, doubleword) = (&[0x66, 0x0f, 0xa3, 0x07], &[0x0f, 0xa3, 0x07]);
    let quadword = &[0x48, 0x0f, 0xab, 0x07];
    for (number, operand) in [(0, 0), (15, 0), (16, 2), (100, 12), (-1, -2), (-17, -4)] {
        assert_eq!(at(word, number), operand, "{number}");
    }
    for (number, operand) in [(31, 0), (32, 4), (100, 12), (-1, -4), (-33, -8)] {
        assert_eq!(at(doubleword, number), operand, "{number}");
    }
    for (number, operand) in [(63, 0), (64, 8), (1 << 40, 1 << 37), (-1, -8), (-65, -16)] {
        assert_eq!(at(quadword, number), operand, "{number}");
    }
    // What is above the operand of a register is not looked at.
    assert_eq!(at(word, 0x8000), -0x1000);
    assert_eq!(at(doubleword, 0x1_0000_0020), 4);
}

#[test]
fn widths_and_registers_are_those_that_opcode_and_prefixes_say() {
    let (byte, word) = (AccessWidth::Byte, AccessWidth::Halfword);
    let (doubleword, quadword) = (AccessWidth::Word, AccessWidth::Doubleword);
    let all: [(&str, &[u8], AccessWidth); 10] = [
        ("cmpxchg [rdi], cl", &[0x0f, 0xb0, 0x0f], byte),
        ("cmpxchg [rdi], ecx", &[0x0f, 0xb1, 0x0f], doubleword),
        ("xadd [rdi], cl", &[0x0f, 0xc0, 0x0f], byte),
        ("xadd [rdi], cx", &[0x66, 0x0f, 0xc1, 0x0f], word),
        ("xadd [rdi], rcx", &[0x48, 0x0f, 0xc1, 0x0f], quadword),
        ("movsxd ax, word [rdi]", &[0x66, 0x63, 0x07], word),
        ("movsxd eax, [rdi]", &[0x63, 0x07], doubleword),
        ("movsxd rax, dword [rdi]", &[0x48, 0x63, 0x07], doubleword),
        ("setz [rdi]", &[0x0f, 0x94, 0x07], byte),
        ("push word [rdi]", &[0x66, 0xff, 0x37], word),
    ];
    for (text, bytes, width) in all {
        let instruction = decoded(Mode::Long, bytes).unwrap();
        assert_eq!(instruction.width, width, "{text}");
    }
    let loaded = |bytes: &[u8]| match decoded(Mode::Long, bytes).unwrap().operation {
        Operation::Load(register) | Operation::LoadSigned(register) => register,
        other => panic!("{other:?}"),
    };
    for (text, bytes, number, part) in [
        (
            "mov r8d, [rdi]",
            &[0x44, 0x8b, 0x07][..],
            8,
            RegisterPart::Doubleword,
        ),
        (
            "mov r15, [rdi]",
            &[0x4c, 0x8b, 0x3f],
            15,
            RegisterPart::Quadword,
        ),
        (
            "mov eax, [r15]",
            &[0x41, 0x8b, 0x07],
            0,
            RegisterPart::Doubleword,
        ),
        (
            "movsxd ax, [rdi]",
            &[0x66, 0x63, 0x07],
            0,
            RegisterPart::Word,
        ),
    ] {
        assert_eq!(loaded(bytes), Register { number, part }, "{text}");
    }
}

#[test]
fn an_address_in_the_instruction_has_no_base() {
    let registers = Numbered::hundreds().with(RAX, 0x5000);
    for (mode, bytes, wanted) in [
        (
            Mode::Long,
            &[0xa1, 0x34, 0x12, 0, 0, 0, 0, 0, 0][..],
            0x1234,
        ),
        (Mode::Protected, &[0xa2, 0x34, 0x12, 0, 0], 0x1234),
        (Mode::Real, &[0xa1, 0x34, 0x12], 0x1234),
    ] {
        let linear = decoded(mode, bytes).unwrap().linear(&registers, 0);
        assert_eq!(linear, wanted, "{mode:?}");
    }
}
