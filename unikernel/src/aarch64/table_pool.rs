//! Page tables out of a fixed array, for `aarch64-paging` to build stage 1 and stage 2 with
//! and without a heap.
//!
//! Called by `paging` (MMU still off) and `stage2` (before a guest runs). The invariant: a
//! table is handed out once and never comes back; whoever gets it owns it for good.

use aarch64_paging::descriptor::{PagingAttributes, PhysicalAddress};
use aarch64_paging::paging::{PAGE_SIZE, PageTable, Translation};
use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Enough for stage 1 (about ten) and some VMs (two each when RAM is in whole blocks).
const TABLES: usize = 48;

#[repr(C, align(4096))]
struct Table(UnsafeCell<[u8; PAGE_SIZE]>);

// SAFETY: the array is only ever used through `allocate_table`, which gives each element to
// one owner.
unsafe impl Sync for Table {}

static POOL: [Table; TABLES] = [const { Table(UnsafeCell::new([0; PAGE_SIZE])) }; TABLES];
static USED: AtomicUsize = AtomicUsize::new(0);

/// The pool as `aarch64-paging` wants it: the identity map makes both address kinds equal.
#[derive(Debug)]
pub struct TablePool;

impl<A: PagingAttributes> Translation<A> for TablePool {
    fn allocate_table(&mut self) -> (NonNull<PageTable<A>>, PhysicalAddress) {
        // A plain load and store: read-modify-write instructions are not dependable with the
        // MMU off, and there is one core that no interrupt disturbs.
        let index = USED.load(Ordering::Relaxed);
        USED.store(index + 1, Ordering::Relaxed);
        let Some(table) = POOL.get(index) else {
            panic!("all {TABLES} page tables are in use; raise TABLES in table_pool.rs");
        };
        let table = NonNull::from(table).cast::<PageTable<A>>();
        (table, PhysicalAddress(table.as_ptr() as usize))
    }

    unsafe fn deallocate_table(&mut self, _table: NonNull<PageTable<A>>) {
        // Stays used: maps here live until the power goes off.
    }

    fn physical_to_virtual(&self, physical: PhysicalAddress) -> NonNull<PageTable<A>> {
        let table = physical.0 as *mut PageTable<A>;
        NonNull::new(table).expect("a table from the pool is not at address 0")
    }
}
