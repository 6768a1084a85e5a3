//! `pd-console`: the console component in a protection domain of its own, with the UART.
//!
//! Wires the Microkit's events to `vm_components::Console`; what it may touch stands in
//! `system.xml`. Runs when `pd-clock` signals it, or whoever has something to print, or the UART, at which
//! somebody types.
#![no_std]
#![no_main]

use core::fmt::Write;
use core::sync::atomic::{AtomicU64, Ordering};
use heapless::String;
use oversight::{CpuLine, ReportPage, Verdict};
use pd_runtime::{
    ConfigurationRegion, Counter, Overrun, Part, Serial, Signals, begin_life, channel_set, clock,
    configuration, kept_region, life, optional_region, region,
};
use sel4_microkit::{ChannelSet, Handler, Infallible, protection_domain};
use shared_ring::RingMemory;
use trace_records::TRACE_SLOTS;
use vm_components::{
    Console, ConsolePort, Input, KeptConsole, MAX_VMS, Output, SystemPort, Typed, channel,
};

/// The regions of one VM, if the system description has it.
macro_rules! vm {
    ($config:ident, $log:ident, $log_reader:ident, $text:ident, $text_reader:ident, $input:ident, $input_reader:ident) => {
        optional_region!($config: ConfigurationRegion).map(|config| {
            let port = ConsolePort {
                log: region!($log: _),
                log_reader: region!($log_reader: _),
                text: region!($text: _),
                text_reader: region!($text_reader: _),
                input: region!($input: _),
                input_reader: region!($input_reader: _),
            };
            (port, configuration(config))
        })
    };
}

/// What outlives this protection domain. All zero at first.
#[repr(C)]
struct KeptDomain {
    console: KeptConsole,
    spent_ticks: AtomicU64,
}

#[protection_domain]
fn init() -> ConsoleDomain {
    begin_life();
    let kept = kept_region!(Part::Console => KeptDomain);
    // One line for each VM that there can be, by the names of its regions in `system.xml`.
    #[rustfmt::skip]
    let vms: [_; MAX_VMS] = [
        vm!(config, log_ring, log_reader, console_ring, console_reader, input_ring, input_reader),
        vm!(config_1, log_ring_1, log_reader_1, console_ring_1, console_reader_1, input_ring_1, input_reader_1),
        vm!(config_2, log_ring_2, log_reader_2, console_ring_2, console_reader_2, input_ring_2, input_reader_2),
        vm!(config_3, log_ring_3, log_reader_3, console_ring_3, console_reader_3, input_ring_3, input_reader_3),
        vm!(config_4, log_ring_4, log_reader_4, console_ring_4, console_reader_4, input_ring_4, input_reader_4),
        vm!(config_5, log_ring_5, log_reader_5, console_ring_5, console_reader_5, input_ring_5, input_reader_5),
        vm!(config_6, log_ring_6, log_reader_6, console_ring_6, console_reader_6, input_ring_6, input_reader_6),
        vm!(config_7, log_ring_7, log_reader_7, console_ring_7, console_reader_7, input_ring_7, input_reader_7),
    ];
    let names = vms
        .each_ref()
        .map(|vm| vm.as_ref().map_or("?", |(_, config)| config.name()));
    let system = SystemPort {
        text: region!(monitor_ring: _),
        text_reader: region!(monitor_reader: _),
    };
    let mut console = Console::init(
        vms.iter().flatten().copied(),
        Some(system),
        &mut kept.console,
        clock(),
    );
    // Where the system description maps a trace ring here it goes over the serial line too,
    // since the board has nobody else to look at it.
    #[rustfmt::skip]
    let traces: [Option<&RingMemory<TRACE_SLOTS>>; MAX_VMS] = [
        optional_region!(trace_ring: _),
        optional_region!(trace_ring_1: _),
        optional_region!(trace_ring_2: _),
        optional_region!(trace_ring_3: _),
        optional_region!(trace_ring_4: _),
        optional_region!(trace_ring_5: _),
        optional_region!(trace_ring_6: _),
        optional_region!(trace_ring_7: _),
    ];
    for (vm, trace) in (0..).zip(traces) {
        if let Some(trace) = trace {
            console.stream(vm, trace);
        }
    }
    // SAFETY: the UART is mapped uncached, or is a port of the console's own; `pd-monitor`,
    // which may map it too, uses it only when this protection domain is dead or does not
    // answer.
    let mut serial = unsafe { Serial::of_board() };
    serial.begin_to_receive();
    ConsoleDomain {
        console,
        names,
        serial: BoardSerial(serial),
        // Who has died may not have done so.
        owes_acknowledgement: true,
        spent_ticks: &kept.spent_ticks,
        finished: false,
    }
}

struct ConsoleDomain {
    console: Console,
    /// The VMs' names.
    names: [&'static str; MAX_VMS],
    serial: BoardSerial,
    /// The UART's interrupt has come and is not acknowledged.
    owes_acknowledgement: bool,
    /// How long the console has run, without waiting for the UART: its part of the price of an access,
    /// for `make bench`, since others run while it waits.
    spent_ticks: &'static AtomicU64,
    /// The lines at a run's end are printed.
    finished: bool,
}

impl Handler for ConsoleDomain {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        let (began, waited) = (Counter::now(), self.serial.0.waited_ticks());
        let channels = channel_set(channels);
        self.owes_acknowledgement |= channels.contains(channel::console::TYPED);
        if self.owes_acknowledgement {
            self.take_typed();
        }
        self.console
            .notified(channels, &mut Signals, &mut self.serial);
        let waited = self.serial.0.waited_ticks() - waited;
        let spent_ticks =
            self.spent_ticks.load(Ordering::Relaxed) + (Counter::now() - began - waited);
        self.spent_ticks.store(spent_ticks, Ordering::Relaxed);
        for vm in 0..MAX_VMS {
            life().set_spent_ticks(vm, self.console.spent_ticks(vm as u8));
        }
        if let Some(verdict) = self.console.verdict()
            && !core::mem::replace(&mut self.finished, true)
        {
            self.finish(verdict);
        }
        Ok(())
    }
}

impl ConsoleDomain {
    /// Takes what was typed. What a VM has no room for stays in the UART, whose interrupt is not acknowledged
    /// before it is taken: others, the clock among them, bring us back.
    fn take_typed(&mut self) {
        let mut keyboard = Keyboard {
            serial: &mut self.serial.0,
            overruns: 0,
        };
        let typed = self.console.typed(&mut keyboard, &mut Signals);
        if typed == Typed::All {
            self.serial.0.acknowledge();
            self.owes_acknowledgement = false;
        }
    }

    /// Prints the lines at a run's end, which are no part of what it spends.
    fn finish(&mut self, verdict: Verdict) {
        let spent_ticks = self.spent_ticks.load(Ordering::Relaxed);
        let mut own = String::<80>::new();
        // Two numbers of 64 bits fit.
        let _ = writeln!(
            own,
            "microkit: console {spent_ticks} ticks, of {} Hz",
            Counter::hz()
        );
        let mut text = String::<1024>::new();
        if let Some(report) = region!(report: ReportPage).read() {
            let line = CpuLine {
                cpu: &report.cpu,
                name: |vm| self.names[vm],
            };
            // Eight VMs with names of 32 characters fit.
            let _ = writeln!(text, "{line}");
        }
        self.console
            .finish(&[&text, &own, verdict.line()], &mut self.serial);
    }
}

/// After how many bytes on the serial line the console gives a sign of life: 6 ms on one of 115200
/// baud. A burst of lines takes half a second.
const PIECE_BYTES: usize = 64;

/// The UART as the component's output.
struct BoardSerial(Serial);

impl Output for BoardSerial {
    fn write(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(PIECE_BYTES) {
            life().beat();
            self.0.write(piece);
        }
    }
}

/// What is typed, for the component.
struct Keyboard<'a> {
    serial: &'a mut Serial,
    overruns: u32,
}

impl Input for Keyboard<'_> {
    fn is_there(&mut self) -> bool {
        self.serial.has_received()
    }

    fn take(&mut self) -> Option<u8> {
        loop {
            match self.serial.receive()? {
                Ok(byte) => return Some(byte),
                Err(Overrun) => self.overruns += 1,
            }
        }
    }

    fn overruns(&mut self) -> u32 {
        core::mem::take(&mut self.overruns)
    }
}
