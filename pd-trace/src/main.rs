//! `pd-trace`: the trace component in a protection domain of its own.
//!
//! Wires the Microkit's events to `vm_components::Trace`; what it may touch stands in
//! `system.xml`. Runs when `pd-clock` or a VMM signals it.
#![no_std]
#![no_main]

use pd_runtime::{
    Counter, CrashPage, Signals, channel_set, clock, configuration, leave_word_on_panic,
    optional_region, region,
};
use sel4_microkit::{ChannelSet, Handler, Infallible, panicking, protection_domain};
use vm_components::{MAX_VMS, Trace, TracePort};

/// The regions of one VM, if the system description has it.
macro_rules! vm {
    ($config:ident, $access:ident, $access_reader:ident, $state:ident, $log:ident,
     $log_reader:ident, $trace:ident) => {
        optional_region!($config: [u8; 0x1000]).map(|config| {
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
    panicking::set_hook(&|info| leave_word_on_panic(region!(crash: CrashPage), info));
    // One line for each VM that there can be, by the names of its regions in `system.xml`.
    #[rustfmt::skip]
    let vms: [_; MAX_VMS] = [
        vm!(config, access_ring, access_reader, state_page, log_ring, log_reader, trace_ring),
        vm!(config_1, access_ring_1, access_reader_1, state_page_1, log_ring_1, log_reader_1, trace_ring_1),
        vm!(config_2, access_ring_2, access_reader_2, state_page_2, log_ring_2, log_reader_2, trace_ring_2),
        vm!(config_3, access_ring_3, access_reader_3, state_page_3, log_ring_3, log_reader_3, trace_ring_3),
    ];
    TraceDomain(Trace::init(
        vms.into_iter().flatten(),
        clock(),
        Counter::now(),
    ))
}

struct TraceDomain(Trace);

impl Handler for TraceDomain {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        self.0.notified(channel_set(channels), &mut Signals);
        Ok(())
    }
}
