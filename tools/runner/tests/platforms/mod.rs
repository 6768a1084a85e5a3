//! The platforms that the system tests boot: the unikernel is always there when `make` runs
//! the tests; seL4 is when `MICROKIT_SDK` is set. A test that leaves one out says so by name.

use runner::{BoardModel, Microkit, Platform, Unikernel};
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

/// The unikernel; without the Makefile there is none, and the scenario's name is printed.
#[allow(dead_code, reason = "not every test program runs it")]
pub fn unikernel(scenario: &str) -> Option<Platform> {
    let kernel = std::env::var_os("VDEV_TRACE_KERNEL");
    if kernel.is_none() {
        println!("skipped: {scenario} (VDEV_TRACE_KERNEL is not set; `make system` sets it)");
    }
    let kernel = kernel?.into();
    Some(Platform::Unikernel(Unikernel { kernel }))
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
