//! The guest's image: where `load NAME` finds it, and whether the VM can run it.
//!
//! Used by `compile`. The file is whatever somebody has built or downloaded, so its numbers are
//! claims. Invariant: no bytes make this panic, each cause is told once, and what is let through
//! the VMM loads and starts (`crates/vm/vm-components/src/image.rs`, which trusts no image either).
//!
//! ```text
//! bytes ──begins_as──▶ header ──is_for_us──▶ tables ──is_whole──▶ segments ──fits──▶ runs
//!       └──────────────────────── file ──────────────────────────┘          └─ room ─┘
//! ```
//!
//! What fails in one step would fail in the next ones for the same cause, so they are left out.
//!
//! Specification: *System V ABI*, "Object Files" and "Program Loading".

mod file;
mod room;
mod segment;

use crate::visible;
use object::LittleEndian;
use object::elf::{EM_AARCH64, EM_X86_64};
use object::read::elf::FileHeader;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use vm_components::START_AREAS;
use vmconf::{Diagnostic, Spanned, Vm, quoted};

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

/// Says why an image cannot be run.
struct Unfit<'a> {
    load: &'a Spanned<String>,
}

impl Unfit<'_> {
    fn error(&self, what: &str, label: impl Into<String>) -> Diagnostic {
        let name = quoted(&self.load.value);
        Diagnostic::error(self.load.span, format!("the image {name} {what}")).label(label)
    }
}
