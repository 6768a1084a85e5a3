//! What the CPU does with an access of an x86 guest, as far as the VMM must do it itself: find
//! the instruction, decode it, carry it out on a value that a device gave. And what a guest sees
//! of its CPU (`cpuid`) and may switch (`efer`).
//!
//! Called by the VMM component on an exit that says where the guest went and not how: on x86
//! that is every access to a device; the rest by the platforms. A crate of its own because all
//! of it is the architecture's, and the same for both vendors.
//!
//! Invariant: every number here comes from a guest; no input panics, and no work is longer
//! than five walks of five levels (the code's two pages, its first page twice more, the
//! operand) and one instruction of fifteen bytes; two walks and the instruction once more where
//! what it is in another mode is to be known.
//!
//! ```text
//!    RIP ──► paging ──► fifteen bytes ──► decode ──► Instruction ──► linear address ──► paging
//!     │                                                   │                               │
//!     └─ AccessCache: if nothing of this has changed ─►   │                is it where the guest
//!                                                      execute                    went?
//!                                                         │
//!                                            read, write, register, flags
//! ```
//!
//! Specification: AMD APM (40332) volume 2, chapters 4 and 5; volume 3. Intel SDM (325462)
//! volume 3, chapters 3 to 5; volume 2.
#![no_std]
#![forbid(unsafe_code)]

mod cache;
mod control;
mod cpuid;
mod decode;
mod efer;
mod encoding;
mod execute;
mod fetch;
mod flags;
mod instruction;
mod paging;
mod shift;

pub use cache::{AccessCache, Found, Recalled, Situation};
pub use control::{ControlRegisters, is_page_directory_pointer};
pub use cpuid::{Cpuid, visible_cpuid};
pub use decode::{decode, instruction_len};
pub use efer::written_efer;
pub use execute::Effect;
pub use fetch::{Code, fetch};
pub use instruction::{
    Alu, Bit, Condition, Instruction, MemoryOperand, Operation, Register, RegisterPart, Registers,
    Scan, Segment, Shift, Source, Stepped, Steps, Unary,
};
pub use paging::{Paging, Translation};

/// How the CPU reads instructions: EFER.LMA, CS.L and CS.D.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// 64-bit mode.
    Long,
    /// 32-bit code, with or without long mode around it.
    Protected,
    /// 16-bit code: real mode, and 16-bit segments.
    Real,
}
