//! One ring in a dump, read record by record, in constant memory.
//!
//! Called by `dump`. A ring describes itself (`shared_ring`, the layout's version 1), but
//! every word is a claim: what the header says is held against the slots, whose numbers tell
//! where they belong.
//!
//! Invariant: a damaged word costs at most the record that it stands in. If it is one of the
//! header's, what it should be is found from the slots.

use crate::feed::{End, Stream};
use crate::source::ReadAt;
use crate::stamps::Found;
use shared_ring::{LAYOUT_VERSION, PAYLOAD_WORDS, RingKind, SLOT_BYTES, SLOT_WORDS, header_word};
use std::collections::BTreeMap;
use std::{fmt, io};
use trace_records::{ACCESS_SLOTS, CONSOLE_SLOTS, LOG_SLOTS, TRACE_SLOTS};
use vm_components::Clock;

/// A ring's header has a page of its own.
pub const PAGE_BYTES: usize = 4096;
/// Slots that are read at once.
const CHUNK_SLOTS: usize = 1024;
/// So many of the newest slots must be wrong before the header is doubted.
const PROBED_SLOTS: u64 = 64;
/// Laps that are told apart when a header is to be found from the slots.
const MAX_LAPS: usize = 4096;
/// More slots than that no machine has.
const MAX_SLOTS: u64 = 1 << 32;

/// Where something lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// In the file, in bytes.
    pub offset: u64,
    /// Its guest-physical address, where the file tells it.
    pub address: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offset {:#x}", self.offset)?;
        match self.address {
            Some(address) => write!(f, " (address {address:#x})"),
            None => Ok(()),
        }
    }
}

/// A place that has the magic number and is no ring that this tool can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRing {
    /// Where it is.
    pub place: Place,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for BadRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ring at {}: {}", self.place, self.reason)
    }
}

/// What a ring's header says, as far as it can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Where the ring starts.
    pub place: Place,
    /// Which ring.
    pub kind: RingKind,
    /// The VM's number.
    pub vm: u8,
    /// The clock of the stamps.
    pub clock: Clock,
    /// How often the VM was reset.
    pub epoch: u64,
    /// Records lost or overwritten.
    pub lost: u64,
    /// Positions written since the start.
    pub head: u64,
    /// How many slots it has.
    pub slot_count: u64,
    /// How many of them are in the dump.
    pub slots_present: u64,
    /// What was wrong in it and how that was mended.
    pub notes: Vec<String>,
}

/// The ring of this number, if there is such a one.
pub(crate) fn kind_of(number: u8) -> Option<RingKind> {
    Some(match number {
        1 => RingKind::Access,
        2 => RingKind::Log,
        3 => RingKind::Trace,
        4 => RingKind::Console,
        _ => return None,
    })
}

/// The slots of a ring of this kind, as this version of the components makes them.
fn usual_slots(kind: RingKind) -> u64 {
    let slots = match kind {
        RingKind::Access => ACCESS_SLOTS,
        RingKind::Log => LOG_SLOTS,
        RingKind::Trace => TRACE_SLOTS,
        RingKind::Console => CONSOLE_SLOTS,
    };
    slots as u64
}

/// A slot as it stands in a dump.
type Slot = [u64; SLOT_WORDS];

/// The slots of one ring.
struct Slots<'a> {
    bytes: &'a dyn ReadAt,
    first: u64,
    /// How many are in the dump.
    present: u64,
    chunk: Vec<u8>,
}

impl Slots<'_> {
    /// Reads slots from `index` on, at most `count` and as many as fit a chunk.
    fn read(&mut self, index: u64, count: u64) -> io::Result<impl Iterator<Item = Slot> + '_> {
        let count = count
            .min(self.present.saturating_sub(index))
            .min(CHUNK_SLOTS as u64) as usize;
        self.chunk.resize(count * SLOT_BYTES, 0);
        let offset = self.first + index * SLOT_BYTES as u64;
        let len = self.bytes.read_at(&mut self.chunk, offset)?;
        Ok(self.chunk[..len]
            .as_chunks::<SLOT_BYTES>()
            .0
            .iter()
            .map(slot))
    }

    /// Calls `look` with each slot that is there, and its index.
    fn for_each(&mut self, count: u64, mut look: impl FnMut(u64, &Slot)) -> io::Result<()> {
        let mut index = 0;
        while index < count.min(self.present) {
            let before = index;
            for slot in self.read(index, count - index)? {
                look(index, &slot);
                index += 1;
            }
            if index == before {
                break;
            }
        }
        Ok(())
    }

    fn one(&mut self, index: u64) -> io::Result<Option<Slot>> {
        Ok(self.read(index, 1)?.next())
    }
}

fn slot(bytes: &[u8; SLOT_BYTES]) -> Slot {
    let words = bytes.as_chunks::<8>().0;
    std::array::from_fn(|index| u64::from_le_bytes(words[index]))
}

impl Header {
    /// Reads the header of the ring at `place`, of which `room` bytes are in the dump, and
    /// holds it against the slots.
    ///
    /// # Errors
    ///
    /// Those of the dump; inside, why it is no ring that this tool can read.
    pub fn read(bytes: &dyn ReadAt, place: Place, room: u64) -> io::Result<Result<Self, BadRing>> {
        let mut words = [0; header_word::COUNT * 8];
        let len = bytes.read_at(&mut words, place.offset)?;
        let bad = |reason: String| Ok(Err(BadRing { place, reason }));
        if len < words.len() || room < words.len() as u64 {
            return bad("the dump ends inside its header; take the dump again".into());
        }
        let words = words.as_chunks::<8>().0;
        let word = |index: usize| u64::from_le_bytes(words[index]);
        let version = word(header_word::LAYOUT_VERSION);
        if version != LAYOUT_VERSION {
            return bad(format!(
                "layout version {version}, this tool reads {LAYOUT_VERSION}; \
                 use the tool that was built with the system"
            ));
        }
        let kind_and_vm = word(header_word::KIND_AND_VM);
        let Some(kind) = kind_of(kind_and_vm as u8) else {
            let number = kind_and_vm as u8;
            return bad(format!("kind {number}, of which there is no ring"));
        };
        let mut header = Self {
            place,
            kind,
            vm: (kind_and_vm >> 8) as u8,
            clock: Clock {
                hz: word(header_word::CLOCK_HZ),
                start_ticks: word(header_word::START_TICKS),
            },
            epoch: word(header_word::EPOCH),
            lost: word(header_word::LOST),
            head: word(header_word::HEAD),
            slot_count: word(header_word::SLOT_COUNT),
            slots_present: room.saturating_sub(PAGE_BYTES as u64) / SLOT_BYTES as u64,
            notes: Vec::new(),
        };
        let slot_bytes = word(header_word::SLOT_BYTES);
        if slot_bytes != SLOT_BYTES as u64 {
            header.notes.push(format!(
                "slots of {slot_bytes} bytes, where this layout has {SLOT_BYTES}"
            ));
        }
        if header.clock.hz == 0 {
            header
                .notes
                .push("a clock of 0 Hz; times are in ticks".into());
            header.clock.hz = 1;
        }
        header.settle(bytes)?;
        Ok(Ok(header))
    }

    /// Makes the count of slots and the head what the slots say.
    fn settle(&mut self, bytes: &dyn ReadAt) -> io::Result<()> {
        let usual = usual_slots(self.kind);
        let claimed = self.slot_count;
        let possible = claimed.is_power_of_two() && claimed <= MAX_SLOTS;
        if !possible {
            self.slot_count = usual;
        }
        if self.kind == RingKind::Trace {
            let head = self.head;
            let mut slots = self.slots(bytes);
            if !self.head_fits(&mut slots)? {
                self.find_head(&mut slots, &[self.slot_count, usual])?;
            }
            self.follow_head(&mut slots)?;
            if self.head < head || head + self.slot_count < self.head {
                self.notes.push(format!(
                    "head {head}, while the slots say {}; went by the slots",
                    self.head
                ));
            }
        }
        if claimed != self.slot_count {
            self.notes.push(format!(
                "{claimed} slots, which cannot be; read as {}",
                self.slot_count
            ));
        }
        self.slots_present = self.slots_present.min(self.slot_count);
        Ok(())
    }

    fn slots<'a>(&self, bytes: &'a dyn ReadAt) -> Slots<'a> {
        Slots {
            bytes,
            first: self.place.offset + PAGE_BYTES as u64,
            present: self.slots_present,
            chunk: Vec::new(),
        }
    }

    /// Whether any of the newest slots, as the header has it, is what it should be.
    fn head_fits(&self, slots: &mut Slots<'_>) -> io::Result<bool> {
        let oldest = self.head.saturating_sub(self.slot_count.min(PROBED_SLOTS));
        for position in oldest..self.head {
            let slot = slots.one(position % self.slot_count)?;
            if slot.is_some_and(|slot| slot[0] == position + 1) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// An overwriting ring's numbers follow its positions, so the slots are from two laps at
    /// most. Finds them, with the count of slots that suits most of them.
    fn find_head(&mut self, slots: &mut Slots<'_>, counts: &[u64]) -> io::Result<()> {
        let mut best = 0;
        for &count in counts {
            // For each lap: how many slots are of it, and the greatest number.
            let mut laps = BTreeMap::<u64, (u64, u64)>::new();
            slots.for_each(count, |index, slot| {
                let Some(position) = slot[0].checked_sub(1) else {
                    return;
                };
                if position % count == index {
                    let lap = position / count;
                    if laps.len() < MAX_LAPS || laps.contains_key(&lap) {
                        let (seen, newest) = laps.entry(lap).or_default();
                        *seen += 1;
                        *newest = slot[0].max(*newest);
                    }
                }
            })?;
            for (lap, (seen, newest)) in &laps {
                let before = lap.checked_sub(1).and_then(|lap| laps.get(&lap));
                let seen = seen + before.map_or(0, |(seen, _)| *seen);
                if seen > best {
                    best = seen;
                    (self.slot_count, self.head) = (count, *newest);
                }
            }
        }
        Ok(())
    }

    /// The system may have gone on while it was dumped: the head moves on while the slot at
    /// it holds the number that comes next.
    fn follow_head(&mut self, slots: &mut Slots<'_>) -> io::Result<()> {
        for _ in 0..self.slot_count {
            let slot = slots.one(self.head % self.slot_count)?;
            if self.head == u64::MAX || slot.is_none_or(|slot| slot[0] != self.head + 1) {
                break;
            }
            self.head += 1;
        }
        Ok(())
    }

    /// Slots that are not in the dump.
    pub fn cut(&self) -> u64 {
        self.slot_count - self.slots_present
    }
}

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
            payload,
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
