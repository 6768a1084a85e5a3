//! The way out of a guest and back into one.
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
//!
//! Specification: AMD APM volume 2, 15.5 VMRUN, 15.6 #VMEXIT.

use crate::arch::svm::vcpu::Vcpu;
use crate::arch::svm::vmcb;
use core::arch::global_asm;
use core::mem::offset_of;

const _: () = assert!(offset_of!(Vcpu, gpr) == 0);

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
    // RAX = &Vcpu. Also `_start`'s way to the first guest.
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
    "#,
    RAX = const vmcb::RAX,
    RSP = const vmcb::RSP,
    VMCB = const offset_of!(Vcpu, vmcb),
    EXIT_TICKS = const offset_of!(Vcpu, exit_ticks),
    host_vmcb = sym crate::arch::svm::HOST_VMCB,
    guest_exit = sym crate::arch::machine::guest_exit,
);
