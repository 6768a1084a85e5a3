//! The writing side of a ring.
//!
//! Owned by the component that owns the ring's memory; called on its hot path, from one
//! context. Invariant: the position and the sequence number live here, never in shared
//! memory, so a peer can delay a producer but cannot make it write anywhere else.

use crate::memory::{ConsumerPage, Identity, Payload, RingMemory, Word, header_word};
use core::sync::atomic::{AtomicU64, Ordering};

/// Whether the consumer asked to be woken by what was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a consumer that asked to be woken sleeps until it is notified"]
pub enum Wake {
    /// It did: notify it now.
    Asked,
    /// It did not.
    NotAsked,
}

/// There was no room; nothing was written. Notify the consumer, whatever it asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// What both producers share: the memory and the private indices.
struct Writer<const SLOTS: usize, W: 'static> {
    ring: &'static RingMemory<SLOTS, W>,
    head: u64,
    sequence: u64,
    lost: u64,
}

impl<const SLOTS: usize, W: Word> Writer<SLOTS, W> {
    fn new(ring: &'static RingMemory<SLOTS, W>, identity: Identity) -> Self {
        ring.publish_identity(identity);
        Self {
            ring,
            head: 0,
            sequence: 0,
            lost: 0,
        }
    }

    #[inline(always)]
    fn publish(&mut self, payload: &Payload) {
        self.sequence += 1;
        self.ring.write(self.head, self.sequence, payload);
        self.head += 1;
        self.ring
            .header(header_word::HEAD)
            .store(self.head, Ordering::Release);
    }

    #[inline(always)]
    fn set_lost(&mut self, lost: u64) {
        self.lost = lost;
        self.ring
            .header(header_word::LOST)
            .store(lost, Ordering::Relaxed);
    }

    fn set_epoch(&self, epoch: u64) {
        self.ring
            .header(header_word::EPOCH)
            .store(epoch, Ordering::Relaxed);
    }
}

/// A producer that never overwrites what its consumer has not read.
pub struct BoundedProducer<const SLOTS: usize, W: 'static = AtomicU64> {
    writer: Writer<SLOTS, W>,
    peer: &'static ConsumerPage<W>,
    /// The consumer's position as last believed; never behind the truth that freed a slot.
    tail: u64,
    /// Up to here the consumer's wish to be woken has been looked at.
    wake_checked: u64,
    waits: u64,
    misbehaviour: u64,
}

impl<const SLOTS: usize, W: Word> BoundedProducer<SLOTS, W> {
    /// Sets the ring up in zeroed memory that nobody else can write.
    pub fn new(
        ring: &'static RingMemory<SLOTS, W>,
        peer: &'static ConsumerPage<W>,
        identity: Identity,
    ) -> Self {
        Self {
            writer: Writer::new(ring, identity),
            peer,
            tail: 0,
            wake_checked: 0,
            waits: 0,
            misbehaviour: 0,
        }
    }

    /// Appends a record. Ask [`Self::take_wake`] before doing anything else for long.
    ///
    /// # Errors
    ///
    /// [`Full`] if the consumer has not made room; nothing is written or counted.
    #[inline(always)]
    pub fn push(&mut self, payload: &Payload) -> Result<(), Full> {
        if !self.has_room() {
            return Err(Full);
        }
        self.writer.publish(payload);
        Ok(())
    }

    /// Appends a record, or drops it, counts it, and leaves a gap in the sequence numbers.
    ///
    /// # Errors
    ///
    /// [`Full`] if it was dropped.
    #[inline(always)]
    pub fn push_or_lose(&mut self, payload: &Payload) -> Result<(), Full> {
        let pushed = self.push(payload);
        if pushed.is_err() {
            self.writer.sequence += 1;
            self.writer.set_lost(self.writer.lost + 1);
        }
        pushed
    }

    /// Whether the consumer asked to be woken by one of the records published since this
    /// was last called.
    #[inline(always)]
    pub fn take_wake(&mut self) -> Wake {
        W::fence(Ordering::SeqCst);
        let wake_at = self.peer.wake_at.load(Ordering::Relaxed);
        let published = self.writer.head - self.wake_checked;
        let asked = wake_at.wrapping_sub(self.wake_checked) < published;
        self.wake_checked = self.writer.head;
        if asked { Wake::Asked } else { Wake::NotAsked }
    }

    /// Whether a record would fit now.
    #[inline(always)]
    pub fn has_room(&mut self) -> bool {
        self.writer.head - self.tail < SLOTS as u64 || self.refresh_tail()
    }

    #[cold]
    fn refresh_tail(&mut self) -> bool {
        let claim = self.peer.tail.load(Ordering::Acquire);
        if (self.tail..=self.writer.head).contains(&claim) {
            self.tail = claim;
        } else {
            self.misbehaviour += 1;
        }
        self.writer.head - self.tail < SLOTS as u64
    }

    /// Tells the consumer that this producer sleeps until it is notified.
    ///
    /// The caller looks once more at what it waits for *after* this call, then notifies the
    /// consumer and sleeps.
    pub fn announce_wait(&mut self) {
        self.waits += 1;
        self.writer
            .ring
            .header(header_word::WAITING)
            .store(self.waits, Ordering::Relaxed);
        W::fence(Ordering::SeqCst);
    }

    /// Records published since the start.
    pub fn published(&self) -> u64 {
        self.writer.head
    }

    /// Records dropped by [`Self::push_or_lose`] since the start.
    pub fn lost(&self) -> u64 {
        self.writer.lost
    }

    /// Positions the consumer claimed that cannot be.
    pub fn misbehaviour(&self) -> u64 {
        self.misbehaviour
    }

    /// Notes in the header how often the VM has been reset.
    pub fn set_epoch(&self, epoch: u64) {
        self.writer.set_epoch(epoch);
    }
}

/// A producer that overwrites the oldest record when the ring is full.
pub struct OverwritingProducer<const SLOTS: usize, W: 'static = AtomicU64> {
    writer: Writer<SLOTS, W>,
}

impl<const SLOTS: usize, W: Word> OverwritingProducer<SLOTS, W> {
    /// Sets the ring up in zeroed memory that nobody else can write.
    pub fn new(ring: &'static RingMemory<SLOTS, W>, identity: Identity) -> Self {
        Self {
            writer: Writer::new(ring, identity),
        }
    }

    /// Appends a record, over the oldest one if need be.
    #[inline(always)]
    pub fn push(&mut self, payload: &Payload) {
        self.writer.publish(payload);
        if self.writer.head > SLOTS as u64 {
            self.writer.set_lost(self.writer.head - SLOTS as u64);
        }
    }

    /// Records overwritten since the start.
    pub fn lost(&self) -> u64 {
        self.writer.lost
    }

    /// Notes in the header how often the VM has been reset.
    pub fn set_epoch(&self, epoch: u64) {
        self.writer.set_epoch(epoch);
    }
}
