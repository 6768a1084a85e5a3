//! Nested paging: which guest-physical address is which host-physical one.
//!
//! Called when a VM is built. The invariant: a guest reaches only what
//! [`NestedPaging::map`] gave it; every other guest-physical address exits.
//!
//! AMD APM volume 2, 15.25.

use crate::arch::paging::{self, MapError};
use crate::arch::table_pool;
use thiserror::Error;
use x86_64::structures::paging::{PageSize, PageTable, PageTableFlags, Size4KiB};

/// Memory a guest may read, write and execute. The CPU walks these tables as a user
/// (15.25.5).
const GUEST_MEMORY: PageTableFlags = PageTableFlags::PRESENT
    .union(PageTableFlags::WRITABLE)
    .union(PageTableFlags::USER_ACCESSIBLE);

/// Memory a guest may read and execute.
const GUEST_ROM: PageTableFlags = GUEST_MEMORY.difference(PageTableFlags::WRITABLE);

/// Why a range cannot be mapped.
#[derive(Debug, Error)]
pub enum NestedPagingError {
    /// Not in whole pages.
    #[error("{0:#x} is not a multiple of the page size")]
    NotAligned(u64),
    /// The page tables refused.
    #[error("{0}")]
    Map(#[from] MapError),
}

/// The nested page tables of one VM.
pub struct NestedPaging {
    root: &'static mut PageTable,
    asid: u8,
}

impl NestedPaging {
    /// A VM that reaches nothing yet. `asid`, not 0, must be its own: the TLB tells VMs apart
    /// by it.
    pub fn new(asid: u8) -> Self {
        Self {
            root: table_pool::take(),
            asid,
        }
    }

    /// Gives the guest `len_bytes` of memory, in blocks of 2 MiB where both addresses allow.
    ///
    /// # Errors
    ///
    /// If an address or the length is not in whole pages, or something is mapped there.
    ///
    /// # Safety
    ///
    /// The host memory must be guest RAM that belongs to this VM alone: from here on a guest
    /// writes there.
    pub unsafe fn map(
        &mut self,
        guest_physical: usize,
        host_physical: usize,
        len_bytes: usize,
    ) -> Result<(), NestedPagingError> {
        self.map_as(GUEST_MEMORY, guest_physical, host_physical, len_bytes)
    }

    /// The same, of memory that the guest cannot write.
    ///
    /// # Errors
    ///
    /// As [`Self::map`].
    ///
    /// # Safety
    ///
    /// The host memory must have nothing that the guest may not read.
    pub unsafe fn map_read_only(
        &mut self,
        guest_physical: usize,
        host_physical: usize,
        len_bytes: usize,
    ) -> Result<(), NestedPagingError> {
        self.map_as(GUEST_ROM, guest_physical, host_physical, len_bytes)
    }

    fn map_as(
        &mut self,
        flags: PageTableFlags,
        guest_physical: usize,
        host_physical: usize,
        len_bytes: usize,
    ) -> Result<(), NestedPagingError> {
        let (from, to, len) = (
            guest_physical as u64,
            host_physical as u64,
            len_bytes as u64,
        );
        for value in [from, to, len] {
            if !value.is_multiple_of(Size4KiB::SIZE) {
                return Err(NestedPagingError::NotAligned(value));
            }
        }
        Ok(paging::map(self.root, from, to, len, flags)?)
    }

    /// N_CR3: physical address of the root.
    pub fn root(&self) -> u64 {
        core::ptr::from_ref(&*self.root).addr() as u64
    }

    /// Tells the VM's translations from others'.
    pub fn asid(&self) -> u32 {
        self.asid.into()
    }
}
