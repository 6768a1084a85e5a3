//! Where a protection domain begins that may be started again in its own memory.
//!
//! The entry point of its program (`link.rs`), before the runtime's `_start`: at the first start, and
//! when `pd-monitor` sets its program counter and stack pointer anew. All other registers are then what
//! they were at its death. Invariant: `.bss` is as the runtime and the program expect it, zero; what
//! `.data` holds, the Microkit's tool has put there and nobody changes (a test of the `runner` looks).

use core::arch::global_asm;

// Uses rax, rcx and rdi, and needs no stack. Death may come while a copy runs downwards, and leave the
// direction flag set.
global_asm!(
    r#"
    .section .text.pd_entry, "ax"
    .global pd_entry
pd_entry:
    cld
    lea     rdi, [rip + __bss_start]
    lea     rcx, [rip + _end]
    sub     rcx, rdi
    xor     eax, eax
    rep stosb
    jmp     _start
"#
);
