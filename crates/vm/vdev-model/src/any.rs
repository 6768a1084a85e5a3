//! Any device of a list: the functions of all of them, behind one type.
//!
//! Implemented by the list (`vdevs`), used by everybody who works with devices. Words that are too few for a
//! device are none of its, and tell 0.

use crate::{Access, Kind, Lane, Options, Read, Register, Transmitter, WORD_BYTES};

/// A device of a list: what it is, and its functions on words that the caller keeps. Those of a device inside
/// a VMM do nothing.
pub trait AnyVdev: Copy + 'static {
    /// The state of those that stay inside their VMM.
    type Local;
    /// The list, in its order.
    const ALL: &[Self];

    /// What it is.
    fn kind(self) -> &'static Kind;

    /// How many words of state it has.
    fn word_count(self) -> usize;

    /// Its state when the VM begins, if it stays inside the VMM.
    fn local(self) -> Option<Self::Local>;

    /// See [`Isolated::check`](crate::Isolated::check).
    ///
    /// # Errors
    ///
    /// What is wrong, as the title of a message.
    fn check(self, options: &Options) -> Result<(), &'static str>;

    /// See [`Isolated::new`](crate::Isolated::new).
    fn begin(self, words: &mut [u32], options: &Options);

    /// See [`Isolated::told`](crate::Isolated::told).
    fn told(self, words: &[u32], register: u64) -> u32;

    /// A store of `value` to a part of a register: what all of it told before, and what was written. See
    /// [`Isolated::write`](crate::Isolated::write).
    fn write(self, words: &mut [u32], register: &Register, lane: Lane, value: u32) -> (u32, u32);

    /// See [`Isolated::asked`](crate::Isolated::asked).
    fn asked(self, words: &mut [u32], register: u64) -> u32;

    /// See [`Isolated::seconds`](crate::Isolated::seconds).
    fn seconds(self, words: &mut [u32], seconds: u64);

    /// See [`Isolated::reset`](crate::Isolated::reset).
    fn reset(self, words: &mut [u32], options: &Options);

    /// The first register of a device whose state is one word, if the register is a word as well, is where the
    /// device begins, can be read and written, and is not asked. Accesses to all of it take the shortest way there is.
    fn word(self) -> Option<&'static Register> {
        let is_plain = |it: &&Register| {
            (it.offset, it.width_bytes, it.access) == (0, WORD_BYTES, Access::ReadWrite)
                && it.read != Read::Asked
        };
        let first = self.kind().registers.first();
        first.filter(is_plain).filter(|_| self.word_count() == 1)
    }

    /// The device of this name.
    fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|vdev| vdev.kind().name == name)
    }
}

/// Any device of a list that stays inside its VMM, with its state.
pub trait AnyInVmm {
    /// See [`InVmm::WHY`](crate::InVmm::WHY).
    fn why(self) -> &'static str;

    /// See [`InVmm::read`](crate::InVmm::read).
    fn read(&mut self, offset: u64, line: Transmitter) -> u32;

    /// See [`InVmm::write`](crate::InVmm::write).
    fn write(&mut self, offset: u64, value: u32) -> Option<u8>;

    /// See [`InVmm::sent`](crate::InVmm::sent).
    fn sent(&mut self, line: Transmitter);

    /// See [`InVmm::RECEIVES`](crate::InVmm::RECEIVES).
    fn receives(self) -> bool;

    /// See [`InVmm::room`](crate::InVmm::room).
    fn room(&self) -> usize;

    /// See [`InVmm::receive`](crate::InVmm::receive).
    fn receive(&mut self, character: u8);

    /// See [`InVmm::line`](crate::InVmm::line).
    fn line(&self) -> bool;
}
