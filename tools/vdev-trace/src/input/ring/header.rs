//! What a ring's header says, as far as it can be.
//!
//! A ring describes itself (`shared_ring`, in one of the versions of `layout`), but every word is a claim: what
//! the header says is held against the slots, whose numbers tell where they belong. Called by `dump`,
//! once for each ring.
//!
//! Invariant: a header that is damaged in one word is mended from the slots, and says so.

use crate::input::layout::Layout;
use crate::input::places::Place;
use crate::input::ring::slots::Slots;
use crate::input::source::ReadAt;
use shared_ring::{RingKind, SLOT_BYTES, header_word};
use std::collections::BTreeMap;
use std::{fmt, io};
use trace_records::{ACCESS_SLOTS, CONSOLE_SLOTS, LOG_SLOTS, TRACE_SLOTS};
use vm_components::Clock;

/// A ring's header has a page of its own.
pub const PAGE_BYTES: usize = 4096;

/// So many of the newest slots must be wrong before the header is doubted.
const PROBED_SLOTS: u64 = 64;

/// Laps that are told apart when a header is to be found from the slots.
const MAX_LAPS: usize = 4096;

/// More slots than that no machine has.
const MAX_SLOTS: u64 = 1 << 32;

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
    /// The version of its layout.
    pub layout: Layout,
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
        let Some(layout) = Layout::of(version) else {
            return bad(format!(
                "layout version {version}, this tool reads {} to {}; \
                 use the tool that was built with the system",
                Layout::One,
                Layout::Four
            ));
        };
        let kind_and_vm = word(header_word::KIND_AND_VM);
        let Some(kind) = kind_of(kind_and_vm as u8) else {
            let number = kind_and_vm as u8;
            return bad(format!("kind {number}, of which there is no ring"));
        };
        let mut header = Self {
            place,
            layout,
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
        } else {
            let mut slots = self.slots(bytes);
            self.follow_head(&mut slots)?;
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

    pub(super) fn slots<'a>(&self, bytes: &'a dyn ReadAt) -> Slots<'a> {
        let first = self.place.offset + PAGE_BYTES as u64;
        Slots::new(bytes, first, self.slots_present)
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

    /// The system may have gone on while it was dumped, and a component publishes what it has written in
    /// runs: the head moves on while the slot at it holds the number that comes next. One in between may
    /// be empty: it is being written by whoever follows a component that died, and behind it is what the
    /// dead one had written.
    fn follow_head(&mut self, slots: &mut Slots<'_>) -> io::Result<()> {
        let published = self.head;
        let newest = self.newest_number(slots)?;
        for ahead in 1..=self.slot_count {
            let follows = match self.number_at(self.head, slots)? {
                0 => {
                    let behind = self.number_at(self.head.saturating_add(1), slots)?;
                    newest.checked_add(ahead + 1) == Some(behind)
                }
                at => newest.checked_add(ahead) == Some(at),
            };
            if !follows || self.head == u64::MAX {
                break;
            }
            self.head += 1;
        }
        if self.kind == RingKind::Trace && self.head != published {
            self.lost = self.lost.max(self.head.saturating_sub(self.slot_count));
        }
        Ok(())
    }

    /// The number of the record before the head. An overwriting ring's follow its positions; a bounded one
    /// counts what it dropped, and one that is too small for its place is damaged.
    fn newest_number(&self, slots: &mut Slots<'_>) -> io::Result<u64> {
        let before = self.head.wrapping_sub(1);
        Ok(match self.kind {
            RingKind::Trace => self.head,
            _ if self.head == 0 => 0,
            _ => self.number_at(before, slots)?.max(self.head),
        })
    }

    fn number_at(&self, position: u64, slots: &mut Slots<'_>) -> io::Result<u64> {
        let slot = slots.one(position % self.slot_count)?;
        Ok(slot.map_or(0, |slot| slot[0]))
    }

    /// Slots that are not in the dump.
    pub fn cut(&self) -> u64 {
        self.slot_count - self.slots_present
    }
}
