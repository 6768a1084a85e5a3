//! The link to the device domain: the access ring, the state page, and whether anybody is there.
//!
//! Used by `device_point` for each access, and whenever the clock wakes this component.
//!
//! Invariant: the trace component is notified only if it asked to be; one that does not beat for
//! three wake-ups of the clock counts as gone, and then no guest waits for it.

use super::Vmm;
use super::architecture::Isa;
use crate::{Intent, Machine, channel};
use shared_ring::{BoundedProducer, Full, Wake};
use trace_records::{ACCESS_SLOTS, Address, DeviceState, Kind, Notice, Record, StatePage, Tag};

/// Wake-ups of the clock (100 ms apart) after which the trace component counts as gone.
pub(super) const PATIENCE: u32 = 3;

/// The way to the trace component.
pub(crate) struct TraceLink {
    pub(crate) access: BoundedProducer<ACCESS_SLOTS>,
    state: &'static StatePage,
    pub(super) kept: KeptLink,
    /// The trace component is to be notified once all that was appended is published.
    pub(super) is_wanted: bool,
}

/// What of a link a VMM leaves to the next, the ring's position aside.
#[derive(Clone, Copy)]
pub(super) struct KeptLink {
    heartbeat: u64,
    silent_wakes: u32,
    pub(super) gone: bool,
    /// Accesses completed without a record since it is gone.
    pub(super) unrecorded: u64,
    /// Accesses to where there is no device, not yet told.
    outside: u32,
}

/// What the readers of this component's rings claim that cannot be, told once a second.
#[derive(Clone, Copy, Default)]
pub(super) struct ReaderLies {
    told: u64,
    next_notice: u64,
}

impl<A: Isa> Vmm<A> {
    pub(super) fn check_heartbeat(&mut self, machine: &mut impl Machine) {
        let heartbeat = self.link.state.heartbeat();
        let link = &mut self.link.kept;
        if heartbeat != core::mem::replace(&mut link.heartbeat, heartbeat) {
            link.silent_wakes = 0;
            if core::mem::take(&mut link.gone) {
                let unrecorded = core::mem::take(&mut link.unrecorded);
                self.console
                    .notice(Notice::TraceBack, unrecorded, Address::NONE, 0, machine);
            }
        } else if !link.gone {
            link.silent_wakes += 1;
            if link.silent_wakes >= PATIENCE {
                link.gone = true;
                self.console
                    .notice(Notice::TraceGone, 0, Address::NONE, 0, machine);
            }
        }
    }

    pub(super) fn check_readers(&mut self, machine: &mut impl Machine) {
        let lies = self.link.access.misbehaviour()
            + self.console.reader_lies()
            + self.typed.position().misbehaviour;
        let now = machine.now();
        if lies != self.reader_lies.told && now >= self.reader_lies.next_notice {
            let new = lies - core::mem::replace(&mut self.reader_lies.told, lies);
            self.reader_lies.next_notice = now.saturating_add(self.clock_hz);
            self.console
                .notice(Notice::ReadersLie, new, Address::NONE, 0, machine);
        }
    }
}

impl TraceLink {
    pub(super) fn new(access: BoundedProducer<ACCESS_SLOTS>, state: &'static StatePage) -> Self {
        Self {
            access,
            state,
            kept: KeptLink {
                heartbeat: state.heartbeat(),
                silent_wakes: 0,
                gone: false,
                unrecorded: 0,
                outside: 0,
            },
            is_wanted: false,
        }
    }

    /// What the state page says of a device of one word, or the number alone of one with several.
    #[inline(always)]
    pub(super) fn state(&self, instance: u8) -> DeviceState {
        self.state.read(usize::from(instance))
    }

    /// The words of a device with several, and the number of the last access applied in them; `None` while
    /// they are being published.
    pub(super) fn state_of_several(&self, instance: u8, words: &mut [u32]) -> Option<u32> {
        self.state.read_several(usize::from(instance), words)
    }

    /// The levels of the isolated devices' interrupts, a bit each.
    pub(super) fn levels(&self) -> u32 {
        self.state.lines()
    }

    /// What the access of this number reads, if it is applied. One that was passed over, or whose answer
    /// another access's has replaced, reads all-ones.
    pub(super) fn answer(&self, instance: u8, sequence: u32) -> Option<u32> {
        if !self.state(instance).includes(sequence) {
            return None;
        }
        let answer = self.state.answer(usize::from(instance));
        Some(match answer.sequence == sequence {
            true => answer.value,
            false => u32::MAX,
        })
    }

    /// What the next record is the commit of.
    #[inline(always)]
    pub(crate) fn intent(&self) -> Intent {
        Intent(self.access.published() + 1)
    }

    /// Publishes a record, for which there is [room](BoundedProducer::has_known_room), and wakes the
    /// trace component if it asked for that.
    #[inline(always)]
    pub(crate) fn push(&mut self, record: Record, machine: &mut impl Machine) {
        if self.access.push_into_room(&record.to_words()) == Wake::Asked {
            machine.notify(channel::vmm::TRACE);
        }
    }

    /// Appends a record, which is published with what else is done on account of the event.
    pub(super) fn append(&mut self, record: Record) -> Result<(), Full> {
        self.access.append(&record.to_words())
    }

    /// Whether a record can be appended, or nobody will ever read one; if not, it is said that this component
    /// waits.
    pub(super) fn has_room_or_nobody(&mut self) -> bool {
        if self.kept.gone || self.access.has_room() {
            return true;
        }
        self.access.announce_wait();
        self.access.has_room()
    }

    /// Whether all records are carried out, or nobody will ever do that; if not, it is said that this component
    /// waits.
    pub(super) fn is_all_carried_out_or_nobody(&mut self) -> bool {
        if self.kept.gone || self.access.is_all_read() {
            return true;
        }
        self.access.announce_wait();
        self.access.is_all_read()
    }

    /// Appends a record, or counts it where nobody makes room for it: a gap in the numbers.
    pub(super) fn append_or_count(&mut self, record: Record) {
        let appended = self.append(record).is_ok();
        self.kept.unrecorded += u64::from(!appended);
    }

    /// Publishes what was appended, and notifies the trace component if it or somebody here asked
    /// for that.
    pub(super) fn publish(&mut self, machine: &mut impl Machine) {
        self.access.publish();
        let asked = self.access.take_wake() == Wake::Asked;
        if core::mem::take(&mut self.is_wanted) || asked {
            machine.notify(channel::vmm::TRACE);
        }
    }

    /// Tells of accesses outside the devices. Several share a record if there is no room;
    /// no guest waits for it.
    pub(crate) fn append_outside(&mut self, mut record: Record) {
        self.kept.outside = self.kept.outside.saturating_add(1);
        record.value = self.kept.outside;
        if self.append(record).is_ok() {
            self.kept.outside = 0;
        }
    }

    /// Tells of accesses outside the devices that found no room so far.
    pub(super) fn flush_outside(&mut self, like: Record) {
        if self.kept.outside != 0 {
            self.kept.outside -= 1;
            let tag = Tag::new(Kind::Outside);
            self.append_outside(Record { tag, ..like });
        }
    }
}
