//! How a guest tells the component that has been taken over which attack it is time for.
//!
//! The guest's command line has `attack=` and the names, with commas between them. For each the
//! guest prints `attack NAME`, and writes the name's place in the list to its counter: a VMM
//! and the trace component see that in the state page, where a few ticks do not hide it. The
//! console sees the line.

/// What the upper half of the counter says when the guest rings.
const RINGS: u32 = 0xa77a;

/// Which attack a guest has asked for.
#[derive(Debug)]
pub struct Doorbell {
    /// How many attacks have been heard.
    heard: usize,
}

impl Doorbell {
    /// Nothing has been heard yet.
    pub(crate) const fn new() -> Self {
        Self { heard: 0 }
    }

    /// What the guest writes to its counter for the attack at `place` in its list.
    pub const fn number(place: u8) -> u32 {
        RINGS << 16 | (place as u32) << 8
    }

    /// The counter's value, seen by whoever attacks: the attack's place, once.
    pub fn hear(&mut self, counter: u32) -> Option<usize> {
        let place = (counter >> 8 & 0xff) as usize;
        if counter >> 16 != RINGS || place < self.heard {
            return None;
        }
        self.heard = place + 1;
        Some(place)
    }
}

/// The names in a command line.
pub fn wanted(command_line: &str) -> impl Iterator<Item = &str> {
    let mut words = command_line.split_whitespace();
    let names = words.find_map(|word| word.strip_prefix("attack="));
    names.unwrap_or_default().split(',')
}

/// The attack of that name.
pub fn find(name: &str) -> Option<&'static crate::Attack> {
    let mut all = crate::ALL.iter().copied().flatten();
    all.find(|attack| attack.name == name)
}
