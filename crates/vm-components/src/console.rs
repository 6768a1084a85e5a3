//! The console component: turns log records and the guests' characters into lines of text.
//!
//! One for all VMs; owns the UART. Runs when its clock wakes it (every 100 ms) and when a
//! ring that it emptied gets its first record.
//!
//! Invariants: what is printed never exceeds what a serial line carries, so a storm of
//! accesses shows as a few lines and a count of those that are missing; the numbers add up;
//! no guest can forge another's lines or ours, since what it prints follows its VM's name
//! and holds no control characters. Sums, ends and messages of a VMM are always printed.

use crate::channel::{self, ChannelSet};
use crate::lines::{DeviceSums, Event, NoticeText, Reason, SpanText, Stamp, VmSums, severity_of};
use crate::{Clock, Host};
use core::fmt::{self, Write};
use heapless::{String, Vec};
use shared_ring::{Consumer, ConsumerPage, RingKind, RingMemory};
use trace_records::{
    CONSOLE_SLOTS, ConsoleRecord, EndReason, Entry, Kind, LOG_SLOTS, MAX_VMS, Notice, TRACE_SLOTS,
    Text,
};
use trace_stream::{Encoder, RingIdentity, RingSender};
use vm_config::VmConfig;

/// What a serial line of 115200 baud carries, ten bits a character.
const BYTES_PER_SECOND: u64 = 11_520;
/// How much may be printed at once after a time of silence.
const BURST_BYTES: i64 = 4096;
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
    stream: Stream,
}

/// The trace rings that also go over the serial line.
#[derive(Default)]
struct Stream {
    rings: Vec<RingSender<TRACE_SLOTS>, MAX_VMS>,
    encoder: Encoder,
    /// Whose turn it is.
    next: usize,
    /// When the line was last free, everything had been sent.
    is_drained: bool,
}

impl Stream {
    /// Sends frames, each ring in turn, while more than `spared` bytes of the budget are left.
    fn send(&mut self, spared: i64, printer: &mut Printer<'_, impl Output>) {
        let mut silent = 0;
        while silent < self.rings.len() && printer.budget.bytes > spared {
            self.next = (self.next + 1) % self.rings.len();
            match self.rings[self.next].next_frame(&mut self.encoder) {
                Some(frame) => {
                    silent = 0;
                    printer.budget.bytes -= frame.as_bytes().len() as i64;
                    printer.output.write(frame.as_bytes());
                }
                None => silent += 1,
            }
        }
        self.is_drained = silent == self.rings.len();
    }
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
}

impl Console {
    /// A component that prints for the VMs with these configurations, numbered from 0, and
    /// for whoever watches over the components, if there is somebody.
    pub fn init(
        vms: &[(ConsolePort, VmConfig<'static>)],
        system: Option<SystemPort>,
        clock: Clock,
    ) -> Self {
        Self {
            system: system
                .map(|port| Consumer::new(port.text, port.text_reader, RingKind::Console)),
            system_failed: false,
            vms: vms
                .iter()
                .take(MAX_VMS)
                .map(|(port, config)| VmConsole {
                    config: *config,
                    log: Consumer::new(port.log, port.log_reader, RingKind::Log),
                    text: Consumer::new(port.text, port.text_reader, RingKind::Console),
                    line: String::new(),
                    missing: 0,
                    unprinted: 0,
                    end: None,
                })
                .collect(),
            clock,
            budget: Budget {
                bytes: BURST_BYTES,
                last: clock.start_ticks,
            },
            stream: Stream::default(),
        }
    }

    /// Also sends a VM's trace ring over the serial line, between the lines, as frames that
    /// `trace_stream` describes: for a machine whose memory nobody sees from outside. Frames
    /// get half of what the line carries, and what the lines leave. The ring is only looked
    /// at; what is overwritten before its turn is counted in the stream.
    pub fn stream(&mut self, vm: u8, trace: &'static RingMemory<TRACE_SLOTS>) {
        let identity = RingIdentity {
            ring: RingKind::Trace as u8,
            vm,
            clock_hz: self.clock.hz,
            start_ticks: self.clock.start_ticks,
        };
        // There is one for each VM at most.
        let _ = self.stream.rings.push(RingSender::new(trace, identity));
    }

    /// Handles notifications.
    pub fn notified(
        &mut self,
        channels: ChannelSet,
        host: &mut impl Host,
        output: &mut impl Output,
    ) {
        self.budget.refill(host.now(), self.clock.hz);
        let mut printer = Printer {
            clock: self.clock,
            budget: &mut self.budget,
            output,
        };
        self.stream.send(printer.budget.bytes / 2, &mut printer);
        let mut asleep = false;
        while !asleep {
            asleep = true;
            if let Some(system) = &mut self.system {
                while let Some(item) = system.pop() {
                    if let Some(ConsoleRecord::Text(text)) =
                        ConsoleRecord::from_words(&item.payload)
                    {
                        self.system_failed = true;
                        printer.output.write(text.bytes());
                    }
                }
                asleep &= system.sleep_until(1);
            }
            for vm in &mut self.vms {
                vm.print_text(&mut printer);
                vm.print_log(&mut printer);
                // Without budget only the clock wakes us; records wait or are counted.
                if printer.has_budget() {
                    asleep &= vm.text.sleep_until(1);
                    asleep &= vm.log.sleep_until(1);
                }
            }
        }
        if printer.has_budget() || channels.contains(channel::console::CLOCK) {
            for vm in &mut self.vms {
                vm.report_missing(host.now(), &mut printer);
            }
        }
        self.stream.send(0, &mut printer);
    }

    /// How the run went, once all VMs have ended and their traces are sent, or a part of the
    /// system has ended. The platform prints it as its last line.
    pub fn verdict(&self) -> Option<Verdict> {
        if self.system_failed {
            return Some(Verdict::Failed);
        }
        if !self.stream.is_drained {
            return None;
        }
        let mut verdict = Verdict::Ok;
        for vm in &self.vms {
            if !vm.end?.is_success() {
                verdict = Verdict::Failed;
            }
        }
        Some(verdict)
    }
}

/// How a run went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every guest ended as it wanted to.
    Ok,
    /// One did not, or a part of the system has died.
    Failed,
}

impl Verdict {
    /// The line that ends a run; whoever runs the system waits for it.
    pub const fn line(self) -> &'static str {
        match self {
            Self::Ok => "verdict: ok\n",
            Self::Failed => "verdict: failed\n",
        }
    }
}

/// Characters that the serial line could have carried and has not.
struct Budget {
    bytes: i64,
    last: u64,
}

impl Budget {
    fn refill(&mut self, now: u64, clock_hz: u64) {
        let elapsed = u128::from(now.saturating_sub(self.last));
        let earned = elapsed * u128::from(BYTES_PER_SECOND) / u128::from(clock_hz.max(1));
        if earned > 0 {
            self.last = now;
            let earned = i64::try_from(earned).unwrap_or(BURST_BYTES);
            self.bytes = self.bytes.saturating_add(earned).min(BURST_BYTES);
        }
    }
}

/// What a line needs on its way out.
struct Printer<'a, O> {
    clock: Clock,
    budget: &'a mut Budget,
    output: &'a mut O,
}

impl<O: Output> Printer<'_, O> {
    fn has_budget(&self) -> bool {
        self.budget.bytes > 0
    }

    /// Prints a line that starts with `time`, whatever the budget.
    fn print(&mut self, time: u64, text: fmt::Arguments<'_>) {
        let stamp = Stamp(time, self.clock);
        let mut line = String::<LINE_BYTES>::new();
        // The longest line fits, and a write to this string fails for no other reason.
        let _ = writeln!(line, "{stamp} {text}");
        self.budget.bytes -= line.len() as i64;
        self.output.write(line.as_bytes());
    }
}

impl VmConsole {
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
            None => {}
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

    /// Prints log records while the serial line has room, and counts those it has not.
    fn print_log(&mut self, printer: &mut Printer<'_, impl Output>) {
        for _ in 0..LOG_SLOTS {
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
                Some(Entry::Event(kind, record)) if printer.has_budget() => {
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
