//! The options of a device: what a configuration may say, and what it has said.
//!
//! The types are few, so that the configuration compiler knows them all; what it has read is a number of 64
//! bits each, whatever the type, and a protection domain parses nothing.

/// Options that a kind of device may have.
pub const MAX_OPTIONS: usize = 4;

/// An option that devices of one kind have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionKind {
    /// The word for it.
    pub name: &'static str,
    /// What follows the word.
    pub is: OptionType,
    /// How it is given, for whoever has made a mistake: `time 2026-01-01T00:00:00Z`.
    pub example: &'static str,
}

impl OptionKind {
    /// When a clock begins: `time`.
    pub const TIME: Self = Self {
        name: "time",
        is: OptionType::Time,
        example: "time 2026-01-01T00:00:00Z",
    };
    /// The line of its interrupt at a GIC, by its INTID: `intr`.
    pub const INTR: Self = Self {
        name: "intr",
        is: OptionType::Interrupt { most: 1019 },
        example: "intr gic:34",
    };
}

/// What an option is, and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionType {
    /// The word alone. It becomes 1.
    Flag,
    /// A number in this range.
    Number {
        /// The smallest.
        least: u64,
        /// The largest.
        most: u64,
    },
    /// A time in UTC, as RFC 3339 has it. It becomes the seconds since 1970-01-01T00:00:00Z.
    Time,
    /// Printable characters. They become a number, the first in its lowest byte.
    Text {
        /// How many at most, 1 to 8.
        most_bytes: usize,
    },
    /// The number of an interrupt line, in this range: the line that [`Kind::interrupt`](crate::Kind)
    /// drives.
    Interrupt {
        /// The largest.
        most: u64,
    },
}

/// What a configuration says of a device, by the places of its kind's options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Options(pub [Option<u64>; MAX_OPTIONS]);

impl Options {
    /// That nothing is said.
    pub const NONE: Self = Self([None; MAX_OPTIONS]);

    /// The option at this place of the kind's list, if it was given.
    pub fn get(&self, place: usize) -> Option<u64> {
        self.0.get(place).copied().flatten()
    }
}

impl OptionType {
    /// Whether it can have become this.
    pub fn can_be(self, value: u64) -> bool {
        match self {
            Self::Flag => value == 1,
            Self::Number { least, most } => (least..=most).contains(&value),
            Self::Time => true,
            Self::Text { most_bytes } => {
                let bytes = value.to_le_bytes();
                let len_bytes = bytes
                    .iter()
                    .rposition(|byte| *byte != 0)
                    .map_or(0, |last| last + 1);
                let is_text = bytes[..len_bytes].iter().all(u8::is_ascii_graphic);
                (1..=most_bytes).contains(&len_bytes) && is_text
            }
            Self::Interrupt { most } => value <= most,
        }
    }
}
