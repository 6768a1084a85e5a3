//! The first instructions, and the way from them to the first guest.
//!
//! The boot loader enters here, by the PVH note. Invariant: what runs first after `boot` is the vCPU
//! that it returns.

use core::arch::global_asm;

// Reset by the PVH protocol (Xen, docs/misc/pvh.pandoc): 32-bit protected mode, flat segments,
// paging off, EBX = hvm_start_info. QEMU enters an ELF file with this note there. The tables
// map the first GiB to itself until `paging` has built better ones. .bss is page-aligned at
// both ends.
global_asm!(
    r#"
    .section .note.pvh, "a", @note
    .balign 4
    .long   4, 8, 18            // name, descriptor in bytes; XEN_ELFNOTE_PHYS32_ENTRY
    .asciz  "Xen"
    .quad   _start

    .section .text.boot, "ax"
    .code32
    .global _start
_start:
    cli
    cld
    mov     esp, offset __stack_top
    mov     edi, offset __bss_start
    mov     ecx, offset __bss_end
    sub     ecx, edi
    shr     ecx, 2
    xor     eax, eax
    rep     stosd

    mov     eax, offset boot_level_3
    or      eax, {PRESENT_WRITABLE}
    mov     [boot_level_4], eax
    mov     eax, offset boot_level_2
    or      eax, {PRESENT_WRITABLE}
    mov     [boot_level_3], eax
    mov     eax, {PRESENT_WRITABLE_2M}
    mov     edi, offset boot_level_2
    mov     ecx, 512
1:  mov     [edi], eax
    add     eax, 0x200000
    add     edi, 8
    dec     ecx
    jnz     1b

    mov     eax, offset boot_level_4
    mov     cr3, eax
    mov     eax, {CR4}
    mov     cr4, eax
    mov     ecx, 0xc0000080     // EFER
    rdmsr
    or      eax, {EFER}
    wrmsr
    mov     eax, {CR0}
    mov     cr0, eax
    lgdt    [boot_gdt_pointer]
    push    {CODE}
    mov     eax, offset long_mode
    push    eax
    retf

    .code64
long_mode:
    mov     eax, {DATA}
    mov     ds, eax
    mov     es, eax
    mov     ss, eax
    mov     rsp, offset __stack_top
    mov     edi, ebx
    call    {boot}
    jmp     resume_guest

    .section .rodata.boot, "a"
    .balign 8
boot_gdt:
    .quad   0, 0x00af9b000000ffff, 0x00cf93000000ffff
boot_gdt_pointer:
    .word   23
    .quad   boot_gdt

    .section .bss.boot, "aw", @nobits
    .balign 4096
boot_level_4: .skip 4096
boot_level_3: .skip 4096
boot_level_2: .skip 4096
    "#,
    PRESENT_WRITABLE = const 0x003,
    PRESENT_WRITABLE_2M = const 0x083,
    // PAE, OSFXSR (for `load_fp_state`).
    CR4 = const 1 << 5 | 1 << 9,
    // LME, NXE.
    EFER = const 1 << 8 | 1 << 11,
    // PG, WP, NE, ET, PE.
    CR0 = const 0x8001_0031_u32,
    CODE = const 8,
    DATA = const 16,
    boot = sym crate::arch::boot::boot,
);
