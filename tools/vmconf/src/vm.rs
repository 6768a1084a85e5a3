//! The configuration of one VM, parsed and checked, with the place of everything. What the
//! compiler encodes, and what other tools look at: the one that compares it with
//! `system.xml`, `vdev-trace check`.
//!
//! Invariant: made by the checks only; [`Vm::encode`] with an image of 1 byte or more and the
//! number that a VM can have cannot fail.

use vm_config::{
    ConfigError, Contents, Device, DeviceKind, RamRange, SeverityMask, Unsupported, encode,
};

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
    /// The name of the image.
    pub load: Spanned<String>,
    /// The guest's command line, if there is one.
    pub cmdline: Option<Spanned<String>>,
    /// The severities that are logged.
    pub logger: SeverityMask,
    /// What happens when the guest does something unsupported.
    pub unsupported: Unsupported,
    /// Its devices, at most [`vm_config::MAX_DEVICES`], in the order of the text.
    pub devices: Vec<VmDevice>,
}

/// One device of a VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmDevice {
    /// The words `vdev` and its type.
    pub span: Span,
    /// Its name; with the place of `vdev` if the text gives none.
    pub name: Spanned<String>,
    /// Guest-physical address of its first byte.
    pub loc: Spanned<u64>,
    /// The severities of its own, if the text has a `log` for it.
    pub severities: Option<SeverityMask>,
    /// Which device, with its options.
    pub kind: DeviceKind,
}

impl Vm {
    /// The blob of this VM as number `vm` of its system, with an image of `image_len_bytes`
    /// bytes.
    ///
    /// # Errors
    ///
    /// [`ConfigError::ImageLength`] if the length is 0, [`ConfigError::VmNumber`] if a system
    /// has no such number.
    pub fn encode(&self, vm: u8, image_len_bytes: u32) -> Result<Vec<u8>, ConfigError> {
        let ram: Vec<RamRange> = self.ram.iter().map(|range| range.value).collect();
        let devices: Vec<Device<'_>> = self.devices.iter().map(VmDevice::device).collect();
        let blob = encode(&Contents {
            vm,
            name: &self.system.value,
            load_name: &self.load.value,
            image_len_bytes,
            cmdline: self.cmdline.as_ref().map_or("", |cmdline| &cmdline.value),
            logger: self.logger,
            unsupported: self.unsupported,
            ram: &ram,
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
            loc: self.loc.value,
            severities: self.severities,
            kind: self.kind,
        }
    }
}
