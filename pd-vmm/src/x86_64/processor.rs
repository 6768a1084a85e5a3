//! What a guest's processor does that the VMM component need not know of: CPUID, the registers
//! that a guest has, control registers, exceptions that are only watched.
//!
//! Called by `vcpu` for every exit but those of devices. The invariant: a guest changes nothing
//! of the machine's. Its values are checked before the kernel gets them, since the kernel loads
//! the registers of SYSCALL as they are.
//!
//! Specification: Intel SDM volume 3, "VM Exits" (exit qualifications); volume 4
//! (model-specific registers).

use super::invocations::VCpuInvocations;
use super::vcpu::{RAX, RBX, RCX, RDX, VCPU, VirtualMachine, read_vmcs, write_vmcs};
use super::vmcs::{Field, exit_reason, interruption, io, vector};
use core::arch::x86_64::{__cpuid_count, CpuidResult};
use guest_trap::{AccessWidth, Direction, GuestPhysAddr};
use pd_runtime::Counter;
use sel4::Word;
use vm_components::{Machine, X86ExitReason, X86Machine};
use x86_guest::{
    ControlRegisters, Cpuid, Registers, is_canonical, is_memory_types, visible_cpuid, written_efer,
};

// Model-specific registers.
const TIME_STAMP_COUNTER: u32 = 0x10;
const PAT: u32 = 0x277;
const EFER: u32 = 0xc000_0080;
const STAR: u32 = 0xc000_0081;
const LSTAR: u32 = 0xc000_0082;
const CSTAR: u32 = 0xc000_0083;
const FMASK: u32 = 0xc000_0084;
/// Those that SYSCALL goes by, which the kernel loads with a guest.
const SYSTEM_CALL_REGISTERS: [u32; 4] = [STAR, LSTAR, CSTAR, FMASK];

/// Exit qualification of control registers.
mod access {
    pub const NUMBER: u64 = 0xf;
    pub const TYPE_SHIFT: u32 = 4;
    pub const TYPE: u64 = 3;
    pub const FROM: u64 = 1;
    pub const CLTS: u64 = 2;
    pub const LMSW: u64 = 3;
    pub const GPR_SHIFT: u32 = 8;
    pub const GPR: u64 = 0xf;
    pub const LMSW_SHIFT: u32 = 16;
}

impl VirtualMachine {
    /// What an exit is to the VMM component; `None` if it is done.
    pub(super) fn processor_exit(&mut self, reason: Word) -> Option<X86ExitReason> {
        Some(match reason {
            // What it is for is that the kernel had its turn.
            exit_reason::PREEMPTION_TIMER => return None,
            exit_reason::EXCEPTION_OR_NMI => return self.exception(),
            exit_reason::CPUID => {
                self.cpuid();
                return None;
            }
            exit_reason::RDMSR => {
                let number = self.gpr(RCX) as u32;
                match self.read_msr(number) {
                    Some(value) => {
                        self.set_gpr(RAX, value & 0xffff_ffff);
                        self.set_gpr(RDX, value >> 32);
                        self.done();
                        return None;
                    }
                    None => X86ExitReason::Register { number },
                }
            }
            exit_reason::WRMSR => {
                let number = self.gpr(RCX) as u32;
                let value = self.gpr(RDX) << 32 | self.gpr(RAX) & 0xffff_ffff;
                match self.write_msr(number, value) {
                    Some(taken) => {
                        self.done_if(taken);
                        return None;
                    }
                    None => X86ExitReason::Register { number },
                }
            }
            exit_reason::CONTROL_REGISTER => {
                let taken = self.control_register();
                self.done_if(taken);
                return None;
            }
            exit_reason::DEBUG_REGISTER => X86ExitReason::Register {
                number: self.qualification as u32 & 7,
            },
            exit_reason::IO_INSTRUCTION if self.qualification & io::STRING == 0 => self.port(),
            exit_reason::HLT => X86ExitReason::Halt,
            exit_reason::VMCALL => X86ExitReason::Call,
            exit_reason::TRIPLE_FAULT => X86ExitReason::Shutdown,
            exit_reason::GETSEC
            | exit_reason::INVD
            | exit_reason::RDPMC
            | exit_reason::FIRST_VMX_INSTRUCTION..=exit_reason::LAST_VMX_INSTRUCTION
            | exit_reason::IO_INSTRUCTION
            | exit_reason::MWAIT
            | exit_reason::MONITOR
            | exit_reason::INVEPT
            | exit_reason::RDTSCP
            | exit_reason::INVVPID
            | exit_reason::WBINVD
            | exit_reason::XSETBV => X86ExitReason::Instruction,
            // Also that the hardware refuses what the guest has made of its registers.
            code => X86ExitReason::Other { code },
        })
    }

    /// The guest goes on behind the instruction that exited.
    fn done(&mut self) {
        let next = self.next_rip();
        self.proceed(next);
    }

    fn done_if(&mut self, taken: bool) {
        if taken {
            self.done();
        } else {
            self.raise(vector::GENERAL_PROTECTION, Some(0));
        }
    }

    /// An exception that the guest caused itself is the guest's; an NMI is the machine's. What is
    /// left is INT1, an instruction that only looks like an exception.
    fn exception(&mut self) -> Option<X86ExitReason> {
        let info = read_vmcs(Field::EXIT_INTERRUPTION_INFO);
        match (info & interruption::TYPE, info & interruption::VECTOR) {
            (interruption::NMI, _) => {}
            (interruption::HARDWARE_EXCEPTION, vector::ALIGNMENT_CHECK) => {
                self.raise(vector::ALIGNMENT_CHECK, Some(0));
            }
            (interruption::HARDWARE_EXCEPTION, _) => self.raise(vector::DEBUG, None),
            _ => return Some(X86ExitReason::Instruction),
        }
        None
    }

    fn cpuid(&mut self) {
        let (leaf, subleaf) = (self.gpr(RAX) as u32, self.gpr(RCX) as u32);
        let CpuidResult { eax, ebx, ecx, edx } = __cpuid_count(leaf, subleaf);
        let result = visible_cpuid(leaf, Cpuid { eax, ebx, ecx, edx });
        let results = [result.eax, result.ebx, result.ecx, result.edx];
        for (number, value) in [RAX, RBX, RCX, RDX].into_iter().zip(results) {
            self.set_gpr(number, value.into());
        }
        self.done();
    }

    /// IN or OUT.
    fn port(&self) -> X86ExitReason {
        let qualification = self.qualification;
        X86ExitReason::Port {
            port: (qualification >> io::PORT_SHIFT) as u16,
            direction: if qualification & io::IN != 0 {
                Direction::Read
            } else {
                Direction::Write
            },
            width: match qualification & io::WIDTH {
                0 => AccessWidth::Byte,
                1 => AccessWidth::Halfword,
                _ => AccessWidth::Word,
            },
        }
    }

    fn read_msr(&self, number: u32) -> Option<u64> {
        Some(match number {
            // The guest reads the machine's counter and cannot move it.
            TIME_STAMP_COUNTER => Counter::now(),
            PAT => read_vmcs(Field::GUEST_PAT),
            EFER => self.control.efer,
            // The kernel has these: no error is possible.
            STAR | LSTAR | CSTAR | FMASK => VCPU.vcpu_read_msr(number).unwrap_or(0),
            _ => return None,
        })
    }

    /// Whether the register takes the value; `None` if the guest does not have it.
    fn write_msr(&mut self, number: u32, value: u64) -> Option<bool> {
        let taken = match number {
            PAT => is_memory_types(value),
            STAR => true,
            LSTAR | CSTAR => is_canonical(value),
            FMASK => value >> 32 == 0,
            EFER => {
                let control = self.control;
                let written = written_efer(control.efer, value, control.cr0);
                if let Some(efer) = written {
                    self.set_control_registers(ControlRegisters { efer, ..control });
                }
                return Some(written.is_some());
            }
            _ => return None,
        };
        if taken && number == PAT {
            write_vmcs(Field::GUEST_PAT, value);
        } else if taken {
            // As above.
            VCPU.vcpu_write_msr(number, value).ok();
        }
        Some(taken)
    }

    /// The registers of SYSCALL as they are at a VM's start.
    pub(super) fn reset_system_call_registers(&mut self) {
        for number in SYSTEM_CALL_REGISTERS {
            VCPU.vcpu_write_msr(number, 0).ok();
        }
    }

    /// MOV to and from control registers, CLTS, LMSW. Returns whether the value is taken.
    fn control_register(&mut self) -> bool {
        let qualification = self.qualification;
        let register = (qualification >> access::GPR_SHIFT & access::GPR) as u8;
        let mode = self.situation().mode();
        let number = qualification & access::NUMBER;
        let changed = match (qualification >> access::TYPE_SHIFT & access::TYPE, number) {
            (access::CLTS, _) => Some(self.control.with_ts_clear()),
            (access::LMSW, _) => {
                let status = (qualification >> access::LMSW_SHIFT) as u16;
                self.control.with_machine_status(status, mode)
            }
            (access::FROM, 8) => {
                self.set_gpr(register, self.cr8);
                return true;
            }
            (_, 8) => {
                let value = self.gpr(register);
                let taken = value <= 0xf;
                if taken {
                    self.cr8 = value;
                }
                return taken;
            }
            (_, 0) => self.control.with_cr0(self.gpr(register), mode),
            (_, 4) => self.control.with_cr4(self.gpr(register)),
            // Nothing else leaves the guest.
            _ => None,
        };
        let Some(control) = changed else {
            return false;
        };
        self.set_control_registers(control);
        !control.has_page_directory_pointers() || self.load_page_directory_pointers()
    }

    /// With PAE paging the CPU keeps the four entries at CR3.
    fn load_page_directory_pointers(&mut self) -> bool {
        let first = self.presumed_situation().paging.cr3 & 0xffff_ffe0;
        let words = self.ram.words();
        for (index, offset) in (0..4_u32).zip((0..).step_by(8)) {
            let Some(entry) = words(GuestPhysAddr(first + offset)) else {
                return false;
            };
            let field = Field(Field::GUEST_PDPTE0.0 + 2 * index);
            write_vmcs(field, entry);
        }
        true
    }
}
