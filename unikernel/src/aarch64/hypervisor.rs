//! What a guest may do by itself and what comes to EL2: the hypervisor control registers.
//!
//! Called once by `boot`, before any guest runs, with the MMU on. The invariant: a guest can
//! touch memory that stage 2 maps, its own EL1 registers, FP, both counters and its virtual
//! timer; all else traps. No physical interrupt can be masked or seen by a guest.
//!
//! Arm ARM D17.2.48 (HCR_EL2), D17.2.30 (CPTR_EL2), D17.3.24 (MDCR_EL2), D17.11.2
//! (CNTHCTL_EL2); GIC specification 12.4.5 (ICH_HCR_EL2).

use super::assembly::instructions;
use aarch64_cpu::registers::*;

/// Sets all of it. The entry's `eret` synchronizes.
pub fn configure() {
    HCR_EL2.write(
        HCR_EL2::RW::EL1IsAarch64
            + HCR_EL2::VM::Enable
            // Set/way invalidation becomes clean and invalidate: it cannot undo our writes.
            + HCR_EL2::SWIO::SET
            // Physical IRQ, FIQ, SError to EL2, whatever the guest's PSTATE.
            + HCR_EL2::IMO::SET
            + HCR_EL2::FMO::SET
            + HCR_EL2::AMO::SET
            // ID registers, of which `id_registers` tells; WFI, SMC, implementation defined registers,
            // ACTLR_EL1.
            + HCR_EL2::TID3::SET
            + HCR_EL2::TWI::SET
            + HCR_EL2::TSC::EnableTrapEl1SmcToEl2
            + HCR_EL2::TIDCP::SET
            + HCR_EL2::TACR::SET,
    );
    CPTR_EL2.set(CPTR_RES1_FP_ALLOWED | CPTR_TRAP_TRACE | CPTR_TRAP_ACTIVITY_MONITORS);
    // Debug, OS lock, ROM addresses, PMU; BRK stays with the guest. HPMN keeps its reset
    // value, all event counters.
    MDCR_EL2.modify(
        MDCR_EL2::TDRA::SET
            + MDCR_EL2::TDOSA::SET
            + MDCR_EL2::TDA::SET
            + MDCR_EL2::TDE::RouteToEL1
            + MDCR_EL2::TPM::SET
            + MDCR_EL2::TPMCR::SET,
    );
    // Both counters readable, the EL1 physical timer out of reach, no event stream.
    CNTHCTL_EL2.write(CNTHCTL_EL2::EL1PCTEN::SET + CNTHCTL_EL2::EL1PCEN::CLEAR);
    CNTVOFF_EL2.set(0);
    // The guest has no interrupt controller: every ICC_* register of group 0, group 1 and
    // both traps, and the virtual interface that HCR_EL2.IMO would show instead is off.
    ICH_HCR_EL2.set(ICH_TRAP_COMMON | ICH_TRAP_GROUP_0 | ICH_TRAP_GROUP_1);
    instructions::clear_aarch32_traps();
    instructions::set_virtual_processor_id(MIDR_EL1.get());
    VMPIDR_EL2.write(VMPIDR_EL2::RES1::SET + VMPIDR_EL2::U::UniprocessorSystem);
}

/// RES1 bits, with TFP (bit 10) clear; bit 8 also traps SVE.
const CPTR_RES1_FP_ALLOWED: u64 = 0x33ff;
const CPTR_TRAP_TRACE: u64 = 1 << 20;
const CPTR_TRAP_ACTIVITY_MONITORS: u64 = 1 << 30;

const ICH_TRAP_COMMON: u64 = 1 << 10;
const ICH_TRAP_GROUP_0: u64 = 1 << 11;
const ICH_TRAP_GROUP_1: u64 = 1 << 12;
