//! The list, a file for each class.
//!
//! To add an attack, add an [`Attack`] to the file of its class; most are variations of the
//! class's own pattern, the first constant of each file.

mod console;
mod guest;
mod trace;
mod vmm_access_ring;
mod vmm_calls;
mod vmm_console_ring;
mod vmm_life_page;
mod vmm_memory;
mod vmm_records;
mod vmm_time;
mod vmm_vcpu;

use crate::Attack;

/// Every attack there is, class by class.
pub const ALL: &[&[Attack]] = &[
    guest::LIST,
    vmm_records::LIST,
    vmm_access_ring::LIST,
    vmm_console_ring::LIST,
    vmm_life_page::LIST,
    vmm_calls::LIST,
    vmm_memory::LIST,
    vmm_time::LIST,
    vmm_vcpu::LIST,
    trace::LIST,
    console::LIST,
];
