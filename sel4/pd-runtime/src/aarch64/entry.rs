//! Where a protection domain begins that may be started again in its own memory.
//!
//! The entry point of its program (`link.rs`), before the runtime's `_start`: at the first start, and
//! when `pd-monitor` sets its program counter and stack pointer anew. All other registers are then what
//! they were at its death. Invariant: `.bss` is as the runtime and the program expect it, zero; what
//! `.data` holds, the Microkit's tool has put there and nobody changes (a test of the `runner` looks).

use core::arch::global_asm;

// Uses x0 and x1, and needs no stack.
global_asm!(
    r#"
    .section .text.pd_entry, "ax"
    .global pd_entry
pd_entry:
    adrp    x0, __bss_start
    add     x0, x0, :lo12:__bss_start
    adrp    x1, _end
    add     x1, x1, :lo12:_end
0:  cmp     x0, x1
    b.hs    1f
    strb    wzr, [x0], #1
    b       0b
1:  b       _start
"#
);
