//! Hands the linker script to the linker, on bare metal only.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let set_by_cargo = |name| std::env::var(name).expect("cargo sets it for build scripts");
    if set_by_cargo("CARGO_CFG_TARGET_OS") == "none" {
        let folder = set_by_cargo("CARGO_MANIFEST_DIR") + "/..";
        let architecture = set_by_cargo("CARGO_CFG_TARGET_ARCH");
        println!("cargo:rerun-if-changed=../{architecture}.ld");
        println!("cargo:rustc-link-arg-bins=-T{folder}/{architecture}.ld");
        // x86_64's target links to no fixed address unless it is told to.
        println!("cargo:rustc-link-arg-bins=--no-pie");
    }
}
