//! All assembly of the aarch64 platform: `start` and `guest` call the Rust code and are called by the
//! CPU alone; `instructions` are called by it.

mod guest;
pub mod instructions;
mod start;
