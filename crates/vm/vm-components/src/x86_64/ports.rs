//! IN and OUT: a serial port, or nothing, which is policy `reference`'s.
//!
//! Called by `exits`. Invariant: an access to no port of a device is told of as one to a port, and a
//! read of it gives all-ones.
//!
//! Specification: AMD APM volume 3 and Intel SDM volume 2, IN, OUT.

use super::{RAX, X86, X86Exception, X86Exit, X86Machine};
use crate::Vmm;
use guest_access::{AccessWidth, Direction, GuestPhysAddr};
use trace_records::{Address, EndReason, Kind, Tag};
use vm_config::Action;
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
        let Some(next) = exit.after(machine) else {
            return self.refuse_instruction(exit, Address::port(port), machine);
        };
        let register = Register {
            number: RAX,
            part: match width {
                AccessWidth::Byte => RegisterPart::LowByte,
                AccessWidth::Halfword => RegisterPart::Word,
                _ => RegisterPart::Doubleword,
            },
        };
        let whole = machine.gpr(RAX);
        let serial = self.ports.find(GuestPhysAddr(port.into())).copied();
        let mut read = width.mask();
        match (serial, direction) {
            (Some(first), Direction::Read) if width == AccessWidth::Byte => {
                read = self.console.port_read(port - first, machine).into();
            }
            (Some(first), Direction::Write) if width == AccessWidth::Byte => {
                self.console.port_write(port - first, whole as u8, machine);
            }
            _ => {
                let about = Address::port(port);
                let tag = Tag::new(Kind::Outside)
                    .with_access(direction, Some(width))
                    .with_space(about.space);
                let address = GuestPhysAddr(about.number);
                let mut record = self.record(tag, address, exit.rip, machine);
                record.old = match direction {
                    Direction::Read => read as u32,
                    Direction::Write => register.of(whole) as u32,
                };
                self.link.append_outside(record);
                let reason = EndReason::UnsupportedReference;
                match self.config.unsupported().reference {
                    Action::Ignore => {}
                    Action::Fail => {
                        let exception = X86Exception::GeneralProtection;
                        return self.inject(exception, about, exit.rip, machine);
                    }
                    Action::Abort => return self.end(reason, about, exit.rip, machine),
                }
            }
        }
        if direction == Direction::Read {
            machine.set_gpr(RAX, register.put(whole, read));
        }
        machine.proceed(next);
    }
}
