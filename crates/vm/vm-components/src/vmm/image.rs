//! Puts the guest's ELF image and its command line into the guest's RAM.
//!
//! Called by the VMM component at `init` and at a reset. Invariant: only [`Machine::write_ram`]
//! touches the guest's memory, so an image that lies about its sizes is refused, not obeyed.

use crate::Machine;
use core::fmt::Write;
use elf::abi::PT_LOAD;
use elf::endian::LittleEndian;
use elf::file::Class;
use elf::segment::ProgramHeader;
use guest_access::GuestPhysAddr;
use heapless::String;
use vm_config::VmConfig;

/// Why a VM cannot start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageError {
    /// The image is no 64-bit little-endian ELF file for this architecture, or is cut off.
    NotAnElf,
    /// A segment does not lie in the guest's RAM; the address is its first.
    OutsideRam(GuestPhysAddr),
    /// The configuration has no RAM, or too little for the command line.
    NoRoomForCommandLine,
}

/// Where the guest starts.
pub struct Start {
    pub entry: u64,
    pub command_line: GuestPhysAddr,
    pub command_line_len_bytes: u64,
}

/// Bytes at the end of the first RAM range that the command line may take.
pub(crate) const COMMAND_LINE_AREA: u64 = 4096;

/// Loads `image` and the command line of `config`, to which `hz=` is appended, the frequency
/// of the counter that the guest reads. `elf_machine` is the one that can run.
pub(crate) fn load(
    image: &[u8],
    config: &VmConfig<'_>,
    clock_hz: u64,
    elf_machine: u16,
    machine: &mut impl Machine,
) -> Result<Start, ImageError> {
    let elf =
        elf::ElfBytes::<LittleEndian>::minimal_parse(image).map_err(|_| ImageError::NotAnElf)?;
    if elf.ehdr.e_machine != elf_machine || elf.ehdr.class != Class::ELF64 {
        return Err(ImageError::NotAnElf);
    }
    let segments = elf.segments().ok_or(ImageError::NotAnElf)?;
    // Of a segment without bytes in the file a linker may say that they are behind its end.
    let in_file = |segment: &ProgramHeader| segment.p_type == PT_LOAD && segment.p_filesz != 0;
    for segment in segments.iter().filter(in_file) {
        let data = elf
            .segment_data(&segment)
            .map_err(|_| ImageError::NotAnElf)?;
        let address = GuestPhysAddr(segment.p_paddr);
        // RAM is zero already, so what the file leaves out needs no writing.
        if !machine.write_ram(address, data) {
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
        entry: elf.ehdr.e_entry,
        command_line,
        command_line_len_bytes: text.len() as u64,
    })
}
