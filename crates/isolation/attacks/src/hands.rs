//! What a component that somebody else has taken over has in its hands: memory, channels, and where
//! there is a kernel its system calls.
//!
//! [`Hands`] is implemented once for each kind of hostile image. Invariant: an implementation
//! tries what it is asked for, whether the component may do that or not; what stops it is the
//! platform's affair.

use vm_components::Channel;

/// What there is in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Region {
    /// The guest's RAM.
    GuestRam,
    /// The guest's ELF file.
    GuestImage,
    /// The compiled configuration.
    Config,
    /// From the VMM to the trace component.
    AccessRing,
    /// How far the trace component has read it.
    AccessReader,
    /// The counters.
    StatePage,
    /// From the trace component to the console.
    LogRing,
    /// How far the console has read it.
    LogReader,
    /// Read from outside.
    TraceRing,
    /// From the VMM to the console.
    ConsoleRing,
    /// How far the console has read it.
    ConsoleReader,
    /// The component's own last words and signs of life.
    LifePage,
    /// The trace component's.
    LifeOfTrace,
    /// What the trace component would go on with after its death.
    KeptOfTrace,
    /// The verdict, which only the platform writes.
    Report,
    /// From the monitor to the console.
    MonitorRing,
    /// The serial line.
    Uart,
    /// The kernel's, or the platform's own data.
    Kernel,
    /// Address 0.
    Null,
}

/// A region, and whose where there is one for each VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which.
    pub region: Region,
    /// The VM's number.
    pub vm: u8,
}

impl Region {
    /// The attacker's VM's.
    pub const fn own(self) -> Place {
        self.of(0)
    }

    /// The witness's.
    pub const fn of_the_witness(self) -> Place {
        self.of(1)
    }

    /// That of a VM.
    pub const fn of(self, vm: u8) -> Place {
        Place { region: self, vm }
    }
}

/// What a component can try, on its platform.
pub trait Hands {
    /// The machine's counter.
    fn now(&mut self) -> u64;
    /// Its frequency.
    fn hz(&mut self) -> u64;
    /// Reads a word of 64 bits; `word` counts from the start of the region.
    fn load(&mut self, place: Place, word: u64) -> u64;
    /// Writes one.
    fn store(&mut self, place: Place, word: u64, value: u64);
    /// Signals a channel, whether there is one or not.
    fn notify(&mut self, channel: Channel);
    /// Gives a sign of life, where somebody waits for one.
    fn beat(&mut self);
    /// Gives the rest of its turn away.
    fn rest(&mut self);
    /// Executes what is no instruction.
    fn crash(&mut self);
    /// What only a kernel's system calls can do; `None` where there is no kernel.
    fn kernel(&mut self) -> Option<&mut dyn Kernel>;
}

/// System calls, and a vCPU's values.
pub trait Kernel {
    /// Invokes whatever is in a slot, with a label and message words; gives the answer's label.
    fn invoke(&mut self, slot: u64, label: u64, words: [u64; 4]) -> u64;
    /// Sends a message to the parent, as if the kernel told of a fault.
    fn tell_parent(&mut self, label: u64, words: [u64; 4]);
    /// Makes a system call by its number.
    fn debug_call(&mut self, number: i64, argument: u64);
    /// Sets a field of the VMCS and enters the guest, with these controls and this event.
    fn enter_with(&mut self, entry: VmEntry);
    /// Sets a model-specific register of the guest's and enters it.
    fn enter_with_msr(&mut self, msr: u32, value: u64);
    /// Sets a register of the vCPU by its number in the kernel's interface.
    fn set_vcpu_register(&mut self, number: u64, value: u64);
    /// Sets the vCPU's program counter and PSTATE, and lets it run.
    fn resume_at(&mut self, pc: u64, pstate: u64);
}

/// How a guest is entered on x86 (Intel SDM volume 3, "VM entries").
#[derive(Debug, Clone, Copy, Default)]
pub struct VmEntry {
    /// A field of the VMCS and its value, unless it is field 0.
    pub field: (u32, u64),
    /// The primary controls, if not the honest ones.
    pub primary_controls: Option<u64>,
    /// The event to inject.
    pub interruption_info: u64,
    /// Where the guest goes on, if not where it was.
    pub rip: Option<u64>,
}
