//! The releases that are named in several places are the same in all of them.

use regex::Regex;
use std::path::Path;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What the first group of `pattern` is, at each place of `text`.
fn all(text: &str, pattern: &str) -> Vec<String> {
    let pattern = Regex::new(pattern).unwrap();
    let found: Vec<_> = pattern
        .captures_iter(text)
        .map(|at| at[1].to_owned())
        .collect();
    assert!(!found.is_empty(), "{pattern} is nowhere");
    found
}

fn one(text: &str, pattern: &str) -> String {
    let mut all = all(text, pattern);
    all.dedup();
    assert_eq!(all.len(), 1, "{pattern}: {all:?}");
    all.remove(0)
}

#[test]
fn the_sdk_that_is_fetched_is_the_one_that_the_documents_name() {
    let makefile = read("Makefile");
    let release = one(&makefile, r"SDK_NAME := microkit-sdk-([0-9.]+)");
    assert_eq!(one(&makefile, r"releases/download/([0-9.]+)/"), release);
    let sum = one(&makefile, r"SDK_SHA256 := (\S+)");
    assert!(
        Regex::new("^[0-9a-f]{64}$").unwrap().is_match(&sum),
        "{sum}"
    );
    let boards = read("docs/boards.md");
    assert_eq!(
        one(&boards, r"microkit-sdk-([0-9]+\.[0-9]+\.[0-9]+)"),
        release
    );
    assert_eq!(one(&boards, "`([0-9a-f]{64})`"), sum);
    let (series, _) = release.rsplit_once('.').unwrap();
    for document in ["README.md", "Makefile"] {
        let text = read(document);
        for named in all(&text, r"Microkit SDK ([0-9]+\.[0-9]+)") {
            assert_eq!(named, series, "{document}");
        }
    }
}

#[test]
fn rust_sel4_is_the_same_in_manifest_lock_file_and_readme() {
    let tag = one(&read("sel4/Cargo.toml"), r#"rust-sel4", tag = "([^"]+)""#);
    let lock = read("sel4/Cargo.lock");
    assert_eq!(one(&lock, r"rust-sel4\?tag=([^#]+)#"), tag);
    // One revision, whoever names it.
    one(&lock, r"rust-sel4\?tag=[^#]+#([0-9a-f]{40})");
    assert_eq!(one(&read("README.md"), r"rust-sel4 (v[0-9.]+[0-9])"), tag);
}
