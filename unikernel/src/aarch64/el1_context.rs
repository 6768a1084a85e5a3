//! The EL1 system registers of a virtual CPU, which stay in the hardware while its VM runs.
//!
//! Called to start or reset a VM and when another VM's turn begins (`saved_vm`); never for an
//! exit and entry. The invariant: whatever a guest can leave in the CPU is here or is a trap
//! (`hypervisor`), so no guest finds what another left. General registers are `vcpu`'s.
//!
//! Arm ARM D17.2 (registers), D1.3.1 and D17.1 (reset values).

use super::assembly::instructions::FpRegisters;
use aarch64_cpu::registers::*;

/// Declares the structure, and the loading and saving of each of its registers.
macro_rules! el1_registers {
    ($($(#[doc = $doc:literal])* $field:ident: $register:ident = $reset:expr),* $(,)?) => {
        /// The registers that are part of a VM and that an exit does not save.
        pub struct El1Context {
            $($(#[doc = $doc])* $field: u64,)*
            fp: FpRegisters,
        }

        impl El1Context {
            /// A CPU out of reset: MMU and caches off, FP trapped to EL1, zero elsewhere
            /// (where the architecture says UNKNOWN, a guest must not find another's value).
            pub const RESET: Self = Self { $($field: $reset,)* fp: FpRegisters::RESET };

            /// Puts the registers into the CPU. The entry's `eret` synchronizes them.
            pub fn load(&self) {
                $($register.set(self.$field);)*
                self.fp.load();
            }

            /// Takes over what is in the CPU.
            pub fn save(&mut self) {
                $(self.$field = $register.get();)*
                self.fp = FpRegisters::of_guest();
            }
        }
    };
}

el1_registers! {
    /// RES1 bits of Armv8.0 alone: M, C, I off, little-endian.
    sctlr: SCTLR_EL1 = 0x30d0_0800,
    cpacr: CPACR_EL1 = 0,
    vbar: VBAR_EL1 = 0,
    tcr: TCR_EL1 = 0,
    mair: MAIR_EL1 = 0,
    amair: AMAIR_EL1 = 0,
    ttbr0: TTBR0_EL1 = 0,
    ttbr1: TTBR1_EL1 = 0,
    contextidr: CONTEXTIDR_EL1 = 0,
    sp_el0: SP_EL0 = 0,
    sp_el1: SP_EL1 = 0,
    elr: ELR_EL1 = 0,
    spsr: SPSR_EL1 = 0,
    esr: ESR_EL1 = 0,
    far: FAR_EL1 = 0,
    afsr0: AFSR0_EL1 = 0,
    afsr1: AFSR1_EL1 = 0,
    par: PAR_EL1 = 0,
    csselr: CSSELR_EL1 = 0,
    tpidr_el0: TPIDR_EL0 = 0,
    tpidrro_el0: TPIDRRO_EL0 = 0,
    tpidr_el1: TPIDR_EL1 = 0,
    cntkctl: CNTKCTL_EL1 = 0,
    /// Its virtual timer, off: it has to fire for the guest in the CPU alone.
    cntv_cval: CNTV_CVAL_EL0 = 0,
    cntv_ctl: CNTV_CTL_EL0 = 0,
    /// The guest cannot reach it (MDCR_EL2 traps), but it acts on the guest.
    mdscr: MDSCR_EL1 = 0,
}
