//! The VMM of an aarch64 guest.

use crate::script::Script;
use crate::targets::a64_cpu::{A64Cpu, UART};
use crate::targets::hostile_vm::{Guest, feed};
use crate::targets::vm::{APART, LOC, RAM, VirtualMachine, Vm};
use a64_guest::stage1::Regime;
use guest_access::GuestPhysAddr;
use vm_components::{ChannelSet, Exit};

pub(crate) fn run(input: &[u8]) {
    feed::<A64Cpu>(Script::new(input));
}

impl Guest for A64Cpu {
    fn gprs(&mut self) -> &mut [u64] {
        &mut self.gprs
    }

    fn change(machine: &mut VirtualMachine<Self>, script: &mut Script<'_>) {
        let cpu = &mut machine.cpu;
        match script.byte() % 6 {
            0 => machine.pc = RAM.base.wrapping_add(script.number()),
            1 => cpu.pstate = [0x3c5, 0x3c4, 0x3c0, 0x1f0][usize::from(script.byte()) % 4],
            2 => cpu.stack_pointers = [script.number(), LOC.wrapping_add(script.number())],
            3 => {
                cpu.stage1 = Regime {
                    sctlr: script.number(),
                    tcr: script.little_endian(6),
                    ttbr0: RAM.base.wrapping_add(script.number() << 12),
                    ttbr1: RAM.base.wrapping_add(script.number() << 12),
                }
            }
            4 => cpu.fault_address = (script.byte() & 1 != 0).then(|| script.number()),
            _ => cpu.vectors = (script.byte() & 1 != 0).then(|| [script.number().into(); 32]),
        }
    }

    /// Where the guest executes without the MMU.
    fn code(machine: &VirtualMachine<Self>, script: &mut Script<'_>) -> (GuestPhysAddr, Vec<u8>) {
        let word = script.little_endian(4) as u32;
        (GuestPhysAddr(machine.pc & !3), word.to_le_bytes().to_vec())
    }

    fn exit(vm: &mut Vm<Self>, script: &mut Script<'_>) {
        let exit = exit(vm.machine.pc, script);
        let (vmm, machine) = vm.parts();
        vmm.fault(exit, machine);
    }

    fn notify(vm: &mut Vm<Self>, channels: ChannelSet) {
        let (vmm, machine) = vm.parts();
        vmm.notified(channels, machine);
    }
}

/// An exit: of any class, at or near a device, or as wild as it gets.
fn exit(pc: u64, script: &mut Script<'_>) -> Exit {
    const CLASSES: [u64; 8] = [0x24, 0x24, 0x24, 0x01, 0x16, 0x17, 0x18, 0x20];
    // A translation fault of level 3, described.
    const DESCRIBED: u64 = 1 << 24 | 0b000111;
    let choice = script.byte();
    let class = match choice & 0x3f {
        any if choice & 0x40 != 0 => u64::from(any),
        known => CLASSES[usize::from(known) % CLASSES.len()],
    };
    let iss = if choice & 0x80 != 0 {
        script.little_endian(4) & 0x01ff_ffff
    } else {
        // SF, SRT, SSE and SAS lie next to each other; then WnR.
        let fields = script.little_endian(2);
        DESCRIBED | (fields & 0x1ff) << 15 | (fields >> 9 & 1) << 6
    };
    let choice = script.byte();
    let device = LOC + APART * u64::from(choice >> 2);
    let base = [device, UART, RAM.base, 0][usize::from(choice) % 4];
    let address = GuestPhysAddr(base.wrapping_add(script.number()));
    let pc = match script.byte() {
        0xff => script.number(),
        _ => pc,
    };
    Exit {
        syndrome: class << 26 | iss,
        address,
        pc,
    }
}
