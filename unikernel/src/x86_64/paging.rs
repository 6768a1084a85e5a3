//! The host's page tables: the identity map with permissions.
//!
//! Called once by `boot`, on the map that `assembly` made. The invariant: nothing is both
//! writable and executable, page 0 and the page below the stack are not mapped, and what
//! guests own (guest RAM) can never be executed by the host.
//!
//! AMD APM volume 2, 5.3 (long-mode translation), 5.6 (protection), 7.8 (PAT).

use super::memory_map::{COMPILED_CONFIGURATIONS, IMAGE, REPORT};
use super::table_pool::{self, TablePool};
use crate::image;
use crate::places::Guests;
use core::ops::Range;
use x86_64::registers::control::{Cr3, Cr3Flags};
use x86_64::structures::paging::mapper::{Mapper, OffsetPageTable};
use x86_64::structures::paging::{
    Page, PageSize, PageTable, PageTableFlags, PhysFrame, Size2MiB, Size4KiB,
};
use x86_64::{PhysAddr, VirtAddr};

const READ_EXECUTE: PageTableFlags = PageTableFlags::PRESENT;
const READ_ONLY: PageTableFlags = READ_EXECUTE.union(PageTableFlags::NO_EXECUTE);
const READ_WRITE: PageTableFlags = READ_ONLY.union(PageTableFlags::WRITABLE);
/// Strong uncacheable: entry 3 of the PAT after reset.
const DEVICE: PageTableFlags = READ_WRITE
    .union(PageTableFlags::NO_CACHE)
    .union(PageTableFlags::WRITE_THROUGH);

/// Maps the memory map's table and `guests`, and switches to that map.
///
/// # Safety
///
/// Once; `apic` and `guests` must be what their names say, and nobody may hold references
/// into them.
pub unsafe fn enable(apic: Range<usize>, guests: &Guests) {
    assert!(
        image::text_start() == IMAGE.start,
        "x86_64.ld and memory_map.rs disagree"
    );
    let root = table_pool::take();
    let address = PhysAddr::new(core::ptr::from_mut(root).addr() as u64);
    for (what, flags) in [
        (image::text_start()..image::rodata_start(), READ_EXECUTE),
        (image::rodata_start()..image::data_start(), READ_ONLY),
        (image::data_start()..image::stack_guard(), READ_WRITE),
        (image::stack_bottom()..image::image_end(), READ_WRITE),
        (REPORT, READ_WRITE),
        (COMPILED_CONFIGURATIONS, READ_ONLY),
        (guests.images.clone(), READ_ONLY),
        (guests.ram.clone(), READ_WRITE),
        (apic, DEVICE),
    ] {
        let len = what.len();
        if let Err(error) = map(
            root,
            what.start as u64,
            what.start as u64,
            len as u64,
            flags,
        ) {
            panic!("cannot map {what:#x?}: {error:?}");
        }
    }
    // SAFETY: the map covers all that this program uses, with the permissions it uses it
    // with: the linker symbols above are its whole extent.
    unsafe { Cr3::write(PhysFrame::containing_address(address), Cr3Flags::empty()) };
}

/// Maps `len` bytes from `to` on at `from` in the tables below `root`, in blocks of 2 MiB
/// where both addresses allow. All three in whole pages.
///
/// # Errors
///
/// Something is mapped there already.
pub fn map(
    root: &mut PageTable,
    from: u64,
    to: u64,
    len: u64,
    flags: PageTableFlags,
) -> Result<(), MapError> {
    // SAFETY: `root` is a table of the pool, as are those below it, and physical addresses
    // are virtual ones.
    let mut map = unsafe { OffsetPageTable::new(root, VirtAddr::zero()) };
    let mut done = 0;
    while done < len {
        let (from, to) = (VirtAddr::new(from + done), PhysAddr::new(to + done));
        let block = Size2MiB::SIZE;
        if from.is_aligned(block) && to.is_aligned(block) && len - done >= block {
            let page = Page::<Size2MiB>::containing_address(from);
            let frame = PhysFrame::containing_address(to);
            // SAFETY: the callers give memory that is theirs to give.
            let mapped = unsafe { map.map_to(page, frame, flags, &mut TablePool) };
            mapped.map_err(|_| MapError(from.as_u64()))?.ignore();
            done += block;
        } else {
            let page = Page::<Size4KiB>::containing_address(from);
            let frame = PhysFrame::containing_address(to);
            // SAFETY: as above.
            let mapped = unsafe { map.map_to(page, frame, flags, &mut TablePool) };
            mapped.map_err(|_| MapError(from.as_u64()))?.ignore();
            done += Size4KiB::SIZE;
        }
    }
    Ok(())
}

/// Something is mapped at this address already.
#[derive(Debug, thiserror::Error)]
#[error("something is mapped at {0:#x} already")]
pub struct MapError(u64);
