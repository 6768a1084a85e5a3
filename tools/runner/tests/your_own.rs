//! `docs/your-own-guest.md` and `docs/your-own-vdev.md`: what stands there is built by the commands that
//! stand there, runs, and prints what stands there.
//!
//! On the unikernel, and on seL4 when `MICROKIT_SDK` is set. A guest whose compiler is missing is
//! left out by its name.

mod platforms;

use platforms::ran::Ran;
use platforms::{BOARDS, guests, instruction_ns_log2, microkit, root, skip, unikernel};
use regex::Regex;
use runner::{Architecture, Platform, Request, run};
use shared_ring::RingKind;
use std::fmt::Display;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use vdev_trace::vms::names::Names;
use vdev_trace::whole_dump::write_rings;

/// Where a run leaves the machine's memory.
const DUMP: &str = "memory.dump";

/// What stands between two fences.
struct Block {
    /// After the first fence.
    language: String,
    /// The file, if the line before the fence ends with its name in backquotes and a colon.
    file: Option<String>,
    text: String,
}

const GUEST: &str = "docs/your-own-guest.md";
const VDEV: &str = "docs/your-own-vdev.md";

/// The blocks of a page's section with this heading.
fn blocks(page: &str, heading: &str) -> Vec<Block> {
    let page = std::fs::read_to_string(root().join(page)).unwrap();
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let named = Regex::new(r"`([a-z.]+)`:\n\n$").unwrap();
    let mut parts = section.split("```");
    let mut blocks = Vec::new();
    while let (Some(before), Some(block)) = (parts.next(), parts.next()) {
        let (language, text) = block.split_once('\n').unwrap();
        blocks.push(Block {
            language: language.to_owned(),
            file: named.captures(before).map(|found| found[1].to_owned()),
            text: text.to_owned(),
        });
    }
    blocks
}

/// A guest of the page: a listing and the commands below it.
struct Guest {
    language: &'static str,
    listing: Block,
    commands: String,
}

/// What the page has for an architecture.
struct Page {
    config: Block,
    guests: Vec<Guest>,
    output: String,
}

fn page(architecture: Architecture) -> Page {
    let mut blocks = blocks(GUEST, &format!("On {}", architecture.name())).into_iter();
    let mut next = |language: &str| {
        let block = blocks.next().unwrap();
        assert_eq!(block.language, language);
        block
    };
    let config = next("conf");
    assert_eq!(config.file.as_deref(), Some("hello.conf"));
    let guests = [("asm", "hello.s"), ("c", "hello.c")].map(|(language, file)| {
        let listing = next(language);
        assert_eq!(listing.file.as_deref(), Some(file));
        let commands = next("sh").text;
        Guest {
            language,
            listing,
            commands,
        }
    });
    let output = next("text").text;
    assert!(blocks.next().is_none(), "a block that nobody tests");
    Page {
        config,
        guests: guests.into(),
        output,
    }
}

/// Builds a guest in `folder` by its commands; false if it is left out, for want of a program.
fn build(name: &str, guest: &Guest, folder: &Path) -> bool {
    let programs = guest.commands.replace("\\\n", "");
    let programs = programs.lines().filter_map(|line| line.split(' ').next());
    for program in programs {
        let found = Command::new(program).arg("--version").output();
        if found.is_err() {
            skip(name, "this host", &format!("{program} is missing"));
            return false;
        }
    }
    std::fs::write(
        folder.join(guest.listing.file.as_ref().unwrap()),
        &guest.listing.text,
    )
    .unwrap();
    let shell = Command::new("sh")
        .args(["-e", "-c", &guest.commands])
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&shell.stderr);
    assert!(shell.status.success() && said.is_empty(), "{name}: {said}");
    true
}

/// The VM's lines and the verdict, of all that a console shows.
fn of_the_vm(console: &str) -> String {
    let is_of_the_vm = |line: &&str| line.starts_with('[') || line.starts_with("verdict: ");
    let lines: Vec<_> = console.lines().filter(is_of_the_vm).collect();
    lines.join("\n")
}

/// What is told as every run tells it: without times, without where the compiler has put an
/// instruction, and without where the CPU's time went. What the guest says comes first: the log goes
/// another way to the console.
fn timeless(text: &str) -> Vec<String> {
    let varies = [
        (r"\[ *\d+\.\d{6}\]", "[time]"),
        (r"\+ +[\d.]+", "+ since"),
        (r" pc 0x[0-9a-f]+", " pc"),
        (r"0x[0-9a-f]{10}", "pc"),
        // All that is in assembly is `_start`.
        (r"  (run|_start)$", "  function"),
    ];
    let varies = varies.map(|(pattern, word)| (Regex::new(pattern).unwrap(), word));
    let lines = text.lines().filter(|line| !line.starts_with("cpu of "));
    let lines = lines.map(|line| {
        varies
            .iter()
            .fold(line.to_owned(), |line, (pattern, word)| {
                pattern.replace_all(&line, *word).into_owned()
            })
    });
    let (mut guest, log): (Vec<_>, Vec<_>) = lines.partition(|line| line.contains("hello| "));
    guest.extend(log);
    guest
}

fn platforms(name: &str, architecture: Architecture) -> Vec<Platform> {
    let [aarch64, x86] = BOARDS;
    let board = match architecture {
        Architecture::Aarch64 => aarch64,
        Architecture::X86_64 => x86,
    };
    let on_sel4 = microkit(name, board, &["debug", "release"], &[]);
    unikernel(name, architecture)
        .into_iter()
        .chain(on_sel4)
        .collect()
}

/// Boots a configuration, and holds what it prints against `output`. The memory is left in `work`.
fn boot(name: &str, platform: &Platform, config: &Path, work: &Path, output: &str) {
    let request = Request {
        configs: &[config.to_owned()],
        images: &guests(platform),
        work,
        platform,
        icount: Some(instruction_ns_log2(platform)),
        dump: Some(work.join(DUMP)),
        counted: None,
        until: None,
        deadline: Some(Duration::from_secs(600)),
    };
    let ran = Ran {
        result: run(&request, |_| {}),
        platform: name.to_owned(),
    };
    assert_eq!(
        timeless(&of_the_vm(&ran.lines().join("\n"))),
        timeless(&of_the_vm(output)),
        "{name}"
    );
}

/// Holds the trace that a run left in `work` against the page's.
fn look_at_the_trace(name: &str, platform: &Platform, folder: &Path, work: &Path) {
    let blobs = [work.join("vm.blob")];
    let names = Names::load(&blobs, &[], folder, |text| panic!("{name}: {text}")).unwrap();
    let rings = (RingKind::Trace, &platform.ring_places());
    let warn = |text: &dyn Display| panic!("{name}: {text}");
    let (memory, mut trace) = (std::fs::read(work.join(DUMP)).unwrap(), Vec::new());
    assert!(write_rings(&mut trace, &memory, rings, &names, warn).unwrap());
    let wanted = blocks(GUEST, "The trace").remove(0).text;
    let trace = String::from_utf8(trace).unwrap();
    assert_eq!(timeless(&trace), timeless(&wanted), "{name}");
}

fn all_of(architecture: Architecture) {
    let page = page(architecture);
    for guest in &page.guests {
        let name = format!(
            "your own guest in {}, {}",
            guest.language,
            architecture.name()
        );
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("hello.conf");
        std::fs::write(&config, &page.config.text).unwrap();
        if build(&name, guest, folder.path()) {
            for platform in platforms(&name, architecture) {
                let work = tempfile::tempdir().unwrap();
                let name = format!("{name}, {}", platform.name());
                boot(&name, &platform, &config, work.path(), &page.output);
                look_at_the_trace(&name, &platform, folder.path(), work.path());
            }
        }
    }
}

#[test]
fn the_guests_for_aarch64_are_built_and_run_as_the_page_says() {
    all_of(Architecture::Aarch64);
}

#[test]
fn the_guests_for_x86_64_are_built_and_run_as_the_page_says() {
    all_of(Architecture::X86_64);
}

#[test]
fn the_guest_that_uses_the_vdev_is_built_and_runs_as_the_page_says() {
    let mut blocks = blocks(VDEV, "A guest that uses it").into_iter();
    let mut next = |language: &str| {
        let block = blocks.next().unwrap();
        assert_eq!(block.language, language);
        block
    };
    let (config, listing) = (next("conf"), next("asm"));
    let (commands, output) = (next("sh").text, next("text").text);
    let guest = Guest {
        language: "asm",
        listing,
        commands,
    };
    let (name, folder) = ("your own vdev", tempfile::tempdir().unwrap());
    let path = folder.path().join(config.file.unwrap());
    std::fs::write(&path, &config.text).unwrap();
    if build(name, &guest, folder.path()) {
        for platform in platforms(name, Architecture::Aarch64) {
            let work = tempfile::tempdir().unwrap();
            let name = format!("{name}, {}", platform.name());
            boot(&name, &platform, &path, work.path(), &output);
        }
    }
}
