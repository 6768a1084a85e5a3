//! What a peer claimed that cannot be, and what became of it: a record of the log ring, from
//! which the console makes a line.
//!
//! ```text
//! word  0: time in ticks   1: how often since the last such record   2: what, the last time
//!       3: 0 its ring is read on, 1 it is closed   4: the number that belongs to it: its ring's
//!       layout version, or 1 + the position of a record
//!       5: tag
//! ```

use crate::{Kind, Stamp, Tag};
use shared_ring::Payload;

/// What a peer did that no honest one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misdeed {
    /// Its ring has no header, or one that names another size or purpose.
    Header,
    /// A position of its ring that cannot be: backwards, or more than a ring ahead.
    Position,
    /// Positions that it says are written, and there is no record, or an old one.
    Slot,
    /// Records that are missing in a ring whose producer waits for room.
    Gap,
    /// A record of a kind that has no business in that ring, or that holds what cannot be.
    Kind,
    /// An access to a device that the VM does not have.
    Device,
    /// An access whose number does not follow.
    Number,
    /// An access beside its device, or of a width that it does not have.
    Location,
    /// Something after the VM's end, or what is told once, told again.
    AfterEnd,
    /// A reader that says it has read what was not written.
    Reader,
    /// Its ring has this layout version: it is of another build.
    Version(u64),
    /// Whoever read its ring has died of it: over the record at this position, or over none that it
    /// could name.
    Deadly(Option<u64>),
}

/// The number of [`Misdeed::Version`].
const VERSION: u64 = 10;
/// The number of [`Misdeed::Deadly`].
const DEADLY: u64 = 11;

impl Misdeed {
    /// Those that are told by their number alone, which is their place here.
    const PLAIN: [Self; VERSION as usize] = [
        Self::Header,
        Self::Position,
        Self::Slot,
        Self::Gap,
        Self::Kind,
        Self::Device,
        Self::Number,
        Self::Location,
        Self::AfterEnd,
        Self::Reader,
    ];

    /// Its number in a record.
    pub fn number(self) -> u64 {
        match self {
            Self::Version(_) => VERSION,
            Self::Deadly(_) => DEADLY,
            _ => Self::PLAIN
                .iter()
                .position(|plain| *plain == self)
                .unwrap_or(0) as u64,
        }
    }

    /// What a record tells with it; 0 if that is nothing.
    pub const fn about(self) -> u64 {
        match self {
            Self::Version(version) => version,
            Self::Deadly(Some(position)) => position.saturating_add(1),
            _ => 0,
        }
    }

    /// From a record.
    pub fn from_number(number: u64, about: u64) -> Option<Self> {
        match number {
            VERSION => Some(Self::Version(about)),
            DEADLY => Some(Self::Deadly(about.checked_sub(1))),
            _ => Self::PLAIN.get(usize::try_from(number).ok()?).copied(),
        }
    }
}

/// What becomes of a ring whose producer misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RingFate {
    /// It is read on.
    Open,
    /// Nobody reads it any more.
    Closed,
}

/// See the file's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misbehaviour {
    /// When it was told, in ticks.
    pub time: u64,
    /// How often since it was last told.
    pub count: u64,
    /// What it was the last time.
    pub last: Misdeed,
    /// What becomes of the ring.
    pub ring: RingFate,
}

impl Misbehaviour {
    /// The record as it stands in a slot, with the number of the VM whose VMM it was.
    pub fn to_words(self, vm: Stamp) -> Payload {
        let Self {
            time, count, last, ..
        } = self;
        let closed = u64::from(self.ring == RingFate::Closed);
        let tag = Tag::new(Kind::Misbehaviour).stamped(vm).0;
        [time, count, last.number(), closed, last.about(), tag, 0]
    }

    /// Reads a slot; `None` if it tells of a misdeed that there is not.
    pub fn from_words(words: &Payload) -> Option<Self> {
        Some(Self {
            time: words[0],
            count: words[1],
            last: Misdeed::from_number(words[2], words[4])?,
            ring: match words[3] {
                0 => RingFate::Open,
                1 => RingFate::Closed,
                _ => return None,
            },
        })
    }
}
