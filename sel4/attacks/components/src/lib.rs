//! The components for the hostile protection domains, in the place of `vm_components`: each is the
//! honest one of its name until it is time, and then attacks.
//!
//! A hostile domain is the honest one's own `main.rs`, compiled with this crate under the name
//! `vm_components` (`hostile-vmm/Cargo.toml` and beside it): what it may touch and what it does
//! with the Microkit is the honest domain's to the letter. Which attack it is time for, the
//! command line of VM 0 and its guest say (`attacks`). Invariant: no ordinary image depends on
//! this.
#![no_std]

mod hands;
#[cfg(target_arch = "x86_64")]
#[path = "../../../../pd-vmm/src/x86_64/invocations.rs"]
#[allow(dead_code, reason = "an honest VMM needs more of it")]
mod invocations;
mod kernel;
mod places;
#[cfg(target_arch = "x86_64")]
#[path = "../../../../pd-vmm/src/slow_registers.rs"]
#[allow(dead_code, reason = "as above")]
mod slow_registers;

pub use vm_components::*;

use attacks::{Between, By, TakenOver, TakenOverVmm};
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::Ordering;
use hands::{DomainHands, HZ};
use places::Domain;
use vm_config::VmConfig;

#[cfg(target_arch = "aarch64")]
use vm_components::{A64 as Isa, A64Machine as AnyMachine};
#[cfg(target_arch = "x86_64")]
use vm_components::{X86 as Isa, X86Machine as AnyMachine};

static BETWEEN: Between = Between::new();

/// A VM's monitor.
pub struct Vmm<A> {
    honest: vm_components::Vmm<Isa>,
    taken_over: TakenOverVmm,
    isa: PhantomData<A>,
}

impl Vmm<Isa> {
    /// As the honest one.
    #[inline(never)]
    pub fn init<M: AnyMachine>(
        config: VmConfig<'static>,
        image: &'static [u8],
        mut ports: VmmPorts,
        kept: &'static mut KeptVmm<Isa>,
        clock: Clock,
        machine: &mut M,
    ) -> Self {
        (ports.access, ports.access_reader) = (&BETWEEN.access, &BETWEEN.access_reader);
        (ports.console, ports.console_reader) = (&BETWEEN.console, &BETWEEN.console_reader);
        // Its rings do not outlive it: whoever is started in its place boots the guest anew.
        *kept = KeptVmm::new();
        HZ.store(clock.hz, Ordering::Relaxed);
        let mut hands = DomainHands::new(Domain::Vmm, machine);
        let taken_over = TakenOverVmm::new(config.cmdline(), &BETWEEN, &mut hands);
        Self {
            honest: vm_components::Vmm::init(config, image, ports, kept, clock, machine),
            taken_over,
            isa: PhantomData,
        }
    }

    /// As the honest one, and then it may attack.
    pub fn notified<M: AnyMachine>(&mut self, channels: ChannelSet, machine: &mut M) {
        self.honest.notified(channels, machine);
        let mut hands = DomainHands::new(Domain::Vmm, machine);
        self.taken_over.look(&mut hands);
    }
}

impl Deref for Vmm<Isa> {
    type Target = vm_components::Vmm<Isa>;

    fn deref(&self) -> &Self::Target {
        &self.honest
    }
}

impl DerefMut for Vmm<Isa> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.honest
    }
}

/// The trace component.
pub struct Trace {
    honest: vm_components::Trace,
    taken_over: TakenOver,
}

impl Trace {
    /// As the honest one.
    #[inline(never)]
    pub fn init(
        vms: impl IntoIterator<Item = (TracePort, VmConfig<'static>)>,
        kept: &'static mut KeptTrace,
        clock: Clock,
        now: u64,
    ) -> Self {
        HZ.store(clock.hz, Ordering::Relaxed);
        let mut command_line = "";
        let vms = vms.into_iter().inspect(|(_, config)| {
            if config.vm() == 0 {
                command_line = config.cmdline();
            }
        });
        let honest = vm_components::Trace::init(vms, kept, clock, now);
        Self {
            honest,
            taken_over: TakenOver::new(By::Trace, command_line),
        }
    }

    /// As the honest one, and then it may attack.
    pub fn notified(&mut self, channels: ChannelSet, host: &mut impl Host) {
        self.honest.notified(channels, host);
        let mut hands = DomainHands::new(Domain::Trace, host);
        self.taken_over.look(&mut hands);
    }
}

impl Deref for Trace {
    type Target = vm_components::Trace;

    fn deref(&self) -> &Self::Target {
        &self.honest
    }
}

/// The console.
pub struct Console {
    honest: vm_components::Console,
    taken_over: TakenOver,
}

impl Console {
    /// As the honest one.
    #[inline(never)]
    pub fn init(
        vms: impl IntoIterator<Item = (ConsolePort, VmConfig<'static>)>,
        system: Option<SystemPort>,
        kept: &'static mut KeptConsole,
        clock: Clock,
    ) -> Self {
        HZ.store(clock.hz, Ordering::Relaxed);
        let mut command_line = "";
        let vms = vms.into_iter().inspect(|(_, config)| {
            if config.vm() == 0 {
                command_line = config.cmdline();
            }
        });
        let honest = vm_components::Console::init(vms, system, kept, clock);
        Self {
            honest,
            taken_over: TakenOver::new(By::Console, command_line),
        }
    }

    /// As the honest one, and then it may attack.
    pub fn notified(
        &mut self,
        channels: ChannelSet,
        host: &mut impl Host,
        output: &mut impl Output,
    ) {
        let mut overheard = Overheard {
            output,
            taken_over: &mut self.taken_over,
        };
        self.honest.notified(channels, host, &mut overheard);
        let mut hands = DomainHands::new(Domain::Console, host);
        self.taken_over.go_on(&mut hands);
    }
}

impl Deref for Console {
    type Target = vm_components::Console;

    fn deref(&self) -> &Self::Target {
        &self.honest
    }
}

impl DerefMut for Console {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.honest
    }
}

/// The serial line, with whoever has taken the console over reading along.
struct Overheard<'a, O> {
    output: &'a mut O,
    taken_over: &'a mut TakenOver,
}

impl<O: Output> Output for Overheard<'_, O> {
    fn write(&mut self, bytes: &[u8]) {
        self.output.write(bytes);
        if let Ok(line) = str::from_utf8(bytes) {
            self.taken_over.read(line);
        }
    }
}
