//! The aarch64 platform at EL2, for QEMU's virt board: all that another architecture does
//! its own way. What is shared (`component_host`, `rings`, `panic`) names it `crate::arch`.

mod assembly;
pub mod boot;
pub mod clock;
mod device_tree;
mod el1_context;
mod fatal;
mod gic;
pub mod guest_ram;
mod hypervisor;
mod id_registers;
mod machine;
pub mod memory_map;
mod paging;
pub mod power;
mod saved_vm;
mod stage2;
mod table_pool;
pub mod uart;
mod vcpu;
mod virtual_interrupts;

pub use gic::{acknowledge_wakeup, wait_for_interrupt};
pub use saved_vm::SavedVm;
pub use stage2::Stage2 as SecondStage;
pub use vcpu::Vcpu;
pub use vm_components::A64 as InstructionSet;
