//! `tools/setup.sh`, on a machine that lacks all that it looks for, with programs of our own in the
//! package manager's and the compiler's place: what is installed for whom.

mod stand_ins;

use stand_ins::{said, write_program};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// What the script itself needs of a machine.
const BASE: [&str; 8] = ["sh", "cat", "dirname", "env", "grep", "id", "mkdir", "tr"];

/// The packages that the script installs, in their order.
fn installed(arguments: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    for name in BASE {
        let found = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|folder| folder.join(name))
            .find(|path| path.exists());
        symlink(found.unwrap(), place.join(name)).unwrap();
    }
    // With a Rust of its own, on a PC, whoever runs this.
    write_program(place, "cargo", "exit 1");
    write_program(place, "rustup", "echo aarch64-unknown-none-softfloat");
    write_program(place, "sudo", "exec \"$@\"");
    write_program(place, "uname", "echo x86_64");
    let note = "[ $1 != install ] || for word; do echo $word; done >>installed";
    write_program(place, "apt-get", note);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../setup.sh");
    let output = Command::new(script)
        .args(arguments)
        .env("PATH", place)
        .env_remove("BARE_METAL")
        .env_remove("BROWSER")
        .current_dir(place)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output.stderr));
    assert!(place.join(arguments.last().unwrap()).exists());
    let words = std::fs::read_to_string(place.join("installed")).unwrap();
    let words = words
        .lines()
        .filter(|word| *word != "install" && !word.starts_with('-'));
    words.map(str::to_owned).collect()
}

#[test]
fn for_a_run_nothing_is_installed_that_only_tests_want() {
    let packages = installed(&["aarch64-unknown-none-softfloat", "out/toolchain.mk"]);
    assert_eq!(packages, ["gcc", "libc6-dev", "qemu-system-arm"]);
}

#[test]
fn for_tests_there_are_a_reader_of_traces_and_compilers_for_both_architectures() {
    let packages = installed(&["tests", "out/tools-of-tests"]);
    assert_eq!(packages, ["babeltrace2", "gcc-aarch64-linux-gnu", "gcc"]);
}

#[test]
fn whatever_compiles_the_protection_domains_looks_for_libclang_first() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for target in ["domains", "lint-domains"] {
        let output = Command::new("make")
            .args(["--dry-run", "--no-print-directory", target])
            .args(["MICROKIT_SDK=/sdk", "ARCH=aarch64"])
            .env_remove("MAKEFLAGS")
            .env_remove("MAKELEVEL")
            .current_dir(&root)
            .output()
            .unwrap();
        let told = said(&output.stdout);
        let libclang = told.find("setup.sh libclang");
        let compiler = told.find("cd sel4");
        assert!(
            libclang.is_some() && libclang < compiler,
            "{target}: {told}"
        );
    }
}
