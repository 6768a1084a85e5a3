//! A window in the guest's address space, of whose tables a program may do what it likes; all
//! else stays as the VM mapped it, to itself.
//!
//! ```text
//!   linear                      guest-physical
//!   0x0000_0000  the VM's       the same
//!   0x4000_0000  the VM's       the same                RAM
//!   0x8000_0000  table ──► window: table ──► pages      whatever the program says
//!   0xc000_0000  the VM's       the same                the trace devices
//! ```
//!
//! Called by a program, on one vCPU. Invariant: of the VM's own tables one entry is changed,
//! that of the window. AMD APM volume 2, 5.3 (long-mode page translation), 5.5 (TLB).

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

/// Linear start of the window; it has one table of 2 MiB entries.
pub const WINDOW: u64 = 0x8000_0000;
/// Bytes of an entry of the window's first table.
pub const WINDOW_ENTRY_BYTES: u64 = 2 << 20;

const ENTRIES: usize = 512;
const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

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
    pub fn set(&'static self, index: usize, entry: u64) {
        self.0[index].store(entry, Ordering::SeqCst);
    }
}

/// The window's table of 2 MiB entries (a page directory).
pub static WINDOW_LEVEL_2: Table = Table::new();
/// The table of pages that the window's first entry names.
pub static WINDOW_LEVEL_3: Table = Table::new();

/// An entry that names the next table.
pub const fn table(address: u64) -> u64 {
    address | PRESENT | WRITABLE
}

/// An entry of a page.
pub const fn page(address: u64) -> u64 {
    address | PRESENT | WRITABLE
}

/// Opens the window, empty, with a first entry that names [`WINDOW_LEVEL_3`].
pub fn turn_on() {
    WINDOW_LEVEL_2.set(0, table(WINDOW_LEVEL_3.address()));
    let root: u64;
    // SAFETY: reads CR3.
    unsafe { asm!("mov {0}, cr3", out(reg) root, options(nomem, nostack, preserves_flags)) };
    let root = (root & ADDRESS) as *mut u64;
    // SAFETY: by the crate's contract the VM's tables are in RAM, mapped to themselves, and
    // nobody else's.
    let first = unsafe { root.read_volatile() };
    let pointers = (first & ADDRESS) as *mut u64;
    let index = (WINDOW >> 30) as usize;
    // SAFETY: the same.
    let entry = unsafe { pointers.add(index) };
    // SAFETY: the program uses nothing that was mapped there.
    unsafe { entry.write_volatile(table(WINDOW_LEVEL_2.address())) };
    forget_translations();
}

/// Makes the CPU look at the tables again.
pub fn forget_translations() {
    // SAFETY: every page that the program uses is mapped by the tables.
    unsafe { asm!("mov {0}, cr3", "mov cr3, {0}", out(reg) _, options(nostack, preserves_flags)) };
}
