//! The trace ring of a machine that runs, followed from outside, record by record.
//!
//! Invariant: from the first look on each record is read once; one that was overwritten before it was
//! read is counted as unseen. The ring's layout is `shared_ring`'s.

use crate::machine::Debugger;
use shared_ring::{MAGIC, RingMemory, SLOT_BYTES, SLOT_WORDS, header_word};
use std::io;
use trace_records::{Kind, Record, TRACE_SLOTS};

const PAGE: u64 = 4096;
const _: () =
    assert!(size_of::<RingMemory<TRACE_SLOTS>>() == PAGE as usize + TRACE_SLOTS * SLOT_BYTES);
/// New records that are left for the next look.
const LEFT: u64 = TRACE_SLOTS as u64 / 4;

/// What stood in a trace ring.
#[derive(Debug, Default)]
pub struct Records {
    at: u64,
    clock_hz: u64,
    /// The position that is read next.
    next: u64,
    /// The last access's number, if one was seen.
    last: Option<u64>,
    /// How many accesses there were.
    pub accesses: u64,
    /// Accesses whose number was there before.
    pub doubled: u64,
    /// Accesses whose numbers are missing.
    pub missing: u64,
    /// Records that were overwritten before they were read, and slots without what they should hold.
    pub unseen: u64,
}

impl Records {
    /// Those of a ring at this physical address.
    pub(super) fn of_ring_at(at: u64) -> Self {
        Self {
            at,
            ..Self::default()
        }
    }

    pub(super) fn clock_hz(&self) -> u64 {
        self.clock_hz
    }

    /// Begins to follow, if there are records.
    pub(super) fn begin(&mut self, debugger: &mut dyn Debugger) -> io::Result<bool> {
        self.next = self.head(debugger)?;
        Ok(self.next != 0)
    }

    /// Reads what there is, if it is much.
    pub(super) fn follow(&mut self, debugger: &mut dyn Debugger) -> io::Result<()> {
        match self.head(debugger)? {
            head if head - self.next > LEFT => self.read(debugger, head, |_| {}),
            _ => Ok(()),
        }
    }

    /// Reads what there is: the stamp of the first access after this time.
    pub(super) fn follow_until_after(
        &mut self,
        debugger: &mut dyn Debugger,
        time: u64,
    ) -> io::Result<Option<u64>> {
        let mut first = None;
        let head = self.head(debugger)?;
        self.read(debugger, head, |stamp| {
            if stamp > time {
                first.get_or_insert(stamp);
            }
        })?;
        Ok(first)
    }

    /// The position behind the newest record.
    fn head(&mut self, debugger: &mut dyn Debugger) -> io::Result<u64> {
        let header = words(&debugger.physical(self.at, 8 * header_word::COUNT as u64)?);
        if header.get(header_word::MAGIC) != Some(&MAGIC) {
            return Ok(self.next);
        }
        self.clock_hz = header[header_word::CLOCK_HZ];
        Ok(header[header_word::HEAD].max(self.next))
    }

    fn read(
        &mut self,
        debugger: &mut dyn Debugger,
        head: u64,
        mut see: impl FnMut(u64),
    ) -> io::Result<()> {
        let slots = TRACE_SLOTS as u64;
        // The oldest may be overwritten right now.
        let oldest = (head + 1).saturating_sub(slots);
        self.unseen += oldest.saturating_sub(self.next);
        self.next = self.next.max(oldest);
        while self.next < head {
            let slot = self.next % slots;
            let count = (head - self.next).min(slots - slot);
            let first = self.at + PAGE + slot * SLOT_BYTES as u64;
            let bytes = debugger.physical(first, count * SLOT_BYTES as u64)?;
            for record in words(&bytes).chunks_exact(SLOT_WORDS) {
                self.next += 1;
                let payload = record
                    .split_first()
                    .filter(|(number, _)| **number == self.next);
                let payload = payload.and_then(|(_, payload)| payload.try_into().ok());
                match payload.map(Record::from_words) {
                    Some(record) if record.tag.kind() == Some(Kind::Access) => {
                        self.count(record.sequence);
                        see(record.time);
                    }
                    Some(_) => {}
                    None => self.unseen += 1,
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, number: u64) {
        self.accesses += 1;
        match self.last {
            Some(last) if number <= last => return self.doubled += 1,
            Some(last) => self.missing += number - last - 1,
            None => {}
        }
        self.last = Some(number);
    }
}

fn words(bytes: &[u8]) -> Vec<u64> {
    let (words, _) = bytes.as_chunks();
    words.iter().map(|word| u64::from_le_bytes(*word)).collect()
}
