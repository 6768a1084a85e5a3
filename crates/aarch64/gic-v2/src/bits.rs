//! A bit for each INTID, in the words that the distributor's registers have.
//!
//! Used by `distributor`. Invariant: what is beyond the last INTID reads as zero and is not written.

use crate::INTIDS;

/// Words of a register with a bit for each INTID.
const WORDS: usize = INTIDS / 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bits(pub [u32; WORDS]);

impl Bits {
    pub const NONE: Self = Self([0; WORDS]);

    pub fn has(&self, intid: u8) -> bool {
        self.word(usize::from(intid) / 32) >> (intid % 32) & 1 != 0
    }

    pub fn set(&mut self, intid: u8, is_set: bool) {
        if let Some(word) = self.0.get_mut(usize::from(intid) / 32) {
            let bit = 1 << (intid % 32);
            *word = if is_set { *word | bit } else { *word & !bit };
        }
    }

    pub fn word(&self, index: usize) -> u32 {
        self.0.get(index).copied().unwrap_or(0)
    }

    /// Sets the bits of a word, those of `clear` to 0 and those of `set` to 1.
    pub fn change(&mut self, index: usize, clear: u32, set: u32) {
        if let Some(word) = self.0.get_mut(index) {
            *word = *word & !clear | set;
        }
    }

    /// Each INTID whose bit is set in all words that `of` gives for the places of the words.
    pub fn each(of: impl Fn(usize) -> u32) -> impl Iterator<Item = u8> {
        (0..WORDS).flat_map(move |index| {
            let mut left = of(index);
            core::iter::from_fn(move || {
                let bit = left.trailing_zeros();
                left &= left.wrapping_sub(1);
                (bit < 32).then(|| (32 * index as u32 + bit) as u8)
            })
        })
    }
}
