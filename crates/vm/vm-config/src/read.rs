//! Reads a blob in place. Called once at start by every component that needs the
//! configuration, and by the encoder to check its own work.
//!
//! Invariant: every byte is a claim until the checksum and the rules on the crate's page have
//! been checked; only then is there a [`VmConfig`].

use zerocopy::{FromBytes, IntoBytes};

use crate::error::{ConfigError, TextField};
use crate::layout::{
    BLOB_LEN_BYTES, Blob, CHECKSUMMED_FROM, CRC_32, DeviceFlags, KIND_PL011, KIND_SER8250,
    KIND_TRACE, MAGIC, MAX_DEVICES, MAX_RAM_RANGES, MAX_VMS, RawDevice, RawRam, Text, VERSION,
};
use crate::model::{
    Action, AddressSpace, Device, DeviceKind, PAGE_LEN_BYTES, RamRange, SeverityMask, Trace,
    TraceNumber, Unsupported,
};

/// A VM configuration that has been checked. Its texts are borrowed from the blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VmConfig<'a> {
    vm: u8,
    name: &'a str,
    cpus: u8,
    load_name: &'a str,
    image_len_bytes: u32,
    image_crc32: u32,
    cmdline: &'a str,
    logger: SeverityMask,
    unsupported: Unsupported,
    ram: [Option<RamRange>; MAX_RAM_RANGES],
    devices: [Option<Device<'a>>; MAX_DEVICES],
}

impl<'a> VmConfig<'a> {
    /// Reads the blob at the start of `bytes`; what follows it is ignored, so that a whole
    /// memory region can be passed.
    ///
    /// # Errors
    ///
    /// The first [`ConfigError`] that the bytes give reason for; no bytes make it panic.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ConfigError> {
        let (blob, _) = Blob::ref_from_prefix(bytes).map_err(|_| ConfigError::TooShort {
            len_bytes: bytes.len(),
            needed: BLOB_LEN_BYTES,
        })?;
        check_header(blob)?;

        let config = Self {
            vm: match blob.vm {
                vm if usize::from(vm) < MAX_VMS => vm,
                other => return Err(ConfigError::VmNumber(other)),
            },
            name: name(TextField::System, &blob.name)?,
            cpus: match blob.cpus {
                1 => 1,
                other => return Err(ConfigError::Cpus(other)),
            },
            load_name: text(TextField::Load, short_bytes(TextField::Load, &blob.load)?)?,
            image_len_bytes: match blob.image_len_bytes.get() {
                0 => return Err(ConfigError::ImageLength(0)),
                len_bytes => len_bytes,
            },
            image_crc32: blob.image_crc32.get(),
            cmdline: text(TextField::Cmdline, cmdline_bytes(blob)?)?,
            logger: severities(blob.logger)?,
            unsupported: Unsupported {
                instruction: action(blob.unsupported_instruction)?,
                reference: action(blob.unsupported_reference)?,
                register: action(blob.unsupported_register)?,
            },
            ram: read_ram(blob)?,
            devices: read_devices(blob)?,
        };
        config.check_places()?;
        config.check_names()?;
        Ok(config)
    }

    /// The number of the VM in its system, 0 to [`MAX_VMS`] - 1: in the order of the names of
    /// the files that describe them.
    pub fn vm(&self) -> u8 {
        self.vm
    }

    /// The name of the VM (`system`): 1 to 31 bytes of printable ASCII without blanks.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// How many vCPUs it has: always 1 in this version.
    pub fn cpus(&self) -> u8 {
        self.cpus
    }

    /// The name of the image as `load` gives it: 1 to 127 bytes of printable ASCII.
    pub fn load_name(&self) -> &'a str {
        self.load_name
    }

    /// Length in bytes of the ELF image that `load` names; not 0. The loader's region may be
    /// longer.
    pub fn image_len_bytes(&self) -> u32 {
        self.image_len_bytes
    }

    /// CRC-32 (ISO-HDLC) of that image, if the blob tells it.
    pub fn image_crc32(&self) -> Option<u32> {
        Some(self.image_crc32).filter(|crc32| *crc32 != 0)
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
    pub fn ram(&self) -> impl Iterator<Item = RamRange> + use<> {
        self.ram.into_iter().flatten()
    }

    /// The devices, at most [`MAX_DEVICES`], in the order of the configuration. The position
    /// is the device's instance number everywhere: on the bus, in records, in the state page.
    pub fn devices(&self) -> impl Iterator<Item = Device<'a>> + use<'a> {
        self.devices.into_iter().flatten()
    }

    /// No two ranges of RAM or devices have a byte in common.
    fn check_places(&self) -> Result<(), ConfigError> {
        let places = || {
            let ram = self.ram();
            let ram = ram.map(|range| (AddressSpace::Memory, range.base, range.len_bytes));
            let devices = self.devices();
            ram.chain(devices.map(|it| (it.kind.space(), it.loc, it.len_bytes())))
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

fn check_header(blob: &Blob) -> Result<(), ConfigError> {
    if blob.magic != MAGIC {
        return Err(ConfigError::Magic(blob.magic));
    }
    if blob.version.get() != VERSION {
        return Err(ConfigError::Version(blob.version.get()));
    }
    if usize::from(blob.len_bytes.get()) != BLOB_LEN_BYTES {
        return Err(ConfigError::Length(blob.len_bytes.get()));
    }
    let stored = blob.crc32.get();
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

fn read_ram(blob: &Blob) -> Result<[Option<RamRange>; MAX_RAM_RANGES], ConfigError> {
    let count = usize::from(blob.ram_count);
    if count == 0 || count > MAX_RAM_RANGES {
        return Err(ConfigError::RamCount(count));
    }
    let mut ram = [None; MAX_RAM_RANGES];
    for (slot, raw) in ram.iter_mut().zip(&blob.ram).take(count) {
        *slot = Some(ram_range(raw)?);
    }
    Ok(ram)
}

fn ram_range(raw: &RawRam) -> Result<RamRange, ConfigError> {
    let (base, len_bytes) = (raw.base.get(), raw.len_bytes.get());
    if len_bytes == 0
        || !is_placed(AddressSpace::Memory, base, len_bytes, PAGE_LEN_BYTES)
        || len_bytes % PAGE_LEN_BYTES != 0
    {
        return Err(ConfigError::Ram { base, len_bytes });
    }
    Ok(RamRange { base, len_bytes })
}

/// Aligned, and wholly inside its address space.
fn is_placed(space: AddressSpace, start: u64, len_bytes: u64, align_bytes: u64) -> bool {
    start.is_multiple_of(align_bytes)
        && start
            .checked_add(len_bytes)
            .is_some_and(|end| end <= space.limit())
}

fn read_devices(blob: &Blob) -> Result<[Option<Device<'_>>; MAX_DEVICES], ConfigError> {
    let count = usize::from(blob.device_count);
    if count > MAX_DEVICES {
        return Err(ConfigError::DeviceCount(count));
    }
    let mut devices = [None; MAX_DEVICES];
    for (slot, raw) in devices.iter_mut().zip(&blob.devices).take(count) {
        *slot = Some(device(raw)?);
    }
    Ok(devices)
}

fn device(raw: &RawDevice) -> Result<Device<'_>, ConfigError> {
    let flags = DeviceFlags::from_bits(raw.flags).ok_or(ConfigError::DeviceFlags(raw.flags))?;
    let only_trace = DeviceFlags::EMIT_LOGGER | DeviceFlags::EMIT_TRACE;
    let kind = match raw.kind {
        KIND_TRACE => DeviceKind::Trace(Trace {
            emit_logger: flags.contains(DeviceFlags::EMIT_LOGGER),
            emit_trace: match flags.contains(DeviceFlags::EMIT_TRACE) {
                true => Some(trace_number(raw.trace_number.get())?),
                false => None,
            },
        }),
        KIND_PL011 | KIND_SER8250 if flags.intersects(only_trace) => {
            return Err(ConfigError::DeviceFlags(raw.flags));
        }
        KIND_PL011 => DeviceKind::Pl011,
        KIND_SER8250 => DeviceKind::Ser8250,
        other => return Err(ConfigError::DeviceKind(other)),
    };
    let (loc, len_bytes) = (raw.loc.get(), raw.len_bytes.get());
    let is_placed = is_placed(kind.space(), loc, len_bytes, kind.align_bytes());
    if len_bytes != kind.len_bytes() || !is_placed {
        return Err(ConfigError::DeviceLoc { loc, len_bytes });
    }
    Ok(Device {
        name: name(TextField::DeviceName, &raw.name)?,
        loc,
        severities: match flags.contains(DeviceFlags::OWN_SEVERITIES) {
            true => Some(severities(raw.severities)?),
            false => None,
        },
        kind,
    })
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
