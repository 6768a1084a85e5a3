//! The folder of a CTF trace: which files in one are ours, and how a new trace takes their place.
//!
//! Called by `files`. Invariant: what we did not write stays; a file is ours if we would give it
//! its name and it begins as we would begin it.

use super::metadata;
use crate::visible;
use shared_ring::RingKind;
use std::fs::{self, DirEntry, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What the bytes of the others mean.
pub(super) const METADATA: &str = "metadata";
/// How much of a file is looked at.
const START_BYTES: u64 = 4096;

/// The name of a ring's file; `again` tells apart those of the same VM and kind.
pub(super) fn stream_file(vm: u8, kind: RingKind, again: Option<usize>) -> String {
    let name = format!("vm{vm}-{}", format!("{kind:?}").to_lowercase());
    match again {
        Some(index) => format!("{name}-{index}"),
        None => name,
    }
}

fn is_stream_file(name: &str) -> bool {
    let kinds = [
        RingKind::Access,
        RingKind::Log,
        RingKind::Trace,
        RingKind::Console,
    ];
    let (name, again) = match name.match_indices('-').nth(1) {
        Some((at, _)) => (&name[..at], Some(&name[at + 1..])),
        None => (name, None),
    };
    let is_number =
        |text: &str| matches!(text.parse::<usize>(), Ok(number) if number.to_string() == text);
    let vm = name
        .strip_prefix("vm")
        .and_then(|rest| rest.split('-').next());
    let Some(vm) = vm.and_then(|digits| digits.parse().ok()) else {
        return false;
    };
    let mut names = kinds.map(|kind| stream_file(vm, kind, None)).into_iter();
    names.any(|ours| ours == name) && again.is_none_or(is_number)
}

/// Whether an earlier run can have written it.
fn is_ours(entry: &DirEntry) -> io::Result<bool> {
    let name = entry.file_name();
    let Some(name) = name
        .to_str()
        .filter(|_| entry.file_type().is_ok_and(|kind| kind.is_file()))
    else {
        return Ok(false);
    };
    if name != METADATA && !is_stream_file(name) {
        return Ok(false);
    }
    let mut start = Vec::new();
    File::open(entry.path())?
        .take(START_BYTES)
        .read_to_end(&mut start)?;
    Ok(match name == METADATA {
        true => metadata::is_ours(&start),
        false => start.starts_with(&metadata::PACKET_MAGIC.to_le_bytes()),
    })
}

/// The files of the trace in `folder`.
///
/// # Errors
///
/// Those of the folder; also if it holds something that no earlier run can have left.
pub(crate) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if is_ours(&entry)? {
            files.push(entry.path());
        } else if !name.as_encoded_bytes().starts_with(b".vdev-trace-") {
            return Err(io::Error::other(format!(
                "it holds {}, which is no part of a trace of ours; name an empty folder",
                visible::path(name.as_ref())
            )));
        }
    }
    Ok(files)
}

/// Puts the trace in `new` into `folder`, in the place of the one that is there. Who looks
/// meanwhile finds no trace, or one of which the last streams are missing, and none of both.
///
/// # Errors
///
/// Those of the folders.
pub(crate) fn replace(new: &Path, folder: &Path) -> io::Result<()> {
    let mut old = files(folder)?;
    old.sort_by_key(|file| file.file_name() != Some(METADATA.as_ref()));
    old.iter().try_for_each(fs::remove_file)?;
    let written = fs::read_dir(new)?;
    let mut written = written
        .map(|entry| Ok(entry?.file_name()))
        .collect::<io::Result<Vec<_>>>()?;
    written.sort_by_key(|name| name == METADATA);
    for name in written {
        fs::rename(new.join(&name), folder.join(&name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_stream_file;

    #[test]
    fn only_names_that_we_give_are_ours() {
        for name in ["vm0-trace", "vm255-console", "vm1-access-3", "vm2-log"] {
            assert!(is_stream_file(name), "{name}");
        }
        for name in [
            "vmlinux",
            "vm",
            "vm0",
            "vm0-",
            "vm256-trace",
            "vm0-traces",
            "vm00-trace",
            "vm-trace",
            "vm0-trace-",
            "vm0-trace-x",
            "vm0-trace-1-2",
            "vm+1-trace",
            "metadata",
        ] {
            assert!(!is_stream_file(name), "{name}");
        }
    }
}
