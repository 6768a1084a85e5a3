//! The guest's own address translation, from linear to guest-physical.
//!
//! Called to fetch the instruction that exited and to see where its operand is. The tables
//! are the guest's: it may change them at any moment, make them loop, or put them where there
//! is no RAM. The CPU has checked the access that exited, so permissions are reported and not
//! enforced.
//!
//! Invariant: one translation reads at most five entries, and only through the function that
//! it is given; whatever they hold, it ends in an address or in `None`.
//!
//! ```text
//!   long mode   47       39       30       21       12        0     (LA57: 56..48 before)
//!              ┌────────┬────────┬────────┬────────┬──────────┐
//!              │ PML4   │ PDP    │ PD     │ PT     │ in page  │     entries of 8 bytes
//!              └────────┴────────┴────────┴────────┴──────────┘
//!   PAE                  31..30   29..21   20..12                   entries of 8 bytes
//!   legacy                        31..22   21..12                   entries of 4 bytes
//! ```
//!
//! Specification: AMD APM volume 2, 5.1 (modes), 5.2 (legacy), 5.3 (long mode).

use guest_access::GuestPhysAddr;

/// The registers that control the translation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paging {
    /// CR0.
    pub cr0: u64,
    /// CR3.
    pub cr3: u64,
    /// CR4.
    pub cr4: u64,
    /// EFER.
    pub efer: u64,
}

/// Where a linear address leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Translation {
    /// The guest-physical address.
    pub address: GuestPhysAddr,
    /// All tables on the way allow writing.
    pub writable: bool,
    /// All tables on the way allow privilege level 3 to come here.
    pub user: bool,
}

impl Translation {
    /// To `address`, by way of entries whose permissions have `allowed` in common.
    const fn with(address: u64, allowed: u64) -> Self {
        Self {
            address: GuestPhysAddr(address),
            writable: allowed & WRITABLE != 0,
            user: allowed & USER != 0,
        }
    }
}

const CR0_PG: u64 = 1 << 31;
const CR4_PSE: u64 = 1 << 4;
const CR4_PAE: u64 = 1 << 5;
const CR4_LA57: u64 = 1 << 12;
const EFER_LMA: u64 = 1 << 10;

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const LARGE: u64 = 1 << 7;
/// Bits 51 to 12 of an entry of 8 bytes.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

impl Paging {
    /// Whether long mode is active (EFER.LMA).
    pub const fn is_long(&self) -> bool {
        self.efer & EFER_LMA != 0
    }

    /// Translates a linear address. `read` gives the eight bytes at a guest-physical address
    /// that is a multiple of 8, or `None` if no RAM is there.
    #[inline(always)]
    pub fn translate(
        &self,
        linear: u64,
        mut read: impl FnMut(GuestPhysAddr) -> Option<u64>,
    ) -> Option<Translation> {
        if self.cr0 & CR0_PG == 0 {
            return Some(Translation::with(linear & 0xffff_ffff, WRITABLE | USER));
        }
        if self.is_long() {
            let shift = if self.cr4 & CR4_LA57 != 0 { 48 } else { 39 };
            return walk(self.cr3 & ADDRESS, linear, shift, &mut read);
        }
        self.legacy(linear & 0xffff_ffff, &mut read)
    }

    #[cold]
    fn legacy(
        &self,
        linear: u64,
        read: &mut impl FnMut(GuestPhysAddr) -> Option<u64>,
    ) -> Option<Translation> {
        if self.cr4 & CR4_PAE != 0 {
            // The four entries of the first table have no permissions.
            let first = (self.cr3 & 0xffff_ffe0) + (linear >> 30) * 8;
            let entry = read(GuestPhysAddr(first))?;
            if entry & PRESENT == 0 {
                return None;
            }
            return walk(entry & ADDRESS, linear, 21, read);
        }
        let mut entry_at = |table: u64, index: u64| {
            let both = read(GuestPhysAddr(table + (index & !1) * 4))?;
            let entry = both >> (32 * (index & 1)) & 0xffff_ffff;
            (entry & PRESENT != 0).then_some(entry)
        };
        let entry = entry_at(self.cr3 & 0xffff_f000, linear >> 22)?;
        if entry & LARGE != 0 && self.cr4 & CR4_PSE != 0 {
            // Bits 39 to 32 of the address are bits 20 to 13 of the entry.
            let page = entry & 0xffc0_0000 | (entry >> 13 & 0xff) << 32;
            return Some(Translation::with(page | linear & 0x3f_ffff, entry));
        }
        let last = entry_at(entry & 0xffff_f000, linear >> 12 & 0x3ff)?;
        let address = last & 0xffff_f000 | linear & 0xfff;
        Some(Translation::with(address, entry & last))
    }
}

/// Walks tables of 512 entries, from the one whose entries map 2^`shift` bytes each.
#[inline(always)]
fn walk(
    mut table: u64,
    linear: u64,
    mut shift: u32,
    read: &mut impl FnMut(GuestPhysAddr) -> Option<u64>,
) -> Option<Translation> {
    let mut allowed = WRITABLE | USER;
    loop {
        let entry = read(GuestPhysAddr(table + (linear >> shift & 0x1ff) * 8))?;
        if entry & PRESENT == 0 {
            return None;
        }
        allowed &= entry;
        // Bit 7 is the page's own in the last table (PAT), and reserved above 1 GiB.
        if shift == 12 || entry & LARGE != 0 && shift <= 30 {
            let in_page = (1 << shift) - 1;
            let address = entry & ADDRESS & !in_page | linear & in_page;
            return Some(Translation::with(address, allowed));
        }
        table = entry & ADDRESS;
        shift -= 9;
    }
}
