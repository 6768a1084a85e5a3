//! The unikernel: a hypervisor in one image, for QEMU's virt board at EL2 (aarch64) and for its
//! machine q35 with AMD SVM (x86_64).
//!
//! ```text
//! make build [ARCH=x86_64]
//! vdev-trace compile vm.conf -o vm.blob --image-region guest.image
//! qemu-system-aarch64 -machine virt,virtualization=on,gic-version=3 -cpu cortex-a53 -m 20M \
//!     -display none -nodefaults -serial stdio -kernel out/firmware/unikernel \
//!     -device loader,file=vm.blob,addr=0x40e00000,force-raw=on \
//!     -device loader,file=guest.image,addr=0x41000000,force-raw=on
//! qemu-system-x86_64 -machine q35 -accel tcg -cpu max,+svm -m 20M \
//!     -display none -nodefaults -serial stdio -kernel out/firmware-x86_64/unikernel \
//!     -device loader,file=vm.blob,addr=0xe00000,force-raw=on \
//!     -device loader,file=guest.image,addr=0x1000000,force-raw=on
//! ```
//!
//! Softfloat, so that the host never touches the FP registers and a guest's stay in the CPU.
//! `component_host` is the place to begin reading: it plays the Microkit for the components.
//! Below it, in the folder of the architecture: `memory_map`, `boot`, `assembly`, `machine`,
//! `vcpu` (on x86_64 in `svm`). On a host this is an empty program, so that the whole workspace
//! can be checked there.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(all(target_os = "none", target_arch = "aarch64", target_feature = "neon"))]
compile_error!("build for aarch64-unknown-none-softfloat: the FP registers are the guest's");

#[cfg(all(target_os = "none", target_arch = "x86_64", target_feature = "sse"))]
compile_error!("build for x86_64-unknown-none: the FP registers are the guest's");

#[cfg(all(target_os = "none", target_arch = "aarch64"))]
#[path = "aarch64/mod.rs"]
mod arch;
#[cfg(all(target_os = "none", target_arch = "x86_64"))]
#[path = "x86_64/mod.rs"]
mod arch;

#[cfg(target_os = "none")]
mod component_host;
#[cfg(target_os = "none")]
mod components;
#[cfg(target_os = "none")]
mod image;
#[cfg(target_os = "none")]
mod panic;
#[cfg(target_os = "none")]
mod places;
#[cfg(target_os = "none")]
mod print;
#[cfg(target_os = "none")]
mod report;
#[cfg(target_os = "none")]
mod rings;
#[cfg(target_os = "none")]
mod vm_parts;

#[cfg(target_os = "none")]
use component_host::main;

#[cfg(not(target_os = "none"))]
fn main() {}
