//! From the VM's entry to `boot::start`, and from an exception to its handler: with `segments`
//! the only assembly that is more than a few instructions.
//!
//! Called by the VM, once, in the state that the contract in the crate's documentation
//! gives; and by the CPU on an exception. AMD APM volume 2, 4.8 (descriptors), 8.9 (long-mode
//! exceptions).

use core::arch::global_asm;

use super::exceptions;
use crate::boot;

// Entry. In: RDI address and RSI length of the command line, passed on to `start`; 64-bit
// mode, flat segments whose selectors are 8 (code) and 16 (data) but without a table behind
// them, interrupts off. Sets RSP (the end of the image's stack), GDTR and IDTR.
//
// Exceptions. Each entry leaves its vector and an error code, zero where the CPU pushes none.
// The handler either ends the VM or returns where RSP was when `guarded` began: the calls in
// between are forgotten.
//
// What the general registers and RFLAGS were is left in `interrupted_registers`.
//
// guarded(RDI = function, RSI = its argument) -> RAX: calls the function. 0 if it returned, 1
// if an exception ended it. RBX, RBP, R12 to R15 are the caller's either way.
//
// call_code(RDI = code, RSI = registers): calls the code with all general registers but RSP and
// with RFLAGS as the registers say, and stores there what they are when it returns.
global_asm!(
    r#"
    .section .text.boot, "ax"
    .global _start
_start:
    lea     rsp, [rip + __stack_top]
    lgdt    [rip + gdt_pointer]
    lea     rax, [rip + exception_entries]
    lea     rdx, [rip + idt]
    mov     ecx, 32
2:  mov     [rdx], ax                   // offset 15..0
    mov     word ptr [rdx + 2], 8       // code segment
    mov     word ptr [rdx + 4], 0x8e00  // present, interrupt gate
    mov     r8, rax
    shr     r8, 16
    mov     [rdx + 6], r8w              // offset 31..16
    mov     qword ptr [rdx + 8], 0      // offset 63..32
    add     rax, 16
    add     rdx, 16
    dec     ecx
    jnz     2b
    lidt    [rip + idt_pointer]
    call    {start}

    .balign 16
exception_entries:
    .set    vector, 0
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
    push    rax
    lea     rax, [rip + interrupted_registers]
    mov     [rax + 8], rcx
    mov     [rax + 16], rdx
    mov     [rax + 24], rbx
    mov     [rax + 40], rbp
    mov     [rax + 48], rsi
    mov     [rax + 56], rdi
    mov     [rax + 64], r8
    mov     [rax + 72], r9
    mov     [rax + 80], r10
    mov     [rax + 88], r11
    mov     [rax + 96], r12
    mov     [rax + 104], r13
    mov     [rax + 112], r14
    mov     [rax + 120], r15
    pop     [rax]
    pop     rdi
    pop     rsi
    mov     rdx, [rsp + 16]             // RFLAGS
    mov     [rax + 128], rdx
    mov     rdx, [rsp]                  // RIP
    mov     rcx, cr2
    cld
    and     rsp, -16
    call    {taken}                     // does not return unless an attempt is under way
    mov     rsp, [rip + guarded_rsp]
    mov     eax, 1
    jmp     3f

    .global guarded
guarded:
    push    rbp
    push    rbx
    push    r12
    push    r13
    push    r14
    push    r15
    sub     rsp, 8
    mov     [rip + guarded_rsp], rsp
    mov     rax, rdi
    mov     rdi, rsi
    call    rax
    xor     eax, eax
3:  add     rsp, 8
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     rbx
    pop     rbp
    ret

    .global call_code
call_code:
    push    rbp
    push    rbx
    push    r12
    push    r13
    push    r14
    push    r15
    push    rsi
    push    rdi
    push    [rsi + 128]
    popfq
    mov     rax, [rsi]
    mov     rcx, [rsi + 8]
    mov     rdx, [rsi + 16]
    mov     rbx, [rsi + 24]
    mov     rbp, [rsi + 40]
    mov     rdi, [rsi + 56]
    mov     r8, [rsi + 64]
    mov     r9, [rsi + 72]
    mov     r10, [rsi + 80]
    mov     r11, [rsi + 88]
    mov     r12, [rsi + 96]
    mov     r13, [rsi + 104]
    mov     r14, [rsi + 112]
    mov     r15, [rsi + 120]
    mov     rsi, [rsi + 48]
    call    [rsp]
    xchg    rsi, [rsp + 8]
    mov     [rsi], rax
    mov     [rsi + 8], rcx
    mov     [rsi + 16], rdx
    mov     [rsi + 24], rbx
    mov     [rsi + 40], rbp
    mov     [rsi + 56], rdi
    mov     [rsi + 64], r8
    mov     [rsi + 72], r9
    mov     [rsi + 80], r10
    mov     [rsi + 88], r11
    mov     [rsi + 96], r12
    mov     [rsi + 104], r13
    mov     [rsi + 112], r14
    mov     [rsi + 120], r15
    pushfq
    pop     [rsi + 128]
    cld
    add     rsp, 8
    pop     [rsi + 48]
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     rbx
    pop     rbp
    ret

    .section .rodata.entry, "a"
    .balign 8
gdt:
    .quad   0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
    .word   23
    .quad   gdt
idt_pointer:
    .word   32 * 16 - 1
    .quad   idt

    .section .bss.entry, "aw", @nobits
    .balign 16
idt:            .skip 32 * 16
guarded_rsp:    .skip 8
    .global interrupted_registers
interrupted_registers:
                .skip 17 * 8
"#,
    // #DF, #TS, #NP, #SS, #GP, #PF, #AC, #CP, #VC, #SX.
    HAS_ERROR_CODE = const 0x6022_7d00_u32,
    start = sym boot::start,
    taken = sym exceptions::taken,
);
