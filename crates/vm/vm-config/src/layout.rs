//! The bytes of the blob, version 2. Written by `encode.rs`, read by `read.rs`, nobody else.
//!
//! Everything has one fixed place, so that a hex dump can be read with this table. Integers
//! are little-endian. A text is its length followed by room for its longest value. What is
//! not in use is zero when written and ignored when read.
//!
//! | offset | bytes | field |
//! |-------:|------:|-------|
//! |    0 |    4 | magic, `VMCF` |
//! |    4 |    2 | layout version, 2 |
//! |    6 |    2 | length of the blob in bytes, 1600; the region may be longer |
//! |    8 |    4 | CRC-32 (ISO-HDLC) of bytes 12..1600 |
//! |   12 |    4 | length in bytes of the ELF image named by `load` |
//! |   16 |    1 | count of vCPUs, 1 |
//! |   17 |    1 | count of RAM ranges, 1..=4 |
//! |   18 |    1 | count of devices, 0..=8 |
//! |   19 |    1 | severities that `logger` lets through, a [`SeverityMask`](crate::SeverityMask) |
//! |   20 |    1 | `unsupported instruction`: 0 ignore, 1 fail, 2 abort |
//! |   21 |    1 | `unsupported reference`, likewise |
//! |   22 |    1 | `unsupported register`, likewise |
//! |   23 |    1 | number of the VM, 0..=3 |
//! |   24 |   32 | `system`: length, then up to 31 bytes |
//! |   56 |  128 | `load`: length, then up to 127 bytes |
//! |  184 |   64 | 4 RAM ranges of 16 bytes: base (8), length in bytes (8) |
//! |  248 |  320 | 8 devices of 40 bytes, below |
//! |  568 |    2 | `cmdline`: length |
//! |  570 | 1023 | `cmdline`: bytes |
//! | 1593 |    3 | not in use |
//! | 1596 |    4 | CRC-32 (ISO-HDLC) of that ELF image; 0 if it is not told |
//!
//! A device:
//!
//! | offset | bytes | field |
//! |-------:|------:|-------|
//! |  0 |  8 | `loc`, guest-physical address; for kind 3 an I/O port |
//! |  8 |  8 | length in bytes of what it occupies there |
//! | 16 |  1 | kind: 1 trace, 2 pl011, 3 ser8250 |
//! | 17 |  1 | flags: bit 0 `emit-logger`, bit 1 `emit-trace`, bit 2 has its own severities |
//! | 18 |  2 | number of `emit-trace` |
//! | 20 |  1 | its own severities (`log`) |
//! | 21 |  3 | not in use |
//! | 24 | 16 | name: length, then up to 15 bytes |

use bitflags::bitflags;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Length of a blob in bytes, all of which the checksum or the header covers.
pub const BLOB_LEN_BYTES: usize = size_of::<Blob>();
/// Most VMs in one system.
pub const MAX_VMS: usize = 8;
/// Most devices in one VM.
pub const MAX_DEVICES: usize = 8;
/// Most ranges of RAM in one VM.
pub const MAX_RAM_RANGES: usize = 4;
/// Longest name of a VM (`system`), in bytes.
pub const MAX_NAME_BYTES: usize = 31;
/// Longest name of an image (`load`), in bytes.
pub const MAX_LOAD_NAME_BYTES: usize = 127;
/// Longest command line (`cmdline`), in bytes.
pub const MAX_CMDLINE_BYTES: usize = 1023;
/// Longest name of a device (`name`), in bytes.
pub const MAX_DEVICE_NAME_BYTES: usize = 15;

pub(crate) const MAGIC: [u8; 4] = *b"VMCF";
pub(crate) const VERSION: u16 = 2;
/// The checksum covers what follows it.
pub(crate) const CHECKSUMMED_FROM: usize = 12;
/// CRC-32 as in Ethernet, gzip and PNG; every language has it.
pub(crate) const CRC_32: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

pub(crate) const KIND_TRACE: u8 = 1;
pub(crate) const KIND_PL011: u8 = 2;
pub(crate) const KIND_SER8250: u8 = 3;

bitflags! {
    /// The flags byte of a device.
    #[derive(Clone, Copy)]
    pub(crate) struct DeviceFlags: u8 {
        const EMIT_LOGGER = 1 << 0;
        const EMIT_TRACE = 1 << 1;
        const OWN_SEVERITIES = 1 << 2;
    }
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Blob {
    pub magic: [u8; 4],
    pub version: U16,
    pub len_bytes: U16,
    pub crc32: U32,
    pub image_len_bytes: U32,
    pub cpus: u8,
    pub ram_count: u8,
    pub device_count: u8,
    pub logger: u8,
    pub unsupported_instruction: u8,
    pub unsupported_reference: u8,
    pub unsupported_register: u8,
    pub vm: u8,
    pub name: Text<MAX_NAME_BYTES>,
    pub load: Text<MAX_LOAD_NAME_BYTES>,
    pub ram: [RawRam; MAX_RAM_RANGES],
    pub devices: [RawDevice; MAX_DEVICES],
    pub cmdline_len: U16,
    pub cmdline: [u8; MAX_CMDLINE_BYTES],
    pub unused_tail: [u8; 3],
    pub image_crc32: U32,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawRam {
    pub base: U64,
    pub len_bytes: U64,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawDevice {
    pub loc: U64,
    pub len_bytes: U64,
    pub kind: u8,
    pub flags: u8,
    pub trace_number: U16,
    pub severities: u8,
    pub unused: [u8; 3],
    pub name: Text<MAX_DEVICE_NAME_BYTES>,
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
        assert_eq!(offset_of!(Blob, crc32), 8);
        assert_eq!(offset_of!(Blob, image_len_bytes), CHECKSUMMED_FROM);
        assert_eq!(offset_of!(Blob, cpus), 16);
        assert_eq!(offset_of!(Blob, unsupported_register), 22);
        assert_eq!(offset_of!(Blob, vm), 23);
        assert_eq!(offset_of!(Blob, name), 24);
        assert_eq!(offset_of!(Blob, load), 56);
        assert_eq!(offset_of!(Blob, ram), 184);
        assert_eq!(offset_of!(Blob, devices), 248);
        assert_eq!(offset_of!(Blob, cmdline_len), 568);
        assert_eq!(offset_of!(Blob, cmdline), 570);
        assert_eq!(offset_of!(Blob, unused_tail), 1593);
        assert_eq!(offset_of!(Blob, image_crc32), 1596);
        assert_eq!(BLOB_LEN_BYTES, 1600);
        assert_eq!(size_of::<RawDevice>(), 40);
        assert_eq!(offset_of!(RawDevice, trace_number), 18);
        assert_eq!(offset_of!(RawDevice, name), 24);
    }

    #[test]
    fn the_checksum_is_the_common_crc_32() {
        // The check value of CRC-32/ISO-HDLC in the catalogue of CRC algorithms.
        assert_eq!(CRC_32.checksum(b"123456789"), 0xcbf4_3926);
    }
}
