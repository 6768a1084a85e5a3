//! The components, each around the honest one of its name: it behaves until it is time.
//!
//! Named by `component_host`, in the place of the ordinary image's `components`. Which attack it
//! is time for, and whose, the command line of VM 0 and its guest say (`attacks`).

use crate::arch::InstructionSet;
use crate::component_host::VmmHost;
use crate::hands::UnikernelHands;
use attacks::{Between, By, TakenOver, TakenOverVmm};
use core::ops::{Deref, DerefMut};
use vm_components::{
    ChannelSet, Clock, ConsolePort, Host, Input, KeptConsole, KeptTrace, KeptVmm, Output,
    SystemPort, TracePort, Typed, Verdict, VmmPorts,
};
use vm_config::VmConfig;

static BETWEEN: Between = Between::new();

/// A VM's monitor; that of VM 0 has been taken over.
pub struct Vmm {
    honest: vm_components::Vmm<InstructionSet>,
    taken_over: Option<TakenOverVmm>,
}

impl Vmm {
    /// As the honest one.
    #[inline(never)]
    pub fn init(
        config: VmConfig<'static>,
        image: &'static [u8],
        mut ports: VmmPorts,
        kept: &'static mut KeptVmm<InstructionSet>,
        clock: Clock,
        machine: &mut VmmHost<'_>,
    ) -> Self {
        let taken_over = (config.vm() == 0).then(|| {
            (ports.access, ports.access_reader) = (&BETWEEN.access, &BETWEEN.access_reader);
            (ports.console, ports.console_reader) = (&BETWEEN.console, &BETWEEN.console_reader);
            TakenOverVmm::new(config.cmdline(), &BETWEEN, &mut UnikernelHands(machine))
        });
        Self {
            honest: vm_components::Vmm::init(config, image, ports, kept, clock, machine),
            taken_over,
        }
    }

    /// As the honest one, and then it may attack.
    pub fn notified(&mut self, channels: ChannelSet, machine: &mut VmmHost<'_>) {
        self.honest.notified(channels, machine);
        if let Some(taken_over) = &mut self.taken_over {
            taken_over.look(&mut UnikernelHands(machine));
        }
    }
}

impl Deref for Vmm {
    type Target = vm_components::Vmm<InstructionSet>;

    fn deref(&self) -> &Self::Target {
        &self.honest
    }
}

impl DerefMut for Vmm {
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
        self.taken_over.look(&mut UnikernelHands(host));
    }

    /// As the honest one.
    pub fn spent_ticks(&self, vm: u8) -> u64 {
        self.honest.spent_ticks(vm)
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
        let mut heard = Overheard {
            output,
            taken_over: &mut self.taken_over,
        };
        self.honest.notified(channels, host, &mut heard);
        self.taken_over.go_on(&mut UnikernelHands(host));
    }

    /// As the honest one.
    pub fn typed(&mut self, input: &mut impl Input, host: &mut impl Host) -> Typed {
        self.honest.typed(input, host)
    }

    /// As the honest one.
    pub fn verdict(&self) -> Option<Verdict> {
        self.honest.verdict()
    }

    /// As the honest one.
    pub fn spent_ticks(&self, vm: u8) -> u64 {
        self.honest.spent_ticks(vm)
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
