//! A folder that looks like a host to the `runner` command: a VM's configuration and its image, and
//! shell scripts in the places of programs. Needs no emulator and no SDK.
#![allow(dead_code, reason = "each test program uses a part of it")]

#[path = "../../../vdev-trace/tests/machine/elf.rs"]
pub mod elf;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A VM whose image is beside it.
pub const CONFIG: &str = "system demo\ncpu\nram 0x40000000,2M\nload guest\n";

/// Where the boards' files are.
pub fn boards() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards")
}

/// Puts a VM of this machine (`elf`) into `folder`: `vm.conf` and `guest`.
pub fn write_vm(folder: &Path, machine: u8) {
    std::fs::write(folder.join("vm.conf"), CONFIG).unwrap();
    write_image(folder, machine);
}

/// Puts an image that a VM of this machine can run into `folder`, as `guest`.
pub fn write_image(folder: &Path, machine: u8) {
    std::fs::write(folder.join("guest"), elf::executable(machine)).unwrap();
}

/// Puts a program into `folder` that does what `script` says.
pub fn write_program(folder: &Path, name: &str, script: &str) {
    let file = folder.join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
}

/// What a program has written.
pub fn said(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}
