//! Hands the linker script to the linker, on bare metal only.

fn main() {
    println!("cargo:rerun-if-changed=unikernel.ld");
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        let folder = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it for build scripts");
        println!("cargo:rustc-link-arg-bins=-T{folder}/unikernel.ld");
    }
}
