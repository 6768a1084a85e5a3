//! The guest's RAM, as it is mapped into this protection domain.
//!
//! Used by the vCPU of either architecture, on behalf of the VMM component. Invariant: the
//! guest may write any of it at any time, so no reference into it exists, and every address
//! from the guest is checked against the ranges that there are.

use guest_access::GuestPhysAddr;
use pd_runtime::life;
use sel4_microkit::{memory_region_symbol, var};
use spin::Once;
use vm_components::{MappedRam, MappedRange};
use vm_config::VmConfig;

/// After how much of a long work on RAM this protection domain gives a sign of life: a few
/// milliseconds on the slowest machine.
const PIECE_BYTES: usize = 256 << 10;

/// The RAM of the only VM.
#[derive(Clone, Copy)]
pub struct GuestRam(&'static MappedRam);

static MAPPED: Once<MappedRam> = Once::new();

impl GuestRam {
    /// The RAM that the Microkit mapped. Panics if it is not what the configuration says.
    pub fn new(config: &VmConfig<'_>) -> Self {
        let mapped = [
            *var!(guest_ram_len: usize = 0),
            *var!(guest_ram_part2_len: usize = 0),
            *var!(guest_ram_part3_len: usize = 0),
            *var!(guest_ram_part4_len: usize = 0),
        ];
        let mut ranges = config.ram();
        for mapped in mapped {
            let wanted = ranges.next().map_or(0, |range| range.len_bytes);
            assert!(
                wanted == mapped as u64,
                "the configuration says {wanted:#x} bytes of RAM, the system description {mapped:#x}"
            );
        }
        let at = memory_region_symbol!(guest_ram: *mut u8).as_ptr() as usize;
        let first = config.ram().next().map_or(0, |range| range.base);
        // All of it is at the same distance from where the guest has it.
        let mapped = config.ram().map(|range| {
            let offset = range.base.wrapping_sub(first) as usize;
            MappedRange::new(range, at.wrapping_add(offset))
        });
        let Some(mapped) = MappedRam::new(mapped) else {
            panic!("the configuration has no RAM");
        };
        Self(MAPPED.call_once(|| mapped))
    }

    /// Where the bytes are mapped here, if all of them are RAM.
    #[inline(always)]
    fn pointer(&self, address: GuestPhysAddr, len_bytes: usize) -> Option<*mut u8> {
        let place = self.0.host_address(address, len_bytes);
        place.map(|at| at as *mut u8)
    }

    /// Copies from the RAM. Returns whether all of it is RAM; if not, `bytes` stays as it is.
    pub fn read(&self, address: GuestPhysAddr, bytes: &mut [u8]) -> bool {
        let Some(from) = self.pointer(address, bytes.len()) else {
            return false;
        };
        // SAFETY: `pointer` checked the range against the regions that the Microkit mapped RW
        // for this protection domain; no reference to them exists, and the target is one.
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
            // SAFETY: `pointer` checked the range against the regions that the Microkit mapped RW
            // for this protection domain; no reference to them exists, and the source is one.
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
        let ram = self.0;
        move |address| {
            let word = ram.host_address_of_word(address)? as *const u64;
            // SAFETY: the address was checked against the regions that the Microkit mapped RW
            // for this protection domain; no reference to them exists.
            Some(unsafe { word.read_unaligned() })
        }
    }

    /// Fills the RAM with zeroes.
    pub fn clear(&self) {
        for (first, len_bytes) in self.0.ranges() {
            for offset in (0..len_bytes).step_by(PIECE_BYTES) {
                let piece = (first + offset) as *mut u8;
                let piece_bytes = PIECE_BYTES.min(len_bytes - offset);
                // SAFETY: inside the range, whose region is mapped RW and as long as `new` checked;
                // no references.
                unsafe { piece.write_bytes(0, piece_bytes) };
                life().beat();
            }
        }
    }
}
