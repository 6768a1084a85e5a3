//! IN and OUT: a device, or nothing, which is policy `reference`'s.
//!
//! Called by `exits`. Invariant: an access to no port of a device is told of as one to a port, and a
//! read of it gives all-ones.
//!
//! Specification: AMD APM volume 3 and Intel SDM volume 2, IN, OUT.

use super::{RAX, X86, X86End, X86Exit, X86Machine};
use crate::Vmm;
use crate::vmm::transfer::{Element, Place, Transfer};
use guest_access::{AccessWidth, Direction};
use trace_records::Address;
use x86_guest::{Register, RegisterPart};

impl Vmm<X86> {
    /// IN or OUT.
    pub(super) fn port<M: X86Machine>(
        &mut self,
        exit: X86Exit,
        port: u16,
        direction: Direction,
        width: AccessWidth,
        machine: &mut M,
    ) {
        let Some(next_rip) = exit.after(machine) else {
            return self.refuse_instruction(exit, Address::port(port), machine);
        };
        let part = match width {
            AccessWidth::Byte => RegisterPart::LowByte,
            AccessWidth::Halfword => RegisterPart::Word,
            _ => RegisterPart::Doubleword,
        };
        let value = match direction {
            Direction::Read => 0,
            Direction::Write => rax(part).of(machine.gpr(RAX)),
        };
        let place = Place::port(port);
        let element = Element::new(place, None, direction, width.log2(), value.into());
        let end = X86End::Port { part, next_rip };
        self.carry_out(Transfer::new(exit.rip, [element], end), 0, machine);
    }
}

/// Ends IN or OUT.
pub(super) fn finish<M: X86Machine>(
    transfer: &Transfer<X86End>,
    part: RegisterPart,
    next_rip: u64,
    machine: &mut M,
) {
    if transfer
        .elements()
        .any(|element| element.direction == Direction::Read)
    {
        let whole = machine.gpr(RAX);
        let read = transfer.first_value() as u64;
        machine.set_gpr(RAX, rax(part).put(whole, read));
    }
    machine.proceed(next_rip);
}

const fn rax(part: RegisterPart) -> Register {
    Register { number: RAX, part }
}
