//! The platforms that the system tests boot: the unikernel is always there when `make` runs
//! the tests; seL4 is when `MICROKIT_SDK` is set. A test that leaves one out says so by name.

pub mod ran;

use runner::{
    Architecture, Board, Change, Emulator, Microkit, Platform, SystemDescription, Unikernel,
    configurations,
};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The boards that the scenarios run on.
pub const BOARDS: [&str; 2] = ["qemu_virt_aarch64", "x86_64_generic_vtx"];

/// The project's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The configurations of a scenario's VMs.
#[allow(dead_code, reason = "not every test program runs one")]
pub fn configs_of(scenario: &str) -> Vec<PathBuf> {
    if scenario == "demo" {
        return vec![root().join("vm.conf")];
    }
    let scenarios = root().join("tools/runner/scenarios");
    configurations(Path::new(scenario), &scenarios).unwrap()
}

/// Says what a test leaves out. Not by `println`, which the test harness keeps to itself.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Notes that a test leaves a scenario out at a place, for a reason. Where `make system` runs the
/// tests, it tells each place's at the end, in a line.
pub fn skip(scenario: &str, place: &str, reason: &str) {
    let Some(list) = std::env::var_os("VDEV_TRACE_SKIPPED") else {
        return say(&format!("skipped: {scenario} on {place} ({reason})"));
    };
    // Tests of several threads and programs write at once: a line each, in one piece.
    let line = format!("{place} ({reason})\t{scenario}\n");
    let file = File::options().append(true).create(true).open(list);
    file.and_then(|mut file| file.write_all(line.as_bytes()))
        .expect("the list of what is skipped can be written");
}

/// An environment variable that the Makefile sets.
pub fn set_by_make(name: &str) -> PathBuf {
    std::env::var_os(name)
        .unwrap_or_else(|| panic!("{name} is not set: run these tests by `make system`"))
        .into()
}

/// The folder with the unikernel and the guests of an architecture.
fn firmware(architecture: Architecture) -> Option<PathBuf> {
    let variable = match architecture {
        Architecture::Aarch64 => "VDEV_TRACE_AARCH64",
        Architecture::X86_64 => "VDEV_TRACE_X86_64",
    };
    std::env::var_os(variable).map(PathBuf::from)
}

/// The unikernel; without the Makefile there is none, and the scenario's name is printed.
#[allow(dead_code, reason = "not every test program runs it")]
pub fn unikernel(scenario: &str, architecture: Architecture) -> Option<Platform> {
    let Some(folder) = firmware(architecture) else {
        let reason = "`make system` builds what it needs";
        skip(scenario, architecture.name(), reason);
        return None;
    };
    Some(Platform::Unikernel(Unikernel {
        architecture,
        kernel: folder.join("unikernel"),
        cpu: None,
    }))
}

/// The guests' images for a platform.
#[allow(dead_code, reason = "not every test program runs it")]
pub fn guests(platform: &Platform) -> PathBuf {
    firmware(platform.architecture()).expect("run these tests by `make system`")
}

/// seL4 in each of the SDK's `configs` for a board, with changes of the system description; without
/// an SDK there is none, nor with one that has not that board, and the scenario's name is printed.
pub fn microkit(
    scenario: &str,
    board_name: &str,
    configs: &[&str],
    changes: &[Change],
) -> Vec<Platform> {
    let Some(sdk) = std::env::var_os("MICROKIT_SDK").filter(|sdk| !sdk.is_empty()) else {
        for config in configs {
            let place = format!("seL4, {board_name} {config}");
            skip(scenario, &place, "MICROKIT_SDK is not set");
        }
        return Vec::new();
    };
    let platform = |config: &&str| {
        let sdk = PathBuf::from(&sdk);
        if !sdk.join("board").join(board_name).join(config).is_dir() {
            let place = format!("seL4, {board_name} {config}");
            skip(scenario, &place, "the SDK does not have it");
            return None;
        }
        let board = Board::load(&root().join("boards"), board_name).unwrap();
        let emulator = Emulator::of(&board).unwrap();
        let domains = set_by_make("VDEV_TRACE_DOMAINS");
        let microkit = Microkit {
            sdk,
            board_name: board_name.into(),
            board,
            config: (*config).into(),
            domains: domains.join(board_name).join(config),
            system: SystemDescription::Made(changes.to_vec()),
        };
        Some(Platform::Microkit(microkit, emulator))
    };
    configs.iter().filter_map(platform).collect()
}

#[allow(dead_code, reason = "not every test program runs one")]
/// How fast the emulated machine is, 2^N ns an instruction: the slower, the sooner its seconds
/// pass. The kernel's share of an access and of a wake-up wants a faster one.
pub fn instruction_ns_log2(platform: &Platform) -> u32 {
    match (platform, platform.architecture()) {
        (Platform::Unikernel(_), _) => 5,
        (Platform::Microkit(..), Architecture::Aarch64) => 3,
        // Bochs takes ten times as long for an instruction as QEMU.
        (Platform::Microkit(..), Architecture::X86_64) => 4,
    }
}
