//! What a VM is made of, as types: the words of the QNX hypervisor's VM configuration.
//! Shared by the reader, the encoder and the compiler on the host.
//!
//! Invariant: a value of these types is one that the configuration language can say, except
//! for addresses, whose rules need the whole VM and are checked by the reader.

use bitflags::bitflags;

/// One past the last guest-physical address that a VM may use: 40 bits, what the smallest
/// second-stage tables on our platforms cover.
pub const GUEST_PHYS_LIMIT: u64 = 1 << 40;

/// One past the last I/O port of an x86 guest.
pub const PORT_LIMIT: u64 = 1 << 16;

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
/// [`GUEST_PHYS_LIMIT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RamRange {
    /// Guest-physical address of the first byte.
    pub base: u64,
    /// Length in bytes.
    pub len_bytes: u64,
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

/// The options that only `vdev trace` has (*QNX Virtual Device Developer's Guide*, "vdev
/// trace"). With neither, the device works in silence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Trace {
    /// `emit-logger`: each access becomes a log line of severity info.
    pub emit_logger: bool,
    /// `emit-trace`: each access becomes an event of this number in the trace ring.
    pub emit_trace: Option<TraceNumber>,
}

/// Which device, with the options that only this kind has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// `vdev trace`: a 32-bit counter that grows by one each second.
    Trace(Trace),
    /// `vdev pl011`: the guest's console, an Arm PrimeCell UART (PL011).
    Pl011,
    /// `vdev ser8250`: an x86 guest's console, a UART of the 8250 family.
    Ser8250,
}

/// What a device's address is an address in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressSpace {
    /// Guest-physical memory.
    Memory,
    /// The I/O ports of x86.
    Ports,
}

impl AddressSpace {
    /// One past its last address.
    pub const fn limit(self) -> u64 {
        match self {
            Self::Memory => GUEST_PHYS_LIMIT,
            Self::Ports => PORT_LIMIT,
        }
    }
}

/// What type an option has that only one kind of device has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OptionType {
    /// It is given or not.
    Flag,
    /// It has a number.
    Number,
}

impl DeviceKind {
    /// Every kind, without options.
    pub const ALL: [Self; 3] = [
        Self::Trace(Trace {
            emit_logger: false,
            emit_trace: None,
        }),
        Self::Pl011,
        Self::Ser8250,
    ];

    /// The kind of this name, without options.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The options that only this kind has, in the order in which a blob has them.
    pub const fn options(self) -> &'static [(&'static str, OptionType)] {
        match self {
            Self::Trace(_) => &[
                ("emit-logger", OptionType::Flag),
                ("emit-trace", OptionType::Number),
            ],
            Self::Pl011 | Self::Ser8250 => &[],
        }
    }

    /// Where devices of this kind are.
    pub const fn space(self) -> AddressSpace {
        match self {
            Self::Trace(_) | Self::Pl011 => AddressSpace::Memory,
            Self::Ser8250 => AddressSpace::Ports,
        }
    }

    /// The word after `vdev`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trace(_) => "trace",
            Self::Pl011 => "pl011",
            Self::Ser8250 => "ser8250",
        }
    }

    /// How much of its address space it occupies: one word for the trace device, the whole
    /// register page for the PL011 (*PL011 TRM*, table 3-1), eight ports for the 8250.
    pub const fn len_bytes(self) -> u64 {
        match self {
            Self::Trace(_) => 4,
            Self::Pl011 => PAGE_LEN_BYTES,
            Self::Ser8250 => 8,
        }
    }

    /// Its address must be a multiple of this, in bytes.
    pub const fn align_bytes(self) -> u64 {
        self.len_bytes()
    }
}

/// One device of the VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Device<'a> {
    /// Its name in log lines: 1 to 15 bytes of printable ASCII without blanks.
    pub name: &'a str,
    /// Its first address: guest-physical, or a port where [`DeviceKind::space`] says so.
    pub loc: u64,
    /// The severities that its messages are logged at, where they differ from the VM's.
    pub severities: Option<SeverityMask>,
    /// Which device it is.
    pub kind: DeviceKind,
}

impl Device<'_> {
    /// How many addresses it occupies from `loc` on.
    pub const fn len_bytes(&self) -> u64 {
        self.kind.len_bytes()
    }
}
