//! The end of a VM's lane: who ends it, what a VMM that misbehaves has to fear, and the sums.
//!
//! Invariant: a VM ends once, and the first reason stays; its sums are never dropped. What its VMM
//! claims that cannot be is told through the log ring, whatever the VM's logger mask: that is the
//! system's word, not the VM's.

use super::device::LaneDevice;
use super::{Lane, Signals};
use guest_access::GuestPhysAddr;
use trace_records::{
    ACCESS_SLOTS, EVENT_NONE, EndReason, Kind, Misdeed, Record, Stamp, Tag, VmSummary,
};

/// The VM has ended; its sums are on their way to the log ring.
#[derive(Clone, Copy)]
pub(super) struct Closing {
    end: Record,
    /// Entries that are in the ring already.
    written: usize,
}

impl Lane {
    /// After its end a VM's VMM has nothing to say.
    #[cold]
    pub(super) fn drop_what_follows(&mut self) {
        for _ in 0..ACCESS_SLOTS {
            if self.at.conduct.is_closed() || self.access.take().is_none() {
                break;
            }
            self.at.conduct.note(Misdeed::AfterEnd);
        }
    }

    /// Tells what the VMM and the log ring's reader claimed that cannot be. Of a VMM that has
    /// gone too far, nothing is read any more, and its VM has ended.
    pub(super) fn tell_misbehaviour(&mut self, now: u64, signals: &mut Signals) {
        self.at.conduct.note_ring(&self.access);
        self.at.reader.note_reader(self.log.misbehaviour());
        if self.at.conduct.total() + self.at.reader.total() != 0 {
            self.tell_conduct(now, signals);
        }
    }

    #[cold]
    fn tell_conduct(&mut self, now: u64, signals: &mut Signals) {
        let stamp = Stamp::new(self.vm, EVENT_NONE);
        for conduct in [&mut self.at.conduct, &mut self.at.reader] {
            let Some(misbehaviour) = conduct.due(now) else {
                continue;
            };
            signals.console = true;
            if self.log.append(&misbehaviour.to_words(stamp)).is_ok() {
                conduct.told(now, self.clock_hz);
            }
        }
        if self.at.conduct.is_closed() && self.at.ended.is_none() {
            self.end_with(
                EndReason::VmmMisbehaved,
                Record {
                    time: now.max(self.at.last_time),
                    address: GuestPhysAddr(0),
                    pc: 0,
                    value: 0,
                    old: 0,
                    sequence: 0,
                    tag: Tag::new(Kind::End),
                    state_seen: 0,
                    epoch: 0,
                },
            );
        }
    }

    /// The VMM says that its VM has ended. One that gives a reason which is not its to give has
    /// misbehaved, and that is the reason.
    pub(super) fn end(&mut self, record: Record) {
        let claim = EndReason::from_number(record.value).filter(|reason| reason.is_a_vmms());
        let reason = claim.unwrap_or_else(|| {
            self.at.conduct.note(Misdeed::Kind);
            EndReason::VmmMisbehaved
        });
        self.end_with(reason, record);
    }

    /// The VM ends. Called once: whoever calls has seen that it has not ended yet.
    fn end_with(&mut self, reason: EndReason, mut record: Record) {
        record.value = reason.number();
        if reason == EndReason::VmmMisbehaved {
            record.address = GuestPhysAddr(self.at.conduct.total());
        }
        let end = self.complete(record);
        self.at.ended = Some(reason);
        self.at.closing = Some(Closing { end, written: 0 });
    }

    /// Writes the sums of an ended VM, as far as the log ring has room; nothing of them is
    /// ever dropped.
    pub(super) fn close(&mut self, signals: &mut Signals) {
        let Some(mut closing) = self.at.closing.take() else {
            return;
        };
        let time = closing.end.time;
        let tag = |kind| Tag::new(kind).stamped(Stamp::new(self.vm, EVENT_NONE));
        let devices = self.devices.iter().zip(0..).filter_map(|(device, number)| {
            let tag = tag(Kind::DeviceSummary).with_instance(number);
            Some(device.as_ref()?.summary(time).to_words(tag))
        });
        let unrecorded = self.devices.iter().flatten();
        let unrecorded = unrecorded.map(LaneDevice::unrecorded);
        let summary = VmSummary {
            time,
            log_lost: self.log.lost(),
            trace_overwritten: self.trace.lost(),
            outside: self.at.outside.total,
            unrecorded: unrecorded.fold(0, u64::saturating_add),
            misbehaviour: u32::try_from(self.at.conduct.total()).unwrap_or(u32::MAX),
        };
        let rest = [
            summary.to_words(tag(Kind::VmSummary)),
            self.at.span.to_words(time, tag(Kind::Span)),
            closing.end.to_words(),
        ];
        for words in devices.chain(rest).skip(closing.written) {
            signals.console = true;
            if self.log.append(&words).is_err() {
                self.at.closing = Some(closing);
                return;
            }
            closing.written += 1;
        }
    }
}
