//! The guest's images: where `load` finds them, whether the VM can run them, and what of them goes where
//! in its RAM.
//!
//! Used by whoever compiles configurations with their files (`vdev_trace::vms::compile`). The files are
//! whatever somebody has built or downloaded, so their numbers are claims. Invariant: no bytes make this
//! panic, each cause is told once, and what is laid out the VMM copies and starts, parsing nothing
//! (`crates/vm/vm-components/src/vmm/image.rs`).
//!
//! ```text
//! an ELF file ──begins_as──▶ header ──is_for_us──▶ tables ──is_whole──┐
//!             └──────────────────── elf ─────────────────────────────┤▶ segments ──fits──▶ pieces
//! any file at an address ────────────────────────────────────────────┤           └ room ┘
//! arm64's Image ──kernel──▶ what it asks for ──┐                      │
//! an initrd, a device tree ────────────────────┴── place ─────────────┘
//! ```
//!
//! What fails in one step would fail in the next ones for the same cause, so they are left out.
//!
//! Specification: *System V ABI*, "Object Files" and "Program Loading"; Linux,
//! `Documentation/arch/arm64/booting.rst`.

mod contents;
mod controller;
mod elf;
mod kernel;
mod layout;
mod place;
mod room;
mod segment;
mod tree;

use crate::diagnostics::{Diagnostic, quoted, shown_path};
use crate::source::{Span, Spanned};
use crate::vm::{Content, LaidOut, Load, Vm};
use contents::Contents;
use object::elf::{EM_AARCH64, EM_X86_64};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use vm_components::START_AREAS;

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
pub fn place(load: &str, config: &Path, folder: &Path) -> PathBuf {
    // Standard input is in no folder.
    let beside = config.parent().filter(|_| config.as_os_str() != "-");
    let beside = beside.map(|parent| parent.join(load));
    beside
        .filter(|path| path.is_file())
        .unwrap_or_else(|| folder.join(load))
}

/// A file that `load` names.
pub struct LoadedFile {
    /// Where it was found.
    pub path: PathBuf,
    /// Its bytes, which are those that were checked.
    pub bytes: Vec<u8>,
}

impl LoadedFile {
    /// Whether it begins as ELF files do.
    pub fn is_elf(&self) -> bool {
        self.bytes.starts_with(ELF_MAGIC)
    }
}

const ELF_MAGIC: &[u8] = b"\x7fELF";

impl Images<'_> {
    /// The image that `load` means in the configuration at `config`.
    ///
    /// # Errors
    ///
    /// Why it cannot be had, or that it is empty or larger than 4 GiB.
    pub fn read(&self, load: &Spanned<Load>, config: &Path) -> Result<LoadedFile, Vec<Diagnostic>> {
        let path = place(&load.value.name, config, self.folder);
        let shown = shown_path(&path);
        let what = Unfit::of(load).what;
        let error = |title: &str| Diagnostic::error(load.span, format!("{what} {title}"));
        let cannot = |why: String| error("cannot be had").label(why);
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
        let too_large = |len_bytes: u64| {
            let label = format!("{len_bytes} bytes, the most is 4 GiB");
            vec![error("is too large").label(label)]
        };
        if metadata.len() > u32::MAX.into() {
            return Err(too_large(metadata.len()));
        }
        let mut bytes = Vec::new();
        std::fs::File::open(&path)
            .and_then(|file| file.take(1 << 32).read_to_end(&mut bytes))
            .map_err(failed)?;
        match bytes.len() as u64 {
            0 => Err(vec![error("is empty")]),
            // It has grown since.
            len_bytes if len_bytes > u32::MAX.into() => Err(too_large(len_bytes)),
            _ => Ok(LoadedFile { path, bytes }),
        }
    }

    /// Lays out files with these bytes, in the order of [`Vm::loads`](crate::Vm::loads). Gives what goes where,
    /// and the image region: the bytes of all pieces.
    ///
    /// # Errors
    ///
    /// Why a VM cannot run them, in the words and at the places of its configuration. Without a `vm`
    /// only what is wrong for any is told, and nothing laid out.
    pub fn lay_out(
        &self,
        images: &[(&Spanned<Load>, &[u8])],
        vm: Option<&Vm>,
    ) -> Result<(LaidOut, Vec<u8>), Vec<Diagnostic>> {
        let mut machine = self.machine;
        let mut errors = Vec::new();
        let mut parsed = Vec::new();
        for (index, &(load, bytes)) in images.iter().enumerate() {
            match Contents::of(load, bytes, index == 0, machine) {
                Ok(contents) => {
                    machine = machine.or(contents.machine);
                    parsed.push(contents);
                }
                Err(found) => errors.extend(found),
            }
        }
        match vm {
            _ if !errors.is_empty() => Err(errors),
            None => Ok(Default::default()),
            Some(vm) => layout::lay_out(&parsed, vm, machine),
        }
    }
}

/// Says why an image cannot be run.
#[derive(Clone)]
struct Unfit {
    /// Which it is.
    what: String,
    /// Where the configuration asks for it.
    span: Span,
    /// Where it says that it is to go.
    address: Option<u64>,
}

impl Unfit {
    fn of(load: &Spanned<Load>) -> Self {
        let name = quoted(&load.value.name);
        Self {
            what: match load.value.content {
                Content::Image => format!("the image {name}"),
                Content::Initrd => format!("the initrd {name}"),
                Content::DeviceTree => format!("the device tree {name}"),
            },
            span: load.span,
            address: load.value.address,
        }
    }

    fn error(&self, how: &str, label: impl Into<String>) -> Diagnostic {
        Diagnostic::error(self.span, format!("{} {how}", self.what)).label(label)
    }

    /// Whether all of it goes to an address that the configuration gives.
    fn is_flat(&self) -> bool {
        self.address.is_some()
    }
}
