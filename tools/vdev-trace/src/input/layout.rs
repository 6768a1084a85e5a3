//! The versions of the layout that this tool reads (`shared_ring::LAYOUT_VERSION`), and what a record
//! of an old one says in the newest.
//!
//! Asked by `ring` for a dump, where the version stands in a ring's header, and by `serial`, where
//! each frame has it. Invariant: behind these two nobody knows that there is more than one.

use shared_ring::{LAYOUT_VERSION, Payload};
use std::fmt;
use trace_stream::STREAM_VERSION;

/// A version that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Addresses are in memory or ports, and nothing says which.
    One,
    /// A record's tag says in which space its address is.
    Two,
    /// There is one more misdeed.
    Three,
    /// A record's tag says whether an access is its VMM's word.
    Four,
}

/// Place of the tag in a record, and the bits of it that have no meaning before versions 2 and 4.
const TAG_WORD: usize = 5;
const NOTHING_BEFORE_TWO: u64 = 0b111 << 37;
const NOTHING_BEFORE_FOUR: u64 = 1 << 41;

impl Layout {
    /// The one of this number.
    pub fn of(version: u64) -> Option<Self> {
        match version {
            1 => Some(Self::One),
            2 => Some(Self::Two),
            3 => Some(Self::Three),
            LAYOUT_VERSION => Some(Self::Four),
            _ => None,
        }
    }

    /// Whether systems of this build have it.
    pub fn is_newest(self) -> bool {
        Self::of(LAYOUT_VERSION) == Some(self)
    }

    /// The one of the records in frames of this version (`trace_stream::STREAM_VERSION`).
    pub fn of_frames(version: u8) -> Option<Self> {
        match version {
            1 => Some(Self::One),
            2 => Some(Self::Three),
            STREAM_VERSION => Some(Self::Four),
            _ => None,
        }
    }

    /// A record's words as the newest version has them. What has no meaning in its own version may
    /// be anything: a VMM of that version could set it and the trace component passed it on.
    pub fn newest(self, mut payload: Payload) -> Payload {
        payload[TAG_WORD] &= !match self {
            Self::One => NOTHING_BEFORE_TWO | NOTHING_BEFORE_FOUR,
            Self::Two | Self::Three => NOTHING_BEFORE_FOUR,
            Self::Four => 0,
        };
        payload
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "1",
            Self::Two => "2",
            Self::Three => "3",
            Self::Four => "4",
        })
    }
}
