//! One VM's lane through the trace component: its ring, its devices, and what becomes of a record.
//!
//! Used by the component alone, a turn at a time.
//!
//! Invariant: nothing that a VMM writes into its ring can change another VM's counter, or make a log
//! or trace record that names another VM. Each field is a claim: the time is clamped to [the VM's
//! last, now], the rest is judged by the device. What is stamped before a tick is applied before it.

mod closing;

use super::TracePort;
use crate::conduct::Conduct;
use crate::{Clock, Host};
use closing::Closing;
use guest_access::GuestPhysAddr;
use shared_ring::{BoundedProducer, Consumer, Item, OverwritingProducer, Payload, RingKind, Wake};
use trace_records::{
    ACCESS_SLOTS, EVENT_NONE, EndReason, Kind, LOG_SLOTS, MAX_DEVICES, Misdeed, Record, Span,
    Stamp, StatePage, TRACE_SLOTS,
};
use vdevs::trace::{Emit, Misbehaviour, Periods, TraceDevice};
use vm_config::{DeviceKind, SeverityMask, VmConfig};

/// What the other components need to hear after a turn.
#[derive(Default)]
pub(super) struct Signals {
    pub(super) console: bool,
    pub(super) vmm: bool,
}

/// All that belongs to one VM. What is large comes last: the rest is within reach of one instruction.
#[repr(C)]
pub(super) struct Lane {
    pub(super) vm: u8,
    access: Consumer<ACCESS_SLOTS>,
    pub(super) state: &'static StatePage,
    log: BoundedProducer<LOG_SLOTS>,
    trace: OverwritingProducer<TRACE_SLOTS>,
    periods: Periods,
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
    pub(super) ended: Option<EndReason>,
    closing: Option<Closing>,
    /// How long the turns of this VM took, in ticks.
    pub(super) spent_ticks: u64,
    devices: [Option<(TraceDevice, Stamp)>; MAX_DEVICES],
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

impl Lane {
    pub(super) fn new(
        vm: u8,
        port: &TracePort,
        config: &VmConfig<'_>,
        clock: Clock,
        now: u64,
    ) -> Self {
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
            periods: Periods::new(now, clock.hz),
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
    pub(super) fn drain(&mut self, signals: &mut Signals, host: &mut impl Host) {
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
    pub(super) fn sleep(&mut self) -> bool {
        self.conduct.is_closed() || self.access.sleep_until(ACCESS_SLOTS as u64 / 2)
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
        record.tag = record.tag.stamped_in_memory(*stamp);
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

    /// Lets the periods of the counters that have ended by `time` pass.
    #[inline(always)]
    fn pass_time(&mut self, time: u64) {
        if self.periods.is_over(time) {
            self.tick(time);
        }
    }

    #[cold]
    fn tick(&mut self, time: u64) {
        let periods = self.periods.take(time);
        self.last_time = self.last_time.max(self.periods.last_end());
        for (instance, device) in self.devices.iter_mut().enumerate() {
            if let Some((device, _)) = device {
                device.tick(periods);
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

    /// Fills in what a VMM has no say in.
    fn complete(&self, mut record: Record) -> Record {
        record.tag = record.tag.stamped(Stamp::new(self.vm, EVENT_NONE));
        record.epoch = self.epoch;
        record
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
