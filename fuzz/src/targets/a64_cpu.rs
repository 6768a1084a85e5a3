//! The CPU of an aarch64 guest, as registers.

use crate::targets::vm::{CLOCK, Cpu, MachineState, VirtualMachine, configs};
use a64_guest::pstate::{ByteOrder, is_aarch32};
use a64_guest::stage1::Regime;
use guest_access::Gpr;
use std::sync::LazyLock;
use vm_components::{
    A64, A64Machine, GuestException, InterruptOutput, KeptVmm, Machine, StackPointer, Vmm, VmmPorts,
};
use vm_config::{Vdev, VmConfig};

/// Where the serial port is.
pub(crate) const UART: u64 = 0x0900_0000;

pub(crate) struct A64Cpu {
    pub gprs: [u64; 31],
    pub stack_pointers: [u64; 2],
    /// `None` on a platform that has no way to them.
    pub vectors: Option<[u128; 32]>,
    pub pstate: u64,
    pub stage1: Regime,
    pub fault_address: Option<u64>,
}

impl Cpu for A64Cpu {
    type Vmm = Vmm<A64>;
    type Kept = KeptVmm<A64>;

    fn configs() -> &'static [VmConfig<'static>; 3] {
        static CONFIGS: LazyLock<[VmConfig<'static>; 3]> =
            LazyLock::new(|| configs(UART, Vdev::Pl011));
        &CONFIGS
    }

    fn reset() -> Self {
        Self {
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
        }
    }

    fn init(
        config: VmConfig<'static>,
        images: &'static [u8],
        ports: VmmPorts,
        kept: &'static mut KeptVmm<A64>,
        machine: &mut VirtualMachine<Self>,
    ) -> Self::Vmm {
        Vmm::init(config, images, ports, kept, CLOCK, machine)
    }
}

impl A64Machine for VirtualMachine<A64Cpu> {
    fn gpr(&mut self, register: Gpr) -> u64 {
        self.cpu.gprs[register.number()]
    }

    fn set_gpr(&mut self, register: Gpr, value: u64) {
        self.cpu.gprs[register.number()] = value;
    }

    fn stack_pointer(&mut self, which: StackPointer) -> u64 {
        self.cpu.stack_pointers[which as usize]
    }

    fn set_stack_pointer(&mut self, which: StackPointer, value: u64) {
        self.cpu.stack_pointers[which as usize] = value;
    }

    fn vector(&mut self, number: u8) -> Option<u128> {
        Some(self.cpu.vectors?[usize::from(number)])
    }

    fn set_vector(&mut self, number: u8, value: u128) {
        let vectors = self.cpu.vectors.as_mut();
        vectors.expect("only where there is a way to them")[usize::from(number)] = value;
    }

    fn pstate(&mut self) -> u64 {
        self.cpu.pstate
    }

    fn set_pstate(&mut self, pstate: u64) {
        assert_eq!((pstate ^ self.cpu.pstate) & 0x1f, 0, "the mode changes");
        self.cpu.pstate = pstate;
    }

    fn is_ordinary(&mut self, _: Gpr) -> bool {
        !is_aarch32(self.pstate()) && self.byte_order() == ByteOrder::Little
    }

    fn sets_aarch32(&self) -> bool {
        true
    }

    fn byte_order(&mut self) -> ByteOrder {
        ByteOrder::of_data(self.pstate(), self.stage1().sctlr)
    }

    fn stage1(&mut self) -> Regime {
        self.cpu.stage1
    }

    fn fault_address(&mut self) -> Option<u64> {
        self.cpu.fault_address
    }

    fn resume(&mut self, pc: u64, result: Option<(Gpr, u64)>) {
        if let Some((register, value)) = result {
            self.cpu.gprs[register.number()] = value;
        }
        self.proceed(pc);
    }

    fn inject(&mut self, _: GuestException) {
        self.state = MachineState::Running;
    }

    /// A guest sets it as it likes: here by two of its registers.
    fn sample_timer(&mut self, _: bool) -> bool {
        self.cpu.gprs[30] & 1 != 0
    }

    fn timer_deadline(&mut self) -> Option<u64> {
        Some(self.cpu.gprs[29])
    }

    fn signal(&mut self, output: InterruptOutput) {
        assert!(!(output.irq && output.fiq), "two interrupts at once");
    }

    fn start(&mut self, entry: u64, _: u64, _: u64) {
        self.begin(entry);
    }
}
