//! Each instruction that is carried out, against the CPU that runs the tests: the very bytes
//! are run on memory, and decoded and carried out on a copy; memory, registers and flags must
//! agree.
#![cfg(target_arch = "x86_64")]

use guest_access::AccessWidth;
use proptest::prelude::*;
use std::arch::global_asm;
use x86_guest::{Alu, Code, Instruction, Mode, Operation, Registers, Segment, decode};

/// What an instruction finds and leaves. RDI points here while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
struct State {
    rax: u64,
    rcx: u64,
    rdx: u64,
    rbx: u64,
    r8: u64,
    r9: u64,
    rflags: u64,
    memory: [u8; 32],
}

/// Where `memory` lies, from RDI: the assembly below says it with numbers.
const MEMORY: u64 = 56;
const _: () = assert!(core::mem::offset_of!(State, memory) == MEMORY as usize);

/// One instruction between two labels, in a function that loads and saves a [`State`].
macro_rules! forms {
    ($($name:ident $text:literal,)*) => {
        $(global_asm!(
            concat!(".global run_", stringify!($name)),
            concat!(".global begin_", stringify!($name)),
            concat!(".global end_", stringify!($name)),
            concat!("run_", stringify!($name), ":"),
            "push rbx",
            "push qword ptr [rdi + 48]",
            "popfq",
            "mov rax, [rdi]",
            "mov rcx, [rdi + 8]",
            "mov rdx, [rdi + 16]",
            "mov rbx, [rdi + 24]",
            "mov r8, [rdi + 32]",
            "mov r9, [rdi + 40]",
            concat!("begin_", stringify!($name), ":"),
            $text,
            concat!("end_", stringify!($name), ":"),
            "mov [rdi], rax",
            "mov [rdi + 8], rcx",
            "mov [rdi + 16], rdx",
            "mov [rdi + 24], rbx",
            "mov [rdi + 32], r8",
            "mov [rdi + 40], r9",
            "pushfq",
            "pop qword ptr [rdi + 48]",
            "pop rbx",
            "ret",
        );)*

        fn all_forms() -> Vec<Form> {
            $(mod $name {
                use super::State;
                unsafe extern "sysv64" {
                    #[link_name = concat!("run_", stringify!($name))]
                    pub fn run(state: *mut State);
                    #[link_name = concat!("begin_", stringify!($name))]
                    pub static BEGIN: u8;
                    #[link_name = concat!("end_", stringify!($name))]
                    pub static END: u8;
                }
            })*
            vec![$({
                let (begin, end) = (&raw const $name::BEGIN, &raw const $name::END);
                let len = end.addr() - begin.addr();
                // SAFETY: the bytes of the instruction, between its labels.
                let bytes = unsafe { std::slice::from_raw_parts(begin, len) };
                Form { text: $text, bytes, run: $name::run }
            }),*]
        }
    };
}

struct Form {
    text: &'static str,
    bytes: &'static [u8],
    run: unsafe extern "sysv64" fn(*mut State),
}

include!("forms.rs");

/// The registers of a [`State`], for an instruction that is carried out by us.
struct View<'a> {
    state: &'a State,
    rdi: u64,
}

impl Registers for View<'_> {
    fn gpr(&self, number: u8) -> u64 {
        match number {
            0 => self.state.rax,
            1 => self.state.rcx,
            2 => self.state.rdx,
            3 => self.state.rbx,
            7 => self.rdi,
            8 => self.state.r8,
            9 => self.state.r9,
            other => panic!("no form uses register {other}"),
        }
    }

    fn rflags(&self) -> u64 {
        self.state.rflags
    }

    fn segment_base(&self, _: Segment) -> u64 {
        0
    }
}

/// AF is undefined after these.
fn leaves_auxiliary_undefined(instruction: &Instruction) -> bool {
    let logical = |alu| matches!(alu, Alu::And | Alu::Or | Alu::Xor | Alu::Test);
    match instruction.operation {
        Operation::ToMemory(alu, _) | Operation::ToRegister(alu, _) => logical(alu),
        _ => false,
    }
}

/// Carries out what `form` says on `state`, by ourselves.
fn by_ourselves(form: &Form, state: &State) -> (State, Instruction) {
    let code = Code::new(form.bytes);
    let instruction = decode(&code, Mode::Long).unwrap_or_else(|| panic!("{}", form.text));
    assert_eq!(
        usize::from(instruction.len),
        form.bytes.len(),
        "{}",
        form.text
    );
    let rdi = 0x7000_0000_0000;
    let view = View { state, rdi };
    let linear = instruction.memory.linear(&view, 0);
    let first = usize::try_from(linear - rdi - MEMORY).unwrap();
    let width = instruction.width.bytes() as usize;
    let mut lane = [0; 8];
    lane[..width].copy_from_slice(&state.memory[first..first + width]);
    let effect = instruction.execute(u64::from_le_bytes(lane), &view);
    assert_eq!(
        effect.write.is_some(),
        instruction.writes(),
        "{}",
        form.text
    );

    let mut after = *state;
    if let Some(value) = effect.write {
        let lane = value.to_le_bytes();
        after.memory[first..first + width].copy_from_slice(&lane[..width]);
    }
    if let Some((number, value)) = effect.register {
        match number {
            0 => after.rax = value,
            1 => after.rcx = value,
            2 => after.rdx = value,
            3 => after.rbx = value,
            8 => after.r8 = value,
            9 => after.r9 = value,
            other => panic!("no form changes register {other}"),
        }
    }
    after.rflags = effect.rflags.unwrap_or(state.rflags);
    (after, instruction)
}

/// Values at which carries and signs change.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        prop::sample::select(vec![
            0,
            1,
            0x7f,
            0x80,
            0xff,
            0x7fff,
            0x8000,
            0xffff,
            0x7fff_ffff,
            0x8000_0000,
            0xffff_ffff,
            i64::MAX as u64,
            1 << 63,
            u64::MAX,
        ]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_form_does_what_the_cpu_does(
        rax in number(), rcx in number(), rdx in number(), rbx in number(), r8 in number(),
        r9 in 0_u64..3, flags: u8, overflow: bool,
        words in [number(), number(), number(), number()],
    ) {
        // CF, PF, AF, ZF, SF as they come; bit 1 and IF are always set in a program.
        let rflags = u64::from(flags & 0xd5) | 0x202 | u64::from(overflow) << 11;
        let mut memory = [0; 32];
        for (place, word) in memory.chunks_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let before = State { rax, rcx, rdx, rbx, r8, r9, rflags, memory };
        for form in all_forms() {
            let mut real = before;
            // SAFETY: the function changes only the state and registers that it may change.
            unsafe { (form.run)(&raw mut real) };
            let (mut ours, instruction) = by_ourselves(&form, &before);
            if leaves_auxiliary_undefined(&instruction) {
                ours.rflags &= !0x10;
                real.rflags &= !0x10;
            }
            prop_assert_eq!(ours, real, "{}", form.text);
        }
    }
}

#[test]
fn the_widths_are_those_that_the_form_names() {
    for form in all_forms() {
        let (before, _) = form.text.split_once(" ptr").unwrap();
        let wanted = match before.rsplit(' ').next().unwrap() {
            "byte" => AccessWidth::Byte,
            "word" => AccessWidth::Halfword,
            "dword" => AccessWidth::Word,
            "qword" => AccessWidth::Doubleword,
            other => panic!("{other}"),
        };
        let instruction = decode(&Code::new(form.bytes), Mode::Long).unwrap();
        assert_eq!(instruction.width, wanted, "{}", form.text);
    }
}
