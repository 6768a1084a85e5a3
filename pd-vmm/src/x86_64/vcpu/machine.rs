//! What the VMM component may do to this VM ([`X86Machine`]), through seL4 and VT-x.
//!
//! Called by the VMM component. Invariant: what the kernel brought with the exit is not asked for again,
//! for each question is a system call, as much as half an access.

use super::{CodeSegment, VirtualMachine, newer};
use crate::arch::vmcs::read_vmcs;
use guest_access::GuestPhysAddr;
use pd_runtime::{Counter, Signals};
use shared_ring::Ordering;
use vm_components::{Channel, Host, Intent, Machine, Outcome, VcpuIs, X86Exception, X86Machine};
use vt_x::vector;
use vt_x::vmcs::{Field, SegmentRegister};
use x86_guest::{ControlRegisters, Mode, Paging, Registers, Segment, Situation};

const RFLAGS_TF: u64 = 1 << 8;
const RSP: u8 = 4;
const RSI: u8 = 6;
const RDI: u8 = 7;

/// Where the kernel has the register with this number; RSP has no place.
const PLACES: [u8; 16] = [0, 2, 3, 1, 0, 6, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14];

impl Host for VirtualMachine {
    #[inline(always)]
    fn now(&mut self) -> u64 {
        Counter::now()
    }

    #[inline(always)]
    fn notify(&mut self, channel: Channel) {
        // Whoever is notified may run at once.
        self.time.pause(|| Signals.notify(channel));
    }
}

impl Machine for VirtualMachine {
    #[inline(always)]
    fn proceed(&mut self, pc: u64) {
        self.kept.entry.rip = pc;
        self.leave_shadow();
        if self.kept.registers.rflags & RFLAGS_TF != 0 {
            self.kept.registers.newer |= newer::STEP;
        }
        self.enter_next();
    }

    fn hold(&mut self) {
        self.runs = false;
    }

    #[inline(always)]
    fn intend(&mut self, intent: Intent) {
        self.kept.intent.store(intent.0, Ordering::Release);
    }

    fn intent(&self) -> Intent {
        Intent(self.kept.intent.load(Ordering::Relaxed))
    }

    fn recover(&mut self, outcome: Outcome, vcpu: VcpuIs) {
        self.go_on(outcome, vcpu);
    }

    fn read_ram(&mut self, address: GuestPhysAddr, bytes: &mut [u8]) -> bool {
        self.ram.read(address, bytes)
    }

    fn write_ram(&mut self, address: GuestPhysAddr, bytes: &[u8]) -> bool {
        self.ram.write(address, bytes)
    }

    fn clear_ram(&mut self) {
        self.ram.clear();
    }
}

impl Registers for VirtualMachine {
    #[inline(always)]
    fn gpr(&self, number: u8) -> u64 {
        let registers = &self.kept.registers;
        if number == RSP {
            return match registers.newer & newer::RSP {
                0 => read_vmcs(Field::GUEST_RSP),
                _ => registers.rsp,
            };
        }
        registers.general[usize::from(PLACES[usize::from(number & 0xf)])]
    }

    #[inline(always)]
    fn rflags(&self) -> u64 {
        self.kept.registers.rflags
    }

    fn segment_base(&self, segment: Segment) -> u64 {
        let register = match segment {
            Segment::Fs => return read_vmcs(SegmentRegister::Fs.base()),
            Segment::Gs => return read_vmcs(SegmentRegister::Gs.base()),
            // In 64-bit mode the others begin at 0 whatever was loaded.
            _ if self.situation().mode() == Mode::Long => return 0,
            Segment::Es => SegmentRegister::Es,
            Segment::Cs => SegmentRegister::Cs,
            Segment::Ss => SegmentRegister::Ss,
            Segment::Ds => SegmentRegister::Ds,
        };
        read_vmcs(register.base()) & 0xffff_ffff
    }
}

impl X86Machine for VirtualMachine {
    const SEES_CODE_SEGMENT: bool = false;

    #[inline(always)]
    fn set_gpr(&mut self, number: u8, value: u64) {
        let registers = &mut self.kept.registers;
        if number == RSP {
            registers.rsp = value;
            registers.newer |= newer::RSP;
            return;
        }
        registers.general[usize::from(PLACES[usize::from(number & 0xf)])] = value;
        registers.newer |= newer::GENERAL;
    }

    fn set_rflags(&mut self, value: u64) {
        self.kept.registers.rflags = value;
        self.kept.registers.newer |= newer::RFLAGS;
    }

    fn situation(&self) -> Situation {
        const L: u16 = 1 << 9;
        let rights = read_vmcs(SegmentRegister::Cs.access_rights());
        let mut code = CodeSegment::of(rights, 0);
        if code.attributes & L == 0 {
            code.base = read_vmcs(SegmentRegister::Cs.base());
        }
        self.code.set(code);
        self.presumed_situation()
    }

    #[inline(always)]
    fn presumed_situation(&self) -> Situation {
        let CodeSegment { base, attributes } = self.code.get();
        let ControlRegisters { cr0, cr4, efer } = self.control;
        Situation {
            rip: self.kept.entry.rip,
            code_base: base,
            code_attributes: attributes,
            paging: Paging {
                cr0,
                cr3: self.kept.registers.cr3,
                cr4,
                efer,
            },
        }
    }

    /// SS's privilege level, which the hardware keeps equal to CPL.
    fn privilege_level(&self) -> u8 {
        (read_vmcs(SegmentRegister::Ss.access_rights()) >> 5 & 3) as u8
    }

    #[inline(always)]
    fn ram_words(&self) -> impl Fn(GuestPhysAddr) -> Option<u64> + Copy + use<> {
        self.ram.words()
    }

    fn inject(&mut self, exception: X86Exception) {
        match exception {
            X86Exception::InvalidOpcode => self.raise(vector::INVALID_OPCODE),
            // CR2 is neither in the VMCS nor otherwise the kernel's to give: a handler would
            // read an old address. What the hardware itself has checked does not lead here; the
            // second page of an access may.
            X86Exception::GeneralProtection | X86Exception::PageFault { .. } => {
                self.raise(vector::GENERAL_PROTECTION);
            }
        }
    }

    fn start(&mut self, entry: u64, page_tables: GuestPhysAddr, rdi: u64, rsi: u64) {
        self.reset(entry, page_tables);
        self.set_gpr(RDI, rdi);
        self.set_gpr(RSI, rsi);
        self.enter_next();
    }
}
