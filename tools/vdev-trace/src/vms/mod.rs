//! What is known of the VMs: their configurations, the images that they load, and the names in both.
//!
//! Used by the command and by the runner, before a machine starts and to name what it did.

pub mod compile;
mod elf;
mod functions;
pub mod names;
pub mod symbol_list;
