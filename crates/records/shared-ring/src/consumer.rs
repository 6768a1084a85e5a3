//! The reading sides of a ring.
//!
//! [`Consumer`] takes records out and tells the producer so; [`Observer`] only looks, and
//! the producer never learns of it. Invariant: whatever the producer's memory says, a
//! reader stays inside the ring, makes progress, and never hands out a torn record. A consumer
//! reads one slot for each record that its producer has written, and one more for each claim
//! that turns out wrong: a number stored in a header costs no more than that.

use crate::Cell;
use crate::fault::RingFault;
use crate::memory::{ConsumerPage, Payload, RingKind, RingMemory, Word, header_word};
use core::sync::atomic::Ordering;

/// A record taken out of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Its sequence number in the ring; the first is 1.
    pub sequence: u64,
    /// How many records were lost between the one taken before and this one.
    pub lost_before: u64,
    /// A copy of what the producer wrote. Every field of it is a claim.
    pub payload: Payload,
}

/// Takes records out of a ring that a [`crate::BoundedProducer`] fills.
pub struct Consumer<const SLOTS: usize, W: 'static = Cell> {
    ring: &'static RingMemory<SLOTS, W>,
    page: &'static ConsumerPage<W>,
    kind: RingKind,
    at: ReadPosition,
}

/// All that a [`Consumer`] knows: where whoever is started anew goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReadPosition {
    tail: u64,
    /// The producer's position as last believed.
    head: u64,
    sequence: u64,
    waits_seen: u64,
    lost: u64,
    misbehaviour: u64,
    last_fault: Option<RingFault>,
}

impl ReadPosition {
    /// How many records have been taken or skipped: the position that is read next.
    pub fn taken(&self) -> u64 {
        self.tail
    }
}

impl<const SLOTS: usize, W: Word> Consumer<SLOTS, W> {
    /// Reads from `ring`, telling its producer through `page`, which nobody else can write.
    pub fn new(
        ring: &'static RingMemory<SLOTS, W>,
        page: &'static ConsumerPage<W>,
        kind: RingKind,
    ) -> Self {
        Self::resume(ring, page, kind, ReadPosition::default())
    }

    /// Goes on where another, which is no more, was when it kept its position. Call
    /// [`Self::publish`] before the producer is to see that.
    pub fn resume(
        ring: &'static RingMemory<SLOTS, W>,
        page: &'static ConsumerPage<W>,
        kind: RingKind,
        at: ReadPosition,
    ) -> Self {
        Self {
            ring,
            page,
            kind,
            at,
        }
    }

    /// Where this one is, to be kept.
    #[inline(always)]
    pub fn position(&self) -> &ReadPosition {
        &self.at
    }

    /// Takes the oldest record out and gives its place back to the producer.
    #[inline(always)]
    pub fn pop(&mut self) -> Option<Item> {
        let before = self.at.tail;
        let item = self.take();
        if self.at.tail != before {
            self.publish();
        }
        item
    }

    /// Gives the places of all records that were taken back to the producer.
    #[inline(always)]
    pub fn publish(&self) {
        self.page.tail.store(self.at.tail, Ordering::Release);
    }

    /// Takes the oldest record out; its place stays taken until [`Self::publish`].
    ///
    /// Where it should be and is not, the producer has lied about its head: all that it claimed
    /// is skipped unread, and counts once as its misbehaviour.
    #[inline(always)]
    pub fn take(&mut self) -> Option<Item> {
        if self.at.tail == self.at.head && !self.refresh_head() {
            return None;
        }
        let (sequence, payload) = self.ring.read(self.at.tail);
        if sequence <= self.at.sequence {
            self.reject_claim();
            return None;
        }
        self.at.tail += 1;
        let lost_before = sequence - self.at.sequence - 1;
        self.at.sequence = sequence;
        if lost_before != 0 {
            self.at.lost = self.at.lost.saturating_add(lost_before);
        }
        Some(Item {
            sequence,
            lost_before,
            payload,
        })
    }

    /// Whether there are records, by what is known of the producer; it is asked when there seem to be none.
    pub fn has_more(&self) -> bool {
        self.at.tail != self.at.head
    }

    /// Goes on behind all that was claimed. To stay would be to look at the same slot for ever.
    #[cold]
    fn reject_claim(&mut self) {
        self.at.tail = self.at.head;
        self.blame(RingFault::Slot);
    }

    fn blame(&mut self, fault: RingFault) {
        self.at.misbehaviour = self.at.misbehaviour.saturating_add(1);
        self.at.last_fault = Some(fault);
    }

    #[cold]
    fn refresh_head(&mut self) -> bool {
        let claim = self.ring.header(header_word::HEAD).load(Ordering::Acquire);
        if claim == self.at.head {
            return false;
        }
        // The range check keeps `tail` and `head` at most one ring apart, so `pop` ends.
        let possible = claim > self.at.tail && claim - self.at.tail <= SLOTS as u64;
        if !possible {
            self.blame(RingFault::Position);
            return false;
        }
        if let Err(fault) = self.ring.check(self.kind) {
            self.blame(fault);
            return false;
        }
        self.at.head = claim;
        true
    }

    /// Asks to be woken once `records` more (at least one) have been published, and says
    /// whether it is safe to sleep: `false` means they are here already.
    pub fn sleep_until(&mut self, records: u64) -> bool {
        let wake_at = self.at.tail + records.max(1) - 1;
        self.page.wake_at.store(wake_at, Ordering::Relaxed);
        W::fence(Ordering::SeqCst);
        // What `pop` would not believe is no reason to stay awake; `pop` counts it.
        let head = self.ring.header(header_word::HEAD).load(Ordering::Relaxed);
        head <= wake_at || head - self.at.tail > SLOTS as u64 || self.ring.check(self.kind).is_err()
    }

    /// Whether the producer has started to wait since this was last asked. It wants to be
    /// notified, after all that this consumer publishes on account of the records taken.
    pub fn take_waiter(&mut self) -> bool {
        W::fence(Ordering::SeqCst);
        let waits = self
            .ring
            .header(header_word::WAITING)
            .load(Ordering::Relaxed);
        core::mem::replace(&mut self.at.waits_seen, waits) != waits
    }

    /// Records lost so far, by the gaps in the sequence numbers.
    pub fn lost(&self) -> u64 {
        self.at.lost
    }

    /// Claims of the producer that cannot be.
    pub fn misbehaviour(&self) -> u64 {
        self.at.misbehaviour
    }

    /// What was wrong with the last of them.
    pub fn last_fault(&self) -> Option<RingFault> {
        self.at.last_fault
    }
}

/// Looks at a ring that an [`crate::OverwritingProducer`] fills, without its knowledge.
pub struct Observer<const SLOTS: usize, W: 'static = Cell> {
    ring: &'static RingMemory<SLOTS, W>,
    position: u64,
}

/// What an [`Observer`] saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observation {
    /// A whole record, with its sequence number.
    Record(u64, Payload),
    /// That many records were overwritten before they could be read.
    Lost(u64),
}

impl<const SLOTS: usize, W: Word> Observer<SLOTS, W> {
    /// Starts at the oldest record.
    pub fn new(ring: &'static RingMemory<SLOTS, W>) -> Self {
        Self::resume(ring, 0)
    }

    /// Goes on where another, which is no more, was.
    pub fn resume(ring: &'static RingMemory<SLOTS, W>, position: u64) -> Self {
        Self { ring, position }
    }

    /// The position that is looked at next.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next record, or how many were lost, or nothing new.
    pub fn observe(&mut self) -> Option<Observation> {
        let head = self.ring.header(header_word::HEAD).load(Ordering::Acquire);
        let ahead = head.checked_sub(self.position)?;
        if ahead == 0 {
            return None;
        }
        if ahead > SLOTS as u64 {
            let lost = ahead - SLOTS as u64;
            self.position += lost;
            return Some(Observation::Lost(lost));
        }
        let read = self.ring.observe(self.position);
        self.position += 1;
        // An overwriting ring's numbers follow its positions: any other is a later lap's.
        Some(match read {
            Some((sequence, payload)) if sequence == self.position => {
                Observation::Record(sequence, payload)
            }
            _ => Observation::Lost(1),
        })
    }
}
