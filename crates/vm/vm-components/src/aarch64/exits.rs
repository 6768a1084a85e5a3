//! The exits of an aarch64 vCPU that do not take the short way, and the policies for what the VM
//! does not have.
//!
//! Called by the platform, after `access`. A guest's EL0 may be AArch32, and its data big-endian:
//! each exit is judged by the guest's PSTATE.
//!
//! Invariant: each exit lets the guest run on, holds it, or ends the VM. The specification of the
//! exception classes is `guest_access`'s.

use super::halt;
use super::instruction::{self, Obstacle};
use super::step::{
    INSTRUCTION_BYTES, instruction_bytes, is_beyond, is_executed, may_step_over, prepare_step,
    step_over,
};
use super::system_registers;
use super::view::Reported;
use super::{A64, A64Machine, Exit, GuestException};
use crate::Vmm;
use crate::vmm::calls::Answer;
use crate::vmm::transfer::Transfer;
use a64_guest::exception::EXTERNAL_ABORT;
use a64_guest::syndrome::{CallInstruction, Trap, decode};
use guest_access::{Direction, Gpr};
use trace_records::{Address, EndReason};
use vm_config::Action;

impl Vmm<A64> {
    /// Every exit that [`Self::complete_access`] has not handled. Decodes it again: to pass on
    /// what was decoded would build it in memory on the hot path.
    #[cold]
    pub fn other_exit(&mut self, exit: Exit, machine: &mut impl A64Machine) {
        if self.complete_access_to_one_of_several(exit, machine) {
            return;
        }
        self.begin(machine);
        self.sample_lines(machine);
        self.answer(exit, machine);
        self.deliver(machine);
        self.commit(machine);
    }

    fn answer(&mut self, exit: Exit, machine: &mut impl A64Machine) {
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
            Trap::Wait if halt::is_for_ever(pc, machine) => {
                self.end(EndReason::NothingWakesIt, Address::NONE, pc, machine);
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
            Trap::SystemRegister { iss } => {
                match system_registers::answer(iss, machine.pstate()) {
                    // Of AArch64 alone, where every platform can go on behind it.
                    Some(answer) => step_over(pc, INSTRUCTION_BYTES, answer.result(), machine),
                    None => self.unavailable(exit, machine),
                }
            }
            Trap::Unavailable { .. } => self.unavailable(exit, machine),
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

    /// An access that the hardware does not describe: carried out if its instruction can be
    /// decoded, else policy `instruction`.
    #[cold]
    fn undescribed(&mut self, reported: Reported, machine: &mut impl A64Machine) {
        let Reported {
            address,
            direction,
            pc,
        } = reported;
        let (status, virtual_address, len_bytes) = match instruction::plan(reported, machine) {
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
        self.record_refused(address.0, None, direction, pc, machine);
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
        let walk = instruction::failed_walk(pc, machine);
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
}

/// EC, for the message about a trap that the guest must handle itself.
fn trap_class(exit: Exit) -> u8 {
    (exit.syndrome >> 26) as u8 & 0x3f
}
