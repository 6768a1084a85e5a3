//! The tag of a record: what kind, whose, how wide, and which event number.
//!
//! One word, so that the trace component compares and completes it in a few instructions.
//!
//! ```text
//!  63      48 47   40 39 38 37 36 35  32 31  24 23    16 15   8 7    0
//! ┌──────────┬───────┬─────┬──┬──┬──────┬──────┬────────┬──────┬──────┐
//! │  event   │ flags │  0  │P │W │width │ vcpu │instance│  vm  │ kind │
//! └──────────┴───────┴─────┴──┴──┴──────┴──────┴────────┴──────┴──────┘
//! ```
//!
//! P says that the record's address is an I/O port. The trace component knows where a device is, so it sets
//! it there whatever is claimed, along with what has no meaning yet.

use crate::AddressSpace;
use guest_access::{AccessWidth, Direction};

/// The event number of a record that is not meant for the trace ring.
pub const EVENT_NONE: u16 = 0xffff;

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An access to a device.
    Access = 1,
    /// An access to a location where there is no device.
    Outside = 2,
    /// The VM was reset.
    Reset = 3,
    /// The VM has ended.
    End = 4,
    /// The sums of one device.
    DeviceSummary = 5,
    /// The sums of the VM.
    VmSummary = 6,
    /// When the VM's accesses happened and were recorded.
    Span = 9,
    /// Characters that the guest printed (console ring).
    Text = 7,
    /// A message of the VMM itself (console ring).
    Notice = 8,
    /// A VMM claims what cannot be.
    Misbehaviour = 10,
    /// How the run went (the console ring of whoever watches over the components).
    Verdict = 11,
    /// A VM's VMM has died (the same ring).
    VmDied = 12,
}

/// Marks on an access, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// Nothing special.
    pub const NONE: Self = Self(0);
    /// The device does not support this access; the VM's policy answered it.
    pub const REFUSED: Self = Self(1);
    /// The device is not isolated: what was read is its VMM's word. Said by the trace component.
    pub const OF_VMM: Self = Self(2);

    /// Whether all bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The VM's number and the event number, which the trace component fills in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(u64);

impl Stamp {
    /// A stamp for records of the VM with this number; `event` is 0 to 1023, or
    /// [`EVENT_NONE`].
    pub const fn new(vm: u8, event: u16) -> Self {
        Self((vm as u64) << 8 | (event as u64) << 48)
    }

    /// The same for accesses to a device in this space, with these marks.
    pub const fn of_device(self, space: AddressSpace, flags: Flags) -> Self {
        let tag = Tag(self.0).with_space(space);
        Self(tag.0 | (flags.0 as u64) << 40)
    }
}

/// See the file's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag(pub u64);

impl Tag {
    const WRITE: u64 = 1 << 36;
    const PORT: u64 = 1 << 37;
    /// What a stamp leaves as it is: all but the VM, the event and what has no meaning.
    const UNSTAMPED: u64 = 0x0000_ff3f_ffff_00ff;

    /// A tag that says only what kind of record it is.
    pub const fn new(kind: Kind) -> Self {
        Self(kind as u64 | (EVENT_NONE as u64) << 48)
    }

    /// What the tags of all accesses to a device have in common, as its VMM says it.
    pub const fn of_device(instance: u8, space: AddressSpace) -> Self {
        Self::new(Kind::Access)
            .with_instance(instance)
            .with_space(space)
    }

    /// The same for another device of the VM.
    #[inline(always)]
    pub const fn with_instance(self, instance: u8) -> Self {
        Self(self.0 & !(0xff << 16) | (instance as u64) << 16)
    }

    /// The same with a width; `None` is one that the hardware did not tell.
    #[inline(always)]
    pub fn with_access(self, direction: Direction, width: Option<AccessWidth>) -> Self {
        let bytes = width.map_or(0, AccessWidth::bytes);
        let write = match direction {
            Direction::Read => 0,
            Direction::Write => Self::WRITE,
        };
        Self(self.0 & !(0x1f << 32) | bytes << 32 | write)
    }

    /// The same with another access's direction.
    #[inline(always)]
    pub const fn with_direction_of(self, other: Self) -> Self {
        Self(self.0 & !Self::WRITE | other.0 & Self::WRITE)
    }

    /// Whether it is the other, if the direction does not count.
    #[inline(always)]
    pub const fn is_but_for_its_direction(self, other: Self) -> bool {
        (self.0 ^ other.0) & !Self::WRITE == 0
    }

    /// The same with marks.
    #[inline(always)]
    pub const fn with_flags(self, flags: Flags) -> Self {
        Self(self.0 & !(0xff << 40) | (flags.0 as u64) << 40)
    }

    /// The same about an address in this space.
    pub const fn with_space(self, space: AddressSpace) -> Self {
        match space {
            AddressSpace::Memory => Self(self.0 & !Self::PORT),
            AddressSpace::Ports => Self(self.0 | Self::PORT),
        }
    }

    /// The same with what only the trace component has a say in.
    #[inline(always)]
    pub const fn stamped(self, stamp: Stamp) -> Self {
        Self(self.0 & Self::UNSTAMPED | stamp.0)
    }

    /// The same for an access to a device, which is in its space whatever is claimed.
    #[inline(always)]
    pub const fn stamped_at_device(self, stamp: Stamp) -> Self {
        Self(self.0 & (Self::UNSTAMPED & !Self::PORT & !((Flags::OF_VMM.0 as u64) << 40)) | stamp.0)
    }

    /// What the record is about, if it says something that can be.
    #[inline(always)]
    pub fn kind(self) -> Option<Kind> {
        Some(match self.0 as u8 {
            1 => Kind::Access,
            2 => Kind::Outside,
            3 => Kind::Reset,
            4 => Kind::End,
            5 => Kind::DeviceSummary,
            6 => Kind::VmSummary,
            7 => Kind::Text,
            8 => Kind::Notice,
            9 => Kind::Span,
            10 => Kind::Misbehaviour,
            11 => Kind::Verdict,
            12 => Kind::VmDied,
            _ => return None,
        })
    }

    /// Whether the record says that it is of this kind.
    #[inline(always)]
    pub const fn is(self, kind: Kind) -> bool {
        self.0 as u8 == kind as u8
    }

    /// The VM's number.
    pub const fn vm(self) -> u8 {
        (self.0 >> 8) as u8
    }

    /// The device's number in its VM.
    #[inline(always)]
    pub const fn instance(self) -> u8 {
        (self.0 >> 16) as u8
    }

    /// The vCPU's number.
    pub const fn vcpu(self) -> u8 {
        (self.0 >> 24) as u8
    }

    /// The access's width in bytes as it is claimed: 0 to 15.
    #[inline(always)]
    pub const fn width_bytes(self) -> u64 {
        (self.0 >> 32) & 0xf
    }

    /// The access's width; `None` if the hardware did not tell, or for a claim that can't be.
    #[inline(always)]
    pub fn width(self) -> Option<AccessWidth> {
        match self.width_bytes() {
            1 => Some(AccessWidth::Byte),
            2 => Some(AccessWidth::Halfword),
            4 => Some(AccessWidth::Word),
            8 => Some(AccessWidth::Doubleword),
            _ => None,
        }
    }

    /// Load or store.
    #[inline(always)]
    pub const fn direction(self) -> Direction {
        if self.0 & Self::WRITE == 0 {
            Direction::Read
        } else {
            Direction::Write
        }
    }

    /// Which addresses the record's is one of.
    pub const fn space(self) -> AddressSpace {
        if self.0 & Self::PORT == 0 {
            AddressSpace::Memory
        } else {
            AddressSpace::Ports
        }
    }

    /// Marks on the access.
    #[inline(always)]
    pub const fn flags(self) -> Flags {
        Flags((self.0 >> 40) as u8)
    }

    /// The trace event's number: 0 to 1023, or [`EVENT_NONE`].
    pub const fn event(self) -> u16 {
        (self.0 >> 48) as u16
    }
}
