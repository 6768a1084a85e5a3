//! A guest of x86: loads and stores, decoded and recalled, read-modify-write, a string, a push, ports,
//! calls, HLT, a reset, the end.

use super::{Counts, Guest, Machine, Prepared, Registers, dead_at_every_step, dead_twice};
use crate::fixtures::{LOC, PC, RAM, compiled, contents, device, piece, trace_device};
use guest_access::{AccessWidth, Direction, GuestPhysAddr};
use shared_ring::mortal;
use vm_components::{
    ChannelSet, Intent, KeptVmm, Outcome, VcpuIs, Vmm, VmmPorts, X86, X86Exception, X86Exit,
    X86ExitReason, X86Machine,
};
use vm_config::{Contents, Device, RamRange, VmConfig};
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

fn program() -> impl Iterator<Item = (u64, &'static Instruction)> {
    let mut rip = PC;
    ROUND.iter().chain(REST).map(move |instruction| {
        let at = rip;
        rip += instruction.0.len() as u64;
        (at, instruction)
    })
}

fn at(vcpu: &Vcpu) -> &'static Instruction {
    match vcpu.counts.starts {
        1 => {
            let mut program = program();
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

struct X86Guest;

impl Guest for X86Guest {
    type Registers = Vcpu;
    type Vmm = Vmm<X86>;
    type Kept = KeptVmm<X86>;

    fn config() -> VmConfig<'static> {
        let serial = Device {
            name: "com1",
            ..device("ser8250", 0x3f8)
        };
        compiled(&Contents {
            machine: Some(62),
            pieces: &[piece(PC, Self::images())],
            entry: PC,
            ram: &[RamRange {
                base: RAM,
                len_bytes: 0x20_0000,
            }],
            devices: &[trace_device(true, Some(12)), serial],
            ..contents()
        })
    }

    fn images() -> &'static [u8] {
        static CODE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        CODE.get_or_init(|| {
            program()
                .flat_map(|(_, (code, ..))| *code)
                .copied()
                .collect()
        })
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
        let (_, reason, _) = at(&machine.vcpu);
        let exit = X86Exit {
            rip: machine.vcpu.rip,
            next_rip: None,
            reason: *reason,
        };
        vmm.exit(exit, machine);
    }

    fn before(machine: &mut Machine<Vcpu>) -> Option<u64> {
        for (register, value) in at(&machine.vcpu).2 {
            machine.vcpu.gprs[*register] = *value;
        }
        // Interrupts are on, or HLT would be for ever.
        machine.vcpu.rflags |= 1 << 9;
        None
    }

    fn waits(registers: &Vcpu) -> bool {
        let (_, reason, set) = at(registers);
        // HLT, CPU_SUSPEND, and SYSTEM_OFF, after which nothing comes.
        let calls = [(RAX, 0x8400_0001), (RAX, 0x8400_0008)];
        *reason == X86ExitReason::Halt || set.first().is_some_and(|set| calls.contains(set))
    }

    fn after(vcpu: &mut Vcpu) {
        let round_ends = PC
            + ROUND
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
        let (code, ..) = at(&self.vcpu);
        self.image.counts.exceptions = self.vcpu.counts.exceptions + 1;
        self.image.rip = self.vcpu.rip + code.len() as u64;
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
    let (seen, steps) = dead_at_every_step::<X86Guest>();
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
    dead_twice::<X86Guest>();
}
