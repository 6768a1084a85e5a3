//! A piece: some bytes that a guest has printed, as they go over the line.
//!
//! ```text
//!   0x02  VM  text …  0x03        VM: '1' to '8'
//!
//!   a byte        in the text
//!   ' ' to '~'    itself, but `\` is `\/`
//!   0x00 to 0x1f  `\@` to `\_`: the key that is pressed with Ctrl
//!   0x7f          `\?`
//!   from 0x80     `\` and two digits, `\80` to `\ff`
//! ```
//!
//! Invariant: a byte is written in one way, and what is written in another is no piece. A piece that breaks off, since
//! the console died over it, ends with the first byte that cannot be in one, and that byte is text again.

/// Bytes that a piece has at most: those of a record of the console ring.
pub const PIECE_BYTES: usize = 40;

const BEGIN: u8 = 0x02;
const END: u8 = 0x03;
const ESCAPE: u8 = b'\\';
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// See the file's header.
pub struct Piece {
    bytes: [u8; Self::WIRE_BYTES],
    len: usize,
}

impl Piece {
    const WIRE_BYTES: usize = 3 + 3 * PIECE_BYTES;

    /// The first [`PIECE_BYTES`] of what the VM with this number, 0 to 7, has printed.
    pub fn new(vm: u8, printed: &[u8]) -> Self {
        let mut piece = Self {
            bytes: [0; Self::WIRE_BYTES],
            len: 0,
        };
        piece.extend(&[BEGIN, b'1' + vm % 8]);
        for byte in printed.iter().take(PIECE_BYTES) {
            piece.escape(*byte);
        }
        piece.extend(&[END]);
        piece
    }

    /// As it goes over the line.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn escape(&mut self, byte: u8) {
        match byte {
            ESCAPE => self.extend(b"\\/"),
            b' '..=b'~' => self.extend(&[byte]),
            0x00..=0x1f => self.extend(&[ESCAPE, byte + b'@']),
            0x7f => self.extend(b"\\?"),
            0x80.. => {
                let [high, low] = [byte >> 4, byte & 0xf].map(|digit| DIGITS[usize::from(digit)]);
                self.extend(&[ESCAPE, high, low]);
            }
        }
    }

    /// There is room for the longest.
    fn extend(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        self.bytes[self.len..end].copy_from_slice(bytes);
        self.len = end;
    }
}

/// What a byte on the line adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded {
    /// A byte of the text between the pieces.
    Text(u8),
    /// A byte that a VM has printed.
    Printed {
        /// The VM's number, counted from 0.
        vm: u8,
        /// The byte.
        byte: u8,
    },
}

/// Takes a line apart. It hands on the bytes of a piece as they come.
#[derive(Debug, Clone, Copy, Default)]
pub struct Decoder {
    at: At,
    /// Pieces that broke off, or were none.
    pub broken: u64,
}

/// Where in the line it is.
#[derive(Debug, Clone, Copy, Default)]
enum At {
    #[default]
    Text,
    Vm,
    Piece {
        vm: u8,
    },
    Escape {
        vm: u8,
    },
    /// The low digit of a byte is next.
    Digit {
        vm: u8,
        high: u8,
    },
}

impl Decoder {
    /// The next byte of the line. `None` if it adds nothing by itself.
    pub fn push(&mut self, byte: u8) -> Option<Decoded> {
        let printed = |vm, byte| Some(Decoded::Printed { vm, byte });
        let piece = |vm| At::Piece { vm };
        let (at, decoded) = match (self.at, byte) {
            (At::Text, BEGIN) => (At::Vm, None),
            (At::Text, byte) => (At::Text, Some(Decoded::Text(byte))),
            (At::Vm, b'1'..=b'8') => (piece(byte - b'1'), None),
            (At::Piece { .. }, END) => (At::Text, None),
            (At::Piece { vm }, ESCAPE) => (At::Escape { vm }, None),
            (At::Piece { vm }, b' '..=b'~') => (piece(vm), printed(vm, byte)),
            (At::Escape { vm }, b'/') => (piece(vm), printed(vm, ESCAPE)),
            (At::Escape { vm }, b'?') => (piece(vm), printed(vm, 0x7f)),
            (At::Escape { vm }, b'@'..=b'_') => (piece(vm), printed(vm, byte - b'@')),
            (At::Escape { vm }, b'8' | b'9' | b'a'..=b'f') => {
                let high = digit(byte).unwrap_or(0);
                (At::Digit { vm, high }, None)
            }
            (At::Digit { vm, high }, b'0'..=b'9' | b'a'..=b'f') => {
                let low = digit(byte).unwrap_or(0);
                (piece(vm), printed(vm, high << 4 | low))
            }
            // Not in a piece, but it may begin one.
            (_, BEGIN) => {
                self.broken += 1;
                (At::Vm, None)
            }
            (_, byte) => {
                self.broken += 1;
                (At::Text, Some(Decoded::Text(byte)))
            }
        };
        self.at = at;
        decoded
    }
}

fn digit(character: u8) -> Option<u8> {
    let place = DIGITS.iter().position(|digit| *digit == character)?;
    u8::try_from(place).ok()
}
