//! What an aarch64 guest does its own way.

pub mod aarch32;
pub mod access_forms;
pub mod addressing_forms;
pub(crate) mod call;
pub mod code;
pub mod console;
pub mod cpu;
pub mod debug_registers;
#[cfg(target_os = "none")]
mod entry;
pub mod exceptions;
pub mod gic;
pub mod interrupts;
pub mod page_tables;
pub mod paging;
pub mod timer_registers;
pub mod virtual_timer;
