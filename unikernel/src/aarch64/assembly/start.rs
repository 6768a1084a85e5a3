//! The first instructions, and the way from them to the first guest.
//!
//! The CPU starts here. Invariant: what runs first after `boot` is the vCPU that it returns.

use core::arch::global_asm;

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
    bl      {boot}
    b       resume_guest
    "#,
    boot = sym crate::arch::boot::boot,
    wrong_exception_level = sym crate::arch::boot::wrong_exception_level,
);
