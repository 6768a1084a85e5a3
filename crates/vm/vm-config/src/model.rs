//! What a VM is made of, as types: the words of the QNX hypervisor's VM configuration.
//! Shared by the reader, the encoder and the compiler on the host.
//!
//! Invariant: a value of these types is one that the configuration language can say, except
//! for addresses, whose rules need the whole VM and are checked by the reader.

use bitflags::bitflags;
use vdev_model::{AddressSpace, AnyVdev, Kind, OptionType, Options};
use vdevs::Vdev;

/// The unit in which guest-physical memory is mapped, in bytes.
pub const PAGE_LEN_BYTES: u64 = 4096;

bitflags! {
    /// Severities of log messages, as `logger` and `log` name them (*QNX Hypervisor User's
    /// Guide*, "logger"). They are a set, not a threshold: `error` does not include `fatal`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct SeverityMask: u8 {
        /// The VM cannot go on.
        const FATAL = 1 << 0;
        /// A bug of ours.
        const INTERNAL = 1 << 1;
        /// Needs attention at once; the VM may go on.
        const ERROR = 1 << 2;
        /// Should be looked at; the VM goes on.
        const WARN = 1 << 3;
        /// What the user asked to see: the lines of `emit-logger` have this severity.
        const INFO = 1 << 4;
        /// For the developers of this project.
        const DEBUG = 1 << 5;
        /// Details for the user who debugs a system.
        const VERBOSE = 1 << 6;
    }
}

impl Default for SeverityMask {
    /// What QNX logs when the configuration has no `logger`: everything but debug and verbose.
    fn default() -> Self {
        Self::FATAL | Self::INTERNAL | Self::ERROR | Self::WARN | Self::INFO
    }
}

/// What happens when the guest does something that the monitor does not support.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The instruction does nothing; a load gives all-ones.
    Ignore,
    /// The guest gets the exception that the architecture has for this.
    Fail,
    /// The VM is stopped.
    Abort,
}

/// The three kinds of unsupported things and the action for each (*QNX Hypervisor User's
/// Guide*, "unsupported").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Unsupported {
    /// An instruction that cannot be emulated.
    pub instruction: Action,
    /// A guest-physical address where there is nothing.
    pub reference: Action,
    /// A system register (Arm) or model-specific register (x86) that is not there.
    pub register: Action,
}

impl Default for Unsupported {
    /// QNX's defaults.
    fn default() -> Self {
        Self {
            instruction: Action::Fail,
            reference: Action::Ignore,
            register: Action::Fail,
        }
    }
}

/// A range of guest-physical memory that is RAM. In a [`VmConfig`](crate::VmConfig) both are
/// multiples of [`PAGE_LEN_BYTES`], the length is not 0, and the end is not above
/// [`AddressSpace::limit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RamRange {
    /// Guest-physical address of the first byte.
    pub base: u64,
    /// Length in bytes.
    pub len_bytes: u64,
}

/// What ROM is made of: all of it is the same memory of this length, in bytes.
pub const ROM_BLOCK_LEN_BYTES: u64 = 2 << 20;

/// Most ROM in one range, in bytes: so that mapping it block by block is little work and few tables.
pub const MAX_ROM_LEN_BYTES: u64 = 1 << 30;

/// A range of guest-physical memory that reads as all-ones, as erased flash does, and that a guest cannot write.
/// Base and length are multiples of [`PAGE_LEN_BYTES`], and of [`ROM_BLOCK_LEN_BYTES`] where the length is
/// greater than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RomRange {
    /// Guest-physical address of the first byte.
    pub base: u64,
    /// Length in bytes; not 0, and at most [`MAX_ROM_LEN_BYTES`].
    pub len_bytes: u64,
}

impl RomRange {
    /// In what unit base and length have to be.
    pub const fn unit_bytes(&self) -> u64 {
        match self.len_bytes > ROM_BLOCK_LEN_BYTES {
            true => ROM_BLOCK_LEN_BYTES,
            false => PAGE_LEN_BYTES,
        }
    }

    /// The blocks that it is made of, as their first addresses and lengths in bytes: each has the length of the
    /// first one.
    pub fn blocks(&self) -> impl Iterator<Item = (u64, u64)> + use<> {
        let Self { base, len_bytes } = *self;
        let block = len_bytes.clamp(1, ROM_BLOCK_LEN_BYTES);
        (0..len_bytes / block).map(move |number| (base + number * block, block))
    }
}

/// A file that `load` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Image<'a> {
    /// Its name as `load` gives it: 1 to 127 bytes of printable ASCII.
    pub name: &'a str,
    /// Its length in bytes; not 0.
    pub len_bytes: u32,
    /// CRC-32 (ISO-HDLC) of its bytes, where that is told.
    pub crc32: Option<u32>,
}

/// Bytes of an image and where they go. What an image has besides is zero when the guest starts, as
/// all RAM is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Piece {
    /// Guest-physical address of the first byte; all lie in one range of RAM.
    pub address: u64,
    /// How many bytes; not 0.
    pub len_bytes: u64,
    /// Where they begin in the VM's image region.
    pub offset: u64,
}

impl Piece {
    /// Where they end in the VM's image region.
    pub const fn end(&self) -> u64 {
        self.offset.saturating_add(self.len_bytes)
    }
}

/// The number of a trace event, 0 to 1023: what `emit-trace` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceNumber(u16);

impl TraceNumber {
    /// The largest one. Numbers above it are for events of our own.
    pub const MAX: Self = Self(1023);

    /// The trace number `number`, or `None` if it is above [`TraceNumber::MAX`].
    pub const fn new(number: u16) -> Option<Self> {
        if number <= Self::MAX.0 {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The number, 0 to 1023.
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// Where a device's accesses are told (*QNX Virtual Device Developer's Guide*, "vdev trace"; here any device
/// has these). With neither, it works in silence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Emit {
    /// `emit-logger`: each access becomes a log line of severity info.
    pub logger: bool,
    /// `emit-trace`: each access becomes an event of this number in the trace ring.
    pub trace: Option<TraceNumber>,
}

/// One device of the VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Device<'a> {
    /// Its name in log lines: 1 to 15 bytes of printable ASCII without blanks.
    pub name: &'a str,
    /// Which device it is.
    pub vdev: Vdev,
    /// Where it is: in one of [`Kind::spaces`].
    pub space: AddressSpace,
    /// Its first address there.
    pub loc: u64,
    /// The severities that its messages are logged at, where they differ from the VM's.
    pub severities: Option<SeverityMask>,
    /// Where its accesses are told.
    pub emit: Emit,
    /// The options that only its kind has.
    pub options: Options,
}

impl Device<'_> {
    /// What it is.
    pub fn kind(&self) -> &'static Kind {
        self.vdev.kind()
    }

    /// The interrupt line that its own option connects it to, if it is given.
    pub fn interrupt(&self) -> Option<u64> {
        let mut options = self.kind().options.iter().zip(self.options.0);
        options.find_map(|(option, value)| match option.is {
            OptionType::Interrupt { .. } => value,
            _ => None,
        })
    }

    /// How many bytes or ports it occupies from `loc` on.
    pub fn len_bytes(&self) -> u64 {
        self.kind().len
    }
}
