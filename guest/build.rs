//! Gives the linker script to the bare-metal programs; on the host they link as usual.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=guest.ld");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        let folder = env::var("CARGO_MANIFEST_DIR").expect("set by cargo");
        println!("cargo:rustc-link-arg-bins=-T{folder}/guest.ld");
        // Segments start on 4 KiB, not on the linker's 64 KiB: the VMM embeds these files.
        println!("cargo:rustc-link-arg-bins=-zmax-page-size=4096");
        // x86_64's target links to no fixed address unless it is told to.
        println!("cargo:rustc-link-arg-bins=--no-pie");
    }
}
