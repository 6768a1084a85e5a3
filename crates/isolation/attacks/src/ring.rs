//! A ring as a hostile producer sees it: words that it may write as it likes.
//!
//! The layout is `shared_ring`'s, told again from its description and not taken from its code:
//! a page of header, then slots of eight words, the first of which is the sequence number.

use crate::hands::{Hands, Place};
use shared_ring::{MAGIC, Payload, RingKind, SLOT_BYTES, SLOT_WORDS, header_word};

/// Words of the page before the slots.
pub const HEADER_WORDS: u64 = 512;

/// A ring of the component's own, with the position and the number of its next record.
#[derive(Debug, Clone, Copy)]
pub struct Ring {
    /// Where it is.
    pub place: Place,
    /// The page in which its reader says how far it is.
    pub reader: Place,
    /// How many slots it has.
    pub slots: u64,
    /// Where the next record goes.
    pub head: u64,
    /// The number of the last record.
    pub sequence: u64,
}

impl Ring {
    /// An empty ring.
    pub const fn new(place: Place, reader: Place, slots: usize) -> Self {
        Self {
            place,
            reader,
            slots: slots as u64,
            head: 0,
            sequence: 0,
        }
    }

    /// A ring that somebody else has filled so far: an honest producer, or this component before it
    /// died.
    pub fn after_another(mut self, hands: &mut dyn Hands) -> Self {
        self.head = hands.load(self.place, header_word::HEAD as u64);
        self.sequence = match self.head {
            0 => 0,
            head => hands.load(self.place, self.slot(head - 1)),
        };
        self
    }

    /// Sets the header up as an honest producer does.
    pub fn publish(&self, kind: RingKind, hands: &mut dyn Hands) {
        let hz = hands.hz();
        for (word, value) in [
            (header_word::LAYOUT_VERSION, shared_ring::LAYOUT_VERSION),
            (header_word::SLOT_BYTES, SLOT_BYTES as u64),
            (header_word::SLOT_COUNT, self.slots),
            (header_word::KIND_AND_VM, kind as u64),
            (header_word::CLOCK_HZ, hz),
            (header_word::MAGIC, MAGIC),
        ] {
            hands.store(self.place, word as u64, value);
        }
    }

    /// The first word of a position's slot.
    pub const fn slot(&self, position: u64) -> u64 {
        HEADER_WORDS + position % self.slots * SLOT_WORDS as u64
    }

    /// Whether the reader has made room.
    pub fn has_room(&self, hands: &mut dyn Hands) -> bool {
        let tail = hands.load(self.reader, 0);
        self.head.wrapping_sub(tail) < self.slots
    }

    /// Appends a record as an honest producer does, if there is room.
    pub fn push(&mut self, payload: &Payload, hands: &mut dyn Hands) -> bool {
        let has_room = self.has_room(hands);
        if has_room {
            self.sequence += 1;
            self.put(self.sequence, payload, hands);
        }
        has_room
    }

    /// Says that the ring is full, as far as its reader could believe it, and writes no record.
    pub fn fill_with_nothing(&mut self, hands: &mut dyn Hands) {
        self.head = hands.load(self.reader, 0) + self.slots;
        hands.store(self.place, header_word::HEAD as u64, self.head);
    }

    /// Appends a record with any number, over whatever is there.
    pub fn put(&mut self, sequence: u64, payload: &Payload, hands: &mut dyn Hands) {
        let slot = self.slot(self.head);
        hands.store(self.place, slot, 0);
        for (word, value) in (slot + 1..).zip(payload) {
            hands.store(self.place, word, *value);
        }
        hands.store(self.place, slot, sequence);
        self.head += 1;
        hands.store(self.place, header_word::HEAD as u64, self.head);
    }
}
