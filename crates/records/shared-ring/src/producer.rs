//! The writing side of a ring.
//!
//! Owned by the component that owns the ring's memory; called on its hot path, from one
//! context. Invariant: the position and the sequence number live here, never in shared
//! memory, so a peer can delay a producer but cannot make it write anywhere else.

use crate::Cell;
use crate::memory::{ConsumerPage, Identity, Payload, RingMemory, Word, header_word};
use core::sync::atomic::Ordering;

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
    at: WritePosition,
}

/// All that a producer knows of what it has written: where whoever is started anew goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WritePosition {
    head: u64,
    /// Records dropped, whose numbers no record has.
    lost: u64,
    /// Positions that the consumer claimed that cannot be.
    misbehaviour: u64,
}

impl<const SLOTS: usize, W: Word> Writer<SLOTS, W> {
    fn new(ring: &'static RingMemory<SLOTS, W>, identity: Identity, at: WritePosition) -> Self {
        ring.publish_identity(identity);
        Self { ring, at }
    }

    #[inline(always)]
    fn publish_head(&self) {
        let head = self.ring.header(header_word::HEAD);
        head.store(self.at.head, Ordering::Release);
    }

    #[inline(always)]
    fn publish_lost(&self) {
        let lost = self.ring.header(header_word::LOST);
        lost.store(self.at.lost, Ordering::Relaxed);
    }

    fn set_epoch(&self, epoch: u64) {
        self.ring
            .header(header_word::EPOCH)
            .store(epoch, Ordering::Relaxed);
    }
}

/// A producer that never overwrites what its consumer has not read.
pub struct BoundedProducer<const SLOTS: usize, W: 'static = Cell> {
    writer: Writer<SLOTS, W>,
    peer: &'static ConsumerPage<W>,
    /// The consumer's position as last believed; never behind the truth that freed a slot.
    tail: u64,
    /// Up to here the consumer's wish to be woken has been looked at.
    wake_checked: u64,
    waits: u64,
}

impl<const SLOTS: usize, W: Word> BoundedProducer<SLOTS, W> {
    /// Sets the ring up in zeroed memory that nobody else can write.
    pub fn new(
        ring: &'static RingMemory<SLOTS, W>,
        peer: &'static ConsumerPage<W>,
        identity: Identity,
    ) -> Self {
        Self::resume(ring, peer, identity, WritePosition::default())
    }

    /// Goes on where another, which is no more, was when it kept its position. Call
    /// [`Self::publish`] before the consumer is to see that, and notify it, whatever it asked for.
    pub fn resume(
        ring: &'static RingMemory<SLOTS, W>,
        peer: &'static ConsumerPage<W>,
        identity: Identity,
        at: WritePosition,
    ) -> Self {
        let mut producer = Self {
            writer: Writer::new(ring, identity, WritePosition::default()),
            peer,
            tail: 0,
            wake_checked: 0,
            // The ring is this producer's own memory, so this is no claim.
            waits: ring.header(header_word::WAITING).load(Ordering::Relaxed),
        };
        producer.go_on_from(at);
        producer
    }

    /// As [`Self::resume`], of one that has written nothing.
    pub fn go_on_from(&mut self, at: WritePosition) {
        self.writer.at = at;
        // What the consumer has read since is asked for when there seems to be no room.
        self.tail = at.head.saturating_sub(SLOTS as u64);
        self.wake_checked = at.head;
    }

    /// Where this one is, to be kept.
    #[inline(always)]
    pub fn position(&self) -> &WritePosition {
        &self.writer.at
    }

    /// Appends a record. Ask [`Self::take_wake`] before doing anything else for long.
    ///
    /// # Errors
    ///
    /// [`Full`] if the consumer has not made room; nothing is written or counted.
    #[inline(always)]
    pub fn push(&mut self, payload: &Payload) -> Result<(), Full> {
        self.append(payload)?;
        self.writer.publish_head();
        Ok(())
    }

    /// As [`Self::push`], but the consumer sees nothing of it until [`Self::publish`].
    ///
    /// # Errors
    ///
    /// [`Full`] if the consumer has not made room; nothing is written or counted.
    #[inline(always)]
    pub fn append(&mut self, payload: &Payload) -> Result<(), Full> {
        if !self.has_room() {
            return Err(Full);
        }
        self.append_into_room(payload);
        Ok(())
    }

    #[inline(always)]
    fn append_into_room(&mut self, payload: &Payload) {
        let WritePosition { head, lost, .. } = self.writer.at;
        self.writer.ring.write(head, head + lost + 1, payload);
        self.writer.at.head = head + 1;
    }

    /// Appends a record, or drops it, counts it, and leaves a gap in the sequence numbers. The
    /// consumer sees nothing of it until [`Self::publish`].
    ///
    /// # Errors
    ///
    /// [`Full`] if it was dropped.
    #[inline(always)]
    pub fn append_or_lose(&mut self, payload: &Payload) -> Result<(), Full> {
        let appended = self.append(payload);
        if appended.is_err() {
            self.writer.at.lost += 1;
        }
        appended
    }

    /// As [`Self::append_or_lose`], and the consumer sees it.
    ///
    /// # Errors
    ///
    /// [`Full`] if it was dropped.
    #[inline(always)]
    pub fn push_or_lose(&mut self, payload: &Payload) -> Result<(), Full> {
        let appended = self.append_or_lose(payload);
        self.publish();
        appended
    }

    /// Whether there is room by what is known of the consumer, without asking how far it is. At the
    /// latest after as many records as the ring has slots it says no.
    #[inline(always)]
    pub fn has_known_room(&self) -> bool {
        self.writer.at.head - self.tail < SLOTS as u64
    }

    /// As [`Self::push`] and [`Self::take_wake`], where there is [room](Self::has_known_room). Of records before
    /// this one it is not asked again who wanted to be woken by them.
    #[inline(always)]
    pub fn push_into_room(&mut self, payload: &Payload) -> Wake {
        debug_assert!(self.has_known_room());
        let position = self.writer.at.head;
        self.append_into_room(payload);
        self.writer.publish_head();
        W::fence(Ordering::SeqCst);
        match self.peer.wake_at.load(Ordering::Relaxed) == position {
            true => Wake::Asked,
            false => Wake::NotAsked,
        }
    }

    /// Goes on behind what the one before has published after it had kept its position, and gives
    /// each such record. It must have kept it at least once in as many records as the ring has slots.
    pub fn catch_up(&mut self, mut published: impl FnMut(&Payload)) {
        let ring = self.writer.ring;
        // The ring is this producer's own memory, so this is no claim.
        let head = ring.header(header_word::HEAD).load(Ordering::Relaxed);
        while self.writer.at.head < head {
            published(&ring.read(self.writer.at.head).1);
            self.writer.at.head += 1;
        }
        self.wake_checked = self.writer.at.head;
    }

    /// Shows the consumer all that was appended, and how much was lost. Ask [`Self::take_wake`]
    /// before doing anything else for long.
    #[inline(always)]
    pub fn publish(&self) {
        self.writer.publish_lost();
        self.writer.publish_head();
    }

    /// Whether the consumer asked to be woken by one of the records published since this
    /// was last called.
    #[inline(always)]
    pub fn take_wake(&mut self) -> Wake {
        W::fence(Ordering::SeqCst);
        let wake_at = self.peer.wake_at.load(Ordering::Relaxed);
        let published = self.writer.at.head - self.wake_checked;
        let asked = wake_at.wrapping_sub(self.wake_checked) < published;
        self.wake_checked = self.writer.at.head;
        if asked { Wake::Asked } else { Wake::NotAsked }
    }

    /// Whether a record would fit now.
    #[inline(always)]
    pub fn has_room(&mut self) -> bool {
        self.has_known_room() || self.refresh_tail()
    }

    #[cold]
    fn refresh_tail(&mut self) -> bool {
        let claim = self.peer.tail.load(Ordering::Acquire);
        if (self.tail..=self.writer.at.head).contains(&claim) {
            self.tail = claim;
        } else {
            self.writer.at.misbehaviour += 1;
        }
        self.writer.at.head - self.tail < SLOTS as u64
    }

    /// Whether the consumer has read all that was appended.
    pub fn is_all_read(&mut self) -> bool {
        self.refresh_tail();
        self.tail == self.writer.at.head
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
        self.writer.at.head
    }

    /// Records dropped by [`Self::push_or_lose`] since the start.
    pub fn lost(&self) -> u64 {
        self.writer.at.lost
    }

    /// Positions the consumer claimed that cannot be.
    pub fn misbehaviour(&self) -> u64 {
        self.writer.at.misbehaviour
    }

    /// Notes in the header how often the VM has been reset.
    pub fn set_epoch(&self, epoch: u64) {
        self.writer.set_epoch(epoch);
    }
}

/// A producer that overwrites the oldest record when the ring is full.
pub struct OverwritingProducer<const SLOTS: usize, W: 'static = Cell> {
    writer: Writer<SLOTS, W>,
}

impl<const SLOTS: usize, W: Word> OverwritingProducer<SLOTS, W> {
    /// Sets the ring up in zeroed memory that nobody else can write.
    pub fn new(ring: &'static RingMemory<SLOTS, W>, identity: Identity) -> Self {
        Self::resume(ring, identity, WritePosition::default())
    }

    /// Goes on where another, which is no more, was when it kept its position.
    pub fn resume(
        ring: &'static RingMemory<SLOTS, W>,
        identity: Identity,
        at: WritePosition,
    ) -> Self {
        Self {
            writer: Writer::new(ring, identity, at),
        }
    }

    /// Where this one is, to be kept.
    #[inline(always)]
    pub fn position(&self) -> &WritePosition {
        &self.writer.at
    }

    /// Appends a record, over the oldest one if need be.
    #[inline(always)]
    pub fn push(&mut self, payload: &Payload) {
        self.append(payload);
        self.writer.publish_head();
        if self.lost() != 0 {
            self.publish_lost();
        }
    }

    /// As [`Self::push`], but nobody sees anything of it until [`Self::publish`], except that the
    /// record that it goes over is gone.
    #[inline(always)]
    pub fn append(&mut self, payload: &Payload) {
        let head = self.writer.at.head;
        self.writer.ring.overwrite(head, head + 1, payload);
        self.writer.at.head = head + 1;
    }

    /// Shows all that was appended, and how much was overwritten.
    #[inline(always)]
    pub fn publish(&self) {
        self.publish_lost();
        self.writer.publish_head();
    }

    #[inline(always)]
    fn publish_lost(&self) {
        let lost = self.writer.ring.header(header_word::LOST);
        lost.store(self.lost(), Ordering::Relaxed);
    }

    /// Records overwritten since the start.
    #[inline(always)]
    pub fn lost(&self) -> u64 {
        self.writer.at.head.saturating_sub(SLOTS as u64)
    }

    /// Notes in the header how often the VM has been reset.
    pub fn set_epoch(&self, epoch: u64) {
        self.writer.set_epoch(epoch);
    }
}
