//! All assembly of the aarch64 platform: first instructions, exception vectors, guest entry
//! and exit, and the few instructions that `aarch64-cpu` has no function for.
//!
//! Called by the CPU (reset, exceptions) and by `boot`, `vcpu`, `paging`, `stage2`, `clock`.
//!
//! # Guest exit and entry (Arm ARM D1.10 vectors, D1.3 exception entry)
//!
//! ```text
//!   guest at EL1/EL0                                 SP_EL2 = &Vcpu
//!        | exception to EL2
//!   vector: x0..x30 -> [SP_EL2]; ELR, SPSR -> [SP_EL2]; exit_ticks -= the time
//!        | x0 = &Vcpu, x1 = kind, x2 = the time      SP_EL2 = top of the host's stack
//!   guest_exit(&mut Vcpu, ExitKind, u64) -> &mut Vcpu
//!        | x0 = the vCPU to run next                 SP_EL2 = that &Vcpu
//!   resume: ELR, SPSR, x0..x30 <- [SP_EL2]; exit_ticks += the time; eret
//! ```
//!
//! Register contract. While a guest runs, SP_EL2 holds the address of its `Vcpu`, so an exit
//! needs no scratch register; the exception banks SP, so the guest cannot see it. The host
//! has no live registers across a guest run: each exit starts `guest_exit` on an empty stack
//! and forgets it after. Nothing at EL2 uses the FP registers (softfloat target): they are
//! the running guest's throughout. Interrupts are masked at EL2 always (PSTATE.DAIF set by each
//! exception entry and by `_start`). The clock is read as soon
//! as there is a register for it and as late as there still is one: what is between two readings
//! is the guest's time or its exit's. One exit and entry is 52 instructions around `guest_exit`,
//! the branch in the vector included.

use super::vcpu::{ExitKind, Vcpu};
use core::arch::{asm, global_asm};
use core::mem::offset_of;

// The layout on which `stp`/`ldp` pairs and an aligned SP_EL2 depend.
const _: () = assert!(offset_of!(Vcpu, x) == 0);
const _: () = assert!(offset_of!(Vcpu, exit_ticks) == 248);
const _: () = assert!(offset_of!(Vcpu, spsr) == offset_of!(Vcpu, pc) + 8);
const _: () = assert!(align_of::<Vcpu>() == 16);

// Reset: x0 and all else unknown, MMU and caches off, EL2 (virtualization=on). .bss is
// page-aligned at both ends; `dc zva` needs the MMU, so plain stores, 64 bytes a turn.
global_asm!(
    r#"
    .section .text.boot, "ax"
    .global _start
_start:
    msr     daifset, #0xf
    adrp    x1, __stack_top
    mov     sp, x1
    adrp    x1, __bss_start
    adrp    x2, __bss_end
1:  cmp     x1, x2
    b.hs    2f
    stp     xzr, xzr, [x1]
    stp     xzr, xzr, [x1, #16]
    stp     xzr, xzr, [x1, #32]
    stp     xzr, xzr, [x1, #48]
    add     x1, x1, #64
    b       1b
2:  mrs     x1, CurrentEL
    cmp     x1, #(2 << 2)
    b.ne    {wrong_exception_level}
    adrp    x1, exception_vectors
    add     x1, x1, :lo12:exception_vectors
    msr     vbar_el2, x1
    isb
    b       {boot}
    "#,
    boot = sym super::boot::boot,
    wrong_exception_level = sym super::boot::wrong_exception_level,
);

global_asm!(
    r#"
    // From EL2 itself: our own bug. The stack may be what broke, so take the other one.
    .macro FATAL vector
    .balign 0x80
    adrp    x0, __emergency_stack_top
    mov     sp, x0
    mov     x0, #\vector
    b       {fatal_exception}
    .endm

    // From the guest. 21 of the 32 instructions that fit.
    .macro GUEST_EXIT kind
    .balign 0x80
    stp     x0, x1, [sp, #0]
    stp     x2, x3, [sp, #16]
    mrs     x2, cntpct_el0
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    ldr     x3, [sp, #{EXIT_TICKS}]
    sub     x3, x3, x2
    stp     x30, x3, [sp, #240]
    mov     x1, #\kind
    b       leave_guest
    .endm

    .section .text.vectors, "ax"
    .balign 0x800
exception_vectors:
    FATAL 0         // current EL with SP_EL0: synchronous, IRQ, FIQ, SError
    FATAL 1
    FATAL 2
    FATAL 3
    FATAL 4         // current EL with SP_EL2
    FATAL 5
    FATAL 6
    FATAL 7
    GUEST_EXIT {synchronous}    // lower EL, AArch64
    GUEST_EXIT {irq}
    GUEST_EXIT {fiq}
    GUEST_EXIT {serror}
    GUEST_EXIT {synchronous}    // EL1 in AArch32: it never is, and AArch32 at EL0 comes above
    GUEST_EXIT {irq}
    GUEST_EXIT {fiq}
    GUEST_EXIT {serror}

    .balign 64
leave_guest:
    mrs     x3, elr_el2
    mrs     x4, spsr_el2
    stp     x3, x4, [sp, #{PC}]
    mov     x0, sp
    adrp    x3, __stack_top
    mov     sp, x3
    bl      {guest_exit}
    // x0 = &Vcpu. Also the way in for `enter_guest`.
resume_guest:
    mov     sp, x0
    ldp     x2, x3, [sp, #{PC}]
    msr     elr_el2, x2
    msr     spsr_el2, x3
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldp     x18, x19, [sp, #144]
    ldp     x20, x21, [sp, #160]
    ldp     x22, x23, [sp, #176]
    ldp     x24, x25, [sp, #192]
    ldp     x26, x27, [sp, #208]
    ldp     x28, x29, [sp, #224]
    ldp     x30, x0, [sp, #240]
    mrs     x1, cntpct_el0
    add     x0, x0, x1
    str     x0, [sp, #{EXIT_TICKS}]
    ldp     x0, x1, [sp, #0]
    ldp     x2, x3, [sp, #16]
    eret
    "#,
    PC = const offset_of!(Vcpu, pc),
    EXIT_TICKS = const offset_of!(Vcpu, exit_ticks),
    synchronous = const ExitKind::Synchronous as u64,
    irq = const ExitKind::Irq as u64,
    fiq = const ExitKind::Fiq as u64,
    serror = const ExitKind::SError as u64,
    guest_exit = sym super::machine::guest_exit,
    fatal_exception = sym super::fatal::fatal_exception,
);

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
    fn resume_guest(vcpu: &'static mut Vcpu) -> !;
    fn load_fp_registers(registers: &FpRegisters);
    fn store_fp_registers(registers: &mut FpRegisters);
}

/// Enters the guest, and never comes back: later exits start `guest_exit` afresh.
///
/// # Safety
///
/// Stage 2 and the EL1 registers in the hardware must be those of `vcpu`'s VM.
pub unsafe fn enter_guest(vcpu: &'static mut Vcpu) -> ! {
    // SAFETY: the assembly above takes the exclusive reference over and lends it to one
    // `guest_exit` at a time; the caller vouches for the hardware's state.
    unsafe { resume_guest(vcpu) }
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
