//! A VMM, with a guest that leaves for any reason, and a trace component and a console that
//! claim what they like. The same for every architecture but for what its guest can do.

use crate::peer_memory::{self, page_words, state_words};
use crate::script::Script;
use crate::targets::vm::{
    ACCESS_READER, APART, Cpu, LOC, MachineState, RAM, STATE, TEXT_READER, VirtualMachine, Vm,
};
use guest_access::GuestPhysAddr;
use vm_components::{ChannelSet, Machine, channel};

/// Wake-ups of the clock after which any wait is over: three for each half of a pair.
const PATIENCE: u32 = 6;

/// What a guest of an architecture can do.
pub(crate) trait Guest: Cpu {
    fn gprs(&mut self) -> &mut [u64];

    /// What it may do to its CPU between two exits.
    fn change(machine: &mut VirtualMachine<Self>, script: &mut Script<'_>);

    /// An instruction, and where it would execute it.
    fn code(machine: &VirtualMachine<Self>, script: &mut Script<'_>) -> (GuestPhysAddr, Vec<u8>);

    /// It leaves: for any reason, at or near a device, or as wild as it gets.
    fn exit(vm: &mut Vm<Self>, script: &mut Script<'_>);

    /// Another component has something for its VMM.
    fn notify(vm: &mut Vm<Self>, channels: ChannelSet);
}

/// Feeds a VMM as the script says.
pub(crate) fn feed<C: Guest>(mut script: Script<'_>) {
    let mut vm = Vm::<C>::with(usize::from(script.byte() % 3));
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
                // A number, or an address near a device.
                let choice = script.byte();
                let register = usize::from(choice & 0x7f);
                let gprs = vm.machine.cpu.gprs();
                let device = LOC + APART * (register / gprs.len()) as u64;
                let base = [0, device][usize::from(choice >> 7)];
                gprs[register % gprs.len()] = base.wrapping_add(script.number());
            }
            4 => vm.machine.now = vm.machine.now.saturating_add(script.number()),
            5 => C::notify(&mut vm, ChannelSet::from_bits(u64::from(script.byte()))),
            6 => ends += vm.drain(),
            7 => STATE.beat(),
            8 => C::change(&mut vm.machine, &mut script),
            9 => {
                let at = script.number() % (RAM.len_bytes / 8);
                let word = script.number().to_le_bytes();
                vm.machine
                    .write_ram(GuestPhysAddr(RAM.base + at * 8), &word);
            }
            10 => {
                let (address, code) = C::code(&vm.machine, &mut script);
                vm.machine.write_ram(address, &code);
            }
            _ => {
                if vm.machine.state == MachineState::Running {
                    C::exit(&mut vm, &mut script);
                }
            }
        }
        // A heartbeat may come and go, but any wait ends.
        if vm.machine.state == MachineState::Held && script.byte() & 1 != 0 {
            let mut clock = ChannelSet::EMPTY;
            clock.insert(channel::vmm::CLOCK);
            for _ in 0..=PATIENCE {
                C::notify(&mut vm, clock);
            }
            ends += vm.ends();
            let stopped = vm.machine.state == MachineState::Held;
            if honest {
                assert_eq!(stopped, ends != 0);
            }
        }
    }
}
