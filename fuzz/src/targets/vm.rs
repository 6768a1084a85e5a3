//! A VM without a CPU, for the targets that feed its VMM.
//!
//! Invariant: the machine writes its RAM only where there is some, and the VMM that has a
//! reference to the images and the configuration is gone before they are.

use crate::peer_memory::{self, RingPeer, page_words, state_words};
use guest_access::GuestPhysAddr;
use shared_ring::{
    ConsumerPage, InputMemory, InputReader, Observation, Observer, Ordering, RingMemory,
    header_word,
};
use std::sync::{Mutex, MutexGuard, PoisonError};
use trace_records::{ACCESS_SLOTS, CONSOLE_SLOTS, ConsoleRecord, Kind, Notice, Record, StatePage};
use vm_components::{Channel, Clock, Host, Machine, VmmPorts};
use vm_config::{
    Action, AddressSpace, AnyVdev, Contents, Device, Emit, Image, Options, RamRange, SeverityMask,
    TraceNumber, Unsupported, Vdev, VmConfig, encode,
};

pub(crate) const CLOCK: Clock = Clock {
    hz: 1000,
    start_ticks: 10,
};
/// Where the trace device is.
pub(crate) const LOC: u64 = 0xfa00_0000;
/// Between the devices of [`every_kind`], of which the first has number 1.
pub(crate) const APART: u64 = 0x1000;
pub(crate) const RAM: RamRange = RamRange {
    base: 0x4000_0000,
    len_bytes: 0x8000,
};

/// An image of which nothing goes into RAM.
pub(crate) const GUEST: Image<'static> = Image {
    name: "guest",
    len_bytes: 1,
    crc32: None,
};

pub(crate) static ACCESS: RingMemory<ACCESS_SLOTS> = RingMemory::new();
pub(crate) static ACCESS_READER: ConsumerPage = ConsumerPage::new();
pub(crate) static STATE: StatePage = StatePage::new();
pub(crate) static TEXT: RingMemory<CONSOLE_SLOTS> = RingMemory::new();
pub(crate) static TEXT_READER: ConsumerPage = ConsumerPage::new();
static INPUT: InputMemory = InputMemory::new();
static INPUT_READER: InputReader = InputReader::new();

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MachineState {
    Running,
    Held,
}

/// What a target knows of an architecture: its CPU, and the VMM for guests with one.
pub(crate) trait Cpu: Sized + 'static {
    type Vmm;
    /// What the VMM leaves to the next.
    type Kept: Default + 'static;

    /// A configuration for each action that the policies can have: ignore, fail, abort.
    fn configs() -> &'static [VmConfig<'static>; 3];

    /// As it is before a VM starts.
    fn reset() -> Self;

    fn init(
        config: VmConfig<'static>,
        images: &'static [u8],
        ports: VmmPorts,
        kept: &'static mut Self::Kept,
        machine: &mut VirtualMachine<Self>,
    ) -> Self::Vmm;
}

/// All of a VM but its RAM, which is static: at most one lives at a time.
pub(crate) struct VirtualMachine<C> {
    pub now: u64,
    pub state: MachineState,
    pub pc: u64,
    pub starts: u32,
    pub cpu: C,
}

impl<C> Host for VirtualMachine<C> {
    fn now(&mut self) -> u64 {
        self.now
    }

    fn notify(&mut self, _: Channel) {}
}

impl<C> Machine for VirtualMachine<C> {
    fn proceed(&mut self, pc: u64) {
        self.pc = pc;
        self.state = MachineState::Running;
    }

    fn hold(&mut self) {
        self.state = MachineState::Held;
    }

    fn read_ram(&mut self, address: GuestPhysAddr, bytes: &mut [u8]) -> bool {
        read_ram(address, bytes)
    }

    fn write_ram(&mut self, address: GuestPhysAddr, bytes: &[u8]) -> bool {
        let Some(range) = ram_range(address, bytes.len()) else {
            return false;
        };
        ram()[range].copy_from_slice(bytes);
        true
    }

    fn clear_ram(&mut self) {
        ram().fill(0);
    }
}

impl<C> VirtualMachine<C> {
    /// The guest starts.
    pub(crate) fn begin(&mut self, entry: u64) {
        self.starts += 1;
        self.proceed(entry);
    }
}

const RAM_BYTES: usize = RAM.len_bytes as usize;

/// The RAM of the one VM that lives.
fn ram() -> MutexGuard<'static, [u8; RAM_BYTES]> {
    static MEMORY: Mutex<[u8; RAM_BYTES]> = Mutex::new([0; RAM_BYTES]);
    MEMORY.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn read_ram(address: GuestPhysAddr, bytes: &mut [u8]) -> bool {
    let Some(range) = ram_range(address, bytes.len()) else {
        return false;
    };
    bytes.copy_from_slice(&ram()[range]);
    true
}

fn ram_range(address: GuestPhysAddr, len: usize) -> Option<core::ops::Range<usize>> {
    let first = address.0.checked_sub(RAM.base)?;
    let end = first.checked_add(len as u64)?;
    (end <= RAM.len_bytes).then_some(first as usize..end as usize)
}

/// A configuration for each action that the policies can have, with this serial port.
pub(crate) fn configs(port: u64, serial: Vdev) -> [VmConfig<'static>; 3] {
    [Action::Ignore, Action::Fail, Action::Abort].map(|action| config(action, port, serial))
}

/// A device of this kind in its usual address space, of whose accesses nobody is told.
pub(crate) fn silent(vdev: Vdev, name: &str, loc: u64) -> Device<'_> {
    Device {
        name,
        vdev,
        space: vdev.kind().spaces[0],
        loc,
        severities: None,
        emit: Emit::default(),
        options: Options::NONE,
    }
}

/// A device of each kind in the list, with these and the following events. Number n of them is n times
/// [`APART`] behind [`LOC`], or behind port 0.
pub(crate) fn every_kind(first_event: u16, step: u16) -> Vec<Device<'static>> {
    let devices = (1..).zip(Vdev::ALL).map(|(number, vdev)| {
        let name = Box::leak(format!("k{number}").into_boxed_str());
        let base = match vdev.kind().spaces[0] {
            AddressSpace::Memory => LOC,
            AddressSpace::Ports => 0,
        };
        let event = first_event + step * (number as u16 - 1);
        Device {
            emit: Emit {
                logger: true,
                trace: TraceNumber::new(event),
            },
            ..silent(*vdev, name, base + APART * number)
        }
    });
    devices.collect()
}

fn config(action: Action, port: u64, serial: Vdev) -> VmConfig<'static> {
    let logged = Device {
        emit: Emit {
            logger: true,
            trace: None,
        },
        ..silent(Vdev::Trace, "a", LOC)
    };
    let devices = [logged, silent(serial, "uart", port)];
    let contents = Contents {
        vm: 0,
        name: "vm",
        machine: None,
        images: &[GUEST],
        pieces: &[],
        entry: RAM.base,
        device_tree: None,
        cmdline: "word",
        logger: SeverityMask::default(),
        unsupported: Unsupported {
            instruction: action,
            reference: action,
            register: action,
        },
        ram: &[RAM],
        rom: &[],
        devices: &[&devices[..], &every_kind(1, 1)].concat(),
    };
    let blob = encode(&contents).expect("a configuration that the rules allow");
    VmConfig::parse(Box::leak(Box::new(blob))).expect("it was encoded")
}

/// A VMM and its machine, and who looks at what they tell.
pub(crate) struct Vm<C: Cpu> {
    vmm: Option<C::Vmm>,
    pub machine: VirtualMachine<C>,
    /// What the VMM refers to and nobody else, as far as it was made for this VM.
    lent: Vec<*mut [u8]>,
    /// What the VMM would leave to the next: it is lent as well.
    kept: *mut C::Kept,
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

impl<C: Cpu> Vm<C> {
    /// What is not supported is ignored (0), an exception (1), or the end (2).
    pub(crate) fn with(action: usize) -> Self {
        Self::of(C::configs()[action], &[], Vec::new())
    }

    /// A VM of this compiled configuration, whose images have these bytes; `None` if it is none.
    pub(crate) fn of_blob(blob: &[u8], images: &[u8]) -> Option<Self> {
        VmConfig::parse(blob).ok()?;
        let lent = [blob, images].map(|bytes| Box::into_raw(bytes.to_vec().into_boxed_slice()));
        // SAFETY: they were allocated above, and `drop` frees them after the VMM.
        let [blob, images] = lent.map(|bytes| -> &'static [u8] { unsafe { &*bytes } });
        let config = VmConfig::parse(blob).expect("it was one");
        Some(Self::of(config, images, lent.to_vec()))
    }

    fn of(config: VmConfig<'static>, images: &'static [u8], lent: Vec<*mut [u8]>) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        clear();
        let ports = VmmPorts {
            access: &ACCESS,
            access_reader: &ACCESS_READER,
            state: &STATE,
            console: &TEXT,
            console_reader: &TEXT_READER,
            input: &INPUT,
            input_reader: &INPUT_READER,
        };
        let mut machine = VirtualMachine {
            now: CLOCK.start_ticks,
            state: MachineState::Held,
            pc: 0,
            starts: 0,
            cpu: C::reset(),
        };
        machine.clear_ram();
        let kept = Box::into_raw(Box::<C::Kept>::default());
        // SAFETY: it was allocated above, the VMM alone refers to it, and `drop` frees it after that.
        let lent_to_vmm = unsafe { &mut *kept };
        let vmm = C::init(config, images, ports, lent_to_vmm, &mut machine);
        Self {
            vmm: Some(vmm),
            machine,
            lent,
            kept,
            accesses: Observer::new(&ACCESS),
            texts: Observer::new(&TEXT),
            _turn: turn,
        }
    }

    /// The VMM, and the machine that it works on.
    pub(crate) fn parts(&mut self) -> (&mut C::Vmm, &mut VirtualMachine<C>) {
        let vmm = self.vmm.as_mut();
        (
            vmm.expect("it lives until the VM is dropped"),
            &mut self.machine,
        )
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

impl<C: Cpu> Drop for Vm<C> {
    fn drop(&mut self) {
        self.vmm = None;
        for bytes in self.lent.drain(..) {
            // SAFETY: `of_blob` allocated it, and the VMM was the only one to refer to it.
            drop(unsafe { Box::from_raw(bytes) });
        }
        // SAFETY: `of` allocated it, and the VMM was the only one to refer to it.
        drop(unsafe { Box::from_raw(self.kept) });
    }
}
