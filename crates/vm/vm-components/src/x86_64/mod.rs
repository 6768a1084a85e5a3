//! x86 in the work of a VMM.
//!
//! `access` is the short way of an access, `exits` all other exits; what an access does is read off
//! the guest's code by `instruction`, unless the short way remembers it; `ports` are IN and OUT.
//!
//! ```text
//!   exit ─┬─ memory ─┬─ made before, of a trace device ─► access
//!         │          └─ else ─► instruction ─► Transfer, page fault, or policy
//!         ├─ port ───► ports
//!         ├─ HLT, VMMCALL or VMCALL
//!         └─ model-specific register, instruction: policy
//! ```

mod access;
mod exits;
mod instruction;
mod machine;
mod ports;
mod start;

pub use machine::{X86Exception, X86Exit, X86ExitReason, X86Machine};

use crate::ImageError;
use crate::vmm::architecture::{Architecture, Isa};
use crate::vmm::image::{COMMAND_LINE_AREA, Start};
use crate::vmm::transfer::{Element, Transfer};
use guest_access::GuestPhysAddr;
use start::START_TABLES_BYTES;
use vm_config::RamRange;
use x86_guest::{AccessCache, Instruction, RegisterPart};

/// The x86 instruction set, in all its modes.
pub enum X86 {}

/// How an x86 instruction ends.
#[derive(Clone, Copy)]
pub enum X86End {
    /// As this one does.
    Instruction {
        instruction: Instruction,
        next_rip: u64,
    },
    /// IN or OUT, of this part of RAX.
    Port { part: RegisterPart, next_rip: u64 },
}

const RAX: u8 = 0;
const RCX: u8 = 1;
const RDX: u8 = 2;

impl Isa for X86 {
    type End = X86End;
    type Exception = X86Exception;
    type Memory = AccessCache;
    type Interrupts = ();
    const ELF_MACHINE: u16 = 62;
    const START_AREA_BYTES: u64 = COMMAND_LINE_AREA + START_TABLES_BYTES;
}

impl<M: X86Machine> Architecture<M> for X86 {
    fn advanced(transfer: &mut Transfer<X86End>, machine: &mut M) {
        let read = transfer.first_value() as u64;
        if let X86End::Instruction { instruction, .. } = transfer.end
            && instruction.reads()
            && let Some(element) = transfer.next()
            && let Some(value) = instruction.execute(read, machine).write
        {
            element.set_value(value.into());
        }
    }

    fn finish(transfer: Transfer<X86End>, machine: &mut M) {
        let (instruction, next_rip) = match transfer.end {
            X86End::Instruction {
                instruction,
                next_rip,
            } => (instruction, next_rip),
            X86End::Port { part, next_rip } => {
                return ports::finish(&transfer, part, next_rip, machine);
            }
        };
        let effect = instruction.execute(transfer.first_value() as u64, machine);
        let stepped = instruction.stepped(machine);
        let changed = effect.register.into_iter().chain(effect.second_register);
        for (number, value) in changed.chain(stepped.registers) {
            machine.set_gpr(number, value);
        }
        if let Some(rflags) = effect.rflags {
            machine.set_rflags(rflags);
        }
        // Between two elements of a string the guest may take an interrupt, as on a CPU.
        machine.proceed(if stepped.repeats {
            transfer.pc
        } else {
            next_rip
        });
    }

    fn unanswered(_: &Element, _: GuestPhysAddr, _: u64, _: &mut M) -> X86Exception {
        X86Exception::GeneralProtection
    }

    fn sample_timer((): &mut (), _: &mut M) {}

    fn deliver_again((): &(), _: &mut M) {}

    fn deliver((): &mut (), _: &mut M) -> bool {
        false
    }

    fn deadline((): &(), _: &mut M) -> Option<u64> {
        None
    }

    fn inject(exception: X86Exception, machine: &mut M) {
        machine.inject(exception);
    }

    fn start(start: &Start, ram: RamRange, machine: &mut M) -> Result<(), ImageError> {
        start::start(start, ram, machine)
    }
}
