//! The guest's RAM, as it is mapped into this protection domain.
//!
//! Used by the vCPU of either architecture, on behalf of the VMM component. Invariant: the
//! guest may write any of it at any time, so no reference into it exists, and every address
//! from the guest is checked against the one region that there is.

use core::ptr::NonNull;
use guest_trap::GuestPhysAddr;
use pd_runtime::life;
use sel4_microkit::memory_region_symbol;
use vm_config::{RamRange, VmConfig};

/// After how much of a long work on RAM this protection domain gives a sign of life: a few
/// milliseconds on the slowest machine.
const PIECE_BYTES: usize = 256 << 10;

/// The RAM of the only VM.
#[derive(Clone, Copy)]
pub struct GuestRam {
    range: RamRange,
    /// Where it is mapped here.
    at: NonNull<u8>,
}

impl GuestRam {
    /// The RAM that the Microkit mapped. Panics if it is not what the configuration says.
    pub fn new(config: &VmConfig<'_>) -> Self {
        let mut ranges = config.ram();
        let (Some(range), None) = (ranges.next(), ranges.next()) else {
            panic!("this platform takes exactly one range of RAM in a VM's configuration");
        };
        let len_bytes = *sel4_microkit::var!(guest_ram_len: usize = 0) as u64;
        assert!(
            range.len_bytes == len_bytes,
            "the configuration says {:#x} bytes of RAM, the system description {len_bytes:#x}",
            range.len_bytes,
        );
        Self {
            range,
            at: memory_region_symbol!(guest_ram: *mut u8),
        }
    }

    /// Where the bytes are mapped here, if all of them are RAM.
    #[inline(always)]
    fn pointer(&self, address: GuestPhysAddr, len_bytes: usize) -> Option<*mut u8> {
        let offset = address.0.checked_sub(self.range.base)?;
        let rest = self.range.len_bytes.checked_sub(offset)?;
        let ram = self.at.as_ptr();
        (len_bytes as u64 <= rest).then(|| ram.wrapping_add(offset as usize))
    }

    /// Copies from the RAM. Returns whether all of it is RAM; if not, `bytes` stays as it is.
    pub fn read(&self, address: GuestPhysAddr, bytes: &mut [u8]) -> bool {
        let Some(from) = self.pointer(address, bytes.len()) else {
            return false;
        };
        // SAFETY: `pointer` checked the range against the region that the Microkit mapped RW
        // for this protection domain; no reference to it exists, and the target is one.
        unsafe { from.copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
        true
    }

    /// Copies `bytes` to the RAM. Returns whether all of it is RAM; if not, nothing is copied.
    pub fn write(&self, address: GuestPhysAddr, bytes: &[u8]) -> bool {
        let Some(to) = self.pointer(address, bytes.len()) else {
            return false;
        };
        for (number, piece) in bytes.chunks(PIECE_BYTES).enumerate() {
            let to = to.wrapping_add(number * PIECE_BYTES);
            // SAFETY: `pointer` checked the range against the region that the Microkit mapped RW
            // for this protection domain; no reference to it exists, and the source is one.
            unsafe { to.copy_from_nonoverlapping(piece.as_ptr(), piece.len()) };
            if piece.len() == PIECE_BYTES {
                life().beat();
            }
        }
        true
    }

    /// What reads eight bytes of the RAM at an address that is a multiple of 8; it gives `None`
    /// if no RAM is there.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub fn words(&self) -> impl Fn(GuestPhysAddr) -> Option<u64> + Copy + use<> {
        let (first, ram) = (self.range.base, self.at.as_ptr());
        // RAM is whole pages.
        let last = self.range.len_bytes - 8;
        move |address| {
            let offset = address.0.wrapping_sub(first);
            if offset > last {
                return None;
            }
            let word = ram.wrapping_add(offset as usize).cast::<u64>();
            // SAFETY: all eight bytes are in the region that the Microkit mapped RW for this
            // protection domain, which is as long as `new` checked; no reference to it exists.
            Some(unsafe { word.read_unaligned() })
        }
    }

    /// Fills the RAM with zeroes.
    pub fn clear(&self) {
        let len_bytes = self.range.len_bytes as usize;
        for offset in (0..len_bytes).step_by(PIECE_BYTES) {
            let piece = self.at.as_ptr().wrapping_add(offset);
            let piece_bytes = PIECE_BYTES.min(len_bytes - offset);
            // SAFETY: inside the region, which is mapped RW and as long as `new` checked; no
            // references.
            unsafe { piece.write_bytes(0, piece_bytes) };
            life().beat();
        }
    }
}
