//! What a VMM leaves to the one that is started in its place, and how that goes on.
//!
//! Each event (an exit, a notification) is carried out on this component's own memory: records are
//! appended that nobody sees, registers are prepared that the vCPU does not have. Then it is committed, by
//! one store; then published.
//!
//! ```text
//!   begin ── carry out ── commit ── publish ── (return) the vCPU runs on
//!     │          dead: as if nothing    dead: all of it is published again
//!     │                 had happened
//!   the short way of an access commits nothing. Its record is the commit:
//!   intend ── prepare registers ── record in the ring ── (return) the vCPU runs on
//!                       dead: the guest does      dead: the registers are as prepared, and
//!                       the access again          the ring says what else has happened
//! ```
//!
//! So of what a VMM knows only this changes on the short way: the last number of each device, its newest
//! writes, the ring's position; and all of it stands in the ring. (The writes are forgotten: what would have
//! been read of them waits until they are applied.) A ring holds the records since the last
//! commit, since the short way ends at the latest when the ring has gone round.
//!
//! Used by `vmm` at the beginning and the end of each event. Invariant: what the vCPU is about to do is
//! what the intent names, or it is undone.

use super::architecture::{Architecture, Isa};
use super::console_text::KeptText;
use super::refused::Refusals;
use super::trace_link::{KeptLink, ReaderLies};
use super::wait_for_interrupt::Idle;
use super::{Device, Held, Vmm};
use crate::{Intent, Machine, Outcome, VcpuIs};
use kept::Kept;
use shared_ring::{InputPosition, WritePosition};
use trace_records::{EndReason, Kind, MAX_DEVICES, Record};
use vdevs::Local;

/// An intent of an event: the number that its commit will have. One without is of an access on the
/// short way: where the access ring's head will be.
const OF_EVENT: u64 = 1 << 63;

/// The memory by which a VMM survives. All zero: there was none. The parts are the devices; the appendix is the
/// interrupt controller, once the guest has used it.
#[repr(transparent)]
pub struct KeptVmm<A: Isa>(Kept<State<A::End>, KeptDevice, MAX_DEVICES, A::Interrupts>);

impl<A: Isa> KeptVmm<A> {
    /// Memory that no VMM has had.
    pub const fn new() -> Self {
        Self(Kept::in_parts())
    }
}

impl<A: Isa> Default for KeptVmm<A> {
    fn default() -> Self {
        Self::new()
    }
}

/// What of a device a VMM leaves to the next.
#[derive(Clone, Copy, Default)]
struct KeptDevice {
    /// The number of the last access.
    sequence: u64,
    /// Of an isolated one, the number of the last that has a record.
    recorded: u64,
    /// Its state, if it is in the VMM.
    local: Option<Local>,
}

/// All that is not made anew, the devices aside.
#[derive(Clone, Copy)]
struct State<E> {
    commits: u64,
    access: WritePosition,
    console: WritePosition,
    link: KeptLink,
    text: KeptText,
    typed: InputPosition,
    held: Option<Held<E>>,
    unheard_end: Option<EndReason>,
    refusals: Refusals,
    reader_lies: ReaderLies,
    idle: Option<Idle>,
}

impl KeptDevice {
    fn of(device: &Device) -> Self {
        match device {
            Device::Isolated(point) => Self {
                sequence: point.sequence,
                recorded: point.recorded(),
                local: None,
            },
            Device::Local(device) => Self {
                sequence: device.sequence,
                recorded: 0,
                local: Some(device.device),
            },
        }
    }
}

impl<A: Isa> Vmm<A> {
    /// An event is carried out from here on.
    pub(crate) fn begin(&mut self, machine: &mut impl Machine) {
        machine.intend(Intent(OF_EVENT | (self.commits + 1)));
    }

    /// The event is over. It is committed, then what follows from it is published.
    pub(crate) fn commit<M: Machine>(&mut self, machine: &mut M)
    where
        A: Architecture<M>,
    {
        self.commits += 1;
        let state = self.state();
        let interrupts = self.uses_interrupts.then_some(&self.interrupts);
        let devices = self.bus.devices().map(KeptDevice::of);
        self.kept
            .0
            .commit_with_appendix(&state, devices, interrupts);
        self.link.publish(machine);
        self.console.publish(machine);
        self.typed.publish();
    }

    fn state(&self) -> State<A::End> {
        State {
            commits: self.commits,
            access: *self.link.access.position(),
            console: *self.console.ring.position(),
            link: self.link.kept,
            text: self.console.kept,
            typed: self.typed.position(),
            held: self.held,
            unheard_end: self.unheard_end,
            refusals: self.refusals,
            reader_lies: self.reader_lies,
            idle: self.idle,
        }
    }

    /// Goes on where a VMM before this one has died, if there was one. The rings have been set up, at
    /// their beginning.
    pub(super) fn go_on<M: Machine>(&mut self, machine: &mut M) -> bool
    where
        A: Architecture<M>,
    {
        let Some(state) = self.kept.0.state().copied() else {
            return false;
        };
        if let Some(interrupts) = self.kept.0.appendix() {
            self.interrupts = *interrupts;
            self.uses_interrupts = true;
            A::deliver_again(&self.interrupts, machine);
        }
        self.restore(&state);
        self.restore_devices();
        let head = self.link.access.published();
        let stands = match machine.intent().0 {
            event if event & OF_EVENT != 0 => event == OF_EVENT | state.commits,
            intended_head => intended_head == head,
        };
        // It may have died before it did so, or before it told anybody.
        self.link.is_wanted = true;
        self.link.publish(machine);
        self.console.want_later();
        self.console.publish(machine);
        self.typed.publish();
        let outcome = match stands {
            true => Outcome::Stands,
            false => Outcome::Undone,
        };
        if self.held.is_none() {
            machine.recover(outcome, VcpuIs::Running);
        } else {
            machine.recover(outcome, VcpuIs::Held);
            self.begin(machine);
            self.sample_lines(machine);
            let wakes = self.deliver(machine);
            self.try_again(false, wakes, machine);
            self.deliver(machine);
            self.commit(machine);
        }
        true
    }

    fn restore(&mut self, state: &State<A::End>) {
        let State {
            commits,
            access,
            console,
            link,
            text,
            typed,
            held,
            unheard_end,
            refusals,
            reader_lies,
            idle,
        } = *state;
        self.commits = commits;
        self.link.access.go_on_from(access);
        self.console.ring.go_on_from(console);
        self.link.kept = link;
        self.console.kept = text;
        self.typed.go_on_from(typed);
        self.held = held;
        self.unheard_end = unheard_end;
        self.refusals = refusals;
        self.reader_lies = reader_lies;
        self.idle = idle;
    }

    fn restore_devices(&mut self) {
        let bus = &mut self.bus;
        // Both are in the order of the configuration.
        for (device, kept) in bus.devices_mut().zip(self.kept.0.parts()) {
            match device {
                Device::Isolated(point) => point.go_on_from(kept.sequence, kept.recorded),
                Device::Local(device) => {
                    device.sequence = kept.sequence;
                    device.device = kept.local.unwrap_or(device.device);
                }
            }
        }
        // Only the short way has published without keeping, and that leads to isolated devices alone.
        self.link.access.catch_up(|words| {
            let record = Record::from_words(words);
            if record.tag.is(Kind::Access)
                && let Some(Device::Isolated(point)) = bus.find(record.address)
            {
                point.go_on_from(record.sequence, record.sequence);
            }
        });
    }
}
