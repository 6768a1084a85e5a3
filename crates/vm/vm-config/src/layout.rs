//! The bytes of the blob, version 5. Written by `encode.rs`, read by `read.rs`, nobody else.
//!
//! Everything has one fixed place, so that a hex dump can be read with this table. Integers
//! are little-endian. A text is its length followed by room for its longest value. What is
//! not in use is zero when written and ignored when read.
//!
//! | offset | bytes | field |
//! |-------:|------:|-------|
//! |    0 |    4 | magic, `VMCF` |
//! |    4 |    2 | layout version, 5 |
//! |    6 |    2 | length of the blob in bytes, 6000; the region may be longer |
//! |    8 |    4 | CRC-32 (ISO-HDLC) of bytes 12..6000 |
//! |   12 |    2 | ELF's number (`e_machine`) of the CPU that the images are for; 0 if none tells |
//! |   14 |    1 | number of the VM, 0..=7 |
//! |   15 |    1 | count of vCPUs, 1 |
//! |   16 |    1 | count of RAM ranges, 1..=4 |
//! |   17 |    1 | count of images, 1..=4 |
//! |   18 |    1 | count of pieces, 0..=16 |
//! |   19 |    1 | count of devices, 0..=32 |
//! |   20 |    1 | severities that `logger` lets through, a [`SeverityMask`](crate::SeverityMask) |
//! |   21 |    1 | `unsupported instruction`: 0 ignore, 1 fail, 2 abort |
//! |   22 |    1 | `unsupported reference`, likewise |
//! |   23 |    1 | `unsupported register`, likewise |
//! |   24 |    8 | guest-physical address at which the guest starts |
//! |   32 |    8 | guest-physical address of the device tree that the guest is given; 0 if it is given none |
//! |   40 |   32 | `system`: length, then up to 31 bytes |
//! |   72 |   64 | 4 RAM ranges of 16 bytes: base (8), length in bytes (8) |
//! |  136 |   64 | 4 ROM ranges of 16 bytes, likewise; length 0 where there is none |
//! |  200 |  544 | 4 images of 136 bytes, below |
//! |  744 |  384 | 16 pieces of 24 bytes: guest-physical address (8), length in bytes (8), where its bytes begin in the VM's image region (8) |
//! | 1128 | 3840 | 32 devices of 120 bytes, below |
//! | 4968 |    2 | `cmdline`: length |
//! | 4970 | 1023 | `cmdline`: bytes |
//! | 5993 |    7 | not in use |
//!
//! An image, as a file that `load` names; what of it goes where is what the pieces say:
//!
//! | offset | bytes | field |
//! |-------:|------:|-------|
//! |  0 |   4 | length of the file in bytes |
//! |  4 |   4 | CRC-32 (ISO-HDLC) of the file; 0 if it is not told |
//! |  8 | 128 | name: length, then up to 127 bytes |
//!
//! A device:
//!
//! | offset | bytes | field |
//! |-------:|------:|-------|
//! |  0 |  8 | `loc`, guest-physical address or I/O port |
//! |  8 |  8 | how many bytes or ports it occupies from there on |
//! | 16 | 16 | name of its kind, the word after `vdev`: length, then up to 15 bytes |
//! | 32 | 16 | name: length, then up to 15 bytes |
//! | 48 |  1 | flags: bit 0 has its own severities, bit 1 `emit-logger`, bit 2 `emit-trace`, bit 3 `loc` is an I/O port |
//! | 49 |  1 | its own severities (`log`) |
//! | 50 |  2 | number of its trace events, 0..=1023, if it has `emit-trace` |
//! | 52 |  4 | not in use |
//! | 56 | 64 | 4 options of 16 bytes, in the order of its kind's list ([`Kind::options`](crate::Kind::options)): type (1: 0 not given, 1 flag, 2 number, 3 time, 4 text, 5 interrupt), 7 not in use, value (8) as [`OptionType`] has it |

use bitflags::bitflags;
use vdev_model::{MAX_OPTIONS, OptionType};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Length of a blob in bytes, all of which the checksum or the header covers.
pub const BLOB_LEN_BYTES: usize = size_of::<Blob>();
/// Bytes of memory that a loader sets aside for a blob: whole pages.
pub const REGION_LEN_BYTES: usize = BLOB_LEN_BYTES.next_multiple_of(4096);
/// Most VMs in one system.
pub const MAX_VMS: usize = 8;
/// Most devices in one VM.
pub const MAX_DEVICES: usize = 32;
/// Most ranges of RAM in one VM.
pub const MAX_RAM_RANGES: usize = 4;
/// Most ranges of ROM in one VM.
pub const MAX_ROM_RANGES: usize = 4;
/// Most images (`load`) of one VM.
pub const MAX_IMAGES: usize = 4;
/// Most pieces of memory that a VM's images are laid out in.
pub const MAX_PIECES: usize = 16;
/// Longest name of a VM (`system`), in bytes.
pub const MAX_NAME_BYTES: usize = 31;
/// Longest name of an image (`load`), in bytes.
pub const MAX_LOAD_NAME_BYTES: usize = 127;
/// Longest command line (`cmdline`), in bytes.
pub const MAX_CMDLINE_BYTES: usize = 1023;
/// Longest name of a device (`name`), and of a kind of device, in bytes.
pub const MAX_DEVICE_NAME_BYTES: usize = 15;

pub(crate) const MAGIC: [u8; 4] = *b"VMCF";
pub(crate) const VERSION: u16 = 5;
/// The checksum covers what follows it.
pub(crate) const CHECKSUMMED_FROM: usize = 12;
/// CRC-32 as in Ethernet, gzip and PNG; every language has it.
pub(crate) const CRC_32: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

/// The type of an option that is not given.
pub(crate) const NOT_GIVEN: u8 = 0;

/// The type of an option that is.
pub(crate) const fn type_number(is: OptionType) -> u8 {
    match is {
        OptionType::Flag => 1,
        OptionType::Number { .. } => 2,
        OptionType::Time => 3,
        OptionType::Text { .. } => 4,
        OptionType::Interrupt { .. } => 5,
    }
}

bitflags! {
    /// The flags byte of a device.
    #[derive(Clone, Copy)]
    pub(crate) struct DeviceFlags: u8 {
        const OWN_SEVERITIES = 1 << 0;
        const EMIT_LOGGER = 1 << 1;
        const EMIT_TRACE = 1 << 2;
        const PORTS = 1 << 3;
    }
}

/// What all versions begin with.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Start {
    pub magic: [u8; 4],
    pub version: U16,
    pub len_bytes: U16,
    pub crc32: U32,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Blob {
    pub start: Start,
    pub machine: U16,
    pub vm: u8,
    pub cpus: u8,
    pub ram_count: u8,
    pub image_count: u8,
    pub piece_count: u8,
    pub device_count: u8,
    pub logger: u8,
    pub unsupported_instruction: u8,
    pub unsupported_reference: u8,
    pub unsupported_register: u8,
    pub entry: U64,
    pub device_tree: U64,
    pub name: Text<MAX_NAME_BYTES>,
    pub ram: [RawRange; MAX_RAM_RANGES],
    pub rom: [RawRange; MAX_ROM_RANGES],
    pub images: [RawImage; MAX_IMAGES],
    pub pieces: [RawPiece; MAX_PIECES],
    pub devices: [RawDevice; MAX_DEVICES],
    pub cmdline_len: U16,
    pub cmdline: [u8; MAX_CMDLINE_BYTES],
    pub unused_tail: [u8; 7],
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawRange {
    pub base: U64,
    pub len_bytes: U64,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawImage {
    pub len_bytes: U32,
    pub crc32: U32,
    pub name: Text<MAX_LOAD_NAME_BYTES>,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawPiece {
    pub address: U64,
    pub len_bytes: U64,
    pub offset: U64,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawDevice {
    pub loc: U64,
    pub len_bytes: U64,
    pub kind: Text<MAX_DEVICE_NAME_BYTES>,
    pub name: Text<MAX_DEVICE_NAME_BYTES>,
    pub flags: u8,
    pub severities: u8,
    pub trace_number: U16,
    pub unused: [u8; 4],
    pub options: [RawOption; MAX_OPTIONS],
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawOption {
    pub type_number: u8,
    pub unused: [u8; 7],
    pub value: U64,
}

/// A short text: how many of the bytes are in use, then the bytes.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Text<const N: usize> {
    pub len: u8,
    pub bytes: [u8; N],
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;

    #[test]
    fn every_field_is_where_the_table_says() {
        assert_eq!(offset_of!(Start, crc32), 8);
        assert_eq!(offset_of!(Blob, machine), CHECKSUMMED_FROM);
        assert_eq!(offset_of!(Blob, vm), 14);
        assert_eq!(offset_of!(Blob, device_count), 19);
        assert_eq!(offset_of!(Blob, unsupported_register), 23);
        assert_eq!(offset_of!(Blob, entry), 24);
        assert_eq!(offset_of!(Blob, device_tree), 32);
        assert_eq!(offset_of!(Blob, name), 40);
        assert_eq!(offset_of!(Blob, ram), 72);
        assert_eq!(offset_of!(Blob, rom), 136);
        assert_eq!(offset_of!(Blob, images), 200);
        assert_eq!(offset_of!(Blob, pieces), 744);
        assert_eq!(offset_of!(Blob, devices), 1128);
        assert_eq!(offset_of!(Blob, cmdline_len), 4968);
        assert_eq!(offset_of!(Blob, cmdline), 4970);
        assert_eq!(offset_of!(Blob, unused_tail), 5993);
        assert_eq!(BLOB_LEN_BYTES, 6000);
        assert_eq!(size_of::<RawImage>(), 136);
        assert_eq!(offset_of!(RawImage, name), 8);
        assert_eq!(size_of::<RawPiece>(), 24);
        assert_eq!(size_of::<RawDevice>(), 120);
        assert_eq!(offset_of!(RawDevice, kind), 16);
        assert_eq!(offset_of!(RawDevice, flags), 48);
        assert_eq!(offset_of!(RawDevice, trace_number), 50);
        assert_eq!(offset_of!(RawDevice, options), 56);
        assert_eq!(offset_of!(RawOption, value), 8);
    }

    #[test]
    fn the_checksum_is_the_common_crc_32() {
        // The check value of CRC-32/ISO-HDLC in the catalogue of CRC algorithms.
        assert_eq!(CRC_32.checksum(b"123456789"), 0xcbf4_3926);
    }
}
