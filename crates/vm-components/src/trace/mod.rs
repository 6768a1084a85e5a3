//! The trace component: owns the counters, drains the VMs' accesses, tells what happened.
//!
//! One for all VMs. Runs when its clock wakes it (every 10 ms), when a VMM asks for it, or
//! when an access ring is half full because it asked to be woken then; so a stream of
//! accesses costs one notification per half ring, not one each.
//!
//! Invariant: nothing that a VMM writes into its ring can stop this component, change
//! another VM's counter, or make a log or trace record that names another VM. Each field is
//! a claim: the time is clamped to [the VM's last, now], the rest is judged by the device. A
//! VM's turn is at most one ring's worth of accesses, so that one that never stops keeps the
//! others waiting for no more than that. A VM ends once, and the first reason stays. What its
//! VMM claims that cannot be is told through the log ring, whatever the VM's logger mask: that
//! is the system's word, not the VM's.

use crate::channel::{self, ChannelSet};
use crate::conduct::Conduct;
use crate::{Clock, Host};
use guest_trap::GuestPhysAddr;
use heapless::Vec;
use shared_ring::{
    BoundedProducer, Consumer, ConsumerPage, Item, OverwritingProducer, Payload, RingKind,
    RingMemory, Wake,
};
use trace_device::{Emit, Misbehaviour, Seconds, TraceDevice};
use trace_records::{
    ACCESS_SLOTS, EVENT_NONE, EndReason, Kind, LOG_SLOTS, MAX_DEVICES, MAX_VMS, Misdeed, Record,
    Span, Stamp, StatePage, TRACE_SLOTS, Tag, VmSummary,
};
use vm_config::{DeviceKind, SeverityMask, VmConfig};

/// The memory that connects the trace component with one VM.
#[derive(Clone, Copy)]
pub struct TracePort {
    /// The VM's accesses; the VMM writes it.
    pub access: &'static RingMemory<ACCESS_SLOTS>,
    /// How far this component has read them.
    pub access_reader: &'static ConsumerPage,
    /// The counters, for the VMM to read.
    pub state: &'static StatePage,
    /// Records for the logger.
    pub log: &'static RingMemory<LOG_SLOTS>,
    /// How far the console has read them; it writes this.
    pub log_reader: &'static ConsumerPage,
    /// Records for whoever looks from outside.
    pub trace: &'static RingMemory<TRACE_SLOTS>,
}

/// The component.
pub struct Trace {
    lanes: Vec<Lane, MAX_VMS>,
}

/// What the other components need to hear after a turn.
#[derive(Default)]
struct Signals {
    console: bool,
    vmm: bool,
}

/// All that belongs to one VM.
struct Lane {
    vm: u8,
    access: Consumer<ACCESS_SLOTS>,
    state: &'static StatePage,
    log: BoundedProducer<LOG_SLOTS>,
    trace: OverwritingProducer<TRACE_SLOTS>,
    devices: [Option<(TraceDevice, Stamp)>; MAX_DEVICES],
    seconds: Seconds,
    clock_hz: u64,
    /// The stamp of the VM's last record, or of the last tick; no later one is earlier.
    last_time: u64,
    span: Span,
    epoch: u32,
    outside: Outside,
    /// Of the VMM, by its ring.
    conduct: Conduct,
    /// Of the console, as the reader of the log ring.
    reader: Conduct,
    logs_warnings: bool,
    /// Why the VM has ended, once it has.
    ended: Option<EndReason>,
    closing: Option<Closing>,
    /// How long the turns of this VM took, in ticks.
    spent_ticks: u64,
}

/// Accesses to where there is no device, of which one a second is logged.
#[derive(Default)]
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

/// The VM has ended; its sums are on their way to the log ring.
struct Closing {
    end: Record,
    /// Entries that are in the ring already.
    written: usize,
}

impl Trace {
    /// A component that serves the VMs with these configurations, numbered from 0. The
    /// first second of the counters starts at `now`, in ticks.
    pub fn init<'a>(
        vms: impl IntoIterator<Item = (TracePort, VmConfig<'a>)>,
        clock: Clock,
        now: u64,
    ) -> Self {
        let lanes = vms.into_iter().take(MAX_VMS).zip(0..);
        Self {
            lanes: lanes
                .map(|((port, config), vm)| Lane::new(vm, &port, &config, clock, now))
                .collect(),
        }
    }

    /// Handles notifications.
    pub fn notified(&mut self, channels: ChannelSet, host: &mut impl Host) {
        let mut alive = channels.contains(channel::trace::CLOCK);
        let mut began = host.now();
        loop {
            let mut asleep = true;
            let mut console = false;
            for lane in &mut self.lanes {
                if alive {
                    lane.state.beat();
                }
                let mut signals = Signals::default();
                lane.drain(&mut signals, host);
                console |= signals.console;
                if signals.vmm {
                    host.notify(channel::trace::vmm(lane.vm));
                }
                asleep &= lane.sleep();
                let now = host.now();
                lane.spent_ticks += now.saturating_sub(began);
                began = now;
            }
            if console {
                host.notify(channel::trace::CONSOLE);
            }
            if asleep {
                return;
            }
            // On a machine with several cores a flood may keep us here past the clock.
            alive = true;
        }
    }

    /// Why the VM with this number has ended, if it has. It never changes.
    pub fn ended(&self, vm: u8) -> Option<EndReason> {
        self.lanes.get(usize::from(vm))?.ended
    }

    /// How long this component has worked for the VM with this number, in ticks of the host's
    /// clock.
    pub fn spent_ticks(&self, vm: u8) -> u64 {
        let lane = self.lanes.get(usize::from(vm));
        lane.map_or(0, |lane| lane.spent_ticks)
    }
}

impl Lane {
    fn new(vm: u8, port: &TracePort, config: &VmConfig<'_>, clock: Clock, now: u64) -> Self {
        let identity = |kind| clock.identity(kind, vm);
        let mut devices = [const { None }; MAX_DEVICES];
        for (place, device) in devices.iter_mut().zip(config.devices()) {
            if let DeviceKind::Trace(options) = device.kind {
                let logs = config.logger_of(&device).contains(SeverityMask::INFO);
                let emit = Emit {
                    logger: options.emit_logger && logs,
                    trace: options.emit_trace.map(|number| number.get()),
                };
                let stamp = Stamp::new(vm, emit.trace.unwrap_or(EVENT_NONE));
                *place = Some((TraceDevice::new(GuestPhysAddr(device.loc), emit), stamp));
            }
        }
        Self {
            vm,
            access: Consumer::new(port.access, port.access_reader, RingKind::Access),
            state: port.state,
            log: BoundedProducer::new(port.log, port.log_reader, identity(RingKind::Log)),
            trace: OverwritingProducer::new(port.trace, identity(RingKind::Trace)),
            devices,
            seconds: Seconds::new(now, clock.hz),
            clock_hz: clock.hz,
            last_time: now,
            span: Span::default(),
            epoch: 0,
            outside: Outside::default(),
            conduct: Conduct::of_producer(),
            reader: Conduct::of_reader(),
            logs_warnings: config.logger().contains(SeverityMask::WARN),
            ended: None,
            closing: None,
            spent_ticks: 0,
        }
    }

    /// Takes at most one ring's worth of accesses, then the time that has passed.
    fn drain(&mut self, signals: &mut Signals, host: &mut impl Host) {
        let mut now = host.now();
        let last_access = self.span.last;
        let records = match self.ended {
            None => ACCESS_SLOTS,
            Some(_) => self.drop_what_follows(),
        };
        for _ in 0..records {
            let Some(item) = self.access.pop() else {
                break;
            };
            let mut record = Record::from_words(&item.payload);
            if record.time > now {
                now = host.now();
            }
            record.time = record.time.min(now).max(self.last_time);
            self.pass_time(record.time);
            self.last_time = record.time;
            if self.take(record, &item, signals) == Goes::Ends {
                break;
            }
        }
        now = host.now();
        if self.span.last != last_access {
            self.span.recorded = now;
        }
        self.pass_time(now);
        self.tell_misbehaviour(now, signals);
        self.close(signals);
        signals.console |= self.log.take_wake() == Wake::Asked;
        signals.vmm |= !self.conduct.is_closed() && self.access.take_waiter();
    }

    /// Whether it is safe to sleep until the VMM has written half a ring. Nothing in a closed
    /// ring keeps anybody awake.
    fn sleep(&mut self) -> bool {
        self.conduct.is_closed() || self.access.sleep_until(ACCESS_SLOTS as u64 / 2)
    }

    /// After its end a VM's VMM has nothing to say. How many records are to be taken: none.
    #[cold]
    fn drop_what_follows(&mut self) -> usize {
        for _ in 0..ACCESS_SLOTS {
            if self.conduct.is_closed() || self.access.pop().is_none() {
                break;
            }
            self.conduct.note(Misdeed::AfterEnd);
        }
        0
    }

    /// Tells what the VMM and the log ring's reader claimed that cannot be. Of a VMM that has
    /// gone too far, nothing is read any more, and its VM has ended.
    fn tell_misbehaviour(&mut self, now: u64, signals: &mut Signals) {
        self.conduct.note_ring(&self.access);
        self.reader.note_reader(self.log.misbehaviour());
        if self.conduct.total() + self.reader.total() != 0 {
            self.tell_conduct(now, signals);
        }
    }

    #[cold]
    fn tell_conduct(&mut self, now: u64, signals: &mut Signals) {
        let stamp = Stamp::new(self.vm, EVENT_NONE);
        for conduct in [&mut self.conduct, &mut self.reader] {
            let Some(misbehaviour) = conduct.due(now) else {
                continue;
            };
            signals.console = true;
            if self.log.push(&misbehaviour.to_words(stamp)).is_ok() {
                conduct.told(now, self.clock_hz);
            }
        }
        if self.conduct.is_closed() && self.ended.is_none() {
            self.end_with(
                EndReason::VmmMisbehaved,
                Record {
                    time: now.max(self.last_time),
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

    #[inline(always)]
    fn take(&mut self, mut record: Record, item: &Item, signals: &mut Signals) -> Goes {
        // An honest VMM never leaves a gap in its ring: it waits.
        if item.lost_before != 0 {
            self.conduct.note(Misdeed::Gap);
        }
        if !record.tag.is(Kind::Access) {
            return self.take_other(record, signals);
        }
        match self.apply(&mut record, signals) {
            Ok(()) => Goes::On,
            Err(misdeed) => self.misbehaved(misdeed),
        }
    }

    /// Takes what is no access.
    #[cold]
    fn take_other(&mut self, record: Record, signals: &mut Signals) -> Goes {
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
        self.conduct.note(misdeed);
        match self.conduct.is_closed() {
            true => Goes::Ends,
            false => Goes::On,
        }
    }

    /// Carries out an access and tells those who asked.
    #[inline(always)]
    fn apply(&mut self, record: &mut Record, signals: &mut Signals) -> Result<(), Misdeed> {
        let instance = usize::from(record.tag.instance());
        let place = self.devices.get_mut(instance).and_then(Option::as_mut);
        let (device, stamp) = place.ok_or(Misdeed::Device)?;
        device.apply(record).map_err(|claim| match claim {
            Misbehaviour::Sequence(_) => Misdeed::Number,
            Misbehaviour::Location(_) => Misdeed::Location,
        })?;
        self.state.publish(instance, device.state());
        if self.span.first == 0 {
            self.span.first = record.time;
        }
        self.span.last = record.time;
        record.epoch = self.epoch;
        record.tag = record.tag.stamped(*stamp);
        let words = record.to_words();
        let emit = device.emit();
        if emit.trace.is_some() {
            self.trace.push(&words);
        }
        if emit.logger && log(&mut self.log, &words, signals) {
            device.count_logged();
        }
        Ok(())
    }

    /// Lets the seconds that have ended by `time` pass.
    #[inline(always)]
    fn pass_time(&mut self, time: u64) {
        if self.seconds.is_over(time) {
            self.tick(time);
        }
    }

    #[cold]
    fn tick(&mut self, time: u64) {
        let seconds = self.seconds.take(time);
        self.last_time = self.last_time.max(self.seconds.last_end());
        for (instance, device) in self.devices.iter_mut().enumerate() {
            if let Some((device, _)) = device {
                device.tick(seconds);
                self.state.publish(instance, device.state());
            }
        }
    }

    #[cold]
    fn outside(&mut self, mut record: Record, signals: &mut Signals) {
        let outside = &mut self.outside;
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
        self.epoch = self.epoch.wrapping_add(1);
        for (instance, device) in self.devices.iter_mut().enumerate() {
            if let Some((device, _)) = device {
                device.reset();
                self.state.publish(instance, device.state());
            }
        }
        self.log.set_epoch(u64::from(self.epoch));
        self.trace.set_epoch(u64::from(self.epoch));
        let words = self.complete(record).to_words();
        log(&mut self.log, &words, signals);
    }

    /// The VMM says that its VM has ended. One that gives a reason which is not its to give has
    /// misbehaved, and that is the reason.
    fn end(&mut self, record: Record) {
        let claim = EndReason::from_number(record.value).filter(|reason| reason.is_a_vmms());
        let reason = claim.unwrap_or_else(|| {
            self.conduct.note(Misdeed::Kind);
            EndReason::VmmMisbehaved
        });
        self.end_with(reason, record);
    }

    /// The VM ends. Called once: whoever calls has seen that it has not ended yet.
    fn end_with(&mut self, reason: EndReason, mut record: Record) {
        record.value = reason.number();
        if reason == EndReason::VmmMisbehaved {
            record.address = GuestPhysAddr(self.conduct.total());
        }
        let end = self.complete(record);
        self.ended = Some(reason);
        self.closing = Some(Closing { end, written: 0 });
    }

    /// Fills in what a VMM has no say in.
    fn complete(&self, mut record: Record) -> Record {
        record.tag = record.tag.stamped(Stamp::new(self.vm, EVENT_NONE));
        record.epoch = self.epoch;
        record
    }

    /// Writes the sums of an ended VM, as far as the log ring has room; nothing of them is
    /// ever dropped.
    fn close(&mut self, signals: &mut Signals) {
        let Some(mut closing) = self.closing.take() else {
            return;
        };
        let time = closing.end.time;
        let tag = |kind| Tag::new(kind).stamped(Stamp::new(self.vm, EVENT_NONE));
        let devices = self.devices.iter().zip(0..).filter_map(|(device, number)| {
            let tag = tag(Kind::DeviceSummary).with_instance(number);
            Some(device.as_ref()?.0.summary(time).to_words(tag))
        });
        let unrecorded = self.devices.iter().flatten();
        let unrecorded = unrecorded.map(|(device, _)| device.unrecorded());
        let summary = VmSummary {
            time,
            log_lost: self.log.lost(),
            trace_overwritten: self.trace.lost(),
            outside: self.outside.total,
            unrecorded: unrecorded.fold(0, u64::saturating_add),
            misbehaviour: u32::try_from(self.conduct.total()).unwrap_or(u32::MAX),
        };
        let rest = [
            summary.to_words(tag(Kind::VmSummary)),
            self.span.to_words(time, tag(Kind::Span)),
            closing.end.to_words(),
        ];
        for words in devices.chain(rest).skip(closing.written) {
            signals.console = true;
            if self.log.push(&words).is_err() {
                self.closing = Some(closing);
                return;
            }
            closing.written += 1;
        }
    }
}

/// Appends to the log ring, or drops and counts. Returns whether it was appended.
#[inline(always)]
fn log(ring: &mut BoundedProducer<LOG_SLOTS>, words: &Payload, signals: &mut Signals) -> bool {
    let pushed = ring.push_or_lose(words).is_ok();
    // A full ring wakes its consumer whatever it asked for.
    signals.console |= !pushed;
    pushed
}
