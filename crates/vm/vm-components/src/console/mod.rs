//! The console component: turns log records and the guests' characters into lines of text.
//!
//! One for all VMs; owns the UART. Runs when its clock wakes it (every 100 ms), when a
//! ring that it emptied gets its first record, and when something is typed.
//!
//! Invariants: what is printed never exceeds what a serial line carries, so a storm of
//! accesses shows as a few lines and a count of those that are missing; the numbers add up;
//! a line that takes its time is never behind by more than it takes for a burst, and says
//! what is missing meanwhile; each VM has its share of the line, which no other can take from
//! it; no guest can forge another's lines or ours, since what it prints follows its VM's name
//! and holds no control characters. Sums and ends are always printed, each once. What a VMM or
//! the trace component claims that cannot be is said at once, then once a second; a ring whose
//! producer goes on is closed (`conduct`). A console that is started anew goes on where the one before
//! it was.
//!
//! ```text
//!   kept: the state after the line, and that it is on its way ──► UART ──► kept: it is printed
//!         └──────────── death here: the line may be missing, and is told so ─────┘
//! ```
//!
//! A death is charged to the VM whose turn it was ([`charge`](crate::charge)).

mod line;
pub mod log_lines;
mod system;
mod typing;
mod vm;

use crate::channel::{self, ChannelSet};
use crate::charge::UnderWay;
use crate::console::log_lines::Reason;
use crate::{Clock, Host};
use heapless::Vec;
use kept::Kept;
use line::{Budget, Printer};
use shared_ring::{Cell, ConsumerPage, InputMemory, InputReader, Ordering, RingKind, RingMemory};
use system::System;
use trace_records::{CONSOLE_SLOTS, EndReason, LOG_SLOTS, MAX_VMS, TRACE_SLOTS, Verdict};
use trace_stream::{Encoder, RingIdentity};
use typing::Typing;
pub use typing::{Input, Typed};
use vm::{Ends, NoRoom, VmConsole};
use vm_config::VmConfig;

/// How much of its trace and how much of its lines one VM sends before it is another's turn: on a
/// slow line others wait meanwhile.
const TURN_BYTES: i64 = 512;
/// How often lines that are missing are told at least, in parts of a second.
const REPORTS_PER_SECOND: u64 = 10;

/// The end of a line over which a console has died: half a number is not to be taken for one. A line that
/// was whole has this for the next.
const CUT: &[u8] = b" (cut)\n";

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
    /// What is typed; this component writes it.
    pub input: &'static InputMemory,
    /// How far the VMM has read it.
    pub input_reader: &'static InputReader,
}

/// The memory through which the platform itself reports what has died.
#[derive(Clone, Copy)]
pub struct SystemPort {
    /// Lines about the system; whoever watches over the components writes it.
    pub text: &'static RingMemory<CONSOLE_SLOTS>,
    /// How far this component has read them.
    pub text_reader: &'static ConsumerPage,
}

/// What a console leaves to the one that is started in its place. All zero, as at first: nothing.
#[repr(C)]
pub struct KeptConsole {
    under_way: UnderWay,
    states: [Kept<vm::State>; MAX_VMS],
    /// What the component works with. Each makes it anew, here because it is too large to be moved after
    /// a death.
    vms: Vec<VmConsole, MAX_VMS>,
    system: Kept<system::State>,
    /// When the VMs' shares of the line were refilled.
    refilled: Cell,
    /// Twice the number of a run's last lines that are printed, and one more while the next is.
    last_lines: Cell,
    typing: Kept<typing::State>,
}

impl KeptConsole {
    /// Memory in which nothing is kept.
    pub const fn new() -> Self {
        Self {
            under_way: UnderWay::new(),
            states: [const { Kept::new() }; MAX_VMS],
            vms: Vec::new(),
            system: Kept::new(),
            refilled: Cell::new(0),
            last_lines: Cell::new(0),
            typing: Kept::new(),
        }
    }
}

impl Default for KeptConsole {
    fn default() -> Self {
        Self::new()
    }
}

/// What is on its way to the serial line, and what is missing if the console dies over it.
#[derive(Clone, Copy)]
enum Printing {
    /// The line of an event, which the VM's sums count.
    Event,
    /// Another line of the log.
    Line,
    /// A line of the guest, or the beginning of one.
    Text,
    /// That so many lines of the log are missing.
    Missing(u64),
    /// That so many lines of the guest are missing.
    MissingText(u64),
    /// A frame of the trace.
    Frame,
}

/// The component.
pub struct Console {
    vms: &'static mut Vec<VmConsole, MAX_VMS>,
    system: Option<System>,
    clock: Clock,
    budget: Budget,
    /// Numbers the frames of the line.
    encoder: Encoder,
    /// See [`KeptConsole`].
    under_way: &'static UnderWay,
    last_lines: &'static Cell,
    typing: Typing,
    /// It goes on where another has died, or has not run at all.
    is_new: bool,
}

impl Console {
    /// A component that prints for the VMs with these configurations, numbered from 0, and
    /// for whoever watches over the components, if there is somebody. It goes on where the one
    /// was that has left `kept`, if there was one.
    pub fn init(
        ports: impl IntoIterator<Item = (ConsolePort, VmConfig<'static>)>,
        system: Option<SystemPort>,
        kept: &'static mut KeptConsole,
        clock: Clock,
    ) -> Self {
        let ends = match system {
            Some(_) => Ends::Watched,
            None => Ends::Unwatched,
        };
        let under_way: &'static UnderWay = &kept.under_way;
        let vms = &mut kept.vms;
        let ports: Vec<_, MAX_VMS> = ports.into_iter().take(MAX_VMS).collect();
        let new = vm::State::new(Budget::full(ports.len()), clock.start_ticks);
        // Those of the one before.
        vms.clear();
        let of_typing = ports.iter().map(|(port, _)| port);
        let typing = Typing::resume(of_typing, &mut kept.typing);
        for (((port, config), kept), number) in ports.into_iter().zip(&mut kept.states).zip(0..) {
            let vm = VmConsole::resume(number, &port, config, ends, kept, under_way, new);
            // There are as many places as for what is kept.
            let _ = vms.push(vm);
        }
        let frames = vms.iter().map(VmConsole::frames).max();
        Self {
            vms,
            system: system.map(|port| System::resume(port, &mut kept.system)),
            clock,
            budget: Budget::resume(&kept.refilled, clock),
            encoder: Encoder::resume(frames.unwrap_or(0)),
            under_way,
            last_lines: &kept.last_lines,
            typing,
            is_new: true,
        }
    }

    /// Ends the line if another console has died over it, counts that as missing, and
    /// charges the death.
    fn recover(&mut self, host: &mut impl Host, output: &mut impl Output) {
        let now = host.now();
        let is_cut = self.vms.iter().any(VmConsole::is_cut)
            || self.system.as_ref().is_some_and(System::is_cut)
            || !self.last_lines.load(Ordering::Relaxed).is_multiple_of(2);
        if is_cut {
            output.write(CUT);
        }
        let died_over = self.under_way.take();
        for vm in self.vms.iter_mut() {
            match died_over {
                Some((number, record)) if number == vm.number => {
                    vm.charge(record, now, self.clock.hz);
                }
                _ => {}
            }
            vm.recover();
        }
        if let Some(system) = &mut self.system {
            system.recover();
        }
        self.typing.recover(host, output);
    }

    /// Takes what was typed. The platform calls it when the UART says so, and at each wake-up of the clock; then it calls
    /// [`Self::notified`], with whatever channels, for what there is to tell.
    pub fn typed(&mut self, input: &mut impl Input, host: &mut impl Host) -> Typed {
        self.typing.take(input, host)
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
            vm.stream(trace, identity);
        }
    }

    /// Handles notifications.
    pub fn notified(
        &mut self,
        channels: ChannelSet,
        host: &mut impl Host,
        output: &mut impl Output,
    ) {
        if core::mem::take(&mut self.is_new) {
            self.recover(host, output);
        }
        let name = |vm: u8| {
            let vm = self.vms.get(usize::from(vm));
            vm.map_or("?", VmConsole::name)
        };
        self.typing.tell(name, self.clock, host, output);
        let began = host.now();
        for vm in self.vms.iter_mut().filter(|vm| vm.is_asleep) {
            vm.state.behind_since = began;
        }
        self.refill(began);
        let mut goes_on = true;
        while goes_on {
            let is_system_asleep = self.print(host, output);
            // What a slow line has carried while it was waited for it can carry again.
            let now = host.now();
            self.refill(now);
            let is_report_due = now.saturating_sub(began) >= self.clock.hz / REPORTS_PER_SECOND;
            let mut vms = self.vms.iter();
            let has_more = vms.any(|vm| !vm.is_asleep && vm.state.share > 0);
            goes_on = !is_system_asleep || has_more && !is_report_due;
        }
        // Behind that nothing is waited for: the end of a VM may be among what waits here.
        let system = self.system.as_ref();
        let has_failed = system.and_then(System::verdict) == Some(Verdict::Failed);
        let mut turn = host.now();
        for vm in self.vms.iter_mut() {
            vm.begin_turn(host);
            let mut printer = Printer {
                clock: self.clock,
                format: self.typing.format(),
                spared: 0,
                now: turn,
                host,
                output,
            };
            if has_failed || !vm.has_budget(&printer) {
                // Only the clock wakes us: text waits, log records are counted.
                vm.print_log(NoRoom::Drops, &mut printer);
                vm.print_text(&mut printer);
                printer.spared = 0;
            }
            // Whoever goes on at once tells it with the next line.
            let report = match vm.has_budget(&printer) {
                true => vm.is_asleep,
                false => channels.contains(channel::console::CLOCK),
            };
            if report {
                let now = printer.look_at_clock();
                vm.report_missing(now, &mut printer);
            }
            if channels.contains(channel::console::CLOCK) {
                vm.print_beginning(&mut printer);
            }
            vm.tell_misbehaviour(&mut printer);
            vm.send_trace(0, &mut self.encoder, output);
            vm.end_turn(&mut turn, host);
            vm.commit();
        }
    }

    fn refill(&mut self, now: u64) {
        let shares = self.vms.iter_mut().map(|vm| &mut vm.state.share);
        let mut shares: Vec<_, MAX_VMS> = shares.collect();
        self.budget.refill(&mut shares, now, self.clock.hz);
    }

    /// Prints what there is as far as the line has room, or a turn of it for each VM. Whether the
    /// system's ring wakes us.
    fn print(&mut self, host: &mut impl Host, output: &mut impl Output) -> bool {
        let vms = &mut self.vms;
        let mut turn = host.now();
        for vm in vms.iter_mut() {
            vm.begin_turn(host);
            let share = vm.state.share;
            let spared = (share / 2).max(share - TURN_BYTES);
            vm.send_trace(spared, &mut self.encoder, output);
            vm.end_turn(&mut turn, host);
        }
        let is_system_asleep = self.system.as_mut().is_none_or(|system| {
            system.print(output, |vm, time| {
                if let Some(vm) = vms.get_mut(usize::from(vm)) {
                    vm.end(time, Reason::of_watch(EndReason::VmmDied));
                    // Before it is kept that this was read.
                    vm.commit();
                }
            })
        });
        // The watch's lines are no VM's.
        pass(&mut turn, host);
        for vm in self.vms.iter_mut() {
            vm.begin_turn(host);
            let available = vm.state.share;
            let mut printer = Printer {
                clock: self.clock,
                format: self.typing.format(),
                spared: (available - TURN_BYTES / 2).max(0),
                now: turn,
                host,
                output,
            };
            vm.print_text(&mut printer);
            printer.spared = (available - TURN_BYTES).max(0);
            vm.print_log(NoRoom::Waits, &mut printer);
            if vm.is_ending() {
                vm.print_text(&mut printer);
            }
            printer.spared = (available - TURN_BYTES).max(0);
            vm.commit();
            vm.is_asleep = vm.has_budget(&printer) && vm.sleep();
            vm.end_turn(&mut turn, host);
        }
        is_system_asleep
    }

    /// How the run went. The platform prints it as its last line.
    ///
    /// Where somebody watches over the components, that is who says so. The console then owes
    /// the line until all has been printed that comes before it: the ends of all VMs and their
    /// traces, or, if the run has failed and not all VMs will come to their end, of those that
    /// have. Where nobody watches, the VMs' ends decide. A VM over which the console has died too often
    /// has no end that anybody hears of.
    pub fn verdict(&self) -> Option<Verdict> {
        if self.vms.iter().any(VmConsole::is_ending) {
            return None;
        }
        let is_over = |vm: &VmConsole| vm.ended().is_some() || vm.is_given_up();
        let all_ended = self.vms.iter().all(is_over);
        let all_sent = self.vms.iter().all(VmConsole::is_sent);
        let verdict = match &self.system {
            Some(system) => system.verdict()?,
            None => match self
                .vms
                .iter()
                .flat_map(VmConsole::ended)
                .all(EndReason::is_success)
            {
                true => Verdict::Ok,
                false => Verdict::Failed,
            },
        };
        let is_cut_short = self.system.is_some() && verdict == Verdict::Failed && !all_ended;
        (is_cut_short || all_ended && all_sent).then_some(verdict)
    }

    /// Prints the lines at the run's end, each once: call it when there is a verdict, with the same
    /// number of lines each time (an empty one is none), the verdict's last. The one that another console has died over is
    /// printed again, for without it the run has not ended.
    pub fn finish(&mut self, lines: &[&str], output: &mut impl Output) {
        let printed = self.last_lines.load(Ordering::Relaxed) / 2;
        for (at, line) in (0..).zip(lines).skip(printed as usize) {
            self.last_lines.store(2 * at + 1, Ordering::Relaxed);
            output.write(line.as_bytes());
            self.last_lines.store(2 * (at + 1), Ordering::Relaxed);
        }
    }

    /// How long this component has worked for the VM with this number, in ticks of the host's
    /// clock; waiting for the serial line is a part of it.
    pub fn spent_ticks(&self, vm: u8) -> u64 {
        let vm = self.vms.get(usize::from(vm));
        vm.map_or(0, |vm| vm.state.spent_ticks)
    }
}

/// The time since `turn`, which becomes now.
fn pass(turn: &mut u64, host: &mut impl Host) -> u64 {
    let now = host.now();
    now.saturating_sub(core::mem::replace(turn, now))
}
