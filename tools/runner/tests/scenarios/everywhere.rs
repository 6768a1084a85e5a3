//! Runs a scenario on every platform that is there, on both architectures.
//!
//! Called by the tests of every theme. What a platform does not have, and how much shorter a storm
//! is under an emulator that is slow, is told here and nowhere else.

use crate::outcome::Outcome;
use crate::platforms::ran::Ran;
use crate::platforms::{
    BOARDS, configs_of, guests, instruction_ns_log2, microkit, root, say, unikernel,
};
use runner::{Architecture, Platform, Request, Unikernel, run};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// All platforms that are there, on both architectures where the scenario is about neither.
pub(crate) fn platforms(scenario: &str) -> Vec<Platform> {
    let mut platforms = on_architecture(scenario, Architecture::Aarch64);
    match NOT_ON_X86
        .iter()
        .find(|(name, _)| scenario.starts_with(name))
    {
        Some((_, reason)) => say(&format!("left out: {scenario} on x86_64: {reason}")),
        None => platforms.extend(on_architecture(scenario, Architecture::X86_64)),
    }
    platforms
}

/// The unikernel, and seL4 in both configurations.
pub(crate) fn on_architecture(scenario: &str, architecture: Architecture) -> Vec<Platform> {
    let [aarch64, x86] = BOARDS;
    let board = match architecture {
        Architecture::Aarch64 => aarch64,
        Architecture::X86_64 => x86,
    };
    let on_sel4 = microkit(scenario, board, &["debug", "release"], &[]);
    let unikernel = unikernel(scenario, architecture);
    unikernel.into_iter().chain(on_sel4).collect()
}

/// What x86_64 does not have, by how its name begins, and why.
const NOT_ON_X86: [(&str, &str); 4] = [
    ("aarch32", "it is about AArch32"),
    ("addressing-forms", "it is about the forms of A64"),
    ("byte-order", "it is about the byte order of A64"),
    ("user-mode", "it is about EL0"),
];

/// The unikernel on other CPUs of aarch64 than the usual one.
pub(crate) fn on_other_cpus(scenario: &str, cpus: &[&'static str], check: impl Fn(Outcome)) {
    let config = root().join(format!("tools/runner/scenarios/{scenario}.conf"));
    let with = |cpu: &&'static str| {
        let Platform::Unikernel(usual) = unikernel(scenario, Architecture::Aarch64)? else {
            return None;
        };
        let cpu = Some(*cpu);
        Some(Platform::Unikernel(Unikernel { cpu, ..usual }))
    };
    let platforms = cpus.iter().filter_map(with).collect();
    on(platforms, &[config], None, check);
}

/// Runs a scenario on every platform that is there.
pub(crate) fn everywhere(scenario: &str, check: impl Fn(Outcome)) {
    everywhere_until(scenario, None, check);
}

/// The same for a guest that does not end: a line with `until` ends the run.
pub(crate) fn everywhere_until(scenario: &str, until: Option<&str>, check: impl Fn(Outcome)) {
    on(platforms(scenario), &configs_of(scenario), until, check);
}

/// The guest judges its ticks by its own clock: within 50 ms of whole seconds.
pub(crate) fn assert_that_the_guest_is_content(scenario: &str) {
    everywhere(scenario, |outcome| outcome.assert_guest_is_done());
}

/// Runs these VMs on these platforms.
pub(crate) fn on(
    platforms: Vec<Platform>,
    configs: &[PathBuf],
    until: Option<&str>,
    check: impl Fn(Outcome),
) {
    for platform in platforms {
        let work = tempfile::tempdir().unwrap();
        let dump = work.path().join("memory.dump");
        let request = Request {
            configs: &configs_for(&platform, configs, work.path()),
            images: &guests(&platform),
            work: work.path(),
            platform: &platform,
            icount: Some(instruction_ns_log2(&platform)),
            dump: Some(dump.clone()),
            counted: None,
            until,
            deadline: Some(Duration::from_secs(600)),
        };
        let result = run(&request, |_| {});
        check(Outcome {
            ran: Ran {
                result,
                platform: platform.name(),
            },
            dump: std::fs::read(&dump).unwrap_or_default(),
            ring_places: platform.ring_places(),
            architecture: platform.architecture(),
            on_sel4: is_sel4(&platform),
            divisor: divisor(&platform),
        });
    }
}

pub(crate) fn is_sel4(platform: &Platform) -> bool {
    matches!(platform, Platform::Microkit(..))
}

/// Accesses of a storm, and rounds of the one that measures a neighbour's flood.
pub(crate) const STORM: u64 = 1_000_000;

pub(crate) const ROUNDS: u64 = 400;

/// By what those are divided. Bochs takes ten times as long for an instruction as QEMU, so a
/// storm of a million would take minutes; a fourth of it still fills each ring many times.
pub(crate) fn divisor(platform: &Platform) -> u64 {
    match platform.architecture() {
        Architecture::X86_64 if is_sel4(platform) => 4,
        _ => 1,
    }
}

/// The configurations with the console that the platform's guests have, and with storms as long
/// as they are there; as they are where that makes no difference.
fn configs_for(platform: &Platform, configs: &[PathBuf], work: &Path) -> Vec<PathBuf> {
    let architecture = platform.architecture();
    let configs = runner::on_architecture(architecture, configs.to_vec(), work).unwrap();
    let divisor = divisor(platform);
    if divisor == 1 {
        return configs;
    }
    let shortened = |config: &PathBuf| {
        let text = std::fs::read_to_string(config).unwrap();
        let divided = |text: String, key: &str, number: u64| {
            let shorter = number / divisor;
            text.replace(&format!(" {key}={number} "), &format!(" {key}={shorter} "))
        };
        let shorter = divided(divided(text.clone(), "n", STORM), "rounds", ROUNDS);
        if shorter == text {
            return config.clone();
        }
        let copy = work.join(config.file_name().unwrap());
        std::fs::write(&copy, shorter).unwrap();
        copy
    };
    configs.iter().map(shortened).collect()
}
