//! A ring of bytes: what is typed, from the UART's owner to one VM's VMM.
//!
//! ```text
//!   producer's page (consumer maps it read-only)        consumer's page (producer maps it read-only)
//!   ┌──────┬─────────────────────────────────────┐      ┌──────┐
//!   │ head │ 2048 bytes, eight in each word      │      │ tail │
//!   └──────┴─────────────────────────────────────┘      └──────┘
//!     bytes written since the start                       bytes read since the start
//! ```
//!
//! Beside the rings of records because nobody who types needs what those have: no byte is invalid, so there is
//! nothing to tear; none is dropped, so nothing is numbered; each is told by a notification. Who owns the UART
//! calls the producer, a VMM the consumer. Invariants: both keep their own position, and a peer's that cannot be
//! is counted and ignored; what was appended is seen when it is published; publishing twice is harmless, so
//! whoever keeps its position before it publishes may die at any moment.

use crate::{Cell, Ordering, Word};

/// Bytes that wait for their VM at most.
pub const INPUT_BYTES: usize = 2048;

const WORD_BYTES: usize = 8;
const WORDS: usize = INPUT_BYTES / WORD_BYTES;

/// What the producer alone writes. All zero: nothing was typed.
#[repr(C, align(4096))]
pub struct InputMemory<W = Cell> {
    head: W,
    words: [W; WORDS],
}

/// What the consumer alone writes. All zero: nothing was read.
#[repr(C, align(4096))]
#[derive(Default)]
pub struct InputReader<W = Cell> {
    tail: W,
}

impl InputMemory<Cell> {
    /// Zeroed memory.
    pub const fn new() -> Self {
        Self {
            head: Cell::new(0),
            words: [const { Cell::new(0) }; WORDS],
        }
    }
}

impl<W: Word> Default for InputMemory<W> {
    fn default() -> Self {
        Self {
            head: W::default(),
            words: core::array::from_fn(|_| W::default()),
        }
    }
}

impl InputReader<Cell> {
    /// Zeroed memory.
    pub const fn new() -> Self {
        Self { tail: Cell::new(0) }
    }
}

impl<W: Word> InputMemory<W> {
    /// The word of a byte, and where the byte is in it.
    fn place(&self, position: u64) -> (&W, u32) {
        let byte = position as usize % INPUT_BYTES;
        (
            &self.words[byte / WORD_BYTES],
            8 * (byte % WORD_BYTES) as u32,
        )
    }
}

/// All that an end of the ring knows: where whoever is started anew goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InputPosition {
    /// Bytes written, or read, since the start.
    pub bytes: u64,
    /// Positions that the other end has claimed and that cannot be.
    pub misbehaviour: u64,
}

/// The end that writes.
pub struct InputProducer<W: 'static = Cell> {
    memory: &'static InputMemory<W>,
    reader: &'static InputReader<W>,
    at: InputPosition,
    /// The consumer's position as last believed.
    tail: u64,
}

impl<W: Word> InputProducer<W> {
    /// Goes on where another was, which is no more, or at the default, the beginning.
    pub fn resume(
        memory: &'static InputMemory<W>,
        reader: &'static InputReader<W>,
        at: InputPosition,
    ) -> Self {
        let tail = at.bytes.saturating_sub(INPUT_BYTES as u64);
        Self {
            memory,
            reader,
            at,
            tail,
        }
    }

    /// Where this one is, to be kept before it publishes.
    pub fn position(&self) -> InputPosition {
        self.at
    }

    /// Whether another byte can be appended.
    pub fn has_room(&mut self) -> bool {
        if self.at.bytes - self.tail < INPUT_BYTES as u64 {
            return true;
        }
        let claim = self.reader.tail.load(Ordering::Acquire);
        match (self.tail..=self.at.bytes).contains(&claim) {
            true => self.tail = claim,
            false => self.at.misbehaviour = self.at.misbehaviour.saturating_add(1),
        }
        self.at.bytes - self.tail < INPUT_BYTES as u64
    }

    /// Appends a byte, which the consumer sees when it is published. Whether there was room.
    pub fn append(&mut self, byte: u8) -> bool {
        let has_room = self.has_room();
        if has_room {
            let (word, first_bit) = self.memory.place(self.at.bytes);
            // This end's own memory, so this is no claim. The other bytes in the word stay.
            let others = word.load(Ordering::Relaxed) & !(0xff << first_bit);
            word.store(others | u64::from(byte) << first_bit, Ordering::Relaxed);
            self.at.bytes += 1;
        }
        has_room
    }

    /// Shows the consumer all that was appended; it is to be notified then.
    pub fn publish(&self) {
        self.memory.head.store(self.at.bytes, Ordering::Release);
    }
}

/// The end that reads.
pub struct InputConsumer<W: 'static = Cell> {
    memory: &'static InputMemory<W>,
    reader: &'static InputReader<W>,
    at: InputPosition,
    /// The producer's position as last believed.
    head: u64,
}

impl<W: Word> InputConsumer<W> {
    /// As [`InputProducer::resume`].
    pub fn resume(
        memory: &'static InputMemory<W>,
        reader: &'static InputReader<W>,
        at: InputPosition,
    ) -> Self {
        let head = at.bytes;
        Self {
            memory,
            reader,
            at,
            head,
        }
    }

    /// Goes on where another was, which is no more.
    pub fn go_on_from(&mut self, at: InputPosition) {
        *self = Self::resume(self.memory, self.reader, at);
    }

    /// Where this one is, to be kept before it publishes.
    pub fn position(&self) -> InputPosition {
        self.at
    }

    /// Takes the oldest byte; its place stays taken until [`Self::publish`].
    pub fn take(&mut self) -> Option<u8> {
        if self.at.bytes == self.head && !self.refresh_head() {
            return None;
        }
        let (word, first_bit) = self.memory.place(self.at.bytes);
        self.at.bytes += 1;
        Some((word.load(Ordering::Relaxed) >> first_bit) as u8)
    }

    fn refresh_head(&mut self) -> bool {
        let claim = self.memory.head.load(Ordering::Acquire);
        match claim.checked_sub(self.at.bytes) {
            Some(0) => false,
            Some(ahead) if ahead <= INPUT_BYTES as u64 => {
                self.head = claim;
                true
            }
            _ => {
                self.at.misbehaviour = self.at.misbehaviour.saturating_add(1);
                false
            }
        }
    }

    /// Gives the places of all bytes that were taken back to the producer.
    pub fn publish(&self) {
        self.reader.tail.store(self.at.bytes, Ordering::Release);
    }
}
