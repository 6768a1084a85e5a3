//! The build script of the protection domains that may be started again: their programs begin where
//! `pd-runtime` clears their memory.

fn main() {
    println!("cargo::rustc-link-arg-bins=--entry=pd_entry");
}
