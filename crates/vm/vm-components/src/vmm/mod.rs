//! The VMM component: answers the guest's exits and forwards its accesses.
//!
//! One for each VM. Runs when the CPU leaves the guest, which is the architecture's matter (`a64`,
//! `x86`), and when another component has something for it ([`Vmm::notified`]).
//!
//! Invariants: the record of an access is in the ring before the guest runs again; the guest
//! never sees a value older than its own last write; nothing the guest does, and nothing the
//! trace component fails to do, makes this component panic or wait without end.
//!
//! ```text
//!                 ┌─────────────────────── running ◄─────────────────────────┐
//!                 │ no room in the ring, or a read        trace notified, or  │
//!                 │ after a narrow write                  three clock wake-ups│
//!                 ├──────────────► held: Transfer ───────────────────────────┤
//!                 │ WFI, HLT                  an interrupt, a clock wake-up   │
//!                 ├──────────────► held: Wait ───────────────────────────────┤
//!                 │ PSCI reset                             its record is out  │
//!                 ├──────────────► held: Event(Reset)                        │
//!                 │                  └─► held: Start ────────────────────────┘
//!                 │                            the devices are reset
//!                 │ power off, failure, abort, HLT that nothing ends
//!                 └──────────────► held: Event(End) ─────────► held: Ended
//! ```
//!
//! A VMM may die, and another be started in its place: what that goes on from is in `survival`.

pub(crate) mod architecture;
pub(crate) mod calls;
mod carry_out;
mod console_text;
pub(crate) mod device_point;
pub(crate) mod image;
pub(crate) mod interrupts;
mod life;
mod local_device;
mod psci;
mod refused;
mod survival;
pub(crate) mod trace_link;
pub(crate) mod transfer;
mod wait_for_interrupt;

use self::architecture::{Architecture, Isa};
pub use self::survival::KeptVmm;

use self::console_text::ConsoleText;
use self::device_point::DevicePoint;
use self::interrupts::{InterruptController, Lines};
use self::local_device::LocalDevice;
use self::refused::Refusals;
use self::trace_link::{ReaderLies, TraceLink};
use self::transfer::Transfer;
use self::wait_for_interrupt::Idle;
use crate::channel::{self, ChannelSet};
use crate::{Clock, Machine};
use guest_access::{AddressSpace, GuestPhysAddr};
use shared_ring::{
    BoundedProducer, ConsumerPage, InputConsumer, InputMemory, InputPosition, InputReader,
    RingKind, RingMemory,
};
use trace_records::{
    ACCESS_SLOTS, Address, CONSOLE_SLOTS, EndReason, Kind, MAX_DEVICES, Record, StatePage, Tag,
};
use vm_bus::Bus;
use vm_config::VmConfig;

/// The memory that connects a VMM with the other components.
#[derive(Clone, Copy)]
pub struct VmmPorts {
    /// The guest's accesses; this component writes it.
    pub access: &'static RingMemory<ACCESS_SLOTS>,
    /// How far the trace component has read them.
    pub access_reader: &'static ConsumerPage,
    /// The counters, written by the trace component.
    pub state: &'static StatePage,
    /// What the guest prints; this component writes it.
    pub console: &'static RingMemory<CONSOLE_SLOTS>,
    /// How far the console has read it.
    pub console_reader: &'static ConsumerPage,
    /// What is typed; the console writes it.
    pub input: &'static InputMemory,
    /// How far this component has read it.
    pub input_reader: &'static InputReader,
}

/// The component. `images` are the bytes of the guest's images, kept for a reset. What an access touches
/// comes first and what is large last, within reach of one instruction.
#[repr(C)]
pub struct Vmm<A: Isa> {
    pub(crate) link: TraceLink,
    pub(crate) bus: DeviceBus,
    pub(crate) memory: A::Memory,
    pub(crate) console: ConsoleText,
    clock_hz: u64,
    pub(crate) kept: &'static mut KeptVmm<A>,
    /// Events whose outcome was committed.
    commits: u64,
    held: Option<Held<A::End>>,
    /// The end that the trace component may never hear of.
    unheard_end: Option<EndReason>,
    refusals: Refusals,
    reader_lies: ReaderLies,
    pub(crate) idle: Option<Idle>,
    pub(crate) interrupts: A::Interrupts,
    /// The guest has accessed its controller. Before, that is as it was out of reset, and is not looked at.
    uses_interrupts: bool,
    lines: Lines,
    typed: InputConsumer,
    pub(crate) config: VmConfig<'static>,
    images: &'static [u8],
}

/// Up to all devices of a VM.
pub(crate) type DeviceBus = Bus<Device, MAX_DEVICES>;

/// The device at an address, in memory or among the ports.
fn device_at(address: Address, bus: &mut DeviceBus) -> Option<&mut Device> {
    bus.find(on_bus(address))
}

/// Where an address is on the bus, which the memory and the ports share: no physical address has the highest
/// bit.
const fn on_bus(address: Address) -> GuestPhysAddr {
    match address.space {
        AddressSpace::Memory => GuestPhysAddr(address.number),
        AddressSpace::Ports => GuestPhysAddr(address.number | 1 << 63),
    }
}

/// A device as a bus knows it.
pub(crate) enum Device {
    Isolated(DevicePoint),
    Local(LocalDevice),
}

/// Why the vCPU does not run.
#[derive(Clone, Copy)]
enum Held<E> {
    Transfer {
        transfer: Transfer<E>,
        wakes: u32,
    },
    Wait {
        pc: u64,
    },
    Event {
        kind: Kind,
        record: Record,
        wakes: u32,
    },
    /// A reset is told, and the VM has not started yet.
    Start {
        wakes: u32,
    },
    Ended,
}

impl<A: Isa> Vmm<A> {
    /// Sets up the VM of this configuration and lets the guest run; where `kept` has what an earlier
    /// VMM left, goes on from there.
    ///
    /// # Errors
    ///
    /// None: a guest that cannot be loaded ends its VM, and the console says why.
    pub fn init<M: Machine>(
        config: VmConfig<'static>,
        images: &'static [u8],
        ports: VmmPorts,
        kept: &'static mut KeptVmm<A>,
        clock: Clock,
        machine: &mut M,
    ) -> Self
    where
        A: Architecture<M>,
    {
        let vm = config.vm();
        let mut bus = DeviceBus::default();
        for (instance, device) in (0..).zip(config.devices()) {
            let attached = match LocalDevice::new(instance, &device) {
                Some(local) => Device::Local(local),
                None => Device::Isolated(DevicePoint::new(instance, &device)),
            };
            let first = on_bus(Address {
                space: device.space,
                number: device.loc,
            });
            // The configuration's reader has refused devices that overlap.
            let _ = bus.attach(first, device.len_bytes(), attached);
        }
        let mut vmm = Self {
            lines: Lines::of(&config),
            interrupts: A::Interrupts::RESET,
            uses_interrupts: false,
            config,
            images,
            clock_hz: clock.hz,
            bus,
            console: ConsoleText::new(BoundedProducer::new(
                ports.console,
                ports.console_reader,
                clock.identity(RingKind::Console, vm),
            )),
            typed: InputConsumer::resume(ports.input, ports.input_reader, InputPosition::default()),
            link: TraceLink::new(
                BoundedProducer::new(
                    ports.access,
                    ports.access_reader,
                    clock.identity(RingKind::Access, vm),
                ),
                ports.state,
            ),
            kept,
            commits: 0,
            held: None,
            unheard_end: None,
            refusals: Refusals::default(),
            reader_lies: ReaderLies::default(),
            idle: None,
            memory: A::Memory::default(),
        };
        vmm.choose_typed_at();
        if !vmm.go_on(machine) {
            vmm.begin(machine);
            vmm.boot(machine);
            vmm.commit(machine);
        }
        vmm
    }

    /// How the VM has ended, if the trace component may never hear of it: it did not answer, and
    /// its ring was full or nobody looks into it any more. Whoever watches over the components is
    /// to be told by another way.
    pub fn unheard_end(&self) -> Option<EndReason> {
        self.unheard_end
    }

    /// Handles notifications.
    pub fn notified<M: Machine>(&mut self, channels: ChannelSet, machine: &mut M)
    where
        A: Architecture<M>,
    {
        self.begin(machine);
        let clock = channels.contains(channel::vmm::CLOCK);
        if clock {
            self.check_heartbeat(machine);
            self.check_readers(machine);
            self.console.clock_woke();
        }
        self.console.flush(machine);
        self.serve_local_devices(machine);
        self.sample_lines(machine);
        let wakes = self.deliver(machine);
        self.try_again(clock, wakes, machine);
        self.deliver(machine);
        self.commit(machine);
    }

    /// Goes on with what the vCPU is held for, if it is; `clock` says whether the clock has woken this
    /// component, `wakes` whether an interrupt ends the guest's wait.
    fn try_again<M: Machine>(&mut self, clock: bool, wakes: bool, machine: &mut M)
    where
        A: Architecture<M>,
    {
        match self.held.take() {
            None => {}
            Some(Held::Wait { pc }) if clock || wakes => machine.proceed(pc),
            Some(Held::Wait { pc }) => self.wait_on(pc, machine),
            Some(Held::Transfer { transfer, wakes }) => {
                self.carry_out(transfer, wakes + u32::from(clock), machine);
            }
            Some(Held::Event {
                kind,
                record,
                wakes,
            }) => self.tell(kind, record, wakes + u32::from(clock), machine),
            Some(Held::Start { wakes }) => self.start_anew(wakes + u32::from(clock), machine),
            ended @ Some(Held::Ended) => self.held = ended,
        }
    }

    pub(crate) fn record(
        &self,
        tag: Tag,
        about: impl Into<Address>,
        pc: u64,
        machine: &mut impl Machine,
    ) -> Record {
        let about = about.into();
        Record {
            time: machine.now(),
            address: GuestPhysAddr(about.number),
            pc,
            value: 0,
            old: 0,
            sequence: 0,
            tag: tag.with_space(about.space),
            state_seen: 0,
            epoch: 0,
        }
    }
}
