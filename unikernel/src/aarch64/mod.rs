//! The aarch64 platform at EL2, for QEMU's virt board: all that another architecture does
//! its own way. What is shared (`component_host`, `rings`, `panic`) names it `crate::arch`.

mod assembly;
pub mod boot;
pub mod clock;
mod device_tree;
pub mod el1_context;
mod fatal;
pub mod gic;
pub mod guest_ram;
mod hypervisor;
pub mod memory_map;
mod paging;
pub mod power;
pub mod saved_vm;
pub mod stage2;
mod table_pool;
pub mod uart;
pub mod vcpu;

pub use assembly::invalidate_instruction_cache;
