//! The receiving side: from bytes, some of them wrong, to frames.
//!
//! Called by the host tool with whatever came over the line. Invariant: memory is one frame's
//! worth, whatever arrives; a frame is handed out only if its checksum is right.

use crate::{
    CHECKSUM_BYTES, CRC, Content, FRAME_BYTES, Frame, HEADER_BYTES, IDENTITY, MAX_WORDS,
    OLDEST_VERSION, RECORD, STREAM_VERSION,
};

/// What the bytes between two zeroes were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// A whole frame.
    Frame(Frame),
    /// So many bytes that are no frame: a damaged one, or something else on the line.
    Other {
        /// How many bytes, the zeroes around them not counted.
        len_bytes: u64,
    },
}

/// Finds frames in a stream of bytes.
#[derive(Debug)]
pub struct Decoder {
    /// The bytes since the last zero, as far as they fit.
    bytes: [u8; FRAME_BYTES],
    /// How many there were.
    len: u64,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder that has seen nothing.
    pub const fn new() -> Self {
        Self {
            bytes: [0; FRAME_BYTES],
            len: 0,
        }
    }

    /// Takes the next byte of the line. A zero ends what was before it.
    pub fn push(&mut self, byte: u8) -> Option<Received> {
        if byte == 0 {
            return self.finish();
        }
        if let Some(place) = usize::try_from(self.len)
            .ok()
            .and_then(|len| self.bytes.get_mut(len))
        {
            *place = byte;
        }
        self.len += 1;
        None
    }

    /// The line has ended: what the bytes since the last zero were.
    pub fn finish(&mut self) -> Option<Received> {
        let len_bytes = core::mem::take(&mut self.len);
        if len_bytes == 0 {
            return None;
        }
        let frame = usize::try_from(len_bytes)
            .ok()
            .and_then(|len| decode(self.bytes.get_mut(..len)?));
        Some(frame.map_or(Received::Other { len_bytes }, Received::Frame))
    }
}

fn decode(bytes: &mut [u8]) -> Option<Frame> {
    let len = cobs::decode_in_place(bytes).ok()?;
    let body = bytes.get(..len)?;
    let (checked, checksum) = body.split_last_chunk::<CHECKSUM_BYTES>()?;
    if CRC.checksum(checked) != u32::from_le_bytes(*checksum) {
        return None;
    }
    let (header, packed) = checked.split_first_chunk::<HEADER_BYTES>()?;
    let [version, kind, ring, vm, number @ ..] = *header;
    if !(OLDEST_VERSION..=STREAM_VERSION).contains(&version) {
        return None;
    }
    let content = match kind {
        IDENTITY => {
            let [clock_hz, start_ticks, lost] = unpack::<3>(packed)?;
            Content::Identity {
                clock_hz,
                start_ticks,
                lost,
            }
        }
        RECORD => {
            let [sequence, payload @ ..] = unpack::<MAX_WORDS>(packed)?;
            Content::Record { sequence, payload }
        }
        _ => return None,
    };
    Some(Frame {
        version,
        number: u32::from_le_bytes(number),
        ring,
        vm,
        content,
    })
}

/// Exactly `N` words, and nothing after them.
fn unpack<const N: usize>(packed: &[u8]) -> Option<[u64; N]> {
    let mut bytes = packed.iter().copied();
    let mut words = [0; N];
    for word in &mut words {
        let mask = bytes.next()?;
        let mut unpacked = [0; 8];
        for (bit, place) in unpacked.iter_mut().enumerate() {
            if mask & 1 << bit != 0 {
                *place = bytes.next()?;
            }
        }
        *word = u64::from_le_bytes(unpacked);
    }
    bytes.next().is_none().then_some(words)
}
