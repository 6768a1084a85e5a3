//! Where in a VM something is: an x86 guest has I/O ports beside its memory, with numbers of their
//! own, so a number alone is no address.
//!
//! Used by the VMM and whoever reads records. In a record the number has a word of its own and the
//! space is a bit of the [tag](crate::Tag).

use guest_access::AddressSpace;

/// An address, or another number that belongs to what is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// Which addresses it is one of; memory also for what is no address, such as the code of a failure.
    pub space: AddressSpace,
    /// Which of them.
    pub number: u64,
}

impl Address {
    /// What is told has none.
    pub const NONE: Self = Self::memory(0);

    /// In memory.
    pub const fn memory(number: u64) -> Self {
        Self {
            space: AddressSpace::Memory,
            number,
        }
    }

    /// Among the I/O ports.
    pub const fn port(port: u16) -> Self {
        Self {
            space: AddressSpace::Ports,
            number: port as u64,
        }
    }

    /// Whether there can be such an address: ports have 16 bits.
    pub const fn can_be(self) -> bool {
        match self.space {
            AddressSpace::Memory => true,
            AddressSpace::Ports => self.number <= 0xffff,
        }
    }
}

impl From<u64> for Address {
    fn from(number: u64) -> Self {
        Self::memory(number)
    }
}
