//! Stage 2: which guest-physical address is which host-physical one.
//!
//! Called when a VM is built and when it becomes the one that runs. The invariant: a guest
//! reaches only what [`Stage2::map`] gave it; every other guest-physical address faults and
//! comes to `guest_exit`.
//!
//! Arm ARM D8.2 (stage 2), D17.2.157 (VTCR_EL2), D17.2.159 (VTTBR_EL2).

use super::assembly::instructions;
use super::table_pool::TablePool;
use aarch64_cpu::registers::{ID_AA64MMFR0_EL1, Readable, VTCR_EL2, VTTBR_EL2, Writeable};
use aarch64_paging::descriptor::{PhysicalAddress, Stage2Attributes};
use aarch64_paging::paging::{Constraints, MemoryRegion, PAGE_SIZE, Stage2 as Regime};
use aarch64_paging::{MapError, Mapping};
use thiserror::Error;

/// Guest-physical addresses have 39 bits: walks start at level 1 with a single table.
const ROOT_LEVEL: usize = 1;
const ADDRESS_BITS: u64 = 39;

/// Memory a guest may read, write and execute, with the cacheability that its stage 1 says.
const GUEST_MEMORY: Stage2Attributes = Stage2Attributes::VALID
    .union(Stage2Attributes::ACCESS_FLAG)
    .union(Stage2Attributes::S2AP_ACCESS_RW)
    .union(Stage2Attributes::SH_INNER)
    .union(Stage2Attributes::MEMATTR_NORMAL_OUTER_WB)
    .union(Stage2Attributes::MEMATTR_NORMAL_INNER_WB);

/// Memory a guest may read and execute.
const GUEST_ROM: Stage2Attributes = GUEST_MEMORY.difference(Stage2Attributes::S2AP_ACCESS_WO);

/// Why a range cannot be mapped.
#[derive(Debug, Error)]
pub enum Stage2Error {
    /// Not in whole pages.
    #[error("{0:#x} is not a multiple of the page size")]
    NotAligned(usize),
    /// The page tables refused.
    #[error("{0}")]
    Map(#[from] MapError),
}

/// The second-stage tables of one VM.
pub struct Stage2 {
    // Field's crate for page tables; it has no VMID for stage 2, so `activate` is ours.
    map: Mapping<TablePool, Regime>,
    vmid: u8,
}

impl Stage2 {
    /// A VM that reaches nothing yet. `vmid` must be its own: the TLB tells VMs apart by it.
    pub fn new(vmid: u8) -> Self {
        Self {
            map: Mapping::new(TablePool, ROOT_LEVEL, Regime),
            vmid,
        }
    }

    /// Gives the guest `len_bytes` of memory, in blocks of 2 MiB where both addresses allow.
    ///
    /// # Errors
    ///
    /// If an address or the length is not in whole pages, or out of the 39-bit range.
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
    ) -> Result<(), Stage2Error> {
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
    ) -> Result<(), Stage2Error> {
        self.map_as(GUEST_ROM, guest_physical, host_physical, len_bytes)
    }

    fn map_as(
        &mut self,
        attributes: Stage2Attributes,
        guest_physical: usize,
        host_physical: usize,
        len_bytes: usize,
    ) -> Result<(), Stage2Error> {
        for value in [guest_physical, host_physical, len_bytes] {
            if !value.is_multiple_of(PAGE_SIZE) {
                return Err(Stage2Error::NotAligned(value));
            }
        }
        let end = guest_physical.saturating_add(len_bytes);
        self.map.map_range(
            &MemoryRegion::new(guest_physical, end),
            PhysicalAddress(host_physical),
            attributes,
            Constraints::empty(),
        )?;
        Ok(())
    }

    /// Makes this VM's tables those that the hardware walks for EL1 and EL0. What the TLB has
    /// of other VMs stays there, told apart by the VMID.
    pub fn activate(&self) {
        VTCR_EL2.write(
            VTCR_EL2::RES1::SET
                + VTCR_EL2::PS.val(ID_AA64MMFR0_EL1.read(ID_AA64MMFR0_EL1::PARange))
                + VTCR_EL2::TG0::Granule4KB
                + VTCR_EL2::SH0::Inner
                + VTCR_EL2::ORGN0::NormalWBRAWA
                + VTCR_EL2::IRGN0::NormalWBRAWA
                + VTCR_EL2::SL0::Granule4KBLevel1
                + VTCR_EL2::T0SZ.val(64 - ADDRESS_BITS),
        );
        VTTBR_EL2.set(u64::from(self.vmid) << 48 | self.map.root_address().0 as u64);
        if !self.map.active() {
            // The first time: whoever used this VMID before us left what he liked.
            self.map.mark_active();
            instructions::invalidate_guest_tlb();
        }
    }
}
