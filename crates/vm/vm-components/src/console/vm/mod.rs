//! One VM's part of the console: its rings, and what becomes of the records in them.
//!
//! Used by the console alone. Invariants: what a guest or its VMM has a say in follows the VM's
//! name and holds no control characters; what a record causes to be printed is paid from that
//! VM's share of the line. Beyond the share are printed: the end and each sum, once; a line about
//! misbehaviour, once a second; of an ended VM's text, [`LAST_BYTES`]. Whatever is printed, [`State`] is
//! what it is after that line, so that whoever goes on from there prints nothing twice.
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

use super::line::{Line, Printer};
use super::{Output, Printing, pass};
use crate::charge::{Account, UnderWay, work_of};
use crate::conduct::Conduct;
use crate::console::log_lines::DeviceWords;
use crate::console::log_lines::{MisbehaviourText, Reason};
use crate::{ConsolePort, Host};
use core::fmt;
use kept::Kept;
use shared_ring::{Consumer, Payload, ReadPosition, RingKind, RingMemory};
use trace_records::{
    CONSOLE_SLOTS, ConsoleRecord, EndReason, LOG_SLOTS, Misbehaviour, Misdeed, TRACE_SLOTS,
};
use trace_stream::{Encoder, RingIdentity, RingSender, SendPosition};
use vm_config::VmConfig;

/// Records of an ended VM's VMM that are printed after the line that says so: what waited for
/// room, and that the trace component came or went.
const LAST_RECORDS: usize = 16;
/// What an ended VM's last text may take of the line in advance, so that most VMs' ends are
/// printed at once. What does not fit waits for the VM's share, and its end with it.
const LAST_BYTES: i64 = 2048;

pub(super) struct VmConsole {
    pub number: u8,
    config: VmConfig<'static>,
    /// The device that a line named last, by its number: to look it up costs as much as half a line.
    last_device: Option<(u8, DeviceWords<'static>)>,
    ends: Ends,
    log: Consumer<LOG_SLOTS>,
    text: Consumer<CONSOLE_SLOTS>,
    /// The trace ring, if it goes over the serial line too.
    stream: Option<RingSender<TRACE_SLOTS>>,
    /// When the line was last free for it, all of the trace had been sent.
    is_sent: bool,
    /// All that there was had been printed, and a ring wakes the component for more.
    pub is_asleep: bool,
    pub state: State,
    kept: &'static mut Kept<State>,
    under_way: &'static UnderWay,
}

/// What survives the console.
#[derive(Clone, Copy)]
pub(super) struct State {
    log_at: ReadPosition,
    text_at: ReadPosition,
    sent: SendPosition,
    /// Frames that the line had had after this VM's last one.
    frames: u64,
    /// Of the trace component, by the log ring.
    trace: Conduct,
    /// Of the VMM, by the console ring.
    vmm: Conduct,
    line: Line<GUEST_LINE_BYTES>,
    /// Characters of `line` that stand there already, as its beginning.
    begun: usize,
    /// Characters that the guest has printed, and how many at the clock's last wake-up.
    printed: u64,
    printed_before: u64,
    /// A record of the log ring that is not printed yet.
    next_log: Option<Payload>,
    /// A record of the console ring that is not printed yet, or only up to this character.
    next: Option<(ConsoleRecord, usize)>,
    /// Lines missing since the last one that said so: of the log, and of the guest.
    missing: u64,
    missing_text: u64,
    /// Records that were there and for which the serial line had no room.
    unprinted: u64,
    end: Option<End>,
    told: Told,
    /// When there last was nothing left to print.
    pub behind_since: u64,
    /// What the VM has left of the serial line, in bytes.
    pub share: i64,
    /// How long the console has worked for it, in ticks.
    pub spent_ticks: u64,
    printing: Option<Printing>,
    account: Account,
    /// The console has died too often over this VM, and deals with its records no more.
    is_given_up: bool,
}

impl State {
    /// Of a VM for which nothing has been printed.
    pub fn new(share: i64, now: u64) -> Self {
        Self {
            log_at: ReadPosition::default(),
            text_at: ReadPosition::default(),
            sent: SendPosition::default(),
            frames: 0,
            trace: Conduct::of_producer(),
            vmm: Conduct::of_producer(),
            line: Line::default(),
            begun: 0,
            printed: 0,
            printed_before: 0,
            next_log: None,
            next: None,
            missing: 0,
            missing_text: 0,
            unprinted: 0,
            end: None,
            told: Told::default(),
            behind_since: now,
            share,
            spent_ticks: 0,
            printing: None,
            account: Account::default(),
            is_given_up: false,
        }
    }
}

/// Why and when the VM has ended; the first word stays.
#[derive(Clone, Copy)]
struct End {
    time: u64,
    reason: Reason,
    is_printed: bool,
    /// Records of the console ring that still count: before the line is printed, those that may
    /// precede it.
    records_left: usize,
}

/// The ring that a record is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ring {
    Log,
    Text,
}

impl Ring {
    /// The place of the record at this position, as [`UnderWay`] names it.
    const fn place(self, position: u64) -> u64 {
        position << 1 | self as u64
    }
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
    /// Goes on where another, which is no more, was, if there was one; else from `new`.
    pub fn resume(
        number: u8,
        port: &ConsolePort,
        config: VmConfig<'static>,
        ends: Ends,
        kept: &'static mut Kept<State>,
        under_way: &'static UnderWay,
        new: State,
    ) -> Self {
        let state = kept.state().copied().unwrap_or(new);
        Self {
            number,
            config,
            last_device: None,
            ends,
            log: Consumer::resume(port.log, port.log_reader, RingKind::Log, state.log_at),
            text: Consumer::resume(
                port.text,
                port.text_reader,
                RingKind::Console,
                state.text_at,
            ),
            stream: None,
            is_sent: true,
            is_asleep: true,
            state,
            kept,
            under_way,
        }
    }

    /// Sends the trace ring over the line as well.
    pub fn stream(&mut self, trace: &'static RingMemory<TRACE_SLOTS>, identity: RingIdentity) {
        self.stream = Some(RingSender::resume(trace, identity, self.state.sent));
        self.is_sent = false;
    }

    /// Frames that the line had had after this VM's last one.
    pub fn frames(&self) -> u64 {
        self.state.frames
    }

    /// Whether the console has died over a line or a frame of this VM.
    pub fn is_cut(&self) -> bool {
        self.state.printing.is_some()
    }

    /// Goes on where the console has died: what it was printing is missing. Of a frame whoever
    /// receives them sees that.
    pub fn recover(&mut self) {
        let state = &mut self.state;
        match state.printing.take() {
            Some(Printing::Event) => {
                state.missing += 1;
                state.unprinted += 1;
            }
            Some(Printing::Line) => state.missing += 1,
            Some(Printing::Text) => state.missing_text += 1,
            Some(Printing::Missing(lines)) => state.missing += lines,
            Some(Printing::MissingText(lines)) => state.missing_text += lines,
            Some(Printing::Frame) | None => {}
        }
        self.commit();
    }

    /// Charges the VM with a death over this record of its rings, or over none.
    pub fn charge(&mut self, place: Option<u64>, now: u64, hz: u64) {
        let state = &mut self.state;
        if state.account.charge(place, now, hz) && !state.is_given_up {
            state.is_given_up = true;
            (state.next_log, state.next) = (None, None);
            for (ring, conduct) in [(Ring::Log, &mut state.trace), (Ring::Text, &mut state.vmm)] {
                let place = place.filter(|place| *place == ring.place(place >> 1));
                conduct.close(Misdeed::Deadly(place.map(|place| place >> 1)));
            }
        }
    }

    /// Whether this VM's rings are read no more because the console died over them.
    pub fn is_given_up(&self) -> bool {
        self.state.is_given_up
    }

    /// Whether the record at this position is to be skipped. If not, its turn begins.
    fn is_deadly(&self, ring: Ring, position: u64) -> bool {
        let place = ring.place(position);
        let is_deadly = self.state.account.deadly() == Some(place);
        if !is_deadly {
            self.under_way.set(work_of(self.number) + 1 + place);
        }
        is_deadly
    }

    /// From here on who dies does so over this VM.
    pub fn begin_turn(&self, host: &mut impl Host) {
        host.under_way(Some(self.number));
        self.under_way.set(work_of(self.number));
    }

    /// This VM's turn, which began at `turn`, is over; that becomes now.
    pub fn end_turn(&mut self, turn: &mut u64, host: &mut impl Host) {
        self.state.spent_ticks += pass(turn, host);
        self.under_way.set(0);
        host.under_way(None);
    }

    /// Keeps what has been done, and then lets the rings' producers see it.
    pub fn commit(&mut self) {
        self.state.log_at = *self.log.position();
        self.state.text_at = *self.text.position();
        if let Some(stream) = &self.stream {
            self.state.sent = stream.position();
        }
        self.kept.commit(&self.state);
        self.log.publish();
        self.text.publish();
    }

    /// The VM's name.
    pub fn name(&self) -> &'static str {
        self.config.name()
    }

    /// Why the VM has ended, once that is printed.
    pub fn ended(&self) -> Option<EndReason> {
        let end = self.state.end.as_ref()?;
        end.is_printed.then_some(end.reason.reason)
    }

    /// Whether an end is told and waits for what comes before it.
    pub fn is_ending(&self) -> bool {
        self.state.end.is_some_and(|end| !end.is_printed)
    }

    /// Whether all of the trace has been sent.
    pub fn is_sent(&self) -> bool {
        self.is_sent
    }

    /// The VM has ended, unless it had already.
    pub fn end(&mut self, time: u64, reason: Reason) {
        self.state.end.get_or_insert(End {
            time,
            reason,
            is_printed: false,
            records_left: CONSOLE_SLOTS,
        });
    }

    /// Lets the rings wake the component. Nothing in a closed one keeps anybody awake.
    pub fn sleep(&mut self) -> bool {
        let text = self.state.vmm.is_closed() || self.text.sleep_until(1);
        let log = self.state.trace.is_closed() || self.log.sleep_until(1);
        text && log && self.state.next.is_none()
    }

    /// Whether the VM has more left of its share than this prints of it.
    pub fn has_budget<H, O>(&self, printer: &Printer<'_, H, O>) -> bool {
        self.state.share > printer.spared
    }

    /// Prints a line that starts with `time`, or now if that is still to come, whatever the
    /// budget.
    fn print(
        &mut self,
        what: Printing,
        time: u64,
        text: fmt::Arguments<'_>,
        printer: &mut Printer<'_, impl Host, impl Output>,
    ) {
        let mut line = printer.line(time, text);
        self.put(what, line.finish(), printer.output);
    }

    /// The only way to the serial line. What follows from it is kept before, for it cannot be taken
    /// back: whoever dies in between may have printed it, or a part of it.
    fn put(&mut self, what: Printing, bytes: &[u8], output: &mut impl Output) {
        self.state.share -= bytes.len() as i64;
        self.state.printing = Some(what);
        self.commit();
        output.write(bytes);
        self.state.printing = None;
        self.commit();
    }

    /// Sends frames of the trace while more than `spared` bytes of the VM's share are left.
    pub fn send_trace(&mut self, spared: i64, encoder: &mut Encoder, output: &mut impl Output) {
        self.is_sent = self.stream.is_none() || self.state.is_given_up;
        while self.state.share > spared && !self.is_sent {
            let stream = self.stream.as_mut();
            match stream.and_then(|stream| stream.next_frame(encoder)) {
                Some(frame) => {
                    self.state.frames = encoder.sent();
                    self.put(Printing::Frame, frame.as_bytes(), output);
                }
                None => self.is_sent = true,
            }
        }
    }

    fn print_conduct(
        &mut self,
        who: &str,
        misbehaviour: Misbehaviour,
        printer: &mut Printer<'_, impl Host, impl Output>,
    ) {
        let name = self.config.name();
        let text = MisbehaviourText { who, misbehaviour };
        let line = format_args!("error {name}: {text}");
        self.print(Printing::Line, misbehaviour.time, line, printer);
    }

    /// Says what was wrong in this VM's rings: at once, then once a second.
    pub fn tell_misbehaviour(&mut self, printer: &mut Printer<'_, impl Host, impl Output>) {
        if self.state.vmm.total() | self.state.trace.total() == 0 {
            return;
        }
        let now = printer.look_at_clock();
        if let Some(misbehaviour) = self.state.vmm.due(now) {
            self.state.vmm.told(now, printer.clock.hz);
            self.print_conduct("its VMM", misbehaviour, printer);
        }
        if let Some(misbehaviour) = self.state.trace.due(now) {
            self.state.trace.told(now, printer.clock.hz);
            self.print_conduct("the trace component", misbehaviour, printer);
        }
    }

    /// Says how many lines are missing. A number that was on its way when the console died is said
    /// again: it may be there twice, but never not at all.
    pub fn report_missing(&mut self, time: u64, printer: &mut Printer<'_, impl Host, impl Output>) {
        let name = self.config.name();
        let lines = core::mem::take(&mut self.state.missing);
        if lines != 0 {
            let line = format_args!("warn  {name}: {lines} log lines lost");
            self.print(Printing::Missing(lines), time, line, printer);
        }
        let lines = core::mem::take(&mut self.state.missing_text);
        if lines != 0 {
            let line = format_args!("warn  {name}: {lines} lines of the guest lost");
            self.print(Printing::MissingText(lines), time, line, printer);
        }
    }

    /// Says that the VM has ended, if it has and that is not said yet: after what it printed.
    fn print_end(&mut self, printer: &mut Printer<'_, impl Host, impl Output>) {
        let Some(end) = self.state.end.filter(|end| !end.is_printed) else {
            return;
        };
        self.report_missing(end.time, printer);
        if !self.state.line.is_empty() {
            self.print_line(end.time, printer);
        }
        self.state.end = Some(End {
            is_printed: true,
            records_left: LAST_RECORDS,
            ..end
        });
        let reason = end.reason;
        let severity = if reason.reason.is_success() {
            "info "
        } else {
            "fatal"
        };
        let name = self.config.name();
        let line = format_args!("{severity} {name}: ended: {reason}");
        self.print(Printing::Line, end.time, line, printer);
    }
}
