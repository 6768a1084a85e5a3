//! What a protection domain finds in its memory when it is started again.

use crate::changed::everywhere;
use crate::platforms::{microkit, set_by_make};
use elf::ElfBytes;
use elf::abi::{SHF_WRITE, SHT_NOBITS, STT_OBJECT};
use elf::endian::LittleEndian;

/// An entry point clears what is zero at first; all else that could have been written since is still
/// there. So nothing may be there but what the Microkit's tool has set, under names without mangling,
/// and tables of addresses.
#[test]
fn what_is_not_cleared_at_a_restart_nobody_has_written() {
    let scenario = "memory at a restart";
    let built = everywhere()
        .filter(|(board, config)| !microkit(scenario, board, &[config], &[]).is_empty());
    for (board, config) in built {
        for domain in ["pd-vmm", "pd-trace", "pd-console"] {
            let place = format!("{board} {config} {domain}");
            let folder = set_by_make("VDEV_TRACE_DOMAINS").join(board).join(config);
            let file = std::fs::read(folder.join(domain)).unwrap();
            let program = ElfBytes::<LittleEndian>::minimal_parse(&file).unwrap();
            let (sections, names) = program.section_headers_with_strtab().unwrap();
            let (sections, names) = (sections.unwrap(), names.unwrap());
            let mut data = None;
            for (number, section) in (0..).zip(sections) {
                let is_writable = section.sh_flags & u64::from(SHF_WRITE) != 0;
                if !is_writable || section.sh_type == SHT_NOBITS {
                    continue;
                }
                match names.get(section.sh_name as usize).unwrap() {
                    ".data" => data = Some((number, section)),
                    ".got" => {}
                    other => panic!("{place}: {other}"),
                }
            }
            let (number, data) = data.expect("the Microkit has set something");
            let (symbols, names) = program.symbol_table().unwrap().unwrap();
            let in_data = symbols
                .iter()
                .filter(|symbol| symbol.st_shndx == number && symbol.st_symtype() == STT_OBJECT);
            let mut named_bytes = 0;
            for symbol in in_data {
                let name = names.get(symbol.st_name as usize).unwrap();
                assert!(!name.starts_with("_R"), "{place}: {name}");
                named_bytes += symbol.st_size.next_multiple_of(data.sh_addralign);
            }
            // Nothing is there without a name.
            assert!(named_bytes >= data.sh_size, "{place}: {named_bytes:#x}");
        }
    }
}
