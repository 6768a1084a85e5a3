//! All assembly of the x86_64 platform: first instructions, exceptions and the wake-up
//! interrupt, guest entry and exit, and the few instructions that no crate has a function for.
//!
//! Called by the boot loader (by the PVH note), by the CPU, and by `boot`, `interrupts`,
//! `svm`.
//!
//! # Guest exit and entry (AMD APM volume 2, 15.5 VMRUN, 15.6 #VMEXIT)
//!
//! ```text
//!   guest                                            RAX = VMCB, RSP = end of Vcpu::gpr
//!        | #VMEXIT restores the host's RAX and RSP
//!   VMSAVE; the other registers -> pushed, down to &Vcpu; exit_ticks -= the time; VMLOAD of
//!   the host's
//!        | RDI = &Vcpu, RSI = the time               RSP = top of the host's stack
//!   guest_exit(&mut Vcpu, u64) -> &mut Vcpu
//!        | RAX = the vCPU to run next                RSP = that &Vcpu
//!   resume: exit_ticks += the time; registers <- popped; VMLOAD; VMRUN
//! ```
//!
//! Register contract. The host has no live registers across a guest run, but RAX and RSP,
//! which VMRUN saves and #VMEXIT restores: the address of the VMCB, and the end of the array
//! onto which the guest's registers are pushed in the order of their encoding, R15 first. The
//! guest's own RAX and RSP are in the VMCB and pass through the array like the others. Nothing
//! in the host uses x87, MMX or SSE registers (softfloat target): they are the guest's
//! throughout. The global interrupt flag is clear in the host but for the moments in which
//! `interrupts` sets it, RFLAGS.IF is set, so that an interrupt ends the guest's turn whatever
//! the guest's own IF says (15.21.1). One exit and entry is 48 instructions around
//! `guest_exit`.

use super::svm::vcpu::Vcpu;
use super::svm::vmcb;
use core::arch::{asm, global_asm};
use core::mem::offset_of;

const _: () = assert!(offset_of!(Vcpu, gpr) == 0);

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
    boot = sym super::boot::boot,
);

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
    fatal_exception = sym super::fatal::fatal_exception,
    wakeups = sym super::interrupts::WAKEUPS,
    end_of_interrupt = sym super::interrupts::END_OF_INTERRUPT,
);

global_asm!(
    r#"
    .section .text.guest, "ax"
    .balign 64
leave_guest:
    vmsave  rax
    push    r15
    push    r14
    push    r13
    push    r12
    push    r11
    push    r10
    push    r9
    push    r8
    push    rdi
    push    rsi
    push    rbp
    push    qword ptr [rax + {RSP}]
    push    rbx
    push    rdx
    push    rcx
    push    qword ptr [rax + {RAX}]
    mov     rdi, rsp
    rdtsc
    shl     rdx, 32
    lea     rsi, [rax + rdx]
    sub     [rdi + {EXIT_TICKS}], rsi
    lea     rax, [rip + {host_vmcb}]
    vmload  rax
    mov     rsp, offset __stack_top
    call    {guest_exit}
    // RAX = &Vcpu.
resume_guest:
    mov     rsp, rax
    rdtsc
    shl     rdx, 32
    add     rax, rdx
    add     [rsp + {EXIT_TICKS}], rax
    lea     rax, [rsp + {VMCB}]
    pop     qword ptr [rax + {RAX}]
    pop     rcx
    pop     rdx
    pop     rbx
    pop     qword ptr [rax + {RSP}]
    pop     rbp
    pop     rsi
    pop     rdi
    pop     r8
    pop     r9
    pop     r10
    pop     r11
    pop     r12
    pop     r13
    pop     r14
    pop     r15
    vmload  rax
    vmrun   rax
    jmp     leave_guest

    // In: RDI = &Vcpu.
enter_guest:
    mov     rax, rdi
    jmp     resume_guest
    "#,
    RAX = const vmcb::RAX,
    RSP = const vmcb::RSP,
    VMCB = const offset_of!(Vcpu, vmcb),
    EXIT_TICKS = const offset_of!(Vcpu, exit_ticks),
    host_vmcb = sym super::svm::HOST_VMCB,
    guest_exit = sym super::machine::guest_exit,
);

unsafe extern "C" {
    safe static exception_entries: [[u8; EXCEPTION_ENTRY_BYTES]; 32];
    fn wakeup_entry();
    fn spurious_entry();
    #[link_name = "enter_guest"]
    fn enter_guest_in_assembly(vcpu: &'static mut Vcpu) -> !;
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

/// Enters the guest, and never comes back: later exits start `guest_exit` afresh.
///
/// # Safety
///
/// SVM must be on, and the VMCB of `vcpu` complete.
pub unsafe fn enter_guest(vcpu: &'static mut Vcpu) -> ! {
    // SAFETY: the assembly above takes the exclusive reference over and lends it to one
    // `guest_exit` at a time; the caller vouches for the VMCB.
    unsafe { enter_guest_in_assembly(vcpu) }
}

/// VMSAVE: writes FS, GS, TR, LDTR and the system call registers to a VMCB.
///
/// # Safety
///
/// SVM must be on, and `vmcb` the physical address of a page that is a VMCB.
pub unsafe fn vmsave(vmcb: usize) {
    // SAFETY: by this function's contract.
    unsafe { asm!("vmsave rax", in("rax") vmcb, options(nostack, preserves_flags)) };
}

/// CLGI and RFLAGS.IF set: from here on interrupts come only where they are let in.
///
/// # Safety
///
/// SVM must be on, and the interrupt descriptor table loaded.
pub unsafe fn hold_interrupts() {
    // SAFETY: by this function's contract; with GIF clear, setting IF lets nothing in.
    unsafe { asm!("clgi", "sti", options(nostack)) };
}

/// Takes the interrupts that are pending.
///
/// # Safety
///
/// After [`hold_interrupts`].
pub unsafe fn take_interrupts() {
    // SAFETY: the entries above save what they change; the red zone is off.
    unsafe { asm!("stgi", "nop", "clgi") };
}

/// Waits until an interrupt is pending, and takes it. STI lets nothing in before HLT.
///
/// # Safety
///
/// After [`hold_interrupts`].
pub unsafe fn wait_for_interrupt() {
    // SAFETY: the entries above save what they change; the red zone is off.
    unsafe { asm!("cli", "stgi", "sti", "hlt", "clgi") };
}

/// What FXRSTOR loads (AMD APM volume 2, 11.4.4).
#[repr(C, align(16))]
pub struct FpState([u8; 512]);

impl FpState {
    /// x87 and SSE registers as after reset: all exceptions masked, the rest zero.
    pub const RESET: Self = {
        let mut state = [0; 512];
        // FCW 0x37f as by FNINIT, MXCSR 0x1f80.
        state[0] = 0x7f;
        state[1] = 0x03;
        state[24] = 0x80;
        state[25] = 0x1f;
        Self(state)
    };

    /// Writes them to the CPU.
    pub fn load(&self) {
        // SAFETY: reads this structure; no code of the host has values in these registers
        // (softfloat target), and `_start` set CR4.OSFXSR.
        unsafe { asm!("fxrstor64 [{}]", in(reg) &raw const self.0, options(nostack)) };
    }

    /// Reads them from the CPU.
    pub fn save(&mut self) {
        // SAFETY: writes this structure; CR4.OSFXSR as above.
        unsafe { asm!("fxsave64 [{}]", in(reg) &raw mut self.0, options(nostack)) };
    }
}
