//! What a guest's processor does that the VMM component need not know of: CPUID, the registers
//! that a guest has, control registers, exceptions that are only watched.
//!
//! Called by `vcpu` for every exit but those of devices. The invariant: a guest changes nothing
//! of the machine's. Its values are checked before the kernel gets them, since the kernel loads
//! the registers of SYSCALL as they are; what no CPU takes is #GP, as on one.
//!
//! Specification: Intel SDM volume 3, "VM Exits" (exit qualifications); volume 4
//! (model-specific registers).

use super::invocations::VCpuInvocations;
use super::vcpu::{RAX, RBX, RCX, RDX, VirtualMachine};
use super::vmcs::{VCPU, read_vmcs, write_msr, write_vmcs};
use core::arch::x86_64::{__cpuid, __cpuid_count, CpuidResult};
use guest_access::GuestPhysAddr;
use pd_runtime::Counter;
use sel4::Word;
use vm_components::{Machine, X86ExitReason, X86Machine};
use vt_x::msr::{CSTAR, FMASK, LSTAR, STAR};
use vt_x::vmcs::{Field, SegmentRegister};
use vt_x::{
    Cause, ControlRegisterAccess, Left, cause, left_by, may_enter_ia32e_mode, may_load, may_write,
    vector,
};
use x86_guest::{
    ControlRegisters, Cpuid, Mode, Registers, is_page_directory_pointer, visible_cpuid,
    written_efer,
};

// Model-specific registers.
const TIME_STAMP_COUNTER: u32 = 0x10;
const PAT: u32 = 0x277;
const EFER: u32 = 0xc000_0080;
/// Those that SYSCALL goes by, which the kernel loads with a guest.
const SYSTEM_CALL_REGISTERS: [u32; 4] = [STAR, LSTAR, CSTAR, FMASK];

impl VirtualMachine {
    /// What an exit is to the VMM component; `None` if it is done.
    pub(super) fn processor_exit(&mut self, reason: Word) -> Option<X86ExitReason> {
        match cause(reason, self.qualification) {
            // What it is for is that the kernel had its turn.
            Cause::TurnEnded => {}
            Cause::ExceptionOrNmi => match left_by(read_vmcs(Field::EXIT_INTERRUPTION_INFO)) {
                Left::Nmi => {}
                Left::Exception { vector } => self.raise(vector),
                Left::Int1 => return Some(X86ExitReason::Instruction),
            },
            Cause::Cpuid => self.cpuid(),
            Cause::ReadMsr => {
                let number = self.gpr(RCX) as u32;
                let Some(value) = self.read_msr(number) else {
                    return Some(X86ExitReason::Register { number });
                };
                self.set_gpr(RAX, value & 0xffff_ffff);
                self.set_gpr(RDX, value >> 32);
                self.done();
            }
            Cause::WriteMsr => {
                let number = self.gpr(RCX) as u32;
                let value = self.gpr(RDX) << 32 | self.gpr(RAX) & 0xffff_ffff;
                let Some(taken) = self.write_msr(number, value) else {
                    return Some(X86ExitReason::Register { number });
                };
                self.done_if(taken);
            }
            Cause::ControlRegister(access) => {
                let taken = self.control_register(access);
                self.done_if(taken);
            }
            Cause::DebugRegister { number } => {
                let number = number.into();
                return Some(X86ExitReason::Register { number });
            }
            Cause::Port {
                port,
                direction,
                width,
            } => {
                return Some(X86ExitReason::Port {
                    port,
                    direction,
                    width,
                });
            }
            Cause::Halt => return Some(X86ExitReason::Halt),
            Cause::Call => return Some(X86ExitReason::Call),
            Cause::TripleFault => return Some(X86ExitReason::Shutdown),
            Cause::Instruction => return Some(X86ExitReason::Instruction),
            Cause::Other { reason: code } => return Some(X86ExitReason::Other { code }),
        }
        None
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
            self.raise(vector::GENERAL_PROTECTION);
        }
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
        Some(match number {
            PAT => {
                let taken = may_write(Field::GUEST_PAT, value).is_ok();
                if taken {
                    write_vmcs(Field::GUEST_PAT, value);
                }
                taken
            }
            STAR | LSTAR | CSTAR | FMASK => {
                let taken = may_load(number, value).is_ok();
                if taken {
                    write_msr(number, value);
                }
                taken
            }
            EFER => {
                let control = self.control;
                let written = written_efer(control.efer, value, control.cr0);
                if let Some(efer) = written {
                    self.set_control_registers(ControlRegisters { efer, ..control });
                }
                written.is_some()
            }
            _ => return None,
        })
    }

    /// The registers of SYSCALL as they are at a VM's start.
    pub(super) fn reset_system_call_registers(&mut self) {
        for number in SYSTEM_CALL_REGISTERS {
            write_msr(number, 0);
        }
    }

    /// Returns whether the value is taken.
    fn control_register(&mut self, access: ControlRegisterAccess) -> bool {
        use ControlRegisterAccess::{ClearTs, LoadMachineStatus, Read, Write};
        let mode = self.situation().mode();
        let changed = match access {
            ClearTs => Some(self.control.with_ts_clear()),
            LoadMachineStatus { status } => self.control.with_machine_status(status, mode),
            Read { number: 8, to } => {
                self.set_gpr(to, self.kept.cr8);
                return true;
            }
            Write { number: 8, from } => {
                let value = self.gpr(from);
                let taken = value <= 0xf;
                if taken {
                    self.kept.cr8 = value;
                }
                return taken;
            }
            Write { number: 0, from } => self.control.with_cr0(self.written(from, mode), mode),
            Write { number: 4, from } => self.control.with_cr4(self.written(from, mode)),
            // Nothing else leaves the guest.
            Read { .. } | Write { .. } => None,
        };
        let Some(control) = changed else {
            return false;
        };
        if control.is_long() && !self.control.is_long() {
            let rights = |register: SegmentRegister| read_vmcs(register.access_rights());
            if !may_enter_ia32e_mode(rights(SegmentRegister::Cs), rights(SegmentRegister::Tr)) {
                return false;
            }
        }
        if control.loads_page_directory_pointers(&self.control) {
            let Some(entries) = self.page_directory_pointers() else {
                return false;
            };
            for (entry, index) in entries.into_iter().zip(0..) {
                write_vmcs(Field(Field::GUEST_PDPTE0.0 + 2 * index), entry);
            }
        }
        self.set_control_registers(control);
        true
    }

    /// What MOV to a control register takes of a general register: 32-bit code its lower half.
    fn written(&self, register: u8, mode: Mode) -> u64 {
        let value = self.gpr(register);
        match mode {
            Mode::Long => value,
            Mode::Protected | Mode::Real => value & 0xffff_ffff,
        }
    }

    /// The four entries at CR3 that the CPU keeps with PAE paging, if a CPU takes them.
    fn page_directory_pointers(&self) -> Option<[u64; 4]> {
        const ADDRESS_SIZES: u32 = 0x8000_0008;
        let physical_address_bits = __cpuid(ADDRESS_SIZES).eax & 0xff;
        let first = self.presumed_situation().paging.cr3 & 0xffff_ffe0;
        let words = self.ram.words();
        let mut entries = [0; 4];
        for (entry, offset) in entries.iter_mut().zip((0..).step_by(8)) {
            *entry = words(GuestPhysAddr(first + offset))?;
            if !is_page_directory_pointer(*entry, physical_address_bits) {
                return None;
            }
        }
        Some(entries)
    }
}
