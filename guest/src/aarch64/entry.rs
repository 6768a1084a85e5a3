//! From the VM's entry to `boot::start`, and from an exception to its handler: the only
//! assembly that is not a single access.
//!
//! Called by the VM, once, in the state that the contract in the crate's documentation
//! gives; and by the CPU on an exception. Arm ARM D1.3 (exceptions), D1.10.2 (vector table).

use crate::boot;
use core::arch::global_asm;

// Entry. In: x0 address and x1 length of the command line, passed on to `start`; everything
// else undefined. Sets SP (the end of the image's stack) and VBAR_EL1.
//
// Vectors. An exception may come between any two instructions, so a vector keeps what the
// Rust handler may change (x0-x18, x30: AAPCS64 6.1.1; there are no vector registers in a
// soft-float program) on the interrupted program's stack and lets ERET restore PSTATE. The
// handler gets the number of the vector in x0 and either moves ELR_EL1 or does not return.
global_asm!(
    r#"
    .section .text.boot, "ax"
    .global _start
_start:
    adrp    x2, __stack_top
    add     x2, x2, :lo12:__stack_top
    mov     sp, x2
    adrp    x2, vectors
    add     x2, x2, :lo12:vectors
    msr     vbar_el1, x2
    isb
    bl      {start}

    .section .text.vectors, "ax"
    .balign 2048
vectors:
    .set    number, 0
    .rept   16
    .balign 128
    sub     sp, sp, #160
    stp     x0, x1, [sp]
    mov     x0, #number
    b       exception
    .set    number, number + 1
    .endr

exception:
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x30, [sp, #144]
    bl      {handler}
    ldp     x18, x30, [sp, #144]
    ldp     x16, x17, [sp, #128]
    ldp     x14, x15, [sp, #112]
    ldp     x12, x13, [sp, #96]
    ldp     x10, x11, [sp, #80]
    ldp     x8, x9, [sp, #64]
    ldp     x6, x7, [sp, #48]
    ldp     x4, x5, [sp, #32]
    ldp     x2, x3, [sp, #16]
    ldp     x0, x1, [sp]
    add     sp, sp, #160
    eret
"#,
    start = sym boot::start,
    handler = sym super::exceptions::taken,
);
