//! What the boot loader says of the machine: the memory map of the PVH protocol.
//!
//! Called once by `boot`, before `paging` takes the firmware's memory away. The invariant: no
//! number in it is believed before it is checked; what it lacks is an error that says what is
//! missing.
//!
//! Xen, xen/include/public/arch-x86/hvm/start_info.h.

use super::memory_map::IMAGE;
use core::ops::Range;
use thiserror::Error;

/// Why this is not a machine to run on.
#[derive(Debug, Error)]
pub enum StartInfoError {
    /// Nothing readable where the boot loader pointed.
    #[error("no PVH start info at {0:#x}: boot this image by its PVH note (QEMU's -kernel)")]
    StartInfo(usize),
    /// A version without memory map, or an empty one.
    #[error("the PVH start info has no memory map")]
    MemoryMap,
    /// RAM elsewhere.
    #[error("the memory map has no RAM at {:#x}", IMAGE.start)]
    Ram,
}

#[derive(Clone, Copy)]
#[repr(C)]
struct RawStartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    module_count: u32,
    modules: u64,
    command_line: u64,
    rsdp: u64,
    memory_map: u64,
    memory_map_entries: u32,
    reserved: u32,
}

#[derive(Clone, Copy)]
#[repr(C)]
struct MemoryMapEntry {
    address: u64,
    len_bytes: u64,
    kind: u32,
    reserved: u32,
}

const MAGIC: u32 = 0x336e_c578;
const RAM: u32 = 1;
/// The boot loader's data lies below this, and is mapped.
const FIRMWARE_END: u64 = 0x10_0000;
/// No machine's map is longer.
const MAX_ENTRIES: u32 = 128;

/// The RAM in which the image lies.
///
/// # Errors
///
/// If there is no map, or none with the image in it.
///
/// # Safety
///
/// `place` must be what the boot loader passed, and the firmware's memory mapped as it left
/// it.
pub unsafe fn ram(place: usize) -> Result<Range<usize>, StartInfoError> {
    let end = place.saturating_add(size_of::<RawStartInfo>()) as u64;
    if place == 0 || end > FIRMWARE_END {
        return Err(StartInfoError::StartInfo(place));
    }
    // SAFETY: in mapped memory that nobody writes any more; any bytes are such a structure.
    let info = unsafe { (place as *const RawStartInfo).read_unaligned() };
    if info.magic != MAGIC {
        return Err(StartInfoError::StartInfo(place));
    }
    let len_bytes = u64::from(info.memory_map_entries) * size_of::<MemoryMapEntry>() as u64;
    let end = info.memory_map.saturating_add(len_bytes);
    if info.version < 1 || info.memory_map == 0 || end > FIRMWARE_END {
        return Err(StartInfoError::MemoryMap);
    }
    let first = info.memory_map as *const MemoryMapEntry;
    for index in 0..info.memory_map_entries.min(MAX_ENTRIES) {
        let place = first.wrapping_add(index as usize);
        // SAFETY: checked above to be in the firmware's memory; any bytes are an entry.
        let entry = unsafe { place.read_unaligned() };
        let end = entry.address.saturating_add(entry.len_bytes) as usize;
        let start = entry.address as usize;
        if entry.kind == RAM && (start..end).contains(&IMAGE.start) {
            return Ok(start..end);
        }
    }
    Err(StartInfoError::Ram)
}
