//! What the VMM component may do to this VM ([`A64Machine`]), through seL4.
//!
//! Called by the VMM component. Invariant: a register that is known is not fetched again, and what is
//! written back between the PC and the target register is what was read.

use super::{HOLD, LIST_REGISTERS, NOTHING, STACK_POINTER, Timer, VCPU, VM_TCB, VirtualMachine};
use crate::arch::registers::{COUNT, PC, SP_EL0, SPSR, X0, place};
use a64_guest::exception::{self, EL1H_MASKED, Pan};
use a64_guest::pstate::ByteOrder;
use a64_guest::stage1::Regime;
use guest_access::{Gpr, GuestPhysAddr};
use pd_runtime::{Counter, Signals};
use sel4::VCpuReg;
use shared_ring::Ordering;
use vm_components::{
    A64Machine, Channel, Group, GuestException, Handed, Host, Intent, InterruptOutput, Machine,
    Outcome, StackPointer, VcpuIs, channel,
};

/// `pd-clock` wakes a VMM so often.
const CLOCK_HZ: u64 = 10;

/// PPI 27.
const VIRTUAL_TIMER: sel4::Word = 27;

impl Host for VirtualMachine {
    #[inline(always)]
    fn now(&mut self) -> u64 {
        Counter::now()
    }

    #[inline(always)]
    fn notify(&mut self, channel: Channel) {
        Signals.notify(channel);
    }
}

impl Machine for VirtualMachine {
    fn proceed(&mut self, pc: u64) {
        self.resume(pc, None);
    }

    fn hold(&mut self) {
        self.kept.prepared.store(HOLD | self.set, Ordering::Release);
    }

    /// The kernel tells of no timer of a vCPU that does not run. The clock's next wake-up is not far either, so
    /// nobody is asked for another before it.
    fn wake_at(&mut self, deadline: Option<u64>) {
        self.timer = Timer::Masked;
        let until_clock = Counter::hz() / CLOCK_HZ;
        let is_near = |deadline| deadline <= Counter::now().saturating_add(until_clock);
        if deadline.is_some_and(is_near) && !self.is_alarm_set {
            self.is_alarm_set = true;
            Signals.notify(channel::vmm::TIMER);
        }
    }

    #[inline(always)]
    fn intend(&mut self, intent: Intent) {
        self.kept.intent.store(intent.0, Ordering::Release);
    }

    fn intent(&self) -> Intent {
        Intent(self.kept.intent.load(Ordering::Relaxed))
    }

    fn recover(&mut self, outcome: Outcome, vcpu: VcpuIs) {
        let prepared = self.kept.prepared.load(Ordering::Relaxed);
        let stands = outcome == Outcome::Stands && prepared != NOTHING;
        match vcpu {
            VcpuIs::Held => {
                if !stands {
                    self.hold();
                }
                self.take_effect();
            }
            VcpuIs::Running if stands && !self.has_taken_effect() => {}
            VcpuIs::Running => {
                self.kept.prepared.store(NOTHING, Ordering::Release);
                // A fault that nobody answers any more comes again.
                VM_TCB.tcb_resume().ok();
            }
        }
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

impl A64Machine for VirtualMachine {
    #[inline(always)]
    fn gpr(&mut self, register: Gpr) -> u64 {
        let place = place(register);
        self.fetch(place + 1);
        self.kept.registers[place]
    }

    fn set_gpr(&mut self, register: Gpr, value: u64) {
        self.set_register(place(register), value);
    }

    fn stack_pointer(&mut self, which: StackPointer) -> u64 {
        match which {
            StackPointer::El0 => {
                self.fetch(SP_EL0 + 1);
                self.kept.registers[SP_EL0]
            }
            StackPointer::El1 if self.set & STACK_POINTER != 0 => self.kept.stack_pointer,
            StackPointer::El1 => Self::read_system_register(VCpuReg::SP_EL1),
        }
    }

    fn set_stack_pointer(&mut self, which: StackPointer, value: u64) {
        match which {
            StackPointer::El0 => self.set_register(SP_EL0, value),
            StackPointer::El1 => {
                self.kept.stack_pointer = value;
                self.set |= STACK_POINTER;
            }
        }
    }

    /// The kernel keeps a thread's vector registers and has no call that reads them.
    fn vector(&mut self, _: u8) -> Option<u128> {
        None
    }

    fn set_vector(&mut self, _: u8, _: u128) {}

    fn pstate(&mut self) -> u64 {
        self.fetch(SPSR + 1);
        self.kept.registers[SPSR]
    }

    fn set_pstate(&mut self, pstate: u64) {
        self.set_register(SPSR, pstate);
    }

    /// What is fetched here would be fetched for the access as well. No register of AArch32 is
    /// called as the zero register is.
    #[inline(always)]
    fn is_ordinary(&mut self, register: Gpr) -> bool {
        // In AArch32, or a step of the guest's own debugger.
        const AARCH32_OR_STEP: u64 = 1 << 21 | 1 << 4;
        if self.may_be_big_endian {
            return false;
        }
        if register == Gpr::ZERO {
            return true;
        }
        self.fetch(place(register) + 1);
        self.kept.registers[SPSR] & AARCH32_OR_STEP == 0
    }

    /// The kernel makes AArch64 of a PSTATE in AArch32 that is written, and it is written before
    /// x0 is.
    fn sets_aarch32(&self) -> bool {
        false
    }

    fn byte_order(&mut self) -> ByteOrder {
        let sctlr = self.sctlr();
        ByteOrder::of_data(self.pstate(), sctlr)
    }

    fn stage1(&mut self) -> Regime {
        Regime {
            sctlr: self.sctlr(),
            tcr: Self::read_system_register(VCpuReg::TCR),
            ttbr0: Self::read_system_register(VCpuReg::TTBR0),
            ttbr1: Self::read_system_register(VCpuReg::TTBR1),
        }
    }

    /// The kernel tells the guest-physical address alone.
    fn fault_address(&mut self) -> Option<u64> {
        None
    }

    #[inline(always)]
    fn resume(&mut self, pc: u64, result: Option<(Gpr, u64)>) {
        let mut count = PC + 1;
        if let Some((register, value)) = result {
            let place = place(register);
            count = place + 1;
            self.fetch(count);
            self.kept.registers[place] = value;
        }
        self.kept.registers[PC] = pc;
        self.prepare(count);
    }

    fn inject(&mut self, exception: GuestException) {
        self.fetch(SPSR + 1);
        let (pc, spsr) = (self.kept.registers[PC], self.kept.registers[SPSR]);
        let syndrome = match exception {
            GuestException::Undefined => exception::UNDEFINED_SYNDROME,
            GuestException::DataAbort {
                direction,
                status,
                address,
            } => {
                Self::write_system_register(VCpuReg::FAR, address);
                exception::data_abort_syndrome(spsr, direction, status)
            }
        };
        Self::write_system_register(VCpuReg::ESR, syndrome);
        Self::write_system_register(VCpuReg::ELR_EL1, pc);
        Self::write_system_register(VCpuReg::SPSR_EL1, spsr);
        // What the CPU has, its ID registers tell only to the kernel.
        let sctlr = Self::read_system_register(VCpuReg::SCTLR);
        let entry = exception::entry(spsr, sctlr, Pan::MayExist);
        let vectors = Self::read_system_register(VCpuReg::VBAR);
        self.kept.registers[PC] = vectors.wrapping_add(entry.vector_offset);
        self.kept.registers[SPSR] = entry.pstate;
        self.prepare(SPSR + 1);
    }

    /// The kernel keeps a timer's registers while its vCPU does not run, and tells when it fires while it does.
    fn sample_timer(&mut self, was_due: bool) -> bool {
        if !was_due && self.timer == Timer::Told {
            return false;
        }
        let now = Counter::now();
        let is_due = self
            .timer_deadline()
            .is_some_and(|deadline| deadline <= now);
        if !is_due && self.timer == Timer::Masked {
            self.timer = Timer::Told;
            // The capability is there, and the interrupt one of a vCPU: no error is possible.
            VCPU.vcpu_ack_vppi(VIRTUAL_TIMER).ok();
        }
        is_due
    }

    /// The guest's counter is the host's: the kernel adds nothing to it.
    fn timer_deadline(&mut self) -> Option<u64> {
        const ENABLED_AND_MASKED: u64 = 0b11;
        const ENABLED: u64 = 0b01;
        let control = Self::read_system_register(VCpuReg::CNTV_CTL);
        (control & ENABLED_AND_MASKED == ENABLED)
            .then(|| Self::read_system_register(VCpuReg::CNTV_CVAL))
    }

    /// The guest has the CPU's own interface.
    fn signal(&mut self, _: InterruptOutput) {}

    fn list_registers(&self) -> usize {
        LIST_REGISTERS
    }

    /// After a death one may be filled again; the kernel refuses that, as long as it is in use.
    fn fill_list_register(&mut self, handed: Handed) {
        let group = match handed.group {
            Group::Zero => 0,
            Group::One => 1,
        };
        let (intid, slot) = (handed.intid.into(), handed.slot as u8);
        VCPU.vcpu_inject_irq(intid, handed.priority, group, slot)
            .ok();
    }

    fn start(&mut self, entry: u64, x0: u64, x1: u64) {
        // RES1 bits of SCTLR_EL1: MMU and caches off.
        Self::write_system_register(VCpuReg::SCTLR, 0x30d0_0800);
        for register in [
            VCpuReg::VBAR,
            VCpuReg::TCR,
            VCpuReg::MAIR,
            VCpuReg::TTBR0,
            VCpuReg::TTBR1,
            VCpuReg::CPACR,
            VCpuReg::CNTV_CTL,
        ] {
            Self::write_system_register(register, 0);
        }
        self.kept.registers = [0; COUNT];
        self.kept.registers[PC] = entry;
        self.kept.registers[SPSR] = EL1H_MASKED;
        self.kept.registers[X0] = x0;
        self.kept.registers[X0 + 1] = x1;
        self.known = COUNT;
        self.prepare(COUNT);
    }
}
