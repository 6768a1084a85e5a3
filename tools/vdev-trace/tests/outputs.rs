//! What is written where: a tool never destroys, and says what failed.

mod machine;

use machine::{Ring, TRACE, elf, read, said, vdev_trace};
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A folder with a dump in it, and a file that somebody needs.
struct Folder(TempDir);

const KEPT: &str = "years of work";

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("d"), dump()).unwrap();
        fs::write(folder.path().join("keep.txt"), KEPT).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn tool(&self) -> Command {
        let mut tool = Command::new(env!("CARGO_BIN_EXE_vdev-trace"));
        tool.current_dir(self.0.path()).stdin(Stdio::null());
        tool
    }

    fn run(&self, arguments: &str) -> Output {
        let arguments = arguments.split_whitespace();
        self.tool().args(arguments).output().unwrap()
    }

    /// The error of a run that fails; the dump and the other file are what they were, and
    /// nothing is left of what it began.
    fn error(&self, arguments: &str) -> String {
        let before = self.names();
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments}");
        assert_eq!(fs::read(self.path("d")).unwrap(), dump(), "{arguments}");
        assert_eq!(self.text("keep.txt"), KEPT, "{arguments}");
        assert_eq!(self.names(), before, "{arguments}");
        said(&output.stderr)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        names(self.0.path())
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn dump() -> Vec<u8> {
    Ring::traced(4, [read(1_000_000, 1, 7)]).dump()
}

#[test]
fn an_input_that_cannot_be_read_costs_no_output() {
    let folder = Folder::new();
    fs::create_dir(folder.path("k")).unwrap();
    fs::write(folder.path("k/vm0-trace"), KEPT).unwrap();
    fs::write(folder.path("empty"), "").unwrap();
    fs::write(folder.path("core"), "\x7fELF but no core").unwrap();
    for input in ["nofile", "empty", "core", "k"] {
        for output in ["--text", "--json", "--html"] {
            let told = folder.error(&format!("decode {input} {output} keep.txt"));
            assert!(told.contains(&format!(" {input}")), "{told}");
        }
        folder.error(&format!("decode {input} --ctf k"));
        assert_eq!(folder.text("k/vm0-trace"), KEPT);
    }
    // No whole frame arrives; no configuration is there.
    folder.error("decode keep.txt --from serial --text keep.txt");
    folder.error("decode d --config nofile --text keep.txt");
    folder.error("decode d --guest nofile --text keep.txt");
}

#[test]
fn an_output_is_no_input_by_whatever_name() {
    let folder = Folder::new();
    symlink("d", folder.path("link")).unwrap();
    symlink("link", folder.path("link-to-link")).unwrap();
    fs::hard_link(folder.path("d"), folder.path("hard")).unwrap();
    for output in ["d", "./d", "link", "link-to-link", "hard"] {
        for kind in ["--text", "--json", "--html"] {
            let told = folder.error(&format!("decode d {kind} {output}"));
            assert!(told.ends_with("and stays as it is\n"), "{told}");
        }
    }
    let config = "system x\nram 0x40000000,2M\nload image\n";
    fs::write(folder.path("vm.conf"), config).unwrap();
    let image = elf::executable(elf::AARCH64);
    fs::write(folder.path("image"), &image).unwrap();
    for output in ["vm.conf", "image"] {
        folder.error(&format!(
            "decode d --images . --config vm.conf --text {output}"
        ));
        folder.error(&format!("compile vm.conf --images . -o {output}"));
    }
    assert_eq!(folder.text("vm.conf"), config);
    assert_eq!(fs::read(folder.path("image")).unwrap(), image);
}

#[test]
fn standard_input_and_output_are_files_too() {
    let folder = Folder::new();
    let output = folder
        .tool()
        .args(["decode", "-", "--text", "d"])
        .stdin(File::open(folder.path("d")).unwrap())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fs::read(folder.path("d")).unwrap(), dump());
    // Appended to, the input would grow while it is read.
    let appended = File::options().append(true).open(folder.path("d")).unwrap();
    let output = folder
        .tool()
        .args(["decode", "d"])
        .stdout(appended)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fs::read(folder.path("d")).unwrap(), dump());
    insta::assert_snapshot!(said(&output.stderr), @"error: standard output is the input d, and stays as it is");
}

#[test]
fn two_outputs_are_not_mixed_in_one_place() {
    let folder = Folder::new();
    symlink("not-there", folder.path("dangling")).unwrap();
    fs::hard_link(folder.path("keep.txt"), folder.path("hard")).unwrap();
    for outputs in [
        "--json - --text -",
        "--json - --text /dev/stdout",
        "--json - --html /proc/self/fd/1",
        "--json new --text ./new",
        "--json dangling --text not-there",
        "--json keep.txt --html hard",
    ] {
        let told = folder.error(&format!("decode d {outputs}"));
        assert!(
            told.starts_with("error: two outputs cannot both be ")
                || told.ends_with(" are the same\n"),
            "{told}"
        );
    }
    // Where nobody reads there is nothing to mix.
    let output = folder.run("decode d --json /dev/null --text /dev/null --html /dev/null");
    assert!(output.status.success(), "{}", said(&output.stderr));
}

#[test]
fn a_file_is_replaced_as_a_whole_and_keeps_its_place_and_mode() {
    let folder = Folder::new();
    fs::write(folder.path("t.txt"), "x".repeat(1 << 20)).unwrap();
    fs::set_permissions(folder.path("t.txt"), PermissionsExt::from_mode(0o640)).unwrap();
    symlink("t.txt", folder.path("link")).unwrap();
    let output = folder.run("decode d --text link --json new.json");
    assert!(output.status.success(), "{}", said(&output.stderr));
    assert!(folder.path("link").is_symlink());
    assert_eq!(folder.text("t.txt").lines().count(), 3);
    let mode = |name: &str| {
        fs::metadata(folder.path(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode("t.txt"), 0o640);
    // As the process's mask lets every other new file be.
    fs::write(folder.path("other"), "").unwrap();
    assert_eq!(mode("new.json"), mode("other"));
    assert_eq!(
        folder.names(),
        ["d", "keep.txt", "link", "new.json", "other", "t.txt"]
    );
}

#[test]
fn a_folder_that_holds_anything_of_somebody_else_is_left_alone() {
    let folder = Folder::new();
    assert!(folder.run("decode d --ctf k").status.success());
    for (name, content) in [
        ("vmlinux", KEPT),
        ("vm0-trace.bak", KEPT),
        ("vm7-log", KEPT),
        ("thesis.tex", KEPT),
        // Of another tracer.
        (
            "metadata",
            "/* CTF 1.8 */\nenv { tracer_name = \"lttng-modules\"; };\n",
        ),
    ] {
        let file = folder.path("k").join(name);
        let before = fs::read(&file).ok();
        fs::write(&file, content).unwrap();
        let told = folder.error("decode d --ctf k");
        assert!(
            told.contains(&format!("it holds {name}, which is no part")),
            "{told}"
        );
        assert_eq!(fs::read_to_string(&file).unwrap(), content);
        match before {
            Some(before) => fs::write(file, before).unwrap(),
            None => fs::remove_file(file).unwrap(),
        }
    }
    assert!(folder.run("decode d --ctf k").status.success());
}

#[test]
fn a_trace_takes_the_place_of_an_earlier_one_and_only_when_it_is_whole() {
    let folder = Folder::new();
    let mut other = Ring::new(TRACE, 3, 4);
    other.push(read(1000, 1, 1));
    fs::write(folder.path("e"), other.dump()).unwrap();
    let both = [dump(), other.dump()].concat();
    fs::write(folder.path("both"), both).unwrap();
    assert!(folder.run("decode both --ctf k").status.success());
    assert_eq!(
        names(&folder.path("k")),
        ["metadata", "vm0-trace", "vm3-trace"]
    );
    let before = fs::read(folder.path("k/vm0-trace")).unwrap();
    // The other output fails, at the end.
    folder.error("decode e --ctf k --html /dev/full");
    assert_eq!(fs::read(folder.path("k/vm0-trace")).unwrap(), before);
    assert!(folder.run("decode e --ctf k").status.success());
    assert_eq!(names(&folder.path("k")), ["metadata", "vm3-trace"]);
}

#[test]
fn an_input_or_an_output_among_a_trace_s_files_is_no_part_of_it() {
    let folder = Folder::new();
    assert!(folder.run("decode d --ctf k").status.success());
    // A file that looks like ours and is read.
    let stream = folder.path("k/vm0-trace");
    let mut both = fs::read(&stream).unwrap();
    both.resize(4096, 0);
    both.extend(dump());
    fs::write(&stream, &both).unwrap();
    let told = folder.error("decode k/vm0-trace --ctf k");
    assert!(told.contains("k/vm0-trace"), "{told}");
    assert_eq!(fs::read(&stream).unwrap(), both);
    for outputs in ["--ctf k --text k/t.txt", "--text k/t.txt --ctf ./k"] {
        let told = folder.error(&format!("decode d {outputs}"));
        assert!(
            told.contains("k/t.txt would be among the files of"),
            "{told}"
        );
    }
}

#[test]
fn a_full_disk_is_the_fault_of_the_output_that_is_full() {
    let folder = Folder::new();
    for output in ["--text", "--json", "--html"] {
        let told = folder.error(&format!("decode d {output} /dev/full"));
        assert_eq!(
            told,
            "error: cannot write /dev/full: No space left on device (os error 28)\n"
        );
        let told = folder.error(
            &format!("decode d --json keep.txt {output} /dev/full")
                .replace("--json keep.txt --json", "--text keep.txt --json"),
        );
        assert!(
            told.starts_with("error: cannot write /dev/full: "),
            "{told}"
        );
    }
    for command in ["decode", "stats", "check"] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = folder.tool().args([command, "d"]).stdout(full).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(
            said(&output.stderr),
            "error: cannot write standard output: No space left on device (os error 28)\n",
            "{command}"
        );
    }
}

#[test]
fn a_full_standard_error_changes_nothing() {
    let folder = Folder::new();
    let mut damaged = dump();
    machine::set_header(&mut damaged, machine::HEAD, 77);
    fs::write(folder.path("damaged"), damaged).unwrap();
    fs::write(folder.path("vm.conf"), "nonsense").unwrap();
    for (arguments, status) in [
        ("decode damaged --text t.txt", 0),
        ("stats damaged", 0),
        ("decode nofile", 1),
        ("check damaged", 1),
        ("check vm.conf", 1),
        ("decode d --text d", 1),
        ("nonsense", 2),
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let arguments = arguments.split_whitespace();
        let output = folder.tool().args(arguments.clone()).stderr(full).output();
        assert_eq!(output.unwrap().status.code(), Some(status), "{arguments:?}");
    }
    assert_eq!(folder.text("t.txt").lines().count(), 3);
}

#[test]
fn a_place_for_temporary_files_that_is_not_there_is_named() {
    let folder = Folder::new();
    let output = folder
        .tool()
        .args(["decode", "-", "--from", "dump"])
        .stdin(Stdio::piped())
        .env("TMPDIR", "/not/there")
        .output()
        .unwrap();
    let told = said(&output.stderr);
    assert!(
        told.starts_with("error: cannot copy - to a temporary file in /not/there: No such file"),
        "{told}"
    );
}

#[test]
fn an_output_that_cannot_be_is_named() {
    let folder = Folder::new();
    for (output, reason) in [
        ("--text .", "cannot write .: it is a folder"),
        ("--text not/there", "cannot write not/there: No such file"),
        ("--ctf keep.txt", "cannot write keep.txt: Not a directory"),
        (
            "--html keep.txt/x",
            "cannot write keep.txt/x: Not a directory",
        ),
    ] {
        let told = folder.error(&format!("decode d {output}"));
        assert!(told.starts_with(&format!("error: {reason}")), "{told}");
    }
}

/// `head` ends one output; the others are as if it had not.
#[test]
fn whoever_stops_reading_one_output_gets_the_others_whole() {
    let folder = Folder::new();
    let mut child = folder
        .tool()
        .args(["decode", "d", "--text", "-", "--json", "t.json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
    assert!(folder.text("t.json").ends_with("]}\n"));
}

#[test]
fn a_compiled_configuration_takes_the_place_of_an_earlier_one_as_a_whole() {
    let folder = Folder::new();
    fs::write(folder.path("image"), elf::executable(elf::AARCH64)).unwrap();
    fs::write(
        folder.path("vm.conf"),
        "system x\nram 0x40000000,2M\nload image\n",
    )
    .unwrap();
    assert!(
        folder
            .run("compile vm.conf --images . -o vm.blob")
            .status
            .success()
    );
    let blob = fs::read(folder.path("vm.blob")).unwrap();
    fs::write(
        folder.path("vm.conf"),
        "system x\nram 0x40000000,2M\nload nofile\n",
    )
    .unwrap();
    folder.error("compile vm.conf --images . -o vm.blob");
    assert_eq!(fs::read(folder.path("vm.blob")).unwrap(), blob);
    let told = folder.error("compile vm.conf --images . -o keep.txt/x");
    assert!(!told.is_empty());
    assert!(vdev_trace(&[], &["--version"]).status.success());
}
