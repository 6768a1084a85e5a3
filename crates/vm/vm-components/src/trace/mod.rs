//! The trace component: owns the counters, drains the VMs' accesses, tells what happened.
//!
//! One for all VMs. Runs when its clock wakes it (every 10 ms), when a VMM asks for it, or
//! when an access ring is half full because it asked to be woken then; so a stream of
//! accesses costs one notification per half ring, not one each.
//!
//! Invariant: nothing that a VMM writes into its ring can stop this component. What is a VM's own is
//! in its [lane](lane), with the judgement of each record; a VM's turn is at most one ring's worth of
//! accesses, so that one that never stops keeps the others waiting for no more than that.
//!
//! It may die at any instruction, and another begins in its place with what it has kept
//! ([`KeptTrace`]): nothing is lost or told twice. A death is charged to the VM whose turn it was
//! ([`charge`](crate::charge)).

mod lane;

use crate::channel::{self, ChannelSet};
use crate::charge::UnderWay;
use crate::{Clock, Host};
use heapless::Vec;
use lane::{KeptLane, Lane, Signals};
use shared_ring::{ConsumerPage, RingMemory};
use trace_records::{ACCESS_SLOTS, EndReason, LOG_SLOTS, MAX_VMS, StatePage, TRACE_SLOTS};
use vm_config::VmConfig;

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

/// Memory that outlives the component: its platform hands the same to each that it starts. All zero
/// for the first.
#[repr(C)]
pub struct KeptTrace {
    under_way: UnderWay,
    states: [KeptLane; MAX_VMS],
    /// What the component works with. Each makes it anew, here because it is large: to move it, or to
    /// clear other memory for it, would take longer than all else that there is to do after a death.
    lanes: Vec<Lane, MAX_VMS>,
}

impl KeptTrace {
    /// For the first.
    pub const fn new() -> Self {
        Self {
            under_way: UnderWay::new(),
            states: [const { KeptLane::in_parts() }; MAX_VMS],
            lanes: Vec::new(),
        }
    }
}

impl Default for KeptTrace {
    fn default() -> Self {
        Self::new()
    }
}

/// The component.
pub struct Trace {
    lanes: &'static mut Vec<Lane, MAX_VMS>,
    /// The one before has died, and may have owed anybody a signal: the VMMs, whose guests wait for it,
    owes_vmms: bool,
    /// and the console, which would print before any guest runs again. It gets its signal when the clock
    /// wakes this component.
    owes_console: bool,
}

impl Trace {
    /// A component that serves the VMs with these configurations, numbered from 0. The
    /// first period of the counters starts at `now`, in ticks.
    ///
    /// Goes on where the one before was if it is not the first with this memory. Call
    /// [`Self::notified`] then without waiting for a signal: that one may have had it.
    pub fn init<'a>(
        vms: impl IntoIterator<Item = (TracePort, VmConfig<'a>)>,
        kept: &'static mut KeptTrace,
        clock: Clock,
        now: u64,
    ) -> Self {
        let under_way: &'static UnderWay = &kept.under_way;
        let died_over = under_way.take();
        let is_first = kept.states.iter().all(|lane| lane.state().is_none());
        let lanes = &mut kept.lanes;
        // Those of the one before.
        lanes.clear();
        for (((port, config), kept), vm) in vms.into_iter().zip(&mut kept.states).zip(0..) {
            // There are as many places as for what is kept.
            let _ = lanes.push(Lane::init(vm, &port, &config, kept, under_way, clock, now));
        }
        if let Some((vm, record)) = died_over
            && let Some(lane) = lanes.get_mut(usize::from(vm))
        {
            lane.charge(record, now);
        }
        Self {
            lanes,
            owes_vmms: !is_first,
            owes_console: !is_first,
        }
    }

    /// Handles notifications.
    pub fn notified(&mut self, channels: ChannelSet, host: &mut impl Host) {
        let mut alive = channels.contains(channel::trace::CLOCK);
        let mut began = host.now();
        loop {
            let mut asleep = true;
            let owed = core::mem::take(&mut self.owes_vmms);
            let mut console = alive && core::mem::take(&mut self.owes_console);
            for lane in self.lanes.iter_mut() {
                if alive {
                    lane.state.beat();
                }
                let mut signals = Signals::default();
                host.under_way(Some(lane.vm));
                lane.drain(&mut signals, host);
                host.under_way(None);
                console |= signals.console;
                if signals.vmm | owed {
                    host.notify(channel::trace::vmm(lane.vm));
                }
                asleep &= lane.sleep();
                let now = host.now();
                lane.at.spent_ticks += now.saturating_sub(began);
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
        self.lanes.get(usize::from(vm))?.at.ended
    }

    /// How long this component has worked for the VM with this number, in ticks of the host's
    /// clock.
    pub fn spent_ticks(&self, vm: u8) -> u64 {
        let lane = self.lanes.get(usize::from(vm));
        lane.map_or(0, |lane| lane.at.spent_ticks)
    }
}
