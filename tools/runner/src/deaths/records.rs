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
    /// The position that is read next, and the one behind the newest record, as of the last look.
    next: u64,
    head: u64,
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

    /// How many records there were at the last look, also those from before it was begun to follow.
    pub(super) fn written(&self) -> u64 {
        self.head
    }

    /// Begins to follow, if there are records.
    pub(super) fn begin(&mut self, debugger: &mut dyn Debugger) -> io::Result<bool> {
        self.look(debugger)?;
        self.next = self.head;
        Ok(self.next != 0)
    }

    /// Reads what there is, if it is much.
    pub(super) fn follow(&mut self, debugger: &mut dyn Debugger) -> io::Result<()> {
        self.look(debugger)?;
        match self.head - self.next > LEFT {
            true => self.read(debugger, |_| {}),
            false => Ok(()),
        }
    }

    /// Reads what there is: the stamp of the first access after this time.
    pub(super) fn follow_until_after(
        &mut self,
        debugger: &mut dyn Debugger,
        time: u64,
    ) -> io::Result<Option<u64>> {
        let mut first = None;
        self.look(debugger)?;
        self.read(debugger, |stamp| {
            if stamp > time {
                first.get_or_insert(stamp);
            }
        })?;
        Ok(first)
    }

    /// Reads how far the ring is, once there is one.
    fn look(&mut self, debugger: &mut dyn Debugger) -> io::Result<()> {
        let header = words(&debugger.physical(self.at, 8 * header_word::COUNT as u64)?);
        if header.get(header_word::MAGIC) == Some(&MAGIC) {
            self.clock_hz = header[header_word::CLOCK_HZ];
            self.head = header[header_word::HEAD].max(self.next);
        }
        Ok(())
    }

    fn read(&mut self, debugger: &mut dyn Debugger, mut see: impl FnMut(u64)) -> io::Result<()> {
        let (head, slots) = (self.head, TRACE_SLOTS as u64);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::code::Code;
    use trace_records::Tag;

    const AT: u64 = 0x10_0000;

    /// A machine of which there is nothing but a trace ring.
    struct RingAlone(Vec<u64>);

    impl RingAlone {
        fn new() -> Self {
            Self(vec![0; size_of::<RingMemory<TRACE_SLOTS>>() / 8])
        }

        fn begin(&mut self) {
            self.0[header_word::MAGIC] = MAGIC;
            self.0[header_word::CLOCK_HZ] = 62_500_000;
        }

        /// Writes the record of an access with this number, made at this time.
        fn push(&mut self, sequence: u64, time: u64) {
            let mut record = Record::from_words(&[0; SLOT_WORDS - 1]);
            (record.tag, record.sequence, record.time) = (Tag::new(Kind::Access), sequence, time);
            let position = self.0[header_word::HEAD];
            let slot = PAGE as usize / 8 + position as usize % TRACE_SLOTS * SLOT_WORDS;
            self.0[slot] = position + 1;
            self.0[slot + 1..slot + SLOT_WORDS].copy_from_slice(&record.to_words());
            self.0[header_word::HEAD] = position + 1;
        }
    }

    impl Debugger for RingAlone {
        fn physical(&mut self, first: u64, len_bytes: u64) -> io::Result<Vec<u8>> {
            let words = self.0.iter().skip((first - AT) as usize / 8);
            let bytes = words.flat_map(|word| word.to_le_bytes());
            Ok(bytes.take(len_bytes as usize).collect())
        }

        fn run(&mut self, _: u64) -> io::Result<()> {
            unreachable!("records are read in no time")
        }

        fn step(&mut self) -> io::Result<()> {
            self.run(1)
        }

        fn pc(&mut self) -> io::Result<u64> {
            unreachable!("there is no CPU")
        }

        fn set_pc(&mut self, _: u64) -> io::Result<()> {
            self.pc().map(drop)
        }

        fn next_bytes(&mut self, _: u64) -> io::Result<Vec<u8>> {
            self.pc().map(|_| Vec::new())
        }

        fn now(&mut self, _: &Code) -> io::Result<u64> {
            self.pc()
        }

        fn let_go(&mut self) -> io::Result<()> {
            self.run(1)
        }
    }

    #[test]
    fn all_records_are_counted_as_written_and_those_since_the_beginning_are_read() {
        let (mut ring, mut records) = (RingAlone::new(), Records::of_ring_at(AT));
        assert!(!records.begin(&mut ring).unwrap());
        ring.begin();
        assert!(!records.begin(&mut ring).unwrap());
        for number in 1..=3 {
            ring.push(number, 100 * number);
        }
        assert!(records.begin(&mut ring).unwrap());
        assert_eq!((records.written(), records.accesses), (3, 0));
        assert_eq!(records.clock_hz(), 62_500_000);
        for number in 4..=6 {
            ring.push(number, 100 * number);
        }
        let next = records.follow_until_after(&mut ring, 450);
        assert_eq!(next.unwrap(), Some(500));
        assert_eq!((records.written(), records.accesses), (6, 3));
        // Those that are left for later have been written all the same.
        ring.push(7, 700);
        records.follow(&mut ring).unwrap();
        assert_eq!((records.written(), records.accesses), (7, 3));
    }

    #[test]
    fn what_is_missing_doubled_or_overwritten_is_counted() {
        let (mut ring, mut records) = (RingAlone::new(), Records::of_ring_at(AT));
        ring.begin();
        ring.push(1, 1);
        records.begin(&mut ring).unwrap();
        for number in [2, 3, 6, 6, 7] {
            ring.push(number, number);
        }
        records.follow_until_after(&mut ring, 0).unwrap();
        let of = |records: &Records| (records.missing, records.doubled, records.unseen);
        assert_eq!(of(&records), (2, 1, 0));
        for number in 8..=8 + TRACE_SLOTS as u64 {
            ring.push(number, number);
        }
        records.follow(&mut ring).unwrap();
        // The oldest that is still there may be overwritten next.
        assert_eq!(of(&records), (4, 1, 2));
    }
}
