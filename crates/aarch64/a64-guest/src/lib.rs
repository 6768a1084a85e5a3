//! What an aarch64 CPU reports of a guest, whose EL0 may be AArch32, and what it does with a load or
//! store, as far as the VMM must do that itself: decode the instruction, translate its addresses, enter
//! the guest's exception.
//!
//! Called by the VMM component: `syndrome` on every exit, the rest for accesses that the syndrome does
//! not describe; and by the platforms to inject an exception. A crate of its own because all of it is
//! the architecture's and none of it the hypervisor's: functions of numbers, which the tests compare
//! with a disassembler, with hand-built page tables and with the manual.
//!
//! Invariant: every number here comes from a guest; no input panics, and no work is longer
//! than a walk of four levels.
//!
//! ```text
//!    PC ──► stage1 ──► four bytes ──► load_store ──► element addresses ──► stage1 ──► IPAs
//!             │                           ▲                                  │
//!             └──► A32, T32 ──► aarch32 ──┘           exception ◄── fault ───┘
//! ```
//!
//! Specification: Arm ARM (DDI 0487) C4.1, F3 and F4 (encodings), C6.2, C7.2 and F5 (instructions), D8
//! (translation), D1.3 (exception entry).
#![no_std]
#![forbid(unsafe_code)]

pub mod aarch32;
pub mod exception;
pub mod load_store;
pub mod pstate;
pub mod stage1;
pub mod syndrome;
