//! The configuration of one VM, parsed and checked, with the place of everything. What the
//! compiler encodes, and what other tools look at: the one that compares it with
//! `system.xml`, `vdev-trace check`.
//!
//! Invariant: made by the checks only; [`Vm::encode`] with images that were laid out for its RAM and the
//! number that a VM can have cannot fail.

use vm_config::{
    AddressSpace, ConfigError, Contents, Device, Emit, Image, Options, Piece, RamRange, RomRange,
    SeverityMask, Unsupported, Vdev, encode,
};

use crate::diagnostics::Diagnostic;
use crate::source::{Source, Span, Spanned};

/// One VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vm {
    /// The text it was made from, for diagnostics that show a place in it.
    pub source: Source,
    /// Its name.
    pub system: Spanned<String>,
    /// Its RAM, 1 to [`vm_config::MAX_RAM_RANGES`] ranges in the order of the text.
    pub ram: Vec<Spanned<RamRange>>,
    /// Its ROM, at most [`vm_config::MAX_ROM_RANGES`] ranges in the order of the text.
    pub rom: Vec<Spanned<RomRange>>,
    /// The files for its RAM, 1 to [`vm_config::MAX_IMAGES`]: the images in the order of the text, in the first of
    /// which the guest starts, then the initrd, then the device tree.
    pub loads: Vec<Spanned<Load>>,
    /// Where the device tree is to be that is made from this configuration, if the text asks for one. `None` in it
    /// leaves the place open.
    pub made_device_tree: Option<Spanned<Option<u64>>>,
    /// The guest's command line, if there is one.
    pub cmdline: Option<Spanned<String>>,
    /// The severities that are logged.
    pub logger: SeverityMask,
    /// What happens when the guest does something unsupported.
    pub unsupported: Unsupported,
    /// Its devices, at most [`vm_config::MAX_DEVICES`], in the order of the text.
    pub devices: Vec<VmDevice>,
}

/// A file for the guest's RAM: one `load`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// What it is to the guest.
    pub content: Content,
    /// The guest-physical address of its first byte, if the text gives one: all of the file goes there. If
    /// not, an image says itself where it goes, and for the rest a place is chosen.
    pub address: Option<u64>,
    /// The name of the file.
    pub name: String,
}

/// What a file is to the guest (*QNX Hypervisor User's Guide*, "load"). In this order they are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Content {
    /// A program, or whatever the guest finds by itself: `load`.
    Image,
    /// What Linux unpacks as its first file system: `initrd load`.
    Initrd,
    /// The description of the machine: `fdt load`.
    DeviceTree,
}

/// The images of a VM, laid out for its RAM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaidOut {
    /// ELF's number (`e_machine`) of the CPU that they are for, if one of them tells.
    pub machine: Option<u16>,
    /// Each file's length in bytes and its CRC-32, in the order of the `load`s.
    pub files: Vec<(u32, Option<u32>)>,
    /// What goes where.
    pub pieces: Vec<Piece>,
    /// Where the guest starts.
    pub entry: u64,
    /// The guest-physical address of the device tree that it is given, if it is given one.
    pub device_tree: Option<u64>,
    /// What of the configuration will disappoint these images.
    pub warnings: Vec<Diagnostic>,
}

impl LaidOut {
    /// Images that nobody has looked at, for a configuration that is read for its names alone: a byte
    /// for each.
    pub fn unseen(loads: &[Spanned<Load>], vm: Option<&Vm>) -> Self {
        let base = vm.and_then(|vm| vm.ram.first());
        let address = base.map_or(0, |ram| ram.value.base);
        Self {
            machine: None,
            files: loads.iter().map(|_| (1, None)).collect(),
            pieces: vec![Piece {
                address,
                len_bytes: 1,
                offset: 0,
            }],
            entry: address,
            device_tree: None,
            warnings: Vec::new(),
        }
    }
}

/// One device of a VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmDevice {
    /// The words `vdev` and its type.
    pub span: Span,
    /// Its name; with the place of `vdev` if the text gives none.
    pub name: Spanned<String>,
    /// Which device it is.
    pub vdev: Vdev,
    /// What its address is an address in.
    pub space: AddressSpace,
    /// Its first address.
    pub loc: Spanned<u64>,
    /// The severities of its own, if the text has a `log` for it.
    pub severities: Option<SeverityMask>,
    /// Where its accesses are told.
    pub emit: Emit,
    /// The options that only its kind has.
    pub options: Options,
    /// The interrupt that one of them says.
    pub interrupt: Option<Spanned<u64>>,
}

impl Vm {
    /// The blob of this VM as number `vm` of its system, with these images.
    ///
    /// # Errors
    ///
    /// What [`vm_config::VmConfig::parse`] says of the images, and [`ConfigError::VmNumber`] if a system
    /// has no such number.
    pub fn encode(&self, vm: u8, images: &LaidOut) -> Result<Vec<u8>, ConfigError> {
        let ram: Vec<RamRange> = self.ram.iter().map(|range| range.value).collect();
        let rom: Vec<RomRange> = self.rom.iter().map(|range| range.value).collect();
        let devices: Vec<Device<'_>> = self.devices.iter().map(VmDevice::device).collect();
        let files = self.loads.iter().zip(&images.files);
        let files: Vec<Image<'_>> = files
            .map(|(load, &(len_bytes, crc32))| Image {
                name: &load.value.name,
                len_bytes,
                crc32,
            })
            .collect();
        let blob = encode(&Contents {
            vm,
            name: &self.system.value,
            machine: images.machine,
            images: &files,
            pieces: &images.pieces,
            entry: images.entry,
            device_tree: images.device_tree,
            cmdline: self.cmdline.as_ref().map_or("", |cmdline| &cmdline.value),
            logger: self.logger,
            unsupported: self.unsupported,
            ram: &ram,
            rom: &rom,
            devices: &devices,
        })?;
        Ok(blob.to_vec())
    }
}

impl VmDevice {
    /// The device as the blob has it.
    pub fn device(&self) -> Device<'_> {
        Device {
            name: &self.name.value,
            vdev: self.vdev,
            space: self.space,
            loc: self.loc.value,
            severities: self.severities,
            emit: self.emit,
            options: self.options,
        }
    }
}
