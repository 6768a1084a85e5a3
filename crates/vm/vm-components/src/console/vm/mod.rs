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

mod log;
mod text;

pub(super) use log::NoRoom;
use log::Told;
use text::GUEST_LINE_BYTES;

use super::Output;
use super::line::Printer;
use crate::conduct::Conduct;
use crate::console::log_lines::{MisbehaviourText, Reason};
use crate::{Clock, ConsolePort, Host};
use heapless::String;
use shared_ring::{Consumer, RingKind, RingMemory};
use trace_records::{
    CONSOLE_SLOTS, ConsoleRecord, EndReason, LOG_SLOTS, Misbehaviour, TRACE_SLOTS,
};
use trace_stream::{Encoder, RingIdentity, RingSender};
use vm_config::VmConfig;

/// Records of an ended VM's VMM that are printed after the line that says so: what waited for
/// room, and that the trace component came or went.
const LAST_RECORDS: usize = 16;
/// What an ended VM's last text may take of the line in advance, so that most VMs' ends are
/// printed at once. What does not fit waits for the VM's share, and its end with it.
const LAST_BYTES: i64 = 2048;

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
    /// Characters of `line` that stand there already, as its beginning.
    begun: usize,
    /// Characters that the guest has printed, and how many at the clock's last wake-up.
    printed: u64,
    printed_before: u64,
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
            begun: 0,
            printed: 0,
            printed_before: 0,
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
