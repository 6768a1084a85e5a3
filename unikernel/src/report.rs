//! The report page: how the run went, for whoever looks from outside.
//!
//! Written by the platform alone: begun by `boot`, completed by whoever ends the run, before the
//! line that begins with "verdict: " and before the power goes off. Invariant: the page lies where
//! `memory_map` says, no component has a reference to it, and its verdict is the first that was
//! given. (A component that the compiler does not hold to that shares the address space and can
//! write here; on seL4 it cannot.)

use crate::arch::memory_map::REPORT;
use oversight::{Cpu, ReportPage, Verdict};

const _: () = assert!(size_of::<ReportPage>() == REPORT.end - REPORT.start);
const _: () = assert!(REPORT.start.is_multiple_of(align_of::<ReportPage>()));

fn page() -> &'static ReportPage {
    // SAFETY: RAM at a constant of the memory map, which `paging` maps for this page and nothing
    // else; every bit pattern is one of its atomics.
    unsafe { &*(REPORT.start as *const ReportPage) }
}

/// No verdict yet, whatever was in memory. Called once, before anything can fail.
pub fn begin() {
    page().begin();
}

/// Publishes where the CPU's time has gone.
pub fn cpu(cpu: &Cpu) {
    page().set_cpu(cpu);
}

/// Publishes how the run went.
pub fn verdict(verdict: Verdict) {
    page().set_verdict(verdict);
}
