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
//! Called by a program, on one vCPU. Invariant: of the VM's own tables only entries that lead to
//! the window are changed. AMD APM volume 2, 5.2 (legacy-mode page translation), 5.3 (long-mode page translation),
//! 5.5 (TLB).

use core::arch::asm;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Linear start of the window; it has one table of 2 MiB entries.
pub const WINDOW: u64 = 0x8000_0000;
/// Bytes of an entry of the window's first table.
pub const WINDOW_ENTRY_BYTES: u64 = 2 << 20;

const ENTRIES: usize = 512;
const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
/// Level 3 tables, of which PAE paging has one, in 32 bits.
const GIGABYTES: usize = 4;
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

/// An entry that names the next table, which says who may use its pages.
pub const fn table(address: u64) -> u64 {
    address | PRESENT | WRITABLE | USER
}

/// An entry of a page of privilege level 0.
pub const fn page(address: u64) -> u64 {
    address | PRESENT | WRITABLE
}

/// An entry of a page that privilege level 3 may use, too.
pub const fn user_page(address: u64) -> u64 {
    page(address) | USER
}

/// The same, which nobody may write.
pub const fn user_page_to_read(address: u64) -> u64 {
    address | PRESENT | USER
}

/// Opens the window, empty, with a first entry that names [`WINDOW_LEVEL_3`].
pub fn turn_on() {
    WINDOW_LEVEL_2.set(0, table(WINDOW_LEVEL_3.address()));
    // Whether privilege level 3 may go on is each page's to say.
    change(root(), 0, |first| first | USER);
    show_window_at(WINDOW);
}

/// Lets the window be seen at another multiple of 1 GiB below 4 GiB as well, in place of what the
/// VM mapped there, of which the program uses nothing.
pub fn show_window_at(linear: u64) {
    let pointers = change(root(), 0, |first| first) & ADDRESS;
    let index = (linear >> 30) as usize % GIGABYTES;
    change(pointers, index, |_| table(WINDOW_LEVEL_2.address()));
    forget_translations();
}

/// The four entries that PAE paging begins with, for the same translations, the first with `more`
/// bits: where they are, below 4 GiB.
pub fn pae_root(more: u64) -> u64 {
    #[repr(C, align(32))]
    struct Pointers([AtomicU64; GIGABYTES]);
    static POINTERS: Pointers = Pointers([const { AtomicU64::new(0) }; GIGABYTES]);
    let pointers = change(root(), 0, |first| first) & ADDRESS;
    for (index, place) in POINTERS.0.iter().enumerate() {
        let entry = change(pointers, index, |entry| entry);
        let more = if index == 0 { more } else { 0 };
        place.store(entry & ADDRESS | PRESENT | more, Ordering::SeqCst);
    }
    (&raw const POINTERS).addr() as u64
}

/// A table of 32-bit entries, each of a page of 4 MiB: what the VM maps, to itself.
#[repr(C, align(4096))]
struct Directory([AtomicU32; 1024]);
static DIRECTORY: Directory = Directory([const { AtomicU32::new(0) }; 1024]);
const LOG2_4_MIB: u32 = 22;

/// The table of pages of 4 MiB that 32-bit paging begins with: everything where it is, but at the
/// window what [`show_4_mib_at_window`] says. Where it is, below 4 GiB.
pub fn root_of_4_mib() -> u64 {
    for (index, place) in (0..).zip(&DIRECTORY.0) {
        if index != WINDOW >> LOG2_4_MIB {
            place.store(page_of_4_mib(index << LOG2_4_MIB), Ordering::SeqCst);
        }
    }
    (&raw const DIRECTORY).addr() as u64
}

/// Lets the window of [`root_of_4_mib`] lead to the 4 MiB around a guest-physical address below
/// 4 GiB; where that is seen there.
pub fn show_4_mib_at_window(address: u64) -> u64 {
    let index = (WINDOW >> LOG2_4_MIB) as usize;
    DIRECTORY.0[index].store(page_of_4_mib(address), Ordering::SeqCst);
    WINDOW + address % (1 << LOG2_4_MIB)
}

const fn page_of_4_mib(address: u64) -> u32 {
    const LARGE: u64 = 1 << 7;
    let start = address >> LOG2_4_MIB << LOG2_4_MIB;
    (page(start) | LARGE) as u32
}

/// The guest-physical address of the first table.
fn root() -> u64 {
    let root: u64;
    // SAFETY: reads CR3.
    unsafe { asm!("mov {0}, cr3", out(reg) root, options(nomem, nostack, preserves_flags)) };
    root & ADDRESS
}

/// Changes an entry of one of the VM's tables; gives the new one.
fn change(table: u64, index: usize, new: impl FnOnce(u64) -> u64) -> u64 {
    let first = table as *mut u64;
    // SAFETY: by the crate's contract the VM's tables are in RAM, mapped to themselves, and
    // nobody else's.
    let place = unsafe { first.add(index) };
    // SAFETY: the same.
    let entry = new(unsafe { place.read_volatile() });
    // SAFETY: the same; callers change nothing of what the program uses.
    unsafe { place.write_volatile(entry) };
    entry
}

/// Makes the CPU look at the tables again.
pub fn forget_translations() {
    // SAFETY: every page that the program uses is mapped by the tables.
    unsafe { asm!("mov {0}, cr3", "mov cr3, {0}", out(reg) _, options(nostack, preserves_flags)) };
}
