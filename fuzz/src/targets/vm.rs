//! A VM without a CPU, for the targets that feed its VMM.
//!
//! Invariant: the machine writes its RAM only where there is some, and the VMM that has a
//! reference to the image is gone before the image is.

use crate::peer_memory::{self, RingPeer, page_words, state_words};
use a64_guest::stage1::Regime;
use guest_trap::{Gpr, GuestPhysAddr};
use shared_ring::{ConsumerPage, Observation, Observer, Ordering, RingMemory, header_word};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use trace_records::{ACCESS_SLOTS, CONSOLE_SLOTS, ConsoleRecord, Kind, Notice, Record, StatePage};
use vm_components::{
    A64, A64Machine, Channel, Clock, GuestException, Host, Machine, StackPointer, Vmm, VmmPorts,
};
use vm_config::{
    Action, Contents, Device, DeviceKind, RamRange, SeverityMask, Trace as TraceOptions,
    Unsupported, VmConfig, encode,
};

const CLOCK: Clock = Clock {
    hz: 1000,
    start_ticks: 10,
};
/// Where the trace device is, and behind it the serial port.
pub(crate) const LOC: u64 = 0xfa00_0000;
pub(crate) const UART: u64 = 0x0900_0000;
pub(crate) const RAM: RamRange = RamRange {
    base: 0x4000_0000,
    len_bytes: 0x8000,
};

pub(crate) static ACCESS: RingMemory<ACCESS_SLOTS> = RingMemory::new();
pub(crate) static ACCESS_READER: ConsumerPage = ConsumerPage::new();
pub(crate) static STATE: StatePage = StatePage::new();
pub(crate) static TEXT: RingMemory<CONSOLE_SLOTS> = RingMemory::new();
pub(crate) static TEXT_READER: ConsumerPage = ConsumerPage::new();

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MachineState {
    Running,
    Held,
}

pub(crate) struct VirtualMachine {
    pub now: u64,
    pub gprs: [u64; 31],
    pub stack_pointers: [u64; 2],
    /// `None` on a platform that has no way to them.
    pub vectors: Option<[u128; 32]>,
    pub pstate: u64,
    pub stage1: Regime,
    pub fault_address: Option<u64>,
    pub state: MachineState,
    pub pc: u64,
    pub starts: u32,
    pub ram: Vec<u8>,
}

impl Host for VirtualMachine {
    fn now(&mut self) -> u64 {
        self.now
    }

    fn notify(&mut self, _: Channel) {}
}

impl Machine for VirtualMachine {
    fn proceed(&mut self, pc: u64) {
        self.pc = pc;
        self.state = MachineState::Running;
    }

    fn hold(&mut self) {
        self.state = MachineState::Held;
    }

    fn read_ram(&mut self, address: GuestPhysAddr, bytes: &mut [u8]) -> bool {
        let Some(range) = ram_range(address, bytes.len()) else {
            return false;
        };
        bytes.copy_from_slice(&self.ram[range]);
        true
    }

    fn write_ram(&mut self, address: GuestPhysAddr, bytes: &[u8]) -> bool {
        let Some(range) = ram_range(address, bytes.len()) else {
            return false;
        };
        self.ram[range].copy_from_slice(bytes);
        true
    }

    fn clear_ram(&mut self) {
        self.ram.fill(0);
    }
}

impl A64Machine for VirtualMachine {
    fn gpr(&mut self, register: Gpr) -> u64 {
        self.gprs[register.number()]
    }

    fn set_gpr(&mut self, register: Gpr, value: u64) {
        self.gprs[register.number()] = value;
    }

    fn stack_pointer(&mut self, which: StackPointer) -> u64 {
        self.stack_pointers[which as usize]
    }

    fn set_stack_pointer(&mut self, which: StackPointer, value: u64) {
        self.stack_pointers[which as usize] = value;
    }

    fn vector(&mut self, number: u8) -> Option<u128> {
        Some(self.vectors?[usize::from(number)])
    }

    fn set_vector(&mut self, number: u8, value: u128) {
        let vectors = self.vectors.as_mut();
        vectors.expect("only where there is a way to them")[usize::from(number)] = value;
    }

    fn pstate(&mut self) -> u64 {
        self.pstate
    }

    fn stage1(&mut self) -> Regime {
        self.stage1
    }

    fn fault_address(&mut self) -> Option<u64> {
        self.fault_address
    }

    fn resume(&mut self, pc: u64, result: Option<(Gpr, u64)>) {
        if let Some((register, value)) = result {
            self.gprs[register.number()] = value;
        }
        self.proceed(pc);
    }

    fn inject(&mut self, _: GuestException) {
        self.state = MachineState::Running;
    }

    fn start(&mut self, entry: u64, _: u64, _: u64) {
        self.starts += 1;
        self.pc = entry;
        self.state = MachineState::Running;
    }
}

fn ram_range(address: GuestPhysAddr, len: usize) -> Option<core::ops::Range<usize>> {
    let first = address.0.checked_sub(RAM.base)?;
    let end = first.checked_add(len as u64)?;
    (end <= RAM.len_bytes).then_some(first as usize..end as usize)
}

/// A configuration for each action that the policies can have.
static CONFIGS: LazyLock<[VmConfig<'static>; 3]> =
    LazyLock::new(|| [Action::Ignore, Action::Fail, Action::Abort].map(config));

fn config(action: Action) -> VmConfig<'static> {
    let device = |name, loc, kind| Device {
        name,
        loc,
        severities: None,
        kind,
    };
    let trace = DeviceKind::Trace(TraceOptions {
        emit_logger: true,
        emit_trace: None,
    });
    let contents = Contents {
        vm: 0,
        name: "vm",
        load_name: "guest",
        image_len_bytes: 1,
        cmdline: "word",
        logger: SeverityMask::default(),
        unsupported: Unsupported {
            instruction: action,
            reference: action,
            register: action,
        },
        ram: &[RAM],
        devices: &[
            device("a", LOC, trace),
            device("uart", UART, DeviceKind::Pl011),
        ],
    };
    let blob = encode(&contents).expect("a configuration that the rules allow");
    VmConfig::parse(Box::leak(Box::new(blob))).expect("it was encoded")
}

/// A VMM and its machine, and who looks at what they tell.
pub(crate) struct Vm {
    pub vmm: Option<Vmm<A64>>,
    pub machine: VirtualMachine,
    image: *mut [u8],
    accesses: Observer<ACCESS_SLOTS>,
    texts: Observer<CONSOLE_SLOTS>,
    _turn: MutexGuard<'static, ()>,
}

/// Whose turn it is with the memory above: there may be several targets and threads.
static TURN: Mutex<()> = Mutex::new(());

/// Zeroes all that the VMM shares, as it is before anybody starts.
fn clear() {
    RingPeer::new(&ACCESS).clear();
    RingPeer::new(&TEXT).clear();
    peer_memory::clear(page_words(&ACCESS_READER));
    peer_memory::clear(page_words(&TEXT_READER));
    peer_memory::clear(state_words(&STATE));
}

impl Vm {
    /// Loads `image`; unsupported things are ignored.
    pub(crate) fn start(image: &[u8]) -> Self {
        Self::with(image, 0)
    }

    /// Loads `image`; what is not supported is ignored (0), an exception (1), or the end (2).
    pub(crate) fn with(image: &[u8], action: usize) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        clear();
        let image = Box::into_raw(image.to_vec().into_boxed_slice());
        // SAFETY: it was allocated above, and `drop` frees it after the VMM.
        let shared: &'static [u8] = unsafe { &*image };
        let ports = VmmPorts {
            access: &ACCESS,
            access_reader: &ACCESS_READER,
            state: &STATE,
            console: &TEXT,
            console_reader: &TEXT_READER,
        };
        let mut machine = VirtualMachine {
            now: CLOCK.start_ticks,
            gprs: [0; 31],
            stack_pointers: [0; 2],
            vectors: Some([0; 32]),
            pstate: 0x3c5,
            stage1: Regime {
                sctlr: 0,
                tcr: 0,
                ttbr0: 0,
                ttbr1: 0,
            },
            fault_address: None,
            state: MachineState::Held,
            pc: 0,
            starts: 0,
            ram: vec![0; RAM.len_bytes as usize],
        };
        let vmm = Vmm::init(CONFIGS[action], shared, ports, CLOCK, &mut machine);
        Self {
            vmm: Some(vmm),
            machine,
            image,
            accesses: Observer::new(&ACCESS),
            texts: Observer::new(&TEXT),
            _turn: turn,
        }
    }

    /// The trace component and the console read all that is there.
    pub(crate) fn drain(&mut self) -> u32 {
        for (ring, page) in [
            (RingPeer::new(&ACCESS), page_words(&ACCESS_READER)),
            (RingPeer::new(&TEXT), page_words(&TEXT_READER)),
        ] {
            let head = ring.header[header_word::HEAD].load(Ordering::Relaxed);
            page[peer_memory::TAIL].store(head, Ordering::Relaxed);
        }
        self.ends()
    }

    /// How often the VMM told of the VM's end since this was last asked.
    pub(crate) fn ends(&mut self) -> u32 {
        let mut ends = 0;
        while let Some(observation) = self.accesses.observe() {
            if let Observation::Record(_, payload) = observation {
                ends += u32::from(Record::from_words(&payload).tag.kind() == Some(Kind::End));
            }
        }
        while let Some(observation) = self.texts.observe() {
            if let Observation::Record(_, payload) = observation {
                ends += u32::from(matches!(
                    ConsoleRecord::from_words(&payload),
                    Some(ConsoleRecord::Notice {
                        notice: Notice::Ended(_),
                        ..
                    })
                ));
            }
        }
        ends
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        self.vmm = None;
        // SAFETY: `with` allocated it, and the VMM was the only one to refer to it.
        drop(unsafe { Box::from_raw(self.image) });
    }
}
