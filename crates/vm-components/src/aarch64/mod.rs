//! A64 in the work of a VMM: the exits of a vCPU, and what `architecture` asks.
//!
//! Accesses without a syndrome are in `undescribed`. A guest's EL0 may be AArch32, and its data
//! big-endian: what is not the short way judges each exit by the guest's PSTATE.

mod instruction;

use crate::aarch64::instruction::{self as undescribed, Obstacle, Reported};
use crate::vmm::architecture::{Architecture, Isa};
use crate::vmm::image::Start;
use crate::vmm::transfer::{Element, End, Transfer};
use crate::vmm::{Answer, Attempt, Device, TraceLink, TracePoint};
use crate::{A64Machine, Exit, GuestException, ImageError, Vmm};
use a64_guest::exception::EXTERNAL_ABORT;
use a64_guest::pstate;
use elf::abi::EM_AARCH64;
use guest_trap::{
    Access, CallInstruction, Direction, Gpr, GuestPhysAddr, Trap, aarch32_condition,
    aarch32_instruction_bytes, decode,
};
use trace_records::EndReason;
use vm_config::{Action, RamRange};

/// Every A64 instruction is four bytes long.
pub(crate) const INSTRUCTION_BYTES: u64 = 4;

/// The A64 instruction set, at EL1 and EL0, with A32 and T32 at EL0.
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
            && machine.is_ordinary(access.register)
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
        let (status, virtual_address, len_bytes) = match undescribed::plan(reported, machine) {
            Ok(transfer) if is_beyond(machine) => {
                let address = transfer.first_virtual_address().unwrap_or(address.0);
                (EXTERNAL_ABORT, address, transfer.end.len_bytes)
            }
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
                len_bytes,
            }) => (status, virtual_address, len_bytes),
        };
        self.record_refused(address, None, direction, pc, machine);
        match self.config.unsupported().instruction {
            Action::Ignore if may_step_over(pc, len_bytes, machine) => {
                step_over(pc, len_bytes, None, machine);
            }
            Action::Ignore | Action::Fail => {
                self.refuse(reported, status, virtual_address, machine)
            }
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

    /// The CPU's walk for an address of the guest's met no memory: the data abort that says so.
    /// Nobody has accessed anything, so there is no record of it.
    #[cold]
    fn failed_walk(&mut self, direction: Direction, pc: u64, machine: &mut impl A64Machine) {
        let walk = undescribed::failed_walk(pc, machine);
        let exception = GuestException::DataAbort {
            direction,
            status: walk.status,
            address: walk.virtual_address,
        };
        let table = walk.table.map_or(walk.virtual_address, |table| table.0);
        self.inject(exception, table, pc, machine);
    }

    /// Goes on behind an instruction that has no effect; it is undefined where that cannot be.
    fn skip(&mut self, exit: Exit, machine: &mut impl A64Machine) {
        let (pc, len_bytes) = (exit.pc, instruction_bytes(exit, machine));
        if may_step_over(pc, len_bytes, machine) {
            step_over(pc, len_bytes, None, machine);
        } else {
            let class = u64::from(trap_class(exit));
            self.inject(GuestException::Undefined, class, pc, machine);
        }
    }

    /// An instruction that was trapped because the VM does not have what it is for.
    #[cold]
    fn unavailable(&mut self, exit: Exit, machine: &mut impl A64Machine) {
        let (pc, class) = (exit.pc, u64::from(trap_class(exit)));
        match self.config.unsupported().register {
            Action::Ignore => self.skip(exit, machine),
            Action::Fail => self.inject(GuestException::Undefined, class, pc, machine),
            Action::Abort => self.end(EndReason::UnsupportedRegister, class, pc, machine),
        }
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
            // A platform that cannot complete it answers by policy `instruction`.
            Trap::Access(access) if is_beyond(machine) => {
                let reported = Reported {
                    address: access.address,
                    direction: access.direction,
                    pc,
                };
                self.undescribed(reported, machine);
            }
            Trap::Access(access) => {
                let virtual_address = machine.fault_address();
                let len_bytes = instruction_bytes(exit, machine);
                let transfer = Transfer::described(access, virtual_address, len_bytes, machine);
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
            // There is nothing to maintain where no memory is.
            Trap::CacheMaintenance => self.skip(exit, machine),
            Trap::TableWalk { direction } => self.failed_walk(direction, pc, machine),
            Trap::Wait | Trap::Unavailable { .. } if !is_executed(exit, machine) => {
                self.skip(exit, machine);
            }
            Trap::Wait => {
                let len_bytes = instruction_bytes(exit, machine);
                if may_step_over(pc, len_bytes, machine) {
                    let next = prepare_step(pc, len_bytes, machine);
                    self.wait(pc, next, machine);
                } else {
                    self.skip(exit, machine);
                }
            }
            Trap::Call { instruction, .. } => {
                // HVC's return address is the next instruction, a trapped SMC's its own.
                let next = match instruction {
                    CallInstruction::Hvc => pc,
                    CallInstruction::Smc => prepare_step(pc, INSTRUCTION_BYTES, machine),
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
            Trap::SystemRegister { .. } | Trap::Unavailable { .. } => {
                self.unavailable(exit, machine);
            }
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

/// Lets the guest go on behind the instruction at `pc`, which is done, after writing one register
/// if `result` says so.
pub(crate) fn step_over(
    pc: u64,
    len_bytes: u64,
    result: Option<(Gpr, u64)>,
    machine: &mut impl A64Machine,
) {
    let next = prepare_step(pc, len_bytes, machine);
    machine.resume(next, result);
}

/// Sets PSTATE to what the instruction at `pc` leaves of it; returns where the guest goes on.
fn prepare_step(pc: u64, len_bytes: u64, machine: &mut impl A64Machine) -> u64 {
    let before = machine.pstate();
    let next = pstate::after(before, pc, len_bytes);
    if next.pstate != before {
        machine.set_pstate(next.pstate);
    }
    next.pc
}

/// Whether the guest's registers are in AArch32 and the platform cannot set them.
fn is_beyond(machine: &mut impl A64Machine) -> bool {
    !machine.sets_aarch32() && pstate::is_aarch32(machine.pstate())
}

/// Whether the platform can go on behind an instruction that changes no register.
fn may_step_over(pc: u64, len_bytes: u64, machine: &mut impl A64Machine) -> bool {
    let before = machine.pstate();
    !is_beyond(machine) || pstate::after(before, pc, len_bytes).pstate == before
}

/// How long the instruction is that trapped, where the syndrome describes it.
fn instruction_bytes(exit: Exit, machine: &mut impl A64Machine) -> u64 {
    match pstate::is_aarch32(machine.pstate()) {
        true => aarch32_instruction_bytes(exit.syndrome),
        false => INSTRUCTION_BYTES,
    }
}

/// Whether its condition, if it has one, holds.
fn is_executed(exit: Exit, machine: &mut impl A64Machine) -> bool {
    pstate::is_executed(machine.pstate(), aarch32_condition(exit.syndrome))
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
