//! The `runner` command, with a shell script in QEMU's place: what ends a run and how it is
//! told. Needs no emulator and no image.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const CONFIG: &str = "system demo\ncpu\nram 0x40000000,2M\nload guest\n";

/// Runs `runner` where `qemu-system-aarch64` does what `script` says, or where there is none.
fn runner(script: Option<&str>, arguments: &[&str]) -> Output {
    command(tempfile::tempdir().unwrap().path(), script, arguments)
        .output()
        .unwrap()
}

/// The command, to be run in a folder where its configuration and its QEMU are.
fn command(folder: &Path, script: Option<&str>, arguments: &[&str]) -> Command {
    std::fs::create_dir_all(folder.join("bin")).unwrap();
    std::fs::write(folder.join("vm.conf"), CONFIG).unwrap();
    std::fs::write(folder.join("guest"), "an image").unwrap();
    if let Some(script) = script {
        let qemu = folder.join("bin/qemu-system-aarch64");
        std::fs::write(&qemu, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&qemu, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_runner"));
    command
        .args(arguments)
        .args([
            "vm.conf", "--images", ".", "--kernel", "kernel", "--work", "run, 1",
        ])
        .env("PATH", folder.join("bin"))
        .current_dir(folder);
    command
}

fn said(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

#[test]
fn only_a_good_verdict_at_the_start_of_a_line_is_success() {
    let good = runner(Some("echo hello; echo 'verdict: ok'"), &["run"]);
    assert!(good.status.success());
    assert!(said(&good.stdout).ends_with("hello\nverdict: ok\n"));
    for script in [
        "echo 'demo| verdict: ok'",
        "echo 'verdict: okay'",
        "echo 'verdict: failed'",
        "echo ' verdict: ok'",
        "true",
    ] {
        assert!(!runner(Some(script), &["run"]).status.success(), "{script}");
    }
}

#[test]
fn what_comes_before_a_bad_end_is_the_reason() {
    for (script, reason) in [
        (
            "echo 'panic in vmm: oops'; echo 'verdict: failed'",
            "panic in vmm: oops (verdict: failed)",
        ),
        (
            "echo 'panic in vmm: oops'; exit 3",
            "panic in vmm: oops (QEMU ended without a verdict (exit status: 3))",
        ),
        (
            "echo 'verdict: the guest failed'",
            "the run failed: verdict: the guest failed",
        ),
    ] {
        for arguments in [&["run"][..], &["run", "--dump", "memory.dump"], &["trace"]] {
            let output = runner(Some(script), arguments);
            assert!(!output.status.success());
            assert!(
                said(&output.stderr).contains(reason),
                "{}",
                said(&output.stderr)
            );
        }
    }
}

#[test]
fn a_run_that_says_nothing_ends_with_its_deadline() {
    let began = Instant::now();
    let silent = runner(Some("exec /bin/sleep 600"), &["run", "--deadline", "1"]);
    assert!(began.elapsed() < Duration::from_secs(60));
    assert_eq!(
        said(&silent.stderr),
        "error: the run failed: no verdict within 1 s\n"
    );
    assert!(!silent.status.success());
}

#[test]
fn a_missing_emulator_is_one_sentence_that_says_how_to_get_it() {
    let output = runner(None, &["run"]);
    let sentence = said(&output.stderr);
    assert!(!output.status.success());
    assert_eq!(sentence.lines().count(), 1);
    assert!(sentence.contains("apt-get install --no-install-recommends qemu-system-arm"));
}

#[test]
fn the_command_that_is_shown_can_be_pasted() {
    let folder = tempfile::tempdir().unwrap();
    let script = "for word; do echo \"<$word>\"; done; echo 'verdict: ok'";
    let output = command(folder.path(), Some(script), &["run"])
        .output()
        .unwrap();
    let shown = said(&output.stdout);
    let (line, words) = shown.split_once('\n').unwrap();
    let pasted = Command::new("/bin/sh")
        .args(["-c", line.strip_prefix("$ ").unwrap()])
        .env("PATH", folder.path().join("bin"))
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(said(&pasted.stdout), words);
    // QEMU takes one comma as the end of the file's name.
    assert!(
        words.contains("<loader,file=run,, 1/vm.blob,addr="),
        "{words}"
    );
}

#[test]
fn whoever_stops_reading_the_console_does_not_make_the_run_fail() {
    let folder = tempfile::tempdir().unwrap();
    let script = "echo hello; echo 'verdict: ok'";
    let mut child = command(folder.path(), Some(script), &["run"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output.stderr));
    assert_eq!(said(&output.stderr), "");
}
