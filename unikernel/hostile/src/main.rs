//! The unikernel with components that have been taken over, for `make attacks`.
//!
//! The files are the ordinary unikernel's, all but `components`. What a component of the list in
//! `attacks` does here it does in the one address space that all share: this is the control group,
//! and what falls here is what the page tables hold on seL4.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(all(target_os = "none", target_arch = "aarch64"))]
#[path = "../../src/aarch64/mod.rs"]
mod arch;
#[cfg(all(target_os = "none", target_arch = "x86_64"))]
#[path = "../../src/x86_64/mod.rs"]
mod arch;

#[cfg(target_os = "none")]
#[path = "../../src/component_host.rs"]
mod component_host;
#[cfg(target_os = "none")]
mod components;
#[cfg(target_os = "none")]
mod hands;
#[cfg(target_os = "none")]
#[path = "../../src/image.rs"]
mod image;
#[cfg(target_os = "none")]
#[path = "../../src/panic.rs"]
mod panic;
#[cfg(target_os = "none")]
#[path = "../../src/places.rs"]
mod places;
#[cfg(target_os = "none")]
#[path = "../../src/print.rs"]
mod print;
#[cfg(target_os = "none")]
#[path = "../../src/report.rs"]
mod report;
#[cfg(target_os = "none")]
#[path = "../../src/rings.rs"]
mod rings;
#[cfg(target_os = "none")]
#[path = "../../src/vm_parts.rs"]
mod vm_parts;

#[cfg(target_os = "none")]
use component_host::main;

#[cfg(not(target_os = "none"))]
fn main() {}
