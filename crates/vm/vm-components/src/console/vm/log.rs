//! What the trace component says of a VM: the records of the log ring.
//!
//! Invariant: each sum and the end are printed once, beyond the VM's share of the line; of the rest
//! what the line has no room for is counted.

use super::{Ring, VmConsole};
use crate::Host;
use crate::console::line::{BURST_BYTES, BYTES_PER_SECOND, Printer};
use crate::console::log_lines::{
    DeviceSums, DeviceWords, Event, MisbehaviourText, Reason, SpanText, VmSums, severity_of,
};
use crate::console::{Output, Printing};
use shared_ring::Payload;
use trace_records::{
    EndReason, Entry, Kind, LOG_SLOTS, MAX_DEVICES, Misbehaviour, Misdeed, Record, RingFate,
};

/// What becomes of log records for which the line has no room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum NoRoom {
    Waits,
    Drops,
}

/// What the trace component tells once, or not often.
#[derive(Clone, Copy, Default)]
pub(super) struct Told {
    /// The devices' sums, a bit each.
    pub(super) devices: u32,
    pub(super) vm: bool,
    pub(super) span: bool,
    pub(super) end: bool,
    pub(super) closed: bool,
    /// When a line about misbehaviour may next exceed the budget.
    pub(super) next_misbehaviour: u64,
}

const _: () = assert!(MAX_DEVICES <= u32::BITS as usize);

impl VmConsole {
    /// Prints log records while the serial line has room. Those that it has not had for as long
    /// as a burst takes are counted.
    pub fn print_log(
        &mut self,
        no_room: NoRoom,
        printer: &mut Printer<'_, impl Host, impl Output>,
    ) {
        for _ in 0..LOG_SLOTS {
            let has_budget = self.has_budget(printer);
            if !has_budget && no_room == NoRoom::Waits || self.state.trace.is_closed() {
                return;
            }
            if !has_budget && !self.state.told.end {
                self.leave_out_accesses();
            }
            let Some(words) = self.next_log() else {
                return;
            };
            if self.is_deadly(Ring::Log, self.log.position().taken() - 1) {
                self.skip(&words);
                continue;
            }
            match Entry::from_words(&words) {
                Some(Entry::Event(kind, record)) => {
                    self.print_event(kind, &record, &words, printer);
                }
                Some(Entry::Misbehaviour(misbehaviour)) => {
                    self.print_misbehaviour(misbehaviour, printer);
                }
                Some(sums) => self.print_sums(sums, &words, printer),
                None => self.state.trace.note(Misdeed::Kind),
            }
        }
    }

    /// Leaves out what there are of accesses before another record, which is the next: of those that come while
    /// the line is full nothing is looked at but that they are accesses.
    fn leave_out_accesses(&mut self) {
        if self.state.next_log.is_some() {
            return;
        }
        let (mut left_out, mut lost) = (0, 0_u64);
        while left_out < LOG_SLOTS as u64
            && let Some(item) = self.log.take()
        {
            lost = lost.saturating_add(item.lost_before);
            if !Record::from_words(&item.payload).tag.is(Kind::Access) {
                self.state.next_log = Some(item.payload);
                break;
            }
            left_out += 1;
        }
        self.state.trace.note_ring(&self.log);
        self.state.missing = self.state.missing.saturating_add(lost);
        self.leave_out(left_out);
    }

    /// The next record of the log ring, if there is one.
    fn next_log(&mut self) -> Option<Payload> {
        if let Some(before) = self.state.next_log.take() {
            return Some(before);
        }
        let taken = self.log.take();
        self.state.trace.note_ring(&self.log);
        let item = taken?;
        self.state.missing = self.state.missing.saturating_add(item.lost_before);
        Some(item.payload)
    }

    /// Tells what is missing before this record's line. Whoever dies over that leaves the record to the
    /// next.
    fn report_missing_before(
        &mut self,
        words: &Payload,
        time: u64,
        printer: &mut Printer<'_, impl Host, impl Output>,
    ) {
        if self.state.missing != 0 {
            self.state.next_log = Some(*words);
            self.report_missing(time, printer);
            self.state.next_log = None;
        }
    }

    /// Leaves out a record over which the console has died. Without its end a VM is given up.
    #[cold]
    fn skip(&mut self, words: &Payload) {
        self.leave_out(1);
        let misdeed = Misdeed::Deadly(Some(self.log.position().taken() - 1));
        if Record::from_words(words).tag.kind() == Some(Kind::End) {
            self.state.is_given_up = true;
            self.state.trace.close(misdeed);
        } else {
            self.state.trace.note(misdeed);
        }
    }

    fn print_event(
        &mut self,
        kind: Kind,
        record: &Record,
        words: &Payload,
        printer: &mut Printer<'_, impl Host, impl Output>,
    ) {
        if self.state.told.end {
            return self.state.trace.note(Misdeed::AfterEnd);
        }
        if kind == Kind::End {
            self.state.told.end = true;
            let reason = EndReason::from_number(record.value);
            let reason = Reason {
                reason: reason.unwrap_or(EndReason::UnknownExit),
                about: record.location(),
                pc: record.pc,
            };
            return self.end(record.time, reason);
        }
        let burst_ticks = BURST_BYTES as u64 * printer.clock.hz / BYTES_PER_SECOND;
        let since = record.time.max(self.state.behind_since);
        if !self.has_budget(printer) || printer.look_at_clock().saturating_sub(since) > burst_ticks
        {
            return self.leave_out(1);
        }
        self.report_missing_before(words, record.time, printer);
        let device = self.device(record.tag.instance());
        let name = self.config.name();
        let event = Event {
            kind,
            record,
            device,
        };
        let severity = severity_of(kind, record);
        let line = format_args!("{severity} {name} {event}");
        self.print(Printing::Event, record.time, line, printer);
    }

    /// Counts records that are not printed.
    fn leave_out(&mut self, records: u64) {
        self.state.missing = self.state.missing.saturating_add(records);
        self.state.unprinted = self.state.unprinted.saturating_add(records);
    }

    /// Prints sums, whatever the budget: each once.
    fn print_sums(
        &mut self,
        sums: Entry,
        words: &Payload,
        printer: &mut Printer<'_, impl Host, impl Output>,
    ) {
        let name = self.config.name();
        let mut told = self.state.told;
        let is_first = match &sums {
            Entry::Device(instance, _) => {
                let bit = 1u32.checked_shl(u32::from(*instance)).unwrap_or(0);
                let is_first = bit & !told.devices != 0;
                told.devices |= bit;
                is_first
            }
            Entry::Vm(_) => !core::mem::replace(&mut told.vm, true),
            _ => !core::mem::replace(&mut told.span, true),
        };
        if !is_first {
            return self.state.trace.note(Misdeed::AfterEnd);
        }
        if let Entry::Device(_, sums) = &sums {
            self.report_missing_before(words, sums.time, printer);
        }
        self.state.told = told;
        match sums {
            Entry::Device(instance, sums) => {
                let device = self.device(instance);
                let text = DeviceSums { device, sums };
                let line = format_args!("info  {name} {text}");
                self.print(Printing::Line, sums.time, line, printer);
            }
            Entry::Vm(sums) => {
                let unprinted = self.state.unprinted;
                let text = VmSums { sums, unprinted };
                let line = format_args!("info  {name}: {text}");
                self.print(Printing::Line, sums.time, line, printer);
            }
            Entry::Span(time, span) => {
                let clock = printer.clock;
                let text = SpanText { span, clock };
                let line = format_args!("info  {name}: {text}");
                self.print(Printing::Line, time, line, printer);
            }
            Entry::Event(..) | Entry::Misbehaviour(_) => {}
        }
    }

    /// Prints what the trace component says of a VMM: beyond the budget once a second, and once
    /// that a ring is closed.
    fn print_misbehaviour(
        &mut self,
        misbehaviour: Misbehaviour,
        printer: &mut Printer<'_, impl Host, impl Output>,
    ) {
        let closes = misbehaviour.ring == RingFate::Closed;
        let now = printer.look_at_clock();
        let is_last = closes && !core::mem::replace(&mut self.state.told.closed, true);
        if closes && !is_last {
            return self.state.trace.note(Misdeed::AfterEnd);
        }
        if !is_last && now < self.state.told.next_misbehaviour && !self.has_budget(printer) {
            return self.leave_out(1);
        }
        self.state.told.next_misbehaviour = now.saturating_add(printer.clock.hz);
        let who = MisbehaviourText::who(misbehaviour.last);
        self.print_conduct(who, misbehaviour, printer);
    }

    fn device(&mut self, instance: u8) -> DeviceWords<'static> {
        match self.last_device {
            Some((last, device)) if last == instance => device,
            _ => self.look_up_device(instance),
        }
    }

    fn look_up_device(&mut self, instance: u8) -> DeviceWords<'static> {
        let device = self.config.devices().nth(usize::from(instance));
        let device = device.map_or(DeviceWords::named("?"), |device| DeviceWords::of(&device));
        self.last_device = Some((instance, device));
        device
    }
}
