//! An option ROM that boots a kernel under Bochs, in a boot loader's place: it copies the first
//! disk into memory and enters the kernel in it as the Multiboot specification 0.6.96, section
//! 3.2, wants it.
//!
//! The BIOS calls it in real mode at its end, before it would look for something to boot
//! (PnP BIOS specification 1.0A, section 3); it does not return. The runner makes the disk and
//! completes the ROM (`tools/runner/src/machine/multiboot.rs`): it takes the section `.rom` out of this
//! program and puts behind it four words, for which the code has the names below, and a
//! checksum. Invariant: the code runs where it is copied to, without relocation, so every
//! address in it is reckoned from `ROM`.
//!
//! ```text
//! BIOS ──far call──► entry (16 bit) ──► flat (32 bit) ──sectors──► memory ──jump──► kernel
//! ```

#![cfg_attr(target_os = "none", no_std, no_main)]

// Registers: none is taken over from the BIOS but CS, which is the ROM's segment. Memory: the
// stack grows down from 0x7c00, which nobody needs any more. On an error of the disk Bochs ends,
// as it does for whoever writes `Shutdown` to its port 0x8900.
#[cfg(all(target_os = "none", target_arch = "x86_64"))]
core::arch::global_asm!(
    r#"
    .set ROM, 0xd0000           // where Bochs puts it: ROM_AT in multiboot.rs
    .set FLAT_CODE, 0x08        // selectors
    .set FLAT_DATA, 0x10

    .section .rom, "awxR", @progbits
    .globl _start
    .code16
_start:
rom:
    .byte 0x55, 0xaa            // signature of an option ROM
    .byte 1                     // its length in units of 512 bytes
entry:
    cli
    cld
    in al, 0x92                 // A20 on; bit 0 would be a reset
    or al, 2
    and al, 0xfe
    out 0x92, al
    lgdt cs:[to_lgdt]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    .byte 0x66, 0xea            // jmp far, with an offset of 32 bits
    .long ROM + flat - rom
    .word FLAT_CODE

    .code32
flat:
    mov eax, FLAT_DATA
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov esp, 0x7c00
    mov edi, [destination]
    mov esi, [pieces]
    xor ebx, ebx
next_piece:
    call read_piece
    dec esi
    jnz next_piece
    mov ecx, [kernel_entry]
    mov ebx, [information]
    mov eax, 0x2badb002         // entered by a Multiboot loader
    jmp ecx

// Reads 256 sectors of the first disk from sector EBX (28 bits) on to EDI, and moves both on.
// Clobbers EAX, ECX, EDX, EBP. ATA/ATAPI-6, the command READ SECTOR(S) and the PIO data-in
// protocol.
read_piece:
    mov edx, 0x1f2
    mov al, 0                   // 256 sectors
    out dx, al
    mov eax, ebx
    inc edx                     // 0x1f3, bits 7:0
    out dx, al
    shr eax, 8
    inc edx                     // 0x1f4, bits 15:8
    out dx, al
    shr eax, 8
    inc edx                     // 0x1f5, bits 23:16
    out dx, al
    shr eax, 8
    or al, 0xe0                 // device 0, LBA
    inc edx                     // 0x1f6, bits 27:24
    out dx, al
    mov al, 0x20
    inc edx                     // 0x1f7, command and status
    out dx, al
    mov ebp, 256
next_sector:
    mov edx, 0x1f7
    in al, dx
    test al, 0x80               // BSY
    jnz next_sector
    test al, 0x21               // DF, ERR
    jnz failed
    test al, 0x08               // DRQ
    jz next_sector
    mov edx, 0x1f0
    mov ecx, 256
    rep insw
    inc ebx
    dec ebp
    jnz next_sector
    ret

failed:
    mov esi, offset shutdown_at
    mov ecx, 8
    mov edx, 0x8900
    rep outsb
stopped:
    hlt
    jmp stopped

shutdown:
    .ascii "Shutdown"

limit_and_base:
    .word descriptors_end - descriptors - 1
    .long ROM + descriptors - rom
    .balign 8
descriptors:
    .quad 0
    .quad 0x00cf9b000000ffff    // FLAT_CODE: 4 GiB, 32 bit
    .quad 0x00cf93000000ffff    // FLAT_DATA
descriptors_end:

end:                            // from here on the runner writes

    .set to_lgdt, limit_and_base - rom
    .set shutdown_at, ROM + shutdown - rom
    .set destination, ROM + end - rom
    .set pieces, destination + 4
    .set kernel_entry, destination + 8
    .set information, destination + 12
"#
);

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[cfg(not(target_os = "none"))]
fn main() {}
