//! The `runner` command, with a shell script in QEMU's place and a thread in its monitor's: what
//! ends a run and how it is told. Needs no emulator and no image.

mod stand_ins;

use stand_ins::{elf, said, write_program, write_vm};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The verdict in the machine's report page, as that has it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Page {
    NoVerdict = 0,
    Ok = 1,
    Failed = 2,
}

/// Runs `runner` where `qemu-system-aarch64` does what `script` says, or where there is none.
fn runner(page: Page, script: Option<&str>, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    serve_monitor(folder.path(), page);
    command(folder.path(), script, arguments).output().unwrap()
}

/// Answers as the monitor of a QEMU whose machine has such a report page, and nothing else.
fn serve_monitor(folder: &Path, page: Page) {
    std::fs::create_dir_all(folder.join("run, 1")).unwrap();
    let listener = UnixListener::bind(folder.join("run, 1/qmp.sock")).unwrap();
    let folder = folder.to_owned();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            // Whoever asks may go away.
            let _ = answer(connection.unwrap(), &folder, page);
        }
    });
}

fn answer(connection: UnixStream, folder: &Path, page: Page) -> std::io::Result<()> {
    writeln!(&connection, r#"{{"QMP": {{}}}}"#)?;
    for line in BufReader::new(&connection).lines() {
        let command: serde_json::Value = serde_json::from_str(&line?)?;
        let answer = match command["execute"].as_str().unwrap() {
            "query-status" => r#"{"status": "running"}"#,
            "pmemsave" => {
                let arguments = &command["arguments"];
                let file = PathBuf::from(arguments["filename"].as_str().unwrap());
                let mut memory = vec![0; arguments["size"].as_u64().unwrap() as usize];
                // `crates/isolation/oversight/src/report.rs`; the page is at 0xdff000 of RAM.
                let at = 0x40df_f000 - arguments["val"].as_u64().unwrap() as usize;
                memory[at..][..8].copy_from_slice(b"VTRACEND");
                memory[at + 8] = 2;
                memory[at + 16] = page as u8;
                std::fs::write(folder.join(file), memory)?;
                "{}"
            }
            _ => "{}",
        };
        writeln!(&connection, r#"{{"return": {answer}}}"#)?;
    }
    Ok(())
}

/// The command, to be run in a folder where its configuration and its QEMU are.
fn command(folder: &Path, script: Option<&str>, arguments: &[&str]) -> Command {
    std::fs::create_dir_all(folder.join("bin")).unwrap();
    write_vm(folder, elf::AARCH64);
    if let Some(script) = script {
        write_program(folder, "bin/qemu-system-aarch64", script);
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

#[test]
fn only_a_good_verdict_in_the_report_page_is_success() {
    let script = "echo hello; echo 'verdict: ok'";
    let good = runner(Page::Ok, Some(script), &["run"]);
    assert!(good.status.success(), "{}", said(&good.stderr));
    assert!(said(&good.stdout).ends_with("hello\nverdict: ok\n"));
    for (page, reason) in [
        (
            Page::NoVerdict,
            "error: the run failed: QEMU ended without a verdict (exit status: 0)\n",
        ),
        (Page::Failed, "error: the run failed: verdict: failed\n"),
    ] {
        let bad = runner(page, Some(script), &["run"]);
        assert!(!bad.status.success());
        assert_eq!(said(&bad.stderr), reason);
    }
}

#[test]
fn a_run_is_looked_at_when_a_line_begins_with_a_verdict_and_whatever_it_is() {
    for line in ["verdict: okay", "verdict: failed", "verdict: "] {
        let script = format!("echo '{line}'; exec /bin/sleep 600");
        let output = runner(Page::Ok, Some(&script), &["run"]);
        assert!(output.status.success(), "{line}: {}", said(&output.stderr));
    }
    for line in ["demo| verdict: ok", " verdict: ok", "true"] {
        let output = runner(Page::Ok, Some(&format!("echo '{line}'")), &["run"]);
        let reason = said(&output.stderr);
        assert!(reason.contains("ended without a verdict"), "{reason}");
    }
}

#[test]
fn what_comes_before_a_bad_end_is_the_reason() {
    for (page, script, reason) in [
        (
            Page::Failed,
            "echo 'panic in vmm: oops'; echo 'verdict: failed'",
            "panic in vmm: oops (verdict: failed)",
        ),
        (
            Page::Failed,
            "echo 'panic in pd-vmm: oops'; echo '[ 1.0] fatal demo: ended'; echo 'verdict: ok'",
            "panic in pd-vmm: oops (verdict: failed)",
        ),
        (
            Page::Failed,
            "echo 'hung: pd-trace has'; echo 'panic in pd-console: it'; echo 'verdict: failed'",
            "hung: pd-trace has (verdict: failed)",
        ),
        (
            Page::NoVerdict,
            "echo 'panic in vmm: oops'; exit 3",
            "panic in vmm: oops (QEMU ended without a verdict (exit status: 3))",
        ),
        (
            Page::Failed,
            "echo 'verdict: the guest failed'",
            "the run failed: verdict: failed",
        ),
    ] {
        for arguments in [&["run"][..], &["run", "--dump", "memory.dump"], &["trace"]] {
            let output = runner(page, Some(script), arguments);
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
fn an_image_that_cannot_be_run_is_told_at_its_place_and_nothing_boots() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path(), Some("echo booted"), &["run"]);
    for (image, title) in [
        (&b"not an ELF file"[..], "is no ELF file"),
        (&elf::executable(elf::X86_64), "is for another machine"),
    ] {
        std::fs::write(folder.path().join("guest"), image).unwrap();
        let output = command.output().unwrap();
        assert!(!output.status.success());
        assert_eq!(said(&output.stdout), "");
        let told = said(&output.stderr);
        let title = format!("error: the image `guest` {title}\n --> vm.conf:4:6\n");
        assert!(told.starts_with(&title), "{told}");
    }
}

#[test]
fn an_emulators_own_last_words_are_shown_when_it_dies() {
    let script = "echo 'qemu: -machine: no' >&2; echo 'qemu: such machine' >&2; exit 1";
    let output = runner(Page::NoVerdict, Some(script), &["run"]);
    assert_eq!(
        said(&output.stderr),
        "error: the run failed: QEMU ended without a verdict (exit status: 1): \
         qemu: such machine\n"
    );
}

#[test]
fn a_run_that_says_nothing_ends_with_its_deadline() {
    let began = Instant::now();
    let script = Some("exec /bin/sleep 600");
    let silent = runner(Page::NoVerdict, script, &["run", "--deadline", "1"]);
    assert!(began.elapsed() < Duration::from_secs(60));
    assert_eq!(
        said(&silent.stderr),
        "error: the run failed: no verdict within 1 s\n"
    );
    assert!(!silent.status.success());
}

#[test]
fn a_missing_emulator_is_one_sentence_that_says_how_to_get_it() {
    let output = runner(Page::NoVerdict, None, &["run"]);
    let sentence = said(&output.stderr);
    assert!(!output.status.success());
    assert_eq!(sentence.lines().count(), 1);
    assert!(sentence.contains("apt-get install --no-install-recommends qemu-system-arm"));
}

#[test]
fn the_command_that_is_shown_can_be_pasted() {
    let folder = tempfile::tempdir().unwrap();
    serve_monitor(folder.path(), Page::Ok);
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
fn a_line_without_its_end_is_shown_while_the_machine_waits_and_then_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    serve_monitor(folder.path(), Page::Ok);
    // The machine is given its answer when its question has been read.
    let script = "printf 'name? '; while [ ! -e answer ]; do /bin/sleep 0.01; done; \
                  echo Ada; echo 'verdict: ok'";
    let mut child = command(folder.path(), Some(script), &["run"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut shown = child.stdout.take().unwrap();
    let mut text = Vec::new();
    while !text.ends_with(b"\nname? ") {
        let mut byte = [0];
        shown.read_exact(&mut byte).unwrap();
        text.extend(byte);
    }
    std::fs::write(folder.path().join("answer"), "").unwrap();
    let mut rest = String::new();
    shown.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "Ada\nverdict: ok\n");
    assert!(child.wait().unwrap().success());
}

#[test]
fn whoever_stops_reading_the_console_does_not_make_the_run_fail() {
    let folder = tempfile::tempdir().unwrap();
    serve_monitor(folder.path(), Page::Ok);
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
