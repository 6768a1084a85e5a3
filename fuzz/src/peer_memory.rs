//! Shared memory as the peer that owns it sees it: words that it may set to anything.
//!
//! Used by the targets whose code reads a peer's memory. Invariant: only words that the
//! object has are reached, through atomics, as a real peer's stores are.

use crate::script::Script;
use shared_ring::{
    AtomicU64, Cell, ConsumerPage, Ordering, PAYLOAD_WORDS, RingMemory, SLOT_WORDS, header_word,
};
use trace_records::{MAX_DEVICES, MAX_WORDS, StatePage};

/// Bytes of a ring before its first slot: the header has a page of its own.
const HEADER_BYTES: usize = 4096;
/// The heartbeat, a stamp and an answer for each device, the interrupts' lines, and the devices' words, two in
/// one. A byte of a script reaches all of the first eleven devices'.
const STATE_PAGE_WORDS: usize = 1 + 2 * MAX_DEVICES + 1 + MAX_DEVICES * MAX_WORDS / 2;

/// The word of a consumer's page that says how far it has read.
pub(crate) const TAIL: usize = 0;
/// The word that says which record is to wake it.
pub(crate) const WAKE_AT: usize = 1;
const CONSUMER_PAGE_WORDS: usize = 2;

/// Words in a row that a peer may set.
pub(crate) type Words = &'static [AtomicU64];

/// A type of the layout of [`AtomicU64`].
///
/// # Safety
///
/// It is [`AtomicU64`] or a transparent struct of one.
pub(crate) unsafe trait AtomicCell: 'static {}

// SAFETY: it is the type itself, or, where the tests of others let memory die, transparent.
unsafe impl AtomicCell for Cell {}

/// A ring in the hands of its producer.
#[derive(Clone, Copy)]
pub(crate) struct RingPeer {
    pub header: Words,
    slots: Words,
}

impl RingPeer {
    pub(crate) fn new<const SLOTS: usize, W: AtomicCell>(
        ring: &'static RingMemory<SLOTS, W>,
    ) -> Self {
        let words = SLOTS * SLOT_WORDS;
        assert!(size_of_val(ring) >= HEADER_BYTES + words * size_of::<AtomicU64>());
        let first = core::ptr::from_ref(ring).cast::<u8>();
        // SAFETY: a ring is `repr(C)` and starts with these words, which are atomic.
        let header = unsafe { core::slice::from_raw_parts(first.cast(), header_word::COUNT) };
        // SAFETY: the size above shows that the slots begin here, inside the ring.
        let first_slot = unsafe { first.add(HEADER_BYTES) };
        // SAFETY: they are atomic words without padding, to the ring's end.
        let slots = unsafe { core::slice::from_raw_parts(first_slot.cast(), words) };
        Self { header, slots }
    }

    /// Zeroes the header. What the slots hold from an earlier run lies behind the head.
    pub(crate) fn clear(self) {
        for word in self.header {
            word.store(0, Ordering::Relaxed);
        }
    }

    pub(crate) fn slot(self, position: u64) -> Words {
        let slots = (self.slots.len() / SLOT_WORDS) as u64;
        &self.slots[(position % slots) as usize * SLOT_WORDS..][..SLOT_WORDS]
    }

    /// Sets a word of the header or a whole slot, as the script says.
    pub(crate) fn poke(self, script: &mut Script<'_>) {
        let choice = usize::from(script.byte());
        if let Some(word) = self.header.get(choice) {
            word.store(script.number(), Ordering::Relaxed);
        } else {
            for word in self.slot(script.number()) {
                word.store(script.number(), Ordering::Relaxed);
            }
        }
    }

    /// What an honest producer does: fills the next slot and moves the head.
    pub(crate) fn push(self, payload: [u64; PAYLOAD_WORDS]) {
        let head = self.header[header_word::HEAD].load(Ordering::Relaxed);
        let next = head.wrapping_add(1);
        let slot = self.slot(head);
        for (word, value) in slot.iter().zip([next].into_iter().chain(payload)) {
            word.store(value, Ordering::Relaxed);
        }
        self.header[header_word::HEAD].store(next, Ordering::Relaxed);
    }
}

/// A consumer's page in the hands of the consumer.
pub(crate) fn page_words<W: AtomicCell>(page: &'static ConsumerPage<W>) -> Words {
    let first = core::ptr::from_ref(page).cast();
    // SAFETY: a consumer's page is `repr(C)` and starts with these atomic words.
    unsafe { core::slice::from_raw_parts(first, CONSUMER_PAGE_WORDS) }
}

/// A state page in the hands of the trace component.
pub(crate) fn state_words(page: &'static StatePage) -> Words {
    assert!(size_of_val(page) >= STATE_PAGE_WORDS * size_of::<AtomicU64>());
    let first = core::ptr::from_ref(page).cast();
    // SAFETY: a state page is `repr(C)` and starts with these atomic words.
    unsafe { core::slice::from_raw_parts(first, STATE_PAGE_WORDS) }
}

/// Sets one word of a page as the script says.
pub(crate) fn poke(page: Words, script: &mut Script<'_>) {
    let index = usize::from(script.byte()) % page.len();
    page[index].store(script.number(), Ordering::Relaxed);
}

/// Zeroes a page.
pub(crate) fn clear(page: Words) {
    for word in page {
        word.store(0, Ordering::Relaxed);
    }
}
