//! The unikernel: a hypervisor in one image at EL2, for QEMU's virt board (aarch64).
//!
//! ```text
//! rustup target add aarch64-unknown-none-softfloat
//! cargo build -p unikernel --profile firmware --target aarch64-unknown-none-softfloat
//! qemu-system-aarch64 -machine virt,virtualization=on,gic-version=3 -cpu cortex-a53 -m 18M \
//!     -nographic -nodefaults -serial stdio \
//!     -kernel target/aarch64-unknown-none-softfloat/firmware/unikernel \
//!     -device loader,file=vm.blob,addr=0x40e00000,force-raw=on \
//!     -device loader,file=guest.elf,addr=0x40e10000,force-raw=on
//! ```
//!
//! Softfloat, so that EL2 never touches the FP registers and a guest's stay in the CPU.
//! `component_host` is the place to begin reading: it plays the Microkit for the components.
//! Below it, `memory_map`, `boot`, `assembly`, `vcpu`. On a host
//! this is an empty program, so that the whole workspace can be checked there.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(all(target_os = "none", target_feature = "neon"))]
compile_error!("build for aarch64-unknown-none-softfloat: the FP registers are the guest's");

#[cfg(target_os = "none")]
mod assembly;
#[cfg(target_os = "none")]
mod boot;
#[cfg(target_os = "none")]
mod clock;
#[cfg(target_os = "none")]
mod component_host;
#[cfg(target_os = "none")]
mod device_tree;
#[cfg(target_os = "none")]
mod el1_context;
#[cfg(target_os = "none")]
mod gic;
#[cfg(target_os = "none")]
mod guest_ram;
#[cfg(target_os = "none")]
mod hypervisor;
#[cfg(target_os = "none")]
mod memory_map;
#[cfg(target_os = "none")]
mod paging;
#[cfg(target_os = "none")]
mod panic;
#[cfg(target_os = "none")]
mod power;
#[cfg(target_os = "none")]
mod rings;
#[cfg(target_os = "none")]
mod stage2;
#[cfg(target_os = "none")]
mod table_pool;
#[cfg(target_os = "none")]
mod uart;
#[cfg(target_os = "none")]
mod vcpu;

#[cfg(target_os = "none")]
use component_host::{guest_exit, main};

#[cfg(not(target_os = "none"))]
fn main() {}
