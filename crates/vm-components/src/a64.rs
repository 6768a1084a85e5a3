//! A64 in the work of a VMM: what `architecture` asks.
//!
//! The exits themselves are handled in `vmm`, accesses without a syndrome in `undescribed`.

use crate::architecture::{Architecture, Isa};
use crate::image::Start;
use crate::transfer::{Element, End, Transfer};
use crate::undescribed::{self, Reported};
use crate::{A64Machine, GuestException, ImageError};
use a64_guest::exception::EXTERNAL_ABORT;
use elf::abi::EM_AARCH64;
use guest_trap::GuestPhysAddr;
use vm_config::RamRange;

/// The A64 instruction set, at EL1 and EL0.
pub enum A64 {}

impl Isa for A64 {
    type End = End;
    type Exception = GuestException;
    type Memory = ();
    const ELF_MACHINE: u16 = EM_AARCH64;
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
                .unwrap_or_else(|| undescribed::virtual_address(reported, machine)),
        }
    }

    fn inject(exception: GuestException, machine: &mut M) {
        machine.inject(exception);
    }

    fn start(start: &Start, _: RamRange, machine: &mut M) -> Result<(), ImageError> {
        let (address, len_bytes) = (start.command_line.0, start.command_line_len_bytes);
        machine.start(start.entry, address, len_bytes);
        Ok(())
    }
}
