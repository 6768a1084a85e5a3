//! A guest of x86: loads and stores, decoded and recalled, read-modify-write, a string, a push, ports,
//! calls, HLT, a reset, the end. And one with devices that are asked, in memory and among the ports, and with a
//! device of every kind that is among those, to which it does what their tables say.

use super::{Counts, Guest, Machine, Prepared, Registers, dead_at_every_step, dead_twice};
use crate::fixtures::every_kind::{accesses, of_every_kind};
use crate::fixtures::{LOC, PC, RAM, compiled, contents, device, emit, leak, piece, trace_device};
use guest_access::{AccessWidth, Direction, GuestPhysAddr};
use shared_ring::mortal;
use std::marker::PhantomData;
use std::sync::OnceLock;
use vm_components::{
    ChannelSet, Intent, KeptVmm, Outcome, VcpuIs, Vmm, VmmPorts, X86, X86Exception, X86Exit,
    X86ExitReason, X86Machine,
};
use vm_config::{AddressSpace, AnyVdev, Contents, Device, RamRange, VmConfig};
use x86_guest::{Paging, Segment, Situation};

const RAX: usize = 0;
const RCX: usize = 1;
const RSP: usize = 4;
const RSI: usize = 6;
const RDI: usize = 7;
/// The guest counts its rounds here.
const R15: usize = 15;

const BUFFER: u64 = RAM + 0x1000;
const STACK: u64 = RAM + 0x2000;

const READ: X86ExitReason = X86ExitReason::Access {
    address: GuestPhysAddr(LOC),
    direction: Direction::Read,
};
const WRITE: X86ExitReason = X86ExitReason::Access {
    address: GuestPhysAddr(LOC),
    direction: Direction::Write,
};

/// COM1's data register.
const OUT: X86ExitReason = X86ExitReason::Port {
    port: 0x3f8,
    direction: Direction::Write,
    width: AccessWidth::Byte,
};

/// Its code, why it exits, and what the guest has put into registers before it.
type Instruction = (&'static [u8], X86ExitReason, &'static [(usize, u64)]);

/// What the guest does twice after its first start, so that the second time is the short way.
const ROUND: &[Instruction] = &[
    // mov [rdi], eax; mov eax, [rdi]
    (&[0x89, 0x07], WRITE, &[(RDI, LOC), (RAX, 0x1122_3344)]),
    (&[0x8b, 0x07], READ, &[(RDI, LOC), (RAX, 0)]),
    // mov [rdi], al; add eax, [rdi]; mov eax, [rdi]
    (&[0x88, 0x07], WRITE, &[(RDI, LOC), (RAX, 0xff)]),
    (&[0x03, 0x07], READ, &[(RDI, LOC), (RAX, 0xffff_ffff)]),
    (&[0x8b, 0x07], READ, &[(RDI, LOC), (RAX, 0)]),
    // add [rdi], eax
    (&[0x01, 0x07], WRITE, &[(RDI, LOC), (RAX, 0xf000_0001)]),
];
/// What follows it.
const REST: &[Instruction] = &[
    // movsd, of which the guest has put one word there; push qword [rdi]: wider than the device
    (&[0xa5], WRITE, &[(RDI, LOC), (RSI, BUFFER)]),
    (&[0xff, 0x37], READ, &[(RDI, LOC), (RSP, STACK)]),
    (&[0xee], OUT, &[(RAX, b'h' as u64)]),
    (&[0xee], OUT, &[(RAX, b'\n' as u64)]),
    (&[0xf4], X86ExitReason::Halt, &[]),
    // Unknown, and CPU_SUSPEND.
    (
        &[0x0f, 0x01, 0xc1],
        X86ExitReason::Call,
        &[(RAX, 0x8600_0000)],
    ),
    (
        &[0x0f, 0x01, 0xc1],
        X86ExitReason::Call,
        &[(RAX, 0x8400_0001), (RCX, 0)],
    ),
    // SYSTEM_RESET.
    (
        &[0x0f, 0x01, 0xc1],
        X86ExitReason::Call,
        &[(RAX, 0x8400_0009)],
    ),
];
/// What it does after the second start: SYSTEM_OFF, at the same place.
const END: Instruction = (&[], X86ExitReason::Call, &[(RAX, 0x8400_0008)]);

/// What a guest does after its first start: twice, and then once; and the devices of its VM.
trait Script: 'static {
    fn round() -> &'static [Instruction];
    fn rest() -> &'static [Instruction];
    fn devices() -> Vec<Device<'static>>;
}

/// [`ROUND`] and [`REST`].
struct Everything;

impl Script for Everything {
    fn round() -> &'static [Instruction] {
        ROUND
    }

    fn rest() -> &'static [Instruction] {
        REST
    }

    fn devices() -> Vec<Device<'static>> {
        let serial = Device {
            name: "com1",
            ..device("ser8250", 0x3f8)
        };
        vec![trace_device(true, Some(12)), serial]
    }
}

/// What is asked, in memory, what follows from two registers that read back, and the kinds among the ports.
struct Asked;

const ADDER: u64 = LOC + 0x1000;
const FIFO: u64 = LOC;
/// Where the first device among the ports is.
const PORTS: u64 = 0x1000;

impl Script for Asked {
    fn round() -> &'static [Instruction] {
        const {
            &[
                // mov [rdi], eax, three times; mov eax, [rdi]
                (&[0x89, 0x07], WRITE, &[(RDI, FIFO), (RAX, 7)]),
                (&[0x89, 0x07], WRITE, &[(RDI, FIFO), (RAX, 8)]),
                (&[0x89, 0x07], WRITE, &[(RDI, FIFO), (RAX, 9)]),
                (&[0x8b, 0x07], READ, &[(RDI, FIFO), (RAX, 0)]),
                // add [rdi], eax: the next number comes back, larger by 100.
                (&[0x01, 0x07], WRITE, &[(RDI, FIFO), (RAX, 100)]),
            ]
        }
    }

    fn rest() -> &'static [Instruction] {
        static ALL: OnceLock<Vec<Instruction>> = OnceLock::new();
        const ADDS: &[Instruction] = &[
            // mov [rdi], eax, and four further; mov eax, [rdi], and eight further
            (
                &[0x89, 0x07],
                at_adder(Direction::Write, 0),
                &[(RDI, ADDER), (RAX, 30)],
            ),
            (
                &[0x89, 0x47, 4],
                at_adder(Direction::Write, 4),
                &[(RDI, ADDER), (RAX, 12)],
            ),
            (
                &[0x8b, 0x07],
                at_adder(Direction::Read, 0),
                &[(RDI, ADDER), (RAX, 0)],
            ),
            (
                &[0x8b, 0x47, 8],
                at_adder(Direction::Read, 8),
                &[(RDI, ADDER), (RAX, 0)],
            ),
        ];
        ALL.get_or_init(|| {
            let in_ports = |device: &Device<'_>| device.space == AddressSpace::Ports;
            let ports = Self::devices().into_iter().filter(in_ports);
            let accesses = ports.flat_map(|device| {
                let of_device = accesses(device.vdev.kind()).into_iter();
                of_device
                    .map(move |it| port(device.loc + it.offset, it.direction, it.width, it.value))
            });
            let reset = REST.iter().copied().rev().take(1);
            ADDS.iter().copied().chain(accesses).chain(reset).collect()
        })
    }

    fn devices() -> Vec<Device<'static>> {
        let emits = |device, event| Device {
            emit: emit(true, Some(event)),
            ..device
        };
        let mut devices = of_every_kind(LOC, Some(PORTS));
        devices.retain(|device| device.space == AddressSpace::Ports);
        devices.push(emits(device("fifo-tester", FIFO), 14));
        devices.push(emits(device("adder", ADDER), 15));
        devices
    }
}

const fn at_adder(direction: Direction, offset: u64) -> X86ExitReason {
    X86ExitReason::Access {
        address: GuestPhysAddr(ADDER + offset),
        direction,
    }
}

/// IN or OUT, at the port in DX. None is as wide as the widest access there is.
fn port(port: u64, direction: Direction, width: AccessWidth, value: u32) -> Instruction {
    let (width, code): (_, &[u8]) = match (width, direction) {
        (AccessWidth::Byte, Direction::Read) => (width, &[0xec]),
        (AccessWidth::Byte, Direction::Write) => (width, &[0xee]),
        (AccessWidth::Halfword, Direction::Read) => (width, &[0x66, 0xed]),
        (AccessWidth::Halfword, Direction::Write) => (width, &[0x66, 0xef]),
        (_, Direction::Read) => (AccessWidth::Word, &[0xed]),
        (_, Direction::Write) => (AccessWidth::Word, &[0xef]),
    };
    let reason = X86ExitReason::Port {
        port: port as u16,
        direction,
        width,
    };
    (code, reason, leak([(RAX, value.into())]))
}

fn program<S: Script>() -> impl Iterator<Item = (u64, &'static Instruction)> {
    let mut rip = PC;
    S::round().iter().chain(S::rest()).map(move |instruction| {
        let at = rip;
        rip += instruction.0.len() as u64;
        (at, instruction)
    })
}

fn at<S: Script>(vcpu: &Vcpu) -> &'static Instruction {
    match vcpu.counts.starts {
        1 => {
            let mut program = program::<S>();
            let found = program.find(|(rip, _)| *rip == vcpu.rip);
            found.expect("the guest is in its program").1
        }
        _ => &END,
    }
}

#[derive(Debug, Clone, Default)]
pub struct Vcpu {
    gprs: [u64; 16],
    rflags: u64,
    rip: u64,
    page_tables: u64,
    /// How long the instruction at RIP is, for whoever handles its exception.
    len_bytes: u64,
    counts: Counts,
}

impl Registers for Vcpu {
    fn pc(&self) -> u64 {
        self.rip
    }

    fn counts(&mut self) -> &mut Counts {
        &mut self.counts
    }
}

struct X86Guest<S>(PhantomData<S>);

impl<S: Script> Guest for X86Guest<S> {
    type Registers = Vcpu;
    type Vmm = Vmm<X86>;
    type Kept = KeptVmm<X86>;

    fn config() -> VmConfig<'static> {
        compiled(&Contents {
            machine: Some(62),
            pieces: &[piece(PC, Self::images())],
            entry: PC,
            ram: &[RamRange {
                base: RAM,
                len_bytes: 0x20_0000,
            }],
            devices: &S::devices(),
            ..contents()
        })
    }

    fn images() -> &'static [u8] {
        let code = program::<S>().flat_map(|(_, (code, ..))| *code);
        leak(code.copied().collect::<Vec<_>>())
    }

    fn init(
        config: VmConfig<'static>,
        ports: VmmPorts,
        kept: &'static mut KeptVmm<X86>,
        machine: &mut Machine<Vcpu>,
    ) -> Vmm<X86> {
        Vmm::init(config, Self::images(), ports, kept, super::CLOCK, machine)
    }

    fn notified(vmm: &mut Vmm<X86>, channels: ChannelSet, machine: &mut Machine<Vcpu>) {
        vmm.notified(channels, machine);
    }

    fn exit(vmm: &mut Vmm<X86>, machine: &mut Machine<Vcpu>) {
        let (_, reason, _) = at::<S>(&machine.vcpu);
        let exit = X86Exit {
            rip: machine.vcpu.rip,
            next_rip: None,
            reason: *reason,
        };
        vmm.exit(exit, machine);
    }

    fn before(machine: &mut Machine<Vcpu>) -> Option<u64> {
        let (code, _, set) = at::<S>(&machine.vcpu);
        machine.vcpu.len_bytes = code.len() as u64;
        for (register, value) in *set {
            machine.vcpu.gprs[*register] = *value;
        }
        // Interrupts are on, or HLT would be for ever.
        machine.vcpu.rflags |= 1 << 9;
        None
    }

    fn waits(registers: &Vcpu) -> bool {
        let (_, reason, set) = at::<S>(registers);
        // HLT, CPU_SUSPEND, and SYSTEM_OFF, after which nothing comes.
        let calls = [(RAX, 0x8400_0001), (RAX, 0x8400_0008)];
        *reason == X86ExitReason::Halt || set.first().is_some_and(|set| calls.contains(set))
    }

    fn after(vcpu: &mut Vcpu) {
        let round_ends = PC
            + S::round()
                .iter()
                .map(|(code, ..)| code.len() as u64)
                .sum::<u64>();
        if vcpu.counts.starts == 1 && vcpu.rip == round_ends && vcpu.gprs[R15] == 0 {
            vcpu.gprs[R15] = 1;
            vcpu.rip = PC;
        }
    }

    fn seen(registers: &Vcpu) -> Vec<u64> {
        [&registers.gprs[..], &[registers.rflags]].concat()
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
        self.image.rip = pc;
        self.prepare(Prepared::Run);
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
        mortal::step();
        self.ram.borrow_mut().fill(0);
    }
}

impl x86_guest::Registers for Machine<Vcpu> {
    fn gpr(&self, number: u8) -> u64 {
        self.image.gprs[usize::from(number)]
    }

    fn rflags(&self) -> u64 {
        self.image.rflags
    }

    fn segment_base(&self, _: Segment) -> u64 {
        0
    }
}

impl X86Machine for Machine<Vcpu> {
    fn set_gpr(&mut self, number: u8, value: u64) {
        mortal::step();
        self.image.gprs[usize::from(number)] = value;
    }

    fn set_rflags(&mut self, value: u64) {
        mortal::step();
        self.image.rflags = value;
    }

    fn situation(&self) -> Situation {
        Situation {
            rip: self.image.rip,
            code_base: 0,
            // Present, readable, 64-bit.
            code_attributes: 0xa9b,
            paging: Paging {
                cr0: 1 << 31 | 1 << 16 | 1,
                cr3: self.image.page_tables,
                cr4: 1 << 5,
                efer: 1 << 8 | 1 << 10,
            },
        }
    }

    fn privilege_level(&self) -> u8 {
        0
    }

    fn ram_words(&self) -> impl Fn(GuestPhysAddr) -> Option<u64> + Copy + use<> {
        let ram = self.ram;
        move |address| {
            let first = usize::try_from(address.0.checked_sub(RAM)?).ok()?;
            let ram = ram.borrow();
            let word = ram.get(first..first.checked_add(8)?)?;
            Some(u64::from_le_bytes(word.try_into().ok()?))
        }
    }

    fn inject(&mut self, _: X86Exception) {
        // Its handler skips the instruction.
        self.image.counts.exceptions = self.vcpu.counts.exceptions + 1;
        self.image.rip = self.vcpu.rip + self.vcpu.len_bytes;
        self.prepare(Prepared::Run);
    }

    fn start(&mut self, entry: u64, page_tables: GuestPhysAddr, rdi: u64, rsi: u64) {
        mortal::step();
        self.image = Vcpu {
            rflags: 2,
            rip: entry,
            page_tables: page_tables.0,
            counts: Counts {
                starts: self.vcpu.counts.starts + 1,
                ..self.vcpu.counts.clone()
            },
            ..Vcpu::default()
        };
        self.image.gprs[RDI] = rdi;
        self.image.gprs[RSI] = rsi;
        self.prepare(Prepared::Run);
    }
}

#[test]
fn a_dead_vmm_of_x86_costs_its_guest_nothing() {
    let (seen, steps) = dead_at_every_step::<X86Guest<Everything>>();
    assert!(steps > 500, "{steps} steps");
    // It did what it was made for.
    assert_eq!(
        seen.instructions.len(),
        2 * ROUND.len() + REST.len(),
        "all but the last"
    );
    assert_eq!(seen.counts.starts, 2);
    assert_eq!(seen.printed, "h\n");
}

#[test]
fn a_vmm_of_x86_may_die_twice() {
    dead_twice::<X86Guest<Everything>>();
}

#[test]
fn nor_does_it_where_devices_are_asked_and_among_the_ports() {
    let (seen, _) = dead_at_every_step::<X86Guest<Asked>>();
    let [round, rest] = [Asked::round(), Asked::rest()];
    assert_eq!(seen.instructions.len(), 2 * round.len() + rest.len());
    assert_eq!((seen.counts.starts, seen.helped), (2, 0));
    let rax = |place: usize| seen.instructions[place].1[RAX];
    // Of the first round 9 and 108 are left.
    assert_eq!([rax(3), rax(3 + round.len())], [7, 9]);
    assert_eq!(rax(2 * round.len() + 3), 42);
}
