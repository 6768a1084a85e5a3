//! One VM's lane through the trace component: its ring, its devices, and what becomes of a record.
//!
//! Used by the component alone, a turn at a time.
//!
//! Invariant: nothing that a VMM writes into its ring can change another VM's devices, or make a log
//! or trace record that names another VM. Each field is a claim: the time is clamped to [the VM's
//! last, now], the rest is judged by `device`. What is stamped before a second ends is applied before that.
//!
//! A turn works on a copy, which nobody sees and which is lost with the component. What came of it is
//! kept by one store, and published after that: exactly once, whoever dies when.
//!
//! ```text
//!   take, apply, append ──► commit ──► publish: states, log, trace, room in the access ring
//!       up to 64 records     ▲  │
//!                            │  └─ death here: published again, by the next one's init
//!        death here: as if nothing had been taken
//! ```

mod closing;
mod deadly;
mod device;
mod kept;
mod seconds;

use super::TracePort;
use crate::charge::{Account, UnderWay, work_of};
use crate::conduct::Conduct;
use crate::{Clock, Host};
use closing::Closing;
use device::LaneDevice;
pub(super) use kept::KeptLane;
use kept::LaneState;
use seconds::Seconds;
use shared_ring::{BoundedProducer, Consumer, Item, OverwritingProducer, Payload, RingKind, Wake};
use trace_records::{
    ACCESS_SLOTS, EVENT_NONE, EndReason, Kind, LOG_SLOTS, MAX_DEVICES, Misdeed, Record, Span,
    Stamp, StatePage, TRACE_SLOTS,
};
use vm_config::{SeverityMask, VmConfig};

/// What the other components need to hear after a turn.
#[derive(Default)]
pub(super) struct Signals {
    pub(super) console: bool,
    pub(super) vmm: bool,
}

/// Records that are taken before what came of them is kept and published: what it costs to keep a state, as much
/// as to take eight of them, is shared by so many. As many wake this component ([`Lane::sleep`]), so a VMM
/// that never stops has the other half of its ring meanwhile.
const RUN: u64 = ACCESS_SLOTS as u64 / 2;

/// All that belongs to one VM. What is large comes last: the rest is within reach of one instruction.
#[repr(C)]
pub(super) struct Lane {
    pub(super) vm: u8,
    access: Consumer<ACCESS_SLOTS>,
    pub(super) state: &'static StatePage,
    log: BoundedProducer<LOG_SLOTS>,
    trace: OverwritingProducer<TRACE_SLOTS>,
    clock_hz: u64,
    logs_warnings: bool,
    under_way: &'static UnderWay,
    pub(super) at: Course,
    kept: &'static mut KeptLane,
    /// Some of them may interrupt.
    interrupts: bool,
    /// In their places among the VM's devices, of which there are so many.
    places: usize,
    devices: [Option<LaneDevice>; MAX_DEVICES],
}

/// What changes in a VM's life, besides the positions in its rings and its devices: plain data, to be kept.
#[derive(Clone, Copy)]
pub(super) struct Course {
    seconds: Seconds,
    /// The stamp of the VM's last record, or of the last tick; no later one is earlier.
    last_time: u64,
    span: Span,
    epoch: u32,
    outside: Outside,
    /// Of the VMM, by its ring.
    conduct: Conduct,
    /// Of the console, as the reader of the log ring.
    reader: Conduct,
    /// The deaths of this component over this VM.
    account: Account,
    /// Why the VM has ended, once it has.
    pub(super) ended: Option<EndReason>,
    closing: Option<Closing>,
    /// How long the turns of this VM took, in ticks.
    pub(super) spent_ticks: u64,
}

/// Accesses to where there is no device, of which one a second is logged.
#[derive(Clone, Copy, Default)]
struct Outside {
    total: u64,
    unlogged: u32,
    next_log: u64,
}

/// What follows a record.
#[derive(PartialEq)]
enum Goes {
    On,
    /// No record after it counts.
    Ends,
}

impl Lane {
    /// The lane of a VM, as it was when its state was kept for the last time, or as it begins.
    pub(super) fn init(
        vm: u8,
        port: &TracePort,
        config: &VmConfig<'_>,
        kept: &'static mut KeptLane,
        under_way: &'static UnderWay,
        clock: Clock,
        now: u64,
    ) -> Self {
        let identity = |kind| clock.identity(kind, vm);
        let mut devices = [const { None }; MAX_DEVICES];
        for ((place, device), instance) in devices.iter_mut().zip(config.devices()).zip(0..) {
            *place = LaneDevice::new(vm, instance, &device, config);
        }
        for (device, progress) in devices.iter_mut().flatten().zip(kept.parts()) {
            device.resume(*progress);
        }
        let before = kept.state().copied();
        let is_new = before.is_none();
        let before = before.unwrap_or_else(|| LaneState::beginning(clock, now));
        let (access, log) = (
            (port.access, port.access_reader),
            (port.log, port.log_reader),
        );
        let mut lane = Self {
            vm,
            access: Consumer::resume(access.0, access.1, RingKind::Access, before.access),
            state: port.state,
            log: BoundedProducer::resume(log.0, log.1, identity(RingKind::Log), before.log),
            trace: OverwritingProducer::resume(port.trace, identity(RingKind::Trace), before.trace),
            clock_hz: clock.hz,
            logs_warnings: config.logger().contains(SeverityMask::WARN),
            under_way,
            at: before.course,
            kept,
            interrupts: config
                .devices()
                .any(|device| device.kind().interrupt.is_some()),
            places: config.devices().count().min(MAX_DEVICES),
            devices,
        };
        if is_new {
            lane.commit();
        }
        lane.publish();
        lane
    }

    /// Takes at most one ring's worth of accesses, then the time that has passed.
    pub(super) fn drain(&mut self, signals: &mut Signals, host: &mut impl Host) {
        self.under_way.set(work_of(self.vm));
        let mut now = host.now();
        let last_access = self.at.span.last;
        match self.is_heard() {
            true => self.take_runs(&mut now, signals, host),
            false => self.drop_what_follows(),
        }
        now = host.now();
        if self.at.span.last != last_access {
            self.at.span.recorded = now;
        }
        self.pass_time(now);
        self.tell_misbehaviour(now, signals);
        self.close(signals);
        self.commit();
        signals.vmm |= self.publish();
        signals.console |= self.log.take_wake() == Wake::Asked;
        signals.vmm |= !self.at.conduct.is_closed() && self.access.take_waiter();
        self.under_way.set(0);
    }

    /// Whether what the VMM says still counts.
    fn is_heard(&self) -> bool {
        self.at.ended.is_none() && !self.at.conduct.is_closed()
    }

    /// Takes at most one ring's worth of accesses, in runs, of which the last is the caller's to keep.
    fn take_runs(&mut self, now: &mut u64, signals: &mut Signals, host: &mut impl Host) {
        let until = self.access.position().taken() + ACCESS_SLOTS as u64;
        loop {
            let left = until.saturating_sub(self.access.position().taken());
            if left == 0
                || self.take_run(left.min(RUN), now, signals, host) == Goes::Ends
                || !self.access.has_more()
            {
                return;
            }
            self.commit();
            signals.vmm |= self.publish();
        }
    }

    /// Takes at most so many records; none behind one that is to be skipped, which is a run by itself.
    fn take_run(
        &mut self,
        mut records: u64,
        now: &mut u64,
        signals: &mut Signals,
        host: &mut impl Host,
    ) -> Goes {
        let first = work_of(self.vm) + 1;
        if let Some(position) = self.at.account.deadly() {
            match position.checked_sub(self.access.position().taken()) {
                Some(0) => {
                    self.under_way.set(first + position);
                    let goes = self.skip(position);
                    self.under_way.set(work_of(self.vm));
                    return goes;
                }
                Some(ahead) => records = records.min(ahead),
                None => {}
            }
        }
        let under_way = self.under_way;
        let first = first + self.access.position().taken();
        let mut goes = Goes::On;
        for record in first..first + records {
            under_way.set(record);
            if self.take_one(now, signals, host) == Goes::Ends {
                goes = Goes::Ends;
                break;
            }
        }
        under_way.set(work_of(self.vm));
        goes
    }

    /// Takes the next record, if there is one.
    #[inline(always)]
    fn take_one(&mut self, now: &mut u64, signals: &mut Signals, host: &mut impl Host) -> Goes {
        let Some(item) = self.access.take() else {
            return Goes::Ends;
        };
        let mut record = Record::from_words(&item.payload);
        if record.time < self.at.last_time || record.time > *now {
            record.time = self.clamp(record.time, now, host);
        }
        self.pass_time(record.time);
        self.at.last_time = record.time;
        self.take(record, &item, signals)
    }

    /// The nearest time to this that can be: [the last of this VM, now].
    #[cold]
    fn clamp(&self, time: u64, now: &mut u64, host: &mut impl Host) -> u64 {
        if time > *now {
            *now = host.now();
        }
        time.min(*now).max(self.at.last_time)
    }

    /// Whether it is safe to sleep until the VMM has written half a ring. Nothing in a closed
    /// ring keeps anybody awake.
    pub(super) fn sleep(&mut self) -> bool {
        self.at.conduct.is_closed() || self.access.sleep_until(RUN)
    }

    #[inline(always)]
    fn take(&mut self, record: Record, item: &Item, signals: &mut Signals) -> Goes {
        // An honest VMM never leaves a gap in its ring: it waits.
        if item.lost_before != 0 {
            self.at.conduct.note(Misdeed::Gap);
        }
        if !record.tag.is(Kind::Access) {
            return self.take_other(&record.to_words(), signals);
        }
        match self.apply(record, signals) {
            Ok(()) => Goes::On,
            Err(misdeed) => self.misbehaved(misdeed),
        }
    }

    /// Takes what is no access.
    #[cold]
    fn take_other(&mut self, words: &Payload, signals: &mut Signals) -> Goes {
        let record = Record::from_words(words);
        if !record.location().can_be() {
            return self.misbehaved(Misdeed::Location);
        }
        match record.tag.kind() {
            Some(Kind::Outside) => self.outside(record, signals),
            Some(Kind::Reset) => self.reset(record, signals),
            Some(Kind::End) => {
                self.end(record);
                return Goes::Ends;
            }
            _ => return self.misbehaved(Misdeed::Kind),
        }
        Goes::On
    }

    #[cold]
    fn misbehaved(&mut self, misdeed: Misdeed) -> Goes {
        self.at.conduct.note(misdeed);
        match self.at.conduct.is_closed() {
            true => Goes::Ends,
            false => Goes::On,
        }
    }

    /// Carries out an access and tells those who asked.
    #[inline(always)]
    fn apply(&mut self, record: Record, signals: &mut Signals) -> Result<(), Misdeed> {
        let instance = usize::from(record.tag.instance());
        let device = self.devices.get_mut(instance).and_then(Option::as_mut);
        let device = device.ok_or(Misdeed::Device)?;
        let mut record = device.apply(record)?;
        if self.at.span.first == 0 {
            self.at.span.first = record.time;
        }
        self.at.span.last = record.time;
        record.epoch = self.at.epoch;
        let words = record.to_words();
        let emits = device.emits();
        if emits.to_trace {
            self.trace.append(&words);
        }
        if emits.to_log && log(&mut self.log, &words, signals) {
            device.count_logged();
        }
        Ok(())
    }

    /// Lets the seconds that have ended by `time` pass.
    #[inline(always)]
    fn pass_time(&mut self, time: u64) {
        if self.at.seconds.is_over(time) {
            self.tick(time);
        }
    }

    #[cold]
    fn tick(&mut self, time: u64) {
        let seconds = self.at.seconds.take(time);
        self.at.last_time = self.at.last_time.max(self.at.seconds.last_end());
        for device in self.devices.iter_mut().flatten() {
            device.seconds(seconds);
        }
    }

    #[cold]
    fn outside(&mut self, mut record: Record, signals: &mut Signals) {
        let outside = &mut self.at.outside;
        outside.total = outside.total.saturating_add(u64::from(record.value));
        outside.unlogged = outside.unlogged.saturating_add(record.value);
        if self.logs_warnings && record.time >= outside.next_log {
            outside.next_log = record.time.saturating_add(self.clock_hz);
            record.value = core::mem::take(&mut outside.unlogged);
            let words = self.complete(record).to_words();
            log(&mut self.log, &words, signals);
        }
    }

    #[cold]
    fn reset(&mut self, record: Record, signals: &mut Signals) {
        self.at.epoch = self.at.epoch.wrapping_add(1);
        for device in self.devices.iter_mut().flatten() {
            device.reset();
        }
        let words = self.complete(record).to_words();
        log(&mut self.log, &words, signals);
    }

    /// Fills in what a VMM has no say in.
    fn complete(&self, mut record: Record) -> Record {
        record.tag = record.tag.stamped(Stamp::new(self.vm, EVENT_NONE));
        record.epoch = self.at.epoch;
        record
    }
}

/// Appends to the log ring, or drops and counts. Returns whether it was appended.
#[inline(always)]
fn log(ring: &mut BoundedProducer<LOG_SLOTS>, words: &Payload, signals: &mut Signals) -> bool {
    let pushed = ring.append_or_lose(words).is_ok();
    // A full ring wakes its consumer whatever it asked for.
    signals.console |= !pushed;
    pushed
}
