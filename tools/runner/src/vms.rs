//! Which VMs a run is of: the QNX hypervisor has one configuration file for each VM, and so
//! have we.
//!
//! Used by the `runner` program and by the system tests. Invariant: the order of the files'
//! names is the order of the VMs' numbers.

use std::path::{Path, PathBuf};
use system_description::Architecture;

/// What a configuration's name ends with.
const SUFFIX: &str = "conf";

/// The configurations of the VMs that `what` names: a file is one VM; a folder is one for each
/// `.conf` in it. A bare name that is neither is looked for in `scenarios`, with and without
/// `.conf`.
///
/// # Errors
///
/// That a folder cannot be read or has no configuration.
pub fn configurations(what: &Path, scenarios: &Path) -> Result<Vec<PathBuf>, String> {
    let is_bare = what.components().count() == 1;
    let place = if is_bare && !what.exists() {
        let folder = scenarios.join(what);
        let file = folder.with_added_extension(SUFFIX);
        [folder, file]
            .into_iter()
            .find(|place| place.exists())
            .unwrap_or_else(|| what.to_owned())
    } else {
        what.to_owned()
    };
    if !place.is_dir() {
        // If it is not there, whoever reads it says so.
        return Ok(vec![place]);
    }
    let cannot = |error| format!("cannot read {}: {error}", place.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&place).map_err(cannot)? {
        let file = entry.map_err(cannot)?.path();
        if file.extension().is_some_and(|suffix| suffix == SUFFIX) {
            files.push(file);
        }
    }
    if files.is_empty() {
        let place = place.display();
        return Err(format!(
            "{place} has no configuration: one file that ends in .{SUFFIX} for each VM"
        ));
    }
    files.sort();
    Ok(files)
}

/// Scenarios are written for the console of an aarch64 guest; on another architecture copies of
/// them in `work` have its own. What is the same there stays where it is.
///
/// # Errors
///
/// What cannot be read or written.
pub fn on_architecture(
    architecture: Architecture,
    configs: Vec<PathBuf>,
    work: &Path,
) -> Result<Vec<PathBuf>, String> {
    let adapt = |config: PathBuf| {
        let text = std::fs::read_to_string(&config)
            .map_err(|error| format!("cannot read {}: {error}", config.display()))?;
        let adapted = with_console(architecture, &text);
        let Some(name) = config.file_name().filter(|_| adapted != text) else {
            return Ok(config);
        };
        let copy = work.join(name);
        std::fs::create_dir_all(work)
            .and_then(|()| std::fs::write(&copy, adapted))
            .map_err(|error| format!("cannot write {}: {error}", copy.display()))?;
        Ok(copy)
    };
    configs.into_iter().map(adapt).collect()
}

/// The configuration `text`, whose console is a PL011 at 0x9000000, with the console that a guest
/// of this architecture has. So one scenario serves both.
pub(crate) fn with_console(architecture: Architecture, text: &str) -> String {
    match architecture {
        Architecture::Aarch64 => text.to_owned(),
        Architecture::X86_64 => text
            .replace("console=0x9000000", "console=io:0x3f8")
            .replace("vdev pl011", "vdev ser8250")
            .replace("loc 0x9000000", "loc io:0x3f8"),
    }
}
