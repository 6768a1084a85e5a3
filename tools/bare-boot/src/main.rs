//! Enters a guest program on a bare machine, in the place of a VMM: so that what a guest finds right of a
//! virtual device can be tried on a real one, or on QEMU's.
//!
//! QEMU boots it as its kernel, and has put the guest's image and its command line into memory
//! (`tools/runner/tests/beside_qemu.rs`); the guest is entered as its contract with a VM has it
//! (`guest/src/lib.rs`). Invariant: the guest's image is the one that VMs run, byte by byte.
//!
//! ```text
//! 0x40080000  the guest's image, which begins with its entry point (guest/guest.ld)
//! 0x401ff000  the command line, of which a zero is the end
//! ```

#![cfg_attr(target_os = "none", no_std, no_main)]

/// Where the guest's first instruction is.
#[cfg(target_os = "none")]
const ENTRY: u32 = 0x4008_0000;
/// Where its command line is.
#[cfg(target_os = "none")]
const COMMAND_LINE: u32 = 0x401f_f000;

// Entered at EL1, or whichever exception level the machine begins at, with the MMU off and everything
// masked: as the guest wants it. Out: x0 and x1 the command line.
#[cfg(all(target_os = "none", target_arch = "aarch64"))]
core::arch::global_asm!(
    r#"
    .section .text._start, "ax"
    .global _start
_start:
    ldr     x0, ={COMMAND_LINE}
    mov     x1, #0
1:  ldrb    w2, [x0, x1]
    cbz     w2, 2f
    add     x1, x1, #1
    b       1b
2:  ldr     x2, ={ENTRY}
    br      x2
"#,
    COMMAND_LINE = const COMMAND_LINE,
    ENTRY = const ENTRY,
);

// Entered by the PVH protocol (Xen, docs/misc/pvh.pandoc): 32-bit protected mode, flat segments, paging
// off. Maps 4 GiB to themselves, in pages of 2 MiB, and goes to 64-bit mode (AMD APM volume 2, 14.6). Out:
// RDI and RSI the command line.
#[cfg(all(target_os = "none", target_arch = "x86_64"))]
core::arch::global_asm!(
    r#"
    .section .note.pvh, "a", @note
    .balign 4
    .long   4, 8, 18                    // name, descriptor in bytes; XEN_ELFNOTE_PHYS32_ENTRY
    .asciz  "Xen"
    .quad   _start

    .section .text._start, "ax"
    .code32
    .global _start
_start:
    cli
    cld
    mov     eax, offset level_3
    or      eax, {PRESENT_WRITABLE}
    mov     [level_4], eax
    mov     eax, offset level_2
    or      eax, {PRESENT_WRITABLE}
    mov     edi, offset level_3
    mov     ecx, 4
1:  mov     [edi], eax
    add     eax, 4096
    add     edi, 8
    dec     ecx
    jnz     1b
    mov     eax, {PRESENT_WRITABLE} | {LARGE}
    mov     edi, offset level_2
    mov     ecx, 4 * 512
2:  mov     [edi], eax
    add     eax, 0x200000
    add     edi, 8
    dec     ecx
    jnz     2b

    mov     eax, offset level_4
    mov     cr3, eax
    mov     eax, cr4
    or      eax, {PAE}
    mov     cr4, eax
    mov     ecx, 0xc0000080             // EFER
    rdmsr
    or      eax, {LME}
    wrmsr
    mov     eax, cr0
    or      eax, {PG}
    mov     cr0, eax
    lgdt    [gdt_pointer]
    mov     eax, 16
    mov     ds, eax
    mov     es, eax
    mov     ss, eax
    mov     esp, offset stack_top
    push    8
    mov     eax, offset long_mode
    push    eax
    retf

    .code64
long_mode:
    mov     edi, {COMMAND_LINE}
    xor     esi, esi
3:  cmp     byte ptr [rdi + rsi], 0
    je      4f
    inc     esi
    jmp     3b
4:  mov     eax, {ENTRY}
    jmp     rax

    .section .rodata, "a"
    .balign 8
gdt:
    .quad   0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
    .word   23
    .quad   gdt

    .section .bss, "aw", @nobits
    .balign 4096
level_4:    .skip 4096
level_3:    .skip 4096
level_2:    .skip 4 * 4096
            .skip 64
stack_top:
"#,
    PRESENT_WRITABLE = const 0x003,
    LARGE = const 0x080,
    PAE = const 1 << 5,
    LME = const 1 << 8,
    PG = const 1u32 << 31,
    COMMAND_LINE = const COMMAND_LINE,
    ENTRY = const ENTRY,
);

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[cfg(not(target_os = "none"))]
fn main() {}
