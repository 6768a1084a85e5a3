//! A virtual CPU: the general registers that every exit saves, and what the host may do to
//! them.
//!
//! Called from `guest_exit` (interrupts masked, the guest stopped) and, once, to start the
//! guest. The invariant: what `assembly` saves and restores lies at the layout it expects
//! (checked there at compile time), and a guest resumed through this type runs at EL1 or
//! EL0, never at EL2 ([`Vcpu::reset`] sets the mode, the hardware fills it in afterwards, and
//! no method takes a mode from elsewhere).
//!
//! Arm ARM D1.3 (exception entry), D1.3.3 (AArch64.TakeException in J1.1.1), D17.2.37 (ESR).

use super::assembly;
use aarch64_cpu::registers::{
    ELR_EL1, ESR_EL1, ESR_EL2, FAR_EL1, FAR_EL2, HPFAR_EL2, ID_AA64MMFR1_EL1, Readable, SCTLR_EL1,
    SPSR_EL1, VBAR_EL1, Writeable,
};
use core::ffi::c_void;

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

/// An external abort to inject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExternalAbort {
    /// Of a load.
    Load,
    /// Of a store.
    Store,
}

/// The state of one virtual CPU that changes with every exit.
///
/// `assembly` holds the one exclusive reference while the guest runs.
#[repr(C, align(16))]
pub struct Vcpu {
    pub(crate) x: [u64; 31],
    pub(crate) pc: u64,
    pub(crate) spsr: u64,
    /// Who answers its exits; set before it first runs.
    pub host: *mut c_void,
}

// SAFETY: there is one core, and the pointer is only followed in `guest_exit`, which has the
// exclusive reference to the vCPU.
unsafe impl Send for Vcpu {}

/// EL1 with its own stack pointer, all exceptions masked: the state out of reset.
const EL1H_MASKED: u64 = 0x3c5;

impl Vcpu {
    /// A vCPU that nobody answers for yet, in the state after reset.
    pub const fn new() -> Self {
        Self {
            x: [0; 31],
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
    pub fn set_pc(&mut self, pc: u64) {
        self.pc = pc;
    }

    /// The instruction at `pc` does not exist: the guest's EL1 gets an Undefined Instruction
    /// exception (EC 0). This vCPU's EL1 registers must be in the hardware.
    pub fn inject_undefined(&mut self) {
        ESR_EL1.set(ESR_IL);
        self.take_exception_to_el1();
    }

    /// The access to guest-virtual address `fault_address` by the instruction at `pc` failed
    /// on the bus: a synchronous external abort, not on a table walk. This vCPU's EL1
    /// registers must be in the hardware.
    pub fn inject_external_abort(&mut self, abort: ExternalAbort, fault_address: u64) {
        let write = match abort {
            ExternalAbort::Load => 0,
            ExternalAbort::Store => ISS_WRITE,
        };
        let class = match self.source() {
            Source::LowerEl32 | Source::LowerEl64 => EC_DATA_ABORT_LOWER,
            Source::El1WithSp0 | Source::El1WithSp1 => EC_DATA_ABORT_LOWER + 1,
        };
        // A data abort without valid ISV has IL set.
        ESR_EL1.set(class << ESR_CLASS_SHIFT | ESR_IL | write | FSC_EXTERNAL_ABORT);
        FAR_EL1.set(fault_address);
        self.take_exception_to_el1();
    }

    /// What AArch64.TakeException does for a synchronous exception to EL1, ESR and FAR aside.
    fn take_exception_to_el1(&mut self) {
        let offset = match self.source() {
            Source::El1WithSp0 => 0x000,
            Source::El1WithSp1 => 0x200,
            Source::LowerEl64 => 0x400,
            Source::LowerEl32 => 0x600,
        };
        ELR_EL1.set(self.pc);
        SPSR_EL1.set(self.spsr);
        self.pc = VBAR_EL1.get().wrapping_add(offset);
        // Flags stay, and so do PAN and DIT where they exist; SS, IL, UAO, BTYPE and an
        // AArch32 state's own bits become 0. No SSBS and no MTE on the CPUs this boots on.
        let mut kept = PSTATE_FLAGS | PSTATE_PAN;
        if self.spsr & PSTATE_AARCH32 == 0 {
            kept |= PSTATE_DIT;
        }
        let mut pstate = self.spsr & kept | EL1H_MASKED;
        let pan_exists = ID_AA64MMFR1_EL1.get() >> 20 & 0xf != 0;
        if pan_exists && SCTLR_EL1.get() & SCTLR_SPAN == 0 {
            pstate |= PSTATE_PAN;
        }
        self.spsr = pstate;
    }

    fn source(&self) -> Source {
        if self.spsr & PSTATE_AARCH32 != 0 {
            return Source::LowerEl32;
        }
        match self.spsr & 0xf {
            0b0100 => Source::El1WithSp0,
            0b0101 => Source::El1WithSp1,
            _ => Source::LowerEl64,
        }
    }

    /// Runs the guest; the next thing the host sees is `guest_exit`.
    ///
    /// # Safety
    ///
    /// Stage 2 and the EL1 registers in the hardware must be those of this vCPU's VM.
    pub unsafe fn enter(&'static mut self) -> ! {
        // SAFETY: the caller's promise is the callee's condition.
        unsafe { assembly::enter_guest(self) }
    }
}

/// What the guest ran when the exception to inject occurred; chooses the vector.
enum Source {
    El1WithSp0,
    El1WithSp1,
    LowerEl64,
    LowerEl32,
}

const ESR_CLASS_SHIFT: u32 = 26;
const ESR_IL: u64 = 1 << 25;
const ISS_WRITE: u64 = 1 << 6;
const FSC_EXTERNAL_ABORT: u64 = 0x10;
const EC_DATA_ABORT_LOWER: u64 = 0x24;

const PSTATE_FLAGS: u64 = 0xf << 28;
const PSTATE_DIT: u64 = 1 << 24;
const PSTATE_PAN: u64 = 1 << 22;
const PSTATE_AARCH32: u64 = 1 << 4;
const SCTLR_SPAN: u64 = 1 << 23;

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
