//! One device of a VM, as the device domain has it: its state, what was done to it, and the judgement of
//! what its VMM claims about it.
//!
//! Used by the lane for each record of an access. What the device does is in its file (`vdevs`); of a device
//! that its VMM has there is no state here, and its records are the VMM's word.
//!
//! Invariant: [`LaneDevice::apply`] is the only thing that a guest can cause here; it judges every field of the
//! claim that it is given, and the sequence numbers that it accepts only grow.

use guest_access::{AccessWidth, Direction};
use shared_ring::Payload;
use trace_records::{
    Answer, DeviceSummary, EVENT_NONE, Flags, MAX_WORDS, Misdeed, Record, Stamp, StatePage, Tag,
};
use vdev_model::{AnyVdev, Kind, Lane, Options, Read, Register};
use vdevs::Vdev;
use vm_config::{Device, SeverityMask, VmConfig};

/// The most accesses that a VMM may have completed without a record, in one go. At the
/// fastest an access takes, this is longer than any bounded wait.
const MAX_GAP: u64 = 1 << 40;

/// See the file's header.
#[derive(Clone)]
pub(super) struct LaneDevice {
    vdev: Vdev,
    kind: &'static Kind,
    location: u64,
    word: Option<Word>,
    words: usize,
    /// Some of its registers are asked.
    is_asked: bool,
    stamp: Stamp,
    emits: Emits,
    options: Options,
    at: Progress,
}

/// The word that is all of a device ([`AnyVdev::word`]), and how accesses to all of it are told.
#[derive(Clone, Copy)]
struct Word {
    register: &'static Register,
    /// The tag of a read, by its VMM.
    claimed: Tag,
    /// The same with what only this domain has a say in.
    told: Tag,
}

impl Word {
    fn of(vdev: Vdev, claimed: Tag, stamp: Stamp) -> Option<Self> {
        let claimed = claimed.with_access(Direction::Read, Some(AccessWidth::Word));
        Some(Self {
            register: vdev.word()?,
            claimed,
            told: claimed.stamped_at_device(stamp),
        })
    }

    /// Whether the record is of an access to all of the word, which is there, and says of it what an honest
    /// VMM says.
    #[inline(always)]
    fn is_all_of(&self, record: &Record, location: u64) -> bool {
        record.address.0 == location && record.tag.is_but_for_its_direction(self.claimed)
    }
}

/// Where a device's accesses are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Emits {
    pub to_log: bool,
    pub to_trace: bool,
}

/// All that changes in a device: where one that is made anew goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::trace) struct Progress {
    sequence: u64,
    /// Accesses that the VMM completed without a record.
    unrecorded: u64,
    summary: DeviceSummary,
    answer: Answer,
    words: [u32; MAX_WORDS],
}

impl LaneDevice {
    /// The device of a VM's configuration, as it is when the VM begins; `None` if its VMM has it and nobody
    /// wants to know.
    pub fn new(vm: u8, instance: u8, device: &Device<'_>, config: &VmConfig<'_>) -> Option<Self> {
        let Device { vdev, emit, .. } = *device;
        let is_isolated = vdev.local().is_none();
        let logs = config.logger_of(device).contains(SeverityMask::INFO);
        let emits = Emits {
            to_log: emit.logger && logs,
            to_trace: emit.trace.is_some(),
        };
        if !is_isolated && !emit.logger && !emits.to_trace {
            return None;
        }
        let flags = match is_isolated {
            true => Flags::NONE,
            false => Flags::OF_VMM,
        };
        let event = emit.trace.map_or(EVENT_NONE, |number| number.get());
        let stamp = Stamp::new(vm, event).of_device(device.space, flags);
        let claimed = Tag::of_device(instance, device.space);
        let (loc, options) = (device.loc, device.options);
        Some(Self::begin(vdev, loc, options, claimed, stamp, emits))
    }

    /// A device as it is when its VM begins.
    fn begin(
        vdev: Vdev,
        location: u64,
        options: Options,
        claimed: Tag,
        stamp: Stamp,
        emits: Emits,
    ) -> Self {
        let mut words = [0; MAX_WORDS];
        vdev.begin(&mut words, &options);
        Self {
            vdev,
            kind: vdev.kind(),
            location,
            word: Word::of(vdev, claimed, stamp),
            words: vdev.word_count(),
            is_asked: is_asked(vdev),
            stamp,
            emits,
            options,
            at: Progress {
                sequence: 0,
                unrecorded: 0,
                summary: DeviceSummary::default(),
                answer: Answer::default(),
                words,
            },
        }
    }

    /// Goes on where another, which is no more, was.
    pub fn resume(&mut self, at: Progress) {
        self.at = at;
    }

    /// Where it is, to be kept.
    #[inline(always)]
    pub fn progress(&self) -> Progress {
        self.at
    }

    /// Lets seconds pass.
    pub fn seconds(&mut self, seconds: u64) {
        self.vdev.seconds(&mut self.at.words, seconds);
    }

    /// The VM was reset. The numbering goes on.
    pub fn reset(&mut self) {
        self.vdev.reset(&mut self.at.words, &self.options);
    }

    /// Carries out one access and completes its record: its stamp; for a write the whole register before and
    /// after it; for what is asked, the answer.
    ///
    /// # Errors
    ///
    /// What its VMM has claimed that cannot be; the device stays as it was.
    #[inline(always)]
    pub fn apply(&mut self, mut record: Record) -> Result<Record, Misdeed> {
        let is_next = self.at.sequence.checked_add(1) == Some(record.sequence);
        match self.word {
            Some(word) if is_next && word.is_all_of(&record, self.location) => {
                let direction = record.tag.direction();
                if direction == Direction::Write {
                    let it = &mut self.at.words[..1];
                    let written = self.vdev.write(it, word.register, Lane::WORD, record.value);
                    (record.old, record.value) = written;
                }
                record.tag = word.told.with_direction_of(record.tag);
                self.count(direction);
                self.at.sequence = record.sequence;
                Ok(record)
            }
            // The words and not the record, which otherwise would be in memory for the sake of this call.
            _ => self.apply_other(&record.to_words()),
        }
    }

    #[inline(always)]
    fn count(&mut self, direction: Direction) {
        match direction {
            Direction::Read => self.at.summary.reads += 1,
            Direction::Write => self.at.summary.writes += 1,
        }
    }

    /// [`Self::apply`], of any access.
    #[inline(never)]
    fn apply_other(&mut self, words: &Payload) -> Result<Record, Misdeed> {
        let mut record = Record::from_words(words);
        let ahead = self.ahead(&record)?;
        if record.tag.flags().contains(Flags::REFUSED) {
            self.at.summary.refused = self.at.summary.refused.saturating_add(1);
        } else {
            self.carry_out(&mut record)?;
            self.count(record.tag.direction());
        }
        self.at.unrecorded = self.at.unrecorded.saturating_add(ahead - 1);
        self.at.sequence = record.sequence;
        record.tag = record.tag.stamped_at_device(self.stamp);
        Ok(record)
    }

    /// Lets an access do what it does to the device, if it is one of the device's.
    fn carry_out(&mut self, record: &mut Record) -> Result<(), Misdeed> {
        let (direction, width_bytes) = (record.tag.direction(), record.tag.width_bytes());
        let offset = record.address.0.wrapping_sub(self.location);
        let Some(found) = self.kind.find(offset, width_bytes, direction) else {
            return match self.kind.ignores(offset, width_bytes) {
                true => Ok(()),
                false => Err(Misdeed::Location),
            };
        };
        let (vdev, words) = (self.vdev, &mut self.at.words);
        let register = self.kind.register(found);
        match direction {
            Direction::Write if self.words != 0 => {
                let value = record.value;
                (record.old, record.value) = vdev.write(words, register, found.lane, value);
            }
            Direction::Read if self.is_asked && register.read == Read::Asked => {
                record.value = found.lane.of(vdev.asked(words, register.offset));
                self.at.answer = Answer {
                    sequence: record.sequence as u32,
                    value: record.value,
                };
            }
            _ => {}
        }
        Ok(())
    }

    /// How far the number of a record is ahead of the last one.
    fn ahead(&self, record: &Record) -> Result<u64, Misdeed> {
        let ahead = record.sequence.wrapping_sub(self.at.sequence);
        if ahead.wrapping_sub(1) > MAX_GAP || record.sequence < self.at.sequence {
            return Err(Misdeed::Number);
        }
        Ok(ahead)
    }

    /// Passes over an access that nobody may carry out: nothing but its number is looked at, and it counts
    /// as one without a record. If it asks something, the answer is all-ones.
    ///
    /// # Errors
    ///
    /// What its VMM has claimed that cannot be; the device stays as it was.
    pub fn pass_over(&mut self, record: &Record) -> Result<(), Misdeed> {
        let ahead = self.ahead(record)?;
        self.at.unrecorded = self.at.unrecorded.saturating_add(ahead);
        self.at.sequence = record.sequence;
        self.at.answer = Answer {
            sequence: record.sequence as u32,
            value: u32::MAX,
        };
        Ok(())
    }

    /// Shows the VMM the device's state, and what it has been asked.
    #[inline(always)]
    pub fn publish(&self, instance: usize, page: &StatePage) {
        if self.is_asked {
            page.publish_answer(instance, self.at.answer);
        }
        if self.words != 0
            && let Some(words) = self.at.words.get(..self.words)
        {
            page.publish(instance, self.at.sequence as u32, words);
        }
    }

    /// Whether its interrupt is raised.
    pub fn interrupts(&self) -> bool {
        let interrupt = self.kind.interrupt;
        interrupt.is_some_and(|line| {
            self.at
                .words
                .get(line.word)
                .is_some_and(|it| it & line.mask != 0)
        })
    }

    /// Where its accesses are told.
    #[inline(always)]
    pub fn emits(&self) -> Emits {
        self.emits
    }

    /// Accesses that the VMM completed without a record.
    pub fn unrecorded(&self) -> u64 {
        self.at.unrecorded
    }

    /// Counts a record that the log ring took.
    #[inline(always)]
    pub fn count_logged(&mut self) {
        self.at.summary.logged += 1;
    }

    /// What was done to the device so far, at `time` in ticks.
    pub fn summary(&self, time: u64) -> DeviceSummary {
        let DeviceSummary {
            reads,
            writes,
            refused,
            ..
        } = self.at.summary;
        let first = self.kind.registers.first();
        DeviceSummary {
            time,
            value: first.map_or(0, |first| self.vdev.told(&self.at.words, first.offset)),
            // The trace ring takes them all.
            traced: match self.emits.to_trace {
                true => reads + writes + u64::from(refused),
                false => 0,
            },
            ..self.at.summary
        }
    }
}

/// Whether some register of the device, which lives here, is asked.
fn is_asked(vdev: Vdev) -> bool {
    let mut registers = vdev.kind().registers.iter();
    vdev.word_count() != 0 && registers.any(|register| register.read == Read::Asked)
}

#[cfg(test)]
mod tests;
