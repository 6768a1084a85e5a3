//! Two VMs, a console, and a trace component that dies.
//!
//! The test plays the VMMs, whose guests wait for what comes of a narrow write and for what is asked, and
//! the console. None of them looks before it is signalled, so that a wake-up that is lost leaves something
//! undone at the end.

use crate::deaths::Deaths;
use crate::fixtures::every_kind::{Answered, OfTable};
use crate::fixtures::{self, VmMemory, compiled, contents, only};
use crate::region::Region;
use guest_access::{AccessWidth, Direction, GuestPhysAddr};
use shared_ring::mortal::{self, Death};
use shared_ring::{
    AtomicU64, BoundedProducer, Consumer, ConsumerPage, InputMemory, InputReader, Item, Ordering,
    ReadPosition, RingKind, RingMemory, SLOT_BYTES, SLOT_WORDS, WritePosition, header_word,
};
use std::collections::VecDeque;
use std::panic::resume_unwind;
use trace_records::{
    ACCESS_SLOTS, Answer, CONSOLE_SLOTS, EndReason, Entry, Flags, Kind, LOG_SLOTS, Misbehaviour,
    Record, StatePage, TRACE_SLOTS,
};
use vm_components::{Channel, ChannelSet, Clock, Host, KeptTrace, Trace, channel};
use vm_config::{AnyVdev, Contents, Device, VmConfig};

pub const HZ: u64 = 1_000_000;
const CLOCK: Clock = Clock {
    hz: HZ,
    start_ticks: 0,
};
const VMS: usize = 2;
// The component has nothing to do with what guests print.
static NO_TEXT: RingMemory<CONSOLE_SLOTS> = RingMemory::new();
static NOBODY: ConsumerPage = ConsumerPage::new();
static NOTHING_TYPED: InputMemory = InputMemory::new();
static NO_TYPIST: InputReader = InputReader::new();
/// Of a trace ring as much is compared.
const NEWEST: u64 = 500;

/// An access of a guest.
#[derive(Clone, Copy)]
pub struct Access {
    direction: Direction,
    width: AccessWidth,
    offset: u64,
    value: u32,
    flags: Flags,
    /// The device domain has to answer.
    is_asked: bool,
}

impl Access {
    pub const fn new(direction: Direction, width: AccessWidth, offset: u64, value: u32) -> Self {
        Self {
            direction,
            width,
            offset,
            value,
            flags: Flags::NONE,
            is_asked: false,
        }
    }

    /// One of those that a kind's tables allow or refuse.
    pub fn of_table(access: OfTable) -> Self {
        let OfTable {
            direction,
            width,
            offset,
            value,
            is,
        } = access;
        let access = Self::new(direction, width, offset, value);
        match is {
            Answered::ByDevice => access,
            Answered::ByItsDomain => Self {
                is_asked: true,
                ..access
            },
            Answered::Refused => access.refused(),
        }
    }

    /// The same beside the device, which no VMM sends.
    pub const fn beside(self) -> Self {
        Self { offset: 4, ..self }
    }

    /// One that the device does not support.
    pub const fn refused(self) -> Self {
        Self {
            flags: Flags::REFUSED,
            ..self
        }
    }
}

/// A record, by its VM and its position in that VM's access ring.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Place {
    pub vm: u8,
    pub position: u64,
}

struct Regions {
    access: Region<RingMemory<ACCESS_SLOTS>>,
    access_reader: Region<ConsumerPage>,
    state: Region<StatePage>,
    log: Region<RingMemory<LOG_SLOTS>>,
    log_reader: Region<ConsumerPage>,
    trace: Region<RingMemory<TRACE_SLOTS>>,
}

/// All memory in which runs begin, and what those know who do not die.
pub struct Memory {
    devices: Vec<Device<'static>>,
    configs: [VmConfig<'static>; VMS],
    vms: [Regions; VMS],
    kept: Region<KeptTrace>,
    peers: Peers,
}

/// What those know who do not die.
#[derive(Clone)]
pub struct Peers {
    now: u64,
    vms: [Positions; VMS],
}

#[derive(Clone, Default)]
struct Positions {
    sent: u64,
    vmm: WritePosition,
    console: ReadPosition,
    /// The number of each device's last access.
    numbers: Vec<u64>,
}

impl Memory {
    /// As the platform gives it first. Each VM has these devices, which are apart.
    pub fn new(devices: Vec<Device<'static>>) -> Self {
        let vms = [0, 1].map(|vm| {
            compiled(&Contents {
                vm,
                devices: &devices,
                ..contents()
            })
        });
        let positions = Positions {
            numbers: vec![0; devices.len()],
            ..Positions::default()
        };
        Self {
            devices,
            configs: vms,
            vms: [0, 1].map(|_| Regions {
                access: Region::new(),
                access_reader: Region::new(),
                state: Region::new(),
                log: Region::new(),
                log_reader: Region::new(),
                trace: Region::new(),
            }),
            kept: Region::new(),
            peers: Peers {
                now: 0,
                vms: [positions.clone(), positions],
            },
        }
    }

    /// Runs begin as it is now.
    pub fn begin_here(&mut self, peers: Peers) {
        self.peers = peers;
        self.kept.remember();
        for vm in &mut self.vms {
            vm.access.remember();
            vm.access_reader.remember();
            vm.state.remember();
            vm.log.remember();
            vm.log_reader.remember();
            vm.trace.remember();
        }
    }

    /// How many records this VM has sent where runs begin.
    pub fn sent(&self, vm: u8) -> u64 {
        self.peers.vms[usize::from(vm)].sent
    }

    fn restore(&self) {
        self.kept.restore();
        for vm in &self.vms {
            vm.access.restore();
            vm.access_reader.restore();
            vm.state.restore();
            vm.log.restore();
            vm.log_reader.restore();
            vm.trace.restore();
        }
    }
}

/// A VM, as the component sees it.
struct Vm {
    memory: VmMemory,
    vmm: BoundedProducer<ACCESS_SLOTS>,
    console: Consumer<LOG_SLOTS>,
    numbers: Vec<u64>,
    /// With whether the guest waits for it.
    to_send: VecDeque<(Record, bool)>,
    /// The guest waits for its last access, which is this.
    waits: Option<(Place, Record)>,
    /// What was read of what is asked.
    answers: Vec<(Place, Answer)>,
    told: Vec<Item>,
}

/// Who a run's deaths are over, if they are not at a step: whoever has this under way.
#[derive(Clone, Copy)]
pub struct Killer {
    pub vm: u8,
    /// A record, or the turn before its first one.
    pub position: Option<u64>,
    pub times: u32,
}

impl Killer {
    pub fn over(Place { vm, position }: Place, times: u32) -> Self {
        Self {
            vm,
            position: Some(position),
            times,
        }
    }
}

pub struct System<'a> {
    pub now: u64,
    pub console_is_away: bool,
    /// Records are stamped ahead of the clock, so that the component looks at the clock when it has one
    /// in hand, and can be killed by that.
    pub stamps_ahead: bool,
    pub killers: Vec<Killer>,
    /// What was under way at each death: 0, or as the component has it.
    marks: Vec<u64>,
    memory: &'a Memory,
    deaths: &'a mut Deaths,
    trace: Option<Trace>,
    vms: [Vm; VMS],
    console_is_signalled: bool,
    /// A record instead of which its VMM sends what no VMM sends.
    pub misdeed_at: Option<Place>,
    seen: Vec<[Shown; VMS]>,
}

/// What a VM's state page shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// By device: the number of the last access applied, and its words.
    states: Vec<(u32, Vec<u32>)>,
    lines: u32,
}

impl Shown {
    /// The number of the last access of a device that is applied.
    pub fn applied(&self, device: usize) -> u32 {
        self.states[device].0
    }
}

impl Vm {
    /// Whether the guest waits and what it waits for has come.
    fn goes_on(&mut self) -> bool {
        let Some((place, record)) = self.waits else {
            return false;
        };
        let (device, number) = (record.tag.instance().into(), record.sequence as u32);
        // What no VMM sends is applied nowhere.
        if record.tag.is(Kind::Access) {
            if !self.memory.state.read(device).includes(number) {
                self.vmm.announce_wait();
                return false;
            }
            if record.tag.direction() == Direction::Read {
                self.answers.push((place, self.memory.state.answer(device)));
            }
        }
        self.waits = None;
        true
    }
}

fn shown(devices: &[Device<'_>], page: &StatePage) -> Shown {
    let states = devices.iter().enumerate().map(|(number, device)| {
        let mut words = vec![0; device.vdev.word_count()];
        let state = page.read(number);
        match &mut words[..] {
            [] => {}
            [word] => *word = state.value,
            words => assert!(page.read_several(number, words).is_some(), "{number}"),
        }
        (state.sequence, words)
    });
    Shown {
        states: states.collect(),
        lines: page.lines(),
    }
}

/// The platform of the component.
struct Platform<'a> {
    now: u64,
    notified: Vec<Channel>,
    killers: &'a mut Vec<Killer>,
    mark: &'a AtomicU64,
}

impl Host for Platform<'_> {
    fn now(&mut self) -> u64 {
        mortal::step();
        let mark = self.mark.load(Ordering::Relaxed);
        for killer in &mut *self.killers {
            let record = killer.position.map_or(0, |position| 1 + position);
            if killer.times != 0 && mark == u64::from(1 + killer.vm) << 56 | record {
                killer.times -= 1;
                resume_unwind(Box::new(Death));
            }
        }
        self.now
    }

    fn notify(&mut self, channel: Channel) {
        mortal::step();
        self.notified.push(channel);
    }

    fn under_way(&mut self, _: Option<u8>) {
        mortal::step();
    }
}

impl<'a> System<'a> {
    /// A run begins.
    pub fn new(memory: &'a Memory, deaths: &'a mut Deaths) -> Self {
        memory.restore();
        let vms = [0, 1].map(|vm| {
            let regions = &memory.vms[usize::from(vm)];
            let shared = VmMemory {
                access: regions.access.shared(),
                access_reader: regions.access_reader.shared(),
                state: regions.state.shared(),
                log: regions.log.shared(),
                log_reader: regions.log_reader.shared(),
                trace: regions.trace.shared(),
                text: &NO_TEXT,
                text_reader: &NOBODY,
                input: &NOTHING_TYPED,
                input_reader: &NO_TYPIST,
            };
            let peers = &memory.peers.vms[usize::from(vm)];
            let identity = CLOCK.identity(RingKind::Access, vm);
            let (access, log) = (shared.access, shared.log);
            Vm {
                vmm: BoundedProducer::resume(access, shared.access_reader, identity, peers.vmm),
                console: Consumer::resume(log, shared.log_reader, RingKind::Log, peers.console),
                memory: shared,
                numbers: peers.numbers.clone(),
                to_send: VecDeque::new(),
                waits: None,
                answers: Vec::new(),
                told: Vec::new(),
            }
        });
        Self {
            now: memory.peers.now,
            console_is_away: false,
            stamps_ahead: false,
            killers: Vec::new(),
            marks: Vec::new(),
            memory,
            deaths,
            trace: None,
            vms,
            console_is_signalled: false,
            misdeed_at: None,
            seen: Vec::new(),
        }
    }

    /// A guest accesses a device.
    pub fn access(&mut self, vm: usize, device: usize, access: Access) {
        let Access {
            direction,
            width,
            offset,
            value,
            flags,
            is_asked,
        } = access;
        let time = self.stamp();
        let number = &mut self.vms[vm].numbers[device];
        *number += 1;
        let record = fixtures::access(direction, *number);
        let tag = record.tag.with_access(direction, Some(width));
        let tag = tag.with_flags(flags).with_instance(device as u8);
        let Device {
            loc, space, vdev, ..
        } = self.memory.devices[device];
        let record = Record {
            time,
            address: GuestPhysAddr(loc + offset),
            value,
            tag: tag.with_space(space),
            ..record
        };
        let is_isolated = vdev.local().is_none();
        let is_narrow = vdev.kind().register_at(offset).is_some_and(|register| {
            direction == Direction::Write && width.bytes() < register.width_bytes
        });
        let to_send = &mut self.vms[vm].to_send;
        to_send.push_back((record, is_isolated && (is_asked || is_narrow)));
    }

    /// A VMM sends another record.
    pub fn send(&mut self, vm: usize, kind: Kind, value: u32) {
        let record = Record {
            time: self.stamp(),
            value,
            ..fixtures::record(kind)
        };
        self.vms[vm].to_send.push_back((record, false));
    }

    fn stamp(&self) -> u64 {
        match self.stamps_ahead {
            true => u64::MAX,
            false => self.now,
        }
    }

    /// The clock wakes the component, and all go on until nobody is signalled.
    pub fn turn(&mut self) {
        (0..VMS).for_each(|vm| self.let_vmm_send(vm));
        let mut channels = only(channel::trace::CLOCK);
        while !channels.is_empty() {
            let notified = self.let_component_run(channels);
            channels = ChannelSet::EMPTY;
            for channel in notified {
                self.console_is_signalled |= channel == channel::trace::CONSOLE;
                for vm in 0..VMS {
                    let vmm = channel::trace::vmm(vm as u8);
                    if channel == vmm && self.vms[vm].goes_on() {
                        self.let_vmm_send(vm);
                        channels.insert(vmm);
                    }
                }
            }
            self.let_console_run();
        }
        let devices = &self.memory.devices;
        let shown = self
            .vms
            .each_ref()
            .map(|vm| shown(devices, vm.memory.state));
        self.seen.push(shown);
    }

    fn let_vmm_send(&mut self, number: usize) {
        let vm = &mut self.vms[number];
        while vm.waits.is_none() {
            let Some((mut record, waits)) = vm.to_send.pop_front() else {
                return;
            };
            let place = Place {
                vm: number as u8,
                position: vm.vmm.published(),
            };
            if self.misdeed_at == Some(place) {
                record = Record {
                    time: record.time,
                    ..fixtures::record(Kind::Text)
                };
            }
            vm.vmm.push(&record.to_words()).unwrap();
            if waits {
                vm.vmm.announce_wait();
                vm.waits = Some((place, record));
            }
        }
    }

    /// The component runs, and another after each that dies.
    fn let_component_run(&mut self, channels: ChannelSet) -> Vec<Channel> {
        let place = self.memory.kept.place().cast::<AtomicU64>();
        // SAFETY: what is kept is `repr(C)` and starts with this word, which is atomic.
        let mark = unsafe { &*place };
        let mut platform = Platform {
            now: self.now,
            notified: Vec::new(),
            killers: &mut self.killers,
            mark,
        };
        let mut channels = channels;
        let mut published = Vec::new();
        loop {
            let trace = &mut self.trace;
            let ports = self.vms.iter().map(|vm| vm.memory.trace_port());
            let ports = ports.zip(self.memory.configs);
            let work = || {
                let trace = trace.get_or_insert_with(|| {
                    let kept = self.memory.kept.lent();
                    let trace = Trace::init(ports, kept, CLOCK, platform.now);
                    let now = published_by(&self.vms);
                    let is_behind = published.iter().zip(now).any(|(before, now)| now < *before);
                    assert!(!is_behind, "what was seen of the dead one is taken back");
                    trace
                });
                trace.notified(channels, &mut platform);
            };
            if self.deaths.attempt(work).is_some() {
                return platform.notified;
            }
            self.trace = None;
            published = published_by(&self.vms);
            self.marks.push(mark.load(Ordering::Relaxed));
            // The dead one had the signal.
            channels = ChannelSet::EMPTY;
        }
    }

    fn let_console_run(&mut self) {
        if self.console_is_away || !std::mem::take(&mut self.console_is_signalled) {
            return;
        }
        for vm in &mut self.vms {
            vm.told.extend(std::iter::from_fn(|| vm.console.pop()));
            assert!(vm.console.sleep_until(1));
        }
    }

    /// What those know who do not die.
    pub fn into_peers(self) -> Peers {
        Peers {
            now: self.now,
            vms: self.vms.map(|vm| Positions {
                sent: vm.vmm.published(),
                vmm: *vm.vmm.position(),
                console: *vm.console.position(),
                numbers: vm.numbers,
            }),
        }
    }

    /// The component dies over the record that this VM sends next, if it is no further than that.
    pub fn kill_over_next(&mut self, vm: u8, times: u32) -> Place {
        let of_vm = &self.vms[usize::from(vm)];
        let position = of_vm.vmm.published() + of_vm.to_send.len() as u64;
        let place = Place { vm, position };
        self.killers.push(Killer::over(place, times));
        place
    }

    /// How often the component has died.
    pub fn died(&self) -> usize {
        self.deaths.died
    }

    /// What became of it all.
    pub fn outcome(self) -> Outcome {
        let trace = self.trace.as_ref().unwrap();
        let seen = self.seen;
        Outcome {
            vms: [0, 1].map(|number| {
                let vm = &self.vms[number];
                OfVm {
                    ended: trace.ended(number as u8),
                    seen: seen.iter().map(|seen| seen[number].clone()).collect(),
                    answers: vm.answers.clone(),
                    told: vm.told.clone(),
                    traced: newest(vm.memory.trace),
                    log_counts: header(vm.memory.log),
                    trace_counts: header(vm.memory.trace),
                    sent: vm.vmm.published(),
                    read: read_up_to(vm.memory.access_reader),
                    unsent: vm.to_send.len(),
                }
            }),
            marks: self.marks,
        }
    }
}

/// What can be seen of a run.
#[derive(Debug)]
pub struct Outcome {
    pub vms: [OfVm; VMS],
    /// What was under way at each death, which nobody sees.
    marks: Vec<u64>,
}

#[derive(Debug, PartialEq, Clone)]
pub struct OfVm {
    pub ended: Option<EndReason>,
    /// After each turn.
    pub seen: Vec<Shown>,
    /// What guests were told that asked.
    pub answers: Vec<(Place, Answer)>,
    pub told: Vec<Item>,
    /// The newest slots of the trace ring.
    traced: Vec<[u64; SLOT_WORDS]>,
    /// Resets, records and lost records by the rings' headers.
    pub log_counts: [u64; 3],
    pub trace_counts: [u64; 3],
    /// How many records there were, and how many the component says it has read.
    pub sent: u64,
    read: u64,
    /// For which the VMM waits in vain.
    unsent: usize,
}

impl PartialEq for Outcome {
    fn eq(&self, other: &Self) -> bool {
        self.vms == other.vms
    }
}

impl Outcome {
    /// The record over which the component has died twice, if it has.
    pub fn died_twice_over(&self) -> Option<Place> {
        match self.marks[..] {
            [first, second] if first == second && first << 8 != 0 => Some(Place {
                vm: (first >> 56) as u8 - 1,
                position: (first << 8 >> 8) - 1,
            }),
            _ => None,
        }
    }
}

impl OfVm {
    /// The log's entries.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        let entry = |item: &Item| Entry::from_words(&item.payload).unwrap();
        self.told.iter().map(entry)
    }

    /// What the log says that nobody honest does.
    pub fn misdeeds(&self) -> impl Iterator<Item = Misbehaviour> {
        self.entries().filter_map(|entry| match entry {
            Entry::Misbehaviour(misbehaviour) => Some(misbehaviour),
            _ => None,
        })
    }

    /// Accesses of this VM without a record, by the sums.
    pub fn unrecorded(&self) -> u64 {
        let sums = self.entries().find_map(|entry| match entry {
            Entry::Vm(sums) => Some(sums.unrecorded),
            _ => None,
        });
        sums.unwrap()
    }

    /// With what tells a record that was skipped from one that no VMM sends left out: what it was, and
    /// that the guest does not wait for it, or gets nothing by it.
    pub fn without_words_for_it(&self, skipped: Place) -> Self {
        let mut rest = self.clone();
        rest.answers.retain(|(place, _)| *place != skipped);
        for item in &mut rest.told {
            match Entry::from_words(&item.payload) {
                Some(Entry::Misbehaviour(_)) => [item.payload[2], item.payload[4]] = [0; 2],
                Some(Entry::Vm(_)) => item.payload[4] = 0,
                _ => {}
            }
        }
        for (sequence, _) in rest.seen.iter_mut().flat_map(|shown| &mut shown.states) {
            *sequence = 0;
        }
        rest
    }
}

fn header<const SLOTS: usize>(ring: &RingMemory<SLOTS>) -> [u64; 3] {
    let first = std::ptr::from_ref(ring).cast::<AtomicU64>();
    // SAFETY: a ring is `repr(C)` and starts with its header's words, which are atomic.
    let words = unsafe { std::slice::from_raw_parts(first, header_word::COUNT) };
    [header_word::EPOCH, header_word::HEAD, header_word::LOST]
        .map(|word| words[word].load(Ordering::Relaxed))
}

/// All that the component has told anybody, as numbers that only grow.
fn published_by(vms: &[Vm; VMS]) -> Vec<u64> {
    let of_vm = |vm: &Vm| {
        let memory = &vm.memory;
        let devices = 0..vm.numbers.len();
        let applied = devices.map(|device| u64::from(memory.state.read(device).sequence));
        let [log, trace] = [header(memory.log), header(memory.trace)];
        let applied: Vec<_> = applied.collect();
        [
            &applied[..],
            &log,
            &trace,
            &[read_up_to(memory.access_reader)],
        ]
        .concat()
    };
    vms.iter().flat_map(of_vm).collect()
}

/// The newest records, with their numbers.
fn newest<const SLOTS: usize>(ring: &RingMemory<SLOTS>) -> Vec<[u64; SLOT_WORDS]> {
    let [_, head, _] = header(ring);
    let first = std::ptr::from_ref(ring).cast::<u8>();
    let slots = (head.saturating_sub(NEWEST)..head).map(|position| {
        let offset = 4096 + position as usize % SLOTS * SLOT_BYTES;
        // SAFETY: a ring is `repr(C)`: a page of header, then its slots.
        let slot = unsafe { first.add(offset) }.cast::<[AtomicU64; SLOT_WORDS]>();
        // SAFETY: a slot is so many atomics.
        let slot = unsafe { &*slot };
        slot.each_ref().map(|word| word.load(Ordering::Relaxed))
    });
    slots.collect()
}

fn read_up_to(page: &ConsumerPage) -> u64 {
    let first = std::ptr::from_ref(page).cast::<AtomicU64>();
    // SAFETY: a consumer's page is `repr(C)` and starts with this word, which is atomic.
    unsafe { &*first }.load(Ordering::Relaxed)
}
