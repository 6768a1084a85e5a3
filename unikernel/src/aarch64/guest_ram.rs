//! A VM's RAM as the host reaches it.
//!
//! Called to load a guest before it runs and from `guest_exit` while it is stopped. The
//! invariant: every access is inside this VM's RAM, goes by copy, and never makes a Rust
//! reference to memory that a guest writes. What is written is in memory, not only in our
//! data cache, because a guest begins with its caches off (Arm ARM D7.5.9).

use super::assembly::instructions;
use guest_access::GuestPhysAddr;
use thiserror::Error;
use vm_components::MappedRam;

/// Bytes of the smallest data cache line there is (CTR_EL0.DminLine is at least 4 words).
const SMALLEST_CACHE_LINE: usize = 16;

/// A guest-physical range that is not all in the VM's RAM: the guest's fault, or that of
/// whoever wrote the address down.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("{len_bytes} bytes at {guest_physical:#x} are not in the VM's RAM")]
pub struct OutsideRam {
    /// Where the range begins.
    pub guest_physical: u64,
    /// How long it is.
    pub len_bytes: usize,
}

/// One VM's RAM.
#[derive(Debug)]
pub struct GuestRam(&'static MappedRam);

impl GuestRam {
    /// The RAM of a VM.
    ///
    /// # Safety
    ///
    /// All of it must be mapped RW by `paging`, belong to this VM alone, and never be reached
    /// through a Rust reference.
    pub const unsafe fn new(ram: &'static MappedRam) -> Self {
        Self(ram)
    }

    /// Copies `bytes` to the guest.
    ///
    /// # Errors
    ///
    /// If the range is not in RAM, and then nothing is copied.
    pub fn write(&self, guest_physical: u64, bytes: &[u8]) -> Result<(), OutsideRam> {
        let to = self.pointer(guest_physical, bytes.len())?;
        // SAFETY: `pointer` checked that all bytes are in this VM's RAM, which is mapped and
        // has no references (`new`); the source is a reference, so it is not there.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        each_line(to.addr(), bytes.len(), instructions::clean_data_cache_line);
        Ok(())
    }

    /// Copies from the guest, also what it wrote with its caches off.
    ///
    /// # Errors
    ///
    /// If the range is not in RAM, and then nothing is copied.
    pub fn read(&self, guest_physical: u64, bytes: &mut [u8]) -> Result<(), OutsideRam> {
        let from = self.pointer(guest_physical, bytes.len())?;
        each_line(
            from.addr(),
            bytes.len(),
            instructions::clean_and_invalidate_data_cache_line,
        );
        instructions::complete_cache_maintenance();
        // SAFETY: `pointer` checked that all bytes are in this VM's RAM, which is mapped and
        // has no references (`new`); the target is a reference, so it is not there.
        unsafe { from.copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    /// Zeroes all of it.
    pub fn clear(&self) {
        for (first, len_bytes) in self.0.ranges() {
            // SAFETY: all of it is this VM's, mapped, and has no references (`new`).
            unsafe { fill(first, len_bytes, 0) };
        }
    }

    fn pointer(&self, guest_physical: u64, len_bytes: usize) -> Result<*mut u8, OutsideRam> {
        let address = GuestPhysAddr(guest_physical);
        let found = self.0.host_address(address, len_bytes);
        found.map(|at| at as *mut u8).ok_or(OutsideRam {
            guest_physical,
            len_bytes,
        })
    }
}

/// Makes all of the memory for guests from `first` on this byte.
///
/// # Safety
///
/// All of it must be mapped RW by `paging`, and never be reached through a Rust reference.
pub unsafe fn fill(first: usize, len_bytes: usize, byte: u8) {
    // SAFETY: the caller's.
    unsafe { (first as *mut u8).write_bytes(byte, len_bytes) };
    each_line(first, len_bytes, instructions::clean_data_cache_line);
}

fn each_line(start: usize, len_bytes: usize, maintain: fn(usize)) {
    let first_line = start & !(SMALLEST_CACHE_LINE - 1);
    for line in (first_line..start + len_bytes).step_by(SMALLEST_CACHE_LINE) {
        maintain(line);
    }
}
