//! The console component: turns log records and the guests' characters into lines of text.
//!
//! One for all VMs; owns the UART. Runs when its clock wakes it (every 100 ms) and when a
//! ring that it emptied gets its first record.
//!
//! Invariants: what is printed never exceeds what a serial line carries, so a storm of
//! accesses shows as a few lines and a count of those that are missing; the numbers add up;
//! a line that takes its time is never behind by more than it takes for a burst, and says
//! what is missing meanwhile; each VM has its share of the line, which no other can take from
//! it; no guest can forge another's lines or ours, since what it prints follows its VM's name
//! and holds no control characters. Sums, ends and messages of a VMM are always printed.

use crate::channel::{self, ChannelSet};
use crate::lines::{
    DeviceSums, Event, MisbehaviourText, NoticeText, Reason, SpanText, Stamp, VmSums, severity_of,
};
use crate::{Clock, Host};
use core::fmt::{self, Write};
use heapless::{String, Vec};
use shared_ring::{Consumer, ConsumerPage, RingKind, RingMemory};
use trace_records::{
    CONSOLE_SLOTS, ConsoleRecord, EndReason, Entry, Kind, LOG_SLOTS, MAX_VMS, Notice, TRACE_SLOTS,
    Text, Verdict,
};
use trace_stream::{Encoder, RingIdentity, RingSender};
use vm_config::VmConfig;

/// What a serial line of 115200 baud carries, ten bits a character.
const BYTES_PER_SECOND: u64 = 11_520;
/// How much may be printed at once after a time of silence.
const BURST_BYTES: i64 = 4096;
/// How much of its trace and how much of its lines one VM sends before it is another's turn: on a
/// slow line others wait meanwhile.
const TURN_BYTES: i64 = 512;
/// How often lines that are missing are told at least, in parts of a second.
const REPORTS_PER_SECOND: u64 = 10;
/// Characters of a guest's line; a longer one is broken.
const GUEST_LINE_BYTES: usize = 200;
/// Characters of any line of ours.
const LINE_BYTES: usize = 400;

/// Where the lines go.
pub trait Output {
    /// Prints the bytes; a line ends with a line feed.
    fn write(&mut self, bytes: &[u8]);
}

/// The memory that connects the console with one VM.
#[derive(Clone, Copy)]
pub struct ConsolePort {
    /// Records for the logger; the trace component writes it.
    pub log: &'static RingMemory<LOG_SLOTS>,
    /// How far this component has read them.
    pub log_reader: &'static ConsumerPage,
    /// What the guest prints; its VMM writes it.
    pub text: &'static RingMemory<CONSOLE_SLOTS>,
    /// How far this component has read it.
    pub text_reader: &'static ConsumerPage,
}

/// The memory through which the platform itself reports what has died.
#[derive(Clone, Copy)]
pub struct SystemPort {
    /// Lines about the system; whoever watches over the components writes it.
    pub text: &'static RingMemory<CONSOLE_SLOTS>,
    /// How far this component has read them.
    pub text_reader: &'static ConsumerPage,
}

/// The component.
pub struct Console {
    vms: Vec<VmConsole, MAX_VMS>,
    system: Option<Consumer<CONSOLE_SLOTS>>,
    /// A part of the system has died: the run has failed.
    system_failed: bool,
    clock: Clock,
    budget: Budget,
    /// Numbers the frames of the line.
    encoder: Encoder,
}

struct VmConsole {
    config: VmConfig<'static>,
    log: Consumer<LOG_SLOTS>,
    text: Consumer<CONSOLE_SLOTS>,
    line: String<GUEST_LINE_BYTES>,
    /// Lines missing since the last one that said so.
    missing: u64,
    /// Records that were there and for which the serial line had no room.
    unprinted: u64,
    end: Option<EndReason>,
    /// All that there was had been printed, and a ring wakes the component for more.
    is_asleep: bool,
    /// When there last was nothing left to print.
    behind_since: u64,
    /// The trace ring, if it goes over the serial line too.
    stream: Option<RingSender<TRACE_SLOTS>>,
    /// When the line was last free for it, all of the trace had been sent.
    is_sent: bool,
}

impl Console {
    /// A component that prints for the VMs with these configurations, numbered from 0, and
    /// for whoever watches over the components, if there is somebody.
    pub fn init(
        vms: impl IntoIterator<Item = (ConsolePort, VmConfig<'static>)>,
        system: Option<SystemPort>,
        clock: Clock,
    ) -> Self {
        let vms: Vec<_, MAX_VMS> = vms
            .into_iter()
            .take(MAX_VMS)
            .map(|(port, config)| VmConsole {
                config,
                log: Consumer::new(port.log, port.log_reader, RingKind::Log),
                text: Consumer::new(port.text, port.text_reader, RingKind::Console),
                line: String::new(),
                missing: 0,
                unprinted: 0,
                end: None,
                is_asleep: true,
                behind_since: clock.start_ticks,
                stream: None,
                is_sent: true,
            })
            .collect();
        Self {
            system: system
                .map(|port| Consumer::new(port.text, port.text_reader, RingKind::Console)),
            system_failed: false,
            budget: Budget::new(vms.len(), clock.start_ticks),
            vms,
            clock,
            encoder: Encoder::new(),
        }
    }

    /// Also sends the trace ring of a VM that there is over the serial line, between the lines,
    /// as frames that `trace_stream` describes: for a machine whose memory nobody sees from
    /// outside. Frames get half of the VM's share of the line, and what its lines leave. The
    /// ring is only looked at; what is overwritten before its turn is counted in the stream.
    pub fn stream(&mut self, vm: u8, trace: &'static RingMemory<TRACE_SLOTS>) {
        let identity = RingIdentity {
            ring: RingKind::Trace as u8,
            vm,
            clock_hz: self.clock.hz,
            start_ticks: self.clock.start_ticks,
        };
        if let Some(vm) = self.vms.get_mut(usize::from(vm)) {
            vm.stream = Some(RingSender::new(trace, identity));
            vm.is_sent = false;
        }
    }

    /// Handles notifications.
    pub fn notified(
        &mut self,
        channels: ChannelSet,
        host: &mut impl Host,
        output: &mut impl Output,
    ) {
        let began = host.now();
        for vm in self.vms.iter_mut().filter(|vm| vm.is_asleep) {
            vm.behind_since = began;
        }
        self.budget.refill(began, self.clock.hz);
        let mut goes_on = true;
        while goes_on {
            let is_system_asleep = self.print(host, output);
            // What a slow line has carried while it was waited for it can carry again.
            let now = host.now();
            self.budget.refill(now, self.clock.hz);
            let mut vms = self.vms.iter().zip(&self.budget.shares);
            let is_report_due = now.saturating_sub(began) >= self.clock.hz / REPORTS_PER_SECOND;
            let has_more = vms.any(|(vm, share)| !vm.is_asleep && *share > 0);
            goes_on = !is_system_asleep || has_more && !is_report_due;
        }
        for (vm, share) in self.vms.iter_mut().zip(&mut self.budget.shares) {
            let mut printer = Printer {
                clock: self.clock,
                share,
                spared: 0,
                output,
            };
            if !printer.has_budget() {
                // Only the clock wakes us: text waits, log records are counted.
                vm.print_log(NoRoom::Drops, host, &mut printer);
            }
            // Whoever goes on at once tells it with the next line.
            let report = match printer.has_budget() {
                true => vm.is_asleep,
                false => channels.contains(channel::console::CLOCK),
            };
            if report {
                vm.report_missing(host.now(), &mut printer);
            }
            vm.send_trace(0, share, &mut self.encoder, output);
        }
    }

    /// Prints what there is as far as the line has room, or a turn of it for each VM. Whether the
    /// system's ring wakes us.
    fn print(&mut self, host: &mut impl Host, output: &mut impl Output) -> bool {
        for (vm, share) in self.vms.iter_mut().zip(&mut self.budget.shares) {
            let spared = (*share / 2).max(*share - TURN_BYTES);
            vm.send_trace(spared, share, &mut self.encoder, output);
        }
        let mut is_system_asleep = true;
        if let Some(system) = &mut self.system {
            while let Some(item) = system.pop() {
                if let Some(ConsoleRecord::Text(text)) = ConsoleRecord::from_words(&item.payload) {
                    self.system_failed = true;
                    output.write(text.bytes());
                }
            }
            is_system_asleep = system.sleep_until(1);
        }
        for (vm, share) in self.vms.iter_mut().zip(&mut self.budget.shares) {
            let available = *share;
            let mut printer = Printer {
                clock: self.clock,
                share,
                spared: (available - TURN_BYTES / 2).max(0),
                output,
            };
            vm.print_text(&mut printer);
            printer.spared = (available - TURN_BYTES).max(0);
            vm.print_log(NoRoom::Waits, host, &mut printer);
            vm.is_asleep = printer.has_budget() && vm.text.sleep_until(1) & vm.log.sleep_until(1);
        }
        is_system_asleep
    }

    /// How the run went, once all VMs have ended and their traces are sent, or a part of the
    /// system has ended. The platform prints it as its last line.
    pub fn verdict(&self) -> Option<Verdict> {
        if self.system_failed {
            return Some(Verdict::Failed);
        }
        let mut verdict = Verdict::Ok;
        for vm in &self.vms {
            if !vm.end?.is_success() {
                verdict = Verdict::Failed;
            }
            if !vm.is_sent {
                return None;
            }
        }
        Some(verdict)
    }
}

/// What becomes of log records for which the line has no room.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NoRoom {
    Waits,
    Drops,
}

/// Characters that the serial line could have carried and has not, in equal shares.
///
/// A VM that prints more than its share has its share alone to answer for it: others lose
/// nothing. What a VM leaves of its share when that is full goes to those that want more.
struct Budget {
    /// Each VM's; below zero after a line that was longer than what was left.
    shares: Vec<i64, MAX_VMS>,
    last: u64,
}

impl Budget {
    fn new(vms: usize, now: u64) -> Self {
        let full = Self::full(vms);
        Self {
            shares: core::iter::repeat_n(full, vms).collect(),
            last: now,
        }
    }

    /// What a share never exceeds.
    fn full(vms: usize) -> i64 {
        BURST_BYTES / vms.max(1) as i64
    }

    fn refill(&mut self, now: u64, clock_hz: u64) {
        let vms = self.shares.len().max(1) as u128;
        let (hz, rate) = (u128::from(clock_hz.max(1)), u128::from(BYTES_PER_SECOND));
        let elapsed = u128::from(now.saturating_sub(self.last));
        let each = elapsed * rate / (hz * vms);
        // What is not a whole byte for everybody counts the next time.
        self.last += (each * vms * hz / rate) as u64;
        let each = i64::try_from(each).map_or(BURST_BYTES, |each| each.min(BURST_BYTES));
        let full = Self::full(self.shares.len());
        let mut left = 0;
        for share in &mut self.shares {
            *share += each;
            left += (*share - full).max(0);
            *share = (*share).min(full);
        }
        let wanting = self.shares.iter().filter(|share| **share < full).count();
        let more = left / wanting.max(1) as i64;
        for share in &mut self.shares {
            *share = (*share + more).min(full);
        }
    }
}

/// What a line needs on its way out.
struct Printer<'a, O> {
    clock: Clock,
    /// What the VM has left of its share, in bytes.
    share: &'a mut i64,
    /// What is to be left of it.
    spared: i64,
    output: &'a mut O,
}

impl<O: Output> Printer<'_, O> {
    fn has_budget(&self) -> bool {
        *self.share > self.spared
    }

    /// Prints a line that starts with `time`, whatever the budget.
    fn print(&mut self, time: u64, text: fmt::Arguments<'_>) {
        let stamp = Stamp(time, self.clock);
        let mut line = String::<LINE_BYTES>::new();
        // The longest line fits, and a write to this string fails for no other reason.
        let _ = writeln!(line, "{stamp} {text}");
        *self.share -= line.len() as i64;
        self.output.write(line.as_bytes());
    }
}

impl VmConsole {
    /// Sends frames of the trace while more than `spared` bytes of the VM's share are left.
    fn send_trace(
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

    /// Prints what the guest printed while the serial line has room. The rest waits in its
    /// ring, and the guest sees a busy serial port.
    fn print_text(&mut self, printer: &mut Printer<'_, impl Output>) {
        while printer.has_budget() && self.print_one_text(printer) {}
    }

    /// Prints one record of the guest's console, if there is one.
    fn print_one_text(&mut self, printer: &mut Printer<'_, impl Output>) -> bool {
        let Some(item) = self.text.pop() else {
            return false;
        };
        match ConsoleRecord::from_words(&item.payload) {
            Some(ConsoleRecord::Text(text)) => self.append(&text, printer),
            Some(ConsoleRecord::Notice {
                time,
                notice: Notice::Ended(reason),
                address,
                pc,
                ..
            }) => {
                let number = address;
                self.print_end(time, Reason { reason, number, pc }, printer);
            }
            Some(ConsoleRecord::Notice {
                time,
                notice,
                number,
                address,
                pc,
            }) => {
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
            // Nothing that a VMM can say.
            Some(ConsoleRecord::Verdict(_) | ConsoleRecord::VmDied { .. }) | None => {}
        }
        true
    }

    fn append(&mut self, text: &Text, printer: &mut Printer<'_, impl Output>) {
        for byte in text.bytes() {
            if *byte == b'\n' || self.line.len() == GUEST_LINE_BYTES {
                printer.print(
                    text.time,
                    format_args!("{}| {}", self.config.name(), self.line),
                );
                self.line.clear();
            }
            let visible = match byte {
                b'\n' | b'\r' => continue,
                b' '..=b'~' => char::from(*byte),
                b'\t' => ' ',
                _ => '?',
            };
            // There is room: a full line was printed above.
            let _ = self.line.push(visible);
        }
    }

    /// Prints log records while the serial line has room. Those that it has not had for as long
    /// as a burst takes are counted.
    fn print_log(
        &mut self,
        no_room: NoRoom,
        host: &mut impl Host,
        printer: &mut Printer<'_, impl Output>,
    ) {
        let burst_ticks = BURST_BYTES as u64 * printer.clock.hz / BYTES_PER_SECOND;
        for _ in 0..LOG_SLOTS {
            if no_room == NoRoom::Waits && !printer.has_budget() {
                return;
            }
            let Some(item) = self.log.pop() else {
                return;
            };
            self.missing = self.missing.saturating_add(item.lost_before);
            let name = self.config.name();
            match Entry::from_words(&item.payload) {
                Some(Entry::Event(Kind::End, record)) => {
                    let reason = EndReason::from_number(record.value);
                    let reason = Reason {
                        reason: reason.unwrap_or(EndReason::UnknownExit),
                        number: record.address.0,
                        pc: record.pc,
                    };
                    self.print_end(record.time, reason, printer);
                }
                Some(Entry::Device(instance, sums)) => {
                    self.report_missing(sums.time, printer);
                    let device = self.device_name(instance);
                    let sums = DeviceSums { device, sums };
                    printer.print(sums.sums.time, format_args!("info  {name} {sums}"));
                }
                Some(Entry::Vm(sums)) => {
                    let sums = VmSums {
                        sums,
                        unprinted: self.unprinted,
                    };
                    printer.print(sums.sums.time, format_args!("info  {name}: {sums}"));
                }
                Some(Entry::Span(time, span)) => {
                    let span = SpanText {
                        span,
                        clock: printer.clock,
                    };
                    printer.print(time, format_args!("info  {name}: {span}"));
                }
                Some(Entry::Event(kind, record))
                    if printer.has_budget()
                        && host
                            .now()
                            .saturating_sub(record.time.max(self.behind_since))
                            <= burst_ticks =>
                {
                    self.report_missing(record.time, printer);
                    let device = self.device_name(record.tag.instance());
                    let event = Event {
                        kind,
                        record: &record,
                        device,
                    };
                    let severity = severity_of(kind, &record);
                    printer.print(record.time, format_args!("{severity} {name} {event}"));
                }
                Some(Entry::Misbehaviour(misbehaviour)) => {
                    let text = MisbehaviourText {
                        who: "its VMM",
                        misbehaviour,
                    };
                    printer.print(misbehaviour.time, format_args!("error {name}: {text}"));
                }
                Some(Entry::Event(..)) | None => {
                    self.missing = self.missing.saturating_add(1);
                    self.unprinted = self.unprinted.saturating_add(1);
                }
            }
        }
    }

    fn device_name(&self, instance: u8) -> &'static str {
        let device = self.config.devices().nth(usize::from(instance));
        device.map_or("?", |device| device.name)
    }

    fn report_missing(&mut self, time: u64, printer: &mut Printer<'_, impl Output>) {
        if self.missing != 0 {
            let missing = core::mem::take(&mut self.missing);
            let name = self.config.name();
            printer.print(time, format_args!("warn  {name}: {missing} log lines lost"));
        }
    }

    fn print_end(&mut self, time: u64, reason: Reason, printer: &mut Printer<'_, impl Output>) {
        if self.end.replace(reason.reason).is_some() {
            return;
        }
        // Nothing of what an ended guest printed is held back or lost.
        while self.print_one_text(printer) {}
        self.report_missing(time, printer);
        if !self.line.is_empty() {
            self.append(&Text::new(time, b"\n"), printer);
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
