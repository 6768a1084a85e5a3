//! All assembly of the x86_64 platform: `start`, `exceptions` and `guest` call the Rust code and are
//! called by the boot loader and the CPU alone; `instructions` are called by it.

pub mod exceptions;
mod guest;
pub mod instructions;
mod start;
