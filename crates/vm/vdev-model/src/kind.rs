//! What a kind of device is: data, for everybody who works with devices.

use crate::{AddressSpace, Lane, OptionKind, Register, TreeNode};
use guest_access::Direction;

/// A kind of device: a word that may follow `vdev`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The word: at most 15 printable characters without blanks.
    pub name: &'static str,
    /// What it is, in a few words, for help and messages.
    pub what: &'static str,
    /// Where devices of this kind may be; the first is meant where the configuration names none.
    pub spaces: &'static [AddressSpace],
    /// How many addresses it occupies from its `loc` on.
    pub len: u64,
    /// `loc` is a multiple of this.
    pub align: u64,
    /// A usual `loc`, for whoever has given none.
    pub example: &'static str,
    /// Its registers; no two have a byte in common.
    pub registers: &'static [Register],
    /// What becomes of accesses that no register allows.
    pub otherwise: Otherwise,
    /// Options that only this kind has.
    pub options: &'static [OptionKind],
    /// Its interrupt, if it has one.
    pub interrupt: Option<Interrupt>,
    /// What a device tree says of it.
    pub tree: TreeNode,
    /// What the sums at a VM's end call the device's first register, if they name it.
    pub sum: Option<&'static str>,
}

/// What becomes of an access that no register of the device allows: at a place between them, narrower than
/// it may be, a store to what can only be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// The device does not support it: policy `unsupported reference`.
    Refused,
    /// As most hardware does: a load gives 0, a store has no effect. It is recorded like any other.
    Ignored,
}

/// An interrupt: a level, which is high as long as some bits of the device's state are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupt {
    /// Which word of the state.
    pub word: usize,
    /// Which bits of it.
    pub mask: u32,
}

/// A register that an access touches, by its place in the kind's table, and which part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Its place: 0 is the first.
    pub place: u8,
    /// The part.
    pub lane: Lane,
    /// Whether that is all of it.
    pub is_whole: bool,
}

impl Found {
    /// All of a device's first register, which is a word.
    pub const WORD: Self = Self {
        place: 0,
        lane: Lane::WORD,
        is_whole: true,
    };
}

impl Kind {
    /// A kind in memory, of one word, without registers: what a device's file begins with.
    pub const fn new(name: &'static str, what: &'static str) -> Self {
        Self {
            name,
            what,
            spaces: &[AddressSpace::Memory],
            len: 4,
            align: 4,
            example: "loc 0xfa000000",
            registers: &[],
            otherwise: Otherwise::Refused,
            options: &[],
            interrupt: None,
            tree: TreeNode::OWN,
            sum: None,
        }
    }

    /// The register that an access touches, `offset` bytes behind the device's `loc`; `None` if none can be
    /// accessed like that.
    pub fn find(&self, offset: u64, width_bytes: u64, direction: Direction) -> Option<Found> {
        let mut registers = self.registers.iter().zip(0..);
        let (place, lane, register) = registers.find_map(|(register, place)| {
            Some((place, register.lane(offset, width_bytes)?, register))
        })?;
        let is_whole = lane == register.whole();
        register.allows(direction).then_some(Found {
            place,
            lane,
            is_whole,
        })
    }

    /// The register that was found.
    #[inline(always)]
    pub fn register(&self, found: Found) -> &'static Register {
        &self.registers[usize::from(found.place)]
    }

    /// Whether an access for which there is no register is one of the device's all the same, and ignored.
    #[cold]
    pub fn ignores(&self, offset: u64, width_bytes: u64) -> bool {
        let end = offset.checked_add(width_bytes);
        self.otherwise == Otherwise::Ignored && end.is_some_and(|end| end <= self.len)
    }

    /// The register in which an access begins, for the words about it.
    pub fn register_at(&self, offset: u64) -> Option<&'static Register> {
        let is_in =
            |register: &&Register| offset.wrapping_sub(register.offset) < register.width_bytes;
        self.registers.iter().find(is_in)
    }
}
