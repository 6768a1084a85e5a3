//! One access to an isolated device, on this side of the isolation: what a read gives and the record
//! that tells of it.
//!
//! Called for each access on the short way, and by `carry_out` for the elements of the others.
//!
//! Invariant: the guest never sees a value older than its own last write to the device. What the device's
//! kind says of a register decides how (`vdev_model::Read`):
//!
//! ```text
//!   reads back   the newest write of all of it, if it is not applied yet, else the state page's
//!                value; after a narrow write the access is to come later
//!   follows      the state page's value; later, as long as a write to the device is not applied
//!   asked        the read is recorded; its value is the device domain's answer, which comes later
//! ```

use super::trace_link::TraceLink;
use super::transfer::Element;
use guest_access::{Access, Direction};
use trace_records::{DeviceState, Kind as RecordKind, MAX_WORDS, Record, Tag};
use vdev_model::{AnyVdev, Kind, Lane, Read, Register};
use vdevs::Vdev;
use vm_config::Device;

/// Registers of a device of which the newest write is remembered until it is applied.
const REMEMBERED: usize = 4;

/// This side of a device, which itself lives in the device domain.
pub(crate) struct DevicePoint {
    pub(super) instance: u8,
    /// Its state is one word.
    is_one_word: bool,
    vdev: Vdev,
    kind: &'static Kind,
    location: u64,
    /// What the tags of its accesses have in common.
    tag: Tag,
    /// The number of the last access.
    pub(super) sequence: u64,
    unapplied: Option<Unapplied>,
}

/// Writes that the device domain may not have applied.
struct Unapplied {
    /// The number of the newest.
    newest: u32,
    /// The number of the newest that is in no other place here.
    forgotten: Option<u32>,
    /// By the registers' offsets.
    written: [Option<Written>; REMEMBERED],
}

/// The newest write to a register.
#[derive(Clone, Copy)]
struct Written {
    offset: u64,
    sequence: u32,
    /// What a read gives; `None` after a narrow write, of which only the device domain knows the outcome.
    value: Option<u32>,
}

/// What an access sees.
pub(crate) struct Seen {
    /// The register and the part of it; `None` where the device has none, and ignores it.
    register: Option<(&'static Register, Lane)>,
    /// The number of the last access in the state that a read sees.
    sequence: u32,
    /// What a read gets.
    pub value: u32,
}

/// What became of an access to an isolated device.
pub(crate) enum Attempt {
    /// It is recorded; a read got this.
    Done(u32),
    /// The device domain has to do something first.
    Later,
    /// Its read has to be recorded, and the device domain to answer.
    Asked,
    /// The device does not support it.
    Refused,
}

impl DevicePoint {
    /// The VM's device of this number.
    pub(super) fn new(instance: u8, device: &Device<'_>) -> Self {
        let tag = Tag::new(RecordKind::Access).with_instance(instance);
        Self {
            instance,
            is_one_word: device.vdev.word_count() == 1,
            vdev: device.vdev,
            kind: device.kind(),
            location: device.loc,
            tag: tag.with_space(device.space),
            sequence: 0,
            unapplied: None,
        }
    }

    /// Records an element at `time`, if the device domain is where it has to be for that.
    pub(super) fn attempt_element(
        &mut self,
        element: &mut Element,
        pc: u64,
        time: u64,
        link: &mut TraceLink,
    ) -> Attempt {
        let Some(access) = element.access(pc) else {
            return Attempt::Refused;
        };
        if let Some(number) = element.asked {
            return match link.answer(self.instance, number) {
                Some(value) => Attempt::Done(value),
                None => Attempt::Later,
            };
        }
        let (seen, is_asked) = match self.look(&access, link) {
            Ok(seen) => (seen, false),
            Err(Attempt::Asked) => (Seen::NOTHING, true),
            Err(attempt) => return attempt,
        };
        let value = match access.direction {
            Direction::Read => seen.value,
            Direction::Write => element.value() as u32,
        };
        let has_room = link.access.has_room();
        if !has_room && !link.kept.gone {
            return Attempt::Later;
        }
        let record = self.record(&access, &seen, value, time);
        if link.append_or_count(record) && is_asked {
            element.asked = Some(record.sequence as u32);
            return Attempt::Later;
        }
        Attempt::Done(value)
    }

    /// What an access sees, if that is known.
    #[inline(always)]
    pub(crate) fn look(&mut self, access: &Access, link: &TraceLink) -> Result<Seen, Attempt> {
        let offset = access.address.0.wrapping_sub(self.location);
        let found = self
            .kind
            .find(offset, access.width.bytes(), access.direction);
        let Some((register, lane)) = found else {
            return match self.kind.ignores(offset, access.width.bytes()) {
                true => Ok(Seen::NOTHING),
                false => Err(Attempt::Refused),
            };
        };
        let (sequence, value) = match access.direction {
            Direction::Read => self.read(register, link)?,
            Direction::Write => (0, 0),
        };
        Ok(Seen {
            register: Some((register, lane)),
            sequence,
            value: lane.of(value),
        })
    }

    /// The record of an access that reads or writes `value` at `time`, the next of its device.
    #[inline(always)]
    pub(crate) fn record(&mut self, access: &Access, seen: &Seen, value: u32, time: u64) -> Record {
        let sequence = self.sequence + 1;
        self.sequence = sequence;
        if access.direction == Direction::Write
            && let Some((register, lane)) = seen.register
        {
            let is_whole = lane == register.whole();
            self.remember(register, sequence as u32, is_whole.then_some(value));
        }
        Record {
            time,
            address: access.address,
            pc: access.pc,
            value,
            old: 0,
            sequence,
            tag: self.tag.with_access(access.direction, Some(access.width)),
            state_seen: seen.sequence,
            epoch: 0,
        }
    }

    /// A VMM has died that had come to this number: reads wait until the device domain has, too.
    pub(super) fn go_on_from(&mut self, sequence: u64) {
        self.sequence = sequence;
        self.unapplied = Some(Unapplied {
            newest: sequence as u32,
            forgotten: Some(sequence as u32),
            written: [None; REMEMBERED],
        });
    }

    /// What a read of a register sees: the number of the last access in that state, and the register.
    #[inline(always)]
    fn read(&mut self, register: &Register, link: &TraceLink) -> Result<(u32, u32), Attempt> {
        if link.kept.gone {
            return Ok((0, u32::MAX));
        }
        let state = link.state(self.instance);
        if let Some(unapplied) = &self.unapplied {
            if state.includes(unapplied.newest) {
                self.unapplied = None;
            } else if let Some((sequence, value)) = unapplied.read(register, state)? {
                return Ok((sequence, value));
            }
        }
        match register.read {
            Read::Asked => Err(Attempt::Asked),
            _ if self.is_one_word => {
                let told = self.vdev.told(&[state.value], register.offset);
                Ok((state.sequence, told))
            }
            _ => self.read_several(register, link),
        }
    }

    #[inline(never)]
    fn read_several(&self, register: &Register, link: &TraceLink) -> Result<(u32, u32), Attempt> {
        let mut words = [0; MAX_WORDS];
        let words = &mut words[..self.vdev.word_count()];
        let sequence = link
            .state_of_several(self.instance, words)
            .ok_or(Attempt::Later)?;
        Ok((sequence, self.vdev.told(words, register.offset)))
    }

    /// A write is on its way.
    #[inline(always)]
    fn remember(&mut self, register: &Register, sequence: u32, value: Option<u32>) {
        let unapplied = self.unapplied.get_or_insert(Unapplied {
            newest: sequence,
            forgotten: None,
            written: [None; REMEMBERED],
        });
        unapplied.newest = sequence;
        if register.read != Read::ReadsBack {
            return;
        }
        let place = &mut unapplied.written[place_of(register)];
        if let Some(other) = place
            && other.offset != register.offset
        {
            let is_newer = |than: u32| other.sequence.wrapping_sub(than) as i32 > 0;
            if unapplied.forgotten.is_none_or(is_newer) {
                unapplied.forgotten = Some(other.sequence);
            }
        }
        *place = Some(Written {
            offset: register.offset,
            sequence,
            value,
        });
    }
}

impl Unapplied {
    /// What a read of a register gives of the writes: a write's number and value, or nothing, if none that is
    /// not applied matters to it.
    #[inline(always)]
    fn read(&self, register: &Register, state: DeviceState) -> Result<Option<(u32, u32)>, Attempt> {
        match register.read {
            Read::ReadsBack => {}
            Read::Follows => return Err(Attempt::Later),
            // It is carried out after them.
            Read::Asked => return Ok(None),
        }
        match self.written[place_of(register)] {
            Some(written) if written.offset == register.offset => match written.value {
                _ if state.includes(written.sequence) => Ok(None),
                Some(value) => Ok(Some((written.sequence, value))),
                None => Err(Attempt::Later),
            },
            _ => match self.forgotten {
                Some(forgotten) if !state.includes(forgotten) => Err(Attempt::Later),
                _ => Ok(None),
            },
        }
    }
}

/// Where a register's write is remembered.
const fn place_of(register: &Register) -> usize {
    (register.offset >> 2) as usize % REMEMBERED
}

impl Seen {
    /// What no register gives.
    const NOTHING: Self = Self {
        register: None,
        sequence: 0,
        value: 0,
    };
}
