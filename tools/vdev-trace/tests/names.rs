//! Whose functions a record is told to be made in: those of the ELF file that ran, or nobody's.

mod machine;

use machine::{Ring, TRACE, elf, read, said, tagged, vdev_trace};
use std::path::PathBuf;
use std::process::Output;
use tempfile::TempDir;

const PC: u64 = 0x4008_0000;

/// A folder with a guest, its configuration, and what was compiled of them as VM 0 and as VM 1.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        std::fs::write(folder.path("guest"), elf::with_functions(&[(PC, b"ran")])).unwrap();
        let text = "system x\nram 0x40000000,2M\nload guest\n\
                    vdev trace loc 0xfa000000 name first\n";
        std::fs::write(folder.path("vm.conf"), text).unwrap();
        for (vm, blob) in [("0", "vm.blob"), ("1", "vm_1.blob")] {
            let arguments = ["compile", "./vm.conf", "--vm", vm, "-o", blob];
            assert!(folder.tool(&arguments).status.success());
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs the tool; words with a dot are files of the folder.
    fn tool(&self, arguments: &[&str]) -> Output {
        let file = |word: &&str| match word.contains(['.', '/']) {
            true => self.path(word).to_str().unwrap().to_owned(),
            false => (*word).to_owned(),
        };
        let mut words: Vec<_> = arguments.iter().map(file).collect();
        words.extend([
            "--images".to_owned(),
            self.0.path().to_str().unwrap().to_owned(),
        ]);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let mut other = Ring::new(TRACE, 1, 2);
        other.push(tagged(read(2000, 1, 9), 12, 0, 1));
        let dump = [Ring::traced(2, [read(1000, 1, 7)]).dump(), other.dump()].concat();
        vdev_trace(&dump, &words)
    }

    /// The records' lines, and what is said on standard error without the folder's name.
    fn decoded(&self, more: &[&str]) -> (Vec<String>, String) {
        let output = self.tool(&[&["decode", "-"], more].concat());
        assert!(output.status.success(), "{}", said(&output.stderr));
        let text = said(&output.stdout);
        let lines = text.lines().skip(1).take(2).map(str::to_owned).collect();
        (lines, self.told(&output))
    }

    fn told(&self, output: &Output) -> String {
        said(&output.stderr).replace(&format!("{}/", self.0.path().display()), "")
    }
}

#[test]
fn the_image_that_ran_names_the_functions() {
    let folder = Folder::new();
    let (lines, told) = folder.decoded(&["--config", "./vm.blob"]);
    assert!(lines[0].ends_with("  ran"), "{lines:?}");
    assert!(lines[0].contains(" x         first "), "{lines:?}");
    assert!(lines[1].ends_with("    1     0"), "{lines:?}");
    assert_eq!(told, "");
}

#[test]
fn the_image_that_a_run_left_beside_what_was_compiled_comes_first() {
    let folder = Folder::new();
    std::fs::rename(folder.path("guest"), folder.path("guest_1.elf")).unwrap();
    let (lines, told) = folder.decoded(&["--config", "./vm_1.blob"]);
    assert!(lines[1].ends_with("  ran"), "{lines:?}");
    assert_eq!(told, "");
}

#[test]
fn an_image_of_another_length_or_another_checksum_names_nothing() {
    let folder = Folder::new();
    let longer = elf::with_functions(&[(PC, b"did_not_run")]);
    let same_length = elf::with_functions(&[(PC, b"not")]);
    for (image, reason) in [
        (
            longer,
            "guest is not what VM x ran: it has 534 bytes, and that had 526",
        ),
        (
            same_length,
            "guest is not what VM x ran: its checksum is another",
        ),
    ] {
        std::fs::write(folder.path("guest"), image).unwrap();
        let (lines, told) = folder.decoded(&["--config", "./vm.blob"]);
        assert!(lines[0].ends_with("    1     0"), "{lines:?}");
        assert_eq!(
            told,
            format!("warning: no names of functions for VM x: {reason}\n")
        );
        let arguments = ["decode", "-", "--config", "./vm.blob", "--guest", "./guest"];
        let output = folder.tool(&arguments);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(
            folder.told(&output),
            format!(
                "error: ./{reason}; --guest wants the ELF file that ran, or its kernel's list of \
                 symbols (System.map)\n"
            )
        );
        assert_eq!(said(&output.stdout), "");
    }
}

#[test]
fn where_there_are_no_names_the_reason_is_told() {
    let folder = Folder::new();
    let reason = |more: &[&str]| {
        let (lines, told) = folder.decoded(more);
        assert!(lines[0].ends_with("    1     0"), "{lines:?}");
        let reason = told.strip_prefix("warning: no names of functions for VM x: ");
        reason.unwrap_or_else(|| panic!("{told}")).to_owned()
    };
    // A text was compiled with some build of the image, who knows with which.
    assert_eq!(
        reason(&["--config", "./vm.conf"]),
        "./vm.conf does not tell which build of guest ran; a compiled configuration does, or \
         --guest\n"
    );
    std::fs::remove_file(folder.path("guest")).unwrap();
    assert_eq!(
        reason(&["--config", "./vm.blob"]),
        "cannot read the functions of guest: No such file or directory (os error 2)\n"
    );
    std::fs::write(folder.path("guest"), b"MZ, as Linux' Image begins").unwrap();
    assert_eq!(
        reason(&["--config", "./vm.blob"]),
        "guest is no ELF file; if it is Linux, --guest takes its System.map or /proc/kallsyms\n"
    );
    std::fs::write(folder.path("guest"), elf::with_functions(&[])).unwrap();
    assert!(
        folder
            .tool(&["compile", "./vm.conf", "-o", "./vm.blob"])
            .status
            .success()
    );
    assert_eq!(
        reason(&["--config", "./vm.blob"]),
        "its ELF file has no symbols\n"
    );
}

#[test]
fn whoever_names_the_file_is_believed_where_nothing_tells_which_ran() {
    let folder = Folder::new();
    let (lines, told) = folder.decoded(&["--config", "./vm.conf", "--guest", "./guest"]);
    assert!(lines[0].ends_with("  ran"), "{lines:?}");
    assert_eq!(told, "");
}

#[test]
fn what_was_compiled_knows_its_vm() {
    let folder = Folder::new();
    let (lines, _) = folder.decoded(&["--config", "./vm_1.blob"]);
    assert!(lines[0].contains(" vm0 "), "{lines:?}");
    assert!(
        lines[1].contains(" x ") && lines[1].ends_with("  ran"),
        "{lines:?}"
    );
    let twice = folder.tool(&[
        "decode",
        "-",
        "--config",
        "./vm_1.blob",
        "--config",
        "./vm_1.blob",
    ]);
    assert_eq!(twice.status.code(), Some(1));
    assert!(
        folder
            .told(&twice)
            .contains("vm_1.blob is one configuration of a VM too many")
    );
}
