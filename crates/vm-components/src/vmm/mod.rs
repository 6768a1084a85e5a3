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
//!                 │ WFI                                    any notification   │
//!                 ├──────────────► held: Wait ───────────────────────────────┤
//!                 │ PSCI reset                             its record is out  │
//!                 ├──────────────► held: Event(Reset) ───────────────────────┘
//!                 │ power off, failure, abort
//!                 └──────────────► held: Event(End) ─────────► ended
//! ```

pub(crate) mod architecture;
pub(crate) mod image;
mod psci;
pub(crate) mod transfer;

use self::architecture::{Architecture, Isa};
use self::psci::Call;
use self::transfer::{Element, Transfer};
use crate::channel::{self, ChannelSet};
use crate::text::ConsoleText;
use crate::{Clock, ImageError, Machine};
use guest_trap::{Access, Direction, GuestPhysAddr};
use shared_ring::{BoundedProducer, ConsumerPage, Full, RingKind, RingMemory, Wake};
use trace_device::{TraceDevice, read_lane};
use trace_records::{
    ACCESS_SLOTS, CONSOLE_SLOTS, DeviceState, EndReason, Flags, Kind, MAX_DEVICES, Notice, Record,
    StatePage, Tag,
};
use vm_bus::Bus;
use vm_config::{Action, DeviceKind, VmConfig};

/// Wake-ups of the clock (100 ms apart) after which the trace component counts as gone.
const PATIENCE: u32 = 3;
/// How long a guest does nothing but wait for interrupts until the log says so. It has none.
const IDLE_SECONDS: u64 = 5;

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
}

/// The component. `image` is the guest's ELF file, kept for a reset.
pub struct Vmm<A: Isa> {
    pub(crate) config: VmConfig<'static>,
    image: &'static [u8],
    clock_hz: u64,
    pub(crate) bus: Bus<Device, MAX_DEVICES>,
    pub(crate) console: ConsoleText,
    pub(crate) link: TraceLink,
    held: Option<Held<A::End>>,
    /// The end that the trace component may never hear of.
    unheard_end: Option<EndReason>,
    refusals: Refusals,
    reader_lies: ReaderLies,
    /// The first ports of the serial ports among the I/O ports of x86.
    pub(crate) ports: Bus<u16, MAX_DEVICES>,
    pub(crate) memory: A::Memory,
    pub(crate) idle: Option<Idle>,
}

/// A guest that does nothing but wait for interrupts.
pub(crate) struct Idle {
    since: u64,
    /// Accesses recorded by then.
    accesses: u64,
    told: bool,
}

/// Exceptions given to the guest, of which one message a second tells.
#[derive(Default)]
struct Refusals {
    untold: u64,
    next_notice: u64,
    /// Address or exception class, and program counter, of the last.
    last: (u64, u64),
}

/// A device as the bus knows it.
pub(crate) enum Device {
    Trace(TracePoint),
    Pl011 { location: GuestPhysAddr },
}

/// This side of a trace device, which itself lives in the trace component.
pub(crate) struct TracePoint {
    instance: u8,
    /// What the tags of its accesses have in common.
    tag: Tag,
    location: GuestPhysAddr,
    /// The number of the last access.
    sequence: u64,
    /// The newest write, until the trace component has applied it.
    unapplied: Unapplied,
}

#[derive(Clone, Copy)]
enum Unapplied {
    Nothing,
    /// A write of the whole word: what a read gives until it is applied.
    Word {
        sequence: u32,
        value: u32,
    },
    /// A narrow write: only the trace component knows the outcome.
    Narrow {
        sequence: u32,
    },
}

/// The way to the trace component.
pub(crate) struct TraceLink {
    access: BoundedProducer<ACCESS_SLOTS>,
    state: &'static StatePage,
    heartbeat: u64,
    silent_wakes: u32,
    gone: bool,
    /// Accesses completed without a record since it is gone.
    unrecorded: u64,
    /// Accesses to where there is no device, not yet told.
    outside: u32,
}

/// What the readers of this component's rings claim that cannot be, told once a second.
#[derive(Default)]
struct ReaderLies {
    told: u64,
    next_notice: u64,
}

/// Why the vCPU does not run.
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
}

/// What a call returns.
pub(crate) enum Answer {
    Now(u64),
    /// When the guest has waited for an interrupt.
    AfterWaiting(u64),
}

/// What became of an element of a load or store.
enum Moved {
    /// It is done.
    Done,
    /// The trace component has to do something first.
    Later,
    /// There is nothing for it at this address: policy `reference`. It is recorded.
    Refused(GuestPhysAddr),
}

/// What became of an access to a trace device.
pub(crate) enum Attempt {
    /// It is recorded; a read got this.
    Done(u32),
    /// The trace component has to do something first.
    Later,
    /// The device does not support it.
    Refused,
}

impl<A: Isa> Vmm<A> {
    /// Sets up the VM of this configuration and lets the guest run.
    ///
    /// # Errors
    ///
    /// None: a guest that cannot be loaded ends its VM, and the console says why.
    pub fn init<M: Machine>(
        config: VmConfig<'static>,
        image: &'static [u8],
        ports: VmmPorts,
        clock: Clock,
        machine: &mut M,
    ) -> Self
    where
        A: Architecture<M>,
    {
        let vm = config.vm();
        let (mut bus, mut ports_bus) = (Bus::default(), Bus::default());
        for (instance, device) in (0..).zip(config.devices()) {
            let location = GuestPhysAddr(device.loc);
            let attached = match device.kind {
                DeviceKind::Trace(_) => Device::Trace(TracePoint {
                    instance,
                    tag: Tag::new(Kind::Access).with_instance(instance),
                    location,
                    sequence: 0,
                    unapplied: Unapplied::Nothing,
                }),
                DeviceKind::Pl011 => Device::Pl011 { location },
                DeviceKind::Ser8250 => {
                    let _ = ports_bus.attach(location, device.len_bytes(), device.loc as u16);
                    continue;
                }
            };
            // The configuration's reader has refused devices that overlap.
            let _ = bus.attach(location, device.len_bytes(), attached);
        }
        let mut vmm = Self {
            config,
            image,
            clock_hz: clock.hz,
            bus,
            console: ConsoleText::new(BoundedProducer::new(
                ports.console,
                ports.console_reader,
                clock.identity(RingKind::Console, vm),
            )),
            link: TraceLink {
                access: BoundedProducer::new(
                    ports.access,
                    ports.access_reader,
                    clock.identity(RingKind::Access, vm),
                ),
                state: ports.state,
                heartbeat: ports.state.heartbeat(),
                silent_wakes: 0,
                gone: false,
                unrecorded: 0,
                outside: 0,
            },
            held: None,
            unheard_end: None,
            refusals: Refusals::default(),
            reader_lies: ReaderLies::default(),
            idle: None,
            ports: ports_bus,
            memory: A::Memory::default(),
        };
        vmm.boot(machine);
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
        let clock = channels.contains(channel::vmm::CLOCK);
        if clock {
            self.check_heartbeat(machine);
            self.check_readers(machine);
        }
        self.console.flush(machine);
        match self.held.take() {
            None => {}
            Some(Held::Wait { pc }) => machine.proceed(pc),
            Some(Held::Transfer { transfer, wakes }) => {
                self.carry_out(transfer, wakes + u32::from(clock), machine);
            }
            Some(Held::Event {
                kind,
                record,
                wakes,
            }) => self.tell(kind, record, wakes + u32::from(clock), machine),
        }
    }

    /// Carries out what is left of a load or store, one element after the other. Holds the
    /// vCPU if the trace component has to do something first; `wakes` says how often the
    /// clock has woken this component while it waited for the next element.
    #[cold]
    pub(crate) fn carry_out<M: Machine>(
        &mut self,
        mut transfer: Transfer<A::End>,
        mut wakes: u32,
        machine: &mut M,
    ) where
        A: Architecture<M>,
    {
        let pc = transfer.pc;
        while let Some(element) = transfer.next() {
            if wakes >= PATIENCE {
                self.leave_unrecorded(element);
            } else {
                match self.move_element(element, pc, machine) {
                    Moved::Done => {}
                    Moved::Later => {
                        machine.hold();
                        machine.notify(channel::vmm::TRACE);
                        self.held = Some(Held::Transfer { transfer, wakes });
                        return;
                    }
                    Moved::Refused(address) => match self.config.unsupported().reference {
                        Action::Ignore => element.ignore(),
                        Action::Fail => {
                            let exception = A::unanswered(element, address, pc, machine);
                            return self.inject(exception, address.0, pc, machine);
                        }
                        Action::Abort => {
                            let reason = EndReason::UnsupportedReference;
                            return self.end(reason, address.0, pc, machine);
                        }
                    },
                }
            }
            wakes = 0;
            transfer.advance();
            A::advanced(&mut transfer, machine);
        }
        A::finish(transfer, machine);
    }

    /// Moves one element from or to a device or the guest's RAM.
    fn move_element(
        &mut self,
        element: &mut Element,
        pc: u64,
        machine: &mut impl Machine,
    ) -> Moved {
        let address = element.place.first;
        match self.bus.find(address) {
            Some(Device::Trace(point)) => {
                let link = &mut self.link;
                let mut attempt = point.attempt_element(element, pc, link, machine);
                if let Attempt::Later = attempt {
                    // Once more after saying that this component waits.
                    link.access.announce_wait();
                    attempt = point.attempt_element(element, pc, link, machine);
                }
                match attempt {
                    Attempt::Done(value) => {
                        element.set_value(value.into());
                        Moved::Done
                    }
                    Attempt::Later => Moved::Later,
                    Attempt::Refused => {
                        self.record_refused(address, Some(element), element.direction, pc, machine);
                        Moved::Refused(address)
                    }
                }
            }
            Some(Device::Pl011 { location }) => {
                let offset = address.0 - location.0;
                match element.direction {
                    Direction::Read => element.set_value(self.console.read(offset, machine).into()),
                    Direction::Write => self.console.write(offset, element.value() as u32, machine),
                }
                Moved::Done
            }
            None => match element.move_in_ram(machine) {
                Ok(()) => Moved::Done,
                Err(outside) => {
                    self.record_outside(outside, element, pc, machine);
                    Moved::Refused(outside)
                }
            },
        }
    }

    /// Ends an element that the trace component did not take in time: a gap in the device's
    /// numbers. Reads give all-ones.
    fn leave_unrecorded(&mut self, element: &mut Element) {
        if let Some(Device::Trace(point)) = self.bus.find(element.place.first) {
            point.sequence += 1;
            self.link.unrecorded += 1;
        }
        element.ignore();
    }

    /// Tells of an access to where there is no device.
    pub(crate) fn record_outside(
        &mut self,
        address: GuestPhysAddr,
        element: &Element,
        pc: u64,
        machine: &mut impl Machine,
    ) {
        let tag = Tag::new(Kind::Outside).with_access(element.direction, element.width());
        let mut record = self.record(tag, address, pc, machine);
        record.old = match element.direction {
            Direction::Read => element.all_ones() as u32,
            Direction::Write => element.value() as u32,
        };
        self.link.push_outside(record, machine);
    }

    /// Tells of an access that the device at `address` does not support or that the hardware
    /// did not describe (`element` is `None`).
    pub(crate) fn record_refused(
        &mut self,
        address: GuestPhysAddr,
        element: Option<&Element>,
        direction: Direction,
        pc: u64,
        machine: &mut impl Machine,
    ) {
        let width = element.and_then(Element::width);
        let tag = Tag::new(Kind::Access)
            .with_access(direction, width)
            .with_flags(Flags::REFUSED);
        let mut record = self.record(tag, address, pc, machine);
        if let Some(Device::Trace(point)) = self.bus.find(address) {
            point.sequence += 1;
            record.sequence = point.sequence;
            record.tag = record.tag.with_instance(point.instance);
            if self.link.push(record, machine).is_err() {
                self.link.unrecorded += 1;
            }
        } else {
            record.tag = Tag::new(Kind::Outside).with_access(direction, width);
            self.link.push_outside(record, machine);
        }
    }

    /// A call of the guest's; gives what it is to return and when, if it goes on.
    pub(crate) fn call<M: Machine>(
        &mut self,
        function: u64,
        arguments: [u64; 2],
        pc: u64,
        machine: &mut M,
    ) -> Option<Answer>
    where
        A: Architecture<M>,
    {
        match psci::judge(function, arguments) {
            Call::Return(value) => return Some(Answer::Now(value)),
            Call::Wait(value) => return Some(Answer::AfterWaiting(value)),
            Call::PowerOff => self.end(EndReason::PoweredOff, 0, pc, machine),
            Call::Failed(code) => self.end(EndReason::GuestFailed, code, pc, machine),
            Call::Reset => {
                let tag = Tag::new(Kind::Reset);
                let record = self.record(tag, GuestPhysAddr(0), pc, machine);
                self.tell(Kind::Reset, record, 0, machine);
            }
        }
        None
    }

    /// The guest waits for an interrupt, by the instruction at `pc`. The clock's next wake-up
    /// ends that, and it goes on at `next`.
    pub(crate) fn wait(&mut self, pc: u64, next: u64, machine: &mut impl Machine) {
        machine.hold();
        self.held = Some(Held::Wait { pc: next });
        let (now, accesses) = (machine.now(), self.link.access.published());
        let idle = match &mut self.idle {
            Some(idle) if idle.accesses == accesses => idle,
            idle => idle.insert(Idle {
                since: now,
                accesses,
                told: false,
            }),
        };
        let time = now.saturating_sub(idle.since);
        if time >= IDLE_SECONDS.saturating_mul(self.clock_hz) && !idle.told {
            idle.told = true;
            self.console
                .notice(Notice::Idle, IDLE_SECONDS, 0, pc, machine);
        }
    }

    /// Gives the guest an exception, and tells of it at most once a second.
    pub(crate) fn inject<M: Machine>(
        &mut self,
        exception: A::Exception,
        address: u64,
        pc: u64,
        machine: &mut M,
    ) where
        A: Architecture<M>,
    {
        let now = machine.now();
        self.refusals.untold += 1;
        self.refusals.last = (address, pc);
        if now >= self.refusals.next_notice {
            self.refusals.next_notice = now.saturating_add(self.clock_hz);
            self.tell_refusals(machine);
        }
        A::inject(exception, machine);
    }

    fn tell_refusals(&mut self, machine: &mut impl Machine) {
        let number = core::mem::take(&mut self.refusals.untold);
        if number != 0 {
            let (address, pc) = self.refusals.last;
            self.console
                .notice(Notice::Refused, number, address, pc, machine);
        }
    }

    fn boot<M: Machine>(&mut self, machine: &mut M)
    where
        A: Architecture<M>,
    {
        let start = image::load(
            self.image,
            &self.config,
            self.clock_hz,
            A::ELF_MACHINE,
            machine,
        );
        let ram = self.config.ram().next();
        let started = start.and_then(|start| {
            let ram = ram.ok_or(ImageError::NoRoomForCommandLine)?;
            A::start(&start, ram, machine)
        });
        let address = match started {
            Ok(()) => return,
            Err(ImageError::OutsideRam(address)) => address.0,
            Err(ImageError::NotAnElf | ImageError::NoRoomForCommandLine) => 0,
        };
        self.end(EndReason::BadImage, address, 0, machine);
    }

    pub(crate) fn end<M: Machine>(
        &mut self,
        reason: EndReason,
        address: u64,
        pc: u64,
        machine: &mut M,
    ) where
        A: Architecture<M>,
    {
        self.tell_refusals(machine);
        let mut record = self.record(Tag::new(Kind::End), GuestPhysAddr(address), pc, machine);
        record.value = reason.number();
        self.tell(Kind::End, record, 0, machine);
    }

    /// Tells the trace component of a reset or the end and then acts on it. Waits until the
    /// ring has room and what the guest printed is on its way, as long as there is hope.
    #[cold]
    pub(crate) fn tell<M: Machine>(
        &mut self,
        kind: Kind,
        record: Record,
        wakes: u32,
        machine: &mut M,
    ) where
        A: Architecture<M>,
    {
        machine.hold();
        let flushed = self.console.flush(machine);
        let room = self.link.access.has_room() || {
            self.link.access.announce_wait();
            machine.notify(channel::vmm::TRACE);
            self.link.access.has_room()
        };
        // For the console only the clock wakes us: it takes characters at its own pace.
        if !(room && flushed) && wakes < PATIENCE {
            self.held = Some(Held::Event {
                kind,
                record,
                wakes,
            });
            return;
        }
        self.link.flush_outside(record, machine);
        let told = self.link.push(record, machine).is_ok();
        machine.notify(channel::vmm::TRACE);
        if kind == Kind::Reset {
            machine.clear_ram();
            return self.boot(machine);
        }
        if (self.link.gone || !told)
            && let Some(reason) = EndReason::from_number(record.value)
        {
            self.unheard_end = Some(reason);
            let notice = Notice::Ended(reason);
            self.console
                .notice(notice, 0, record.address.0, record.pc, machine);
        }
    }

    fn check_heartbeat(&mut self, machine: &mut impl Machine) {
        let link = &mut self.link;
        let heartbeat = link.state.heartbeat();
        if heartbeat != core::mem::replace(&mut link.heartbeat, heartbeat) {
            link.silent_wakes = 0;
            if core::mem::take(&mut link.gone) {
                let unrecorded = core::mem::take(&mut link.unrecorded);
                self.console
                    .notice(Notice::TraceBack, unrecorded, 0, 0, machine);
            }
        } else if !link.gone {
            link.silent_wakes += 1;
            if link.silent_wakes >= PATIENCE {
                link.gone = true;
                self.console.notice(Notice::TraceGone, 0, 0, 0, machine);
            }
        }
    }

    fn check_readers(&mut self, machine: &mut impl Machine) {
        let lies = self.link.access.misbehaviour() + self.console.reader_lies();
        let now = machine.now();
        if lies != self.reader_lies.told && now >= self.reader_lies.next_notice {
            let new = lies - core::mem::replace(&mut self.reader_lies.told, lies);
            self.reader_lies.next_notice = now.saturating_add(self.clock_hz);
            self.console.notice(Notice::ReadersLie, new, 0, 0, machine);
        }
    }

    pub(crate) fn record(
        &self,
        tag: Tag,
        address: GuestPhysAddr,
        pc: u64,
        machine: &mut impl Machine,
    ) -> Record {
        Record {
            time: machine.now(),
            address,
            pc,
            value: 0,
            old: 0,
            sequence: 0,
            tag,
            state_seen: 0,
            epoch: 0,
        }
    }
}

impl TracePoint {
    /// Records an element, if the trace component is where it has to be for that.
    fn attempt_element(
        &mut self,
        element: &Element,
        pc: u64,
        link: &mut TraceLink,
        machine: &mut impl Machine,
    ) -> Attempt {
        let Some(access) = element.access(pc) else {
            return Attempt::Refused;
        };
        let (current, lane) = match self.look(&access, link) {
            Ok(seen) => seen,
            Err(attempt) => return attempt,
        };
        let value = match access.direction {
            Direction::Read => lane,
            Direction::Write => element.value() as u32,
        };
        self.record(&access, current, value, link, machine)
    }

    /// The state that an access sees and what it would read of it.
    #[inline(always)]
    pub(crate) fn look(
        &mut self,
        access: &Access,
        link: &TraceLink,
    ) -> Result<(DeviceState, u32), Attempt> {
        let current = match access.direction {
            Direction::Read => self.current(link).ok_or(Attempt::Later)?,
            Direction::Write => DeviceState::default(),
        };
        let (address, width_bytes) = (access.address, access.width.bytes());
        let lane = read_lane(self.location, address, width_bytes, current.value);
        Ok((current, lane.ok_or(Attempt::Refused)?))
    }

    /// Appends the record of an access that reads or writes `value`.
    #[inline(always)]
    pub(crate) fn record(
        &mut self,
        access: &Access,
        current: DeviceState,
        value: u32,
        link: &mut TraceLink,
        machine: &mut impl Machine,
    ) -> Attempt {
        let sequence = self.sequence + 1;
        let record = Record {
            time: machine.now(),
            address: access.address,
            pc: access.pc,
            value,
            old: 0,
            sequence,
            tag: self.tag.with_access(access.direction, Some(access.width)),
            state_seen: current.sequence,
            epoch: 0,
        };
        match link.push(record, machine) {
            Ok(()) => {}
            // Nobody will make room: a gap in the numbers.
            Err(Full) if link.gone => link.unrecorded += 1,
            Err(Full) => return Attempt::Later,
        }
        self.sequence = sequence;
        if access.direction == Direction::Write {
            let sequence = sequence as u32;
            self.unapplied = if access.width.bytes() == TraceDevice::LEN_BYTES {
                Unapplied::Word { sequence, value }
            } else {
                Unapplied::Narrow { sequence }
            };
        }
        Attempt::Done(value)
    }

    /// What a read sees: the newest full write if it is not applied yet, else the state
    /// page. `None` while a narrow write is on its way.
    #[inline(always)]
    fn current(&mut self, link: &TraceLink) -> Option<DeviceState> {
        if link.gone {
            return Some(DeviceState {
                sequence: 0,
                value: u32::MAX,
            });
        }
        let state = link.state.read(usize::from(self.instance));
        match self.unapplied {
            Unapplied::Nothing => Some(state),
            Unapplied::Word { sequence, .. } | Unapplied::Narrow { sequence }
                if state.includes(sequence) =>
            {
                self.unapplied = Unapplied::Nothing;
                Some(state)
            }
            Unapplied::Word { sequence, value } => Some(DeviceState { sequence, value }),
            Unapplied::Narrow { .. } => None,
        }
    }
}

impl TraceLink {
    /// Appends to the access ring and wakes the trace component if it asked for that.
    #[inline(always)]
    fn push(&mut self, record: Record, machine: &mut impl Machine) -> Result<(), Full> {
        self.access.push(&record.to_words())?;
        if self.access.take_wake() == Wake::Asked {
            machine.notify(channel::vmm::TRACE);
        }
        Ok(())
    }

    /// Tells of accesses outside the devices. Several share a record if there is no room;
    /// no guest waits for it.
    pub(crate) fn push_outside(&mut self, mut record: Record, machine: &mut impl Machine) {
        self.outside = self.outside.saturating_add(1);
        record.value = self.outside;
        if self.push(record, machine).is_ok() {
            self.outside = 0;
        }
    }

    /// Tells of accesses outside the devices that found no room so far.
    fn flush_outside(&mut self, like: Record, machine: &mut impl Machine) {
        if self.outside != 0 {
            self.outside -= 1;
            let tag = Tag::new(Kind::Outside);
            self.push_outside(Record { tag, ..like }, machine);
        }
    }
}
