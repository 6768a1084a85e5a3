//! The FP registers, and the few instructions that `aarch64-cpu` has no function for.
//!
//! Called by `vcpu`, `paging`, `stage2`, `clock` and their like. Invariant: each function is one
//! instruction with its barriers, or one register file.

use core::arch::{asm, global_asm};
use core::mem::offset_of;

// x0 = a `FpRegisters`. The Rust code around never touches q0-q31: what is in the CPU is the
// guest's, to be replaced or copied. x1 and x2 are scratch, as in any call.
global_asm!(
    r#"
    .arch_extension fp
    .section .text.fp, "ax"
load_fp_registers:
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ldr     q\n, [x0, #(16 * \n)]
    .endr
    ldr     x1, [x0, #{FPCR}]
    ldr     x2, [x0, #{FPSR}]
    msr     fpcr, x1
    msr     fpsr, x2
    ret

store_fp_registers:
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    str     q\n, [x0, #(16 * \n)]
    .endr
    mrs     x1, fpcr
    mrs     x2, fpsr
    str     x1, [x0, #{FPCR}]
    str     x2, [x0, #{FPSR}]
    ret
    .arch_extension nofp
    "#,
    FPCR = const offset_of!(FpRegisters, fpcr),
    FPSR = const offset_of!(FpRegisters, fpsr),
);

unsafe extern "C" {
    fn load_fp_registers(registers: &FpRegisters);
    fn store_fp_registers(registers: &mut FpRegisters);
}

/// The guest's FP and vector registers (Arm ARM B1.2.2).
#[repr(C, align(16))]
pub struct FpRegisters {
    q: [u128; 32],
    fpcr: u64,
    fpsr: u64,
}

impl FpRegisters {
    /// All zero, as a guest finds them at its start.
    pub const RESET: Self = Self {
        q: [0; 32],
        fpcr: 0,
        fpsr: 0,
    };

    /// Those that the guest left in the CPU.
    pub fn of_guest() -> Self {
        let mut registers = Self::RESET;
        // SAFETY: the routine writes exactly this structure, and reads FP registers, which
        // CPTR_EL2 does not trap (`hypervisor::configure`).
        unsafe { store_fp_registers(&mut registers) };
        registers
    }

    /// All bits of q`number`; 0 for a number above 31.
    pub fn get(&self, number: u8) -> u128 {
        self.q.get(usize::from(number)).copied().unwrap_or(0)
    }

    /// Sets all bits of q`number`; nothing for a number above 31.
    pub fn set(&mut self, number: u8, value: u128) {
        if let Some(q) = self.q.get_mut(usize::from(number)) {
            *q = value;
        }
    }

    /// Writes them to the CPU. CPTR_EL2 must not trap FP (`hypervisor::configure`).
    pub fn load(&self) {
        // SAFETY: the routine reads exactly this structure; no Rust code at EL2 has values
        // in FP registers (softfloat target).
        unsafe { load_fp_registers(self) }
    }
}

/// CNTHP_CVAL_EL2: when the hypervisor's timer fires next, in counter ticks (D13.8.9).
pub fn hypervisor_timer_deadline() -> u64 {
    let value;
    // SAFETY: reading the register changes nothing.
    unsafe { asm!("mrs {}, cnthp_cval_el2", out(reg) value, options(nomem, nostack)) };
    value
}

/// Sets CNTHP_CVAL_EL2 and waits until the timer's interrupt line follows.
pub fn set_hypervisor_timer_deadline(ticks: u64) {
    // SAFETY: the timer belongs to `clock` alone; all it can do is to raise an interrupt.
    unsafe { asm!("msr cnthp_cval_el2, {}", "isb", in(reg) ticks, options(nomem, nostack)) };
}

/// VPIDR_EL2: what a guest reads as MIDR_EL1.
pub fn set_virtual_processor_id(midr: u64) {
    // SAFETY: changes only what a guest reads.
    unsafe { asm!("msr vpidr_el2, {}", in(reg) midr, options(nomem, nostack)) };
}

/// HSTR_EL2 = 0: no traps of AArch32 coprocessor registers, whose reset value is unknown.
pub fn clear_aarch32_traps() {
    // SAFETY: concerns only a guest's AArch32 EL0.
    unsafe { asm!("msr hstr_el2, xzr", options(nomem, nostack)) };
}

/// Forgets all translations of EL2's own regime.
pub fn invalidate_host_tlb() {
    // SAFETY: invalidating is always sound, it only costs walks.
    unsafe {
        asm!(
            "dsb ishst",
            "tlbi alle2",
            "dsb ish",
            "isb",
            options(nostack)
        )
    };
}

/// Forgets all translations, both stages, of the VMID in VTTBR_EL2.
pub fn invalidate_guest_tlb() {
    // SAFETY: invalidating is always sound, it only costs walks.
    unsafe {
        asm!(
            "isb",
            "dsb ishst",
            "tlbi vmalls12e1",
            "dsb ish",
            "isb",
            options(nostack)
        )
    };
}

/// The guest-physical page that the guest whose registers are in the CPU has at `address` for a load of EL1, by the
/// CPU's own walk (Arm ARM D8.2.12, AT; D17.2.119, PAR_EL1). The guest's PAR_EL1 stays what it was.
pub fn translate_for_guest(address: u64) -> Option<u64> {
    const FAULT: u64 = 1;
    const PAGE: u64 = 0x000f_ffff_ffff_f000;
    let found: u64;
    // SAFETY: the walk changes PAR_EL1 alone, which is put back.
    unsafe {
        asm!(
            "mrs {kept}, par_el1",
            "at s1e1r, {address}",
            "isb",
            "mrs {found}, par_el1",
            "msr par_el1, {kept}",
            kept = out(reg) _,
            address = in(reg) address,
            found = lateout(reg) found,
            options(nostack)
        )
    };
    (found & FAULT == 0).then_some(found & PAGE)
}

/// Writes the data cache's line at `address` back to memory, where a guest whose caches are
/// off (and an instruction fetch) finds it.
pub fn clean_data_cache_line(address: usize) {
    // SAFETY: cleaning changes no contents; an address that is not mapped is a fault, not
    // corruption, and `guest_ram` passes only its own range.
    unsafe { asm!("dc cvac, {}", in(reg) address, options(nostack)) };
}

/// The same, and forgets the line, so that the next read sees what such a guest wrote.
pub fn clean_and_invalidate_data_cache_line(address: usize) {
    // SAFETY: as above; the line's contents are written back before it is forgotten.
    unsafe { asm!("dc civac, {}", in(reg) address, options(nostack)) };
}

/// Waits for what was done to data cache lines.
pub fn complete_cache_maintenance() {
    // SAFETY: a barrier changes no contents.
    unsafe { asm!("dsb ish", options(nostack)) };
}

/// Waits for cleaned lines to arrive, then forgets all cached instructions.
pub fn invalidate_instruction_cache() {
    // SAFETY: invalidating is always sound.
    unsafe { asm!("dsb ish", "ic ialluis", "dsb ish", "isb", options(nostack)) };
}
