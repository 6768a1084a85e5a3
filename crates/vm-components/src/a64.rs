//! A64 in the work of a VMM: the exits of a vCPU, and what `architecture` asks.
//!
//! Accesses without a syndrome are in `undescribed`.

use crate::architecture::{Architecture, Isa};
use crate::image::Start;
use crate::transfer::{Element, End, Transfer};
use crate::undescribed::{self, Obstacle, Reported};
use crate::vmm::{Answer, Attempt, Device, TraceLink, TracePoint};
use crate::{A64Machine, Exit, GuestException, ImageError, Vmm};
use a64_guest::exception::EXTERNAL_ABORT;
use elf::abi::EM_AARCH64;
use guest_trap::{Access, CallInstruction, Direction, Gpr, GuestPhysAddr, Trap, decode};
use trace_records::EndReason;
use vm_config::{Action, RamRange};

/// Every A64 instruction is four bytes long.
pub(crate) const INSTRUCTION_BYTES: u64 = 4;

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

impl Vmm<A64> {
    /// Handles an exit of the vCPU.
    #[inline(always)]
    pub fn fault(&mut self, exit: Exit, machine: &mut impl A64Machine) {
        if !self.complete_access(exit, machine) {
            self.other_exit(exit, machine);
        }
    }

    /// The short way of [`Self::fault`]: completes an access to a trace device that the
    /// hardware described, if nothing stands against it. Returns whether it did; if not,
    /// nothing has happened, and [`Self::other_exit`] handles the exit.
    #[inline(always)]
    pub fn complete_access(&mut self, exit: Exit, machine: &mut impl A64Machine) -> bool {
        if let Trap::Access(access) = decode(exit.syndrome, exit.address, exit.pc)
            && let Some(Device::Trace(point)) = self.bus.find(access.address)
            && let Attempt::Done(value) = point.attempt(&access, &mut self.link, machine)
        {
            complete(&access, u64::from(value), machine);
            return true;
        }
        false
    }

    /// An access that the hardware does not describe: carried out if its instruction can be
    /// decoded, else policy `instruction`.
    #[cold]
    fn undescribed(&mut self, reported: Reported, machine: &mut impl A64Machine) {
        let Reported {
            address,
            direction,
            pc,
        } = reported;
        let (status, virtual_address) = match undescribed::plan(reported, machine) {
            Ok(transfer) => return self.carry_out(transfer, 0, machine),
            Err(Obstacle::GuestFault {
                status,
                virtual_address: address,
            }) => {
                return machine.inject(GuestException::DataAbort {
                    direction,
                    status,
                    address,
                });
            }
            Err(Obstacle::Unsupported {
                status,
                virtual_address,
            }) => (status, virtual_address),
        };
        self.record_refused(address, None, direction, pc, machine);
        match self.config.unsupported().instruction {
            Action::Ignore => machine.resume(pc.wrapping_add(INSTRUCTION_BYTES), None),
            Action::Fail => self.refuse(reported, status, virtual_address, machine),
            Action::Abort => {
                self.end(EndReason::UnsupportedInstruction, address.0, pc, machine);
            }
        }
    }

    /// Gives the guest the data abort of an access that is not supported.
    fn refuse(
        &mut self,
        reported: Reported,
        status: u8,
        virtual_address: u64,
        machine: &mut impl A64Machine,
    ) {
        let exception = GuestException::DataAbort {
            direction: reported.direction,
            status,
            address: virtual_address,
        };
        self.inject(exception, reported.address.0, reported.pc, machine);
    }

    /// Every exit that [`Self::complete_access`] has not handled. Decodes it again: to pass on
    /// what was decoded would build it in memory on the hot path.
    #[cold]
    pub fn other_exit(&mut self, exit: Exit, machine: &mut impl A64Machine) {
        let pc = exit.pc;
        let trap = decode(exit.syndrome, exit.address, pc);
        if trap != Trap::Wait {
            self.idle = None;
        }
        match trap {
            Trap::Access(access) => {
                let virtual_address = machine.fault_address();
                let transfer = Transfer::described(access, virtual_address, machine);
                self.carry_out(transfer, 0, machine);
            }
            Trap::Undescribed { address, direction } => {
                let reported = Reported {
                    address,
                    direction,
                    pc,
                };
                self.undescribed(reported, machine);
            }
            Trap::Wait => self.wait(pc, pc.wrapping_add(INSTRUCTION_BYTES), machine),
            Trap::Call { instruction, .. } => {
                // HVC's return address is the next instruction, a trapped SMC's its own.
                let next = match instruction {
                    CallInstruction::Hvc => pc,
                    CallInstruction::Smc => pc.wrapping_add(INSTRUCTION_BYTES),
                };
                let [x0, x1, x2] = [0, 1, 2].map(Gpr::from_number);
                let function = machine.gpr(x0);
                let arguments = [machine.gpr(x1), machine.gpr(x2)];
                match self.call(function, arguments, pc, machine) {
                    Some(Answer::Now(value)) => machine.resume(next, Some((x0, value))),
                    Some(Answer::AfterWaiting(value)) => {
                        machine.set_gpr(x0, value);
                        self.wait(pc, next, machine);
                    }
                    None => {}
                }
            }
            Trap::SystemRegister { .. } => match self.config.unsupported().register {
                Action::Ignore => machine.resume(pc.wrapping_add(INSTRUCTION_BYTES), None),
                Action::Fail => {
                    self.inject(
                        GuestException::Undefined,
                        u64::from(trap_class(exit)),
                        pc,
                        machine,
                    );
                }
                Action::Abort => {
                    let class = u64::from(trap_class(exit));
                    self.end(EndReason::UnsupportedRegister, class, pc, machine);
                }
            },
            Trap::FetchAbort { address } => {
                self.end(EndReason::FetchAbort, address.0, pc, machine);
            }
            Trap::MemoryError { .. } => {
                self.end(EndReason::MemoryError, exit.address.0, pc, machine);
            }
            Trap::Other { class } => {
                self.end(EndReason::UnknownExit, u64::from(class), pc, machine);
            }
        }
    }
}

impl TracePoint {
    /// Records an access, if the trace component is where it has to be for that.
    #[inline(always)]
    fn attempt(
        &mut self,
        access: &Access,
        link: &mut TraceLink,
        machine: &mut impl A64Machine,
    ) -> Attempt {
        let (current, lane) = match self.look(access, link) {
            Ok(seen) => seen,
            Err(attempt) => return attempt,
        };
        let value = match access.direction {
            Direction::Read => lane,
            Direction::Write => register(access, machine) as u32,
        };
        self.record(access, current, value, link, machine)
    }
}

/// What a store stores.
#[inline(always)]
fn register(access: &Access, machine: &mut impl A64Machine) -> u64 {
    if access.register == Gpr::ZERO {
        0
    } else {
        machine.gpr(access.register) & access.width.mask()
    }
}

/// Ends an access: a load gets `value`, extended as the instruction says.
#[inline(always)]
fn complete(access: &Access, value: u64, machine: &mut impl A64Machine) {
    let load = access.direction == Direction::Read && access.register != Gpr::ZERO;
    let result = load.then(|| (access.register, access.extend(value)));
    machine.resume(access.pc.wrapping_add(INSTRUCTION_BYTES), result);
}

/// EC, for the message about a trap that the guest must handle itself.
fn trap_class(exit: Exit) -> u8 {
    (exit.syndrome >> 26) as u8 & 0x3f
}
