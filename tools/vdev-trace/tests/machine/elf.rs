//! A guest's ELF file with the symbols that a test wants (*System V ABI*, "Object Files").
//!
//! Whatever a test compiles a configuration for, this is its image: one that can be run.

/// The place of its one segment, 16 bytes, where it also begins.
pub const START: u64 = 0x4008_0000;

/// `e_machine`.
pub const AARCH64: u8 = 183;
pub const X86_64: u8 = 62;

/// An executable for this machine.
pub fn executable(machine: u8) -> Vec<u8> {
    let mut file = with_functions(&[]);
    file[18] = machine;
    file
}

/// An executable for aarch64 whose functions are at these addresses, 16 bytes each, and have
/// these names.
pub fn with_functions(functions: &[(u64, &[u8])]) -> Vec<u8> {
    let section_names = b"\0.text\0.symtab\0.strtab\0.shstrtab\0";
    let mut names = vec![0];
    let mut symbols = vec![0; 24];
    for (address, name) in functions {
        symbols.extend((names.len() as u32).to_le_bytes());
        // Global, a function, visible, in section 1.
        symbols.extend([0x12, 0, 1, 0]);
        symbols.extend(address.to_le_bytes());
        symbols.extend(16_u64.to_le_bytes());
        names.extend(*name);
        names.push(0);
    }
    let mut file = Vec::new();
    file.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    // Executable, aarch64.
    file.extend([2, 0, AARCH64, 0, 1, 0, 0, 0]);
    let contents = 64 + 56 + symbols.len() + names.len() + section_names.len();
    for word in [START, 64, contents as u64] {
        file.extend(word.to_le_bytes());
    }
    file.extend([0; 4]);
    // Sizes and counts of headers; the last section has the sections' names.
    for half in [64_u16, 56, 1, 64, 5, 4] {
        file.extend(half.to_le_bytes());
    }
    // To be loaded, executable; the file's first bytes, as code does not matter.
    file.extend([1_u32, 5].iter().flat_map(|word| word.to_le_bytes()));
    let segment = [0, START, START, 16, 16, 4096];
    file.extend(segment.iter().flat_map(|word: &u64| word.to_le_bytes()));
    let symbols_at = file.len();
    file.extend(&symbols);
    let names_at = file.len();
    file.extend(&names);
    let section_names_at = file.len();
    file.extend(section_names);
    file.extend([0; 64]);
    // Name, type, flags, address, offset, length, link, information, alignment, entry.
    for (name, kind, flags, offset, len, link, information, entry) in [
        (1_u32, 1_u32, 6_u64, 0, 1 << 20, 0_u32, 0_u32, 0_u64),
        (7, 2, 0, symbols_at, symbols.len(), 3, 1, 24),
        (15, 3, 0, names_at, names.len(), 0, 0, 0),
        (23, 3, 0, section_names_at, section_names.len(), 0, 0, 0),
    ] {
        let address = if kind == 1 { START } else { 0 };
        file.extend([name, kind].iter().flat_map(|word| word.to_le_bytes()));
        let words = [flags, address, offset as u64, len as u64];
        file.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        file.extend(
            [link, information]
                .iter()
                .flat_map(|word| word.to_le_bytes()),
        );
        file.extend([1, entry].iter().flat_map(|word: &u64| word.to_le_bytes()));
    }
    file
}
