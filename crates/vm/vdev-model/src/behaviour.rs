//! What a device does: the functions that its author writes.
//!
//! Called through the list of devices (`vdevs`), which makes one enum of all of them. Invariant: nothing
//! here has a clock, a ring or a guest; whatever it is called with, it returns.

use crate::{Kind, Options};

/// The state of a device: a few words of 32 bits.
pub trait Words: Copy {
    /// How many.
    const COUNT: usize;

    /// The first [`Self::COUNT`] of these; `None` if there are fewer.
    fn first(words: &[u32]) -> Option<&Self>;

    /// The same, to be changed.
    fn first_mut(words: &mut [u32]) -> Option<&mut Self>;
}

impl<const N: usize> Words for [u32; N] {
    const COUNT: usize = N;

    #[inline(always)]
    fn first(words: &[u32]) -> Option<&Self> {
        words.first_chunk()
    }

    #[inline(always)]
    fn first_mut(words: &mut [u32]) -> Option<&mut Self> {
        words.first_chunk_mut()
    }
}

/// A device in a domain of its own. `register` is always the offset of one of its kind's registers.
pub trait Isolated {
    /// What it is.
    const KIND: Kind;

    /// Its state: an array of at most [`MAX_WORDS`](crate::MAX_WORDS) words, all published together.
    type Words: Words;

    /// Its state when the VM begins.
    fn new(options: &Options) -> Self::Words;

    /// The guest writes a register: all of it, what a narrow store leaves being filled in.
    fn write(words: &mut Self::Words, register: u64, value: u32);

    /// What a register reads in this state. Called in the VMM and in the device domain; also with words
    /// that no device ever had, and of registers that only can be written, for the log: what they held before.
    fn told(words: &Self::Words, register: u64) -> u32;

    /// The guest reads a register that is [asked](crate::Read::Asked). Of another it gives what is told and
    /// changes nothing, so that a test finds what the table has forgotten to say.
    fn asked(words: &mut Self::Words, register: u64) -> u32 {
        Self::told(words, register)
    }

    /// So many seconds have passed, up to [`u64::MAX`]; it does not go through them one by one.
    fn seconds(_words: &mut Self::Words, _seconds: u64) {}

    /// The VM is reset.
    fn reset(words: &mut Self::Words, options: &Options) {
        *words = Self::new(options);
    }

    /// Whether the options fit together: on the host, before anything boots.
    ///
    /// # Errors
    ///
    /// What is wrong, as the title of a message.
    fn check(_options: &Options) -> Result<(), &'static str> {
        Ok(())
    }
}

/// Whether whoever takes a guest's characters away has room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transmitter {
    /// It has.
    Ready,
    /// It has not: the guest is expected to wait.
    Busy,
}

/// A device that stays inside the VMM, because it needs what isolated ones cannot have: to print, to be typed
/// at, to interrupt. Its records, if it has any, are its VMM's word.
pub trait InVmm: Copy + Default {
    /// What it is.
    const KIND: Kind;
    /// Why it is not isolated.
    const WHY: &'static str;

    /// The guest reads at this offset, which need not be a register's.
    fn read(&mut self, offset: u64, transmitter: Transmitter) -> u32;

    /// The guest writes there. Returns a character to be printed.
    fn write(&mut self, offset: u64, value: u32) -> Option<u8>;

    /// What it gave to be printed has gone on, if there is room for more now. Called behind each write that gave
    /// something, and whenever room may have come.
    fn sent(&mut self, _transmitter: Transmitter) {}

    /// Whether it can be typed at: of a VM's devices the first of these is.
    const RECEIVES: bool = false;

    /// How many typed characters it takes now; all others wait outside, for as long as it likes.
    fn room(&self) -> usize {
        0
    }

    /// A character was typed. Only called when there is [room](Self::room).
    fn receive(&mut self, _character: u8) {}

    /// The level of its interrupt, if it has one.
    fn line(&self) -> bool {
        false
    }
}
