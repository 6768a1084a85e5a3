//! The guest's own stage 1, for the programs that need the MMU: everything where it was, and
//! a window of whose tables a program may do what it likes.
//!
//! ```text
//!   guest-virtual               guest-physical
//!   0x0000_0000  1 GiB block    the same, Device        the serial port
//!   0x4000_0000  1 GiB block    the same, Normal        RAM
//!   0x8000_0000  table ──► window: table ──► pages      whatever the program says
//!   0xc000_0000  1 GiB block    the same, Device        the trace devices
//! ```
//!
//! Called once by a program, on one vCPU. Invariant: the tables are only written here, by
//! stores that the CPU's walks see. Arm ARM D8.2, D8.3 (descriptors), D17.2.139 (TCR_EL1).

use core::sync::atomic::{AtomicU64, Ordering};

/// Guest-virtual start of the window; it has one level-2 table of 2 MiB entries.
pub const WINDOW: u64 = 0x8000_0000;
/// Bytes of an entry of the window's level-2 table.
pub const WINDOW_ENTRY_BYTES: u64 = 2 << 20;

const ENTRIES: usize = 512;
const VALID: u64 = 1;
const TABLE_OR_PAGE: u64 = 1 << 1;
const DEVICE: u64 = 0 << 2;
const NORMAL: u64 = 1 << 2;
const ACCESS_FLAG: u64 = 1 << 10;

/// One level's table.
#[repr(C, align(4096))]
pub struct Table([AtomicU64; ENTRIES]);

impl Table {
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; ENTRIES])
    }

    /// Its guest-physical address.
    pub fn address(&'static self) -> u64 {
        core::ptr::from_ref(self) as u64
    }

    /// Sets an entry, and tells nobody: the CPU may go on with what it remembers.
    pub fn set(&'static self, index: usize, descriptor: u64) {
        self.0[index].store(descriptor, Ordering::Relaxed);
        barrier();
    }
}

static LEVEL_1: Table = Table::new();
/// The window's table of 2 MiB entries.
pub static WINDOW_LEVEL_2: Table = Table::new();
/// The table of pages that the window's first entry names.
pub static WINDOW_LEVEL_3: Table = Table::new();

/// A descriptor that names the next table.
pub const fn table(address: u64) -> u64 {
    address | VALID | TABLE_OR_PAGE
}

/// A descriptor of a page of RAM.
pub const fn page(address: u64) -> u64 {
    address | VALID | TABLE_OR_PAGE | NORMAL | ACCESS_FLAG
}

const fn block(address: u64, attributes: u64) -> u64 {
    address | VALID | attributes | ACCESS_FLAG
}

/// Turns the MMU on, with an empty window whose first entry names [`WINDOW_LEVEL_3`].
pub fn turn_on() {
    const GIB: u64 = 1 << 30;
    LEVEL_1.set(0, block(0, DEVICE));
    LEVEL_1.set(1, block(GIB, NORMAL));
    LEVEL_1.set(2, table(WINDOW_LEVEL_2.address()));
    LEVEL_1.set(3, block(3 * GIB, DEVICE));
    WINDOW_LEVEL_2.set(0, table(WINDOW_LEVEL_3.address()));
    use aarch64_cpu::registers::{MAIR_EL1, SCTLR_EL1, TCR_EL1, TTBR0_EL1};
    use aarch64_cpu::registers::{ReadWriteable, Writeable};
    // Attribute 0: Device-nGnRnE. Attribute 1: Normal, not cacheable, as it was before.
    MAIR_EL1.set(0x44 << 8);
    // 39 bits, so that walks start at level 1; 4 KiB; 40 bits of output; TTBR1 off.
    TCR_EL1.write(
        TCR_EL1::T0SZ.val(25) + TCR_EL1::TG0::KiB_4 + TCR_EL1::IPS::Bits_40 + TCR_EL1::EPD1::SET,
    );
    TTBR0_EL1.set(LEVEL_1.address());
    forget_translations();
    SCTLR_EL1.modify(SCTLR_EL1::M::Enable);
    aarch64_cpu::asm::barrier::isb(aarch64_cpu::asm::barrier::SY);
}

/// Makes the CPU look at the tables again.
pub fn forget_translations() {
    // SAFETY: every page that the program uses is mapped by the tables.
    unsafe {
        core::arch::asm!(
            "dsb ishst",
            "tlbi vmalle1",
            "dsb ish",
            "isb",
            options(nostack)
        );
    }
}

fn barrier() {
    // SAFETY: a barrier.
    unsafe {
        core::arch::asm!("dsb ish", options(nostack));
    }
}
