//! The guest's image: where `load NAME` finds it, and whether the VM can run it.
//!
//! Used by `compile`. The file is whatever somebody has built or downloaded, so its numbers are
//! claims. Invariant: no bytes make this panic, each cause is told once, and what is let through
//! the VMM loads and starts (`crates/vm/vm-components/src/image.rs`, which trusts no image either).
//!
//! ```text
//! bytes ──begins_as──▶ header ──is_for_us──▶ tables ──is_whole──▶ segments ──fits──▶ runs
//! ```
//!
//! What fails in one step would fail in the next ones for the same cause, so they are left out.
//!
//! Specification: *System V ABI*, "Object Files" and "Program Loading".

use crate::visible;
use object::LittleEndian;
use object::elf::{
    EM_AARCH64, EM_X86_64, ET_CORE, ET_DYN, ET_EXEC, ET_REL, FileHeader64, PT_LOAD, SectionHeader64,
};
use object::read::elf::{FileHeader, ProgramHeader};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use vm_components::START_AREAS;
use vm_config::RamRange;
use vmconf::{Diagnostic, Spanned, Vm, quoted};

type Header = FileHeader64<LittleEndian>;
type SegmentHeader = <Header as FileHeader>::ProgramHeader;

/// Where images are looked for, and what they are to be.
#[derive(Clone, Copy)]
pub struct Images<'a> {
    /// The folder where they are if not beside the configuration.
    pub folder: &'a Path,
    /// What the VM's vCPU is, where that is known.
    pub machine: Option<Machine>,
}

/// What an image can be built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// 64-bit Arm.
    Aarch64,
    /// 64-bit x86.
    X86_64,
}

impl Machine {
    const ALL: [Self; 2] = [Self::Aarch64, Self::X86_64];

    const fn name(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64",
            Self::X86_64 => "x86_64",
        }
    }

    /// `e_machine` of its ELF files.
    const fn number(self) -> u16 {
        match self {
            Self::Aarch64 => EM_AARCH64.0,
            Self::X86_64 => EM_X86_64.0,
        }
    }

    /// Bytes at the end of RAM that the VMM writes before the guest starts.
    fn start_area_bytes(self) -> u64 {
        let mut areas = START_AREAS.into_iter();
        let area = areas.find(|(machine, _)| *machine == self.number());
        area.map_or(0, |(_, len_bytes)| len_bytes)
    }

    fn start_area_holds(self) -> &'static str {
        match self {
            Self::Aarch64 => "the command line is put",
            Self::X86_64 => "the command line and the first page tables are put",
        }
    }
}

/// The file that `load` means in the configuration at `config`: the one beside it, else the one in
/// `folder`, whether it is there or not.
pub(crate) fn place(load: &str, config: &Path, folder: &Path) -> PathBuf {
    // Standard input is in no folder.
    let beside = config.parent().filter(|_| config.as_os_str() != "-");
    let beside = beside.map(|parent| parent.join(load));
    beside
        .filter(|path| path.is_file())
        .unwrap_or_else(|| folder.join(load))
}

impl Images<'_> {
    /// The image that `load` means in the configuration at `config`: where it is, how many bytes
    /// it has, and its bytes if they are not too many.
    pub(crate) fn read(
        &self,
        load: &Spanned<String>,
        config: &Path,
    ) -> Result<(PathBuf, u64, Vec<u8>), Vec<Diagnostic>> {
        let path = place(&load.value, config, self.folder);
        let shown = visible::path(&path);
        let cannot = |why: String| {
            let name = quoted(&load.value);
            Diagnostic::error(load.span, format!("the image {name} cannot be had")).label(why)
        };
        let failed = |error: io::Error| {
            vec![match error.kind() {
                ErrorKind::NotFound => cannot(format!("{shown} is not there"))
                    .help("it is looked for beside the configuration, then there"),
                _ => cannot(format!("{shown}: {error}")),
            }]
        };
        let metadata = std::fs::metadata(&path).map_err(failed)?;
        // Of anything else there may be no end.
        if !metadata.is_file() {
            return Err(vec![cannot(format!("{shown} is no regular file"))]);
        }
        if metadata.len() > u32::MAX.into() {
            return Ok((path, metadata.len(), Vec::new()));
        }
        let mut bytes = Vec::new();
        std::fs::File::open(&path)
            .and_then(|file| file.take(u32::MAX.into()).read_to_end(&mut bytes))
            .map_err(failed)?;
        Ok((path, bytes.len() as u64, bytes))
    }

    /// Why a VM cannot run the image with these bytes, in the words and at the places of its
    /// configuration; nothing if it can. Without a `vm` only what is wrong for any is told.
    pub fn check(
        &self,
        elf: &[u8],
        load: &Spanned<String>,
        vm: Option<&Vm>,
    ) -> Result<(), Vec<Diagnostic>> {
        let unfit = Unfit { load };
        let header = unfit.begins_as(elf)?;
        let machine = unfit.is_for_us(header, self.machine)?;
        let segments = unfit.is_whole(header, elf)?;
        let Some(vm) = vm else { return Ok(()) };
        let entry = header.e_entry(LittleEndian);
        let errors = unfit.fits(&segments, entry, vm, machine);
        match errors.is_empty() {
            true => Ok(()),
            false => Err(errors),
        }
    }
}

/// A segment that is to be loaded.
#[derive(Clone, Copy)]
struct Segment {
    /// Its number among the program headers, as `readelf` counts.
    number: usize,
    /// Where it goes in the guest's physical memory.
    place: RamRange,
    /// Where the program believes that it is.
    virtual_start: u64,
}

impl Segment {
    fn end(&self) -> u64 {
        end(&self.place)
    }

    fn extent(&self) -> String {
        format!("segment {} is at {}", self.number, extent(&self.place))
    }
}

fn end(range: &RamRange) -> u64 {
    range.base.saturating_add(range.len_bytes)
}

fn extent(range: &RamRange) -> String {
    let last = range.base.saturating_add(range.len_bytes.saturating_sub(1));
    format!("{:#x} to {last:#x}", range.base)
}

fn is_within(place: &RamRange, ram: &RamRange) -> bool {
    let end_of_place = place.base.checked_add(place.len_bytes);
    place.base >= ram.base && end_of_place.is_some_and(|last| last <= end(ram))
}

/// Says why an image cannot be run.
struct Unfit<'a> {
    load: &'a Spanned<String>,
}

impl Unfit<'_> {
    fn error(&self, what: &str, label: impl Into<String>) -> Diagnostic {
        let name = quoted(&self.load.value);
        Diagnostic::error(self.load.span, format!("the image {name} {what}")).label(label)
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

    /// What the first bytes say: a 64-bit little-endian ELF file.
    fn begins_as<'a>(&self, elf: &'a [u8]) -> Result<&'a Header, Vec<Diagnostic>> {
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
                .help("`load` takes what a linker makes; a raw binary does not say where it goes"),
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
    fn is_for_us(
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
    fn is_whole(&self, header: &Header, elf: &[u8]) -> Result<Vec<Segment>, Vec<Diagnostic>> {
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
            if needed > elf.len() as u64 {
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
            segments.push(Segment {
                number,
                place,
                virtual_start: segment.p_vaddr(e),
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

    /// Its segments have a place in the RAM of `vm`, each its own, and it begins in one.
    fn fits(&self, segments: &[Segment], entry: u64, vm: &Vm, machine: Machine) -> Vec<Diagnostic> {
        let taken = segments
            .iter()
            .filter(|segment| segment.place.len_bytes != 0);
        let mut taken: Vec<_> = taken.copied().collect();
        taken.sort_by_key(|segment| segment.place.base);
        let errors = [
            self.is_in_ram(segments, vm),
            self.has_no_overlap(&taken),
            self.leaves_start_area(&taken, vm, machine),
            self.begins_in_a_segment(&taken, entry),
        ];
        errors.into_iter().flatten().collect()
    }

    fn is_in_ram(&self, segments: &[Segment], vm: &Vm) -> Option<Diagnostic> {
        let mut outside = segments.iter().filter(|segment| {
            let mut ram = vm.ram.iter();
            !ram.any(|ram| is_within(&segment.place, &ram.value))
        });
        let error = self.error("does not lie in the VM's RAM", outside.next()?.extent());
        let error = vm.ram.iter().fold(error, |error, ram| {
            error.also(ram.span, format!("the RAM is {}", extent(&ram.value)))
        });
        let error = match outside.count() {
            0 => error,
            1 => error.help("another segment lies outside of it, too"),
            others => error.help(format!("{others} more segments lie outside of it, too")),
        };
        Some(error.help("link it to addresses in the RAM, or change `ram`"))
    }

    /// `taken` is in the order of the addresses.
    fn has_no_overlap(&self, taken: &[Segment]) -> Option<Diagnostic> {
        let pairs = taken.iter().zip(taken.iter().skip(1));
        let mut overlaps = pairs.filter(|(first, second)| second.place.base < first.end());
        let (first, second) = overlaps.next()?;
        let label = format!("{}, {}", first.extent(), second.extent());
        let error = self.error("has segments that overlap", label);
        Some(error.help("its linker script gives them one place"))
    }

    fn leaves_start_area(
        &self,
        taken: &[Segment],
        vm: &Vm,
        machine: Machine,
    ) -> Option<Diagnostic> {
        let ram = vm.ram.first()?;
        let len_bytes = machine.start_area_bytes().min(ram.value.len_bytes);
        let base = end(&ram.value) - len_bytes;
        let area = RamRange { base, len_bytes };
        let segment = taken
            .iter()
            .find(|segment| is_within(&segment.place, &ram.value) && segment.end() > area.base)?;
        let holds = machine.start_area_holds();
        let error = self
            .error("reaches into the end of the RAM", segment.extent())
            .also(ram.span, format!("{holds} at {}", extent(&area)));
        Some(error.help("make the RAM larger, or link the image to lower addresses"))
    }

    fn begins_in_a_segment(&self, taken: &[Segment], entry: u64) -> Option<Diagnostic> {
        let is_in = |start: fn(&Segment) -> u64| {
            taken.iter().any(|segment| {
                let at = entry.checked_sub(start(segment));
                at.is_some_and(|at| at < segment.place.len_bytes)
            })
        };
        if is_in(|segment| segment.place.base) {
            return None;
        }
        let label = format!("its entry point is {entry:#x}");
        let error = self.error("begins outside of its segments", label);
        Some(error.help(match is_in(|segment| segment.virtual_start) {
            true => "that is a virtual address, and the guest begins at a physical one",
            false => "the linker takes it from ENTRY, else from the symbol `_start`",
        }))
    }
}
