//! Page tables out of a fixed array, for the `x86_64` crate to build the host's and the VMs'
//! with and without a heap.
//!
//! Called by `paging` and `nested_paging`. The invariant: a table is handed out once and
//! never comes back; whoever gets it owns it for good.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicUsize, Ordering};
use x86_64::PhysAddr;
use x86_64::structures::paging::{FrameAllocator, PageTable, PhysFrame, Size4KiB};

/// Enough for the host (about ten) and some VMs (three each when RAM is in whole blocks).
const TABLES: usize = 48;

#[repr(transparent)]
struct Table(UnsafeCell<PageTable>);

// SAFETY: the array is only ever used through `take`, which gives each element to one owner.
unsafe impl Sync for Table {}

static POOL: [Table; TABLES] = [const { Table(UnsafeCell::new(PageTable::new())) }; TABLES];
static USED: AtomicUsize = AtomicUsize::new(0);

/// An empty table, for good.
pub fn take() -> &'static mut PageTable {
    let index = USED.fetch_add(1, Ordering::Relaxed);
    let Some(table) = POOL.get(index) else {
        panic!("all {TABLES} page tables are in use; raise TABLES in table_pool.rs");
    };
    // SAFETY: each index is given out once.
    unsafe { &mut *table.0.get() }
}

/// The pool as the `x86_64` crate wants it.
pub struct TablePool;

// SAFETY: `take` gives each table out once, and the identity map makes its address physical.
unsafe impl FrameAllocator<Size4KiB> for TablePool {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        let address = core::ptr::from_mut(take()).addr();
        PhysFrame::from_start_address(PhysAddr::new(address as u64)).ok()
    }
}
