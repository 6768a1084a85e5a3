//! Records of a ring on a serial line that loses and garbles bytes.
//!
//! The console's side encodes ([`RingSender`], [`Encoder`]), the host tool decodes
//! ([`Decoder`]); they share
//! nothing but the line. It may carry other things in between, such as the log's text: what
//! is no frame is skipped and counted.
//!
//! Invariants: a decoder never hands out a frame whose checksum is wrong; whatever came
//! before, the first whole frame after it is found; and each frame has a number, so a gap
//! between two *is* the loss.
//!
//! ```text
//!   00 │ body, with its zeroes replaced (COBS) │ 00
//!
//! body   0        1       2     3    4         8                         n
//!      ┌────────┬───────┬──────┬────┬─────────┬─────────────────────────┬────────┐
//!      │version │content│ ring │ vm │ number  │ words, packed           │ CRC-32 │
//!      └────────┴───────┴──────┴────┴─────────┴─────────────────────────┴────────┘
//! ```
//!
//! All numbers are little-endian. Packed words: for each word a byte whose bit `i` says that
//! byte `i` of the word is not zero and follows; most bytes of a record are zero, and the line
//! is slow. The checksum is CRC-32/ISO-HDLC over all that stands before it.
//!
//! | content | words |
//! |---|---|
//! | 1, the ring's identity | clock in hertz, counter at the start, records lost unsent |
//! | 2, a record | its sequence number in the ring, its seven words of payload |
//!
//! An identity comes first and again after every [`IDENTITY_EVERY`] records, so that a
//! capture may begin anywhere. COBS: Cheshire and Baker, *Consistent Overhead Byte Stuffing*,
//! 1999.
#![no_std]
#![forbid(unsafe_code)]

mod decode;
mod encode;
mod send;

pub use decode::{Decoder, Received};
pub use encode::{Encoder, WireFrame};
pub use send::{RingIdentity, RingSender, SendPosition};

use crc::{CRC_32_ISO_HDLC, Crc, Table};
use shared_ring::Payload;

/// The version of the frames' layout, and of the records in them: in version 1 these are of version 1
/// of the rings' layout, in version 2 of its version 2 or 3, between which a trace ring's records do not
/// differ, in version 3 of its version 4. The frames are the same in all, but who knows only version 1 would
/// take a port for an address in memory, and who knows only version 2 a VMM's word for the trace component's,
/// so they are to see no frames.
pub const STREAM_VERSION: u8 = 3;
/// The oldest version that is decoded.
pub const OLDEST_VERSION: u8 = 1;
/// So many records follow an identity before the next one.
pub const IDENTITY_EVERY: u32 = 64;
/// The longest frame on the line, in bytes, with the zeroes around it.
pub const FRAME_BYTES: usize = 96;

const HEADER_BYTES: usize = 8;
const CHECKSUM_BYTES: usize = 4;
/// Words of a record: its number and its payload.
const MAX_WORDS: usize = 8;
/// The longest body: nothing of any word is zero.
const BODY_BYTES: usize = HEADER_BYTES + MAX_WORDS * 9 + CHECKSUM_BYTES;
/// The longest body after COBS: one byte more for each 254, and the zeroes around it.
const _: () = assert!(BODY_BYTES < 254 && BODY_BYTES + 1 + 2 <= FRAME_BYTES);

// A table of 1 KiB: the line is slow, the memory of a protection domain small.
static CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

const IDENTITY: u8 = 1;
const RECORD: u8 = 2;

/// What a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Its version, [`OLDEST_VERSION`] to [`STREAM_VERSION`].
    pub version: u8,
    /// Its number; one sequence for each line, from 0 on, modulo 2^32.
    pub number: u32,
    /// Which ring of the VM, as `shared_ring::RingKind` numbers it.
    pub ring: u8,
    /// The VM's number.
    pub vm: u8,
    /// The rest.
    pub content: Content,
}

/// The two kinds of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// What the ring's header says.
    Identity {
        /// Frequency of the stamps in hertz.
        clock_hz: u64,
        /// The counter when the system started.
        start_ticks: u64,
        /// Records overwritten before they could be sent.
        lost: u64,
    },
    /// A record.
    Record {
        /// Its sequence number in the ring; the first is 1.
        sequence: u64,
        /// Its words. Every field is a claim.
        payload: Payload,
    },
}
