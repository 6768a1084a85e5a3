//! The memory of a ring: what lies where, and who writes it.
//!
//! Laid out here, mapped by the platforms, and read from outside by the host tool, which
//! finds a ring in a memory dump by its [`MAGIC`] at the start of a page. A change of this
//! layout is a new [`LAYOUT_VERSION`].
//!
//! Invariant: everything is a 64-bit atomic, little-endian as the machine is; a ring takes
//! a page for its header and 64 bytes a slot.

use crate::Cell;
use crate::fault::RingFault;
use core::sync::atomic::{AtomicU64, Ordering, fence};

/// The first word of a ring: `VTRACRNG` in ASCII, read as a little-endian number.
pub const MAGIC: u64 = u64::from_le_bytes(*b"VTRACRNG");
/// The version of this layout and of the records in it.
///
/// In version 2 a record's tag says whether its address is in memory or a port's, and there are
/// more reasons why a VM ends, more misdeeds, and more devices in the state page than in version 1. In
/// version 3 there is one more misdeed. In version 4 a device's state in the state page may have several
/// words, with answers to what was asked beside them, and a record's tag can say that an access is its VMM's
/// word. The ring is the same in all.
pub const LAYOUT_VERSION: u64 = 4;
/// 64-bit words in a slot, its sequence number included.
pub const SLOT_WORDS: usize = 8;
/// Bytes in a slot.
pub const SLOT_BYTES: usize = SLOT_WORDS * 8;
/// 64-bit words of payload in a slot.
pub const PAYLOAD_WORDS: usize = SLOT_WORDS - 1;

/// What one slot carries besides its sequence number.
pub type Payload = [u64; PAYLOAD_WORDS];

/// A 64-bit cell of shared memory.
pub trait Word: Default {
    /// Reads the cell.
    fn load(&self, order: Ordering) -> u64;
    /// Writes the cell.
    fn store(&self, value: u64, order: Ordering);
    /// Orders accesses to different cells.
    fn fence(order: Ordering);
}

impl Word for AtomicU64 {
    #[inline(always)]
    fn load(&self, order: Ordering) -> u64 {
        AtomicU64::load(self, order)
    }

    #[inline(always)]
    fn store(&self, value: u64, order: Ordering) {
        AtomicU64::store(self, value, order);
    }

    #[inline(always)]
    fn fence(order: Ordering) {
        fence(order);
    }
}

/// Which ring of a VM this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RingKind {
    /// From the VMM to the trace component: the guest's accesses.
    Access = 1,
    /// From the trace component to the console: records for the logger.
    Log = 2,
    /// From the trace component to whoever looks from outside.
    Trace = 3,
    /// From the VMM to the console: what the guest prints.
    Console = 4,
}

/// Constants of a ring that its header tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Which ring it is.
    pub kind: RingKind,
    /// The VM it belongs to, counted from 0.
    pub vm: u8,
    /// Frequency of the counter that stamps the records, in hertz.
    pub clock_hz: u64,
    /// The counter when the system started.
    pub start_ticks: u64,
}

/// Indices of the header's words.
pub mod header_word {
    /// [`super::MAGIC`], written last.
    pub const MAGIC: usize = 0;
    /// [`super::LAYOUT_VERSION`].
    pub const LAYOUT_VERSION: usize = 1;
    /// [`super::SLOT_BYTES`].
    pub const SLOT_BYTES: usize = 2;
    /// How many slots; a power of two.
    pub const SLOT_COUNT: usize = 3;
    /// [`super::RingKind`] in the low byte, the VM's number in the next.
    pub const KIND_AND_VM: usize = 4;
    /// Frequency of the stamps in hertz.
    pub const CLOCK_HZ: usize = 5;
    /// The counter when the system started.
    pub const START_TICKS: usize = 6;
    /// How often the VM has been reset.
    pub const EPOCH: usize = 7;
    /// The position after the newest record.
    pub const HEAD: usize = 8;
    /// Records dropped (bounded ring) or overwritten (overwriting ring), since the start.
    pub const LOST: usize = 9;
    /// Raised by one each time the producer starts to wait for its consumer.
    pub const WAITING: usize = 10;
    /// How many words the header has.
    pub const COUNT: usize = 11;
}

#[repr(C, align(4096))]
struct Header<W>([W; header_word::COUNT]);

/// A ring in memory that its producer alone writes. All zero is an empty ring.
#[repr(C)]
pub struct RingMemory<const SLOTS: usize, W = Cell> {
    header: Header<W>,
    slots: [[W; SLOT_WORDS]; SLOTS],
}

impl<const SLOTS: usize> RingMemory<SLOTS, Cell> {
    /// Zeroed memory, for a `static` or a test. Memory of that state may also be mapped.
    pub const fn new() -> Self {
        Self {
            header: Header([const { Cell::new(0) }; header_word::COUNT]),
            slots: [const { [const { Cell::new(0) }; SLOT_WORDS] }; SLOTS],
        }
    }
}

impl<const SLOTS: usize> Default for RingMemory<SLOTS, Cell> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const SLOTS: usize, W: Word> RingMemory<SLOTS, W> {
    const MASK: u64 = {
        assert!(
            SLOTS.is_power_of_two(),
            "a ring's slot count is a power of two"
        );
        SLOTS as u64 - 1
    };

    /// Zeroed memory made of any kind of word.
    pub fn zeroed() -> Self {
        Self {
            header: Header(core::array::from_fn(|_| W::default())),
            slots: core::array::from_fn(|_| core::array::from_fn(|_| W::default())),
        }
    }

    #[inline(always)]
    pub(crate) fn header(&self, index: usize) -> &W {
        &self.header.0[index]
    }

    #[inline(always)]
    fn slot(&self, position: u64) -> &[W; SLOT_WORDS] {
        &self.slots[(position & Self::MASK) as usize]
    }

    /// Writes the constants of the header; the magic number makes them valid.
    pub(crate) fn publish_identity(&self, identity: Identity) {
        let constants = [
            (header_word::LAYOUT_VERSION, LAYOUT_VERSION),
            (header_word::SLOT_BYTES, SLOT_BYTES as u64),
            (header_word::SLOT_COUNT, SLOTS as u64),
            (
                header_word::KIND_AND_VM,
                identity.kind as u64 | u64::from(identity.vm) << 8,
            ),
            (header_word::CLOCK_HZ, identity.clock_hz),
            (header_word::START_TICKS, identity.start_ticks),
        ];
        for (index, value) in constants {
            self.header(index).store(value, Ordering::Relaxed);
        }
        self.header(header_word::MAGIC)
            .store(MAGIC, Ordering::Release);
    }

    /// Whether a producer of this layout and size, for this purpose, has set the ring up.
    pub(crate) fn check(&self, kind: RingKind) -> Result<(), RingFault> {
        if self.header(header_word::MAGIC).load(Ordering::Acquire) != MAGIC {
            return Err(RingFault::Header);
        }
        let word = |index| self.header(index).load(Ordering::Relaxed);
        // Of a header of another version nothing else has a meaning.
        let version = word(header_word::LAYOUT_VERSION);
        if version != LAYOUT_VERSION {
            return Err(RingFault::Version(version));
        }
        let fits = word(header_word::SLOT_BYTES) == SLOT_BYTES as u64
            && word(header_word::SLOT_COUNT) == SLOTS as u64
            && word(header_word::KIND_AND_VM) & 0xff == kind as u64;
        fits.then_some(()).ok_or(RingFault::Header)
    }

    /// Writes one record and its sequence number into a place that nobody reads: before the head is moved
    /// behind it, nobody may.
    #[inline(always)]
    pub(crate) fn write(&self, position: u64, sequence: u64, payload: &Payload) {
        let [number, cells @ ..] = self.slot(position);
        for (cell, value) in cells.iter().zip(payload) {
            cell.store(*value, Ordering::Relaxed);
        }
        number.store(sequence, Ordering::Relaxed);
    }

    /// The same where somebody may be reading another record, in the order that lets a reader notice.
    #[inline(always)]
    pub(crate) fn overwrite(&self, position: u64, sequence: u64, payload: &Payload) {
        let [number, cells @ ..] = self.slot(position);
        number.store(0, Ordering::Relaxed);
        W::fence(Ordering::Release);
        for (cell, value) in cells.iter().zip(payload) {
            cell.store(*value, Ordering::Relaxed);
        }
        number.store(sequence, Ordering::Release);
    }

    /// Copies one record that stands behind a head which was loaded with acquire, and its number. An honest
    /// producer leaves both as they are until the place is given back; what another makes of them is
    /// some record of its own.
    #[inline(always)]
    pub(crate) fn read(&self, position: u64) -> (u64, Payload) {
        let [number, cells @ ..] = self.slot(position);
        let payload = core::array::from_fn(|word| cells[word].load(Ordering::Relaxed));
        (number.load(Ordering::Relaxed), payload)
    }

    /// Copies one record, or nothing if it was being overwritten meanwhile.
    #[inline(always)]
    pub(crate) fn observe(&self, position: u64) -> Option<(u64, Payload)> {
        let [number, cells @ ..] = self.slot(position);
        let sequence = number.load(Ordering::Acquire);
        let mut payload = [0; PAYLOAD_WORDS];
        for (value, cell) in payload.iter_mut().zip(cells) {
            *value = cell.load(Ordering::Relaxed);
        }
        W::fence(Ordering::Acquire);
        let whole = sequence != 0 && number.load(Ordering::Relaxed) == sequence;
        whole.then_some((sequence, payload))
    }
}

/// What a consumer tells its producer, in a page that the consumer alone writes.
#[repr(C, align(4096))]
#[derive(Default)]
pub struct ConsumerPage<W = Cell> {
    /// The position that is read next.
    pub(crate) tail: W,
    /// The position whose record shall wake the consumer.
    pub(crate) wake_at: W,
}

impl ConsumerPage<Cell> {
    /// A zeroed page: nothing read, wake at the first record.
    pub const fn new() -> Self {
        Self {
            tail: Cell::new(0),
            wake_at: Cell::new(0),
        }
    }
}
