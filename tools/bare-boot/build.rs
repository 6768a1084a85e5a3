//! Puts the program where QEMU's machine has RAM that no guest program wants.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let set_by_cargo = |name| std::env::var(name).expect("cargo sets it for build scripts");
    if set_by_cargo("CARGO_CFG_TARGET_OS") == "none" {
        let base = match set_by_cargo("CARGO_CFG_TARGET_ARCH").as_str() {
            // Before the guest, with too little room for the device tree, which QEMU then leaves out.
            "aarch64" => 0x4007_0000,
            _ => 0x10_0000,
        };
        println!("cargo:rustc-link-arg-bins=--image-base={base:#x}");
        println!("cargo:rustc-link-arg-bins=-zmax-page-size=4096");
        // x86_64's target links to no fixed address unless it is told to.
        println!("cargo:rustc-link-arg-bins=--no-pie");
    }
}
