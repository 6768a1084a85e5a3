//! A segment of an image that is to be loaded, and where ranges of guest-physical memory lie.

use std::ops::Range;
use vm_config::RamRange;

/// A segment that is to be loaded.
#[derive(Clone)]
pub(super) struct Segment {
    /// Its number among the program headers, as `readelf` counts; none if it is all of a file.
    pub(super) number: Option<usize>,
    /// Where it goes in the guest's physical memory.
    pub(super) place: RamRange,
    /// Where the program believes that it is.
    pub(super) virtual_start: u64,
    /// Its bytes in the file; what it has besides is zero.
    pub(super) bytes: Range<usize>,
}

impl Segment {
    pub(super) fn end(&self) -> u64 {
        end(&self.place)
    }

    pub(super) fn extent(&self) -> String {
        let place = extent(&self.place);
        match self.number {
            Some(number) => format!("segment {number} is at {place}"),
            None => format!("it is at {place}"),
        }
    }
}

pub(super) fn end(range: &RamRange) -> u64 {
    range.base.saturating_add(range.len_bytes)
}

pub(super) fn extent(range: &RamRange) -> String {
    let last = range.base.saturating_add(range.len_bytes.saturating_sub(1));
    format!("{:#x} to {last:#x}", range.base)
}

pub(super) fn is_within(place: &RamRange, ram: &RamRange) -> bool {
    let end_of_place = place.base.checked_add(place.len_bytes);
    place.base >= ram.base && end_of_place.is_some_and(|last| last <= end(ram))
}
