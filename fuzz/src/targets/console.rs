//! The console component, with a VM whose VMM and log ring hold anything.

use crate::peer_memory::{self, RingPeer, page_words};
use crate::script::Script;
use crate::targets::vm::{GUEST, silent};
use shared_ring::{
    ConsumerPage, InputMemory, InputReader, LAYOUT_VERSION, MAGIC, Ordering, PAYLOAD_WORDS,
    RingKind, RingMemory, SLOT_BYTES, header_word,
};
use std::sync::LazyLock;
use trace_records::{CONSOLE_SLOTS, LOG_SLOTS, MAX_DEVICES};
use vm_components::{
    Channel, ChannelSet, Clock, Console, ConsolePort, Host, KeptConsole, Output, channel,
};
use vm_config::{Contents, RamRange, SeverityMask, Unsupported, Vdev, VmConfig, encode};

const CLOCK: Clock = Clock {
    hz: 1000,
    start_ticks: 10,
};
const NAME: &str = "hostile";

static LOG: RingMemory<LOG_SLOTS> = RingMemory::new();
static LOG_READER: ConsumerPage = ConsumerPage::new();
static TEXT: RingMemory<CONSOLE_SLOTS> = RingMemory::new();
static TEXT_READER: ConsumerPage = ConsumerPage::new();
static INPUT: InputMemory = InputMemory::new();
static INPUT_READER: InputReader = InputReader::new();

static CONFIG: LazyLock<VmConfig<'static>> = LazyLock::new(|| {
    let contents = Contents {
        vm: 0,
        name: NAME,
        machine: None,
        images: &[GUEST],
        pieces: &[],
        entry: 0,
        device_tree: None,
        cmdline: "",
        logger: SeverityMask::all(),
        unsupported: Unsupported::default(),
        ram: &[RamRange {
            base: 0,
            len_bytes: 4096,
        }],
        rom: &[],
        devices: &[silent(Vdev::Pl011, "uart", 4096)],
    };
    let blob = encode(&contents).expect("a configuration that the rules allow");
    VmConfig::parse(Box::leak(Box::new(blob))).expect("it was encoded")
});

struct Machine(u64);

impl Host for Machine {
    fn now(&mut self) -> u64 {
        self.0
    }

    fn notify(&mut self, _: Channel) {
        panic!("the console signals nobody");
    }
}

/// Looks at each line on its way out, of which no death is to double one.
struct Screen {
    lines: u32,
    ends: u32,
    /// Lines with sums, by what only they say.
    sums: [u32; SUMS.len()],
    /// Lines that say that a ring is closed.
    closed: u32,
}

/// What the lines with sums say, and how often there may be one: a device's, once each.
const SUMS: [(&str, u32); 3] = [
    (" accesses = ", MAX_DEVICES as u32),
    (" overwritten in the trace, ", 1),
    (", recorded by ", 1),
];
/// Rings of the VM: its own, the trace component's, and the one that the latter closes.
const RINGS: u32 = 3;

impl Output for Screen {
    fn write(&mut self, bytes: &[u8]) {
        let line = bytes.strip_suffix(b"\n").expect("one whole line");
        assert!(line.iter().all(|byte| (b' '..=b'~').contains(byte)));
        let text = std::str::from_utf8(line).expect("ASCII");
        let (stamp, rest) = text.split_once("] ").expect("a stamp");
        assert!(stamp.starts_with('['));
        // The name is the guest's own line's first word, or follows the severity.
        let name = match rest.strip_prefix(NAME) {
            // A line, or the beginning of one.
            Some(guest) => guest.starts_with("| ") || guest.starts_with("> "),
            None => rest.get(6..).is_some_and(|line| line.starts_with(NAME)),
        };
        assert!(name, "{text}");
        self.lines += 1;
        // A guest's own line says what it likes.
        if !rest.starts_with(NAME) {
            for ((words, most), count) in SUMS.iter().zip(&mut self.sums) {
                *count += u32::from(rest.contains(words));
                assert!(*count <= *most, "{text}");
            }
            self.closed += u32::from(rest.ends_with("; its ring is closed"));
            assert!(self.closed <= RINGS, "{text}");
        }
        self.ends += u32::from(
            rest.get(6..)
                .is_some_and(|line| line.starts_with("hostile: ended: ")),
        );
    }
}

pub(crate) fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let (log, text) = (RingPeer::new(&LOG), RingPeer::new(&TEXT));
    for (ring, kind, slots) in [
        (log, RingKind::Log, LOG_SLOTS),
        (text, RingKind::Console, CONSOLE_SLOTS),
    ] {
        ring.clear();
        let constants = [
            (header_word::MAGIC, MAGIC),
            (header_word::LAYOUT_VERSION, LAYOUT_VERSION),
            (header_word::SLOT_BYTES, SLOT_BYTES as u64),
            (header_word::SLOT_COUNT, slots as u64),
            (header_word::KIND_AND_VM, kind as u64),
        ];
        for (index, value) in constants {
            ring.header[index].store(value, Ordering::Relaxed);
        }
    }
    peer_memory::clear(page_words(&LOG_READER));
    peer_memory::clear(page_words(&TEXT_READER));
    let port = ConsolePort {
        log: &LOG,
        log_reader: &LOG_READER,
        text: &TEXT,
        text_reader: &TEXT_READER,
        input: &INPUT,
        input_reader: &INPUT_READER,
    };
    let kept = Box::into_raw(Box::<KeptConsole>::default());
    let init = || {
        // SAFETY: it was allocated above, and is freed below; of the components that are made in turn, the
        // last one alone is used.
        let kept = unsafe { &mut *kept };
        Console::init([(port, *CONFIG)], None, kept, CLOCK)
    };
    let mut console = init();
    let mut screen = Screen {
        lines: 0,
        ends: 0,
        sums: [0; SUMS.len()],
        closed: 0,
    };
    let mut machine = Machine(CLOCK.start_ticks);
    let mut clock = ChannelSet::EMPTY;
    clock.insert(channel::console::CLOCK);
    while !script.is_over() {
        match script.byte() % 7 {
            0 => log.poke(&mut script),
            1 => text.poke(&mut script),
            2 => log.push(plausible(&mut script)),
            3 => text.push(plausible(&mut script)),
            4 => machine.0 = machine.0.saturating_add(script.number()),
            // It dies while it has nothing to do.
            5 => console = init(),
            _ => console.notified(clock, &mut machine, &mut screen),
        }
    }
    console.notified(clock, &mut machine, &mut screen);
    assert_eq!(console.verdict().is_some(), screen.ends == 1);
    assert!(screen.ends <= 1);
    // SAFETY: as above.
    drop(unsafe { Box::from_raw(kept) });
}

/// A record whose kind exists.
fn plausible(script: &mut Script<'_>) -> [u64; PAYLOAD_WORDS] {
    let mut words = core::array::from_fn(|_| script.number());
    words[5] = u64::from(script.byte() % 13) | words[5] << 8;
    words
}
