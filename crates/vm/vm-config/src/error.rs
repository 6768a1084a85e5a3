//! Why bytes are not a VM configuration. Returned by the reader, and by the encoder when the
//! compiler hands it what no blob can hold. Whose fault: the loader's or the compiler's, never
//! the guest's, so whoever gets one reports it and starts no VM.

use crate::layout::VERSION;
use thiserror::Error;
use vdev_model::AddressSpace;

/// The texts in a blob, for [`ConfigError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextField {
    /// The name of the VM.
    System,
    /// The name of the image.
    Load,
    /// The guest's command line.
    Cmdline,
    /// The name of a kind of device.
    DeviceKind,
    /// The name of a device.
    DeviceName,
}

/// Why bytes are not a VM configuration; each variant carries the value that it objects to.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConfigError {
    /// Fewer bytes than a blob has.
    #[error("{len_bytes} bytes are too few for a VM configuration of {needed} bytes")]
    TooShort {
        /// Bytes that there are.
        len_bytes: usize,
        /// Bytes that a blob has.
        needed: usize,
    },
    /// It does not begin like a blob; all zero means that nothing was loaded.
    #[error("not a VM configuration: it begins with {0:02x?}")]
    Magic([u8; 4]),
    /// Written by a compiler of another age.
    #[error(
        "the compiled VM configuration has layout version {0}, and this program reads version \
         {VERSION}: compile it again, with the tools of the same build"
    )]
    Version(u16),
    /// The length in the header is not that of this version.
    #[error("the VM configuration claims to have {0} bytes")]
    Length(u16),
    /// Some byte changed since it was written.
    #[error("checksum {computed:#010x} of the VM configuration, {stored:#010x} expected")]
    Checksum {
        /// The checksum in the header.
        stored: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// A number that no VM of a system can have.
    #[error("VM number {0}")]
    VmNumber(u8),
    /// A VM has one vCPU.
    #[error("{0} vCPUs, only 1 is supported")]
    Cpus(u8),
    /// No image, or more than there is room for.
    #[error("{0} images")]
    ImageCount(usize),
    /// An image of no bytes.
    #[error("an image of {0} bytes")]
    ImageLength(u32),
    /// More pieces of images than there is room for.
    #[error("images in {0} pieces")]
    PieceCount(usize),
    /// A piece of an image that is empty, or that is in no range of RAM.
    #[error("a piece of {len_bytes:#x} bytes at {address:#x}")]
    Piece {
        /// Guest-physical address.
        address: u64,
        /// Length in bytes.
        len_bytes: u64,
    },
    /// A piece of an image whose bytes no image region has.
    #[error("a piece of {len_bytes:#x} bytes from {offset:#x} of the images on")]
    PieceOffset {
        /// Where it begins in the VM's image region.
        offset: u64,
        /// Length in bytes.
        len_bytes: u64,
    },
    /// The guest would start outside its RAM.
    #[error("a start at {0:#x}")]
    Entry(u64),
    /// A device tree where no piece of the images begins.
    #[error("a device tree at {0:#x}")]
    DeviceTree(u64),
    /// More ranges of ROM than there is room for.
    #[error("{0} ranges of ROM")]
    RomCount(usize),
    /// A range of ROM that is not whole pages or blocks, too long, or beyond the address space.
    #[error("ROM of {len_bytes:#x} bytes at {base:#x}")]
    Rom {
        /// Guest-physical address.
        base: u64,
        /// Length in bytes.
        len_bytes: u64,
    },
    /// No RAM, or more ranges than there is room for.
    #[error("{0} ranges of RAM")]
    RamCount(usize),
    /// More devices than there is room for.
    #[error("{0} devices")]
    DeviceCount(usize),
    /// Bits that are no severity.
    #[error("severities {0:#04x}")]
    Severities(u8),
    /// A number that is no action.
    #[error("action {0} for something unsupported")]
    Action(u8),
    /// A text that is longer than its room, or a name of no bytes.
    #[error("{field:?} of {len_bytes} bytes")]
    TextLength {
        /// Which text.
        field: TextField,
        /// Its length in bytes.
        len_bytes: usize,
    },
    /// A byte that is not printable ASCII, or a blank in a name.
    #[error("{field:?} has the byte {byte:#04x}")]
    TextByte {
        /// Which text.
        field: TextField,
        /// The byte.
        byte: u8,
    },
    /// A range of RAM that is empty, not whole pages, or beyond the address space.
    #[error("RAM of {len_bytes:#x} bytes at {base:#x}")]
    Ram {
        /// Guest-physical address.
        base: u64,
        /// Length in bytes.
        len_bytes: u64,
    },
    /// A device of a kind that there is not; this is its index.
    #[error("device {0} is of no kind that is known here")]
    DeviceKind(usize),
    /// Flags that no device has.
    #[error("device flags {0:#04x}")]
    DeviceFlags(u8),
    /// A device in an address space where its kind is not.
    #[error("a device at {loc:#x} of {space:?}, where its kind is not")]
    DeviceSpace {
        /// The address space.
        space: AddressSpace,
        /// The device's first address there.
        loc: u64,
    },
    /// An option that this kind of device does not have.
    #[error("option {index} of the device at {loc:#x}, of type {type_number}")]
    DeviceOption {
        /// The device's first address.
        loc: u64,
        /// Which of its options, counted from 0.
        index: usize,
        /// The type that it claims to be of.
        type_number: u8,
    },
    /// A value that an option of its type cannot have.
    #[error("option {index} of the device at {loc:#x} is {value:#x}")]
    DeviceOptionValue {
        /// The device's first address.
        loc: u64,
        /// Which of its options, counted from 0.
        index: usize,
        /// The value.
        value: u64,
    },
    /// A device that is unaligned, beyond the address space, or of the wrong length.
    #[error("device of {len_bytes} bytes at {loc:#x}")]
    DeviceLoc {
        /// Guest-physical address or port.
        loc: u64,
        /// Length in bytes or ports.
        len_bytes: u64,
    },
    /// A trace number above 1023.
    #[error("trace number {0}")]
    TraceNumber(u16),
    /// Two ranges of RAM or ROM or devices, or two pieces of images, have a byte in common.
    #[error("what is at {first:#x} overlaps what is at {second:#x}")]
    Overlap {
        /// Guest-physical address or port of the one that comes first in the blob.
        first: u64,
        /// That of the other.
        second: u64,
    },
    /// Two devices have one name; this is the index of the second.
    #[error("device {0} has the name of an earlier one")]
    DuplicateName(usize),
}
