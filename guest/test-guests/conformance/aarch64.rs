//! Executes the table's cases in A64, and judges what they leave.
//!
//! The device's pages are mapped as Normal memory, so that accesses that are not aligned reach
//! the hypervisor.
//!
//! Arm ARM D17.2.37 (ESR_ELx).

use guest::cmdline::CommandLineError;
use guest::code::CodePage;
pub use guest::conformance::aarch64::Form;
use guest::conformance::aarch64::{INDEX, Instruction, instruction};
use guest::conformance::{Abilities, Case, Column, Expected, Form as _, Place};
use guest::exceptions::{Exception, attempt};
use guest::paging::{Granule, Mmu, Use, WINDOW};
use guest::{Start, check, say};

use super::{Devices, PAGE_BYTES, Policy, WORD};

static CODE: CodePage = CodePage::new();

/// What the registers hold that a case moves.
const FIRST: u64 = 0xf1e2_d3c4_b5a6_9788;
const SECOND: u64 = 0x0fed_cba9_8765_4321;
/// What the others hold.
const OTHER: [u64; 4] = [0x4444, 0x5555, 0x6666, 0x7777];

/// Turns the MMU on, with the devices' pages in the window, and vector registers too.
pub fn begin(start: &Start, pages: [u64; 3]) -> Result<Mmu, CommandLineError<'static>> {
    let console = start.cmdline.number("console")?;
    enable_vectors();
    Ok(Mmu::on(
        Granule::Kib4,
        &[console, pages[0]],
        &pages.map(|page| (page, Use::Memory)),
    ))
}

/// What this platform and its CPU have.
pub fn abilities(devices: &mut Devices) -> Abilities {
    Abilities {
        vectors: reaches_vectors(devices),
        atomics: has_atomics(),
    }
}

/// Turns the MMU off.
pub fn end(mmu: Mmu) {
    mmu.off();
}

/// Executes a case and checks all that it leaves. A tick in between may change the word: the
/// case is then tried once more.
pub fn try_case(case: Case<Form>, expected: Expected, policy: Policy, devices: &mut Devices) {
    let instruction = instruction(case.form, case.column).expect("it is not excluded");
    for last in [false, true] {
        let left = execute(case, &instruction, devices);
        let Some(wrong) = judge(case, &instruction, expected, policy, &left) else {
            return;
        };
        if last {
            say!("{left:x?}");
            check!(false, "{case:?}, {expected:?}: {wrong} is wrong");
        }
    }
}

/// The guest-virtual address that a case accesses.
fn address(case: Case<Form>) -> u64 {
    let page = match case.place {
        Place::PageStart | Place::RestOfPage => WINDOW,
        Place::PageEnd => WINDOW + PAGE_BYTES,
    };
    page + case.place.offset_in_page() + case.offset
}

/// Executes a case's instruction.
fn execute(case: Case<Form>, instruction: &Instruction, devices: &mut Devices) -> Left {
    let location = match case.place {
        Place::PageStart | Place::RestOfPage => &mut devices.start,
        Place::PageEnd => &mut devices.end,
    };
    location.write(WORD);
    let base = address(case).wrapping_add_signed(instruction.base);
    let [x4, x5, x6, x7] = OTHER;
    if case.form.is_vector() {
        CODE.write(&[
            MOVE_IN[0],
            MOVE_IN[1],
            instruction.word,
            MOVE_OUT[0],
            MOVE_OUT[1],
        ]);
    } else {
        CODE.write(&[instruction.word]);
    }
    let mut x = [0; 8];
    let called = attempt(|| x = CODE.run([FIRST, base, SECOND, INDEX, x4, x5, x6, x7]));
    Left {
        x,
        exception: called.err(),
        word: location.read(),
    }
}

/// FMOV d0, x0; FMOV d2, x2; and back.
const MOVE_IN: [u32; 2] = [0x9e67_0000, 0x9e67_0042];
const MOVE_OUT: [u32; 2] = [0x9e66_0000, 0x9e66_0042];

/// What is wrong with what a case left, if something is.
fn judge(
    case: Case<Form>,
    instruction: &Instruction,
    expected: Expected,
    policy: Policy,
    left: &Left,
) -> Option<&'static str> {
    let refused = expected != Expected::Done;
    let base = address(case).wrapping_add_signed(instruction.base);
    let wanted_word = match case.column.writes() {
        true => written(case, expected),
        false => WORD,
    };
    if left.word != wanted_word {
        return Some("the word");
    }
    let x = left.x;
    match (left.exception, refused && policy == Policy::Fail) {
        (Some(exception), true) => {
            // Who takes it finds every register as it was.
            if x[..4] != [FIRST, base, SECOND, INDEX] || x[4..] != OTHER {
                return Some("a register after the exception");
            }
            return judge_exception(case, expected, exception);
        }
        (None, false) => {}
        (None, true) => return Some("that there is no exception"),
        (Some(_), false) => return Some("the exception"),
    }
    let moved = match expected {
        Expected::Instruction => 0,
        Expected::Done | Expected::Reference { .. } => instruction.moves,
    };
    if x[1] != base.wrapping_add_signed(moved) {
        return Some("the base");
    }
    if x[3] != INDEX || x[4..] != OTHER {
        return Some("a register that is not moved");
    }
    let loads = !case.column.writes() && expected != Expected::Instruction;
    for (element, (value, before)) in [(x[0], FIRST), (x[2], SECOND)].into_iter().enumerate() {
        let wanted = match loads && (element as u64) < case.form.elements() {
            true => loaded(case, element as u64),
            false => before,
        };
        if value != wanted {
            return Some("a register that is moved");
        }
    }
    None
}

/// The word after a store. Of a pair at most the first register lies in it, which is stored
/// whatever becomes of the second.
fn written(case: Case<Form>, expected: Expected) -> u32 {
    if expected == Expected::Instruction || !case.is_supported(0) {
        return WORD;
    }
    let mask = u32::MAX >> (32 - 8 * case.column.width.min(4));
    let shift = 8 * case.offset;
    WORD & !(mask << shift) | (FIRST as u32 & mask) << shift
}

/// What a load leaves in a register: a part of the word, or all-ones where it is refused.
fn loaded(case: Case<Form>, element: u64) -> u64 {
    let value = match case.is_supported(element) {
        true => u64::from(WORD) >> (8 * (case.offset + element * case.column.width)),
        false => u64::MAX,
    };
    case.column.extend(value)
}

/// The data abort that the architecture gives for what the bus refuses.
fn judge_exception(
    case: Case<Form>,
    expected: Expected,
    exception: Exception,
) -> Option<&'static str> {
    const DATA_ABORT: u64 = 0x25 << 26 | 1 << 25;
    const EXTERNAL: u64 = 0x10;
    // An atomic that is refused is so when it reads (D17.2.37, WnR).
    let write = u64::from(case.column.writes() && case.form != Form::Atomic) << 6;
    let element = match expected {
        Expected::Reference { element } => element,
        Expected::Done | Expected::Instruction => 0,
    };
    let far = address(case) + element * case.column.width;
    let elr = match case.form.is_vector() {
        true => CODE.address() + 4 * MOVE_IN.len() as u64,
        false => CODE.address(),
    };
    if exception.esr != DATA_ABORT | write | EXTERNAL {
        return Some("the syndrome");
    }
    if exception.far != far {
        return Some("the fault address");
    }
    (exception.elr != elr).then_some("the return address")
}

/// Whether a vector register can be loaded from the device: on a platform without a way to
/// them it is an unsupported instruction.
fn reaches_vectors(devices: &mut Devices) -> bool {
    let case = Case {
        form: Form::Vector,
        column: Column::ALL[2],
        place: Place::PageStart,
        offset: 0,
    };
    let load = instruction(case.form, case.column).expect("there is one");
    let left = execute(case, &load, devices);
    // A tick may have come.
    left.exception.is_none() && left.x[0] & !0xf == u64::from(WORD)
}

fn has_atomics() -> bool {
    #[cfg(target_os = "none")]
    {
        use aarch64_cpu::registers::{ID_AA64ISAR0_EL1, Readable};
        ID_AA64ISAR0_EL1.get() >> 20 & 0xf != 0
    }
    #[cfg(not(target_os = "none"))]
    unimplemented!()
}

/// Lets EL1 and EL0 use vector registers.
fn enable_vectors() {
    #[cfg(target_os = "none")]
    {
        use aarch64_cpu::{
            asm::barrier,
            registers::{CPACR_EL1, Writeable},
        };
        CPACR_EL1.write(CPACR_EL1::FPEN::TrapNothing);
        barrier::isb(barrier::SY);
    }
}

/// What a case leaves.
#[derive(Debug)]
struct Left {
    /// x0 to x7.
    x: [u64; 8],
    exception: Option<Exception>,
    /// The word of its device.
    word: u32,
}
