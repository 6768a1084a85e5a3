//! A VM's RAM as the host reaches it.
//!
//! Called to load a guest before it runs and from `guest_exit` while it is stopped. The
//! invariant: every access is inside this VM's RAM, goes by copy, and never makes a Rust
//! reference to memory that a guest writes.

use crate::mapped_ram::MappedRam;
use guest_trap::GuestPhysAddr;
use thiserror::Error;

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
    pub const fn new(ram: &'static MappedRam) -> Self {
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
        // has no references (`MappedRange`); the source is a reference, so it is not there.
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
        // has no references (`MappedRange`); the target is a reference, so it is not there.
        unsafe { from.copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    /// What reads eight bytes of the guest's at an address that is a multiple of 8; it gives
    /// `None` if no RAM is there. The VM's RAM stays where it is until the power goes off.
    #[inline(always)]
    pub fn words(&self) -> impl Fn(GuestPhysAddr) -> Option<u64> + Copy + use<> {
        let ram = self.0;
        move |address| {
            let from = ram.word_pointer(address)?.cast::<u64>();
            // SAFETY: all eight bytes are in this VM's RAM, which is mapped (`MappedRange`).
            Some(unsafe { from.read_unaligned() })
        }
    }

    /// Zeroes all of it.
    pub fn clear(&self) {
        for (to, len_bytes) in self.0.ranges() {
            // SAFETY: all of it is this VM's, mapped, and has no references (`MappedRange`).
            unsafe { to.write_bytes(0, len_bytes) };
        }
    }

    #[inline(always)]
    fn pointer(&self, guest_physical: u64, len_bytes: usize) -> Result<*mut u8, OutsideRam> {
        let found = self.0.pointer(GuestPhysAddr(guest_physical), len_bytes);
        found.ok_or(OutsideRam {
            guest_physical,
            len_bytes,
        })
    }
}
