//! `pd-trace`: the trace component in a protection domain of its own.
//!
//! Wires the Microkit's events to `vm_components::Trace`; what it may touch stands in
//! `system.xml`. Runs when `pd-clock` or a VMM signals it.
#![no_std]
#![no_main]

use pd_runtime::{
    ConfigurationRegion, Counter, Part, Signals, begin_life, channel_set, clock, configuration,
    kept_region, life, optional_region, region,
};
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, protection_domain};
use vm_components::{KeptTrace, MAX_VMS, Trace, TracePort};

/// To `pd-monitor`, when a VM has ended.
const MONITOR: Channel = Channel::new(10);

/// The regions of one VM, if the system description has it.
macro_rules! vm {
    ($config:ident, $access:ident, $access_reader:ident, $state:ident, $log:ident,
     $log_reader:ident, $trace:ident) => {
        optional_region!($config: ConfigurationRegion).map(|config| {
            let port = TracePort {
                access: region!($access: _),
                access_reader: region!($access_reader: _),
                state: region!($state: _),
                log: region!($log: _),
                log_reader: region!($log_reader: _),
                trace: region!($trace: _),
            };
            (port, configuration(config))
        })
    };
}

#[protection_domain]
fn init() -> TraceDomain {
    begin_life();
    let kept = kept_region!(Part::Trace => KeptTrace);
    // One line for each VM that there can be, by the names of its regions in `system.xml`.
    #[rustfmt::skip]
    let vms: [_; MAX_VMS] = [
        vm!(config, access_ring, access_reader, state_page, log_ring, log_reader, trace_ring),
        vm!(config_1, access_ring_1, access_reader_1, state_page_1, log_ring_1, log_reader_1, trace_ring_1),
        vm!(config_2, access_ring_2, access_reader_2, state_page_2, log_ring_2, log_reader_2, trace_ring_2),
        vm!(config_3, access_ring_3, access_reader_3, state_page_3, log_ring_3, log_reader_3, trace_ring_3),
        vm!(config_4, access_ring_4, access_reader_4, state_page_4, log_ring_4, log_reader_4, trace_ring_4),
        vm!(config_5, access_ring_5, access_reader_5, state_page_5, log_ring_5, log_reader_5, trace_ring_5),
        vm!(config_6, access_ring_6, access_reader_6, state_page_6, log_ring_6, log_reader_6, trace_ring_6),
        vm!(config_7, access_ring_7, access_reader_7, state_page_7, log_ring_7, log_reader_7, trace_ring_7),
    ];
    let mut domain = TraceDomain {
        trace: Trace::init(vms.iter().flatten().copied(), kept, clock(), Counter::now()),
        told: [false; MAX_VMS],
    };
    // If one before has died, it had the signal for what it left undone.
    domain.run(vm_components::ChannelSet::EMPTY);
    domain
}

struct TraceDomain {
    trace: Trace,
    /// Whose end the monitor has been told.
    told: [bool; MAX_VMS],
}

impl Handler for TraceDomain {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        self.run(channel_set(channels));
        Ok(())
    }
}

impl TraceDomain {
    fn run(&mut self, channels: vm_components::ChannelSet) {
        self.trace.notified(channels, &mut Signals);
        for (vm, told) in (0..).zip(&mut self.told) {
            life().set_spent_ticks(vm, self.trace.spent_ticks(vm as u8));
            if let Some(reason) = self.trace.ended(vm as u8)
                && !core::mem::replace(told, true)
            {
                life().set_ended(vm, reason);
                MONITOR.notify();
            }
        }
    }
}
