//! The VMM, dead at every step of a guest's run: the guest runs on, sees what it would have seen, and
//! each of its accesses is recorded once.
//!
//! The guest is a script: its program counter says which instruction is next, and one that did not get
//! past is executed again, as on a machine. The trace component is a living one. Time passes only where
//! the script says. A guest that waits for an interrupt gets the clock's wake-ups; one that is held for
//! another reason gets them too, but that is counted: nobody's notification may be lost.

mod aarch64;
mod x86_64;

use crate::deaths::{self, Deaths};
use crate::fixtures::{StillHost, VmMemory, leak, only};
use guest_access::GuestPhysAddr;
use shared_ring::mortal;
use trace_records::{ConsoleRecord, Entry, Notice, StatePage};
use vm_components::{
    Channel, ChannelSet, Clock, Host, Intent, KeptTrace, Outcome, Trace, VcpuIs, VmmPorts, channel,
};
use vm_config::{AnyVdev, VmConfig};

const CLOCK: Clock = Clock {
    hz: 1_000_000,
    start_ticks: 5_000,
};
/// What is typed, before the guest begins.
const TYPED: &[u8; 4] = b"ok!?";
const MS: u64 = CLOCK.hz / 1000;

/// What the vCPU's registers are, of an architecture: a copy of all that the guest can see.
trait Registers: Clone + Default {
    fn pc(&self) -> u64;
    /// How often the guest was started, and how many exceptions it has taken. A part of the registers,
    /// so that what is done twice to the same effect counts once.
    fn counts(&mut self) -> &mut Counts;
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Counts {
    starts: usize,
    exceptions: u32,
}

/// What takes effect when the VMM has returned.
#[derive(Clone, Copy, PartialEq)]
enum Prepared {
    Run,
    Hold,
}

/// The machine: what survives the VMM's death, and what it has prepared.
struct Machine<R> {
    now: u64,
    notified: Vec<Channel>,
    ram: &'static std::cell::RefCell<Vec<u8>>,
    /// The vCPU's registers as they are.
    vcpu: R,
    running: bool,
    /// As they will be.
    image: R,
    prepared: Option<Prepared>,
    intent: Intent,
}

impl<R: Registers> Machine<R> {
    fn new(ram: &'static std::cell::RefCell<Vec<u8>>) -> Self {
        Self {
            now: CLOCK.start_ticks,
            notified: Vec::new(),
            ram,
            vcpu: R::default(),
            running: false,
            image: R::default(),
            prepared: None,
            intent: Intent::default(),
        }
    }

    fn set_intent(&mut self, intent: Intent) {
        mortal::step();
        self.intent = intent;
    }

    fn prepare(&mut self, prepared: Prepared) {
        mortal::step();
        self.prepared = Some(prepared);
    }

    /// The VMM has returned: what it has prepared takes effect, and then it notes that.
    fn take_effect(&mut self) {
        let Some(prepared) = self.prepared else {
            return;
        };
        mortal::step();
        self.vcpu = self.image.clone();
        self.running = prepared == Prepared::Run;
        mortal::step();
        self.prepared = None;
    }

    fn go_on(&mut self, outcome: Outcome, vcpu: VcpuIs) {
        mortal::step();
        if outcome == Outcome::Stands && self.prepared.is_some() {
            if vcpu == VcpuIs::Held {
                self.take_effect();
            }
            return;
        }
        self.prepared = None;
        self.image = self.vcpu.clone();
        self.running = vcpu == VcpuIs::Running;
    }

    fn in_ram(&self, address: GuestPhysAddr, len: usize) -> Option<std::ops::Range<usize>> {
        let first = usize::try_from(address.0.checked_sub(crate::fixtures::RAM)?).ok()?;
        let end = first.checked_add(len)?;
        (end <= self.ram.borrow().len()).then_some(first..end)
    }

    fn read(&mut self, address: GuestPhysAddr, bytes: &mut [u8]) -> bool {
        mortal::step();
        let place = self.in_ram(address, bytes.len());
        place.is_some_and(|place| {
            bytes.copy_from_slice(&self.ram.borrow()[place]);
            true
        })
    }

    fn write(&mut self, address: GuestPhysAddr, bytes: &[u8]) -> bool {
        mortal::step();
        let place = self.in_ram(address, bytes.len());
        place.is_some_and(|place| {
            self.ram.borrow_mut()[place].copy_from_slice(bytes);
            true
        })
    }
}

impl<R> Host for Machine<R> {
    fn now(&mut self) -> u64 {
        mortal::step();
        self.now
    }

    fn notify(&mut self, channel: Channel) {
        mortal::step();
        self.notified.push(channel);
    }
}

/// An architecture's guest, and the VMM for it.
trait Guest: 'static {
    type Registers: Registers;
    type Vmm;
    type Kept: Default;

    fn config() -> VmConfig<'static>;
    fn images() -> &'static [u8];
    fn init(
        config: VmConfig<'static>,
        ports: VmmPorts,
        kept: &'static mut Self::Kept,
        machine: &mut Machine<Self::Registers>,
    ) -> Self::Vmm;
    fn notified(vmm: &mut Self::Vmm, channels: ChannelSet, machine: &mut Machine<Self::Registers>);
    /// Executes the instruction at the program counter, which exits.
    fn exit(vmm: &mut Self::Vmm, machine: &mut Machine<Self::Registers>);
    /// What the guest does before the instruction at its program counter, for which it does not exit;
    /// any number of times with the same effect. How long it takes, if that is long.
    fn before(machine: &mut Machine<Self::Registers>) -> Option<u64>;
    /// Whether the guest waits for an interrupt by the instruction at its program counter.
    fn waits(registers: &Self::Registers) -> bool;
    /// The guest has got past an instruction: where it jumps, if it does.
    fn after(_: &mut Self::Registers) {}
    /// What of the registers is compared after each instruction.
    fn seen(registers: &Self::Registers) -> Vec<u64>;
}

/// All that is to be the same whoever dies.
#[derive(Debug, PartialEq, Default)]
struct Seen {
    /// By instruction: where it was, and the registers after it.
    instructions: Vec<(u64, Vec<u64>)>,
    /// Of the log and the trace ring. Which state a read has seen depends on how fast the trace component
    /// was, the value does not.
    log: Vec<Entry>,
    trace: Vec<Entry>,
    printed: String,
    notices: Vec<(Notice, u64)>,
    /// The words of each device's state.
    state: Vec<Vec<u32>>,
    counts: Counts,
    /// Wake-ups of the clock without which it would have stood still.
    helped: u32,
}

impl Seen {
    /// Nothing differs; what does first, is told.
    fn assert_same(&self, undisturbed: &Self, dead_at: &[u64]) {
        let pairs = self.instructions.iter().zip(&undisturbed.instructions);
        for (outcome, undisturbed) in pairs {
            assert_eq!(outcome, undisturbed, "dead at {dead_at:?}");
        }
        for (outcome, undisturbed) in [
            (&self.log, &undisturbed.log),
            (&self.trace, &undisturbed.trace),
        ] {
            for (outcome, undisturbed) in outcome.iter().zip(undisturbed) {
                assert_eq!(outcome, undisturbed, "dead at {dead_at:?}");
            }
        }
        assert_eq!(self, undisturbed, "dead at {dead_at:?}");
    }
}

struct Run<'a, G: Guest> {
    deaths: &'a mut Deaths,
    config: VmConfig<'static>,
    memory: &'static VmMemory,
    kept: *mut G::Kept,
    vmm: Option<G::Vmm>,
    machine: Machine<G::Registers>,
    trace: Trace,
}

impl<G: Guest> Run<'_, G> {
    fn revive(&mut self) {
        while self.vmm.is_none() {
            // SAFETY: whoever had a reference has died.
            let kept = unsafe { &mut *self.kept };
            let (config, ports, machine) =
                (self.config, self.memory.vmm_ports(), &mut self.machine);
            self.vmm = self.deaths.attempt(|| {
                let vmm = G::init(config, ports, kept, machine);
                machine.take_effect();
                vmm
            });
        }
    }

    /// The VMM handles an event; whoever was notified runs.
    fn event(&mut self, work: impl FnOnce(&mut G::Vmm, &mut Machine<G::Registers>)) {
        if let Some(mut vmm) = self.vmm.take() {
            let machine = &mut self.machine;
            let done = self.deaths.attempt(|| {
                work(&mut vmm, machine);
                machine.take_effect();
            });
            self.vmm = done.map(|()| vmm);
        }
        self.revive();
        self.deliver();
    }

    fn deliver(&mut self) {
        let notified = std::mem::take(&mut self.machine.notified);
        if notified.contains(&channel::vmm::TRACE) {
            self.run_trace(channel::trace::vmm(0));
        }
    }

    fn run_trace(&mut self, channel: Channel) {
        let mut host = StillHost::at(self.machine.now);
        self.trace.notified(only(channel), &mut host);
        if host.notified.contains(&channel::trace::vmm(0)) {
            self.event(|vmm, machine| G::notified(vmm, only(channel::vmm::TRACE), machine));
        }
    }

    fn wake_up(&mut self) {
        self.run_trace(channel::trace::CLOCK);
        self.event(|vmm, machine| G::notified(vmm, only(channel::vmm::CLOCK), machine));
    }

    fn run(&mut self, seen: &mut Seen) {
        let (mut wakes, mut computed_at) = (0, None);
        self.revive();
        self.deliver();
        while wakes < 5 {
            if !self.machine.running {
                wakes += 1;
                self.wake_up();
                continue;
            }
            let at = (self.machine.vcpu.counts().starts, self.machine.vcpu.pc());
            if let Some(ms) = G::before(&mut self.machine)
                && computed_at.replace(at) != Some(at)
            {
                for _ in 0..ms / 100 {
                    self.machine.now += 100 * MS;
                    self.wake_up();
                }
            }
            self.event(|vmm, machine| {
                machine.running = false;
                machine.image = machine.vcpu.clone();
                G::exit(vmm, machine);
            });
            // What it is held for, somebody has to answer.
            for _ in 0..5 {
                if self.machine.running {
                    break;
                }
                seen.helped += u32::from(!G::waits(&self.machine.vcpu));
                self.wake_up();
            }
            let vcpu = &mut self.machine.vcpu;
            if (vcpu.counts().starts, vcpu.pc()) != at {
                seen.instructions.push((at.1, G::seen(vcpu)));
                G::after(vcpu);
                wakes = 0;
            }
        }
    }
}

/// Runs the guest until it does nothing any more.
fn run<G: Guest>(
    deaths: &mut Deaths,
    memory: &'static VmMemory,
    ram: &'static std::cell::RefCell<Vec<u8>>,
) -> Seen {
    memory.clear();
    let mut input = memory.input_producer();
    assert!(TYPED.iter().all(|byte| input.append(*byte)));
    input.publish();
    ram.borrow_mut().fill(0);
    let config = G::config();
    let of_trace = Box::into_raw(Box::<KeptTrace>::default());
    // SAFETY: it was made above, and nobody else has a reference.
    let kept = unsafe { &mut *of_trace };
    let of_vmm = Box::into_raw(Box::<G::Kept>::default());
    let mut seen = Seen::default();
    let mut run = Run::<G> {
        deaths,
        config,
        memory,
        kept: of_vmm,
        vmm: None,
        machine: Machine::new(ram),
        trace: Trace::init(
            [(memory.trace_port(), config)],
            kept,
            CLOCK,
            CLOCK.start_ticks,
        ),
    };
    run.run(&mut seen);
    seen.counts = run.machine.vcpu.counts().clone();
    drop(run);
    // SAFETY: the VMM, which was the last to have a reference, is gone.
    drop(unsafe { Box::from_raw(of_vmm) });
    // SAFETY: and so is the trace component.
    drop(unsafe { Box::from_raw(of_trace) });
    look(memory, &config, &mut seen);
    seen
}

/// Reads what has come of the run.
fn look(memory: &VmMemory, config: &VmConfig<'_>, seen: &mut Seen) {
    let entry = |words: &_| {
        let mut entry = Entry::from_words(words).expect("a record");
        if let Entry::Event(_, record) = &mut entry {
            record.state_seen = 0;
        }
        entry
    };
    let mut log = memory.log_consumer();
    seen.log = std::iter::from_fn(|| log.pop())
        .map(|item| entry(&item.payload))
        .collect();
    let mut trace = memory.trace_observer();
    seen.trace = std::iter::from_fn(|| trace.observe())
        .map(|observation| match observation {
            shared_ring::Observation::Record(_, words) => entry(&words),
            shared_ring::Observation::Lost(lost) => panic!("{lost} records lost"),
        })
        .collect();
    let mut text = memory.text_consumer();
    while let Some(item) = text.pop() {
        match ConsoleRecord::from_words(&item.payload) {
            Some(ConsoleRecord::Text(text)) => {
                let text = std::str::from_utf8(text.bytes()).expect("ASCII");
                seen.printed.push_str(text);
            }
            Some(ConsoleRecord::Notice { notice, number, .. }) => {
                seen.notices.push((notice, number));
            }
            other => panic!("{other:?}"),
        }
    }
    let state: &StatePage = memory.state;
    let words = config.devices().enumerate().map(|(number, device)| {
        let mut words = vec![0; device.vdev.word_count()];
        match &mut words[..] {
            [] => {}
            [word] => *word = state.read(number).value,
            words => assert!(state.read_several(number, words).is_some(), "{number}"),
        }
        words
    });
    seen.state = words.collect();
}

fn memory() -> (&'static VmMemory, &'static std::cell::RefCell<Vec<u8>>) {
    let ram = std::cell::RefCell::new(vec![0; 0x20_0000]);
    (leak(VmMemory::new()), leak(ram))
}

/// The guest's run with a death at each step. Returns the undisturbed one's outcome and its steps.
fn dead_at_every_step<G: Guest>() -> (Seen, u64) {
    let (memory, ram) = memory();
    let steps = deaths::once(
        |deaths| run::<G>(deaths, memory, ram),
        |undisturbed, outcome, step| outcome.assert_same(undisturbed, &[step]),
    );
    (run::<G>(&mut Deaths::none(), memory, ram), steps)
}

/// The same with a second death soon after each.
fn dead_twice<G: Guest>() {
    let (memory, ram) = memory();
    let seconds = [0, 2, 5, 11, 23];
    deaths::twice(
        |deaths| run::<G>(deaths, memory, ram),
        seconds.into_iter(),
        |undisturbed, outcome, steps| outcome.assert_same(undisturbed, &steps),
    );
}
