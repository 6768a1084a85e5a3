//! The few things that a program asks of its CPU.
//!
//! AMD APM volume 3: RDTSC, LFENCE, HLT, STI, CLI, CPUID.

use core::arch::asm;
use core::arch::x86_64::__cpuid;

/// Whether the hypervisor is called by VMMCALL, as on an AMD CPU and its offspring, or by
/// VMCALL; the other is undefined. By the vendor that CPUID names.
pub fn has_vmmcall() -> bool {
    let leaf = __cpuid(0);
    let name = [leaf.ebx, leaf.edx, leaf.ecx].map(u32::to_le_bytes);
    matches!(name.as_flattened(), b"AuthenticAMD" | b"HygonGenuine")
}

/// The time stamp counter, after everything before this call is done.
pub fn counter() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: reads the counter.
    unsafe { asm!("lfence", "rdtsc", out("eax") low, out("edx") high, options(nostack)) };
    u64::from(high) << 32 | u64::from(low)
}

/// HLT with interrupts on, since one with interrupts off is for ever; then they are off, as they
/// were.
pub fn wait_for_interrupt() {
    // SAFETY: only waits; no interrupt is expected, and the VMM ends it without one.
    unsafe { asm!("sti", "hlt", "cli", options(nomem, nostack)) };
}

/// Waits in a loop for interrupts that the program would take.
pub fn idle() -> ! {
    loop {
        wait_for_interrupt();
    }
}

/// Stops for good: HLT with interrupts off.
pub fn halt() -> ! {
    // SAFETY: does not return.
    unsafe { asm!("cli", "2: hlt", "jmp 2b", options(nomem, nostack, noreturn)) };
}

/// Masks interrupts.
pub fn mask_interrupts() {
    // SAFETY: no interrupt is expected.
    unsafe { asm!("cli", options(nostack)) };
}

/// About a microsecond of instructions.
pub(crate) fn spin_briefly() {
    // SAFETY: counts a register down.
    unsafe {
        asm!(
            "2: dec {n}",
            "jnz 2b",
            n = inout(reg) 500_u64 => _,
            options(nomem, nostack),
        );
    }
}

/// UD2 with the stack at `address`: the exception cannot be delivered if nothing is there.
pub fn take_an_exception_on_a_stack_at(address: u64) -> ! {
    // SAFETY: does not return; the VM ends, or the program with an unexpected exception.
    unsafe { asm!("mov rsp, {0}", "ud2", in(reg) address, options(noreturn)) }
}

/// UD2 with an empty table of handlers: a triple fault.
pub fn take_an_exception_without_handlers() -> ! {
    static NO_TABLE: [u16; 5] = [0; 5];
    // SAFETY: does not return; the VM ends.
    unsafe { asm!("lidt [{0}]", "ud2", in(reg) &NO_TABLE, options(noreturn)) }
}

/// Sets bit 31 of CR4, then waits: #GP on a CPU, and where an emulator lets that pass, an exit
/// in a state in which no CPU can be.
pub fn set_reserved_bit_of_cr4() {
    // SAFETY: the VM ends, or the program with an unexpected exception.
    unsafe { asm!("mov {0}, cr4", "bts {0}, 31", "mov cr4, {0}", "sti", "hlt", out(reg) _) };
}

/// Lets instructions use the vector registers (CR4.OSFXSR).
pub fn allow_vectors() {
    // SAFETY: the program's own code uses none (softfloat target).
    unsafe {
        asm!("mov {0}, cr4", "bts {0}, 9", "mov cr4, {0}", out(reg) _, options(nostack));
    }
}
