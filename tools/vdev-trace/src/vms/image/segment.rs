//! A segment of an image that is to be loaded, and where ranges of guest-physical memory lie.

use vm_config::RamRange;

/// A segment that is to be loaded.
#[derive(Clone, Copy)]
pub(super) struct Segment {
    /// Its number among the program headers, as `readelf` counts.
    pub(super) number: usize,
    /// Where it goes in the guest's physical memory.
    pub(super) place: RamRange,
    /// Where the program believes that it is.
    pub(super) virtual_start: u64,
}

impl Segment {
    pub(super) fn end(&self) -> u64 {
        end(&self.place)
    }

    pub(super) fn extent(&self) -> String {
        format!("segment {} is at {}", self.number, extent(&self.place))
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
