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
use guest_access::{Access, AccessWidth, Direction};
use trace_records::{DeviceState, MAX_WORDS, Record, Tag};
use vdev_model::{AnyVdev, Found, Kind, Read, Register};
use vdevs::Vdev;
use vm_config::Device;

/// Registers of a device, the first, of which the newest write is remembered until it is applied.
const REMEMBERED: usize = 4;

/// This side of a device, which itself lives in the device domain.
pub(crate) struct DevicePoint {
    pub(super) instance: u8,
    /// See [`AnyVdev::word`].
    word: Option<&'static Register>,
    vdev: Vdev,
    kind: &'static Kind,
    location: u64,
    /// What the tags of its accesses have in common.
    tag: Tag,
    /// The number of the last access.
    pub(super) sequence: u64,
    unrecorded: Unrecorded,
    /// Some of its writes may not be applied.
    is_behind: bool,
    unapplied: Unapplied,
}

/// Accesses in a row that were completed without a record, the last there were.
#[derive(Default)]
struct Unrecorded {
    /// The number behind which they begin.
    behind: u64,
    /// The last one's.
    last: u64,
}

/// Writes that the device domain may not have applied.
#[derive(Default)]
struct Unapplied {
    /// The number of the newest.
    newest: u32,
    /// The number of the newest that is in no other place here.
    forgotten: Option<u32>,
    /// The newest writes to the first registers.
    written: [Written; REMEMBERED],
}

/// The newest write to a register.
#[derive(Clone, Copy, Default)]
enum Written {
    #[default]
    Nothing,
    /// All of it: what a read gives until it is applied.
    Whole { sequence: u32, value: u32 },
    /// A part of it: only the device domain knows the outcome.
    Narrow { sequence: u32 },
}

/// What an access sees.
pub(crate) struct Seen {
    /// The register; `None` where the device has none, and ignores it.
    found: Option<Found>,
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
        Self {
            instance,
            word: device.vdev.word(),
            vdev: device.vdev,
            kind: device.kind(),
            location: device.loc,
            tag: Tag::of_device(instance, device.space),
            sequence: 0,
            unrecorded: Unrecorded::default(),
            is_behind: false,
            unapplied: Unapplied::default(),
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
            // A record would change the device once somebody is there, and tell of a value that no guest got.
            Err(Attempt::Asked) if link.kept.gone => {
                self.leave_unrecorded(link);
                return Attempt::Done(element.all_ones() as u32);
            }
            Err(Attempt::Asked) => (Seen::NOTHING, true),
            Err(attempt) => return attempt,
        };
        let value = match access.direction {
            Direction::Read => seen.value,
            Direction::Write => element.value() as u32,
        };
        if !link.access.has_room() {
            if !link.kept.gone {
                return Attempt::Later;
            }
            self.leave_unrecorded(link);
            return Attempt::Done(value);
        }
        let record = self.record(&access, &seen, value, time);
        let appended = link.append(record).is_ok();
        if appended && is_asked {
            element.asked = Some(record.sequence as u32);
            return Attempt::Later;
        }
        Attempt::Done(value)
    }

    /// Whether the access is one to all of the word that the device's state is.
    #[inline(always)]
    pub(crate) fn is_its_word(&self, access: &Access) -> bool {
        let is_all = access.address.0 == self.location && access.width == AccessWidth::Word;
        is_all && self.word.is_some()
    }

    /// What an access to [all of its word](Self::is_its_word) sees, if that is known at once. The rest is left
    /// to [`Self::look`]: a short way with a call in it is no short way.
    #[inline(always)]
    pub(crate) fn look_at_word(
        &mut self,
        direction: Direction,
        link: &TraceLink,
    ) -> Result<Seen, Attempt> {
        let register = self.word.ok_or(Attempt::Later)?;
        let (sequence, value) = match direction {
            Direction::Read => self.read_word(register, 0, link)?,
            Direction::Write => (0, 0),
        };
        Ok(Seen {
            found: Some(Found::WORD),
            sequence,
            value,
        })
    }

    /// What an access sees, if that is known.
    pub(crate) fn look(&mut self, access: &Access, link: &TraceLink) -> Result<Seen, Attempt> {
        let offset = access.address.0.wrapping_sub(self.location);
        let (width_bytes, direction) = (access.width.bytes(), access.direction);
        let Some(found) = self.kind.find(offset, width_bytes, direction) else {
            return match self.kind.ignores(offset, width_bytes) {
                true => Ok(Seen::NOTHING),
                false => Err(Attempt::Refused),
            };
        };
        let (sequence, value) = match direction {
            Direction::Read => {
                let register = self.kind.register(found);
                match register.read {
                    Read::Asked => return Err(Attempt::Asked),
                    _ if self.vdev.word_count() == 1 => {
                        self.read_word(register, found.place, link)?
                    }
                    _ => self.read_several(register, found.place, link)?,
                }
            }
            Direction::Write => (0, 0),
        };
        Ok(Seen {
            found: Some(found),
            sequence,
            value: found.lane.of(value),
        })
    }

    /// The record of an access that reads or writes `value` at `time`, the next of its device.
    #[inline(always)]
    pub(crate) fn record(&mut self, access: &Access, seen: &Seen, value: u32, time: u64) -> Record {
        let sequence = self.sequence + 1;
        self.sequence = sequence;
        if access.direction == Direction::Write
            && let Some(found) = seen.found
        {
            self.is_behind = true;
            self.unapplied.write(found, sequence as u32, value);
        }
        Record {
            state_seen: seen.sequence,
            ..Record::of_access(access, self.tag, sequence, value, time)
        }
    }

    /// An access is completed without a record: a gap in the device's numbers.
    pub(super) fn leave_unrecorded(&mut self, link: &mut TraceLink) {
        if self.unrecorded.last != self.sequence {
            self.unrecorded.behind = self.sequence;
        }
        self.sequence += 1;
        self.unrecorded.last = self.sequence;
        link.kept.unrecorded += 1;
    }

    /// The number of the last access that has a record.
    pub(super) fn recorded(&self) -> u64 {
        match self.unrecorded.last == self.sequence {
            true => self.unrecorded.behind,
            false => self.sequence,
        }
    }

    /// Whether the device domain has not applied all writes.
    pub(super) fn is_behind(&self, link: &TraceLink) -> bool {
        self.is_behind && !link.state(self.instance).includes(self.unapplied.newest)
    }

    /// A VMM has died that had come to these numbers, or its VM is reset: reads wait until the device domain has
    /// come to the last recorded one, too.
    pub(super) fn go_on_from(&mut self, sequence: u64, recorded: u64) {
        self.sequence = sequence;
        self.unrecorded = Unrecorded {
            behind: recorded,
            last: sequence,
        };
        self.is_behind = true;
        self.unapplied = Unapplied {
            newest: recorded as u32,
            forgotten: Some(recorded as u32),
            written: [Written::Nothing; REMEMBERED],
        };
    }

    /// What a read of a register of a device of one word sees: the number of the last access in that state, and
    /// the register.
    #[inline(always)]
    fn read_word(
        &mut self,
        register: &Register,
        place: u8,
        link: &TraceLink,
    ) -> Result<(u32, u32), Attempt> {
        self.read(register, place, link, |point, state| {
            let told = point.vdev.told(&[state.value], register.offset);
            Ok((state.sequence, told))
        })
    }

    /// The same of a device with several words.
    fn read_several(
        &mut self,
        register: &Register,
        place: u8,
        link: &TraceLink,
    ) -> Result<(u32, u32), Attempt> {
        self.read(register, place, link, |point, _| {
            let mut words = [0; MAX_WORDS];
            let words = &mut words[..point.vdev.word_count()];
            let sequence = link.state_of_several(point.instance, words);
            let sequence = sequence.ok_or(Attempt::Later)?;
            Ok((sequence, point.vdev.told(words, register.offset)))
        })
    }

    /// What a read sees; `published` gives what the state page tells, where nothing newer is on its way.
    #[inline(always)]
    fn read(
        &mut self,
        register: &Register,
        place: u8,
        link: &TraceLink,
        published: impl FnOnce(&Self, DeviceState) -> Result<(u32, u32), Attempt>,
    ) -> Result<(u32, u32), Attempt> {
        if link.kept.gone {
            return Ok((0, u32::MAX));
        }
        let state = link.state(self.instance);
        match self.read_unapplied(register, place, state)? {
            Some(seen) => Ok(seen),
            None => published(self, state),
        }
    }

    /// What a read sees of the writes that are not applied, if one matters to it.
    #[inline(always)]
    fn read_unapplied(
        &mut self,
        register: &Register,
        place: u8,
        state: DeviceState,
    ) -> Result<Option<(u32, u32)>, Attempt> {
        if !self.is_behind {
            return Ok(None);
        }
        if state.includes(self.unapplied.newest) {
            self.is_behind = false;
            self.unapplied = Unapplied::default();
            return Ok(None);
        }
        self.unapplied.read(register.read, place, state)
    }
}

impl Unapplied {
    /// A write is on its way.
    #[inline(always)]
    fn write(&mut self, found: Found, sequence: u32, value: u32) {
        self.newest = sequence;
        match self.written.get_mut(usize::from(found.place)) {
            Some(written) if found.is_whole => *written = Written::Whole { sequence, value },
            Some(written) => *written = Written::Narrow { sequence },
            None => self.forgotten = Some(sequence),
        }
    }

    /// What a read of a register gives of the writes: a write's number and value, or nothing, if none that is
    /// not applied matters to it.
    #[inline(always)]
    fn read(
        &self,
        read: Read,
        place: u8,
        state: DeviceState,
    ) -> Result<Option<(u32, u32)>, Attempt> {
        if read != Read::ReadsBack {
            return Err(Attempt::Later);
        }
        let is_applied = |sequence: &u32| state.includes(*sequence);
        match self.written.get(usize::from(place)) {
            Some(Written::Whole { sequence, value }) if !is_applied(sequence) => {
                Ok(Some((*sequence, *value)))
            }
            Some(Written::Narrow { sequence }) if !is_applied(sequence) => Err(Attempt::Later),
            _ if self.forgotten.as_ref().is_none_or(is_applied) => Ok(None),
            _ => Err(Attempt::Later),
        }
    }
}

impl Seen {
    /// What no register gives.
    const NOTHING: Self = Self {
        found: None,
        sequence: 0,
        value: 0,
    };
}
