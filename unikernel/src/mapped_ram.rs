//! A VM's RAM: ranges that lie somewhere for the guest and somewhere else for the host.
//!
//! Used by `guest_ram` of either architecture, on the way of an access where the instruction has to
//! be fetched; so the first range, which nearly every VM has alone, is looked at first.

use core::ops::Range;
use guest_trap::GuestPhysAddr;
use heapless::Vec;
use vm_config::MAX_RAM_RANGES;

/// A range of RAM: contiguous for the guest and for the host.
#[derive(Debug, Clone, Copy)]
pub struct MappedRange {
    first: u64,
    host: usize,
    len_bytes: u64,
}

impl MappedRange {
    /// RAM that the guest sees from `first` on and the host at `host`.
    ///
    /// # Safety
    ///
    /// `host` must be whole pages and not empty, be mapped RW by `paging`, belong to one VM alone,
    /// and never be reached through a Rust reference.
    pub const unsafe fn new(first: GuestPhysAddr, host: Range<usize>) -> Self {
        Self {
            first: first.0,
            host: host.start,
            len_bytes: host.end as u64 - host.start as u64,
        }
    }

    #[inline(always)]
    fn pointer(&self, address: GuestPhysAddr, len_bytes: usize) -> Option<*mut u8> {
        let offset = address.0.wrapping_sub(self.first);
        let rest = self.len_bytes.checked_sub(offset)?;
        (len_bytes as u64 <= rest).then(|| (self.host + offset as usize) as *mut u8)
    }
}

/// All RAM of a VM.
#[derive(Debug)]
pub struct MappedRam {
    first: MappedRange,
    /// Where the last eight bytes of the first range begin, from its start.
    #[cfg(target_arch = "x86_64")]
    last_word: u64,
    more: Vec<MappedRange, MAX_RAM_RANGES>,
}

impl MappedRam {
    /// The first range, and the others.
    pub fn new(first: MappedRange, more: Vec<MappedRange, MAX_RAM_RANGES>) -> Self {
        Self {
            // RAM is whole pages.
            #[cfg(target_arch = "x86_64")]
            last_word: first.len_bytes - 8,
            first,
            more,
        }
    }

    /// Where the host reaches these bytes, if they lie in one range. They are mapped RW and no
    /// reference to them exists: [`MappedRange::new`].
    #[inline(always)]
    pub fn pointer(&self, address: GuestPhysAddr, len_bytes: usize) -> Option<*mut u8> {
        let first = self.first.pointer(address, len_bytes);
        first.or_else(|| self.pointer_in_more(address, len_bytes))
    }

    /// The same for eight bytes at an address that is a multiple of 8.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub fn word_pointer(&self, address: GuestPhysAddr) -> Option<*mut u8> {
        let offset = address.0.wrapping_sub(self.first.first);
        match offset <= self.last_word {
            true => Some((self.first.host + offset as usize) as *mut u8),
            false => self.pointer_in_more(address, 8),
        }
    }

    #[cold]
    fn pointer_in_more(&self, address: GuestPhysAddr, len_bytes: usize) -> Option<*mut u8> {
        let mut ranges = self.more.iter();
        ranges.find_map(|range| range.pointer(address, len_bytes))
    }

    /// The beginning and length in bytes of each range, for the host.
    pub fn ranges(&self) -> impl Iterator<Item = (*mut u8, usize)> {
        let all = core::iter::once(&self.first).chain(&self.more);
        all.map(|range| (range.host as *mut u8, range.len_bytes as usize))
    }
}
