//! Registers: where they are, who may do what to them, how they are read, and what their bits are called.
//!
//! Tables of these are in the devices' files. Invariant: what a table says is all that the VMM knows of a
//! device besides its state.

use crate::WORD_BYTES;
use guest_access::Direction;

/// A register of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register {
    /// What log lines call it; empty if the device has no other.
    pub name: &'static str,
    /// Where it begins, in bytes (or ports) from the device's `loc`.
    pub offset: u64,
    /// How long it is: 1, 2 or 4 bytes.
    pub width_bytes: u64,
    /// What a guest may do to it.
    pub access: Access,
    /// Where a read gets its value from.
    pub read: Read,
    /// What becomes of aligned accesses to a part of it.
    pub narrow: Narrow,
    /// Its bits, where they have names.
    pub fields: &'static [Field],
}

/// What a guest may do to a register. The rest is [`Otherwise`](crate::Otherwise).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Loads and stores.
    ReadWrite,
    /// Loads.
    ReadOnly,
    /// Stores.
    WriteOnly,
}

/// Where a read of a register gets its value from. The guest never sees a value older than its own last
/// write to the device; what differs is when it has to wait for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// What was written stays until something else is written or time passes: a read gives the newest
    /// write of the whole register, applied or not. The guest waits only after a narrow write. Only right
    /// if the device tells just what was written, bit by bit.
    ReadsBack,
    /// From the device's published state; the guest waits while a write to the device is not applied.
    Follows,
    /// Reading changes the device: the guest waits until the device domain has answered.
    Asked,
}

/// What becomes of aligned accesses that are narrower than a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Narrow {
    /// There are none. The rest is [`Otherwise`](crate::Otherwise).
    None,
    /// A load gets its part. What is stored is merged with the rest of what the register tells.
    Merged,
}

/// Some bits of a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// As the manual has it.
    pub name: &'static str,
    /// The lowest of them.
    pub first_bit: u32,
    /// How many.
    pub bits: u32,
}

impl Field {
    /// One bit.
    pub const fn bit(name: &'static str, bit: u32) -> Self {
        Self::bits(name, bit, 1)
    }

    /// `bits` bits from `first_bit` on.
    pub const fn bits(name: &'static str, first_bit: u32, bits: u32) -> Self {
        Self {
            name,
            first_bit,
            bits,
        }
    }

    /// What they are in this register.
    pub const fn of(&self, register: u32) -> u32 {
        let mask = ((1u64 << self.bits) - 1) as u32;
        register >> self.first_bit & mask
    }
}

impl Register {
    /// A register of 32 bits that can be read and written, and that [follows](Read::Follows).
    pub const fn word(name: &'static str, offset: u64) -> Self {
        Self::new(name, offset, 4)
    }

    /// A register of 8 bits, likewise.
    pub const fn byte(name: &'static str, offset: u64) -> Self {
        Self::new(name, offset, 1)
    }

    const fn new(name: &'static str, offset: u64, width_bytes: u64) -> Self {
        Self {
            name,
            offset,
            width_bytes,
            access: Access::ReadWrite,
            read: Read::Follows,
            narrow: Narrow::None,
            fields: &[],
        }
    }

    /// The same, that only can be read.
    pub const fn read_only(mut self) -> Self {
        self.access = Access::ReadOnly;
        self
    }

    /// The same, that only can be written.
    pub const fn write_only(mut self) -> Self {
        self.access = Access::WriteOnly;
        self
    }

    /// The same, that [reads back](Read::ReadsBack).
    pub const fn reads_back(mut self) -> Self {
        self.read = Read::ReadsBack;
        self
    }

    /// The same, that is [asked](Read::Asked).
    pub const fn asked(mut self) -> Self {
        self.read = Read::Asked;
        self
    }

    /// The same, of which parts can be accessed: [`Narrow::Merged`].
    pub const fn narrow(mut self) -> Self {
        self.narrow = Narrow::Merged;
        self
    }

    /// The same, with names for its bits.
    pub const fn fields(mut self, fields: &'static [Field]) -> Self {
        self.fields = fields;
        self
    }

    /// Whether a guest may do this to it.
    #[inline(always)]
    pub const fn allows(&self, direction: Direction) -> bool {
        match direction {
            Direction::Read => !matches!(self.access, Access::WriteOnly),
            Direction::Write => !matches!(self.access, Access::ReadOnly),
        }
    }

    /// All of it.
    #[inline(always)]
    pub const fn whole(&self) -> Lane {
        Lane {
            first_bit: 0,
            width_bytes: self.width_bytes as u8,
        }
    }

    /// The part of it that an access touches, `offset` bytes behind the device's `loc`; `None` if that is
    /// not an aligned part of it alone.
    #[inline(always)]
    pub const fn lane(&self, offset: u64, width_bytes: u64) -> Option<Lane> {
        if offset == self.offset && width_bytes == self.width_bytes {
            return Some(self.whole());
        }
        self.part(offset, width_bytes)
    }

    const fn part(&self, offset: u64, width_bytes: u64) -> Option<Lane> {
        let at = offset.wrapping_sub(self.offset);
        let is_part = matches!(self.narrow, Narrow::Merged)
            && at < self.width_bytes
            && width_bytes < self.width_bytes
            && width_bytes.is_power_of_two()
            && at & (width_bytes - 1) == 0;
        if is_part {
            Some(Lane {
                first_bit: 8 * at as u8,
                width_bytes: width_bytes as u8,
            })
        } else {
            None
        }
    }
}

/// The part of a register that an access touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lane {
    first_bit: u8,
    /// 1, 2 or 4.
    width_bytes: u8,
}

impl Lane {
    /// All of a register that is a word.
    pub const WORD: Self = Self {
        first_bit: 0,
        width_bytes: WORD_BYTES as u8,
    };

    /// The part in a register that holds this.
    #[inline(always)]
    pub const fn of(self, register: u32) -> u32 {
        register >> self.first_bit & self.mask()
    }

    /// A register that held this, with the part replaced.
    #[inline(always)]
    pub const fn merge(self, register: u32, part: u32) -> u32 {
        let mask = self.mask();
        register & !(mask << self.first_bit) | (part & mask) << self.first_bit
    }

    #[inline(always)]
    const fn mask(self) -> u32 {
        u32::MAX >> (32 - 8 * self.width_bytes as u32)
    }
}
