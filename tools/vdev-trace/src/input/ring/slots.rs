//! The slots of one ring in a dump, read in pieces, so that memory does not grow with the ring.
//!
//! Used by `header`, which asks what they say, and by the reader of records.

use crate::input::source::ReadAt;
use shared_ring::{SLOT_BYTES, SLOT_WORDS};
use std::io;

/// Slots that are read at once.
const CHUNK_SLOTS: usize = 1024;

/// A slot as it stands in a dump.
pub(super) type Slot = [u64; SLOT_WORDS];

/// The slots of one ring.
pub(super) struct Slots<'a> {
    bytes: &'a dyn ReadAt,
    first: u64,
    /// How many are in the dump.
    present: u64,
    chunk: Vec<u8>,
}

impl<'a> Slots<'a> {
    /// The slots that begin at the offset `first`, of which so many are `present`.
    pub(super) fn new(bytes: &'a dyn ReadAt, first: u64, present: u64) -> Self {
        Self {
            bytes,
            first,
            present,
            chunk: Vec::new(),
        }
    }

    /// Reads slots from `index` on, at most `count` and as many as fit a chunk.
    pub(super) fn read(
        &mut self,
        index: u64,
        count: u64,
    ) -> io::Result<impl Iterator<Item = Slot> + '_> {
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
    pub(super) fn for_each(
        &mut self,
        count: u64,
        mut look: impl FnMut(u64, &Slot),
    ) -> io::Result<()> {
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

    pub(super) fn one(&mut self, index: u64) -> io::Result<Option<Slot>> {
        Ok(self.read(index, 1)?.next())
    }
}

fn slot(bytes: &[u8; SLOT_BYTES]) -> Slot {
    let words = bytes.as_chunks::<8>().0;
    std::array::from_fn(|index| u64::from_le_bytes(words[index]))
}
