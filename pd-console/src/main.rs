//! `pd-console`: the console component in a protection domain of its own, with the UART.
//!
//! Wires the Microkit's events to `vm_components::Console`; what it may touch stands in
//! `system.xml`. Runs when `pd-clock` signals it, or whoever has something to print.
#![no_std]
#![no_main]

use core::fmt::Write;
use core::ptr::NonNull;
use heapless::String;
use pd_runtime::{
    Counter, CrashPage, Serial, Signals, channel_set, clock, configuration, leave_word_on_panic,
    region,
};
use sel4_microkit::{ChannelSet, Handler, Infallible, panicking, protection_domain, var};
use shared_ring::RingMemory;
use trace_records::TRACE_SLOTS;
use vm_components::{Console, ConsolePort, Output, SystemPort};

#[protection_domain]
fn init() -> ConsoleDomain {
    panicking::set_hook(&|info| leave_word_on_panic(region!(crash: CrashPage), info));
    let config = configuration(region!(config: [u8; 0x1000]));
    let port = ConsolePort {
        log: region!(log_ring: _),
        log_reader: region!(log_reader: _),
        text: region!(console_ring: _),
        text_reader: region!(console_reader: _),
    };
    let system = SystemPort {
        text: region!(monitor_ring: _),
        text_reader: region!(monitor_reader: _),
    };
    let mut console = Console::init(&[(port, config)], Some(system), clock());
    if let Some(trace) = trace_ring() {
        console.stream(0, trace);
    }
    ConsoleDomain {
        console,
        // SAFETY: `system.xml` maps the UART uncached, and `pd-monitor`, which maps it too,
        // uses it only when this protection domain is dead.
        serial: BoardSerial(unsafe { Serial::of_board() }),
        spent_ticks: 0,
        finished: false,
    }
}

/// The trace ring, where the system description maps it here: it then goes over the serial line
/// too, since the board has nobody else to look at it.
fn trace_ring() -> Option<&'static RingMemory<TRACE_SLOTS>> {
    let address = *var!(trace_ring: usize = 0);
    let ring = NonNull::new(address as *mut RingMemory<TRACE_SLOTS>)?;
    // SAFETY: the Microkit has mapped the region at this address for the whole life of the
    // protection domain; it is as large as a trace ring, which is made of atomics.
    Some(unsafe { ring.as_ref() })
}

struct ConsoleDomain {
    console: Console,
    serial: BoardSerial,
    /// How long the console has run; `make bench` takes its part off the price of an access.
    spent_ticks: u64,
    finished: bool,
}

impl Handler for ConsoleDomain {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        let began = Counter::now();
        self.console
            .notified(channel_set(channels), &mut Signals, &mut self.serial);
        self.spent_ticks += Counter::now() - began;
        if let Some(verdict) = self.console.verdict()
            && !core::mem::replace(&mut self.finished, true)
        {
            let mut line = String::<80>::new();
            // Two numbers of 64 bits fit.
            let _ = writeln!(
                line,
                "microkit: console {} ticks, of {} Hz",
                self.spent_ticks,
                Counter::hz()
            );
            self.serial.write(line.as_bytes());
            self.serial.write(verdict.line().as_bytes());
        }
        Ok(())
    }
}

/// The UART as the component's output.
struct BoardSerial(Serial);

impl Output for BoardSerial {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }
}
