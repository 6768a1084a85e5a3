//! Stage 1 of the guest's address translation: from guest-virtual to guest-physical.
//!
//! Called by the VMM component to fetch the instruction at the guest's PC and to find the
//! bytes that it accesses. The tables are the guest's: it may change them at any moment, make
//! them loop, or put them where there is no RAM. The CPU has checked the access that faulted,
//! but not the other half of a pair: so permissions are checked here too.
//!
//! Invariant: one walk reads at most four descriptors, one for each level, and only through
//! the closure that it is given; whatever they hold, it ends in an address or a [`Fault`].
//!
//! ```text
//!  63      56 55       48 47                                                 g-1     0
//! ┌──────────┬───────────┬───────────┬───────────┬───────────┬───────────┬───────────┐
//! │tag or top│ all equal │  level 0  │  level 1  │  level 2  │  level 3  │  in page  │
//! └──────────┴───────────┴───────────┴───────────┴───────────┴───────────┴───────────┘
//!              bit 55: 0 TTBR0, 1 TTBR1       g = 12, 14, 16; g-3 bits for each level
//! ```
//!
//! Left out, as the CPUs that this runs on do not have it: 52-bit addresses (FEAT_LPA, LPA2),
//! small tables (FEAT_TTST), TBID, E0PD. Hierarchical permissions count even if TCR_EL1.HPDn
//! turns them off.
//!
//! Specification: Arm ARM (DDI 0487) D8.2 (walks), D8.3 (descriptors), D8.4 (permissions),
//! D17.2.139 (TCR_EL1); fault status codes: D17.2.37.

use crate::pstate::ByteOrder;
use guest_access::{Direction, GuestPhysAddr};

/// The registers that control stage 1 of EL1 and EL0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Regime {
    /// SCTLR_EL1.
    pub sctlr: u64,
    /// TCR_EL1.
    pub tcr: u64,
    /// TTBR0_EL1, the lower half of the address space.
    pub ttbr0: u64,
    /// TTBR1_EL1, the upper half.
    pub ttbr1: u64,
}

/// Who accesses memory, which decides what they may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// EL1.
    El1,
    /// EL1 with PSTATE.PAN set: not where EL0 may go.
    El1NotEl0,
    /// EL0, or an unprivileged access of EL1.
    El0,
}

/// What a translation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To look at an instruction that the CPU has fetched: no permission is checked.
    Fetch,
    /// A load or store.
    Access(Direction, Privilege),
}

/// Why an address has no translation, and the level of the walk that found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An address is larger than TCR_EL1.IPS allows.
    AddressSize {
        /// 0 to 3.
        level: u8,
    },
    /// There is no descriptor for it.
    Translation {
        /// 0 to 3.
        level: u8,
    },
    /// The descriptor's access flag is clear.
    AccessFlag {
        /// 1 to 3.
        level: u8,
    },
    /// It is not allowed.
    Permission {
        /// 1 to 3.
        level: u8,
    },
    /// The descriptor could not be read: no RAM is there.
    TableOutsideRam {
        /// 0 to 3.
        level: u8,
    },
}

impl Fault {
    /// The fault status code, ESR_EL1.DFSC.
    pub const fn status(self) -> u8 {
        match self {
            Self::AddressSize { level } => level,
            Self::Translation { level } => 0b00_0100 | level,
            Self::AccessFlag { level } => 0b00_1000 | level,
            Self::Permission { level } => 0b00_1100 | level,
            Self::TableOutsideRam { level } => 0b01_0100 | level,
        }
    }
}

/// SCTLR_EL1.
mod sctlr {
    pub const M: u64 = 1 << 0;
}

/// TCR_EL1. The fields of the upper half lie 16 bits above those of the lower one, but for
/// TBI and the encoding of the granule.
mod tcr {
    pub const T0SZ_SHIFT: u64 = 0;
    pub const EPD0: u64 = 1 << 7;
    pub const TG0_SHIFT: u64 = 14;
    pub const T1SZ_SHIFT: u64 = 16;
    pub const EPD1: u64 = 1 << 23;
    pub const TG1_SHIFT: u64 = 30;
    pub const IPS_SHIFT: u64 = 32;
    pub const TBI0: u64 = 1 << 37;
    pub const TBI1: u64 = 1 << 38;
    pub const HA: u64 = 1 << 39;
}

/// Translation table descriptors, D8.3.
mod descriptor {
    pub const VALID: u64 = 1 << 0;
    /// A table, or at level 3 a page; otherwise a block.
    pub const TABLE_OR_PAGE: u64 = 1 << 1;
    pub const EL0_ALLOWED: u64 = 1 << 6;
    pub const READ_ONLY: u64 = 1 << 7;
    pub const ACCESS_FLAG: u64 = 1 << 10;
    /// APTable of a table: nothing below it is for EL0.
    pub const TABLE_EL0_FORBIDDEN: u64 = 1 << 61;
    /// APTable of a table: nothing below it is writable.
    pub const TABLE_READ_ONLY: u64 = 1 << 62;
}

const LAST_LEVEL: u32 = 3;
/// Addresses of tables and pages have at most 48 bits.
const OUTPUT_ADDRESS: u64 = 0x0000_ffff_ffff_ffff;
/// Bit 55 of an address tells the halves of the address space apart.
const HALF_BIT: u32 = 55;

/// One half of the address space.
struct Half {
    table: u64,
    /// Bits of an address that are translated.
    input_bits: u32,
    /// Log2 of the page size in bytes.
    granule_bits: u32,
    walks_disabled: bool,
}

impl Regime {
    /// Whether stage 1 translates at all; otherwise addresses are guest-physical.
    pub const fn is_on(&self) -> bool {
        self.sctlr & sctlr::M != 0
    }

    /// Translates one guest-virtual address. `read` gives the eight bytes at a guest-physical
    /// address as a little-endian number, or `None` if that is not in the guest's RAM.
    ///
    /// # Errors
    ///
    /// The [`Fault`] that the CPU would report.
    pub fn translate(
        &self,
        address: u64,
        purpose: Purpose,
        read: &mut impl FnMut(GuestPhysAddr) -> Option<u64>,
    ) -> Result<GuestPhysAddr, Fault> {
        let untagged = self.without_tag(address);
        if !self.is_on() {
            return self.in_range(untagged, 0).map(GuestPhysAddr);
        }
        let half = self.half(untagged).ok_or(Fault::Translation { level: 0 })?;
        if half.walks_disabled {
            return Err(Fault::Translation { level: 0 });
        }
        self.walk(&half, untagged, purpose, read)
    }

    /// The address that is translated: with TBI the top byte does not count, and is what the
    /// half's addresses have there.
    fn without_tag(&self, address: u64) -> u64 {
        let upper = address >> HALF_BIT & 1 != 0;
        let ignored = self.tcr & if upper { tcr::TBI1 } else { tcr::TBI0 } != 0;
        match (ignored, upper) {
            (false, _) => address,
            (true, false) => address & u64::MAX >> 8,
            (true, true) => address | 0xff << 56,
        }
    }

    /// The half in which an address lies, if it lies in one and the half is well configured.
    fn half(&self, address: u64) -> Option<Half> {
        let upper = address >> HALF_BIT & 1 != 0;
        let (table, size_shift, disable) = match upper {
            false => (self.ttbr0, tcr::T0SZ_SHIFT, tcr::EPD0),
            true => (self.ttbr1, tcr::T1SZ_SHIFT, tcr::EPD1),
        };
        let granule_bits = match upper {
            false => match self.tcr >> tcr::TG0_SHIFT & 3 {
                0b00 => 12,
                0b01 => 16,
                0b10 => 14,
                _ => return None,
            },
            true => match self.tcr >> tcr::TG1_SHIFT & 3 {
                0b01 => 14,
                0b10 => 12,
                0b11 => 16,
                _ => return None,
            },
        };
        // 16 to 39; what the CPU does with other values is its own choice.
        let size = (self.tcr >> size_shift & 0x3f) as u32;
        let input_bits = 64 - size;
        let top = address >> input_bits.min(63);
        let all_equal = match upper {
            false => top == 0,
            true => top == u64::MAX >> input_bits.min(63),
        };
        ((16..=39).contains(&size) && all_equal).then_some(Half {
            table,
            input_bits,
            granule_bits,
            walks_disabled: self.tcr & disable != 0,
        })
    }

    fn walk(
        &self,
        half: &Half,
        address: u64,
        purpose: Purpose,
        read: &mut impl FnMut(GuestPhysAddr) -> Option<u64>,
    ) -> Result<GuestPhysAddr, Fault> {
        let granule_bits = half.granule_bits;
        let bits_per_level = granule_bits - 3;
        let levels = (half.input_bits - granule_bits).div_ceil(bits_per_level);
        let first_level = LAST_LEVEL + 1 - levels;
        // The first table is as long as the bits that it translates.
        let first_shift = granule_bits + bits_per_level * (levels - 1);
        let table_bytes_log2 = half.input_bits - first_shift + 3;
        let mut table = half.table & OUTPUT_ADDRESS & (u64::MAX << table_bytes_log2);
        table = self.in_range(table, 0)?;
        let mut index_bits = half.input_bits - first_shift;
        let mut hierarchical = 0;
        let order = ByteOrder::of_tables(self.sctlr);
        for level in first_level..=LAST_LEVEL {
            let shift = granule_bits + bits_per_level * (LAST_LEVEL - level);
            let index = address >> shift & ((1 << index_bits) - 1);
            let level = level as u8;
            let entry = read(GuestPhysAddr(table + 8 * index));
            let entry = entry.ok_or(Fault::TableOutsideRam { level })?;
            let entry = order.swap(entry.into(), 8) as u64;
            let is_table_or_page = entry & descriptor::TABLE_OR_PAGE != 0;
            let is_leaf = match u32::from(level) {
                LAST_LEVEL => is_table_or_page,
                _ => !is_table_or_page && is_block_level(granule_bits, level),
            };
            let is_table = is_table_or_page && u32::from(level) != LAST_LEVEL;
            if entry & descriptor::VALID == 0 || !is_leaf && !is_table {
                return Err(Fault::Translation { level });
            }
            if is_leaf {
                let offset_mask = (1 << shift) - 1;
                let page = self.in_range(entry & OUTPUT_ADDRESS & !offset_mask, level)?;
                self.check(entry, hierarchical, purpose, level)?;
                return Ok(GuestPhysAddr(page | address & offset_mask));
            }
            table = self.in_range(entry & OUTPUT_ADDRESS & (u64::MAX << granule_bits), level)?;
            hierarchical |= entry;
            index_bits = bits_per_level;
        }
        // The last level has returned.
        Err(Fault::Translation { level: 3 })
    }

    /// Judges a page's or block's attributes, with those of the tables that led to it.
    fn check(&self, entry: u64, tables: u64, purpose: Purpose, level: u8) -> Result<(), Fault> {
        if entry & descriptor::ACCESS_FLAG == 0 && self.tcr & tcr::HA == 0 {
            return Err(Fault::AccessFlag { level });
        }
        let Purpose::Access(direction, privilege) = purpose else {
            return Ok(());
        };
        let read_only =
            entry & descriptor::READ_ONLY != 0 || tables & descriptor::TABLE_READ_ONLY != 0;
        let for_el0 =
            entry & descriptor::EL0_ALLOWED != 0 && tables & descriptor::TABLE_EL0_FORBIDDEN == 0;
        let may_access = match privilege {
            Privilege::El1 => true,
            Privilege::El1NotEl0 => !for_el0,
            Privilege::El0 => for_el0,
        };
        if !may_access || read_only && direction == Direction::Write {
            return Err(Fault::Permission { level });
        }
        Ok(())
    }

    /// The same address, if TCR_EL1.IPS allows it.
    fn in_range(&self, address: u64, level: u8) -> Result<u64, Fault> {
        let bits = match self.tcr >> tcr::IPS_SHIFT & 7 {
            // With the MMU off IPS does not count.
            _ if !self.is_on() => 48,
            0 => 32,
            1 => 36,
            2 => 40,
            3 => 42,
            4 => 44,
            _ => 48,
        };
        match address >> bits {
            0 => Ok(address),
            _ => Err(Fault::AddressSize { level }),
        }
    }
}

/// Where a descriptor may be a block (D8.3.1).
const fn is_block_level(granule_bits: u32, level: u8) -> bool {
    match granule_bits {
        12 => level == 1 || level == 2,
        _ => level == 2,
    }
}

#[cfg(test)]
mod tests;
