//! What a PL011 has received and its guest has not read: characters, each with what was wrong with it.
//!
//! Used by `pl011` alone, which knows how deep it is at the moment. Invariant: of an overrun only the character
//! that came too late is lost, and the next one tells (DDI 0183, section 2.4.2 and table 3-2).

/// A character and its errors, as DR shows them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Received(u16);

impl Received {
    /// A break, with which one 0 comes.
    pub(super) const BREAK: Self = Self(1 << 10);
    /// Characters were lost before this one.
    const AFTER_OVERRUN: u16 = 1 << 11;
    /// OE in RSR.
    pub(super) const OVERRUN_OF_RSR: u8 = 1 << 3;

    /// One without errors.
    pub(super) fn character(character: u8) -> Self {
        Self(character.into())
    }

    /// As DR shows it.
    pub(super) fn data(self) -> u32 {
        self.0.into()
    }

    /// Its errors as RSR shows them, without the overrun.
    pub(super) fn errors(self) -> u8 {
        (self.0 >> 8) as u8 & 0b111
    }
}

/// See the file's header.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fifo {
    slots: [Received; Self::DEPTH],
    first: u8,
    len: u8,
    has_overrun: bool,
}

impl Fifo {
    /// With FIFOs on.
    pub(super) const DEPTH: usize = 16;

    pub(super) fn len(&self) -> usize {
        self.len.into()
    }

    /// A character is lost.
    pub(super) fn overrun(&mut self) {
        self.has_overrun = true;
    }

    /// Appends one; there is room.
    pub(super) fn push(&mut self, mut received: Received) {
        if core::mem::take(&mut self.has_overrun) {
            received.0 |= Received::AFTER_OVERRUN;
        }
        let place = (self.first as usize + self.len()) % Self::DEPTH;
        self.slots[place] = received;
        self.len = (self.len + 1).min(Self::DEPTH as u8);
    }

    /// Takes the oldest.
    pub(super) fn pop(&mut self) -> Option<Received> {
        self.len = self.len.checked_sub(1)?;
        let place = self.first as usize % Self::DEPTH;
        self.first = (self.first + 1) % Self::DEPTH as u8;
        Some(self.slots[place])
    }
}
