//! The records that travel through the rings, and the page that tells a VM its counters.
//!
//! Written by the VMM and the trace component, read by the trace component, the console and
//! the host tool. Part of the layout that [`shared_ring::LAYOUT_VERSION`] numbers.
//!
//! Invariant: a record is plain numbers. Anything read from a ring is a claim until a typed
//! accessor ([`Tag::kind`], [`Tag::width`]) has turned it into a value that can be.
//!
//! ```text
//! word  access, outside, reset, end       device summary     VM summary
//!  0    time in ticks of the counter      time               time
//!  1    address, in the tag's space       reads              log records lost
//!  2    guest PC (guest-virtual)          writes             trace records overwritten
//!  3    value │ old value                 logged             accesses outside a device
//!  4    sequence number of the device     traced             accesses lost unrecorded
//!  5    tag (see Tag)                     tag                tag
//!  6    state seen │ epoch                value │ refused    misbehaviour │ reserved
//!       (low 32 bits │ high 32 bits)
//!
//! A span has time, first, last and recorded in words 0 to 3, and its tag. What a misbehaviour
//! has stands in `misbehaviour.rs`.
//! ```
#![no_std]
#![forbid(unsafe_code)]

mod address;
mod console;
mod misbehaviour;
mod state_page;
mod tag;
mod verdict;

pub use address::Address;
pub use console::{ConsoleRecord, Notice, TEXT_BYTES, Text};
pub use guest_access::AddressSpace;
pub use misbehaviour::{Misbehaviour, Misdeed, RingFate};
pub use state_page::{Answer, DeviceState, MAX_DEVICES, MAX_WORDS, StatePage};
pub use tag::{EVENT_NONE, Flags, Kind, Stamp, Tag};
pub use verdict::Verdict;

use guest_access::{Access, GuestPhysAddr};
use shared_ring::Payload;

/// Slots of an access ring.
pub const ACCESS_SLOTS: usize = 1024;
/// Slots of a log ring.
pub const LOG_SLOTS: usize = 1024;
/// Slots of a trace ring.
pub const TRACE_SLOTS: usize = 8192;
/// Slots of a console ring.
pub const CONSOLE_SLOTS: usize = 256;
/// VMs that one trace component and one console serve.
pub const MAX_VMS: usize = 8;

/// Index of the tag in every record.
const TAG_WORD: usize = 5;

/// One access of a guest, or another event on the same path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// When, in ticks of the machine's counter.
    pub time: u64,
    /// Which location, in the space that the tag names. For [`Kind::End`], the code or the address
    /// that belongs to the reason.
    pub address: GuestPhysAddr,
    /// The guest's program counter, guest-virtual.
    pub pc: u64,
    /// What a read returned, in the low bytes of the access's width. For a write, filled in by the
    /// trace component, what was written to the whole register: what it told before, with the part
    /// that was written; not what the device made of that. With [`Flags::OF_VMM`], in an access ring,
    /// and if the device ignores it: only what was written, in the low bytes. For [`Kind::Outside`] in
    /// a log, how many such accesses there were since the last record; for [`Kind::End`], the
    /// [`EndReason`].
    pub value: u32,
    /// For a write: what the whole register told before it. Filled in by the trace component, but not
    /// with [`Flags::OF_VMM`].
    pub old: u32,
    /// The access's number in the order in which its device saw it; the first is 1.
    pub sequence: u64,
    /// What kind of record, whose, and how wide.
    pub tag: Tag,
    /// For a read: the sequence number (low 32 bits) of the state that it saw.
    pub state_seen: u32,
    /// How often the VM had been reset.
    pub epoch: u32,
}

impl Record {
    /// The record of an access at `time` that read or writes `value`, the one of this number of its device;
    /// `tag` is what all accesses to that have in common. What the trace component fills in is 0, and so is
    /// the state that was seen.
    #[inline(always)]
    pub fn of_access(access: &Access, tag: Tag, sequence: u64, value: u32, time: u64) -> Self {
        Self {
            time,
            address: access.address,
            pc: access.pc,
            value,
            old: 0,
            sequence,
            tag: tag.with_access(access.direction, Some(access.width)),
            state_seen: 0,
            epoch: 0,
        }
    }

    /// The record as it stands in a slot.
    #[inline(always)]
    pub fn to_words(self) -> Payload {
        [
            self.time,
            self.address.0,
            self.pc,
            halves(self.value, self.old),
            self.sequence,
            self.tag.0,
            halves(self.state_seen, self.epoch),
        ]
    }

    /// The address with its space.
    pub const fn location(&self) -> Address {
        Address {
            space: self.tag.space(),
            number: self.address.0,
        }
    }

    /// The claims of a slot; every bit pattern is some record.
    #[inline(always)]
    pub fn from_words(words: &Payload) -> Self {
        Self {
            time: words[0],
            address: GuestPhysAddr(words[1]),
            pc: words[2],
            value: words[3] as u32,
            old: (words[3] >> 32) as u32,
            sequence: words[4],
            tag: Tag(words[TAG_WORD]),
            state_seen: words[6] as u32,
            epoch: (words[6] >> 32) as u32,
        }
    }
}

/// What was done to a device in its VM's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceSummary {
    /// When it was summed up, in ticks.
    pub time: u64,
    /// Loads, the refused ones not counted.
    pub reads: u64,
    /// Stores, the refused ones not counted.
    pub writes: u64,
    /// Records that the log ring took.
    pub logged: u64,
    /// Records written to the trace ring.
    pub traced: u64,
    /// What its first register tells at the end; of a device inside a VMM, 0.
    pub value: u32,
    /// Accesses that the device does not support.
    pub refused: u32,
}

impl DeviceSummary {
    /// The summary as it stands in a slot.
    pub fn to_words(self, tag: Tag) -> Payload {
        [
            self.time,
            self.reads,
            self.writes,
            self.logged,
            self.traced,
            tag.0,
            halves(self.value, self.refused),
        ]
    }

    /// The claims of a slot.
    pub fn from_words(words: &Payload) -> Self {
        Self {
            time: words[0],
            reads: words[1],
            writes: words[2],
            logged: words[3],
            traced: words[4],
            value: words[6] as u32,
            refused: (words[6] >> 32) as u32,
        }
    }
}

/// What was lost or refused in a VM's life, over all its devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VmSummary {
    /// When it was summed up, in ticks.
    pub time: u64,
    /// Records that the log ring had no room for.
    pub log_lost: u64,
    /// Records of the trace ring that newer ones have overwritten.
    pub trace_overwritten: u64,
    /// Accesses to locations where there is no device.
    pub outside: u64,
    /// Accesses that were completed by policy because nobody took their record.
    pub unrecorded: u64,
    /// Claims of the VMM that cannot be.
    pub misbehaviour: u32,
}

impl VmSummary {
    /// The summary as it stands in a slot.
    pub fn to_words(self, tag: Tag) -> Payload {
        [
            self.time,
            self.log_lost,
            self.trace_overwritten,
            self.outside,
            self.unrecorded,
            tag.0,
            u64::from(self.misbehaviour),
        ]
    }

    /// The claims of a slot.
    pub fn from_words(words: &Payload) -> Self {
        Self {
            time: words[0],
            log_lost: words[1],
            trace_overwritten: words[2],
            outside: words[3],
            unrecorded: words[4],
            misbehaviour: words[6] as u32,
        }
    }
}

/// When a VM's accesses happened, and when the last of them was recorded or counted as lost.
/// All in ticks; all zero if there were none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// The stamp of the first access.
    pub first: u64,
    /// The stamp of the last access.
    pub last: u64,
    /// When the trace component was through with the last access.
    pub recorded: u64,
}

impl Span {
    /// The span as it stands in a slot, summed up at `time`.
    pub fn to_words(self, time: u64, tag: Tag) -> Payload {
        [time, self.first, self.last, self.recorded, 0, tag.0, 0]
    }

    /// The claims of a slot.
    pub fn from_words(words: &Payload) -> Self {
        Self {
            first: words[1],
            last: words[2],
            recorded: words[3],
        }
    }
}

/// A record of the log ring or the trace ring, by its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// [`Kind::Access`], [`Kind::Outside`], [`Kind::Reset`] or [`Kind::End`].
    Event(Kind, Record),
    /// [`Kind::DeviceSummary`], and the device's number.
    Device(u8, DeviceSummary),
    /// [`Kind::VmSummary`].
    Vm(VmSummary),
    /// [`Kind::Span`], and when it was summed up.
    Span(u64, Span),
    /// [`Kind::Misbehaviour`].
    Misbehaviour(Misbehaviour),
}

impl Entry {
    /// Reads a slot; `None` if its kind is none that these rings have, or it holds what cannot
    /// be.
    pub fn from_words(words: &Payload) -> Option<Self> {
        let tag = Tag(words[TAG_WORD]);
        Some(match tag.kind()? {
            Kind::DeviceSummary => Self::Device(tag.instance(), DeviceSummary::from_words(words)),
            Kind::VmSummary => Self::Vm(VmSummary::from_words(words)),
            Kind::Span => Self::Span(words[0], Span::from_words(words)),
            Kind::Misbehaviour => Self::Misbehaviour(Misbehaviour::from_words(words)?),
            Kind::Text | Kind::Notice | Kind::Verdict | Kind::VmDied => return None,
            kind => Self::Event(kind, Record::from_words(words)),
        })
    }
}

/// Why a VM has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// The guest switched it off by PSCI.
    PoweredOff,
    /// The guest said that it failed; the address field holds its code.
    GuestFailed,
    /// Policy `abort`: an instruction that is not supported.
    UnsupportedInstruction,
    /// Policy `abort`: a location where there is nothing, or an access it does not support.
    UnsupportedReference,
    /// Policy `abort`: a system register that is not supported.
    UnsupportedRegister,
    /// The guest executed outside its RAM.
    FetchAbort,
    /// The machine's memory reported an error.
    MemoryError,
    /// An exit that nobody expects; the address field holds the exception class.
    UnknownExit,
    /// The guest's images are for another machine, not all there, or not in its RAM.
    BadImage,
    /// Its VMM claimed what cannot be, so often that nobody listens to it any more; the address
    /// field holds how often. Never said by a VMM.
    VmmMisbehaved,
    /// Its VMM has died. Never said by a VMM.
    VmmDied,
    /// The guest stopped its CPU until an interrupt comes, and takes none.
    NothingWakesIt,
}

impl EndReason {
    const ALL: [Self; 12] = [
        Self::PoweredOff,
        Self::GuestFailed,
        Self::UnsupportedInstruction,
        Self::UnsupportedReference,
        Self::UnsupportedRegister,
        Self::FetchAbort,
        Self::MemoryError,
        Self::UnknownExit,
        Self::BadImage,
        Self::VmmMisbehaved,
        Self::VmmDied,
        Self::NothingWakesIt,
    ];

    /// Its number in a record's value.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// From a record's value.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(number as usize).copied()
    }

    /// Whether a VMM can say so of its VM.
    pub const fn is_a_vmms(self) -> bool {
        !matches!(self, Self::VmmMisbehaved | Self::VmmDied)
    }

    /// Whether the guest ended as it wanted to.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::PoweredOff)
    }
}

#[inline(always)]
const fn halves(low: u32, high: u32) -> u64 {
    low as u64 | (high as u64) << 32
}

#[cfg(test)]
mod tests;
