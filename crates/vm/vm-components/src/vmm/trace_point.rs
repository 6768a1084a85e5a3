//! One access to a trace device, on this side of the isolation: what a read gives and the record
//! that tells of it.
//!
//! Called for each access on the short way, and by `carry_out` for the elements of the others.
//!
//! Invariant: the guest never sees a value older than its own last write. A read gives the newest
//! write of the whole word that is not applied yet, else the state page's value; after a narrow
//! write only the trace component knows the outcome, and the access is to come [later](Attempt).

use super::trace_link::TraceLink;
use super::transfer::Element;
use guest_access::{Access, Direction, GuestPhysAddr};
use trace_records::{DeviceState, Flags, Kind, Record, Tag};
use vdevs::trace::{TraceDevice, read_lane};

/// This side of a trace device, which itself lives in the trace component.
pub(crate) struct TracePoint {
    pub(super) instance: u8,
    /// What the tags of its accesses have in common.
    tag: Tag,
    location: GuestPhysAddr,
    pub(super) kept: KeptPoint,
}

/// What of this side of a device a VMM leaves to the next.
#[derive(Clone, Copy, Default)]
pub(super) struct KeptPoint {
    /// The number of the last access.
    pub(super) sequence: u64,
    /// The newest write, until the trace component has applied it.
    unapplied: Unapplied,
}

#[derive(Clone, Copy, Default)]
enum Unapplied {
    #[default]
    Nothing,
    /// A write of the whole word: what a read gives until it is applied.
    Word { sequence: u32, value: u32 },
    /// A narrow write: only the trace component knows the outcome.
    Narrow { sequence: u32 },
}

/// What became of an access to a trace device.
pub(crate) enum Attempt {
    /// It is recorded; a read got this.
    Done(u32),
    /// The trace component has to do something first.
    Later,
    /// The device does not support it.
    Refused,
}

impl TracePoint {
    /// The VM's device of this number, at `location`.
    pub(super) fn new(instance: u8, location: GuestPhysAddr) -> Self {
        Self {
            instance,
            tag: Tag::new(Kind::Access).with_instance(instance),
            location,
            kept: KeptPoint::default(),
        }
    }

    /// Records an element at `time`, if the trace component is where it has to be for that.
    pub(super) fn attempt_element(
        &mut self,
        element: &Element,
        pc: u64,
        time: u64,
        link: &mut TraceLink,
    ) -> Attempt {
        let Some(access) = element.access(pc) else {
            return Attempt::Refused;
        };
        let (current, lane) = match self.look(&access, link) {
            Ok(seen) => seen,
            Err(attempt) => return attempt,
        };
        let value = match access.direction {
            Direction::Read => lane,
            Direction::Write => element.value() as u32,
        };
        let has_room = link.access.has_room();
        if !has_room && !link.kept.gone {
            return Attempt::Later;
        }
        let record = self.record(&access, current, value, time);
        if link.append(record).is_err() {
            // Nobody will make room: a gap in the numbers.
            link.kept.unrecorded += 1;
        }
        Attempt::Done(value)
    }

    /// The state that an access sees and what it would read of it.
    #[inline(always)]
    pub(crate) fn look(
        &mut self,
        access: &Access,
        link: &TraceLink,
    ) -> Result<(DeviceState, u32), Attempt> {
        let current = match access.direction {
            Direction::Read => self.current(link).ok_or(Attempt::Later)?,
            Direction::Write => DeviceState::default(),
        };
        let (address, width_bytes) = (access.address, access.width.bytes());
        let lane = read_lane(self.location, address, width_bytes, current.value);
        Ok((current, lane.ok_or(Attempt::Refused)?))
    }

    /// The record of an access that reads or writes `value` at `time`, the next of its device.
    #[inline(always)]
    pub(crate) fn record(
        &mut self,
        access: &Access,
        current: DeviceState,
        value: u32,
        time: u64,
    ) -> Record {
        let sequence = self.kept.sequence + 1;
        self.kept.sequence = sequence;
        if access.direction == Direction::Write {
            let is_whole = access.width.bytes() == TraceDevice::LEN_BYTES;
            self.kept.unapplied = Unapplied::write(is_whole, sequence, value);
        }
        Record {
            time,
            address: access.address,
            pc: access.pc,
            value,
            old: 0,
            sequence,
            tag: self.tag.with_access(access.direction, Some(access.width)),
            state_seen: current.sequence,
            epoch: 0,
        }
    }

    /// A dead VMM has published this record of the device's after it had kept its state.
    pub(super) fn catch_up(&mut self, record: &Record) {
        self.kept.sequence = record.sequence;
        let tag = record.tag;
        if tag.direction() == Direction::Write && !tag.flags().contains(Flags::REFUSED) {
            let is_whole = tag.width_bytes() == TraceDevice::LEN_BYTES;
            self.kept.unapplied = Unapplied::write(is_whole, record.sequence, record.value);
        }
    }

    /// What a read sees: the newest full write if it is not applied yet, else the state
    /// page. `None` while a narrow write is on its way.
    #[inline(always)]
    fn current(&mut self, link: &TraceLink) -> Option<DeviceState> {
        if link.kept.gone {
            return Some(DeviceState {
                sequence: 0,
                value: u32::MAX,
            });
        }
        let state = link.state(self.instance);
        match self.kept.unapplied {
            Unapplied::Nothing => Some(state),
            Unapplied::Word { sequence, .. } | Unapplied::Narrow { sequence }
                if state.includes(sequence) =>
            {
                self.kept.unapplied = Unapplied::Nothing;
                Some(state)
            }
            Unapplied::Word { sequence, value } => Some(DeviceState { sequence, value }),
            Unapplied::Narrow { .. } => None,
        }
    }
}

impl Unapplied {
    /// A write with this number, whole or narrow.
    #[inline(always)]
    fn write(is_whole: bool, sequence: u64, value: u32) -> Self {
        let sequence = sequence as u32;
        match is_whole {
            true => Self::Word { sequence, value },
            false => Self::Narrow { sequence },
        }
    }
}
