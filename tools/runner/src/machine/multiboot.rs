//! The disk and the option ROM from which Bochs boots a kernel and its one module, without a
//! boot loader. `tools/boot-rom` is the program that reads the disk.
//!
//! Called by `bochs`, once for each run. Multiboot specification 0.6.96, sections 3.2 to 3.4.
//! Invariant: what the kernel gets lies above all that it takes for itself, its zeroed memory
//! included, and does not overlap: a kernel that has gaps between its segments uses them.
//!
//! ```text
//! disk:   kernel, zeros filled in | information | module
//! memory: lowest segment          | next page   | next page
//! ```

use elf::abi::PT_LOAD;
use elf::endian::LittleEndian;
use elf::{ElfBytes, ParseError};
use std::path::Path;

/// Where the ROM is put (`tools/boot-rom/src/main.rs`).
pub(crate) const ROM_AT: u32 = 0xd_0000;
/// The unit of a ROM's length.
const BLOCK: usize = 512;
/// What the ROM reads at a time: 256 sectors.
const PIECE: usize = 256 * 512;
const PAGE: usize = 4096;

/// What Bochs's BIOS keeps for its tables at the end of RAM (`ACPI_DATA_SIZE` in its source).
const ACPI_BYTES: u64 = 0x1_0000;
/// Types of memory in the map (ACPI specification 6.5, section 15.1).
const USABLE: u32 = 1;
const RESERVED: u32 = 2;
const ACPI_TABLES: u32 = 3;

/// `flags` of the information: `mem_*`, `cmdline`, `mods_*` and `mmap_*` are there.
const FLAGS: u32 = 1 << 0 | 1 << 2 | 1 << 3 | 1 << 6;
/// Its length, with the fields that are not there.
const INFORMATION_BYTES: u32 = 116;

/// What Bochs boots from.
pub(crate) struct Boot {
    /// The first disk.
    pub disk: Vec<u8>,
    /// The option ROM.
    pub rom: Vec<u8>,
}

impl Boot {
    /// Reads the kernel, the module and the ROM's program, for a machine with so much RAM.
    ///
    /// # Errors
    ///
    /// What cannot be read, is not as it has to be, or does not fit, in a sentence.
    pub(crate) fn read(
        kernel: &Path,
        module: &Path,
        rom_program: &Path,
        ram_bytes: u64,
    ) -> Result<Self, String> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
        };
        let place = |path: &Path, error: String| format!("{}: {error}", path.display());
        let (disk, told) = disk(&read(kernel)?, &read(module)?, ram_bytes)
            .map_err(|error| place(kernel, error))?;
        let program = read(rom_program)?;
        let program = section(&program, ".rom")
            .map_err(|error| error.to_string())
            .and_then(|found| found.ok_or_else(|| "it has no section .rom".into()))
            .map_err(|error| place(rom_program, error))?;
        Ok(Self {
            disk,
            rom: complete(program, told),
        })
    }
}

/// The disk, and what the ROM is told of it.
fn disk(kernel: &[u8], module: &[u8], ram_bytes: u64) -> Result<(Vec<u8>, [u32; 4]), String> {
    let loaded = load(kernel).map_err(|error| error.to_string())?;
    let (mut memory, start, entry) = loaded.ok_or("there is nothing to load")?;
    memory.resize(memory.len().next_multiple_of(PAGE), 0);
    let information = memory.len();
    let module_at = information + PAGE;
    let place = |offset: usize| {
        let place = u32::try_from(offset).ok();
        let place = place.and_then(|offset| start.checked_add(offset));
        let place = place.filter(|&place| u64::from(place) <= ram_bytes - ACPI_BYTES);
        place.ok_or_else(|| format!("it and its module do not fit into {ram_bytes} bytes of RAM"))
    };
    let information_at = place(information)?;
    let module_range = place(module_at)?..place(module_at + module.len())?;
    memory.extend(informed(information_at, module_range, ram_bytes));
    memory.resize(module_at, 0);
    memory.extend(module);
    memory.resize(memory.len().next_multiple_of(PIECE), 0);
    let pieces = u32::try_from(memory.len() / PIECE).map_err(|error| error.to_string())?;
    Ok((memory, [start, pieces, entry, information_at]))
}

/// The kernel's segments as they lie in memory, where they begin, and the entry point.
fn load(file: &[u8]) -> Result<Option<(Vec<u8>, u32, u32)>, ParseError> {
    let kernel = ElfBytes::<LittleEndian>::minimal_parse(file)?;
    let segments = kernel.segments().into_iter().flatten();
    let segments: Vec<_> = segments.filter(|one| one.p_type == PT_LOAD).collect();
    let Some(start) = segments.iter().map(|one| one.p_paddr).min() else {
        return Ok(None);
    };
    let mut memory = Vec::new();
    for segment in &segments {
        let offset = usize::try_from(segment.p_paddr - start)?;
        let end = offset.saturating_add(usize::try_from(segment.p_memsz)?);
        memory.resize(end.max(memory.len()), 0);
        let data = kernel.segment_data(segment)?;
        memory[offset..offset + data.len()].copy_from_slice(data);
    }
    let entry = u32::try_from(kernel.ehdr.e_entry)?;
    Ok(Some((memory, u32::try_from(start)?, entry)))
}

fn section<'a>(file: &'a [u8], name: &str) -> Result<Option<&'a [u8]>, ParseError> {
    let program = ElfBytes::<LittleEndian>::minimal_parse(file)?;
    let header = program.section_header_by_name(name)?;
    let data = header.map(|header| program.section_data(&header));
    Ok(data.transpose()?.map(|(data, _)| data))
}

/// The information that is given to the kernel (section 3.3), to lie at `at`.
fn informed(at: u32, module: std::ops::Range<u32>, ram_bytes: u64) -> Vec<u8> {
    let module_list_at = at + INFORMATION_BYTES;
    let map_at = module_list_at + 16;
    // What Bochs's BIOS answers to INT 15h, AX=E820h.
    let map = [
        (0, 0x9_f000, USABLE),
        (0x9_f000, 0x1000, RESERVED),
        (0xe_8000, 0x1_8000, RESERVED),
        (0x10_0000, ram_bytes - ACPI_BYTES - 0x10_0000, USABLE),
        (ram_bytes - ACPI_BYTES, ACPI_BYTES, ACPI_TABLES),
        (0xfffc_0000, 0x4_0000, RESERVED),
    ];
    const ENTRY_BYTES: u32 = 24;
    let map_bytes = map.len() as u32 * ENTRY_BYTES;
    let name_at = map_at + map_bytes;
    let upper_kib = (ram_bytes - ACPI_BYTES - 0x10_0000) / 1024;
    let mut words = vec![
        FLAGS,
        0x9_f000 / 1024,
        upper_kib as u32,
        0, // boot_device
        name_at,
        1, // mods_count
        module_list_at,
        0, // syms
        0,
        0,
        0,
        map_bytes,
        map_at,
    ];
    words.resize(INFORMATION_BYTES as usize / 4, 0);
    words.extend([module.start, module.end, name_at, 0]);
    for (base, len_bytes, kind) in map {
        let halves = |number: u64| [number as u32, (number >> 32) as u32];
        words.push(ENTRY_BYTES - 4);
        words.extend(halves(base));
        words.extend(halves(len_bytes));
        words.push(kind);
    }
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    // The names of the kernel and of the module: both are empty.
    bytes.push(0);
    bytes
}

/// The ROM: its program, what it is told, and in the last byte what makes the sum of all zero.
fn complete(program: &[u8], told: [u32; 4]) -> Vec<u8> {
    let mut rom = program.to_vec();
    rom.extend(told.iter().flat_map(|word| word.to_le_bytes()));
    rom.resize((rom.len() + 1).next_multiple_of(BLOCK), 0);
    let sum = rom.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    if let Some(last) = rom.last_mut() {
        *last = sum.wrapping_neg();
    }
    rom
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAM_BYTES: u64 = 64 << 20;

    /// An ELF-32 file with segments of (address, contents, length in memory) and the entry
    /// point 0x100010 (System V ABI, "ELF Header" and "Program Header").
    fn kernel(segments: &[(u32, &[u8], u32)]) -> Vec<u8> {
        let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x03\0".to_vec();
        for word in [1, 0x10_0010, 52, 0, 0] {
            file.extend(u32::to_le_bytes(word));
        }
        for half in [52, 32, segments.len() as u16, 40, 0, 0] {
            file.extend(half.to_le_bytes());
        }
        let mut offset = 52 + 32 * segments.len() as u32;
        for (address, contents, len) in segments {
            let in_file = contents.len() as u32;
            // The virtual address is another.
            let virtual_address = address + 0x8000_0000;
            for word in [
                1,
                offset,
                virtual_address,
                *address,
                in_file,
                *len,
                7,
                0x1000,
            ] {
                file.extend(word.to_le_bytes());
            }
            offset += in_file;
        }
        file.extend(segments.iter().flat_map(|(_, contents, _)| *contents));
        file
    }

    fn word(disk: &[u8], at: u32) -> u32 {
        let at = (at - 0x10_0000) as usize;
        u32::from_le_bytes(disk[at..at + 4].try_into().unwrap())
    }

    #[test]
    fn the_module_lies_above_all_of_the_kernel_and_not_in_its_gaps() {
        let file = kernel(&[
            (0x10_0000, b"low", 0x1000),
            (0x40_0800, b"high", 0x3_0000),
            (0x20_0000, b"middle", 6),
        ]);
        let module = vec![0x5a; 5000];
        let (disk, [start, pieces, entry, information]) = disk(&file, &module, RAM_BYTES).unwrap();
        assert_eq!((start, entry), (0x10_0000, 0x10_0010));
        assert_eq!(disk.len(), 0x2_0000 * pieces as usize);
        let at = |address: usize| &disk[address - 0x10_0000..];
        assert!(at(0x10_0000).starts_with(b"low\0"));
        assert!(at(0x20_0000).starts_with(b"middle\0"));
        assert!(at(0x40_0800).starts_with(b"high\0"));
        // Section 3.3: mods_count, mods_addr; each begins with its start and end.
        assert_eq!(information, 0x43_1000);
        assert_eq!(word(&disk, information + 20), 1);
        let list = word(&disk, information + 24);
        assert_eq!(word(&disk, list), 0x43_2000);
        assert_eq!(word(&disk, list + 4), 0x43_2000 + 5000);
        assert!(at(0x43_2000).starts_with(&module));
    }

    #[test]
    fn the_memory_map_ends_before_the_bios_s_tables() {
        let file = kernel(&[(0x10_0000, b"kernel", 6)]);
        let (disk, [_, _, _, information]) = disk(&file, b"module", RAM_BYTES).unwrap();
        // Section 3.3: mmap_length and mmap_addr; entries of size, base, length, type.
        let (mut at, len) = (word(&disk, information + 48), word(&disk, information + 44));
        let end = at + len;
        let mut usable = Vec::new();
        while at < end {
            if word(&disk, at + 20) == 1 {
                let top = word(&disk, at + 4) + word(&disk, at + 12);
                usable.push((word(&disk, at + 4), top));
            }
            at += word(&disk, at) + 4;
        }
        assert_eq!(usable, [(0, 0x9_f000), (0x10_0000, 0x3ff_0000)]);
    }

    #[test]
    fn what_does_not_fit_into_ram_is_refused() {
        let file = kernel(&[(0x10_0000, b"kernel", 63 << 20)]);
        let error = disk(&file, &[0; 0x1_0000], RAM_BYTES).unwrap_err();
        assert!(error.contains("do not fit into 67108864 bytes"), "{error}");
        assert!(disk(b"no kernel", b"module", RAM_BYTES).is_err());
        assert!(disk(&kernel(&[]), b"module", RAM_BYTES).is_err());
    }

    #[test]
    fn the_bytes_of_the_rom_add_up_to_nothing_and_end_with_what_it_is_told() {
        for len in [3, 490, 496, 500, 512] {
            let rom = complete(&vec![0xc3; len], [1, 2, 0x0102_0304, 4]);
            assert_eq!(rom.len() % 512, 0);
            let sum: u32 = rom.iter().map(|byte| u32::from(*byte)).sum();
            assert_eq!(sum % 256, 0);
            assert_eq!(rom[len + 8..len + 12], [4, 3, 2, 1]);
        }
    }
}
