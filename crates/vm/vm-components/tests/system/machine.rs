//! The components of one VM on the simulated platform, with their signals and the clock delivered,
//! and a guest that does what the test says: its accesses and calls arrive as the CPU reports them.
//!
//! Invariant: signals are delivered when a component has returned, never within it, and time passes
//! only in [`System::pass`].

use crate::fixtures::{
    LOC, PC, Screen, VmMemory, compiled, contents, device, leak_mut, only, piece, trace_device,
};
use crate::platform::Platform;
use guest_access::{Direction, GuestPhysAddr};
use shared_ring::{Observation, Observer};
use std::collections::VecDeque;
use trace_records::{Entry, Kind, Record, TRACE_SLOTS};
use vm_components::{
    A64, Channel, Clock, Console, Exit, GuestException, Input, KeptConsole, KeptTrace, KeptVmm,
    Trace, Typed, Vmm, channel,
};
use vm_config::{Contents, Device, Unsupported, VmConfig};

pub const HZ: u64 = 1_000_000;
pub const START: u64 = 5_000;
pub const MS: u64 = HZ / 1000;
pub const CLOCK: Clock = Clock {
    hz: HZ,
    start_ticks: START,
};
pub const UART: u64 = 0x0900_0000;

/// Which components run. A test stops one to see what the others make of it.
#[derive(PartialEq)]
pub enum TraceIs {
    Alive,
    Stopped,
}

pub struct System {
    pub platform: Platform,
    pub vmm: Vmm<A64>,
    pub trace: Trace,
    pub console: Console,
    pub screen: Screen,
    pub trace_ring: Observer<TRACE_SLOTS>,
    pub memory: VmMemory,
    pub trace_is: TraceIs,
    pub next_wake: u64,
    pub wakes: u64,
    pub keyboard: VecDeque<u8>,
    config: VmConfig<'static>,
    images: &'static [u8],
    /// By which the VMM survives.
    kept: *mut KeptVmm<A64>,
}

struct Keyboard<'a>(&'a mut VecDeque<u8>);

impl Input for Keyboard<'_> {
    fn is_there(&mut self) -> bool {
        !self.0.is_empty()
    }

    fn take(&mut self) -> Option<u8> {
        self.0.pop_front()
    }
}

pub fn config(devices: &[Device<'_>], unsupported: Unsupported) -> VmConfig<'static> {
    let pieces = [piece(PC, &CODE)];
    let others = Contents {
        machine: Some(EM_AARCH64),
        pieces: &pieces,
        entry: PC,
        ..contents()
    };
    config_with(devices, unsupported, others)
}

/// The same with the RAM, machine, pieces and entry of others.
pub fn config_with(
    devices: &[Device<'_>],
    unsupported: Unsupported,
    others: Contents<'_>,
) -> VmConfig<'static> {
    let uart = device("pl011", UART);
    compiled(&Contents {
        cmdline: "trace=0xfa000000",
        unsupported,
        devices: &[devices, &[uart]].concat(),
        ..others
    })
}

/// NOP.
pub const CODE: [u8; 4] = [0x1f, 0x20, 0x03, 0xd5];
pub const EM_AARCH64: u16 = 183;

impl System {
    pub fn new() -> Self {
        Self::with(&[trace_device(true, Some(12))], Unsupported::default())
    }

    pub fn with(devices: &[Device<'_>], unsupported: Unsupported) -> Self {
        Self::of(config(devices, unsupported), &CODE)
    }

    pub fn of(config: VmConfig<'static>, images: &'static [u8]) -> Self {
        let memory = VmMemory::new();
        let mut platform = Platform::at(START);
        let kept = Box::into_raw(Box::new(KeptVmm::new()));
        // SAFETY: it was made above, and nobody else has a reference.
        let lent = unsafe { &mut *kept };
        Self {
            trace: Trace::init(
                [(memory.trace_port(), config)],
                leak_mut(KeptTrace::new()),
                CLOCK,
                START,
            ),
            console: Console::init(
                [(memory.console_port(), config)],
                None,
                leak_mut(KeptConsole::new()),
                CLOCK,
            ),
            vmm: Vmm::init(
                config,
                images,
                memory.vmm_ports(),
                lent,
                CLOCK,
                &mut platform,
            ),
            platform,
            screen: Screen::default(),
            trace_ring: memory.trace_observer(),
            memory,
            trace_is: TraceIs::Alive,
            next_wake: START + 10 * MS,
            wakes: 0,
            keyboard: VecDeque::new(),
            config,
            images,
            kept,
        }
    }

    /// The VMM dies between two events, and another begins.
    pub fn replace_vmm(&mut self) {
        // SAFETY: whoever had a reference does nothing any more.
        let kept = unsafe { &mut *self.kept };
        let (config, ports) = (self.config, self.memory.vmm_ports());
        self.vmm = Vmm::init(config, self.images, ports, kept, CLOCK, &mut self.platform);
        self.deliver();
    }

    pub fn run_trace(&mut self, channel: Channel) {
        if self.trace_is == TraceIs::Stopped {
            return;
        }
        self.trace.notified(only(channel), &mut self.platform);
        for channel in std::mem::take(&mut self.platform.notified) {
            if channel == channel::trace::CONSOLE {
                self.run_console(channel::console::TRACE);
            } else if channel == channel::trace::vmm(0) {
                self.run_vmm(channel::vmm::TRACE);
            }
        }
    }

    pub fn run_console(&mut self, channel: Channel) {
        self.console
            .notified(only(channel), &mut self.platform, &mut self.screen);
        if let Some(verdict) = self.console.verdict()
            && !self.screen.0.contains("\nverdict: ")
        {
            self.screen.0.push_str(verdict.line());
        }
    }

    /// Somebody types, as fast as the UART takes it. What it has no room for is left in `keyboard`.
    pub fn type_in(&mut self, text: &[u8]) -> Typed {
        self.keyboard.extend(text);
        let Self {
            console,
            keyboard,
            platform,
            ..
        } = self;
        let typed = console.typed(&mut Keyboard(keyboard), platform);
        self.run_console(channel::console::TYPED);
        if std::mem::take(&mut self.platform.notified).contains(&channel::console::vmm(0)) {
            self.run_vmm(channel::vmm::CONSOLE);
        }
        typed
    }

    pub fn run_vmm(&mut self, channel: Channel) {
        self.vmm.notified(only(channel), &mut self.platform);
        self.deliver();
    }

    /// The CPU says that the interrupt in a list register has ended.
    pub fn interrupt_ended(&mut self, slot: usize) {
        self.vmm.interrupt_ended(slot, &mut self.platform);
        self.deliver();
    }

    /// Delivers what the VMM signalled.
    pub fn deliver(&mut self) {
        for channel in std::mem::take(&mut self.platform.notified) {
            if channel == channel::vmm::TRACE {
                self.run_trace(channel::trace::vmm(0));
            } else if channel == channel::vmm::CONSOLE {
                self.run_console(channel::console::vmm(0));
            }
        }
    }

    /// Lets time pass, with the clock's wake-ups.
    pub fn pass(&mut self, ticks: u64) {
        let end = self.platform.now + ticks;
        while self.next_wake <= end {
            self.platform.now = self.next_wake;
            self.next_wake += 10 * MS;
            self.wakes += 1;
            self.run_trace(channel::trace::CLOCK);
            if self.wakes.is_multiple_of(10) {
                self.run_console(channel::console::CLOCK);
                self.run_vmm(channel::vmm::CLOCK);
            }
        }
        self.platform.now = end;
    }

    /// A load of a word, which does not have to wait.
    pub fn load(&mut self, address: u64) -> u32 {
        assert!(self.access(address, 2, 0, 1), "the guest does not run");
        self.platform.gprs[1] as u32
    }

    /// A store of a word, likewise.
    pub fn store(&mut self, address: u64, value: u32) {
        self.platform.gprs[2] = value.into();
        assert!(self.access(address, 2, 1, 2), "the guest does not run");
    }

    /// The guest's access traps; returns whether the guest runs again.
    pub fn access(&mut self, address: u64, log2: u64, write: u64, register: u64) -> bool {
        // EC data abort, ISV, SAS, SRT, WnR, translation fault at level 3.
        let syndrome = 0x24 << 26 | 1 << 24 | log2 << 22 | register << 16 | write << 6 | 0b111;
        self.exit(syndrome, address)
    }

    pub fn exit(&mut self, syndrome: u64, address: u64) -> bool {
        self.platform.running = false;
        let exit = Exit {
            syndrome,
            address: GuestPhysAddr(address),
            pc: PC,
        };
        self.vmm.fault(exit, &mut self.platform);
        self.deliver();
        self.platform.running
    }

    pub fn read(&mut self) -> u64 {
        assert!(self.access(LOC, 2, 0, 1), "the guest does not run");
        self.platform.gprs[1]
    }

    /// The guest prints.
    pub fn say(&mut self, text: &str) {
        for byte in text.bytes() {
            self.platform.gprs[4] = byte.into();
            assert!(self.access(UART, 2, 1, 4));
        }
    }

    pub fn write(&mut self, value: u64) {
        self.platform.gprs[2] = value;
        assert!(self.access(LOC, 2, 1, 2), "the guest does not run");
    }

    pub fn hypercall(&mut self, function: u64, argument: u64) -> bool {
        self.platform.gprs[0] = function;
        self.platform.gprs[1] = argument;
        self.exit(0x16 << 26, 0)
    }

    pub fn power_off(&mut self) {
        assert!(!self.hypercall(0x8400_0008, 0));
        self.pass(200 * MS);
    }

    /// The records that are new in the trace ring.
    pub fn traced(&mut self) -> Vec<Record> {
        let mut records = Vec::new();
        while let Some(observation) = self.trace_ring.observe() {
            if let Observation::Record(_, payload) = observation {
                let Some(Entry::Event(Kind::Access, record)) = Entry::from_words(&payload) else {
                    panic!("not an access");
                };
                records.push(record);
            }
        }
        records
    }

    pub fn lines(&self, with: &str) -> Vec<&str> {
        self.screen.lines(with)
    }
}

/// A synchronous external abort, not on a table walk: DFSC 0b010000 (D17.2.37).
pub fn external_abort(direction: Direction, address: u64) -> GuestException {
    GuestException::DataAbort {
        direction,
        status: 0b01_0000,
        address,
    }
}
