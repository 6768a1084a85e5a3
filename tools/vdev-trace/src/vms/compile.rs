//! From a `vm.conf`, or several, to the blobs that the VMMs read.

use crate::input::source::MAX_TEXT_BYTES;
use crate::tell::say;
use crate::visible;
use anstream::{AutoStream, ColorChoice};
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use vm_config::{ConfigError, MAX_VMS, VmConfig};
use vmconf::images::{Images, LoadedFile};
use vmconf::{Colour, Diagnostic, Diagnostics, LaidOut, Vm};

/// A compiled VM configuration and the images that belong to it.
pub struct Compiled {
    /// The VM's number in its system.
    pub number: u8,
    /// The configuration, with the places of everything in its text.
    pub vm: Vm,
    /// What the VMM reads.
    pub blob: Vec<u8>,
    /// The files that it names, in its order.
    pub files: Vec<LoadedFile>,
    /// What of them goes into RAM, where the blob says that it is: what the VMM copies.
    pub image_region: Vec<u8>,
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

/// The name of a VM's ELF file where it lies beside its blob.
pub(crate) fn elf_of_vm(number: u8) -> String {
    file_of_vm(number, "guest", "elf")
}

impl Compiled {
    /// The device tree that the guest is given, if it is given one.
    pub fn device_tree(&self) -> Option<&[u8]> {
        let config = VmConfig::parse(&self.blob).ok()?;
        let address = config.device_tree()?;
        let mut pieces = config.pieces();
        let piece = pieces.find(|piece| piece.address == address)?;
        let (start, end) = (piece.offset.try_into().ok()?, piece.end().try_into().ok()?);
        self.image_region.get::<Range<usize>>(start..end)
    }

    /// Writes the blob and the image region to a folder, which is made if need be: what a machine boots.
    /// The first ELF file is put beside them: what its trace is later read with.
    ///
    /// # Errors
    ///
    /// What could not be written, and why.
    pub fn write_to(&self, folder: &Path) -> Result<Written, String> {
        let written = Written {
            blob: folder.join(file_of_vm(self.number, "vm", "blob")),
            image_region: folder.join(file_of_vm(self.number, "guest", "image")),
        };
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("cannot make {}: {error}", visible::path(folder)))?;
        let write = |path: &Path, bytes: &[u8]| {
            std::fs::write(path, bytes)
                .map_err(|error| format!("cannot write {}: {error}", visible::path(path)))
        };
        write(&written.blob, &self.blob)?;
        write(&written.image_region, &self.image_region)?;
        let elf_place = folder.join(elf_of_vm(self.number));
        match self.files.iter().find(|file| file.is_elf()) {
            Some(elf) => write(&elf_place, &elf.bytes)?,
            // Another run's would be taken for this one's.
            None if elf_place.exists() => std::fs::remove_file(&elf_place)
                .map_err(|error| format!("cannot remove {}: {error}", visible::path(&elf_place)))?,
            None => {}
        }
        Ok(written)
    }
}

/// What [`Compiled::write_to`] wrote for the machine.
pub struct Written {
    /// The compiled configuration.
    pub blob: PathBuf,
    /// The bytes of the guest's images.
    pub image_region: PathBuf,
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
    match of_compiled(&bytes) {
        Some(Ok(_)) => return Ok(Named::Compiled(bytes)),
        Some(Err(error)) => return Err(format!("error: {name}: {error}\n")),
        None => {}
    }
    vmconf::decode(&name, &bytes)
        .and_then(|text| {
            vmconf::compile(&name, 0, text, |loads, vm| Ok(LaidOut::unseen(loads, vm)))
        })
        .map(|compiled| Named::Text(compiled.blob))
        .map_err(|diagnostics| render(&diagnostics))
}

/// What there is to say of these bytes if they are a compiled configuration and no text: which VM it
/// is of, or why it cannot be read.
pub fn of_compiled(bytes: &[u8]) -> Option<Result<String, ConfigError>> {
    match VmConfig::parse(bytes) {
        Ok(config) => Some(Ok(config.name().to_owned())),
        Err(ConfigError::Magic(_) | ConfigError::TooShort { .. }) => None,
        Err(error) => Some(Err(error)),
    }
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
    if of_compiled(bytes).is_some() {
        return Err(format!(
            "error: {name} is a compiled configuration already; its text is wanted\n"
        ));
    }
    let (mut files, mut image_region) = (Vec::new(), Vec::new());
    let compiled = vmconf::decode(&name, bytes)
        .and_then(|text| {
            vmconf::compile(&name, number, text, |loads, vm| {
                let (mut read, mut missing) = (Vec::new(), Vec::new());
                for load in loads {
                    match images.read(load, path) {
                        Ok(file) => read.push((load, file)),
                        Err(errors) => missing.extend(errors),
                    }
                }
                // Of those that are there is told what is wrong, as far as the others do not matter.
                let vm = vm.filter(|_| missing.is_empty());
                let contents: Vec<_> = read
                    .iter()
                    .map(|(load, file)| (*load, &file.bytes[..]))
                    .collect();
                let laid_out = images.lay_out(&contents, vm);
                match (laid_out, missing.is_empty()) {
                    (Ok((laid_out, region)), true) => {
                        files = read.into_iter().map(|(_, file)| file).collect();
                        image_region = region;
                        Ok(laid_out)
                    }
                    (Ok(_), false) => Err(missing),
                    (Err(errors), _) => Err(missing.into_iter().chain(errors).collect()),
                }
            })
        })
        .map_err(|diagnostics| render(&diagnostics))?;
    let vmconf::Compiled {
        vm,
        blob,
        warnings: found,
    } = compiled;
    match warnings {
        Warnings::Refused if !found.is_empty() => return Err(render(&found.strict())),
        Warnings::Told | Warnings::Refused => say(&render(&found)),
    }
    let wrong = |error| format!("error: the compiled form of {name} is wrong: {error}\n");
    let config = VmConfig::parse(&blob).map_err(wrong)?;
    let ram_bytes = config.ram().map(|ram| ram.len_bytes).sum();
    Ok(Compiled {
        number,
        vm,
        blob,
        files,
        image_region,
        ram_bytes,
    })
}
