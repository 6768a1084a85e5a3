//! An input and the rings in it: opened, searched, and what is wrong with them told.
//!
//! Called by `decode`, `stats` and `check` before anything is written.

use super::arguments::SystemArguments;
use super::{Failure, cannot, progress};
use std::fs::File;
use std::io;
use std::path::Path;
use vdev_trace::input::dump::Memory;
use vdev_trace::input::places::{self, Places, Region};
use vdev_trace::input::serial::LineSums;
use vdev_trace::input::source::{self, Format, Input, OpenError, ReadAt, Segment, Texts, segments};
use vdev_trace::tell::warn;
use vdev_trace::visible::path as shown;
use vm_config::BLOB_LEN_BYTES;

/// Opens the input at `path`, `-` for standard input.
pub fn open(path: &Path, told: Option<Format>, texts: Texts) -> Result<Input, Failure> {
    source::open(path, told, texts).map_err(|error| match error {
        OpenError::Read(error) => cannot("read", &shown(path), &error),
        OpenError::Copy(folder, error) => cannot(
            &format!("copy {} to a temporary file in", shown(path)),
            &shown(&folder),
            &error,
        ),
    })
}

/// The first bytes of a file, as many as a compiled configuration has.
pub fn start(file: &File) -> io::Result<Vec<u8>> {
    let mut start = vec![0; BLOB_LEN_BYTES];
    let len_bytes = file.read_at(&mut start, 0)?;
    start.truncate(len_bytes);
    Ok(start)
}

impl SystemArguments {
    /// The regions of the system description that are looked at from outside.
    fn regions(&self) -> Result<Vec<Region>, Failure> {
        let Some(path) = &self.system else {
            return Ok(Vec::new());
        };
        let text =
            std::fs::read_to_string(path).map_err(|error| cannot("read", &shown(path), &error))?;
        let regions = places::with_rings(&text)
            .map_err(|error| format!("error: {}: {error}\n", shown(path)))?;
        Ok(regions)
    }

    /// Gives the input's stretches their addresses, and says where rings count.
    fn settle(&self, path: &Path, segments: &mut Vec<Segment>) -> Result<Places, Failure> {
        let regions = self.regions()?;
        if let ([segment], Some(base)) = (&mut segments[..], self.base) {
            segment.address.get_or_insert(base);
        }
        if let ([segment], false) = (&segments[..], regions.is_empty())
            && segment.address.is_none()
        {
            let pieces = places::pieces(&regions, segment.len_bytes);
            *segments = pieces.ok_or_else(|| {
                format!(
                    "error: {} tells no addresses, and is not the system's trace rings one after \
                     the other; --base says the address of its first byte\n",
                    shown(path)
                )
            })?;
        }
        let mut ranges = self.rings.clone();
        match places::starts(&regions) {
            Places::In(starts) if !starts.is_empty() => ranges.extend(starts),
            _ => {}
        }
        Ok(match ranges.is_empty() {
            true => Places::Anywhere,
            false => Places::In(ranges),
        })
    }
}

/// Searches a dump or a core for rings; those at `at` if it is given.
pub fn search<'a>(
    file: &'a File,
    path: &Path,
    format: Format,
    system: &SystemArguments,
    at: Option<u64>,
) -> Result<(Memory<'a>, Vec<Segment>), Failure> {
    let mut segments = segments(file, format)
        .map_err(|error| format!("error: cannot read {}: {error}\n", shown(path)))?;
    let places = system.settle(path, &mut segments)?;
    let places = at.map_or(places, Places::At);
    for segment in &segments {
        if segment.len_bytes < segment.claimed_bytes {
            warn(format_args!(
                "segment at offset {:#x}: only {} of its {} bytes are there; \
                 take the core again, or go on with what there is",
                segment.offset, segment.len_bytes, segment.claimed_bytes
            ));
        }
    }
    let bar = progress(Some(segments.iter().map(|segment| segment.len_bytes).sum()));
    let memory = Memory::search(file, &segments, &places, |len| bar.inc(len));
    bar.finish_and_clear();
    let memory = memory.map_err(|error| cannot("read", &shown(path), &error))?;
    Ok((memory, segments))
}

/// What happened on a serial line.
pub fn tell_line(sums: &LineSums) {
    let LineSums {
        frames_lost,
        other_bytes,
        restarts,
        ignored,
        ..
    } = *sums;
    if frames_lost != 0 {
        warn(format_args!(
            "{frames_lost} frames did not arrive whole, by the numbers of those that did"
        ));
    }
    if restarts != 0 {
        warn(format_args!("the sender started anew {restarts} times"));
    }
    if ignored != 0 {
        warn(format_args!(
            "{ignored} frames of too many rings were ignored"
        ));
    }
    if other_bytes != 0 {
        warn(format_args!(
            "{other_bytes} bytes are no frame: text, or what is left of damaged frames"
        ));
    }
}
