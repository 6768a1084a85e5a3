//! aarch64 in the work of a VMM.
//!
//! `access` is the short way of an access, `described` what the hardware says of one, `exits` all other exits, of which
//! `halt` tells whether the guest has stopped for good, and `system_registers` what a register gives that nothing is
//! behind; where the syndrome does not describe an access, `instruction` reads it off the guest's code; `completion`
//! and `step` change the guest's registers.

mod access;
mod completion;
mod described;
mod exits;
mod halt;
mod instruction;
mod interrupts;
mod machine;
mod step;
mod system_registers;
mod view;

pub use interrupts::{GIC_CPU_INTERFACE, GIC_DISTRIBUTOR, GIC_LINES, GIC_PLACES};
pub use machine::{A64Machine, Exit, GuestException, StackPointer};

use crate::ImageError;
use crate::vmm::architecture::{Architecture, Isa};
use crate::vmm::image::{COMMAND_LINE_AREA, Start};
use crate::vmm::transfer::{Element, Transfer};
use a64_guest::exception::EXTERNAL_ABORT;
use completion::End;
use described::LastDescribed;
use gic_v2::Gic;
use guest_access::GuestPhysAddr;
use view::Reported;
use vm_config::RamRange;

/// The A64 instruction set, at EL1 and EL0, with A32 and T32 at EL0.
pub enum A64 {}

impl Isa for A64 {
    type End = End;
    type Exception = GuestException;
    type Memory = LastDescribed;
    type Interrupts = Gic;
    const ELF_MACHINE: u16 = 183;
    const START_AREA_BYTES: u64 = COMMAND_LINE_AREA;
}

impl<M: A64Machine> Architecture<M> for A64 {
    fn advanced(_: &mut Transfer<End>, _: &mut M) {}

    fn finish(transfer: Transfer<End>, machine: &mut M) {
        transfer.finish(machine);
    }

    fn unanswered(
        element: &Element,
        address: GuestPhysAddr,
        pc: u64,
        machine: &mut M,
    ) -> GuestException {
        let reported = Reported {
            address,
            direction: element.direction,
            pc,
        };
        GuestException::DataAbort {
            direction: element.direction,
            status: EXTERNAL_ABORT,
            address: element
                .virtual_address_of(address)
                .unwrap_or_else(|| instruction::virtual_address(reported, machine)),
        }
    }

    fn sample_timer(interrupts: &mut Gic, machine: &mut M) {
        Self::sample(interrupts, machine);
    }

    fn deliver(interrupts: &mut Gic, machine: &mut M) -> bool {
        Self::give(interrupts, machine)
    }

    fn deliver_again(interrupts: &Gic, machine: &mut M) {
        Self::give_again(interrupts, machine);
    }

    fn deadline(interrupts: &Gic, machine: &mut M) -> Option<u64> {
        Self::next_deadline(interrupts, machine)
    }

    fn inject(exception: GuestException, machine: &mut M) {
        machine.inject(exception);
    }

    fn start(start: &Start, _: RamRange, machine: &mut M) -> Result<(), ImageError> {
        // With a device tree as Linux wants it (its Documentation/arch/arm64/booting.rst).
        let (x0, x1) = match start.device_tree {
            Some(tree) => (tree.0, 0),
            None => (start.command_line.0, start.command_line_len_bytes),
        };
        machine.start(start.entry, x0, x1);
        Ok(())
    }
}
