//! Where the CPU goes on an exception of the host and on the wake-up interrupt.
//!
//! `descriptors` tells the CPU. Invariant: nothing returns from an exception, and the interrupt changes
//! no register.

use core::arch::global_asm;

// Exceptions of the host: our own bug. Each entry leaves the vector and an error code, zero
// where the CPU pushes none, and never returns. Their descriptors put them on the emergency
// stack, because the stack may be what broke.
//
// The wake-up interrupt counts and acknowledges; it can come only where `interrupts` lets it.
global_asm!(
    r#"
    .section .text.exceptions, "ax"
    .set    vector, 0
    .balign 16
    .global exception_entries
exception_entries:
    .rept   32
    .balign 16
    .if     ({HAS_ERROR_CODE} >> vector) & 1 == 0
    push    0
    .endif
    push    vector
    jmp     exception
    .set    vector, vector + 1
    .endr

exception:
    pop     rdi
    pop     rsi
    mov     rdx, [rsp]          // RIP
    and     rsp, -16
    call    {fatal_exception}

    .global wakeup_entry
wakeup_entry:
    inc     qword ptr [rip + {wakeups}]
    push    rax
    mov     rax, [rip + {end_of_interrupt}]
    mov     dword ptr [rax], 0
    pop     rax
    .global spurious_entry
spurious_entry:
    iretq
    "#,
    // #DF, #TS, #NP, #SS, #GP, #PF, #AC, #CP, #VC, #SX.
    HAS_ERROR_CODE = const 0x6022_7d00_u32,
    fatal_exception = sym crate::arch::fatal::fatal_exception,
    wakeups = sym crate::arch::interrupts::WAKEUPS,
    end_of_interrupt = sym crate::arch::interrupts::END_OF_INTERRUPT,
);

unsafe extern "C" {
    safe static exception_entries: [[u8; EXCEPTION_ENTRY_BYTES]; 32];
    fn wakeup_entry();
    fn spurious_entry();
}

/// The entries of the exceptions lie this far apart.
const EXCEPTION_ENTRY_BYTES: usize = 16;

/// Where the CPU goes on exception `vector`, 0 to 31.
pub fn exception_entry(vector: usize) -> usize {
    (&raw const exception_entries).addr() + vector * EXCEPTION_ENTRY_BYTES
}

/// Where the CPU goes on the wake-up interrupt.
pub fn wakeup_interrupt_entry() -> usize {
    wakeup_entry as *const () as usize
}

/// Where the CPU goes on an interrupt that the APIC took back; it needs no acknowledgement.
pub fn spurious_interrupt_entry() -> usize {
    spurious_entry as *const () as usize
}
