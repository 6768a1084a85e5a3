//! The sending side: frames of a fixed longest length, made without a heap.
//!
//! Called by whoever owns the serial line, from one context. Invariant: a frame holds no zero
//! but its first and last byte.

use crate::{BODY_BYTES, CRC, Content, FRAME_BYTES, IDENTITY, MAX_WORDS, RECORD, STREAM_VERSION};

/// Numbers the frames of one line and encodes them.
#[derive(Debug, Default)]
pub struct Encoder {
    sent: u64,
}

/// A frame as it goes over the line.
pub struct WireFrame {
    bytes: [u8; FRAME_BYTES],
    len: usize,
}

impl WireFrame {
    /// The bytes to send, at most [`FRAME_BYTES`].
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Encoder {
    /// An encoder whose first frame has number 0.
    pub const fn new() -> Self {
        Self::resume(0)
    }

    /// Goes on behind so many frames of another, which is no more.
    pub const fn resume(sent: u64) -> Self {
        Self { sent }
    }

    /// How many frames the line has had.
    pub const fn sent(&self) -> u64 {
        self.sent
    }

    /// The next frame, about ring `ring` of VM `vm`.
    pub fn encode(&mut self, ring: u8, vm: u8, content: &Content) -> WireFrame {
        let mut body = Body::default();
        let (kind, words, count) = words(content);
        body.extend(&[STREAM_VERSION, kind, ring, vm]);
        // Numbers are modulo 2^32.
        body.extend(&(self.sent as u32).to_le_bytes());
        self.sent += 1;
        for word in &words[..count] {
            body.extend_packed(*word);
        }
        let checksum = CRC.checksum(body.bytes());
        body.extend(&checksum.to_le_bytes());
        let mut frame = WireFrame {
            bytes: [0; FRAME_BYTES],
            len: 0,
        };
        let encoded = cobs::encode(body.bytes(), &mut frame.bytes[1..]);
        frame.len = encoded + 2;
        frame
    }
}

fn words(content: &Content) -> (u8, [u64; MAX_WORDS], usize) {
    let mut words = [0; MAX_WORDS];
    match content {
        Content::Identity {
            clock_hz,
            start_ticks,
            lost,
        } => {
            words[..3].copy_from_slice(&[*clock_hz, *start_ticks, *lost]);
            (IDENTITY, words, 3)
        }
        Content::Record { sequence, payload } => {
            words[0] = *sequence;
            words[1..].copy_from_slice(payload);
            (RECORD, words, MAX_WORDS)
        }
    }
}

struct Body {
    bytes: [u8; BODY_BYTES],
    len: usize,
}

impl Default for Body {
    fn default() -> Self {
        Self {
            bytes: [0; BODY_BYTES],
            len: 0,
        }
    }
}

impl Body {
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn extend(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn extend_packed(&mut self, word: u64) {
        let mask_at = self.len;
        self.len += 1;
        for (bit, byte) in word.to_le_bytes().into_iter().enumerate() {
            if byte != 0 {
                self.bytes[mask_at] |= 1 << bit;
                self.bytes[self.len] = byte;
                self.len += 1;
            }
        }
    }
}
