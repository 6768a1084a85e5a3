//! The VMM of an x86 guest.

use crate::script::Script;
use crate::targets::hostile_vm::{Guest, feed};
use crate::targets::vm::{APART, LOC, RAM, VirtualMachine, Vm};
use crate::targets::x86_cpu::{COM1, X86Cpu};
use guest_access::{AccessWidth, Direction, GuestPhysAddr};
use vm_components::{ChannelSet, X86Exit, X86ExitReason, X86Machine};
use x86_guest::Paging;

pub(crate) fn run(input: &[u8]) {
    feed::<X86Cpu>(Script::new(input));
}

impl Guest for X86Cpu {
    fn gprs(&mut self) -> &mut [u64] {
        &mut self.registers.gprs
    }

    fn change(machine: &mut VirtualMachine<Self>, script: &mut Script<'_>) {
        let cpu = &mut machine.cpu;
        match script.byte() % 7 {
            0 => machine.pc = RAM.base.wrapping_add(script.number()),
            1 => cpu.code_attributes = [0xa9b, 0x49b, 0x09b][usize::from(script.byte()) % 3],
            2 => {
                let segment = usize::from(script.byte() % 6);
                cpu.registers.bases[segment] = script.number();
            }
            3 => cpu.code_base = script.number(),
            4 => cpu.paging.cr0 ^= [1 << 31, 1 << 16][usize::from(script.byte()) % 2],
            5 => {
                cpu.paging = Paging {
                    cr0: script.number() | 1 << 31,
                    cr3: RAM.base.wrapping_add(script.number() << 12),
                    cr4: script.number(),
                    efer: script.number(),
                }
            }
            _ => cpu.privilege_level = script.byte() & 3,
        }
        let mode = machine.situation().mode();
        machine.cpu.registers.mode = mode;
    }

    /// Where the tables lead; without them at RIP.
    fn code(machine: &VirtualMachine<Self>, script: &mut Script<'_>) -> (GuestPhysAddr, Vec<u8>) {
        let (situation, words) = (machine.situation(), machine.ram_words());
        let linear = situation.linear_rip();
        let translated = situation.paging.translate(linear, words);
        let address = translated.map_or(GuestPhysAddr(linear), |found| found.address);
        let len = script.byte() % 16;
        (address, script.take(len.into()).to_vec())
    }

    fn exit(vm: &mut Vm<Self>, script: &mut Script<'_>) {
        let exit = exit(&vm.machine, script);
        let rflags = vm.machine.cpu.registers.rflags;
        let (vmm, machine) = vm.parts();
        vmm.exit(exit, machine);
        // Carry, parity, auxiliary, zero, sign, overflow; others are not an instruction's here.
        const STATUS: u64 = 0x8d5;
        assert_eq!((machine.cpu.registers.rflags ^ rflags) & !STATUS, 0);
    }

    fn notify(vm: &mut Vm<Self>, channels: ChannelSet) {
        let (vmm, machine) = vm.parts();
        vmm.notified(channels, machine);
    }
}

fn exit(machine: &VirtualMachine<X86Cpu>, script: &mut Script<'_>) -> X86Exit {
    let choice = script.byte();
    let direction = [Direction::Read, Direction::Write][usize::from(choice >> 4 & 1)];
    // Where RDI points, or anywhere.
    let base = [machine.cpu.registers.gprs[7], LOC, RAM.base, 0][usize::from(choice >> 5 & 3)];
    let mut address = || GuestPhysAddr(base.wrapping_add(script.number()));
    let reason = match choice % 13 {
        0..=4 => X86ExitReason::Access {
            address: address(),
            direction,
        },
        5 => {
            const WIDTHS: [AccessWidth; 3] =
                [AccessWidth::Byte, AccessWidth::Halfword, AccessWidth::Word];
            let behind = script.number() as u16;
            let choice = script.byte();
            let port = match u16::from(choice / 3) {
                0 => COM1,
                device => device.wrapping_mul(APART as u16),
            };
            X86ExitReason::Port {
                port: port.wrapping_add(behind),
                direction,
                width: WIDTHS[usize::from(choice % 3)],
            }
        }
        6 => X86ExitReason::Instruction,
        7 => X86ExitReason::Halt,
        8 => X86ExitReason::Call,
        9 => X86ExitReason::Register {
            number: script.number() as u32,
        },
        10 => X86ExitReason::Fetch { address: address() },
        11 => X86ExitReason::OwnAccess {
            address: address(),
            direction,
        },
        _ => match script.byte() & 1 {
            0 => X86ExitReason::Shutdown,
            _ => X86ExitReason::Other {
                code: script.number(),
            },
        },
    };
    // Some CPUs tell where the next instruction is.
    let next_rip = (choice >> 7 != 0).then(|| machine.pc.wrapping_add(script.number()));
    X86Exit {
        rip: machine.pc,
        next_rip,
        reason,
    }
}
