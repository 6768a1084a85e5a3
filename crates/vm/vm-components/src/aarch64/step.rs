//! Past an instruction: its length, the PSTATE that it leaves, and whether a platform can do that.
//!
//! Invariant: a guest in AArch32 whose registers the platform cannot set goes on only where
//! PSTATE stays as it is.

use super::{A64Machine, Exit};
use a64_guest::pstate;
use a64_guest::syndrome::{aarch32_condition, aarch32_instruction_bytes};
use guest_access::Gpr;

/// Every A64 instruction is four bytes long.
pub(crate) const INSTRUCTION_BYTES: u64 = 4;

/// Lets the guest go on behind the instruction at `pc`, which is done, after writing one register
/// if `result` says so.
pub(crate) fn step_over(
    pc: u64,
    len_bytes: u64,
    result: Option<(Gpr, u64)>,
    machine: &mut impl A64Machine,
) {
    let next = prepare_step(pc, len_bytes, machine);
    machine.resume(next, result);
}

/// Sets PSTATE to what the instruction at `pc` leaves of it; returns where the guest goes on.
pub(super) fn prepare_step(pc: u64, len_bytes: u64, machine: &mut impl A64Machine) -> u64 {
    let before = machine.pstate();
    let next = pstate::after(before, pc, len_bytes);
    if next.pstate != before {
        machine.set_pstate(next.pstate);
    }
    next.pc
}

/// Whether the guest's registers are in AArch32 and the platform cannot set them.
pub(super) fn is_beyond(machine: &mut impl A64Machine) -> bool {
    !machine.sets_aarch32() && pstate::is_aarch32(machine.pstate())
}

/// Whether the platform can go on behind an instruction that changes no register.
pub(super) fn may_step_over(pc: u64, len_bytes: u64, machine: &mut impl A64Machine) -> bool {
    let before = machine.pstate();
    !is_beyond(machine) || pstate::after(before, pc, len_bytes).pstate == before
}

/// How long the instruction is that trapped, where the syndrome describes it.
pub(super) fn instruction_bytes(exit: Exit, machine: &mut impl A64Machine) -> u64 {
    match pstate::is_aarch32(machine.pstate()) {
        true => aarch32_instruction_bytes(exit.syndrome),
        false => INSTRUCTION_BYTES,
    }
}

/// Whether its condition, if it has one, holds.
pub(super) fn is_executed(exit: Exit, machine: &mut impl A64Machine) -> bool {
    pstate::is_executed(machine.pstate(), aarch32_condition(exit.syndrome))
}
