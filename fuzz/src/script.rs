//! An input as a sequence of choices.
//!
//! Invariant: any bytes are some script; one that has run out gives zeroes.

/// What is left of the input.
pub(crate) struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    /// A number of which small ones, those near the ends of their range and any other are
    /// equally short to write, so that a mutation of one byte moves between them.
    pub(crate) fn number(&mut self) -> u64 {
        match self.byte() {
            0xff => self.little_endian(8),
            0xfe => u64::MAX - u64::from(self.byte()),
            0xfd => self.little_endian(4),
            0xfc => self.little_endian(2),
            0xfb => 1 << (self.byte() & 63),
            small => u64::from(small),
        }
    }

    pub(crate) fn little_endian(&mut self, len_bytes: u32) -> u64 {
        (0..len_bytes).fold(0, |number, index| {
            number | u64::from(self.byte()) << (8 * index)
        })
    }

    /// The next bytes, or as many as are left.
    pub(crate) fn take(&mut self, len: usize) -> &'a [u8] {
        let (first, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        first
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.0)
    }
}
