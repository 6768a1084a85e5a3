//! Whether a guest that waits by WFI will ever do anything else.
//!
//! Called by `exits`. WFI is a hint: it may complete for any reason, and here does at the clock's next
//! wake-up, so a guest may wait by it for a time to come with everything masked. But
//!
//! ```text
//!   1: dsb sy     barriers and hints, or nothing
//!      wfi
//!      b 1b
//! ```
//!
//! with everything masked is how a program stops for good: the loop has no way out, nobody else writes
//! the guest's memory, and of the exceptions that could lead out of it, none comes.
//!
//! Invariant: what is said to be halted could not have reached another instruction, ever.
//!
//! Specification: Arm ARM (DDI 0487) D1.6 (WFI), C6.2 (B), C4.1.93 (hints, barriers).

use super::A64Machine;
use super::step::INSTRUCTION_BYTES;
use super::view::View;
use a64_guest::pstate;

/// Instructions between a loop's begin and its WFI that are looked at.
const MOST_BEFORE: u64 = 4;

/// B, and the sign bit of its 26 bits of offset, in instructions.
const BRANCH: u32 = 0b000101 << 26;
const BRANCH_MASK: u32 = 0b111111 << 26;

/// Whether the instruction is a hint or a barrier: behind it, the next one is executed.
const fn passes_on(instruction: u32) -> bool {
    const HINT: u32 = 0xd503_201f;
    const BARRIER: u32 = 0xd503_301f;
    // CRm and op2 say which.
    matches!(instruction & !0xfe0, HINT | BARRIER)
}

/// How many instructions before itself it goes on, if it is B to one before it.
const fn goes_back(instruction: u32) -> Option<u64> {
    if instruction & BRANCH_MASK != BRANCH {
        return None;
    }
    let offset = (instruction << 6) as i32 >> 6;
    if offset < 0 {
        Some(offset.unsigned_abs() as u64)
    } else {
        None
    }
}

/// Whether the WFI at `pc` is one of a loop that nothing ends. It was executed in AArch64.
pub(super) fn is_for_ever(pc: u64, machine: &mut impl A64Machine) -> bool {
    if !pstate::is_uninterruptible(machine.pstate()) {
        return false;
    }
    let mut view = View::new(machine);
    let mut instruction = |pc| view.code(pc).map(u32::from_le_bytes);
    let next = pc.wrapping_add(INSTRUCTION_BYTES);
    let Some(before) = instruction(next).and_then(goes_back) else {
        return false;
    };
    // The WFI is one of them.
    let before = before - 1;
    before <= MOST_BEFORE
        && (1..=before).all(|distance| {
            let pc = pc.wrapping_sub(distance * INSTRUCTION_BYTES);
            instruction(pc).is_some_and(passes_on)
        })
}
