//! Where a platform has mapped a VM's RAM for itself: ranges that lie somewhere for the guest and
//! somewhere else for the host.
//!
//! Used by the platforms on behalf of the VMM component, on the way of an access where the instruction
//! has to be fetched; so the first range, which nearly every VM has alone, is looked at first.
//! Invariant: only addresses are computed here. Whoever made the ranges says what may be done there.

use core::iter;
use guest_access::GuestPhysAddr;
use heapless::Vec;
use vm_config::{MAX_RAM_RANGES, RamRange};

/// A range of RAM: contiguous for the guest and for the host.
#[derive(Debug, Clone, Copy)]
pub struct MappedRange {
    ram: RamRange,
    host: usize,
}

impl MappedRange {
    /// RAM of whole pages, not empty, that the host has mapped from `host` on.
    pub const fn new(ram: RamRange, host: usize) -> Self {
        Self { ram, host }
    }

    #[inline(always)]
    fn host_address(&self, address: GuestPhysAddr, len_bytes: usize) -> Option<usize> {
        let offset = address.0.wrapping_sub(self.ram.base);
        let rest = self.ram.len_bytes.checked_sub(offset)?;
        (len_bytes as u64 <= rest).then(|| self.host + offset as usize)
    }
}

/// All RAM of a VM.
#[derive(Debug)]
pub struct MappedRam {
    first: MappedRange,
    /// Where the last eight bytes of the first range begin, from its start.
    last_word: u64,
    more: Vec<MappedRange, MAX_RAM_RANGES>,
}

impl MappedRam {
    /// These ranges, of which there are [`MAX_RAM_RANGES`] at most; `None` if there is none.
    pub fn new(ranges: impl IntoIterator<Item = MappedRange>) -> Option<Self> {
        let mut ranges = ranges.into_iter();
        let first = ranges.next()?;
        Some(Self {
            // RAM is whole pages.
            last_word: first.ram.len_bytes - 8,
            first,
            more: ranges.collect(),
        })
    }

    /// Where the host has these bytes, if they lie in one range.
    #[inline(always)]
    pub fn host_address(&self, address: GuestPhysAddr, len_bytes: usize) -> Option<usize> {
        let first = self.first.host_address(address, len_bytes);
        first.or_else(|| self.host_address_in_more(address, len_bytes))
    }

    /// The same for eight bytes at an address that is a multiple of 8.
    #[inline(always)]
    pub fn host_address_of_word(&self, address: GuestPhysAddr) -> Option<usize> {
        let offset = address.0.wrapping_sub(self.first.ram.base);
        match offset <= self.last_word {
            true => Some(self.first.host + offset as usize),
            false => self.host_address_in_more(address, 8),
        }
    }

    #[cold]
    fn host_address_in_more(&self, address: GuestPhysAddr, len_bytes: usize) -> Option<usize> {
        let mut more = self.more.iter();
        more.find_map(|range| range.host_address(address, len_bytes))
    }

    /// Where each range begins for the host, and its length in bytes.
    pub fn ranges(&self) -> impl Iterator<Item = (usize, usize)> {
        let all = iter::once(&self.first).chain(&self.more);
        all.map(|range| (range.host, range.ram.len_bytes as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ram() -> MappedRam {
        let range = |base, len_bytes, host| MappedRange::new(RamRange { base, len_bytes }, host);
        let ranges = [range(0x4000_0000, 0x2000, 0x1000), range(0, 0x1000, 0x9000)];
        MappedRam::new(ranges).unwrap()
    }

    #[test]
    fn bytes_are_found_in_each_range_and_not_beyond_it() {
        let ram = ram();
        for (address, len_bytes, found) in [
            (0x4000_0000, 0x2000, Some(0x1000)),
            (0x4000_1fff, 1, Some(0x2fff)),
            (0x4000_1fff, 2, None),
            (0x4000_2000, 0, Some(0x3000)),
            (0x4000_2000, 1, None),
            (0x3fff_ffff, 1, None),
            (0, 0x1000, Some(0x9000)),
            (0xfff, 2, None),
            (u64::MAX, 1, None),
        ] {
            let address = GuestPhysAddr(address);
            assert_eq!(ram.host_address(address, len_bytes), found, "{address:x?}");
        }
        assert!(ram.ranges().eq([(0x1000, 0x2000), (0x9000, 0x1000)]));
    }

    #[test]
    fn a_word_is_found_where_its_bytes_are() {
        let ram = ram();
        for address in (0..0x3000).step_by(8).flat_map(|at| [at, 0x4000_0000 + at]) {
            let address = GuestPhysAddr(address);
            let bytes = ram.host_address(address, 8);
            assert_eq!(ram.host_address_of_word(address), bytes, "{address:x?}");
        }
    }

    #[test]
    fn a_vm_without_ram_has_none() {
        assert!(MappedRam::new([]).is_none());
    }
}
