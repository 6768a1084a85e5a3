//! A guest of aarch64: described accesses, wide, narrow and held; instructions that write back, pairs,
//! what is asked, accesses that nothing answers, calls, waits, characters, a reset, the end. And one that does
//! to a device of every kind in the list what its tables say.

use super::{Counts, Guest, Machine, Prepared, Registers, dead_at_every_step, dead_twice};
use crate::fixtures::every_kind::{accesses, of_every_kind};
use crate::fixtures::{LOC, PC, compiled, contents, device, emit, leak, piece, trace_device};
use a64_guest::pstate::ByteOrder;
use a64_guest::stage1::Regime;
use guest_access::{Direction, Gpr, GuestPhysAddr};
use shared_ring::mortal;
use std::marker::PhantomData;
use std::sync::OnceLock;
use vm_components::{
    A64, A64Machine, ChannelSet, Exit, GuestException, Intent, InterruptOutput, KeptVmm, Outcome,
    StackPointer, VcpuIs, Vmm, VmmPorts,
};
use vm_config::{AnyVdev, Contents, Device, VmConfig};

const UART: u64 = 0x0900_0000;
const SECOND: u64 = LOC + 0x1000;
/// A device of several words: two that read back, and what follows from them.
const ADDER: u64 = LOC + 0x2000;
/// One that is asked.
const FIFO: u64 = LOC + 0x3000;

/// What a guest does: after its first start, and after the second; and the devices of its VM.
trait Script: 'static {
    fn programs() -> [&'static [Instruction]; 2];
    fn devices() -> Vec<Device<'static>>;
}

/// An instruction: its code, what the CPU reports when it exits, and what the guest did before it.
struct Instruction {
    code: u32,
    syndrome: u64,
    address: u64,
    /// A register and what the guest has put there.
    set: (usize, u64),
    /// How long the guest computes before it, in milliseconds.
    computes: u64,
}

const fn instruction(syndrome: u64, address: u64, set: (usize, u64)) -> Instruction {
    Instruction {
        code: 0xd503_201f,
        syndrome,
        address,
        set,
        computes: 0,
    }
}

/// A data abort that describes the access, of 2^log2 bytes, from or to w2.
const fn access(address: u64, log2: u64, write: u64, value: u64) -> Instruction {
    let described = 1 << 24 | log2 << 22 | 2 << 16 | write << 6;
    instruction(0x24 << 26 | described | 0b111, address, (2, value))
}

const fn read(address: u64, log2: u64) -> Instruction {
    access(address, log2, 0, 0)
}

/// One that describes nothing: the code says it.
const fn undescribed(code: u32, write: u64, set: (usize, u64)) -> Instruction {
    Instruction {
        code,
        ..instruction(0x24 << 26 | write << 6 | 0b111, LOC, set)
    }
}

const fn call(function: u64) -> Instruction {
    instruction(0x16 << 26, 0, (0, function))
}

const fn character(character: u8) -> Instruction {
    access(UART, 2, 1, character as u64)
}

const WFI: u64 = 0x01 << 26;

/// What the guest runs after its first start, and after the second.
const PROGRAMS: [&[Instruction]; 2] = [
    &[
        access(LOC, 2, 1, 0x1122_3344),
        read(LOC, 2),
        access(LOC + 2, 0, 1, 0xaa),
        read(LOC, 2),
        read(LOC + 1, 0),
        // ldr w1, [x3], #4
        undescribed(0xb840_4461, 0, (3, LOC)),
        // str w2, [x6], #4
        undescribed(0xb800_44c2, 1, (6, LOC)),
        // ldp w1, w7, [x5]: the second is beside the device.
        undescribed(0x2940_1ca1, 0, (5, LOC)),
        // ldr w1, [sp], #4
        undescribed(0xb840_47e1, 0, (8, 0)),
        // Wider than the device.
        access(LOC, 3, 1, 7),
        // Nothing is there.
        read(0xfb00_0000, 2),
        access(SECOND, 1, 1, 0xbeef),
        read(SECOND, 2),
        access(ADDER, 2, 1, 30),
        access(ADDER + 4, 2, 1, 12),
        read(ADDER, 2),
        read(ADDER + 8, 2),
        access(FIFO, 2, 1, 7),
        access(FIFO, 2, 1, 8),
        access(FIFO, 2, 1, 9),
        read(FIFO, 2),
        // ldp w1, w7, [x5]: the oldest number, and how many are left.
        Instruction {
            address: FIFO,
            ..undescribed(0x2940_1ca1, 0, (5, FIFO))
        },
        // The receiver is enabled, and two characters are read; the third has come in by then.
        access(UART + 0x30, 2, 1, 0x301),
        read(UART, 2),
        read(UART, 2),
        character(b'h'),
        character(b'i'),
        character(b'\n'),
        character(b'!'),
        instruction(WFI, 0, (9, 9)),
        // Unknown, and CPU_SUSPEND.
        call(0x8600_0000),
        call(0x8400_0001),
        Instruction {
            computes: 1_200,
            ..read(LOC, 2)
        },
        // SYSTEM_RESET.
        call(0x8400_0009),
    ],
    &[
        read(LOC, 2),
        access(LOC, 2, 1, 5),
        character(b'?'),
        access(UART + 0x30, 2, 1, 0x301),
        read(UART, 2),
        read(UART, 2),
        // SYSTEM_OFF.
        call(0x8400_0008),
    ],
];

#[derive(Debug, Clone, Default)]
pub struct Vcpu {
    gprs: [u64; 31],
    stack_pointers: [u64; 2],
    pstate: u64,
    pc: u64,
    counts: Counts,
}

impl Registers for Vcpu {
    fn pc(&self) -> u64 {
        self.pc
    }

    fn counts(&mut self) -> &mut Counts {
        &mut self.counts
    }
}

/// [`PROGRAMS`].
struct Everything;

impl Script for Everything {
    fn programs() -> [&'static [Instruction]; 2] {
        PROGRAMS
    }

    fn devices() -> Vec<Device<'static>> {
        let second = Device {
            name: "trace1",
            loc: SECOND,
            ..trace_device(true, Some(13))
        };
        let emits = |device, event| Device {
            emit: emit(true, Some(event)),
            ..device
        };
        vec![
            trace_device(true, Some(12)),
            second,
            emits(device("adder", ADDER), 14),
            emits(device("fifo-tester", FIFO), 15),
            emits(device("pl011", UART), 16),
        ]
    }
}

/// What the tables of the kinds in memory allow and refuse, then SYSTEM_RESET; and SYSTEM_OFF.
struct EveryKind;

impl Script for EveryKind {
    fn programs() -> [&'static [Instruction]; 2] {
        static ALL: OnceLock<Vec<Instruction>> = OnceLock::new();
        let all = ALL.get_or_init(|| {
            let of_device = |device: Device<'_>| {
                let accesses = accesses(device.vdev.kind()).into_iter();
                accesses.map(move |it| {
                    let write = u64::from(it.direction == Direction::Write);
                    let log2 = it.width.log2().into();
                    access(device.loc + it.offset, log2, write, it.value.into())
                })
            };
            let devices = Self::devices().into_iter();
            devices
                .flat_map(of_device)
                .chain([call(0x8400_0009)])
                .collect()
        });
        [all, const { &[call(0x8400_0008)] }]
    }

    fn devices() -> Vec<Device<'static>> {
        of_every_kind(LOC, None)
    }
}

fn at<S: Script>(vcpu: &Vcpu) -> &'static Instruction {
    let program = S::programs()[vcpu.counts.starts - 1];
    &program[(vcpu.pc - PC) as usize / 4]
}

struct A64Guest<S>(PhantomData<S>);

impl<S: Script> Guest for A64Guest<S> {
    type Registers = Vcpu;
    type Vmm = Vmm<A64>;
    type Kept = KeptVmm<A64>;

    fn config() -> VmConfig<'static> {
        let pieces = [piece(PC, Self::images())];
        compiled(&Contents {
            machine: Some(183),
            pieces: &pieces,
            entry: PC,
            devices: &S::devices(),
            ..contents()
        })
    }

    fn images() -> &'static [u8] {
        let words = S::programs()[0].iter().map(|instruction| instruction.code);
        leak(words.flat_map(u32::to_le_bytes).collect::<Vec<_>>())
    }

    fn init(
        config: VmConfig<'static>,
        ports: VmmPorts,
        kept: &'static mut KeptVmm<A64>,
        machine: &mut Machine<Vcpu>,
    ) -> Vmm<A64> {
        Vmm::init(config, Self::images(), ports, kept, super::CLOCK, machine)
    }

    fn notified(vmm: &mut Vmm<A64>, channels: ChannelSet, machine: &mut Machine<Vcpu>) {
        vmm.notified(channels, machine);
    }

    fn exit(vmm: &mut Vmm<A64>, machine: &mut Machine<Vcpu>) {
        let instruction = at::<S>(&machine.vcpu);
        // The CPU is behind an HVC when that exits.
        let is_call = instruction.syndrome == 0x16 << 26;
        let exit = Exit {
            syndrome: instruction.syndrome,
            address: GuestPhysAddr(instruction.address),
            pc: machine.vcpu.pc + 4 * u64::from(is_call),
        };
        vmm.fault(exit, machine);
    }

    fn before(machine: &mut Machine<Vcpu>) -> Option<u64> {
        let instruction = at::<S>(&machine.vcpu);
        let (register, value) = instruction.set;
        machine.vcpu.gprs[register] = value;
        machine.vcpu.stack_pointers[1] = LOC;
        (instruction.computes != 0).then_some(instruction.computes)
    }

    fn waits(registers: &Vcpu) -> bool {
        let Instruction { syndrome, set, .. } = at::<S>(registers);
        // WFI, CPU_SUSPEND, and SYSTEM_OFF, after which nothing comes.
        *syndrome == WFI || [(0, 0x8400_0001), (0, 0x8400_0008)].contains(set)
    }

    fn seen(registers: &Vcpu) -> Vec<u64> {
        let sp = registers.stack_pointers;
        [&registers.gprs[..], &sp, &[registers.pstate]].concat()
    }
}

impl vm_components::Machine for Machine<Vcpu> {
    fn intend(&mut self, intent: Intent) {
        self.set_intent(intent);
    }

    fn intent(&self) -> Intent {
        self.intent
    }

    fn recover(&mut self, outcome: Outcome, vcpu: VcpuIs) {
        self.go_on(outcome, vcpu);
    }

    fn proceed(&mut self, pc: u64) {
        self.resume(pc, None);
    }

    fn hold(&mut self) {
        self.prepare(Prepared::Hold);
    }

    fn read_ram(&mut self, address: GuestPhysAddr, bytes: &mut [u8]) -> bool {
        self.read(address, bytes)
    }

    fn write_ram(&mut self, address: GuestPhysAddr, bytes: &[u8]) -> bool {
        self.write(address, bytes)
    }

    fn clear_ram(&mut self) {
        // It takes its time: whoever dies over it has cleared half.
        let half = self.ram.borrow().len() / 2;
        self.ram.borrow_mut()[..half].fill(0);
        mortal::step();
        self.ram.borrow_mut()[half..].fill(0);
    }
}

impl A64Machine for Machine<Vcpu> {
    fn sample_timer(&mut self, _: bool) -> bool {
        false
    }

    fn timer_deadline(&mut self) -> Option<u64> {
        None
    }

    fn signal(&mut self, _: InterruptOutput) {}

    fn gpr(&mut self, register: Gpr) -> u64 {
        mortal::step();
        self.image.gprs[register.number()]
    }

    fn set_gpr(&mut self, register: Gpr, value: u64) {
        mortal::step();
        self.image.gprs[register.number()] = value;
    }

    fn stack_pointer(&mut self, which: StackPointer) -> u64 {
        self.image.stack_pointers[which as usize]
    }

    fn set_stack_pointer(&mut self, which: StackPointer, value: u64) {
        mortal::step();
        self.image.stack_pointers[which as usize] = value;
    }

    fn vector(&mut self, _: u8) -> Option<u128> {
        None
    }

    fn set_vector(&mut self, _: u8, _: u128) {}

    fn pstate(&mut self) -> u64 {
        self.image.pstate
    }

    fn set_pstate(&mut self, pstate: u64) {
        mortal::step();
        self.image.pstate = pstate;
    }

    fn is_ordinary(&mut self, _: Gpr) -> bool {
        true
    }

    fn sets_aarch32(&self) -> bool {
        false
    }

    fn byte_order(&mut self) -> ByteOrder {
        ByteOrder::Little
    }

    fn stage1(&mut self) -> Regime {
        // RES1 bits: MMU off.
        Regime {
            sctlr: 0x30d0_0800,
            tcr: 0,
            ttbr0: 0,
            ttbr1: 0,
        }
    }

    fn fault_address(&mut self) -> Option<u64> {
        None
    }

    fn resume(&mut self, pc: u64, result: Option<(Gpr, u64)>) {
        mortal::step();
        self.image.pc = pc;
        if let Some((register, value)) = result {
            self.image.gprs[register.number()] = value;
        }
        self.prepare(Prepared::Run);
    }

    fn inject(&mut self, _: GuestException) {
        // Its handler skips the instruction.
        self.image.counts.exceptions = self.vcpu.counts.exceptions + 1;
        self.image.pc = self.vcpu.pc + 4;
        self.prepare(Prepared::Run);
    }

    fn start(&mut self, entry: u64, x0: u64, x1: u64) {
        mortal::step();
        self.image = Vcpu {
            // EL1 with its own stack pointer, everything masked.
            pstate: 0x3c5,
            pc: entry,
            counts: Counts {
                starts: self.vcpu.counts.starts + 1,
                ..self.vcpu.counts.clone()
            },
            ..Vcpu::default()
        };
        self.image.gprs[0] = x0;
        self.image.gprs[1] = x1;
        self.prepare(Prepared::Run);
    }
}

#[test]
fn a_dead_vmm_of_aarch64_costs_its_guest_nothing() {
    let (seen, steps) = dead_at_every_step::<A64Guest<Everything>>();
    assert!(steps > 500, "{steps} steps");
    // It did what it was made for.
    let instructions = PROGRAMS.map(<[_]>::len).iter().sum::<usize>();
    assert_eq!(
        seen.instructions.len(),
        instructions - 1,
        "all but the last"
    );
    assert_eq!(seen.counts.starts, 2);
    assert_eq!(seen.printed, "hi\n!?");
    assert_eq!(seen.state[..3], [vec![5], vec![0], vec![0; 3]]);
    let got = |address, register: usize| {
        let of = |instruction: &&Instruction| instruction.address == address;
        let place = PROGRAMS[0].iter().rposition(|it| of(&it)).unwrap();
        seen.instructions[place].1[register]
    };
    assert_eq!([got(ADDER, 2), got(ADDER + 8, 2)], [30, 42]);
    assert_eq!([got(FIFO, 1), got(FIFO, 7)], [8, 1]);
    // What was typed comes once, but for what a reset finds in the device.
    let of_uart = |instruction: &&Instruction| {
        instruction.address == UART && instruction.syndrome & 1 << 6 == 0
    };
    let read = seen
        .instructions
        .iter()
        .zip(PROGRAMS.iter().copied().flatten());
    let read = read.filter(|(_, instruction)| of_uart(instruction));
    let read: Vec<_> = read.map(|((_, registers), _)| registers[2] as u8).collect();
    assert_eq!(read, *b"ok?\0");
}

#[test]
fn nor_does_it_whatever_kind_its_devices_are_of() {
    let (seen, _) = dead_at_every_step::<A64Guest<EveryKind>>();
    let [all, _] = EveryKind::programs();
    assert_eq!(seen.instructions.len(), all.len());
    assert_eq!((seen.counts.starts, seen.helped), (2, 0));
}

#[test]
fn a_vmm_of_aarch64_may_die_twice() {
    dead_twice::<A64Guest<Everything>>();
    dead_twice::<A64Guest<EveryKind>>();
}
