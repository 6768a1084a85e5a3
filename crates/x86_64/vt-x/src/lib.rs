//! Intel's virtualization, VT-x, as far as it is neither the CPU's nor a kernel's: the names of
//! the VMCS, what an exit means, what an entry injects, and what it refuses.
//!
//! Called by the platform on every exit of a guest. A crate of its own because all of it is the
//! manual's: whoever runs the vCPU, a kernel's system call or the instructions themselves, finds
//! the same here.
//!
//! Invariant: every number comes from the hardware, and what it says of a guest is the guest's
//! doing: none of it panics.
//!
//! Specification: Intel SDM volume 3, part "System Programming", the chapters on VMX.
#![no_std]
#![forbid(unsafe_code)]

mod check;
mod event;
mod exit;
pub mod vmcs;

pub use check::{
    ModeRegisters, Refused, is_canonical, may_enter_ia32e_mode, may_load, may_write, msr,
};
pub use event::{Event, vector};
pub use exit::{
    Cause, ControlRegisterAccess, EPT_VIOLATION, Left, MadeBy, cause, left_by, memory_access,
};
