//! Writes a blob. Called by the configuration compiler on the host, and by tests that need a
//! VM.
//!
//! Invariant: what it returns has been read back, so the reader's rules are written once.

use zerocopy::little_endian::U64;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

use crate::error::{ConfigError, TextField};
use crate::layout::{
    BLOB_LEN_BYTES, Blob, CRC_32, DeviceFlags, KIND_PL011, KIND_SER8250, KIND_TRACE, MAGIC,
    MAX_DEVICES, MAX_RAM_RANGES, RawDevice, RawRam, Text, VERSION,
};
use crate::model::{Action, Device, DeviceKind, RamRange, SeverityMask, Unsupported};
use crate::read::{VmConfig, checksum};

/// What to write: the same things that [`VmConfig`] gives back.
#[derive(Clone, Copy, Debug)]
pub struct Contents<'a> {
    /// See [`VmConfig::vm`].
    pub vm: u8,
    /// See [`VmConfig::name`].
    pub name: &'a str,
    /// See [`VmConfig::load_name`].
    pub load_name: &'a str,
    /// See [`VmConfig::image_len_bytes`].
    pub image_len_bytes: u32,
    /// See [`VmConfig::cmdline`].
    pub cmdline: &'a str,
    /// See [`VmConfig::logger`].
    pub logger: SeverityMask,
    /// See [`VmConfig::unsupported`].
    pub unsupported: Unsupported,
    /// See [`VmConfig::ram`].
    pub ram: &'a [RamRange],
    /// See [`VmConfig::devices`].
    pub devices: &'a [Device<'a>],
}

/// The blob of a VM with one vCPU and these contents.
///
/// # Errors
///
/// What [`VmConfig::parse`] would say of it, or a count or length that does not fit.
pub fn encode(contents: &Contents<'_>) -> Result<[u8; BLOB_LEN_BYTES], ConfigError> {
    let mut blob = Blob::new_zeroed();
    blob.magic = MAGIC;
    blob.version = VERSION.into();
    blob.len_bytes = (BLOB_LEN_BYTES as u16).into();
    blob.image_len_bytes = contents.image_len_bytes.into();
    blob.vm = contents.vm;
    blob.cpus = 1;
    blob.logger = contents.logger.bits();
    blob.unsupported_instruction = action_number(contents.unsupported.instruction);
    blob.unsupported_reference = action_number(contents.unsupported.reference);
    blob.unsupported_register = action_number(contents.unsupported.register);
    write_text(TextField::System, contents.name, &mut blob.name)?;
    write_text(TextField::Load, contents.load_name, &mut blob.load)?;
    blob.cmdline_len = fill(TextField::Cmdline, contents.cmdline, &mut blob.cmdline)?.into();

    let ram = contents.ram;
    blob.ram_count = count(ram.len(), MAX_RAM_RANGES).ok_or(ConfigError::RamCount(ram.len()))?;
    for (raw, range) in blob.ram.iter_mut().zip(ram) {
        *raw = RawRam {
            base: range.base.into(),
            len_bytes: range.len_bytes.into(),
        };
    }
    let devices = contents.devices;
    blob.device_count =
        count(devices.len(), MAX_DEVICES).ok_or(ConfigError::DeviceCount(devices.len()))?;
    for (raw, device) in blob.devices.iter_mut().zip(devices) {
        write_device(device, raw)?;
    }
    blob.crc32 = checksum(&blob).into();

    let mut bytes = [0; BLOB_LEN_BYTES];
    bytes.copy_from_slice(blob.as_bytes());
    VmConfig::parse(&bytes)?;
    Ok(bytes)
}

/// Notes in a blob which image the VM loads, for whoever has to know it again.
///
/// # Errors
///
/// What [`VmConfig::parse`] says of the blob, and that the image is of another length.
pub fn note_image(blob: &mut [u8], image: &[u8]) -> Result<(), ConfigError> {
    let wanted = VmConfig::parse(blob)?.image_len_bytes() as usize;
    if image.len() != wanted {
        let len_bytes = u32::try_from(image.len()).unwrap_or(u32::MAX);
        return Err(ConfigError::ImageLength(len_bytes));
    }
    let len_bytes = blob.len();
    let (blob, _) = Blob::mut_from_prefix(blob).map_err(|_| ConfigError::TooShort {
        len_bytes,
        needed: BLOB_LEN_BYTES,
    })?;
    blob.image_crc32 = image_crc32(image).into();
    blob.crc32 = checksum(blob).into();
    Ok(())
}

/// The checksum of an image, as [`VmConfig::image_crc32`] has it.
pub fn image_crc32(image: &[u8]) -> u32 {
    CRC_32.checksum(image)
}

fn count(count: usize, most: usize) -> Option<u8> {
    u8::try_from(count).ok().filter(|_| count <= most)
}

fn action_number(action: Action) -> u8 {
    match action {
        Action::Ignore => 0,
        Action::Fail => 1,
        Action::Abort => 2,
    }
}

fn write_device(device: &Device<'_>, raw: &mut RawDevice) -> Result<(), ConfigError> {
    let mut flags = DeviceFlags::empty();
    raw.loc = U64::new(device.loc);
    raw.len_bytes = U64::new(device.len_bytes());
    match device.kind {
        DeviceKind::Trace(trace) => {
            raw.kind = KIND_TRACE;
            flags.set(DeviceFlags::EMIT_LOGGER, trace.emit_logger);
            if let Some(number) = trace.emit_trace {
                flags |= DeviceFlags::EMIT_TRACE;
                raw.trace_number = number.get().into();
            }
        }
        DeviceKind::Pl011 => raw.kind = KIND_PL011,
        DeviceKind::Ser8250 => raw.kind = KIND_SER8250,
    }
    if let Some(severities) = device.severities {
        flags |= DeviceFlags::OWN_SEVERITIES;
        raw.severities = severities.bits();
    }
    raw.flags = flags.bits();
    write_text(TextField::DeviceName, device.name, &mut raw.name)
}

fn write_text<const N: usize>(
    field: TextField,
    from: &str,
    to: &mut Text<N>,
) -> Result<(), ConfigError> {
    let len_bytes = usize::from(fill(field, from, &mut to.bytes)?);
    to.len = count(len_bytes, N).ok_or(ConfigError::TextLength { field, len_bytes })?;
    Ok(())
}

/// Copies `from` to the start of `to` and returns its length in bytes.
fn fill(field: TextField, from: &str, to: &mut [u8]) -> Result<u16, ConfigError> {
    let too_long = ConfigError::TextLength {
        field,
        len_bytes: from.len(),
    };
    to.get_mut(..from.len())
        .ok_or(too_long)?
        .copy_from_slice(from.as_bytes());
    u16::try_from(from.len()).map_err(|_| too_long)
}
