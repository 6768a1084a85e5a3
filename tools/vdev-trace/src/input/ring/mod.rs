//! One ring in a dump, read record by record, in constant memory.
//!
//! Called by `dump`, which has found its header.
//!
//! Invariant: a damaged word costs at most the record that it stands in.

pub mod header;
mod slots;

use crate::input::ring::header::Header;
use crate::input::ring::slots::{Slot, Slots};
use crate::input::source::ReadAt;
use crate::records::stream::{End, Found, Stream};
use shared_ring::{PAYLOAD_WORDS, RingKind};
use std::io;

/// Reads the records of a ring, oldest first.
pub struct RingReader<'a> {
    header: Header,
    slots: Slots<'a>,
    /// Slots read ahead.
    ready: std::vec::IntoIter<Slot>,
    position: u64,
    /// The number of the last record.
    last: u64,
    /// A slot since the last record that should hold one and does not.
    broken: bool,
    torn: u64,
    records: u64,
    missing: u64,
}

impl<'a> RingReader<'a> {
    /// A reader of the ring with this header.
    pub fn new(bytes: &'a dyn ReadAt, header: Header) -> Self {
        Self {
            slots: header.slots(bytes),
            ready: Vec::new().into_iter(),
            position: header.head.saturating_sub(header.slot_count),
            header,
            last: 0,
            broken: false,
            torn: 0,
            records: 0,
            missing: 0,
        }
    }

    /// What the ring is about.
    pub fn stream(&self, index: usize) -> Stream {
        Stream {
            index,
            vm: self.header.vm,
            kind: self.header.kind,
            clock: self.header.clock,
            place: format!("ring at {}", self.header.place),
        }
    }

    /// The next record.
    ///
    /// # Errors
    ///
    /// Those of the dump.
    pub fn next_item(&mut self) -> io::Result<Option<Found>> {
        while self.position < self.header.head {
            let Some(slot) = self.next_slot()? else {
                // The dump ends here; it goes on with the ring's first slots.
                let slots = self.header.slot_count;
                let lap_end = self.position - self.position % slots + slots;
                let cut = lap_end.min(self.header.head) - self.position;
                self.position += cut;
                self.torn += cut;
                self.broken = true;
                continue;
            };
            self.position += 1;
            let [sequence, payload @ ..] = slot;
            if self.can_be(sequence) {
                return Ok(Some(self.accept(sequence, payload)));
            }
            self.torn += 1;
            self.broken = true;
        }
        Ok(None)
    }

    fn next_slot(&mut self) -> io::Result<Option<Slot>> {
        if let Some(slot) = self.ready.next() {
            return Ok(Some(slot));
        }
        let index = self.position % self.header.slot_count;
        let until_wrap = self.header.slot_count - index;
        let count = until_wrap.min(self.header.head - self.position);
        let read = self.slots.read(index, count)?.collect::<Vec<_>>();
        self.ready = read.into_iter();
        Ok(self.ready.next())
    }

    /// Whether the slot before `position` may have this number.
    fn can_be(&self, sequence: u64) -> bool {
        // A bounded ring counts what it dropped in its numbers, an overwriting one does not.
        let dropped = match self.header.kind {
            RingKind::Trace => 0,
            _ => self.header.lost,
        };
        let newest_possible = self.position.saturating_add(dropped);
        sequence > self.last && (self.position..=newest_possible).contains(&sequence)
    }

    fn accept(&mut self, sequence: u64, payload: [u64; PAYLOAD_WORDS]) -> Found {
        let lost_before = match (self.header.kind, self.records) {
            // What a bounded ring's reader took out is not lost.
            (RingKind::Access | RingKind::Log | RingKind::Console, 0) => 0,
            _ => sequence - self.last - 1,
        };
        if self.records != 0 {
            self.missing += lost_before;
        }
        self.records += 1;
        self.last = sequence;
        Found {
            sequence,
            lost_before,
            breaks_before: u64::from(std::mem::take(&mut self.broken)),
            payload: self.header.layout.newest(payload),
        }
    }

    /// How it ended, after the last record.
    pub fn end(&self) -> End {
        let lost_after = match self.header.kind {
            RingKind::Trace => self.header.head.saturating_sub(self.last),
            _ => 0,
        };
        End {
            lost_after,
            breaks_after: u64::from(self.broken),
            records: self.records,
            overwritten: self.header.lost,
            missing: self.missing,
            torn: self.torn,
            cut: self.header.cut(),
            wrong_stamps: 0,
            other_bytes: 0,
            notes: self.header.notes.clone(),
        }
    }

    /// What the header says.
    pub fn header(&self) -> &Header {
        &self.header
    }
}
