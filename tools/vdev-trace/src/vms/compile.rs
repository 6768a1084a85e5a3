//! From a `vm.conf`, or several, to the blobs that the VMMs read.

use crate::input::source::MAX_TEXT_BYTES;
use crate::tell::say;
use crate::visible;
use crate::vms::image::Images;
use anstream::{AutoStream, ColorChoice};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use vm_config::{MAX_VMS, VmConfig, note_image};
use vmconf::{Colour, Diagnostic, Diagnostics, Vm};

/// A compiled VM configuration and the image that belongs to it.
pub struct Compiled {
    /// The VM's number in its system.
    pub number: u8,
    /// The configuration, with the places of everything in its text.
    pub vm: Vm,
    /// What the VMM reads.
    pub blob: Vec<u8>,
    /// The guest's ELF file.
    pub image: PathBuf,
    /// Its bytes, which are those that were checked.
    pub image_read: Vec<u8>,
    /// Bytes of RAM of the VM.
    pub ram_bytes: u64,
}

/// What becomes of a text that is compiled although part of it means nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warnings {
    /// That is told on standard error.
    Told,
    /// It is refused.
    Refused,
}

/// The name of a file of which each VM has one: VM 0's is `vm.blob`, VM 1's `vm_1.blob`.
pub fn file_of_vm(number: u8, stem: &str, suffix: &str) -> String {
    match number {
        0 => format!("{stem}.{suffix}"),
        number => format!("{stem}_{number}.{suffix}"),
    }
}

/// The name of a VM's image where it lies beside its blob.
pub(crate) fn image_of_vm(number: u8) -> String {
    file_of_vm(number, "guest", "elf")
}

impl Compiled {
    /// Writes the blob and the image to a folder, which is made if need be: what a machine boots,
    /// and what its trace is later read with.
    ///
    /// # Errors
    ///
    /// What could not be written, and why.
    pub fn write_to(&self, folder: &Path) -> Result<Written, String> {
        let written = Written {
            blob: folder.join(file_of_vm(self.number, "vm", "blob")),
            image: folder.join(image_of_vm(self.number)),
        };
        let cannot = |path: &Path, error| format!("cannot write {}: {error}", visible::path(path));
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&written.blob, &self.blob))
            .map_err(|error| cannot(&written.blob, error))?;
        std::fs::write(&written.image, &self.image_read)
            .map_err(|error| cannot(&written.image, error))?;
        Ok(written)
    }
}

/// What [`Compiled::write_to`] wrote.
pub struct Written {
    /// The compiled configuration.
    pub blob: PathBuf,
    /// The guest's ELF file.
    pub image: PathBuf,
}

/// A configuration for its names.
pub enum Named {
    /// A file that [`Compiled::write_to`] wrote: what a VM ran.
    Compiled(Vec<u8>),
    /// The compiled form of a text, which does not tell which build of the image it was run with.
    Text(Vec<u8>),
}

impl Named {
    /// The blob.
    pub fn blob(&self) -> &[u8] {
        match self {
            Self::Compiled(blob) | Self::Text(blob) => blob,
        }
    }
}

/// The configuration at `path`, for its names alone: no image is looked for.
///
/// # Errors
///
/// As for [`compile`].
pub fn names(path: &Path) -> Result<Named, String> {
    let (name, bytes) = read(path)?;
    if VmConfig::parse(&bytes).is_ok() {
        return Ok(Named::Compiled(bytes));
    }
    vmconf::decode(&name, &bytes)
        .and_then(|text| vmconf::compile(&name, 0, text, |_, _| Ok(1)))
        .map(|compiled| Named::Text(compiled.blob))
        .map_err(|diagnostics| render(&diagnostics))
}

fn read(path: &Path) -> Result<(String, Vec<u8>), String> {
    let name = visible::path(path);
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_TEXT_BYTES).read_to_end(&mut bytes))
        .map_err(|error| format!("error: cannot read {name}: {error}\n"))?;
    Ok((name, bytes))
}

/// As for all that the program says on standard error.
fn colour() -> Colour {
    match AutoStream::choice(&std::io::stderr()) {
        ColorChoice::Never => Colour::Never,
        _ => Colour::Always,
    }
}

/// Checks the configurations of all VMs of a system and compiles them; they are numbered in
/// the order of `paths`. `load NAME` names a file beside the configuration or in `images`.
///
/// # Errors
///
/// As for [`compile`], for every configuration that is wrong; and that two VMs have one name,
/// or that there are more than a system can have.
pub fn compile_all(
    paths: &[PathBuf],
    images: Images<'_>,
    warnings: Warnings,
) -> Result<Vec<Compiled>, String> {
    if paths.len() > MAX_VMS {
        let number = paths.len();
        return Err(format!(
            "error: {number} VMs, but a system has at most {MAX_VMS}\n"
        ));
    }
    let mut vms: Vec<Compiled> = Vec::new();
    let mut wrong = String::new();
    for (number, path) in (0..).zip(paths) {
        match compile(path, number, images, warnings) {
            Ok(compiled) => vms.push(compiled),
            Err(text) => wrong += &text,
        }
    }
    for (index, compiled) in vms.iter().enumerate() {
        let vm = &compiled.vm;
        let mut earlier = vms[..index].iter();
        if let Some(first) = earlier.find(|other| other.vm.system.value == vm.system.value) {
            let title = format!("two VMs have the name `{}`", vm.system.value);
            let place = first.vm.source.place(first.vm.system.span);
            let again = Diagnostic::error(vm.system.span, title)
                .label("again here")
                .help(format!("it is first given at {place}"))
                .help("the name tells whose a line of the log is");
            wrong += &render(&Diagnostics::new(vm.source.clone(), vec![again]));
        }
    }
    match wrong.is_empty() {
        true => Ok(vms),
        false => Err(wrong),
    }
}

/// The diagnostics as a text to print, coloured if standard error is a terminal.
pub fn render(diagnostics: &Diagnostics) -> String {
    diagnostics.render(colour())
}

/// Checks the configuration at `path` and compiles it, as VM `number` of its system;
/// `load NAME` names a file beside it or in `images`.
///
/// # Errors
///
/// The diagnostics as a text to print, coloured if standard error is a terminal.
pub fn compile(
    path: &Path,
    number: u8,
    images: Images<'_>,
    warnings: Warnings,
) -> Result<Compiled, String> {
    let (_, bytes) = read(path)?;
    compile_text(path, &bytes, number, images, warnings)
}

/// The same for a configuration that was read from `path`.
///
/// # Errors
///
/// As for [`compile`].
pub fn compile_text(
    path: &Path,
    bytes: &[u8],
    number: u8,
    images: Images<'_>,
    warnings: Warnings,
) -> Result<Compiled, String> {
    let name = visible::path(path);
    let (mut image, mut image_read) = (PathBuf::new(), Vec::new());
    let compiled = vmconf::decode(&name, bytes)
        .and_then(|text| {
            vmconf::compile(&name, number, text, |load, vm| {
                let (place, len_bytes, bytes) = images.read(load, path)?;
                if !bytes.is_empty() {
                    images.check(&bytes, load, vm)?;
                }
                (image, image_read) = (place, bytes);
                Ok(len_bytes)
            })
        })
        .map_err(|diagnostics| render(&diagnostics))?;
    let vmconf::Compiled {
        vm,
        mut blob,
        warnings: found,
    } = compiled;
    match warnings {
        Warnings::Refused if !found.is_empty() => return Err(render(&found.strict())),
        Warnings::Told | Warnings::Refused => say(&render(&found)),
    }
    let wrong = |error| format!("error: the compiled form of {name} is wrong: {error}\n");
    note_image(&mut blob, &image_read).map_err(wrong)?;
    let config = VmConfig::parse(&blob).map_err(wrong)?;
    let ram_bytes = config.ram().map(|ram| ram.len_bytes).sum();
    Ok(Compiled {
        number,
        vm,
        blob,
        image,
        image_read,
        ram_bytes,
    })
}
