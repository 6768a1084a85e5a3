//! The platforms that the system tests boot: the unikernel is always there when `make` runs
//! the tests; seL4 is when `MICROKIT_SDK` is set. A test that leaves one out says so by name.

use runner::{Architecture, BoardModel, Microkit, Platform, Unikernel};
use std::path::{Path, PathBuf};

/// The board that the scenarios run on.
pub const BOARD: &str = "qemu_virt_aarch64";

/// The project's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
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
        let name = architecture.name();
        println!("skipped: {scenario} on {name} (`make system` builds what it needs)");
        return None;
    };
    Some(Platform::Unikernel(Unikernel {
        architecture,
        kernel: folder.join("unikernel"),
    }))
}

/// The guests' images for a platform.
#[allow(dead_code, reason = "not every test program runs it")]
pub fn guests(platform: &Platform) -> PathBuf {
    let architecture = match platform {
        Platform::Unikernel(unikernel) => unikernel.architecture,
        Platform::Microkit(..) => Architecture::Aarch64,
    };
    firmware(architecture).expect("run these tests by `make system`")
}

/// seL4 in each of the SDK's `configs`, with a system description; without an SDK there is
/// none, and the scenario's name is printed.
pub fn microkit(scenario: &str, board: &str, configs: &[&str], system: &Path) -> Vec<Platform> {
    let Some(sdk) = std::env::var_os("MICROKIT_SDK").filter(|sdk| !sdk.is_empty()) else {
        println!("skipped: {scenario} on seL4 (MICROKIT_SDK is not set)");
        return Vec::new();
    };
    let platform = |config: &&str| {
        let microkit = Microkit {
            sdk: sdk.clone().into(),
            board: board.into(),
            config: (*config).into(),
            domains: set_by_make("VDEV_TRACE_DOMAINS").join(board).join(config),
            system: system.into(),
        };
        Platform::Microkit(microkit, BoardModel::named(board).unwrap())
    };
    configs.iter().map(platform).collect()
}

/// How fast the emulated machine is, 2^N ns an instruction: the slower, the sooner its seconds
/// pass. The kernel's share of an access and of a wake-up wants a faster one.
pub fn instruction_ns_log2(platform: &Platform) -> u32 {
    match platform {
        Platform::Unikernel(_) => 5,
        Platform::Microkit(..) => 3,
    }
}
