//! The x86_64 platform, for QEMU's machine q35 with AMD SVM: all that another architecture
//! does its own way. What is shared (`component_host`, `rings`, `panic`) names it
//! `crate::arch`. What another vendor's virtualization does its own way is in `svm`.

mod assembly;
pub mod boot;
pub mod clock;
mod descriptors;
mod fatal;
pub mod guest_ram;
mod interrupts;
mod machine;
pub mod memory_map;
mod paging;
pub mod power;
mod start_info;
mod svm;
mod table_pool;
pub mod uart;

pub use interrupts::{acknowledge_wakeup, wait_for_interrupt};
pub use svm::nested_paging::NestedPaging as SecondStage;
pub use svm::saved_vm::SavedVm;
pub use svm::vcpu::Vcpu;
pub use vm_components::X86 as InstructionSet;
