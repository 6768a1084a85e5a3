//! The trace component: owns the counters, drains the VMs' accesses, tells what happened.
//!
//! One for all VMs. Runs when its clock wakes it (every 10 ms), when a VMM asks for it, or
//! when an access ring is half full because it asked to be woken then; so a stream of
//! accesses costs one notification per half ring, not one each.
//!
//! Invariant: nothing that a VMM writes into its ring can stop this component. What is a VM's own is
//! in its [lane](lane), with the judgement of each record; a VM's turn is at most one ring's worth of
//! accesses, so that one that never stops keeps the others waiting for no more than that.

mod lane;

use crate::channel::{self, ChannelSet};
use crate::{Clock, Host};
use heapless::Vec;
use lane::{Lane, Signals};
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

/// The component.
pub struct Trace {
    lanes: Vec<Lane, MAX_VMS>,
}

impl Trace {
    /// A component that serves the VMs with these configurations, numbered from 0. The
    /// first period of the counters starts at `now`, in ticks.
    pub fn init<'a>(
        vms: impl IntoIterator<Item = (TracePort, VmConfig<'a>)>,
        clock: Clock,
        now: u64,
    ) -> Self {
        let lanes = vms.into_iter().take(MAX_VMS).zip(0..);
        Self {
            lanes: lanes
                .map(|((port, config), vm)| Lane::new(vm, &port, &config, clock, now))
                .collect(),
        }
    }

    /// Handles notifications.
    pub fn notified(&mut self, channels: ChannelSet, host: &mut impl Host) {
        let mut alive = channels.contains(channel::trace::CLOCK);
        let mut began = host.now();
        loop {
            let mut asleep = true;
            let mut console = false;
            for lane in &mut self.lanes {
                if alive {
                    lane.state.beat();
                }
                let mut signals = Signals::default();
                lane.drain(&mut signals, host);
                console |= signals.console;
                if signals.vmm {
                    host.notify(channel::trace::vmm(lane.vm));
                }
                asleep &= lane.sleep();
                let now = host.now();
                lane.spent_ticks += now.saturating_sub(began);
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
        self.lanes.get(usize::from(vm))?.ended
    }

    /// How long this component has worked for the VM with this number, in ticks of the host's
    /// clock.
    pub fn spent_ticks(&self, vm: u8) -> u64 {
        let lane = self.lanes.get(usize::from(vm));
        lane.map_or(0, |lane| lane.spent_ticks)
    }
}
