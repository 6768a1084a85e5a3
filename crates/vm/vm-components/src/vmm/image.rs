//! Puts the guest's images and its command line into the guest's RAM.
//!
//! Called when the VM starts and at a reset. The images were laid out where the configuration was
//! compiled, which says what goes where; here is only copied, and nothing parsed. Invariant: only
//! [`Machine::write_ram`] touches the guest's memory, so a configuration that lies is refused, not obeyed.

use crate::Machine;
use core::fmt::Write;
use guest_access::GuestPhysAddr;
use heapless::String;
use vm_config::{Piece, VmConfig};

/// Why a VM cannot start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageError {
    /// The images are for another machine.
    OtherMachine,
    /// The image region does not have the bytes that are to go to this address.
    NotThere(GuestPhysAddr),
    /// What is to go to this address does not lie in the guest's RAM, or the guest would start there.
    OutsideRam(GuestPhysAddr),
    /// The configuration has no RAM, or too little for the command line.
    NoRoomForCommandLine,
}

/// Where the guest starts.
pub struct Start {
    pub entry: u64,
    /// What it is given, if it is given this, instead of the command line.
    pub device_tree: Option<GuestPhysAddr>,
    pub command_line: GuestPhysAddr,
    pub command_line_len_bytes: u64,
}

/// Bytes at the end of the first RAM range that the command line may take.
pub(crate) const COMMAND_LINE_AREA: u64 = 4096;

/// Loads the images of `config`, whose bytes are in `region`, and its command line, to which `hz=` is
/// appended, the frequency of the counter that the guest reads. `elf_machine` is the one that can run.
pub(crate) fn load(
    region: &[u8],
    config: &VmConfig<'_>,
    clock_hz: u64,
    elf_machine: u16,
    machine: &mut impl Machine,
) -> Result<Start, ImageError> {
    if config.machine().is_some_and(|wanted| wanted != elf_machine) {
        return Err(ImageError::OtherMachine);
    }
    for piece in config.pieces() {
        let address = GuestPhysAddr(piece.address);
        let bytes = bytes_of(&piece, region).ok_or(ImageError::NotThere(address))?;
        // RAM is zero already, so what an image has besides needs no writing.
        if !machine.write_ram(address, bytes) {
            return Err(ImageError::OutsideRam(address));
        }
    }
    let ram = config
        .ram()
        .next()
        .filter(|ram| ram.len_bytes >= COMMAND_LINE_AREA)
        .ok_or(ImageError::NoRoomForCommandLine)?;
    let command_line = GuestPhysAddr(ram.base + ram.len_bytes - COMMAND_LINE_AREA);
    let mut text = String::<1100>::new();
    // 1023 bytes of command line and a number fit.
    let _ = write!(text, "{} hz={clock_hz}", config.cmdline());
    if !machine.write_ram(command_line, text.as_bytes()) {
        return Err(ImageError::NoRoomForCommandLine);
    }
    Ok(Start {
        entry: config.entry(),
        device_tree: config.device_tree().map(GuestPhysAddr),
        command_line,
        command_line_len_bytes: text.len() as u64,
    })
}

fn bytes_of<'a>(piece: &Piece, region: &'a [u8]) -> Option<&'a [u8]> {
    let (start, end) = (piece.offset.try_into().ok()?, piece.end().try_into().ok()?);
    region.get::<core::ops::Range<usize>>(start..end)
}
