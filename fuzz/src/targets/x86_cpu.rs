//! The CPU of an x86 guest, as registers.

use crate::targets::vm::{CLOCK, Cpu, MachineState, RAM, VirtualMachine, configs, read_ram};
use crate::targets::x86_registers::X86Registers;
use guest_access::GuestPhysAddr;
use std::sync::LazyLock;
use vm_components::{KeptVmm, Vmm, VmmPorts, X86, X86Exception, X86Machine};
use vm_config::{Vdev, VmConfig};
use x86_guest::{Mode, Paging, Registers, Segment, Situation};

/// The first I/O port of the serial port.
pub(crate) const COM1: u16 = 0x3f8;

const CR0_PG: u64 = 1 << 31;
const CR0_PE: u64 = 1 << 0;
const CR4_PAE: u64 = 1 << 5;
const EFER_LONG: u64 = 1 << 8 | 1 << 10;
const CODE_64_BIT: u16 = 0xa9b;

pub(crate) struct X86Cpu {
    pub registers: X86Registers,
    pub code_base: u64,
    pub code_attributes: u16,
    pub paging: Paging,
    pub privilege_level: u8,
    /// The exception that was injected last.
    pub injected: Option<X86Exception>,
}

impl Cpu for X86Cpu {
    type Vmm = Vmm<X86>;
    type Kept = KeptVmm<X86>;

    fn configs() -> &'static [VmConfig<'static>; 3] {
        static CONFIGS: LazyLock<[VmConfig<'static>; 3]> =
            LazyLock::new(|| configs(COM1.into(), Vdev::Ser8250));
        &CONFIGS
    }

    fn reset() -> Self {
        Self {
            registers: X86Registers::reset(Mode::Long),
            code_base: 0,
            code_attributes: CODE_64_BIT,
            paging: Paging {
                cr0: CR0_PG | CR0_PE,
                cr3: 0,
                cr4: CR4_PAE,
                efer: EFER_LONG,
            },
            privilege_level: 0,
            injected: None,
        }
    }

    fn init(
        config: VmConfig<'static>,
        images: &'static [u8],
        ports: VmmPorts,
        kept: &'static mut KeptVmm<X86>,
        machine: &mut VirtualMachine<Self>,
    ) -> Self::Vmm {
        Vmm::init(config, images, ports, kept, CLOCK, machine)
    }
}

impl Registers for VirtualMachine<X86Cpu> {
    fn gpr(&self, number: u8) -> u64 {
        self.cpu.registers.gpr(number)
    }

    fn rflags(&self) -> u64 {
        self.cpu.registers.rflags()
    }

    fn segment_base(&self, segment: Segment) -> u64 {
        self.cpu.registers.segment_base(segment)
    }
}

impl X86Machine for VirtualMachine<X86Cpu> {
    fn set_gpr(&mut self, number: u8, value: u64) {
        self.cpu.registers.gprs[usize::from(number)] = value;
    }

    fn set_rflags(&mut self, value: u64) {
        self.cpu.registers.rflags = value;
    }

    fn situation(&self) -> Situation {
        Situation {
            rip: self.pc,
            code_base: self.cpu.code_base,
            code_attributes: self.cpu.code_attributes,
            paging: self.cpu.paging,
        }
    }

    fn privilege_level(&self) -> u8 {
        self.cpu.privilege_level
    }

    fn ram_words(&self) -> impl Fn(GuestPhysAddr) -> Option<u64> + Copy + use<> {
        |address| {
            assert!(address.0.is_multiple_of(8));
            let mut bytes = [0; 8];
            read_ram(address, &mut bytes).then(|| u64::from_le_bytes(bytes))
        }
    }

    fn inject(&mut self, exception: X86Exception) {
        self.cpu.injected = Some(exception);
        self.state = MachineState::Running;
    }

    fn start(&mut self, entry: u64, page_tables: GuestPhysAddr, rdi: u64, rsi: u64) {
        assert!((RAM.base..RAM.base + RAM.len_bytes).contains(&page_tables.0));
        let mut cpu = X86Cpu::reset();
        cpu.paging.cr3 = page_tables.0;
        cpu.registers.gprs[7] = rdi;
        cpu.registers.gprs[6] = rsi;
        self.cpu = cpu;
        self.begin(entry);
    }
}
