//! What lies in the places that an architecture's `memory_map` names, the same on all.
//!
//! Used by `boot` for the guests' RAM, and by `component_host` and `vm_parts` for what the
//! loader left. Invariant: nothing here is written.

use crate::arch::memory_map::{COMPILED_CONFIGURATIONS, GUEST_IMAGES, GUEST_RAM_START};
use core::ops::Range;

/// Each compiled configuration has a page, each image begins on one.
pub const PAGE_BYTES: usize = 4096;

/// Guest RAM is handed out in blocks of this size, so that the second stage of translation
/// needs few page tables or none.
pub const GUEST_RAM_BLOCK: usize = 0x20_0000;

/// The largest part of `ram` that guests may have, whole blocks from its fixed start; empty
/// if there is none.
pub fn guest_ram_in(ram: &Range<usize>) -> Range<usize> {
    let start = GUEST_RAM_START;
    let end = ram.end & !(GUEST_RAM_BLOCK - 1);
    start..end.max(start)
}

/// The bytes of the places of the compiled configurations, in the order of the VMs' numbers.
/// How many of them count is for each blob's own header to say; all zero is no VM. Call after
/// `paging::enable`.
pub fn compiled_configurations() -> impl Iterator<Item = &'static [u8]> {
    read_only(COMPILED_CONFIGURATIONS).chunks_exact(PAGE_BYTES)
}

/// The bytes of the place of the guests' ELF files, which may fill only the beginning. Call
/// after `paging::enable`.
pub fn guest_images() -> &'static [u8] {
    read_only(GUEST_IMAGES)
}

fn read_only(place: Range<usize>) -> &'static [u8] {
    // SAFETY: both callers pass a constant of the memory map: RAM that the loader filled
    // before the first instruction, that `paging` maps read-only, and that the second stage
    // gives to no guest, so nobody writes it.
    unsafe { core::slice::from_raw_parts(place.start as *const u8, place.len()) }
}
