//! Bytes that a guest may have at its instruction pointer: what is carried out and what is
//! not. The encodings are written out here, from AMD APM volume 3, appendix A.

use guest_access::AccessWidth;
use proptest::prelude::*;
use x86_guest::{
    Code, Instruction, Mode, Operation, Register, RegisterPart, Registers, Segment, Source, decode,
    instruction_len,
};

fn long(bytes: &[u8]) -> Option<Instruction> {
    decode(&Code::new(bytes), Mode::Long)
}

/// RAX to R15 hold their number in hundreds; FS and GS are elsewhere.
struct Hundreds;

impl Registers for Hundreds {
    fn gpr(&self, number: u8) -> u64 {
        u64::from(number) * 0x100
    }

    fn rflags(&self) -> u64 {
        2
    }

    fn segment_base(&self, segment: Segment) -> u64 {
        match segment {
            Segment::Fs => 0x10_0000,
            Segment::Gs => 0x20_0000,
            _ => 0,
        }
    }
}

fn linear(bytes: &[u8]) -> u64 {
    let instruction = long(bytes).unwrap();
    let next_rip = 0x4000_0000 + u64::from(instruction.len);
    instruction.memory.linear(&Hundreds, next_rip)
}

#[test]
fn addresses_are_made_of_all_their_parts() {
    for (bytes, wanted) in [
        // mov eax, [rdi]; [rdi + 4]; [rdi - 4]; [rdi + 0x1000]
        (&[0x8b, 0x07][..], 0x700),
        (&[0x8b, 0x47, 0x04], 0x704),
        (&[0x8b, 0x47, 0xfc], 0x6fc),
        (&[0x8b, 0x87, 0, 0x10, 0, 0], 0x1700),
        // mov eax, [rcx + rdx*8 + 2]; [r9 + r12*2]
        (&[0x8b, 0x44, 0xd1, 0x02], 0x100 + 0x1000 + 2),
        (&[0x43, 0x8b, 0x04, 0x61], 0x900 + 0x1800),
        // mov eax, [rdx*4 + 0x10]
        (&[0x8b, 0x04, 0x95, 0x10, 0, 0, 0], 0x810),
        // mov eax, [0x7fa00000]; the same form reaches the top of the address space
        (&[0x8b, 0x04, 0x25, 0, 0, 0xa0, 0x7f], 0x7fa0_0000),
        (&[0x8b, 0x04, 0x25, 0, 0, 0, 0xfa], 0xffff_ffff_fa00_0000),
        // the same with an address size prefix: mov eax, [eiz + 0xfa000000]
        (&[0x67, 0x8b, 0x04, 0x25, 0, 0, 0, 0xfa], 0xfa00_0000),
        // mov eax, [rip + 0x10]; mov byte [rip], 1: from the end of the instruction
        (&[0x8b, 0x05, 0x10, 0, 0, 0], 0x4000_0016),
        (&[0xc6, 0x05, 0, 0, 0, 0, 1], 0x4000_0007),
        // mov eax, fs:[rdi]; mov eax, gs:[rdi]
        (&[0x64, 0x8b, 0x07], 0x10_0700),
        (&[0x65, 0x8b, 0x07], 0x20_0700),
        // mov al, [moffs64]; mov [moffs64], rax; mov eax, [moffs32]
        (&[0xa0, 0, 0, 0, 0xfa, 0, 0, 0, 0], 0xfa00_0000),
        (&[0x48, 0xa3, 8, 7, 6, 5, 4, 3, 2, 1], 0x0102_0304_0506_0708),
        (&[0x67, 0xa1, 0, 0, 0, 0xfa], 0xfa00_0000),
    ] {
        assert_eq!(linear(bytes), wanted, "{bytes:02x?}");
    }
}

#[test]
fn an_address_is_as_wide_as_its_registers() {
    // mov eax, [edi - 0x800]: 32 bits, zero-extended.
    let short = linear(&[0x67, 0x8b, 0x87, 0, 0xf8, 0xff, 0xff]);
    assert_eq!(short, 0xffff_ff00);
    // mov eax, [rdi - 0x800]
    let long = linear(&[0x8b, 0x87, 0, 0xf8, 0xff, 0xff]);
    assert_eq!(long, 0xffff_ffff_ffff_ff00);
}

#[test]
fn the_high_bytes_are_those_without_rex() {
    let register = |bytes: &[u8]| match long(bytes).unwrap().operation {
        Operation::Store(Source::Register(register)) => register,
        other => panic!("{other:?}"),
    };
    let (number, part) = (0, RegisterPart::HighByte);
    // mov [rdi], ah
    assert_eq!(register(&[0x88, 0x27]), Register { number, part });
    let (number, part) = (4, RegisterPart::LowByte);
    // mov [rdi], spl
    assert_eq!(register(&[0x40, 0x88, 0x27]), Register { number, part });
}

#[test]
fn what_is_not_carried_out_is_said_to_be_so() {
    for bytes in [
        &[0xf0, 0x01, 0x07][..],         // lock add [rdi], eax
        &[0xf0, 0x0f, 0xb1, 0x0f],       // lock cmpxchg [rdi], ecx
        &[0xf0, 0x0f, 0xc1, 0x0f],       // lock xadd [rdi], ecx
        &[0x0f, 0xc7, 0x0f],             // cmpxchg8b [rdi]
        &[0xa6],                         // cmpsb
        &[0xf3, 0xaf],                   // repe scasd
        &[0x6d],                         // insd
        &[0x0f, 0x10, 0x07],             // movups xmm0, [rdi]
        &[0xc5, 0xf8, 0x10, 0x07],       // vmovups xmm0, [rdi]
        &[0x0f, 0x6e, 0x07],             // movd mm0, [rdi]
        &[0xd9, 0x07],                   // fld dword [rdi]
        &[0x8e, 0x1f],                   // mov ds, [rdi]
        &[0x8c, 0x1f],                   // mov [rdi], ds
        &[0xff, 0x27],                   // jmp [rdi]
        &[0xf7, 0x37],                   // div dword [rdi]
        &[0x0f, 0xa5, 0x07],             // shld [rdi], eax, cl
        &[0xf2, 0x0f, 0x38, 0xf1, 0x07], // crc32 eax, dword [rdi]
        &[0xc4, 0xe2, 0x70, 0xf2, 0x07], // andn eax, ecx, [rdi]
        &[0x0f, 0xb8, 0x07],             // popcnt without its prefix
        &[0x0f, 0xae, 0x37],             // xsaveopt [rdi]
        &[0x0f, 0xc7, 0x37],             // rdrand's opcode, with memory
        &[0xc7, 0x0f, 0, 0, 0, 0],       // mov's opcode with another extension
        &[0x8d, 0x07],                   // lea eax, [rdi]
        &[0x8b, 0xc7],                   // mov eax, edi
        &[0xf4],                         // hlt
        &[0x0f, 0x0b],                   // ud2
        &[0x8b],                         // cut off
        &[0x8b, 0x87, 0, 0],             // cut off
        &[],
    ] {
        assert_eq!(long(bytes), None, "{bytes:02x?}");
    }
}

#[test]
fn the_modes_read_the_same_bytes_differently() {
    let width = |mode, bytes: &[u8]| decode(&Code::new(bytes), mode).unwrap().width;
    // mov eax, [edi] or mov ax, [bx]
    assert_eq!(width(Mode::Protected, &[0x8b, 0x07]), AccessWidth::Word);
    assert_eq!(width(Mode::Real, &[0x8b, 0x07]), AccessWidth::Halfword);
    assert_eq!(width(Mode::Real, &[0x66, 0x8b, 0x07]), AccessWidth::Word);

    let memory = |mode, bytes: &[u8]| decode(&Code::new(bytes), mode).unwrap().memory;
    let real = memory(Mode::Real, &[0x8b, 0x07]);
    assert_eq!((real.base, real.address_mask), (Some(3), 0xffff));
    // mov ax, [bp + si + 2]: on the stack
    let real = memory(Mode::Real, &[0x8b, 0x42, 0x02]);
    assert_eq!(
        (real.base, real.index, real.segment),
        (Some(5), Some(6), Segment::Ss)
    );
    assert_eq!(real.linear(&Hundreds, 0), 0x500 + 0x600 + 2);
    // mov ax, [0xfff0]
    assert_eq!(
        memory(Mode::Real, &[0xa1, 0xf0, 0xff]).linear(&Hundreds, 0),
        0xfff0
    );
    // mov eax, [0xfa000000]
    let absolute = memory(Mode::Protected, &[0xa1, 0, 0, 0, 0xfa]);
    assert_eq!(absolute.linear(&Hundreds, 0), 0xfa00_0000);
    // mov eax, [ebp + 8]: on the stack; mov eax, es:[edi]
    assert_eq!(
        memory(Mode::Protected, &[0x8b, 0x45, 0x08]).segment,
        Segment::Ss
    );
    assert_eq!(
        memory(Mode::Protected, &[0x26, 0x8b, 0x07]).segment,
        Segment::Es
    );
    // mov eax, ds:[ebp + 8], with another prefix; add ds:[bp + si], bp
    assert_eq!(
        memory(Mode::Protected, &[0xf3, 0x3e, 0x8b, 0x45, 0x08]).segment,
        Segment::Ds
    );
    assert_eq!(memory(Mode::Real, &[0x3e, 0x01, 0x2a]).segment, Segment::Ds);
    // add [esi + 0x10000], dh in 16-bit code: an index without a base
    let indexed = memory(Mode::Real, &[0x67, 0x00, 0x34, 0x35, 0, 0, 1, 0]);
    assert_eq!((indexed.base, indexed.index), (None, Some(6)));
    assert_eq!(indexed.linear(&Hundreds, 0), 0x1_0600);
    // inc eax, which in long mode is a prefix
    assert_eq!(
        decode(&Code::new(&[0x40, 0x8b, 0x07]), Mode::Protected),
        None
    );
    assert!(long(&[0x40, 0x8b, 0x07]).is_some());
}

#[test]
fn a_length_is_told_of_any_instruction() {
    for (bytes, len) in [
        (&[0x0f, 0xa2][..], 2),         // cpuid
        (&[0x66, 0x2e, 0x0f, 0xa2], 4), // the same with prefixes that do nothing
        (&[0xf4, 0x90], 1),             // hlt
        (&[0x0f, 0x01, 0xd9], 3),       // vmmcall
        (&[0x0f, 0x30], 2),             // wrmsr
        (&[0x41, 0x0f, 0x23, 0xf8], 4), // mov dr7, r8
        (&[0xf3, 0xab], 2),             // rep stosd
    ] {
        assert_eq!(
            instruction_len(&Code::new(bytes), Mode::Long),
            Some(len),
            "{bytes:02x?}"
        );
    }
}

#[test]
fn sixteen_bytes_are_no_instruction() {
    let mut bytes = [0x66; 16];
    bytes[14] = 0x8b;
    assert_eq!(long(&bytes), None);
    assert_eq!(instruction_len(&Code::new(&[0x66; 15]), Mode::Long), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..18), read: u64) {
        for mode in [Mode::Long, Mode::Protected, Mode::Real] {
            let code = Code::new(&bytes);
            instruction_len(&code, mode);
            if let Some(instruction) = decode(&code, mode) {
                prop_assert!((1..=15).contains(&instruction.len));
                prop_assert!(usize::from(instruction.len) <= bytes.len());
                let effect = instruction.execute(read, &Hundreds);
                prop_assert_eq!(effect.write.is_some(), instruction.writes());
                prop_assert!(effect.write.is_none_or(|value| value <= instruction.width.mask()));
                instruction.linear(&Hundreds, read);
                prop_assert!(instruction.stepped(&Hundreds).registers.len() <= 3);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    /// No CPU that runs the tests is asked in these modes; a library's lengths are a second
    /// opinion. What it does not know at all is no contradiction.
    #[test]
    fn in_the_other_modes_an_instruction_is_as_long_as_a_library_says(
        prefixes in prop::collection::vec(
            prop::sample::select(vec![0x66_u8, 0x67, 0x2e, 0x3e, 0x65]),
            0..3,
        ),
        opcode: u8,
        two_bytes: bool,
        rest: [u8; 10],
    ) {
        let mut bytes = prefixes;
        if two_bytes {
            bytes.push(0x0f);
        }
        bytes.push(opcode);
        bytes.extend(rest);
        let code = Code::new(&bytes);
        for mode in [Mode::Protected, Mode::Real] {
            if let (Some(instruction), Some(len)) = (decode(&code, mode), instruction_len(&code, mode)) {
                prop_assert_eq!(instruction.len, len, "{:02x?} {:?}", &bytes, mode);
            }
        }
    }
}

#[test]
fn strings_lead_to_both_their_operands_in_every_mode() {
    let at = |mode, bytes: &[u8]| {
        let instruction = decode(&Code::new(bytes), mode).unwrap();
        let written = instruction.written.unwrap();
        let of = |operand: x86_guest::MemoryOperand| {
            (operand.segment, operand.base, operand.address_mask)
        };
        (instruction.width, of(instruction.memory), of(written))
    };
    let (rsi, rdi) = (Some(6), Some(7));
    // rep movsd; with a prefix for FS, which is for the source alone
    let wide = u64::MAX;
    assert_eq!(
        at(Mode::Long, &[0xf3, 0xa5]),
        (
            AccessWidth::Word,
            (Segment::Ds, rsi, wide),
            (Segment::Es, rdi, wide)
        )
    );
    assert_eq!(
        at(Mode::Long, &[0x64, 0xf3, 0xa4]),
        (
            AccessWidth::Byte,
            (Segment::Fs, rsi, wide),
            (Segment::Es, rdi, wide)
        )
    );
    let (word, half) = (0xffff_ffff, 0xffff);
    assert_eq!(
        at(Mode::Protected, &[0xa5]),
        (
            AccessWidth::Word,
            (Segment::Ds, rsi, word),
            (Segment::Es, rdi, word)
        )
    );
    assert_eq!(
        at(Mode::Real, &[0x2e, 0xa5]),
        (
            AccessWidth::Halfword,
            (Segment::Cs, rsi, half),
            (Segment::Es, rdi, half)
        )
    );
}

#[test]
fn a_string_of_no_elements_is_over() {
    struct Count(u64);
    impl Registers for Count {
        fn gpr(&self, number: u8) -> u64 {
            if number == 1 { self.0 } else { 0x100 }
        }

        fn rflags(&self) -> u64 {
            2
        }

        fn segment_base(&self, _: Segment) -> u64 {
            0
        }
    }
    let is_over = |bytes: &[u8], count| long(bytes).unwrap().is_over(&Count(count));
    assert!(is_over(&[0xf3, 0xab], 0));
    assert!(!is_over(&[0xf3, 0xab], 1 << 32));
    // With addresses of 32 bits ECX counts.
    assert!(is_over(&[0x67, 0xf3, 0xab], 1 << 32));
    // Without REP nothing does.
    assert!(!is_over(&[0xab], 0));
}
