//! Executes the table's cases in 64-bit mode, and judges what they leave.
//!
//! The CPU is the judge: each instruction is executed on the device and, with the same
//! registers, on RAM that looks like it. What is carried out leaves the same registers, flags
//! and word; a reference that is not finds all-ones, and writes nothing.
//!
//! AMD APM volume 2, 8.2 (exceptions); volume 3, chapter 3.

use core::sync::atomic::{AtomicU8, Ordering};

use guest::cmdline::CommandLineError;
use guest::code::{CodePage, Registers};
pub use guest::conformance::x86_64::Form;
use guest::conformance::x86_64::instruction;
use guest::conformance::{Abilities, Case, Expected, Place};
use guest::exceptions::{Exception, attempt, interrupted_registers};
use guest::page_tables::{self, WINDOW, WINDOW_LEVEL_3};
use guest::{Start, check, cpu, say};

use super::{Devices, PAGE_BYTES, Policy, WORD};

static CODE: CodePage = CodePage::new();

const PAGES: usize = 3;
/// RAM that looks like the devices' pages.
static LIKE_DEVICES: LikeDevices =
    LikeDevices([const { AtomicU8::new(0) }; PAGES * PAGE_BYTES as usize]);

#[repr(C, align(4096))]
struct LikeDevices([AtomicU8; PAGES * PAGE_BYTES as usize]);

/// Where RAM is in the window: behind the devices.
const RAM: u64 = PAGES as u64 * PAGE_BYTES;

const INVALID_OPCODE: u64 = 6;
const GENERAL_PROTECTION: u64 = 13;
/// The resume flag, which an exception sets in what it saves.
const RFLAGS_RF: u64 = 1 << 16;
/// Before each case: carry and overflow set.
const RFLAGS: u64 = 1 << 11 | 1 << 1 | 1 << 0;

const RAX: usize = 0;
const RCX: usize = 1;
const RSI: usize = 6;
const RDI: usize = 7;

/// The pages are in the window.
pub struct Window;

/// What a case leaves.
#[derive(Debug)]
struct Left {
    registers: Registers,
    exception: Option<Exception>,
    word: u32,
}

/// Puts the devices' pages into the window, and the RAM behind them; allows vector registers.
pub fn begin(_: &Start, pages: [u64; 3]) -> Result<Window, CommandLineError<'static>> {
    page_tables::turn_on();
    let ram = LIKE_DEVICES.0.as_ptr() as u64;
    for (index, page) in pages.into_iter().enumerate() {
        WINDOW_LEVEL_3.set(index, page_tables::page(page));
        let ram = ram + index as u64 * PAGE_BYTES;
        WINDOW_LEVEL_3.set(PAGES + index, page_tables::page(ram));
    }
    page_tables::forget_translations();
    cpu::allow_vectors();
    Ok(Window)
}

/// What this platform and its CPU have.
pub fn abilities(_: &mut Devices) -> Abilities {
    Abilities {
        vectors: false,
        atomics: true,
    }
}

/// Leaves the window as it is: all else is where it was.
pub fn end(_: Window) {}

/// Executes a case and checks all that it leaves. A tick in between may change the word: the
/// case is then tried once more.
pub fn try_case(case: Case<Form>, expected: Expected, policy: Policy, devices: &mut Devices) {
    for last in [false, true] {
        let left = on_device(case, devices);
        let Some(wrong) = judge(case, expected, policy, &left) else {
            return;
        };
        if last {
            say!("{left:x?}");
            say!("{:x?}", on_ram(case, expected));
            check!(false, "{case:?}, {expected:?}: {wrong} is wrong");
        }
    }
}

/// The linear address that a case accesses on the device.
fn address(case: Case<Form>) -> u64 {
    let page = match case.place {
        Place::PageStart | Place::RestOfPage => WINDOW,
        Place::PageEnd => WINDOW + PAGE_BYTES,
    };
    page + case.place.offset_in_page() + case.offset
}

/// Writes the case's instruction for `address`, and gives the registers before it.
fn prepare(case: Case<Form>, address: u64) -> Registers {
    let code = CODE.address();
    let instruction = instruction(case.form, case.column, address, code);
    let instruction = instruction.expect("it is not excluded");
    CODE.write(instruction.bytes());
    let base = address.wrapping_add_signed(instruction.base);
    let mut registers = Registers {
        gpr: core::array::from_fn(|number| 0x0101_0101_0101_0101 * number as u64),
        rflags: RFLAGS,
    };
    registers.gpr[4] = 0;
    registers.gpr[RAX] = 0xf1e2_d3c4_b5a6_9788;
    registers.gpr[RCX] = case.form.rcx();
    registers.gpr[RSI] = base;
    registers.gpr[RDI] = base;
    registers
}

fn on_device(case: Case<Form>, devices: &mut Devices) -> Left {
    let location = match case.place {
        Place::PageStart | Place::RestOfPage => &mut devices.start,
        Place::PageEnd => &mut devices.end,
    };
    location.write(WORD);
    let mut registers = prepare(case, address(case));
    let exception = attempt(|| CODE.run_with(&mut registers)).err();
    if exception.is_some() {
        registers = interrupted_registers();
        registers.rflags &= !RFLAGS_RF;
    }
    Left {
        registers,
        exception,
        word: location.read(),
    }
}

/// What the CPU leaves where RAM looks like the device: like the word if the case is carried
/// out, else like what nothing answers. The base is as if it were the device's.
fn on_ram(case: Case<Form>, expected: Expected) -> (Registers, u32) {
    let at = (address(case) - case.offset - WINDOW) as usize;
    let word = WORD.to_le_bytes();
    // Sixteen bytes are the widest, and they may begin at the word's last.
    for place in 0..20 {
        let byte = match expected {
            Expected::Done => word.get(place).copied().unwrap_or(0xff),
            _ => 0xff,
        };
        LIKE_DEVICES.0[at + place].store(byte, Ordering::Relaxed);
    }
    let mut registers = prepare(case, address(case) + RAM);
    CODE.run_with(&mut registers);
    registers.gpr[RSI] = registers.gpr[RSI].wrapping_sub(RAM);
    registers.gpr[RDI] = registers.gpr[RDI].wrapping_sub(RAM);
    let after = [0, 1, 2, 3].map(|place| LIKE_DEVICES.0[at + place].load(Ordering::Relaxed));
    let word = match expected {
        Expected::Done => u32::from_le_bytes(after),
        _ => WORD,
    };
    (registers, word)
}

/// What is wrong with what a case left, if something is.
fn judge(
    case: Case<Form>,
    expected: Expected,
    policy: Policy,
    left: &Left,
) -> Option<&'static str> {
    let before = prepare(case, address(case));
    let (registers, word) = match (expected, policy) {
        (Expected::Done, _) | (Expected::Reference { .. }, Policy::Ignore) => {
            on_ram(case, expected)
        }
        // Skipped, or refused before anything has changed.
        _ => (before, WORD),
    };
    if left.word != word {
        return Some("the word");
    }
    let vector = match (expected, policy) {
        (Expected::Done, _) | (_, Policy::Ignore) => None,
        (Expected::Reference { .. }, Policy::Fail) => Some(GENERAL_PROTECTION),
        (Expected::Instruction, Policy::Fail) => Some(INVALID_OPCODE),
    };
    let wanted = vector.map(|vector| (vector, 0, CODE.address()));
    let exception = left.exception;
    if exception.map(|it| (it.vector, it.error_code, it.rip)) != wanted {
        return Some("the exception");
    }
    let flags = !case.form.undefined_flags();
    if left.registers.rflags & flags != registers.rflags & flags {
        return Some("RFLAGS");
    }
    if left.registers.gpr[RAX] != registers.gpr[RAX] {
        return Some("the register that is moved");
    }
    (left.registers.gpr != registers.gpr).then_some("another register")
}
