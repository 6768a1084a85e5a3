//! A virtual CPU: the general registers that every exit saves, and what the host may do to
//! them.
//!
//! Called from `guest_exit` (interrupts masked, the guest stopped) and, once, to start the
//! first guest. The invariant: what `assembly` saves and restores lies at the layout it expects
//! (checked there at compile time), and a guest resumed through this type runs at EL1 or
//! EL0, never at EL2 ([`Vcpu::reset`] sets the mode, the hardware fills it in afterwards, and
//! no method takes a mode from elsewhere).
//!
//! Arm ARM D1.3 (exception entry); what is computed of it is `a64_guest::exception`.

use super::assembly::instructions::{self, FpRegisters};
use a64_guest::exception::{self, EL1H_MASKED, Pan};
use a64_guest::stage1::Regime;
use aarch64_cpu::registers::{
    ELR_EL1, ESR_EL1, ESR_EL2, FAR_EL1, FAR_EL2, HPFAR_EL2, ID_AA64MMFR1_EL1, Readable, SCTLR_EL1,
    SP_EL0, SP_EL1, SPSR_EL1, TCR_EL1, TTBR0_EL1, TTBR1_EL1, VBAR_EL1, Writeable,
};
use core::ffi::c_void;
use vm_components::{GuestException, StackPointer};

/// Why the guest stopped; the four kinds of exceptions of the vector table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum ExitKind {
    /// The guest's own doing: [`esr`] says what.
    Synchronous = 0,
    /// A physical interrupt, for `gic::acknowledge_wakeup`.
    Irq = 1,
    /// A physical fast interrupt; nothing is configured to raise one.
    Fiq = 2,
    /// A system error that the hardware reported while the guest ran.
    SError = 3,
}

/// The state of one virtual CPU that changes with every exit.
///
/// `assembly` holds the one exclusive reference while the guest runs.
#[repr(C, align(16))]
pub struct Vcpu {
    pub(crate) x: [u64; 31],
    /// For how long exits have been answered, in ticks: `assembly` subtracts the time of each
    /// exit and adds that of each entry, so it is a time only while the guest runs.
    pub(crate) exit_ticks: u64,
    pub(crate) pc: u64,
    pub(crate) spsr: u64,
    /// Who answers its exits; set before it first runs.
    pub host: *mut c_void,
}

// SAFETY: there is one core, and the pointer is only followed in `guest_exit`, which has the
// exclusive reference to the vCPU.
unsafe impl Send for Vcpu {}

impl Vcpu {
    /// A vCPU that nobody answers for yet, in the state after reset.
    pub const fn new() -> Self {
        Self {
            x: [0; 31],
            exit_ticks: 0,
            pc: 0,
            spsr: EL1H_MASKED,
            host: core::ptr::null_mut(),
        }
    }

    /// Puts the general registers into their state after reset: EL1 with everything masked,
    /// about to run the instruction at guest-virtual address `entry` (the MMU is off, so that
    /// is guest-physical too).
    pub fn reset(&mut self, entry: u64) {
        self.x = [0; 31];
        self.pc = entry;
        self.spsr = EL1H_MASKED;
    }

    /// Takes over the registers of another, not who answers its exits.
    pub fn copy_registers(&mut self, other: &Self) {
        self.x = other.x;
        self.pc = other.pc;
        self.spsr = other.spsr;
    }

    /// Register x`number`; 31 is XZR and reads 0.
    #[inline]
    pub fn gpr(&self, number: usize) -> u64 {
        self.x.get(number).copied().unwrap_or(0)
    }

    /// Sets all 64 bits of x`number`; a write to 31, XZR, is lost.
    #[inline]
    pub fn set_gpr(&mut self, number: usize, value: u64) {
        if let Some(x) = self.x.get_mut(number) {
            *x = value;
        }
    }

    /// Guest-virtual address of the instruction that the guest runs next: the trapped one
    /// itself for aborts and traps, the one after it for HVC.
    #[inline]
    pub fn pc(&self) -> u64 {
        self.pc
    }

    /// Lets the guest go on at guest-virtual address `pc`.
    #[inline]
    pub fn proceed(&mut self, pc: u64) {
        self.pc = pc;
    }

    /// Lets the guest take an exception at the instruction at `pc`. This vCPU's EL1 registers
    /// must be in the hardware.
    pub fn inject(&mut self, exception: GuestException) {
        let syndrome = match exception {
            GuestException::Undefined => exception::UNDEFINED_SYNDROME,
            GuestException::DataAbort {
                direction,
                status,
                address,
            } => {
                FAR_EL1.set(address);
                exception::data_abort_syndrome(self.spsr, direction, status)
            }
        };
        ESR_EL1.set(syndrome);
        ELR_EL1.set(self.pc);
        SPSR_EL1.set(self.spsr);
        let pan = match ID_AA64MMFR1_EL1.get() >> 20 & 0xf {
            0 => Pan::Absent,
            _ => Pan::MayExist,
        };
        let entry = exception::entry(self.spsr, SCTLR_EL1.get(), pan);
        self.pc = VBAR_EL1.get().wrapping_add(entry.vector_offset);
        self.spsr = entry.pstate;
    }

    /// The guest has been left `now`, in ticks, in a way that `assembly` has not seen: it is
    /// about to run, or a VM's turn begins.
    pub fn begin_exit(&mut self, now: u64) {
        self.exit_ticks = now.wrapping_neg();
    }

    /// How long exits have been answered since [`Self::begin_exit`], the one under way until
    /// `now` included, in ticks.
    pub fn end_exit(&mut self, now: u64) -> u64 {
        self.exit_ticks.wrapping_add(now)
    }

    /// PSTATE with which the guest goes on.
    #[inline(always)]
    pub fn pstate(&self) -> u64 {
        self.spsr
    }

    /// Changes it, but for the mode.
    pub fn set_pstate(&mut self, pstate: u64) {
        const MODE: u64 = 0x1f;
        self.spsr = pstate & !MODE | self.spsr & MODE;
    }
}

/// ESR_EL2, the syndrome. Valid in `guest_exit` for a synchronous exit.
#[inline]
pub fn esr() -> u64 {
    ESR_EL2.get()
}

/// FAR_EL2, the guest-virtual address of an abort. Valid in `guest_exit` for one.
#[inline]
pub fn far() -> u64 {
    FAR_EL2.get()
}

/// HPFAR_EL2. Valid in `guest_exit` for a stage-2 translation fault.
#[inline]
pub fn hpfar() -> u64 {
    HPFAR_EL2.get()
}

/// The guest-physical address of a stage-2 translation fault, from HPFAR_EL2 (the page) and
/// FAR_EL2 (the offset in it).
#[inline]
pub fn fault_guest_physical() -> u64 {
    (hpfar() & 0x0000_0fff_ffff_fff0) << 8 | far() & 0xfff
}

/// The guest-physical address of a stage-2 permission fault, of which HPFAR_EL2 says nothing: by the CPU's walk
/// for FAR_EL2. If that has no translation any more, what HPFAR_EL2 has.
pub fn permission_fault_guest_physical() -> u64 {
    match instructions::translate_for_guest(far()) {
        Some(page) => page | far() & 0xfff,
        None => fault_guest_physical(),
    }
}

/// Whether EL1 or EL0 of the guest whose EL1 registers are in the hardware is big-endian.
#[inline(always)]
pub fn may_be_big_endian() -> bool {
    SCTLR_EL1.get() & (SCTLR_EL1::EE::SET.value | SCTLR_EL1::E0E::SET.value) != 0
}

/// How the guest whose EL1 registers are in the hardware translates addresses.
pub fn stage1() -> Regime {
    Regime {
        sctlr: SCTLR_EL1.get(),
        tcr: TCR_EL1.get(),
        ttbr0: TTBR0_EL1.get(),
        ttbr1: TTBR1_EL1.get(),
    }
}

/// A stack pointer of that guest.
pub fn stack_pointer(which: StackPointer) -> u64 {
    match which {
        StackPointer::El0 => SP_EL0.get(),
        StackPointer::El1 => SP_EL1.get(),
    }
}

/// Sets a stack pointer of that guest.
pub fn set_stack_pointer(which: StackPointer, value: u64) {
    match which {
        StackPointer::El0 => SP_EL0.set(value),
        StackPointer::El1 => SP_EL1.set(value),
    }
}

/// Vector register v`number` (0 to 31) of that guest.
pub fn vector(number: u8) -> u128 {
    FpRegisters::of_guest().get(number)
}

/// Sets all of vector register v`number` (0 to 31) of that guest.
pub fn set_vector(number: u8, value: u128) {
    let mut registers = FpRegisters::of_guest();
    registers.set(number, value);
    registers.load();
}
