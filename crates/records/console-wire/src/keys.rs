//! What is typed: bytes for a guest, and commands behind a prefix.
//!
//! The console obeys the commands, the runner passes them on or, like the one that ends a run, obeys them
//! itself. Invariant: a byte is the guest's or a command's, and which of both is decided by typed bytes alone.

/// Ctrl-A: the next byte is a command.
pub const PREFIX: u8 = 0x01;

/// What a byte means, or the two of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A byte for the VM that is typed at. Ctrl-A twice is one of them.
    Byte(u8),
    /// From here on the VM with this number, counted from 0, is typed at. The key counts from 1.
    Choose(u8),
    /// What guests print is to come in pieces.
    Pieces,
    /// What guests print is to come in lines.
    Lines,
    /// The commands are to be told.
    Help,
    /// The run is to end.
    End,
    /// No command.
    Unknown,
}

impl Key {
    /// The bytes that are typed for it.
    pub fn bytes(self) -> impl Iterator<Item = u8> {
        let (prefix, byte) = match self {
            Self::Byte(PREFIX) => (Some(PREFIX), PREFIX),
            Self::Byte(byte) => (None, byte),
            Self::Choose(vm) => (Some(PREFIX), b'1'.wrapping_add(vm)),
            Self::Pieces => (Some(PREFIX), b'p'),
            Self::Lines => (Some(PREFIX), b'l'),
            Self::Help => (Some(PREFIX), b'h'),
            Self::End => (Some(PREFIX), b'x'),
            Self::Unknown => (Some(PREFIX), b'?'),
        };
        prefix.into_iter().chain([byte])
    }
}

/// What has been typed so far, as far as it matters: whether the prefix was last. Plain data, so that it can
/// be kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keys {
    is_prefixed: bool,
}

impl Keys {
    /// Another byte is typed. `None` if more has to come.
    pub fn press(&mut self, byte: u8) -> Option<Key> {
        if !core::mem::take(&mut self.is_prefixed) {
            self.is_prefixed = byte == PREFIX;
            return (!self.is_prefixed).then_some(Key::Byte(byte));
        }
        Some(match byte {
            PREFIX => Key::Byte(PREFIX),
            b'1'..=b'8' => Key::Choose(byte - b'1'),
            b'p' => Key::Pieces,
            b'l' => Key::Lines,
            b'h' => Key::Help,
            b'x' => Key::End,
            _ => Key::Unknown,
        })
    }
}
