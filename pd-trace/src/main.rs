//! `pd-trace`: the trace component in a protection domain of its own.
//!
//! Wires the Microkit's events to `vm_components::Trace`; what it may touch stands in
//! `system.xml`. Runs when `pd-clock` or a VMM signals it.
#![no_std]
#![no_main]

use pd_runtime::{
    Counter, CrashPage, Signals, channel_set, clock, configuration, leave_word_on_panic, region,
};
use sel4_microkit::{ChannelSet, Handler, Infallible, panicking, protection_domain};
use vm_components::{Trace, TracePort};

#[protection_domain]
fn init() -> TraceDomain {
    panicking::set_hook(&|info| leave_word_on_panic(region!(crash: CrashPage), info));
    let config = configuration(region!(config: [u8; 0x1000]));
    let port = TracePort {
        access: region!(access_ring: _),
        access_reader: region!(access_reader: _),
        state: region!(state_page: _),
        log: region!(log_ring: _),
        log_reader: region!(log_reader: _),
        trace: region!(trace_ring: _),
    };
    TraceDomain(Trace::init(&[(port, config)], clock(), Counter::now()))
}

struct TraceDomain(Trace);

impl Handler for TraceDomain {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        self.0.notified(channel_set(channels), &mut Signals);
        Ok(())
    }
}
