//! One VM's part of the console: its rings, and what becomes of the records in them.
//!
//! Used by the console alone. Invariants: what a guest or its VMM has a say in follows the VM's
//! name and holds no control characters; what a record causes to be printed is paid from that
//! VM's share of the line. Beyond the share are printed: the end and each sum, once; a line about
//! misbehaviour, once a second; of an ended VM's text, [`LAST_BYTES`].
//!
//! ```text
//!   runs ── an end is told ──► ending ── its text is printed ──► ended
//!           by the log, the VMM           or a ring of it        a last few records of the VMM
//!           or the watch                                         count; the rest misbehaves
//! ```

use super::line::{BURST_BYTES, BYTES_PER_SECOND, Printer, printable};
use super::{Output, TURN_BYTES};
use crate::conduct::Conduct;
use crate::lines::{
    DeviceSums, Event, MisbehaviourText, NoticeText, Reason, SpanText, VmSums, severity_of,
};
use crate::{Clock, ConsolePort, Host};
use heapless::String;
use shared_ring::{Consumer, RingKind, RingMemory};
use trace_records::{
    CONSOLE_SLOTS, ConsoleRecord, EndReason, Entry, Kind, LOG_SLOTS, MAX_DEVICES, Misbehaviour,
    Misdeed, Notice, Record, RingFate, TRACE_SLOTS, Text,
};
use trace_stream::{Encoder, RingIdentity, RingSender};
use vm_config::VmConfig;

/// Characters of a guest's line; a longer one is broken.
const GUEST_LINE_BYTES: usize = 200;
/// Records of an ended VM's VMM that are printed after the line that says so: what waited for
/// room, and that the trace component came or went.
const LAST_RECORDS: usize = 16;
/// What an ended VM's last text may take of the line in advance, so that most VMs' ends are
/// printed at once. What does not fit waits for the VM's share, and its end with it.
const LAST_BYTES: i64 = 2048;

/// What becomes of log records for which the line has no room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoom {
    Waits,
    Drops,
}

pub(super) struct VmConsole {
    config: VmConfig<'static>,
    ends: Ends,
    log: Consumer<LOG_SLOTS>,
    text: Consumer<CONSOLE_SLOTS>,
    /// Of the trace component, by the log ring.
    trace: Conduct,
    /// Of the VMM, by the console ring.
    vmm: Conduct,
    line: String<GUEST_LINE_BYTES>,
    /// A record of the console ring that is not printed yet, or only up to this character.
    next: Option<(ConsoleRecord, usize)>,
    /// Lines missing since the last one that said so.
    missing: u64,
    /// Records that were there and for which the serial line had no room.
    unprinted: u64,
    end: Option<End>,
    told: Told,
    /// All that there was had been printed, and a ring wakes the component for more.
    pub is_asleep: bool,
    /// When there last was nothing left to print.
    pub behind_since: u64,
    /// The trace ring, if it goes over the serial line too.
    stream: Option<RingSender<TRACE_SLOTS>>,
    /// When the line was last free for it, all of the trace had been sent.
    is_sent: bool,
    /// How long the console has worked for it, in ticks.
    pub spent_ticks: u64,
}

/// Why and when the VM has ended; the first word stays.
struct End {
    time: u64,
    reason: Reason,
    is_printed: bool,
    /// Records of the console ring that still count: before the line is printed, those that may
    /// precede it.
    records_left: usize,
}

/// What the trace component tells once, or not often.
#[derive(Default)]
struct Told {
    /// The devices' sums, a bit each.
    devices: u8,
    vm: bool,
    span: bool,
    end: bool,
    closed: bool,
    /// When a line about misbehaviour may next exceed the budget.
    next_misbehaviour: u64,
}

const _: () = assert!(MAX_DEVICES <= u8::BITS as usize);

/// Whose word counts for the end of a VM, besides the trace component's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// That of whoever watches over the components: a VMM's is printed as its claim, for the
    /// verdict is not made of it.
    Watched,
    /// The VMM's own: nobody else sees an end while the trace component does not answer.
    Unwatched,
}

impl VmConsole {
    pub fn new(port: &ConsolePort, config: VmConfig<'static>, ends: Ends, clock: Clock) -> Self {
        Self {
            config,
            ends,
            log: Consumer::new(port.log, port.log_reader, RingKind::Log),
            text: Consumer::new(port.text, port.text_reader, RingKind::Console),
            trace: Conduct::of_producer(),
            vmm: Conduct::of_producer(),
            line: String::new(),
            next: None,
            missing: 0,
            unprinted: 0,
            end: None,
            told: Told::default(),
            is_asleep: true,
            behind_since: clock.start_ticks,
            stream: None,
            is_sent: true,
            spent_ticks: 0,
        }
    }

    /// Sends the trace ring over the line as well.
    pub fn stream(&mut self, trace: &'static RingMemory<TRACE_SLOTS>, identity: RingIdentity) {
        self.stream = Some(RingSender::new(trace, identity));
        self.is_sent = false;
    }

    /// Why the VM has ended, once that is printed.
    pub fn ended(&self) -> Option<EndReason> {
        let end = self.end.as_ref()?;
        end.is_printed.then_some(end.reason.reason)
    }

    /// Whether an end is told and waits for what comes before it.
    pub fn is_ending(&self) -> bool {
        self.end.as_ref().is_some_and(|end| !end.is_printed)
    }

    /// Whether all of the trace has been sent.
    pub fn is_sent(&self) -> bool {
        self.is_sent
    }

    /// The VM has ended, unless it had already.
    pub fn end(&mut self, time: u64, reason: Reason) {
        self.end.get_or_insert(End {
            time,
            reason,
            is_printed: false,
            records_left: CONSOLE_SLOTS,
        });
    }

    /// Lets the rings wake the component. Nothing in a closed one keeps anybody awake.
    pub fn sleep(&mut self) -> bool {
        let text = self.vmm.is_closed() || self.text.sleep_until(1);
        let log = self.trace.is_closed() || self.log.sleep_until(1);
        text && log && self.next.is_none()
    }

    /// Sends frames of the trace while more than `spared` bytes of the VM's share are left.
    pub fn send_trace(
        &mut self,
        spared: i64,
        share: &mut i64,
        encoder: &mut Encoder,
        output: &mut impl Output,
    ) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        self.is_sent = false;
        while *share > spared && !self.is_sent {
            match stream.next_frame(encoder) {
                Some(frame) => {
                    *share -= frame.as_bytes().len() as i64;
                    output.write(frame.as_bytes());
                }
                None => self.is_sent = true,
            }
        }
    }

    /// Prints what the guest printed while the serial line has room, and then the VM's end if it
    /// has come. The rest waits in its ring, and the guest sees a busy serial port.
    pub fn print_text(&mut self, printer: &mut Printer<'_, impl Host, impl Output>) {
        let mut looks = CONSOLE_SLOTS;
        if self.is_ending() {
            // A turn of it: others wait meanwhile.
            printer.spared = (*printer.share - TURN_BYTES).max(-LAST_BYTES);
        }
        while printer.has_budget() || self.is_ending() {
            let Some(next) = self.next_text(&mut looks) else {
                if looks != 0 {
                    self.print_end(printer);
                }
                return;
            };
            if !printer.has_budget() {
                self.next = Some(next);
                return;
            }
            match next {
                (ConsoleRecord::Text(text), from) => self.append(text, from, printer),
                (ConsoleRecord::Notice { .. }, _) => self.print_notice(next.0, printer),
                // Never there: nothing that a VMM can say.
                (ConsoleRecord::Verdict(_) | ConsoleRecord::VmDied { .. }, _) => {}
            }
        }
    }

    /// The next record of the console ring that counts, if there is one. Takes at most `looks`.
    fn next_text(&mut self, looks: &mut usize) -> Option<(ConsoleRecord, usize)> {
        if let Some(next) = self.next.take() {
            return Some(next);
        }
        loop {
            if self.is_ending() && self.end.as_ref()?.records_left == 0 {
                return None;
            }
            if self.vmm.is_closed() {
                return None;
            }
            *looks = looks.checked_sub(1)?;
            let popped = self.text.pop();
            self.vmm.note_ring(&self.text);
            let item = popped?;
            if item.lost_before != 0 {
                self.vmm.note(Misdeed::Gap);
            }
            let left = self.end.as_mut().map(|end| {
                let left = end.records_left;
                end.records_left = left.saturating_sub(1);
                left
            });
            if left == Some(0) {
                self.vmm.note(Misdeed::AfterEnd);
                continue;
            }
            match ConsoleRecord::from_words(&item.payload) {
                Some(record @ (ConsoleRecord::Text(_) | ConsoleRecord::Notice { .. })) => {
                    return Some((record, 0));
                }
                Some(ConsoleRecord::Verdict(_) | ConsoleRecord::VmDied { .. }) | None => {
                    self.vmm.note(Misdeed::Kind);
                }
            }
        }
    }

    fn print_notice(
        &mut self,
        record: ConsoleRecord,
        printer: &mut Printer<'_, impl Host, impl Output>,
    ) {
        let ConsoleRecord::Notice {
            time,
            notice,
            number,
            address,
            pc,
        } = record
        else {
            return;
        };
        if let Notice::Ended(reason) = notice {
            if !reason.is_a_vmms() {
                self.vmm.note(Misdeed::Kind);
            } else if self.end.is_some() {
                self.vmm.note(Misdeed::AfterEnd);
            } else {
                let reason = Reason {
                    reason,
                    number: address,
                    pc,
                };
                match self.ends {
                    Ends::Unwatched => self.end(time, reason),
                    Ends::Watched => {
                        let name = self.config.name();
                        let claim = format_args!("warn  {name}: its VMM says: {reason}");
                        printer.print(time, claim);
                    }
                }
            }
            return;
        }
        let text = NoticeText {
            notice,
            number,
            address,
            pc,
        };
        let (mask, severity) = text.severity();
        if self.config.logger().contains(mask) {
            let name = self.config.name();
            printer.print(time, format_args!("{severity} {name}: {text}"));
        }
    }

    /// Prints the characters from this one on; what the line has no room for waits.
    fn append(
        &mut self,
        text: Text,
        from: usize,
        printer: &mut Printer<'_, impl Host, impl Output>,
    ) {
        for (at, byte) in text.bytes().iter().enumerate().skip(from) {
            if *byte == b'\n' || self.line.len() == GUEST_LINE_BYTES {
                if !printer.has_budget() {
                    self.next = Some((ConsoleRecord::Text(text), at));
                    return;
                }
                self.print_line(text.time, printer);
            }
            if !matches!(byte, b'\n' | b'\r') {
                // There is room: a full line was printed above.
                let _ = self.line.push(char::from(printable(*byte)));
            }
        }
    }

    fn print_line(&mut self, time: u64, printer: &mut Printer<'_, impl Host, impl Output>) {
        printer.print(time, format_args!("{}| {}", self.config.name(), self.line));
        self.line.clear();
    }

    /// Prints log records while the serial line has room. Those that it has not had for as long
    /// as a burst takes are counted.
    pub fn print_log(
        &mut self,
        no_room: NoRoom,
        printer: &mut Printer<'_, impl Host, impl Output>,
    ) {
        for _ in 0..LOG_SLOTS {
            if no_room == NoRoom::Waits && !printer.has_budget() || self.trace.is_closed() {
                return;
            }
            let popped = self.log.pop();
            self.trace.note_ring(&self.log);
            let Some(item) = popped else {
                return;
            };
            self.missing = self.missing.saturating_add(item.lost_before);
            match Entry::from_words(&item.payload) {
                Some(Entry::Event(kind, record)) => self.print_event(kind, &record, printer),
                Some(Entry::Misbehaviour(misbehaviour)) => {
                    self.print_misbehaviour(misbehaviour, printer);
                }
                Some(sums) => self.print_sums(sums, printer),
                None => self.trace.note(Misdeed::Kind),
            }
        }
    }

    fn print_event(
        &mut self,
        kind: Kind,
        record: &Record,
        printer: &mut Printer<'_, impl Host, impl Output>,
    ) {
        if self.told.end {
            return self.trace.note(Misdeed::AfterEnd);
        }
        if kind == Kind::End {
            self.told.end = true;
            let reason = EndReason::from_number(record.value);
            let reason = Reason {
                reason: reason.unwrap_or(EndReason::UnknownExit),
                number: record.address.0,
                pc: record.pc,
            };
            return self.end(record.time, reason);
        }
        let burst_ticks = BURST_BYTES as u64 * printer.clock.hz / BYTES_PER_SECOND;
        let since = record.time.max(self.behind_since);
        if !printer.has_budget() || printer.look_at_clock().saturating_sub(since) > burst_ticks {
            return self.leave_out();
        }
        self.report_missing(record.time, printer);
        let device = self.device_name(record.tag.instance());
        let name = self.config.name();
        let event = Event {
            kind,
            record,
            device,
        };
        let severity = severity_of(kind, record);
        printer.print(record.time, format_args!("{severity} {name} {event}"));
    }

    /// Counts a record that is not printed.
    fn leave_out(&mut self) {
        self.missing = self.missing.saturating_add(1);
        self.unprinted = self.unprinted.saturating_add(1);
    }

    /// Prints sums, whatever the budget: each once.
    fn print_sums(&mut self, sums: Entry, printer: &mut Printer<'_, impl Host, impl Output>) {
        let name = self.config.name();
        let is_first = match &sums {
            Entry::Device(instance, _) => {
                let bit = 1u8.checked_shl(u32::from(*instance)).unwrap_or(0);
                let is_first = bit & !self.told.devices != 0;
                self.told.devices |= bit;
                is_first
            }
            Entry::Vm(_) => !core::mem::replace(&mut self.told.vm, true),
            _ => !core::mem::replace(&mut self.told.span, true),
        };
        if !is_first {
            return self.trace.note(Misdeed::AfterEnd);
        }
        match sums {
            Entry::Device(instance, sums) => {
                self.report_missing(sums.time, printer);
                let device = self.device_name(instance);
                let text = DeviceSums { device, sums };
                printer.print(sums.time, format_args!("info  {name} {text}"));
            }
            Entry::Vm(sums) => {
                let unprinted = self.unprinted;
                let text = VmSums { sums, unprinted };
                printer.print(sums.time, format_args!("info  {name}: {text}"));
            }
            Entry::Span(time, span) => {
                let clock = printer.clock;
                let text = SpanText { span, clock };
                printer.print(time, format_args!("info  {name}: {text}"));
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
        let is_last = closes && !core::mem::replace(&mut self.told.closed, true);
        if !is_last && now < self.told.next_misbehaviour && !printer.has_budget() {
            return self.leave_out();
        }
        self.told.next_misbehaviour = now.saturating_add(printer.clock.hz);
        let who = MisbehaviourText::who(misbehaviour.last);
        self.print_conduct(who, misbehaviour, printer);
    }

    fn print_conduct(
        &self,
        who: &str,
        misbehaviour: Misbehaviour,
        printer: &mut Printer<'_, impl Host, impl Output>,
    ) {
        let name = self.config.name();
        let text = MisbehaviourText { who, misbehaviour };
        printer.print(misbehaviour.time, format_args!("error {name}: {text}"));
    }

    /// Says what was wrong in this VM's rings: at once, then once a second.
    pub fn tell_misbehaviour(&mut self, printer: &mut Printer<'_, impl Host, impl Output>) {
        if self.vmm.total() | self.trace.total() == 0 {
            return;
        }
        let now = printer.look_at_clock();
        if let Some(misbehaviour) = self.vmm.due(now) {
            self.print_conduct("its VMM", misbehaviour, printer);
            self.vmm.told(now, printer.clock.hz);
        }
        if let Some(misbehaviour) = self.trace.due(now) {
            self.print_conduct("the trace component", misbehaviour, printer);
            self.trace.told(now, printer.clock.hz);
        }
    }

    fn device_name(&self, instance: u8) -> &'static str {
        let device = self.config.devices().nth(usize::from(instance));
        device.map_or("?", |device| device.name)
    }

    pub fn report_missing(&mut self, time: u64, printer: &mut Printer<'_, impl Host, impl Output>) {
        if self.missing != 0 {
            let missing = core::mem::take(&mut self.missing);
            let name = self.config.name();
            printer.print(time, format_args!("warn  {name}: {missing} log lines lost"));
        }
    }

    /// Says that the VM has ended, if it has and that is not said yet: after what it printed.
    fn print_end(&mut self, printer: &mut Printer<'_, impl Host, impl Output>) {
        let Some(end) = self.end.as_mut().filter(|end| !end.is_printed) else {
            return;
        };
        end.is_printed = true;
        end.records_left = LAST_RECORDS;
        let (time, reason) = (end.time, end.reason);
        self.report_missing(time, printer);
        if !self.line.is_empty() {
            self.print_line(time, printer);
        }
        let severity = if reason.reason.is_success() {
            "info "
        } else {
            "fatal"
        };
        let name = self.config.name();
        printer.print(time, format_args!("{severity} {name}: ended: {reason}"));
    }
}
