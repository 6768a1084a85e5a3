//! The tables on which an x86 guest starts, below its command line.
//!
//! Called when a VM starts. Invariant: nothing is written outside the guest's RAM.

use super::X86Machine;
use crate::ImageError;
use crate::vmm::image::{COMMAND_LINE_AREA, Start};
use guest_access::GuestPhysAddr;
use vm_config::RamRange;

const PAGE_BYTES: u64 = 4096;

/// The tables that a guest starts on: one of level 4, one of level 3, four of level 2.
pub(crate) const START_TABLES_BYTES: u64 = 6 * PAGE_BYTES;

/// Writes tables that map the first 4 GiB to themselves, in pages of 2 MiB, and lets the guest run.
///
/// # Errors
///
/// There is no room for them.
pub fn start(
    start: &Start,
    ram: RamRange,
    machine: &mut impl X86Machine,
) -> Result<(), ImageError> {
    const PRESENT_WRITABLE: u64 = 0b11;
    const LARGE: u64 = 1 << 7;
    let room = ram
        .len_bytes
        .checked_sub(COMMAND_LINE_AREA + START_TABLES_BYTES);
    let root = ram.base + room.ok_or(ImageError::NoRoomForCommandLine)?;
    let mut put = |table: u64, index: u64, entry: u64| {
        let place = GuestPhysAddr(root + table * PAGE_BYTES + index * 8);
        match machine.write_ram(place, &entry.to_le_bytes()) {
            true => Ok(()),
            false => Err(ImageError::NoRoomForCommandLine),
        }
    };
    put(0, 0, (root + PAGE_BYTES) | PRESENT_WRITABLE)?;
    for gigabyte in 0..4 {
        let table = 2 + gigabyte;
        put(1, gigabyte, (root + table * PAGE_BYTES) | PRESENT_WRITABLE)?;
        for index in 0..512 {
            let page = (gigabyte << 30) + (index << 21);
            put(table, index, page | PRESENT_WRITABLE | LARGE)?;
        }
    }
    let (address, len_bytes) = (start.command_line.0, start.command_line_len_bytes);
    machine.start(start.entry, GuestPhysAddr(root), address, len_bytes);
    Ok(())
}
