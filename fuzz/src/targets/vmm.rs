//! The VMM, with a guest that leaves for any reason, and a trace component and a console
//! that claim what they like.

use crate::peer_memory::{self, page_words, state_words};
use crate::script::Script;
use crate::targets::vm::{
    ACCESS_READER, LOC, MachineState, RAM, STATE, TEXT_READER, UART, VirtualMachine, Vm,
};
use a64_guest::stage1::Regime;
use guest_trap::GuestPhysAddr;
use vm_components::{ChannelSet, Exit, channel};

/// Wake-ups of the clock after which any wait is over: three for each half of a pair.
const PATIENCE: u32 = 6;

/// An ELF file that starts, with no segment.
const IMAGE: [u8; 64] = {
    let mut file = [0; 64];
    let start = *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xb7\0\x01\0\0\0";
    let mut index = 0;
    while index < start.len() {
        file[index] = start[index];
        index += 1;
    }
    // e_phoff, e_ehsize, e_phentsize.
    file[32] = 64;
    file[52] = 64;
    file[54] = 56;
    file
};

pub(crate) fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let mut vm = Vm::with(&IMAGE, usize::from(script.byte() % 3));
    // Once the others lie about what they have read, nobody can be sure to be told.
    let mut honest = true;
    let mut ends = 0;
    while !script.is_over() {
        match script.byte() % 13 {
            0 => {
                peer_memory::poke(state_words(&STATE), &mut script);
            }
            1 => {
                honest = false;
                peer_memory::poke(page_words(&ACCESS_READER), &mut script);
            }
            2 => {
                honest = false;
                peer_memory::poke(page_words(&TEXT_READER), &mut script);
            }
            3 => {
                // A number, or an address near the device.
                let choice = script.byte();
                let base = [0, LOC][usize::from(choice >> 7)];
                let register = usize::from(choice & 0x7f) % 31;
                vm.machine.gprs[register] = base.wrapping_add(script.number());
            }
            4 => vm.machine.now = vm.machine.now.saturating_add(script.number()),
            5 => notify(&mut vm, ChannelSet::from_bits(u64::from(script.byte()))),
            6 => ends += vm.drain(),
            7 => STATE.beat(),
            8 => set_cpu(&mut vm.machine, &mut script),
            9 => {
                let at = script.number() % (RAM.len_bytes / 8);
                let word = script.number().to_le_bytes();
                vm.machine.ram[at as usize * 8..][..8].copy_from_slice(&word);
            }
            10 => {
                // An instruction, where the guest executes without the MMU.
                let at = vm.machine.pc.wrapping_sub(RAM.base) & !3;
                let word = script.little_endian(4) as u32;
                if at < RAM.len_bytes {
                    vm.machine.ram[at as usize..][..4].copy_from_slice(&word.to_le_bytes());
                }
            }
            _ => {
                if vm.machine.state == MachineState::Running {
                    let exit = exit(&vm, &mut script);
                    let vmm = vm.vmm.as_mut().expect("it lives until the VM is dropped");
                    vmm.fault(exit, &mut vm.machine);
                }
            }
        }
        // A heartbeat may come and go, but any wait ends.
        if vm.machine.state == MachineState::Held && script.byte() & 1 != 0 {
            let mut clock = ChannelSet::EMPTY;
            clock.insert(channel::vmm::CLOCK);
            for _ in 0..=PATIENCE {
                notify(&mut vm, clock);
            }
            ends += vm.ends();
            let stopped = vm.machine.state == MachineState::Held;
            if honest {
                assert_eq!(stopped, ends != 0);
            }
        }
    }
}

/// What the guest may do to its CPU between two exits.
fn set_cpu(machine: &mut VirtualMachine, script: &mut Script<'_>) {
    match script.byte() % 6 {
        0 => machine.pc = RAM.base.wrapping_add(script.number()),
        1 => machine.pstate = [0x3c5, 0x3c4, 0x3c0, 0x1f0][usize::from(script.byte()) % 4],
        2 => machine.stack_pointers = [script.number(), LOC.wrapping_add(script.number())],
        3 => {
            machine.stage1 = Regime {
                sctlr: script.number(),
                tcr: script.little_endian(6),
                ttbr0: RAM.base.wrapping_add(script.number() << 12),
                ttbr1: RAM.base.wrapping_add(script.number() << 12),
            }
        }
        4 => machine.fault_address = (script.byte() & 1 != 0).then(|| script.number()),
        _ => machine.vectors = (script.byte() & 1 != 0).then(|| [script.number().into(); 32]),
    }
}

fn notify(vm: &mut Vm, channels: ChannelSet) {
    let vmm = vm.vmm.as_mut().expect("it lives until the VM is dropped");
    vmm.notified(channels, &mut vm.machine);
}

/// An exit: of any class, at or near a device, or as wild as it gets.
fn exit(vm: &Vm, script: &mut Script<'_>) -> Exit {
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
    let base = [LOC, UART, RAM.base, 0][usize::from(script.byte()) % 4];
    let address = GuestPhysAddr(base.wrapping_add(script.number()));
    let pc = match script.byte() {
        0xff => script.number(),
        _ => vm.machine.pc,
    };
    Exit {
        syndrome: class << 26 | iss,
        address,
        pc,
    }
}
