//! Writes a blob. Called by the configuration compiler on the host, and by tests that need a
//! VM.
//!
//! Invariant: what it returns has been read back, so the reader's rules are written once.

use vdev_model::{AddressSpace, OptionKind};
use zerocopy::{FromZeros, IntoBytes};

use crate::error::{ConfigError, TextField};
use crate::layout::{
    BLOB_LEN_BYTES, Blob, CRC_32, DeviceFlags, MAGIC, MAX_DEVICES, MAX_IMAGES, MAX_PIECES,
    MAX_RAM_RANGES, MAX_ROM_RANGES, NOT_GIVEN, RawDevice, RawOption, RawPiece, RawRange, Text,
    VERSION, type_number,
};
use crate::model::{
    Action, Device, Image, Piece, RamRange, RomRange, SeverityMask, TraceNumber, Unsupported,
};
use crate::read::{VmConfig, checksum};

/// What to write: the same things that [`VmConfig`] gives back.
#[derive(Clone, Copy, Debug)]
pub struct Contents<'a> {
    /// See [`VmConfig::vm`].
    pub vm: u8,
    /// See [`VmConfig::name`].
    pub name: &'a str,
    /// See [`VmConfig::machine`].
    pub machine: Option<u16>,
    /// See [`VmConfig::images`].
    pub images: &'a [Image<'a>],
    /// See [`VmConfig::pieces`].
    pub pieces: &'a [Piece],
    /// See [`VmConfig::entry`].
    pub entry: u64,
    /// See [`VmConfig::device_tree`].
    pub device_tree: Option<u64>,
    /// See [`VmConfig::cmdline`].
    pub cmdline: &'a str,
    /// See [`VmConfig::logger`].
    pub logger: SeverityMask,
    /// See [`VmConfig::unsupported`].
    pub unsupported: Unsupported,
    /// See [`VmConfig::ram`].
    pub ram: &'a [RamRange],
    /// See [`VmConfig::rom`].
    pub rom: &'a [RomRange],
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
    blob.start.magic = MAGIC;
    blob.start.version = VERSION.into();
    blob.start.len_bytes = (BLOB_LEN_BYTES as u16).into();
    blob.machine = contents.machine.unwrap_or(0).into();
    blob.entry = contents.entry.into();
    blob.device_tree = contents.device_tree.unwrap_or(0).into();
    blob.vm = contents.vm;
    blob.cpus = 1;
    blob.logger = contents.logger.bits();
    blob.unsupported_instruction = action_number(contents.unsupported.instruction);
    blob.unsupported_reference = action_number(contents.unsupported.reference);
    blob.unsupported_register = action_number(contents.unsupported.register);
    write_text(TextField::System, contents.name, &mut blob.name)?;
    blob.cmdline_len = fill(TextField::Cmdline, contents.cmdline, &mut blob.cmdline)?.into();

    let ram = contents.ram;
    blob.ram_count = count(ram.len(), MAX_RAM_RANGES).ok_or(ConfigError::RamCount(ram.len()))?;
    for (raw, range) in blob.ram.iter_mut().zip(ram) {
        *raw = RawRange {
            base: range.base.into(),
            len_bytes: range.len_bytes.into(),
        };
    }
    let rom = contents.rom;
    count(rom.len(), MAX_ROM_RANGES).ok_or(ConfigError::RomCount(rom.len()))?;
    for (raw, range) in blob.rom.iter_mut().zip(rom) {
        *raw = RawRange {
            base: range.base.into(),
            len_bytes: range.len_bytes.into(),
        };
    }
    let images = contents.images;
    let images_count = count(images.len(), MAX_IMAGES);
    blob.image_count = images_count.ok_or(ConfigError::ImageCount(images.len()))?;
    for (raw, image) in blob.images.iter_mut().zip(images) {
        raw.len_bytes = image.len_bytes.into();
        raw.crc32 = image.crc32.unwrap_or(0).into();
        write_text(TextField::Load, image.name, &mut raw.name)?;
    }
    let pieces = contents.pieces;
    let pieces_count = count(pieces.len(), MAX_PIECES);
    blob.piece_count = pieces_count.ok_or(ConfigError::PieceCount(pieces.len()))?;
    for (raw, piece) in blob.pieces.iter_mut().zip(pieces) {
        *raw = RawPiece {
            address: piece.address.into(),
            len_bytes: piece.len_bytes.into(),
            offset: piece.offset.into(),
        };
    }
    let devices = contents.devices;
    blob.device_count =
        count(devices.len(), MAX_DEVICES).ok_or(ConfigError::DeviceCount(devices.len()))?;
    for (raw, device) in blob.devices.iter_mut().zip(devices) {
        write_device(device, raw)?;
    }
    blob.start.crc32 = checksum(&blob).into();

    let mut bytes = [0; BLOB_LEN_BYTES];
    bytes.copy_from_slice(blob.as_bytes());
    VmConfig::parse(&bytes)?;
    Ok(bytes)
}

/// The checksum of an image, as [`Image::crc32`] has it.
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
    flags.set(DeviceFlags::OWN_SEVERITIES, device.severities.is_some());
    flags.set(DeviceFlags::EMIT_LOGGER, device.emit.logger);
    flags.set(DeviceFlags::EMIT_TRACE, device.emit.trace.is_some());
    flags.set(DeviceFlags::PORTS, device.space == AddressSpace::Ports);
    raw.flags = flags.bits();
    raw.loc = device.loc.into();
    raw.len_bytes = device.len_bytes().into();
    raw.severities = device.severities.map_or(0, |severities| severities.bits());
    raw.trace_number = device.emit.trace.map_or(0, TraceNumber::get).into();
    let kind = device.kind();
    for (index, raw) in raw.options.iter_mut().enumerate() {
        *raw = option(kind.options.get(index), device.options.get(index));
    }
    write_text(TextField::DeviceKind, kind.name, &mut raw.kind)?;
    write_text(TextField::DeviceName, device.name, &mut raw.name)
}

fn option(known: Option<&OptionKind>, value: Option<u64>) -> RawOption {
    // What is no option of the kind is for the reader to refuse.
    const UNKNOWN: u8 = u8::MAX;
    RawOption {
        type_number: match value {
            None => NOT_GIVEN,
            Some(_) => known.map_or(UNKNOWN, |known| type_number(known.is)),
        },
        unused: [0; 7],
        value: value.unwrap_or_default().into(),
    }
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
