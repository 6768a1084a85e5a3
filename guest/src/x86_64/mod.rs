//! What an x86_64 guest does its own way.

pub mod access_forms;
pub(crate) mod call;
pub mod code;
pub mod console;
pub mod cpu;
#[cfg(target_os = "none")]
mod entry;
pub mod exceptions;
pub mod page_tables;
pub mod ports;
pub mod segments;
pub mod timer_registers;
