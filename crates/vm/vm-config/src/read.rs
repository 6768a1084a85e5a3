//! Reads a blob in place. Called once at start by every component that needs the
//! configuration, and by the encoder to check its own work.
//!
//! Invariant: every byte is a claim until the checksum and the rules on the crate's page have
//! been checked; only then is there a [`VmConfig`].

use core::fmt;
use vdev_model::{AddressSpace, AnyVdev, Kind, Options};
use vdevs::Vdev;
use zerocopy::{FromBytes, IntoBytes};

use crate::error::{ConfigError, TextField};
use crate::layout::{
    BLOB_LEN_BYTES, Blob, CHECKSUMMED_FROM, CRC_32, DeviceFlags, MAGIC, MAX_DEVICES, MAX_IMAGES,
    MAX_PIECES, MAX_RAM_RANGES, MAX_VMS, NOT_GIVEN, RawDevice, RawImage, RawPiece, RawRange, Start,
    Text, VERSION, type_number,
};
use crate::model::{
    Action, Device, Emit, Image, MAX_ROM_LEN_BYTES, PAGE_LEN_BYTES, Piece, RamRange, RomRange,
    SeverityMask, TraceNumber, Unsupported,
};

/// A VM configuration that has been checked: the blob, from which everything is read when it is asked
/// for.
#[derive(Clone, Copy)]
pub struct VmConfig<'a> {
    blob: &'a Blob,
    name: &'a str,
    cmdline: &'a str,
    logger: SeverityMask,
    unsupported: Unsupported,
}

impl PartialEq for VmConfig<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.blob.as_bytes() == other.blob.as_bytes()
    }
}

impl Eq for VmConfig<'_> {}

impl fmt::Debug for VmConfig<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VmConfig")
            .field("vm", &self.vm())
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<'a> VmConfig<'a> {
    /// Reads the blob at the start of `bytes`; what follows it is ignored, so that a whole
    /// memory region can be passed.
    ///
    /// # Errors
    ///
    /// The first [`ConfigError`] that the bytes give reason for; no bytes make it panic.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ConfigError> {
        let blob = Self::blob(bytes)?;
        check_sum(blob)?;
        Self::read(blob)
    }

    /// As [`Self::parse`], of bytes that it has read before and that nobody can have written since: the
    /// checksum, which costs ten times as much as the rest, is right.
    ///
    /// # Errors
    ///
    /// As [`Self::parse`], but for the checksum.
    pub fn parse_again(bytes: &'a [u8]) -> Result<Self, ConfigError> {
        Self::read(Self::blob(bytes)?)
    }

    fn blob(bytes: &'a [u8]) -> Result<&'a Blob, ConfigError> {
        let too_short = ConfigError::TooShort {
            len_bytes: bytes.len(),
            needed: BLOB_LEN_BYTES,
        };
        // First: one of another version has another length.
        let (start, _) = Start::ref_from_prefix(bytes).map_err(|_| too_short)?;
        check_version(start)?;
        let (blob, _) = Blob::ref_from_prefix(bytes).map_err(|_| too_short)?;
        match usize::from(blob.start.len_bytes.get()) {
            BLOB_LEN_BYTES => Ok(blob),
            _ => Err(ConfigError::Length(blob.start.len_bytes.get())),
        }
    }

    fn read(blob: &'a Blob) -> Result<Self, ConfigError> {
        if usize::from(blob.vm) >= MAX_VMS {
            return Err(ConfigError::VmNumber(blob.vm));
        }
        if blob.cpus != 1 {
            return Err(ConfigError::Cpus(blob.cpus));
        }
        check_counts(blob)?;
        let config = Self {
            blob,
            name: name(TextField::System, &blob.name)?,
            cmdline: text(TextField::Cmdline, cmdline_bytes(blob)?)?,
            logger: severities(blob.logger)?,
            unsupported: Unsupported {
                instruction: action(blob.unsupported_instruction)?,
                reference: action(blob.unsupported_reference)?,
                register: action(blob.unsupported_register)?,
            },
        };
        // What `ram`, `images` and `devices` leave out if it is wrong.
        for raw in config.raw_ram() {
            ram_range(raw)?;
        }
        for raw in &blob.rom {
            rom_range(raw)?;
        }
        for raw in config.raw_images() {
            image(raw)?;
        }
        for (index, raw) in config.raw_devices().iter().enumerate() {
            device(raw, index)?;
        }
        config.check_places()?;
        config.check_pieces()?;
        config.check_names()?;
        Ok(config)
    }

    /// The number of the VM in its system, 0 to [`MAX_VMS`] - 1: in the order of the names of
    /// the files that describe them.
    pub fn vm(&self) -> u8 {
        self.blob.vm
    }

    /// The name of the VM (`system`): 1 to 31 bytes of printable ASCII without blanks.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// How many vCPUs it has: always 1 in this version.
    pub fn cpus(&self) -> u8 {
        self.blob.cpus
    }

    /// ELF's number (`e_machine`) of the CPU that the images are for, if one of them tells.
    pub fn machine(&self) -> Option<u16> {
        Some(self.blob.machine.get()).filter(|machine| *machine != 0)
    }

    /// The files that `load` names, 1 to [`MAX_IMAGES`], in the order of the configuration.
    pub fn images(&self) -> impl Iterator<Item = Image<'a>> + use<'a> {
        self.raw_images().iter().flat_map(image)
    }

    /// What of the images goes where in RAM, at most [`MAX_PIECES`] pieces, no two of which have a byte in
    /// common.
    pub fn pieces(&self) -> impl Iterator<Item = Piece> + use<'a> {
        self.raw_pieces().iter().map(piece)
    }

    /// How many bytes the VM's image region has, which holds the bytes of all pieces; the loader's may
    /// be longer. At most 4 GiB.
    pub fn image_region_len_bytes(&self) -> u64 {
        self.pieces().map(|piece| piece.end()).max().unwrap_or(0)
    }

    /// The guest-physical address at which the guest starts, in its RAM.
    pub fn entry(&self) -> u64 {
        self.blob.entry.get()
    }

    /// The guest-physical address of the device tree, if the guest is given one instead of its command line:
    /// where one of the pieces begins.
    pub fn device_tree(&self) -> Option<u64> {
        Some(self.blob.device_tree.get()).filter(|address| *address != 0)
    }

    /// The guest's command line, up to 1023 bytes of printable ASCII; empty if there is none.
    pub fn cmdline(&self) -> &'a str {
        self.cmdline
    }

    /// The severities that are logged for this VM.
    pub fn logger(&self) -> SeverityMask {
        self.logger
    }

    /// The severities that are logged for `device`: its own where it has some, else the VM's.
    pub fn logger_of(&self, device: &Device<'_>) -> SeverityMask {
        device.severities.unwrap_or(self.logger)
    }

    /// What happens when the guest does something unsupported.
    pub fn unsupported(&self) -> Unsupported {
        self.unsupported
    }

    /// The ranges of RAM, 1 to [`MAX_RAM_RANGES`], in the order of the configuration.
    pub fn ram(&self) -> impl Iterator<Item = RamRange> + use<'a> {
        self.raw_ram().iter().flat_map(ram_range)
    }

    /// The ranges of ROM, at most [`MAX_ROM_RANGES`](crate::MAX_ROM_RANGES), in the order of the configuration.
    pub fn rom(&self) -> impl Iterator<Item = RomRange> + use<'a> {
        self.blob.rom.iter().filter_map(|raw| rom_range(raw).ok()?)
    }

    /// The devices, at most [`MAX_DEVICES`], in the order of the configuration. The position
    /// is the device's instance number everywhere: on the bus, in records, in the state page.
    pub fn devices(&self) -> impl Iterator<Item = Device<'a>> + use<'a> {
        let devices = self.raw_devices().iter().enumerate();
        devices.flat_map(|(index, raw)| device(raw, index))
    }

    fn raw_ram(&self) -> &'a [RawRange] {
        used(&self.blob.ram, self.blob.ram_count)
    }

    fn raw_images(&self) -> &'a [RawImage] {
        used(&self.blob.images, self.blob.image_count)
    }

    fn raw_pieces(&self) -> &'a [RawPiece] {
        used(&self.blob.pieces, self.blob.piece_count)
    }

    fn raw_devices(&self) -> &'a [RawDevice] {
        used(&self.blob.devices, self.blob.device_count)
    }

    /// No two ranges of RAM or ROM or devices have a byte or port in common.
    fn check_places(&self) -> Result<(), ConfigError> {
        let places = || {
            let ram = self.ram();
            let ram = ram.map(|range| (AddressSpace::Memory, range.base, range.len_bytes));
            let rom = self.rom();
            let rom = rom.map(|range| (AddressSpace::Memory, range.base, range.len_bytes));
            let devices = self.devices();
            ram.chain(rom)
                .chain(devices.map(|it| (it.space, it.loc, it.len_bytes())))
        };
        for (index, (space, second, second_len)) in places().enumerate() {
            for (other_space, first, first_len) in places().take(index) {
                // Each end was checked against its space's limit, so the sums do not wrap.
                if space == other_space && first < second + second_len && second < first + first_len
                {
                    return Err(ConfigError::Overlap { first, second });
                }
            }
        }
        Ok(())
    }

    /// Each piece lies in one range of RAM and no two have a byte in common; the guest starts in RAM and finds
    /// its device tree, if there is one.
    fn check_pieces(&self) -> Result<(), ConfigError> {
        /// No image region is longer.
        const MOST: u64 = 1 << 32;
        let is_ram = |address: u64, len_bytes: u64| {
            self.ram().any(|ram| {
                let offset = address.checked_sub(ram.base);
                let rest = offset.and_then(|offset| ram.len_bytes.checked_sub(offset));
                rest.is_some_and(|rest| len_bytes <= rest)
            })
        };
        for (index, second) in self.pieces().enumerate() {
            let Piece {
                address,
                len_bytes,
                offset,
            } = second;
            if len_bytes == 0 || !is_ram(address, len_bytes) {
                return Err(ConfigError::Piece { address, len_bytes });
            }
            if second.end() > MOST {
                return Err(ConfigError::PieceOffset { offset, len_bytes });
            }
            for first in self.pieces().take(index) {
                // They are in RAM, so the sums do not wrap.
                if first.address < address + len_bytes && address < first.address + first.len_bytes
                {
                    let (first, second) = (first.address, address);
                    return Err(ConfigError::Overlap { first, second });
                }
            }
        }
        if !is_ram(self.entry(), 1) {
            return Err(ConfigError::Entry(self.entry()));
        }
        match self.device_tree() {
            Some(at) if self.pieces().all(|piece| piece.address != at) => {
                Err(ConfigError::DeviceTree(at))
            }
            _ => Ok(()),
        }
    }

    fn check_names(&self) -> Result<(), ConfigError> {
        for (index, device) in self.devices().enumerate() {
            if self
                .devices()
                .take(index)
                .any(|other| other.name == device.name)
            {
                return Err(ConfigError::DuplicateName(index));
            }
        }
        Ok(())
    }
}

fn check_version(start: &Start) -> Result<(), ConfigError> {
    if start.magic != MAGIC {
        return Err(ConfigError::Magic(start.magic));
    }
    match start.version.get() {
        VERSION => Ok(()),
        other => Err(ConfigError::Version(other)),
    }
}

fn check_sum(blob: &Blob) -> Result<(), ConfigError> {
    let stored = blob.start.crc32.get();
    let computed = checksum(blob);
    if stored != computed {
        return Err(ConfigError::Checksum { stored, computed });
    }
    Ok(())
}

/// The checksum that belongs into the header of `blob`.
pub(crate) fn checksum(blob: &Blob) -> u32 {
    CRC_32.checksum(blob.as_bytes().get(CHECKSUMMED_FROM..).unwrap_or_default())
}

fn severities(bits: u8) -> Result<SeverityMask, ConfigError> {
    SeverityMask::from_bits(bits).ok_or(ConfigError::Severities(bits))
}

fn action(number: u8) -> Result<Action, ConfigError> {
    match number {
        0 => Ok(Action::Ignore),
        1 => Ok(Action::Fail),
        2 => Ok(Action::Abort),
        other => Err(ConfigError::Action(other)),
    }
}

fn check_counts(blob: &Blob) -> Result<(), ConfigError> {
    let in_range = |count: u8, most: usize, error: fn(usize) -> ConfigError| {
        let count = usize::from(count);
        match (1..=most).contains(&count) {
            true => Ok(()),
            false => Err(error(count)),
        }
    };
    in_range(blob.ram_count, MAX_RAM_RANGES, ConfigError::RamCount)?;
    in_range(blob.image_count, MAX_IMAGES, ConfigError::ImageCount)?;
    match (blob.piece_count.into(), blob.device_count.into()) {
        (0..=MAX_PIECES, 0..=MAX_DEVICES) => Ok(()),
        (0..=MAX_PIECES, count) => Err(ConfigError::DeviceCount(count)),
        (count, _) => Err(ConfigError::PieceCount(count)),
    }
}

/// The first `count` of `all`, which has been checked to be so many.
fn used<T>(all: &[T], count: u8) -> &[T] {
    all.get(..usize::from(count)).unwrap_or_default()
}

fn ram_range(raw: &RawRange) -> Result<RamRange, ConfigError> {
    let (base, len_bytes) = (raw.base.get(), raw.len_bytes.get());
    if len_bytes == 0
        || !is_placed(AddressSpace::Memory, base, len_bytes, PAGE_LEN_BYTES)
        || len_bytes % PAGE_LEN_BYTES != 0
    {
        return Err(ConfigError::Ram { base, len_bytes });
    }
    Ok(RamRange { base, len_bytes })
}

fn rom_range(raw: &RawRange) -> Result<Option<RomRange>, ConfigError> {
    let (base, len_bytes) = (raw.base.get(), raw.len_bytes.get());
    let range = RomRange { base, len_bytes };
    let unit_bytes = range.unit_bytes();
    if len_bytes == 0 {
        return Ok(None);
    }
    if !is_placed(AddressSpace::Memory, base, len_bytes, unit_bytes)
        || !len_bytes.is_multiple_of(unit_bytes)
        || len_bytes > MAX_ROM_LEN_BYTES
    {
        return Err(ConfigError::Rom { base, len_bytes });
    }
    Ok(Some(range))
}

/// Aligned, and wholly inside its address space.
fn is_placed(space: AddressSpace, start: u64, len_bytes: u64, align_bytes: u64) -> bool {
    start.is_multiple_of(align_bytes)
        && start
            .checked_add(len_bytes)
            .is_some_and(|end| end <= space.limit())
}

fn image(raw: &RawImage) -> Result<Image<'_>, ConfigError> {
    let len_bytes = raw.len_bytes.get();
    if len_bytes == 0 {
        return Err(ConfigError::ImageLength(len_bytes));
    }
    Ok(Image {
        name: text(TextField::Load, short_bytes(TextField::Load, &raw.name)?)?,
        len_bytes,
        crc32: Some(raw.crc32.get()).filter(|crc32| *crc32 != 0),
    })
}

fn piece(raw: &RawPiece) -> Piece {
    Piece {
        address: raw.address.get(),
        len_bytes: raw.len_bytes.get(),
        offset: raw.offset.get(),
    }
}

fn device(raw: &RawDevice, index: usize) -> Result<Device<'_>, ConfigError> {
    let flags = DeviceFlags::from_bits(raw.flags).ok_or(ConfigError::DeviceFlags(raw.flags))?;
    let vdev = Vdev::named(name(TextField::DeviceKind, &raw.kind)?);
    let vdev = vdev.ok_or(ConfigError::DeviceKind(index))?;
    let kind = vdev.kind();
    let (loc, len_bytes) = (raw.loc.get(), raw.len_bytes.get());
    let space = match flags.contains(DeviceFlags::PORTS) {
        true => AddressSpace::Ports,
        false => AddressSpace::Memory,
    };
    if !kind.spaces.contains(&space) {
        return Err(ConfigError::DeviceSpace { space, loc });
    }
    if len_bytes != kind.len || !is_placed(space, loc, len_bytes, kind.align) {
        return Err(ConfigError::DeviceLoc { loc, len_bytes });
    }
    Ok(Device {
        name: name(TextField::DeviceName, &raw.name)?,
        vdev,
        space,
        loc,
        severities: match flags.contains(DeviceFlags::OWN_SEVERITIES) {
            true => Some(severities(raw.severities)?),
            false => None,
        },
        emit: Emit {
            logger: flags.contains(DeviceFlags::EMIT_LOGGER),
            trace: match flags.contains(DeviceFlags::EMIT_TRACE) {
                true => Some(trace_number(raw.trace_number.get())?),
                false => None,
            },
        },
        options: options(kind, raw)?,
    })
}

/// Each option that is given is one of its kind's, and of that type.
fn options(kind: &Kind, raw: &RawDevice) -> Result<Options, ConfigError> {
    let loc = raw.loc.get();
    let mut options = Options::NONE;
    for (index, (raw, option)) in raw.options.iter().zip(&mut options.0).enumerate() {
        let is = kind.options.get(index).map(|known| known.is);
        let value = raw.value.get();
        *option = match (raw.type_number, is) {
            (NOT_GIVEN, _) => None,
            (given, Some(is)) if given == type_number(is) => match is.can_be(value) {
                true => Some(value),
                false => return Err(ConfigError::DeviceOptionValue { loc, index, value }),
            },
            (type_number, _) => {
                return Err(ConfigError::DeviceOption {
                    loc,
                    index,
                    type_number,
                });
            }
        };
    }
    Ok(options)
}

fn trace_number(number: u16) -> Result<TraceNumber, ConfigError> {
    TraceNumber::new(number).ok_or(ConfigError::TraceNumber(number))
}

fn short_bytes<const N: usize>(field: TextField, text: &Text<N>) -> Result<&[u8], ConfigError> {
    let len_bytes = usize::from(text.len);
    match text.bytes.get(..len_bytes) {
        Some(bytes) if !bytes.is_empty() => Ok(bytes),
        _ => Err(ConfigError::TextLength { field, len_bytes }),
    }
}

fn cmdline_bytes(blob: &Blob) -> Result<&[u8], ConfigError> {
    let len_bytes = usize::from(blob.cmdline_len.get());
    let field = TextField::Cmdline;
    blob.cmdline
        .get(..len_bytes)
        .ok_or(ConfigError::TextLength { field, len_bytes })
}

fn name<const N: usize>(field: TextField, text: &Text<N>) -> Result<&str, ConfigError> {
    ascii(field, short_bytes(field, text)?, u8::is_ascii_graphic)
}

fn text(field: TextField, bytes: &[u8]) -> Result<&str, ConfigError> {
    ascii(field, bytes, |byte| matches!(byte, b' '..=b'~'))
}

fn ascii(
    field: TextField,
    bytes: &[u8],
    allowed: impl Fn(&u8) -> bool,
) -> Result<&str, ConfigError> {
    if let Some(&byte) = bytes.iter().find(|byte| !allowed(byte)) {
        return Err(ConfigError::TextByte { field, byte });
    }
    // ASCII is UTF-8, so this cannot fail.
    str::from_utf8(bytes).map_err(|_| ConfigError::TextByte { field, byte: 0x80 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use vdev_model::{OptionKind, OptionType};
    use zerocopy::FromZeros;

    const fn option(is: OptionType) -> OptionKind {
        OptionKind {
            name: "it",
            is,
            example: "it",
        }
    }

    const OPTIONS: [OptionKind; 5] = [
        option(OptionType::Flag),
        option(OptionType::Number { least: 2, most: 9 }),
        option(OptionType::Time),
        option(OptionType::Text { most_bytes: 2 }),
        option(OptionType::Interrupt { most: 31 }),
    ];

    /// What is read of the option of this type, that claims to be of type `type_number`.
    fn read(at: usize, type_number: u8, value: u64) -> Result<Option<u64>, ConfigError> {
        let mut raw = RawDevice::new_zeroed();
        raw.options[0].type_number = type_number;
        raw.options[0].value = value.into();
        let kind = Kind {
            options: &OPTIONS[at..=at],
            ..Kind::new("test", "a test")
        };
        options(&kind, &raw).map(|options| options.get(0))
    }

    #[test]
    fn each_type_of_option_has_its_number_in_the_table_and_its_values() {
        let good = [1, 9, u64::MAX, u64::from_le_bytes(*b"ab\0\0\0\0\0\0"), 31];
        for (at, value) in good.into_iter().enumerate() {
            let own_type = at as u8 + 1;
            assert_eq!(read(at, own_type, value), Ok(Some(value)));
            assert_eq!(read(at, 0, value), Ok(None));
            for type_number in (1..=6).filter(|other| *other != own_type) {
                let refused = ConfigError::DeviceOption {
                    loc: 0,
                    index: 0,
                    type_number,
                };
                assert_eq!(read(at, type_number, value), Err(refused));
            }
        }
        let bad = [(0, 0), (1, 10), (1, 1), (3, 0), (3, 0x61_6161), (4, 32)];
        for (at, value) in bad {
            let refused = ConfigError::DeviceOptionValue {
                loc: 0,
                index: 0,
                value,
            };
            assert_eq!(read(at, at as u8 + 1, value), Err(refused));
        }
    }
}
