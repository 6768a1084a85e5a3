//! The VMM and the trace component on the simulated platform, and a guest whose instructions exit as
//! the CPU would report them.
//!
//! Invariant: the trace component runs only when the test says.

use crate::code::RDI;
use crate::fixtures::{
    PC, RAM, VmMemory, compiled, contents, device, leak_mut, only, piece, trace_device,
};
use crate::platform::{Platform, RAM_BYTES};
use guest_access::{AccessWidth, Direction, GuestPhysAddr};
use shared_ring::{Consumer, Observation, Observer};
use trace_records::{CONSOLE_SLOTS, Entry, Kind, LOG_SLOTS, Record, TRACE_SLOTS};
use vm_components::{
    Clock, KeptTrace, KeptVmm, Machine, Trace, Vmm, X86, X86Exit, X86ExitReason, channel,
};
use vm_config::{Contents, Device, RamRange, Unsupported, VmConfig};

pub const CLOCK: Clock = Clock {
    hz: 1_000_000,
    start_ticks: 5_000,
};
pub const RIP: u64 = PC;

pub struct System<const SEES_CODE_SEGMENT: bool = true> {
    pub platform: Platform<SEES_CODE_SEGMENT>,
    pub vmm: Vmm<X86>,
    pub trace: Trace,
    pub trace_ring: Observer<TRACE_SLOTS>,
    pub log: Consumer<LOG_SLOTS>,
    pub console: Consumer<CONSOLE_SLOTS>,
}

pub fn config(unsupported: Unsupported, machine: u16) -> VmConfig<'static> {
    config_with(&[], unsupported, machine)
}

/// The same with more devices.
fn config_with(
    devices: &[Device<'_>],
    unsupported: Unsupported,
    machine: u16,
) -> VmConfig<'static> {
    let serial = Device {
        name: "com1",
        ..device("ser8250", 0x3f8)
    };
    compiled(&Contents {
        machine: Some(machine),
        pieces: &[piece(RIP, &CODE)],
        entry: RIP,
        cmdline: "trace=0xfa000000",
        unsupported,
        ram: &[RamRange {
            base: RAM,
            len_bytes: RAM_BYTES as u64,
        }],
        devices: &[&[trace_device(false, Some(12)), serial], devices].concat(),
        ..contents()
    })
}

/// HLT.
pub const CODE: [u8; 1] = [0xf4];
pub const EM_X86_64: u16 = 62;

impl System {
    pub fn new() -> Self {
        Self::with(Unsupported::default())
    }

    pub fn with(unsupported: Unsupported) -> Self {
        Self::init(config(unsupported, EM_X86_64))
    }

    /// One with more devices.
    pub fn with_devices(devices: &[Device<'_>]) -> Self {
        Self::init(config_with(devices, Unsupported::default(), EM_X86_64))
    }
}

impl System<false> {
    /// A system whose CS costs something.
    pub fn blind() -> Self {
        Self::init(config(Unsupported::default(), EM_X86_64))
    }
}

impl<const SEES_CODE_SEGMENT: bool> System<SEES_CODE_SEGMENT> {
    pub fn init(config: VmConfig<'static>) -> Self {
        let memory = VmMemory::new();
        let mut platform = Platform::at(CLOCK.start_ticks);
        Self {
            trace: Trace::init(
                [(memory.trace_port(), config)],
                leak_mut(KeptTrace::new()),
                CLOCK,
                CLOCK.start_ticks,
            ),
            vmm: Vmm::init(
                config,
                &CODE,
                memory.vmm_ports(),
                leak_mut(KeptVmm::new()),
                CLOCK,
                &mut platform,
            ),
            platform,
            trace_ring: memory.trace_observer(),
            log: memory.log_consumer(),
            console: memory.text_consumer(),
        }
    }

    /// The guest runs this instruction, which exits for `reason`.
    pub fn run(&mut self, code: &[u8], reason: X86ExitReason) {
        self.platform.rip = RIP;
        assert!(self.platform.write_ram(GuestPhysAddr(RIP), code));
        let exit = X86Exit {
            rip: RIP,
            next_rip: None,
            reason,
        };
        self.vmm.exit(exit, &mut self.platform);
    }

    /// The same with an access to the device at RDI.
    pub fn access(&mut self, code: &[u8], direction: Direction) {
        let address = GuestPhysAddr(self.platform.gprs[RDI]);
        self.run(code, X86ExitReason::Access { address, direction });
    }

    pub fn run_trace(&mut self) {
        self.trace
            .notified(only(channel::trace::CLOCK), &mut self.platform);
        let notified = std::mem::take(&mut self.platform.notified);
        if notified.contains(&channel::trace::vmm(0)) {
            self.vmm
                .notified(only(channel::vmm::TRACE), &mut self.platform);
        }
    }

    /// The accesses in the trace ring: direction, width, old value of a write, and value.
    pub fn traced(&mut self) -> Vec<(Direction, u64, u32, u32)> {
        self.run_trace();
        let mut found = Vec::new();
        while let Some(observation) = self.trace_ring.observe() {
            if let Observation::Record(_, payload) = observation
                && let Some(Entry::Event(Kind::Access, record)) = Entry::from_words(&payload)
            {
                let Record {
                    tag, old, value, ..
                } = record;
                found.push((tag.direction(), tag.width_bytes(), old, value));
            }
        }
        found
    }

    /// The guest runs IN or OUT with AL.
    pub fn port(&mut self, port: u16, direction: Direction) {
        let code = match direction {
            Direction::Read => [0xec],
            Direction::Write => [0xee],
        };
        let reason = X86ExitReason::Port {
            port,
            direction,
            width: AccessWidth::Byte,
        };
        self.run(&code, reason);
    }

    pub fn was_completed(&self, code: &[u8]) -> bool {
        self.platform.running && self.platform.rip == RIP + code.len() as u64
    }
}
