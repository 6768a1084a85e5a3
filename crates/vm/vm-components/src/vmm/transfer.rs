//! A load or store under way: what it moves, how far it has come, and how it ends.
//!
//! Made by the architectures' exits for every access that does not take the short way: from what the
//! hardware describes, or from the instruction. `carry_out` moves one element after the other and may
//! have to stop in between, so all that the instruction needs is copied here first: what it stores,
//! where, and in `end` what its architecture needs to end it.
//!
//! Invariant: an element is carried out once, in order; the guest's registers change only when the
//! architecture finishes the transfer, once, after the last element, so an instruction that ends in an
//! exception has changed none.
//!
//! ```text
//!   LDP w1, w2, [x3], #8          elements                     finish
//!     described by nothing ──►  R4 at 0xfa000000 ─► w1 ─┐
//!                               R4 at 0xfa000004 ─► w2 ─┴──►  w1, w2, x3, PC
//!                          next ─┘ (parked here, if need be)
//! ```

use crate::Machine;
use guest_access::{Access, AccessWidth, AddressSpace, Direction, Extension, Gpr, GuestPhysAddr};
use trace_records::Address;

/// The registers of a pair.
pub(crate) const MAX_ELEMENTS: usize = 2;

/// See the file's header.
#[derive(Clone, Copy)]
pub struct Transfer<E> {
    pub pc: u64,
    /// Those that there are come first.
    elements: [Option<Element>; MAX_ELEMENTS],
    /// How many elements are done.
    done: usize,
    pub end: E,
}

/// What one register moves from or to.
#[derive(Clone, Copy)]
pub struct Element {
    pub place: Place,
    /// Where the guest sees it; `None` if the platform did not tell for a described access.
    pub virtual_address: Option<u64>,
    pub direction: Direction,
    /// Log2 of the bytes moved: 0 to 4.
    pub log2_bytes: u8,
    /// What a store stores or a load has loaded: its bytes as they are in memory. (As a u128
    /// it would be aligned to 16 bytes, and the fields of the hot path would move away.)
    bytes: [u8; MAX_BYTES],
    /// The number (low 32 bits) of its access, once that is recorded and the device domain has to answer.
    pub asked: Option<u32>,
}

/// A vector register.
const MAX_BYTES: usize = 16;

/// Where an element's bytes are. Those on a second page may lie anywhere; ports have one.
#[derive(Clone, Copy)]
pub struct Place {
    pub space: AddressSpace,
    pub first: GuestPhysAddr,
    pub second_page: Option<SecondPage>,
}

impl Place {
    /// In memory, on one page.
    pub const fn memory(first: GuestPhysAddr) -> Self {
        Self {
            space: AddressSpace::Memory,
            first,
            second_page: None,
        }
    }

    /// An I/O port.
    pub const fn port(port: u16) -> Self {
        Self {
            space: AddressSpace::Ports,
            first: GuestPhysAddr(port as u64),
            second_page: None,
        }
    }
}

#[derive(Clone, Copy)]
pub struct SecondPage {
    /// Bytes before it.
    pub bytes_before: usize,
    pub address: GuestPhysAddr,
}

impl Element {
    /// One that is not done. `value` is what a store stores, cut to the width.
    pub fn new(
        place: Place,
        virtual_address: Option<u64>,
        direction: Direction,
        log2_bytes: u8,
        value: u128,
    ) -> Self {
        Self {
            place,
            virtual_address,
            direction,
            log2_bytes,
            bytes: value.to_le_bytes(),
            asked: None,
        }
    }

    /// Where it is, as it is told.
    pub fn address(&self) -> Address {
        Address {
            space: self.place.space,
            number: self.place.first.0,
        }
    }

    /// What a store stores or a load has loaded.
    pub fn value(&self) -> u128 {
        u128::from_le_bytes(self.bytes)
    }

    /// Sets what a load has loaded.
    pub fn set_value(&mut self, value: u128) {
        self.bytes = value.to_le_bytes();
    }

    pub fn width_bytes(&self) -> usize {
        1 << self.log2_bytes
    }

    /// Its width, if a general-purpose register is as wide.
    pub fn width(&self) -> Option<AccessWidth> {
        (self.log2_bytes <= 3).then(|| AccessWidth::from_log2(self.log2_bytes))
    }

    /// It as an access to a device; `None` if it is wider than those can be.
    pub fn access(&self, pc: u64) -> Option<Access> {
        Some(Access {
            address: self.place.first,
            width: self.width()?,
            direction: self.direction,
            register: Gpr::ZERO,
            extension: Extension {
                signed: false,
                to_64_bits: true,
            },
            pc,
        })
    }

    /// Ends a load that nobody answers; a store has no effect.
    pub fn ignore(&mut self) {
        if self.direction == Direction::Read {
            self.set_value(self.all_ones());
        }
    }

    /// What a load gets where nothing answers.
    pub fn all_ones(&self) -> u128 {
        u128::MAX >> (128 - 8 * self.width_bytes())
    }

    /// The virtual address of the byte at `address`, if that is one of its own and the
    /// virtual addresses are known.
    pub fn virtual_address_of(&self, address: GuestPhysAddr) -> Option<u64> {
        let start = self.virtual_address?;
        let offset = |first: GuestPhysAddr, len: usize| {
            let offset = address.0.wrapping_sub(first.0);
            (offset < len as u64).then_some(offset)
        };
        let width = self.width_bytes();
        let offset = match self.place.second_page {
            None => offset(self.place.first, width)?,
            Some(SecondPage {
                bytes_before,
                address,
            }) => offset(self.place.first, bytes_before).or_else(|| {
                let behind = offset(address, width - bytes_before)?;
                Some(bytes_before as u64 + behind)
            })?,
        };
        Some(start.wrapping_add(offset))
    }

    /// Moves it, if it is in the guest's RAM, all of it.
    ///
    /// # Errors
    ///
    /// An address that is not in RAM; nothing has happened then.
    pub fn move_in_ram(&mut self, machine: &mut impl Machine) -> Result<(), GuestPhysAddr> {
        let (first, width) = (self.place.first, self.width_bytes());
        let bytes = &mut self.bytes[..width];
        let mut parts = match self.place.second_page {
            None => [(first, bytes), (first, &mut [])],
            Some(second) => {
                let (before, after) = bytes.split_at_mut(second.bytes_before);
                [(first, before), (second.address, after)]
            }
        };
        for (address, part) in &parts {
            let mut looked_at = [0; MAX_BYTES];
            if !machine.read_ram(*address, &mut looked_at[..part.len()]) {
                return Err(*address);
            }
        }
        for (address, part) in &mut parts {
            let is_ram = match self.direction {
                Direction::Read => machine.read_ram(*address, part),
                Direction::Write => machine.write_ram(*address, part),
            };
            if !is_ram {
                return Err(*address);
            }
        }
        Ok(())
    }
}

impl<E> Transfer<E> {
    /// One of these elements, [`MAX_ELEMENTS`] at most, none of which is done.
    pub fn new(pc: u64, elements: impl IntoIterator<Item = Element>, end: E) -> Self {
        let mut elements = elements.into_iter();
        Self {
            pc,
            elements: core::array::from_fn(|_| elements.next()),
            done: 0,
            end,
        }
    }

    /// The element that comes next; `None` after the last.
    pub fn next(&mut self) -> Option<&mut Element> {
        self.elements.get_mut(self.done)?.as_mut()
    }

    /// The next element is done.
    pub fn advance(&mut self) {
        self.done += 1;
    }

    /// All of them.
    pub fn elements(&self) -> impl Iterator<Item = &Element> {
        self.elements.iter().flatten()
    }

    /// What the first element has moved.
    pub fn first_value(&self) -> u128 {
        self.elements().next().map_or(0, Element::value)
    }
}
