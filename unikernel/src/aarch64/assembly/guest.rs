//! The exception vectors, and the way out of a guest and back into one.
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
//! and forgets it after; the first guest is what `boot` returned. Nothing at EL2 uses the FP
//! registers (softfloat target): they are the running guest's throughout. Interrupts are masked at
//! EL2 always (PSTATE.DAIF set by each exception entry and by `_start`). The clock is read as soon
//! as there is a register for it and as late as there still is one: what is between two readings
//! is the guest's time or its exit's. One exit and entry is 52 instructions around `guest_exit`,
//! the branch in the vector included.
//!
//! Specification: Arm ARM D1.10 (vectors), D1.3 (exception entry).

use crate::arch::vcpu::{ExitKind, Vcpu};
use core::arch::global_asm;
use core::mem::offset_of;

// The layout on which `stp`/`ldp` pairs and an aligned SP_EL2 depend.
const _: () = assert!(offset_of!(Vcpu, x) == 0);
const _: () = assert!(offset_of!(Vcpu, exit_ticks) == 248);
const _: () = assert!(offset_of!(Vcpu, spsr) == offset_of!(Vcpu, pc) + 8);
const _: () = assert!(align_of::<Vcpu>() == 16);

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
    // x0 = &Vcpu. Also `_start`'s way to the first guest.
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
    guest_exit = sym crate::arch::machine::guest_exit,
    fatal_exception = sym crate::arch::fatal::fatal_exception,
);
