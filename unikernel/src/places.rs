//! What lies in the places that an architecture's `memory_map` names, the same on all.
//!
//! Used by `boot` for the guests' RAM, and by `component_host` and `vm_parts` for what the
//! loader left. Invariant: nothing here is written.

use crate::arch::memory_map::{COMPILED_CONFIGURATIONS, GUESTS_START};
use core::ops::Range;
use vm_config::{REGION_LEN_BYTES, VmConfig};

/// Each VM's images begin on a page.
pub const PAGE_BYTES: usize = 4096;

/// Guest RAM is handed out in blocks of this size, so that the second stage of translation
/// needs few page tables or none.
pub const GUEST_RAM_BLOCK: usize = 0x20_0000;

/// What is the guests' of the machine's RAM.
#[derive(Debug, Clone, Default)]
pub struct Guests {
    /// Their images.
    pub images: Range<usize>,
    /// The RAM that they may have, in whole blocks; empty if there is none.
    pub ram: Range<usize>,
}

impl Guests {
    /// The largest part of `ram` after the images.
    pub fn within(ram: &Range<usize>) -> Self {
        let images = images();
        let start = ram_after(&images);
        let end = ram.end & !(GUEST_RAM_BLOCK - 1);
        Self {
            images,
            ram: start..end.max(start),
        }
    }
}

/// Where guest RAM begins: with the first block after the images.
pub fn ram_after(images: &Range<usize>) -> usize {
    images.end.next_multiple_of(GUEST_RAM_BLOCK)
}

/// Where the guests' images are, as far as the configurations can be read.
pub fn images() -> Range<usize> {
    let configs = compiled_configurations().map_while(|blob| VmConfig::parse(blob).ok());
    let pages = configs
        .map(|config| (config.image_region_len_bytes() as usize).next_multiple_of(PAGE_BYTES));
    GUESTS_START..pages.fold(GUESTS_START, usize::saturating_add)
}

/// The bytes of the places of the compiled configurations, in the order of the VMs' numbers.
/// How many of them count is for each blob's own header to say; all zero is no VM.
pub fn compiled_configurations() -> impl Iterator<Item = &'static [u8]> {
    read_only(COMPILED_CONFIGURATIONS).chunks_exact(REGION_LEN_BYTES)
}

/// The bytes of the guests' images, which are all in RAM: there is some for guests after them.
pub fn guest_images(guests: &Guests) -> &'static [u8] {
    read_only(guests.images.clone())
}

fn read_only(place: Range<usize>) -> &'static [u8] {
    // SAFETY: both callers pass RAM that the loader filled before the first instruction, that
    // `paging` maps read-only, and that the second stage gives to no guest, so nobody writes it.
    unsafe { core::slice::from_raw_parts(place.start as *const u8, place.len()) }
}
