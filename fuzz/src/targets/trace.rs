//! The trace component, with two VMs: one whose VMM and console do what they like, and an
//! honest one that must not notice.

use crate::peer_memory::{self, RingPeer, page_words, state_words};
use crate::script::Script;
use crate::targets::vm::{APART, GUEST, LOC, every_kind, silent};
use guest_access::{AccessWidth, Direction};
use shared_ring::{
    ConsumerPage, LAYOUT_VERSION, MAGIC, Observation, Observer, Ordering, PAYLOAD_WORDS, RingKind,
    RingMemory, SLOT_BYTES, header_word,
};
use std::sync::LazyLock;
use trace_records::{
    ACCESS_SLOTS, Answer, Entry, Kind, LOG_SLOTS, Record, StatePage, TRACE_SLOTS, Tag,
};
use vm_components::{Channel, ChannelSet, Clock, Host, KeptTrace, Trace, TracePort, channel};
use vm_config::{
    AddressSpace, AnyVdev, Contents, Device, Emit, RamRange, SeverityMask, TraceNumber,
    Unsupported, Vdev, VmConfig, encode,
};

const CLOCK: Clock = Clock {
    hz: 1000,
    start_ticks: 10,
};
const HOSTILE: u8 = 0;
const HONEST: u8 = 1;
const EVENTS: [u16; 2] = [12, 13];
/// More looks at the clock than a turn may need, as often as a script can fill the ring.
const MOST_LOOKS: u32 = 1 << 20;
/// The machine's counter stays below this many ticks.
const MOST_TICKS: u64 = 1 << 62;

struct Memory {
    access: RingMemory<ACCESS_SLOTS>,
    access_reader: ConsumerPage,
    state: StatePage,
    log: RingMemory<LOG_SLOTS>,
    log_reader: ConsumerPage,
    trace: RingMemory<TRACE_SLOTS>,
}

static MEMORY: [Memory; 2] = [const {
    Memory {
        access: RingMemory::new(),
        access_reader: ConsumerPage::new(),
        state: StatePage::new(),
        log: RingMemory::new(),
        log_reader: ConsumerPage::new(),
        trace: RingMemory::new(),
    }
}; 2];

static CONFIGS: LazyLock<[VmConfig<'static>; 2]> = LazyLock::new(|| [HOSTILE, HONEST].map(config));

/// A VM with two trace devices, and one of each kind; each has an event ten higher than the one before.
fn config(vm: u8) -> VmConfig<'static> {
    let event = EVENTS[usize::from(vm)];
    let device = |name, loc, event| Device {
        emit: Emit {
            logger: true,
            trace: TraceNumber::new(event),
        },
        ..silent(Vdev::Trace, name, loc)
    };
    let devices = [device("a", LOC, event), device("b", LOC + 4, event + 10)];
    let contents = Contents {
        vm,
        name: "vm",
        machine: None,
        images: &[GUEST],
        pieces: &[],
        entry: 0,
        device_tree: None,
        cmdline: "",
        logger: SeverityMask::default(),
        unsupported: Unsupported::default(),
        ram: &[RamRange {
            base: 0,
            len_bytes: 4096,
        }],
        rom: &[],
        devices: &[&devices[..], &every_kind(event + 20, 10)].concat(),
    };
    let blob = encode(&contents).expect("a configuration that the rules allow");
    VmConfig::parse(Box::leak(Box::new(blob))).expect("it was encoded")
}

/// A machine on which the hostile VMM runs whenever the trace component looks at the clock.
struct Machine<'a, 'b> {
    now: u64,
    looks: u32,
    hostile: RingPeer,
    script: &'a mut Script<'b>,
}

impl Host for Machine<'_, '_> {
    fn now(&mut self) -> u64 {
        self.looks += 1;
        assert!(
            self.looks < MOST_LOOKS,
            "the trace component does not come to an end"
        );
        if self.looks.is_multiple_of(2) && self.script.byte() & 0x80 != 0 {
            self.hostile.poke(self.script);
        }
        self.now
    }

    fn notify(&mut self, _: Channel) {}
}

pub(crate) fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let [hostile, honest] = [0, 1].map(|vm| RingPeer::new(&MEMORY[vm].access));
    let mut ports = Vec::new();
    for (memory, config) in MEMORY.iter().zip(CONFIGS.iter()) {
        RingPeer::new(&memory.access).clear();
        RingPeer::new(&memory.log).clear();
        RingPeer::new(&memory.trace).clear();
        peer_memory::clear(page_words(&memory.access_reader));
        peer_memory::clear(page_words(&memory.log_reader));
        peer_memory::clear(state_words(&memory.state));
        let port = TracePort {
            access: &memory.access,
            access_reader: &memory.access_reader,
            state: &memory.state,
            log: &memory.log,
            log_reader: &memory.log_reader,
            trace: &memory.trace,
        };
        ports.push((port, *config));
    }
    let kept = Box::into_raw(Box::<KeptTrace>::default());
    // SAFETY: it was allocated above, and is freed below when the component, which alone refers to it, is
    // no more.
    let mut component = Trace::init(ports, unsafe { &mut *kept }, CLOCK, CLOCK.start_ticks);
    for ring in [hostile, honest] {
        publish(ring);
    }
    let mut writes = 0;
    let mut now = CLOCK.start_ticks;
    let mut ended = None;
    while !script.is_over() {
        match script.byte() % 8 {
            0..=2 => hostile.poke(&mut script),
            3 => peer_memory::poke(page_words(&MEMORY[0].log_reader), &mut script),
            4 => hostile.push(core::array::from_fn(|_| script.number())),
            5 => hostile.push(plausible(now, &mut script)),
            6 => now = now.saturating_add(script.number()).min(MOST_TICKS),
            _ => {
                writes += 1;
                honest.push(write(now, writes));
                let mut machine = Machine {
                    now,
                    looks: 0,
                    hostile,
                    script: &mut script,
                };
                let mut channels = ChannelSet::EMPTY;
                channels.insert(channel::trace::CLOCK);
                component.notified(channels, &mut machine);
                assert_that_the_honest_vm_is_well(writes);
                // A VM ends once, for one reason, and no other with it.
                assert_eq!(component.ended(HONEST), None);
                assert!(ended.is_none() || ended == component.ended(HOSTILE));
                ended = component.ended(HOSTILE);
            }
        }
    }
    let mut still = Script::new(&[]);
    let mut machine = Machine {
        now,
        looks: 0,
        hostile,
        script: &mut still,
    };
    component.notified(ChannelSet::EMPTY, &mut machine);
    // SAFETY: as above; the component is not used any more.
    drop(unsafe { Box::from_raw(kept) });
    for vm in [HOSTILE, HONEST] {
        assert_that_records_are_its_own(vm);
    }
}

/// What an honest producer writes into its header.
fn publish(ring: RingPeer) {
    let constants = [
        (header_word::MAGIC, MAGIC),
        (header_word::LAYOUT_VERSION, LAYOUT_VERSION),
        (header_word::SLOT_BYTES, SLOT_BYTES as u64),
        (header_word::SLOT_COUNT, ACCESS_SLOTS as u64),
        (header_word::KIND_AND_VM, RingKind::Access as u64),
    ];
    for (index, value) in constants {
        ring.header[index].store(value, Ordering::Relaxed);
    }
}

/// A record whose kind exists, at or near a device.
fn plausible(now: u64, script: &mut Script<'_>) -> [u64; PAYLOAD_WORDS] {
    let [kind, width, direction, place] = [0; 4].map(|_: u8| u64::from(script.byte()));
    // One of the two trace devices, or one of some kind.
    let (instance, address) = match width / 16 {
        0 => (place & 1, LOC + place % 16),
        number => at_register(number - 1, place),
    };
    let (kind, width, direction) = (kind % 14, width % 16, direction % 4);
    let tag = kind | instance << 16 | width << 32 | direction << 36;
    let time = now
        .wrapping_add(script.number())
        .wrapping_sub(script.number());
    [
        time,
        address,
        0,
        script.number(),
        script.number(),
        tag,
        script.number(),
    ]
}

/// A device of some kind by its instance, and a register of it or a place near its beginning.
fn at_register(kind: u64, place: u64) -> (u64, u64) {
    let number = kind % Vdev::ALL.len() as u64;
    let vdev = Vdev::ALL[number as usize];
    let registers = vdev.kind().registers;
    let offset = match place & 0x80 {
        0 => registers[place as usize % registers.len()].offset,
        _ => place & 0x7f,
    };
    let base = match vdev.kind().spaces[0] {
        AddressSpace::Memory => LOC,
        AddressSpace::Ports => 0,
    };
    (2 + number, base + APART * (1 + number) + offset)
}

/// An honest write of `value`, which is also its number.
fn write(now: u64, value: u64) -> [u64; PAYLOAD_WORDS] {
    let tag = Tag::new(Kind::Access).with_access(Direction::Write, Some(AccessWidth::Word));
    [now, LOC, 0, value, value, tag.0, 0]
}

fn assert_that_the_honest_vm_is_well(writes: u64) {
    let page = &MEMORY[usize::from(HONEST)].state;
    let state = page.read(0);
    assert_eq!(u64::from(state.sequence), writes);
    assert_eq!(u64::from(state.value), writes);
    // Its other devices are as they were, but for the time.
    for device in 1..2 + Vdev::ALL.len() {
        assert_eq!(page.read(device).sequence, 0, "{device}");
        assert_eq!(page.answer(device), Answer::default(), "{device}");
    }
    assert_eq!(page.lines(), 0);
}

/// Every record of a log or trace ring is of that VM.
fn assert_that_records_are_its_own(vm: u8) {
    let memory = &MEMORY[usize::from(vm)];
    check(Observer::new(&memory.trace), vm);
    check(Observer::new(&memory.log), vm);
}

fn check<const SLOTS: usize>(mut observer: Observer<SLOTS>, vm: u8) {
    while let Some(observation) = observer.observe() {
        let Observation::Record(_, payload) = observation else {
            continue;
        };
        let record = Record::from_words(&payload);
        assert!(Entry::from_words(&payload).is_some());
        assert_eq!(record.tag.vm(), vm);
        if record.tag.kind() == Some(Kind::Access) {
            let event = EVENTS[usize::from(vm)] + 10 * u16::from(record.tag.instance());
            assert_eq!(record.tag.event(), event);
        }
    }
}
