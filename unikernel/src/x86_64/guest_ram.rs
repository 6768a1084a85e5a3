//! A VM's RAM as the host reaches it.
//!
//! Called to load a guest before it runs and from `guest_exit` while it is stopped. The
//! invariant: every access is inside this VM's RAM, goes by copy, and never makes a Rust
//! reference to memory that a guest writes.

use guest_access::GuestPhysAddr;
use thiserror::Error;
use vm_components::MappedRam;

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
        Ok(())
    }

    /// Copies from the guest.
    ///
    /// # Errors
    ///
    /// If the range is not in RAM, and then nothing is copied.
    pub fn read(&self, guest_physical: u64, bytes: &mut [u8]) -> Result<(), OutsideRam> {
        let from = self.pointer(guest_physical, bytes.len())?;
        // SAFETY: `pointer` checked that all bytes are in this VM's RAM, which is mapped and
        // has no references (`new`); the target is a reference, so it is not there.
        unsafe { from.copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    /// What reads eight bytes of the guest's at an address that is a multiple of 8; it gives
    /// `None` if no RAM is there. The VM's RAM stays where it is until the power goes off.
    #[inline(always)]
    pub fn words(&self) -> impl Fn(GuestPhysAddr) -> Option<u64> + Copy + use<> {
        let ram = self.0;
        move |address| {
            let from = ram.host_address_of_word(address)? as *const u64;
            // SAFETY: all eight bytes are in this VM's RAM, which is mapped (`new`).
            Some(unsafe { from.read_unaligned() })
        }
    }

    /// Zeroes all of it.
    pub fn clear(&self) {
        for (first, len_bytes) in self.0.ranges() {
            // SAFETY: all of it is this VM's, mapped, and has no references (`new`).
            unsafe { fill(first, len_bytes, 0) };
        }
    }

    #[inline(always)]
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
}
