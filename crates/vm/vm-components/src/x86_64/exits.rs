//! The exits of an x86 vCPU that do not take the short way, and the policies for what the VM does
//! not have.
//!
//! Called by the platform, after `access`.
//!
//! Invariant: each exit lets the guest run on, holds it, or ends the VM. HLT with interrupts off ends
//! it; with interrupts on it waits for the clock's next wake-up. The exceptions of policy
//! `fail`: #GP(0) for an access that nothing answers or a register that is not there, #UD for an
//! instruction that is not carried out. No x86 CPU has an exception for an access that nothing on its
//! bus answers; #GP is the one that an operating system takes as its driver's fault.
//!
//! Specification: AMD APM volume 3, HLT, VMMCALL; Intel SDM volume 2, HLT; volume 3, 31.3 (VMCALL).

use super::instruction::Obstacle;
use super::{RAX, RCX, RDX, X86, X86Exception, X86Exit, X86ExitReason, X86Machine};
use crate::Vmm;
use crate::vmm::calls::Answer;
use crate::vmm::device_point::DevicePoint;
use trace_records::{Address, EndReason};
use vm_config::Action;

/// RFLAGS.IF: interrupts are taken.
const RFLAGS_IF: u64 = 1 << 9;

impl Vmm<X86> {
    /// Every exit that [`Self::complete_access`] has not handled.
    #[cold]
    pub fn other_exit<M: X86Machine>(&mut self, exit: X86Exit, machine: &mut M) {
        if let X86ExitReason::Access { address, direction } = exit.reason
            && self.complete(address, direction, DevicePoint::look, machine)
        {
            return;
        }
        self.begin(machine);
        self.answer(exit, machine);
        self.commit(machine);
    }

    fn answer<M: X86Machine>(&mut self, exit: X86Exit, machine: &mut M) {
        let rip = exit.rip;
        if !matches!(exit.reason, X86ExitReason::Halt) {
            self.idle = None;
        }
        match exit.reason {
            X86ExitReason::Access { address, direction } => {
                match self.plan(rip, address, direction, machine) {
                    Ok(transfer) => self.carry_out(transfer, 0, machine),
                    Err(Obstacle::PageFault(fault)) => machine.inject(fault),
                    Err(Obstacle::Unsupported) => {
                        self.record_refused(address.0, None, direction, rip, machine);
                        self.refuse_instruction(exit, address.0, machine);
                    }
                }
            }
            X86ExitReason::OwnAccess { address, direction } => {
                self.record_refused(address.0, None, direction, rip, machine);
                // There is no instruction to skip or to blame: the VM cannot go on.
                self.end(EndReason::MemoryError, address.0, rip, machine);
            }
            X86ExitReason::Port {
                port,
                direction,
                width,
            } => self.port(exit, port, direction, width, machine),
            X86ExitReason::Instruction => self.refuse_instruction(exit, 0, machine),
            // Nobody sends it an NMI, and nothing else would wake it.
            X86ExitReason::Halt if machine.rflags() & RFLAGS_IF == 0 => {
                self.end(EndReason::NothingWakesIt, Address::NONE, rip, machine);
            }
            X86ExitReason::Halt => match exit.after(machine) {
                Some(next) => self.wait(rip, next, machine),
                None => self.refuse_instruction(exit, 0, machine),
            },
            X86ExitReason::Call => {
                let function = machine.gpr(RAX);
                let arguments = [machine.gpr(RCX), machine.gpr(RDX)];
                // An Intel CPU lets user programs call as well: they have no business here.
                let next = exit.after(machine);
                let Some(next) = next.filter(|_| machine.privilege_level() == 0) else {
                    return self.refuse_instruction(exit, 0, machine);
                };
                match self.call(function, arguments, rip, machine) {
                    Some(Answer::Now(value)) => {
                        machine.set_gpr(RAX, value);
                        machine.proceed(next);
                    }
                    Some(Answer::AfterWaiting(value)) => {
                        machine.set_gpr(RAX, value);
                        self.wait(rip, next, machine);
                    }
                    None => {}
                }
            }
            X86ExitReason::Register { number } => {
                let action = self.config.unsupported().register;
                match (action, exit.after(machine)) {
                    (Action::Ignore, Some(next)) => machine.proceed(next),
                    (Action::Abort, _) => {
                        self.end(
                            EndReason::UnsupportedRegister,
                            u64::from(number),
                            rip,
                            machine,
                        );
                    }
                    _ => {
                        let exception = X86Exception::GeneralProtection;
                        self.inject(exception, u64::from(number), rip, machine);
                    }
                }
            }
            X86ExitReason::Fetch { address } => {
                self.end(EndReason::FetchAbort, address.0, rip, machine);
            }
            X86ExitReason::Shutdown => {
                self.end(EndReason::UnknownExit, 0, rip, machine);
            }
            X86ExitReason::Other { code } => {
                self.end(EndReason::UnknownExit, code, rip, machine);
            }
        }
    }

    /// Policy `instruction`; `about` is the address that it was about.
    pub(super) fn refuse_instruction<M: X86Machine>(
        &mut self,
        exit: X86Exit,
        about: impl Into<Address>,
        machine: &mut M,
    ) {
        let action = self.config.unsupported().instruction;
        match (action, exit.after(machine)) {
            (Action::Ignore, Some(next)) => machine.proceed(next),
            (Action::Abort, _) => {
                let reason = EndReason::UnsupportedInstruction;
                self.end(reason, about, exit.rip, machine);
            }
            _ => self.inject(X86Exception::InvalidOpcode, about, exit.rip, machine),
        }
    }
}
