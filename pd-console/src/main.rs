//! `pd-console`: the console component in a protection domain of its own, with the UART.
//!
//! Wires the Microkit's events to `vm_components::Console`; what it may touch stands in
//! `system.xml`. Runs when `pd-clock` signals it, or whoever has something to print.
#![no_std]
#![no_main]

use arm_pl011_uart::Uart;
use pd_runtime::{
    CrashPage, Signals, channel_set, clock, configuration, leave_word_on_panic, region,
    write_serial,
};
use safe_mmio::UniqueMmioPointer;
use sel4_microkit::{
    ChannelSet, Handler, Infallible, memory_region_symbol, panicking, protection_domain,
};
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
    let registers = memory_region_symbol!(uart: *mut arm_pl011_uart::PL011Registers);
    // SAFETY: `system.xml` maps the PL011 here, uncached, and `pd-monitor`, which maps it
    // too, uses it only when this protection domain is dead.
    let registers = unsafe { UniqueMmioPointer::new(registers) };
    ConsoleDomain {
        console: Console::init(&[(port, config)], Some(system), clock()),
        serial: Serial(Uart::new(registers)),
        finished: false,
    }
}

struct ConsoleDomain {
    console: Console,
    serial: Serial,
    finished: bool,
}

impl Handler for ConsoleDomain {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        self.console
            .notified(channel_set(channels), &mut Signals, &mut self.serial);
        if let Some(verdict) = self.console.verdict()
            && !core::mem::replace(&mut self.finished, true)
        {
            self.serial.write(verdict.line().as_bytes());
        }
        Ok(())
    }
}

/// The UART, as the boot loader set it up.
struct Serial(Uart<'static>);

impl Output for Serial {
    fn write(&mut self, bytes: &[u8]) {
        write_serial(&mut self.0, bytes);
    }
}
