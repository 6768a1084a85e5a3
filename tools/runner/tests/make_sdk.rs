//! `make sdk`, with an archive of our own in the official one's place: what is fetched is whole
//! and the right one, or nothing of it is left.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

/// The name of the archive and of the folder in it, as the Makefile has them.
const ARCHIVE: &str = "microkit-sdk-2.3.1-linux-x86-64.tar.gz";
const FOLDER: &str = "microkit-sdk-2.3.1";

fn make_sdk(folder: &Path, variables: &[String]) -> Output {
    let makefile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Makefile");
    std::fs::copy(makefile, folder.join("Makefile")).unwrap();
    Command::new("make")
        .arg("sdk")
        .args(variables)
        // Below another make, as in `make system`, it would say so in its messages.
        .env_remove("MAKELEVEL")
        .env_remove("MAKEFLAGS")
        .current_dir(folder)
        .output()
        .unwrap()
}

fn output_of(program: &str, arguments: &[&str], folder: &Path) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{program} {arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// An archive with a small SDK; returns its URL and its SHA-256.
fn archive(folder: &Path) -> (String, String) {
    std::fs::create_dir_all(folder.join(FOLDER)).unwrap();
    std::fs::write(folder.join(FOLDER).join("VERSION"), "2.3.1\n").unwrap();
    output_of("tar", &["-czf", ARCHIVE, FOLDER], folder);
    std::fs::remove_dir_all(folder.join(FOLDER)).unwrap();
    let sum = output_of("sha256sum", &[ARCHIVE], folder);
    let sum = sum.split_whitespace().next().unwrap().to_owned();
    (format!("file://{}/{ARCHIVE}", folder.display()), sum)
}

fn left_in_out(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join("out")).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn curl_is_there() -> bool {
    let found = Command::new("curl").arg("--version").output().is_ok();
    if !found {
        // Not `println`, which the test harness keeps to itself.
        let _ = writeln!(std::io::stderr(), "skipped: make sdk (curl is missing)");
    }
    found
}

#[test]
fn the_right_archive_becomes_an_sdk_and_the_next_command_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let (url, sum) = archive(folder.path());
    if !curl_is_there() {
        return;
    }
    let variables = [format!("SDK_URL={url}"), format!("SDK_SHA256={sum}")];
    for _ in 0..2 {
        let output = make_sdk(folder.path(), &variables);
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(
            said.contains("make run PLATFORM=microkit MICROKIT_SDK=/"),
            "{said}"
        );
        assert_eq!(left_in_out(folder.path()), [FOLDER]);
    }
}

#[test]
fn a_wrong_checksum_is_one_sentence_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (url, _) = archive(folder.path());
    if curl_is_there() {
        assert_that_it_fails(folder.path(), &url, "is not the official one");
    }
}

#[test]
fn an_archive_out_of_reach_is_one_sentence_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    if curl_is_there() {
        let nowhere = format!("file://{}/nothing", folder.path().display());
        assert_that_it_fails(folder.path(), &nowhere, "could not be fetched from file://");
    }
}

fn assert_that_it_fails(folder: &Path, url: &str, reason: &str) {
    let output = make_sdk(folder, &[format!("SDK_URL={url}")]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    let ours: Vec<_> = said
        .lines()
        .filter(|line| !line.starts_with("make: ***"))
        .collect();
    assert!(ours.len() == 1 && ours[0].contains(reason), "{said}");
    assert!(left_in_out(folder).is_empty(), "{:?}", left_in_out(folder));
}
