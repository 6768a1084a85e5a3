//! A ring as a stream: what is known before its first record, each record, and its sums.
//!
//! Made by the readers of inputs, read by all outputs.

use shared_ring::{Payload, RingKind};
use vm_components::Clock;

/// What is known about a ring before its first record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Its number among those that are read, from 0 on.
    pub index: usize,
    /// The VM's number.
    pub vm: u8,
    /// Which ring of the VM.
    pub kind: RingKind,
    /// The clock of the stamps.
    pub clock: Clock,
    /// Where it comes from, in words.
    pub place: String,
}

impl Stream {
    /// The ticks since the start at `time`, and 0 before it.
    pub fn since_start(&self, time: u64) -> u64 {
        time.saturating_sub(self.clock.start_ticks)
    }

    /// Ticks as nanoseconds.
    pub fn nanoseconds(&self, ticks: u64) -> u128 {
        u128::from(ticks) * 1_000_000_000 / u128::from(self.clock.hz.max(1))
    }
}

/// A record as it was read, and what is missing before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// See [`Item::sequence`].
    pub sequence: u64,
    /// See [`Item::lost_before`].
    pub lost_before: u64,
    /// See [`Item::breaks_before`].
    pub breaks_before: u64,
    /// See [`Item::payload`].
    pub payload: Payload,
}

/// A record, and what is missing before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Its number in the ring; the first is 1.
    pub sequence: u64,
    /// Records between the one before and this one, by their numbers.
    pub lost_before: u64,
    /// Pieces of the input between the two that could not be read: a run of slots of a dump,
    /// a frame of a serial line.
    pub breaks_before: u64,
    /// Its words.
    pub payload: Payload,
    /// When it was, in ticks since the system's start; never before the one before.
    pub time: u64,
    /// What its stamp says instead, if that cannot be (`stamps`).
    pub wrong_stamp: Option<u64>,
}

/// How a ring ended, and its sums.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct End {
    /// Records missing after the last one.
    pub lost_after: u64,
    /// As [`Item::breaks_before`], after the last one.
    pub breaks_after: u64,
    /// Records that were read.
    pub records: u64,
    /// Records overwritten or dropped, as the ring itself counts.
    pub overwritten: u64,
    /// Records missing between those that were read.
    pub missing: u64,
    /// Slots that should hold a record and do not.
    pub torn: u64,
    /// Slots that are not in the input; those of them that held records are counted as torn.
    pub cut: u64,
    /// Records whose stamps cannot be.
    pub wrong_stamps: u64,
    /// Bytes of the input that belong to nothing.
    pub other_bytes: u64,
    /// What was wrong and how it was mended.
    pub notes: Vec<String>,
}

impl End {
    /// Whether something of the ring was damaged.
    pub fn is_damaged(&self) -> bool {
        self.torn != 0
            || self.cut != 0
            || self.breaks_after != 0
            || self.wrong_stamps != 0
            || !self.notes.is_empty()
    }
}
