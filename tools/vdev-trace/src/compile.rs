//! From a `vm.conf` to the blob that a VMM reads.

use std::convert::Infallible;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use vm_config::VmConfig;
use vmconf::Colour;

/// A compiled VM configuration and the image that belongs to it.
pub struct Compiled {
    /// What the VMM reads.
    pub blob: Vec<u8>,
    /// The guest's ELF file.
    pub image: PathBuf,
    /// Bytes of RAM of the VM.
    pub ram_bytes: u64,
}

impl Compiled {
    /// Writes the blob to `vm.blob` in a folder, which is made if need be.
    ///
    /// # Errors
    ///
    /// What could not be written, and why.
    pub fn write_to(&self, folder: &Path) -> Result<PathBuf, String> {
        let blob = folder.join("vm.blob");
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&blob, &self.blob))
            .map_err(|error| format!("cannot write {}: {error}", blob.display()))?;
        Ok(blob)
    }
}

/// The compiled form of the configuration at `path`, for its names alone: no image is looked
/// for. A file that [`Compiled::write_to`] wrote is taken as it is.
///
/// # Errors
///
/// As for [`compile`].
pub fn names(path: &Path) -> Result<Vec<u8>, String> {
    let (name, bytes) = read(path)?;
    if VmConfig::parse(&bytes).is_ok() {
        return Ok(bytes);
    }
    vmconf::decode(&name, &bytes)
        .and_then(|text| vmconf::compile(&name, text, |_| Ok::<u64, Infallible>(1)))
        .map_err(|diagnostics| diagnostics.render(colour()))
}

fn read(path: &Path) -> Result<(String, Vec<u8>), String> {
    let name = path.display().to_string();
    let bytes =
        std::fs::read(path).map_err(|error| format!("error: cannot read {name}: {error}\n"))?;
    Ok((name, bytes))
}

fn colour() -> Colour {
    if std::io::stderr().is_terminal() {
        Colour::Always
    } else {
        Colour::Never
    }
}

/// Checks the configuration at `path` and compiles it; `load NAME` names a file in `images`.
///
/// # Errors
///
/// The diagnostics as a text to print, coloured if standard error is a terminal.
pub fn compile(path: &Path, images: &Path) -> Result<Compiled, String> {
    let (name, bytes) = read(path)?;
    let blob = vmconf::decode(&name, &bytes)
        .and_then(|text| {
            vmconf::compile(&name, text, |load| {
                let path = images.join(load);
                std::fs::metadata(&path)
                    .map(|metadata| metadata.len())
                    .map_err(|error| format!("{}: {error}", path.display()))
            })
        })
        .map_err(|diagnostics| diagnostics.render(colour()))?;
    let config = VmConfig::parse(&blob)
        .map_err(|error| format!("error: the compiled form of {name} is wrong: {error}\n"))?;
    let image = images.join(config.load_name());
    let ram_bytes = config.ram().map(|ram| ram.len_bytes).sum();
    Ok(Compiled {
        blob,
        image,
        ram_bytes,
    })
}
