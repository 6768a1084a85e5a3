//! What the bytes of an image are: a whole ELF file for one of our machines, linked to its addresses.

use super::segment::Segment;
use super::{Machine, Unfit};
use crate::diagnostics::Diagnostic;
use object::LittleEndian;
use object::elf::{ET_CORE, ET_DYN, ET_EXEC, ET_REL, FileHeader64, PT_LOAD, SectionHeader64};
use object::read::elf::{FileHeader, ProgramHeader};
use vm_config::RamRange;

type Header = FileHeader64<LittleEndian>;
type SegmentHeader = <Header as FileHeader>::ProgramHeader;

impl Unfit {
    /// What the first bytes say: a 64-bit little-endian ELF file.
    pub(super) fn begins_as<'a>(&self, elf: &'a [u8]) -> Result<&'a Header, Vec<Diagnostic>> {
        let Some([class, order, version]) = elf
            .strip_prefix(b"\x7fELF")
            .map(|rest| [0, 1, 2].map(|at| rest.get(at).copied()))
        else {
            let first = elf.iter().take(4).map(|byte| format!("{byte:02x}"));
            let first = first.collect::<Vec<_>>().join(" ");
            return Err(vec![
                self.error(
                    "is no ELF file",
                    format!("it begins with {first} and not with 7f 45 4c 46"),
                )
                .help(
                    "a file of another kind does not say where it goes: `load ADDRESS,FILE` does",
                ),
            ]);
        };
        match class {
            Some(1) => {
                return Err(vec![
                    self.error("is a 32-bit ELF file", "a VM runs 64-bit ones")
                        .help("build it for aarch64 or x86_64"),
                ]);
            }
            None | Some(2) => {}
            Some(class) => return Err(vec![self.damaged(format!("there is no class {class}"))]),
        }
        match order {
            Some(2) => {
                return Err(vec![
                    self.error("is big-endian", "a VM begins little-endian")
                        .help("build it for aarch64, not for aarch64_be"),
                ]);
            }
            None | Some(1) => {}
            Some(order) => {
                return Err(vec![
                    self.damaged(format!("there is no byte order {order}")),
                ]);
            }
        }
        if let Some(version) = version.filter(|&version| version != 1) {
            return Err(vec![self.damaged(format!("there is no version {version}"))]);
        }
        let header_bytes = size_of::<Header>();
        if elf.len() < header_bytes {
            return Err(vec![self.cut_off(
                elf,
                "its first headers",
                header_bytes as u64,
            )]);
        }
        Header::parse(elf).map_err(|error| vec![self.damaged(error.to_string())])
    }

    /// A program for one of our machines that knows its addresses.
    pub(super) fn is_for_us(
        &self,
        header: &Header,
        wanted: Option<Machine>,
    ) -> Result<Machine, Vec<Diagnostic>> {
        let mut errors = Vec::new();
        let number = header.e_machine(LittleEndian).0;
        let machine = Machine::ALL
            .into_iter()
            .find(|machine| machine.number() == number);
        let is_for = match machine {
            Some(machine) => format!("it is for {}", machine.name()),
            None => format!("it is for machine {number} of ELF's list"),
        };
        match (machine, wanted) {
            (None, None) => errors.push(
                self.error(
                    "is for another machine",
                    format!("{is_for}; a VM is aarch64 or x86_64"),
                )
                .help("build it for aarch64 or x86_64"),
            ),
            (_, Some(wanted)) if machine != Some(wanted) => {
                let wanted = wanted.name();
                let label = format!("{is_for}, and this VM is {wanted}");
                let error = self.error("is for another machine", label);
                errors.push(match machine {
                    Some(machine) => {
                        let name = machine.name();
                        error.help(format!("`make run ARCH={name}` boots VMs of {name}"))
                    }
                    None => error.help(format!("build it for {wanted}")),
                });
            }
            _ => {}
        }
        let file_type = header.e_type(LittleEndian);
        if file_type == ET_DYN {
            errors.push(
                self.error(
                    "is position-independent",
                    "its addresses are not fixed (ET_DYN), and nobody here relocates it",
                )
                .help("link it with --no-pie; rustc wants `-C relocation-model=static` as well"),
            );
        } else if file_type != ET_EXEC {
            let what = match file_type {
                ET_REL => "an object file (ET_REL)".into(),
                ET_CORE => "a core file (ET_CORE)".into(),
                _ => format!("of type {}", file_type.0),
            };
            let error = self.error("is not executable", format!("it is {what}"));
            errors.push(match file_type {
                ET_REL => error.help("link it first"),
                _ => error.help("`load` takes a program that is linked"),
            });
        }
        match machine {
            Some(machine) if errors.is_empty() => Ok(machine),
            _ => Err(errors),
        }
    }

    /// Everything that the headers tell of is in the file; what is to be loaded.
    pub(super) fn is_whole(
        &self,
        header: &Header,
        elf: &[u8],
    ) -> Result<Vec<Segment>, Vec<Diagnostic>> {
        let e = LittleEndian;
        for (what, at, count, entry_bytes) in [
            (
                "its program headers",
                header.e_phoff(e),
                header.e_phnum(e),
                size_of::<SegmentHeader>(),
            ),
            (
                "its section headers",
                header.e_shoff(e),
                header.e_shnum(e),
                size_of::<SectionHeader64<LittleEndian>>(),
            ),
        ] {
            let needed = at.saturating_add(u64::from(count) * entry_bytes as u64);
            if at != 0 && needed > elf.len() as u64 {
                return Err(vec![self.cut_off(elf, what, needed)]);
            }
        }
        // The VMM wants them in order, too.
        let sections = header.section_headers(e, elf);
        sections.map_err(|error| vec![self.damaged(error.to_string())])?;
        let headers = header.program_headers(e, elf);
        let headers = headers.map_err(|error| vec![self.damaged(error.to_string())])?;
        let mut segments = Vec::new();
        for (number, segment) in headers.iter().enumerate() {
            if segment.p_type(e) != PT_LOAD {
                continue;
            }
            let (offset, in_file) = segment.file_range(e);
            let place = RamRange {
                base: segment.p_paddr(e),
                len_bytes: segment.p_memsz(e),
            };
            let needed = offset.saturating_add(in_file);
            // Where no bytes are, a linker may say that they are behind the file's end.
            if in_file != 0 && needed > elf.len() as u64 {
                return Err(vec![self.cut_off(
                    elf,
                    &format!("the bytes of segment {number}"),
                    needed,
                )]);
            }
            if in_file > place.len_bytes {
                let len_bytes = place.len_bytes;
                return Err(vec![self.damaged(format!(
                    "segment {number} has {in_file} bytes for {len_bytes} of memory"
                ))]);
            }
            let bytes = offset as usize..(offset + in_file) as usize;
            segments.push(Segment {
                number: Some(number),
                place,
                virtual_start: segment.p_vaddr(e),
                bytes: if in_file == 0 { 0..0 } else { bytes },
            });
        }
        if segments.is_empty() {
            return Err(vec![
                self.error("has nothing to load", "no program header has the type LOAD")
                    .help("was it linked, and does its linker script name its segments?"),
            ]);
        }
        Ok(segments)
    }

    fn cut_off(&self, elf: &[u8], what: &str, needed: u64) -> Diagnostic {
        let len_bytes = elf.len();
        self.error(
            "is cut off",
            format!("it has {len_bytes} bytes, and {what} end at byte {needed}"),
        )
        .help("it was not completely built, copied or fetched")
    }

    fn damaged(&self, how: impl Into<String>) -> Diagnostic {
        self.error("is a damaged ELF file", how)
            .help("build, copy or fetch it again; `readelf -hl` shows what there is")
    }
}
