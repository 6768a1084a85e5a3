//! Registers that are a VM's own although an exit need not save them: FP and vector registers
//! and some that only a kernel uses, filled with a pattern and read back after a while in which
//! other VMs ran.
//!
//! For the program `registers` only. Arm ARM B1.2.2 (V registers), D17.2 (system registers); AMD
//! APM volume 2, 11.2 (XMM registers), appendix A (model-specific registers).

/// The vector registers, of 16 bytes each, as words.
pub const VECTOR_WORDS: usize = if cfg!(target_arch = "x86_64") { 32 } else { 64 };
/// Registers that hold any value and do nothing by it here.
pub const SYSTEM_REGISTERS: usize = if cfg!(target_arch = "x86_64") { 7 } else { 6 };

/// What the registers hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterFile {
    /// q0 to q31 or XMM0 to XMM15, the low half of each first.
    pub vectors: [u64; VECTOR_WORDS],
    /// TPIDR_EL0, TPIDRRO_EL0, TPIDR_EL1, SP_EL0, FAR_EL1, ELR_EL1; or STAR, LSTAR, CSTAR, the
    /// bases of FS and GS, KernelGSbase, and CR8, which has four bits.
    pub system: [u64; SYSTEM_REGISTERS],
}

impl RegisterFile {
    /// A pattern with no two words alike, and none in common with another seed's.
    pub fn pattern(seed: u32) -> Self {
        let word = |index: usize| u64::from(seed) << 32 | index as u64;
        let mut system = core::array::from_fn(|index| word(VECTOR_WORDS + index));
        if cfg!(target_arch = "x86_64") {
            system[SYSTEM_REGISTERS - 1] = u64::from(seed & 0xf);
        }
        Self {
            vectors: core::array::from_fn(word),
            system,
        }
    }

    /// Puts this into the CPU, stays there until the counter reaches `until_ticks`, and returns
    /// what it finds then. Takes no exception meanwhile, but may be interrupted by the host.
    #[cfg(target_arch = "aarch64")]
    pub fn hold(&self, until_ticks: u64) -> Self {
        use aarch64_cpu::asm::barrier;
        use aarch64_cpu::registers::{CPACR_EL1, Writeable};

        // FP instructions of EL1 and EL0 do not trap.
        CPACR_EL1.write(CPACR_EL1::FPEN::TrapNothing);
        barrier::isb(barrier::SY);
        let mut found = Self {
            vectors: [0; VECTOR_WORDS],
            system: [0; SYSTEM_REGISTERS],
        };
        // SAFETY: reads this structure and writes `found`, whose words it is given by address;
        // nothing else here uses FP registers (softfloat target) or, before the next exception,
        // the system registers.
        unsafe {
            core::arch::asm!(
                ".arch_extension fp",
                ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
                "ldr q\\n, [{vectors}, #(16 * \\n)]",
                ".endr",
                "ldp {a}, {b}, [{system}]",
                "msr tpidr_el0, {a}",
                "msr tpidrro_el0, {b}",
                "ldp {a}, {b}, [{system}, #16]",
                "msr tpidr_el1, {a}",
                "msr sp_el0, {b}",
                "ldp {a}, {b}, [{system}, #32]",
                "msr far_el1, {a}",
                "msr elr_el1, {b}",
                "2: isb",
                "mrs {a}, cntvct_el0",
                "cmp {a}, {until}",
                "b.lo 2b",
                ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
                "str q\\n, [{found_vectors}, #(16 * \\n)]",
                ".endr",
                "mrs {a}, tpidr_el0",
                "mrs {b}, tpidrro_el0",
                "stp {a}, {b}, [{found_system}]",
                "mrs {a}, tpidr_el1",
                "mrs {b}, sp_el0",
                "stp {a}, {b}, [{found_system}, #16]",
                "mrs {a}, far_el1",
                "mrs {b}, elr_el1",
                "stp {a}, {b}, [{found_system}, #32]",
                ".arch_extension nofp",
                vectors = in(reg) self.vectors.as_ptr(),
                system = in(reg) self.system.as_ptr(),
                found_vectors = in(reg) found.vectors.as_mut_ptr(),
                found_system = in(reg) found.system.as_mut_ptr(),
                until = in(reg) until_ticks,
                a = out(reg) _,
                b = out(reg) _,
                options(nostack),
            );
        }
        found
    }

    /// The same; meanwhile the VMM is asked for CPUID again and again.
    #[cfg(target_arch = "x86_64")]
    pub fn hold(&self, until_ticks: u64) -> Self {
        crate::cpu::allow_vectors();
        let mut found = Self {
            vectors: [0; VECTOR_WORDS],
            system: [0; SYSTEM_REGISTERS],
        };
        // SAFETY: reads this structure and writes `found`, whose words it is given by address;
        // nothing else here uses the registers that it fills (softfloat target, no SYSCALL, no
        // interrupts). RBX is the compiler's, so it is kept meanwhile.
        unsafe {
            core::arch::asm!(
                ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
                "movdqu xmm\\n, [{vectors} + 16 * \\n]",
                ".endr",
                "mov {rbx}, rbx",
                ".irp n, 0,1,2",
                "mov ecx, 0xc0000081 + \\n",
                "mov eax, [{system} + 8 * \\n]",
                "mov edx, [{system} + 8 * \\n + 4]",
                "wrmsr",
                "mov ecx, 0xc0000100 + \\n",
                "mov eax, [{system} + 8 * \\n + 24]",
                "mov edx, [{system} + 8 * \\n + 28]",
                "wrmsr",
                ".endr",
                "mov rax, [{system} + 48]",
                "mov cr8, rax",
                "2: xor eax, eax",
                "xor ecx, ecx",
                "cpuid",
                "rdtsc",
                "shl rdx, 32",
                "or rax, rdx",
                "cmp rax, {until}",
                "jb 2b",
                "mov rbx, {rbx}",
                ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
                "movdqu [{found_vectors} + 16 * \\n], xmm\\n",
                ".endr",
                ".irp n, 0,1,2",
                "mov ecx, 0xc0000081 + \\n",
                "rdmsr",
                "mov [{found_system} + 8 * \\n], eax",
                "mov [{found_system} + 8 * \\n + 4], edx",
                "mov ecx, 0xc0000100 + \\n",
                "rdmsr",
                "mov [{found_system} + 8 * \\n + 24], eax",
                "mov [{found_system} + 8 * \\n + 28], edx",
                ".endr",
                "mov rax, cr8",
                "mov [{found_system} + 48], rax",
                vectors = in(reg) self.vectors.as_ptr(),
                system = in(reg) self.system.as_ptr(),
                found_vectors = in(reg) found.vectors.as_mut_ptr(),
                found_system = in(reg) found.system.as_mut_ptr(),
                until = in(reg) until_ticks,
                rbx = out(reg) _,
                out("rax") _,
                out("rcx") _,
                out("rdx") _,
                options(nostack),
            );
        }
        found
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn patterns_of_two_vms_have_no_word_in_common() {
        let words = |seed| {
            let file = RegisterFile::pattern(seed);
            file.vectors.into_iter().chain(file.system)
        };
        assert!(words(1).all(|one| words(2).all(|two| one != two)));
        let different: std::collections::BTreeSet<_> = words(1).collect();
        assert_eq!(different.len(), VECTOR_WORDS + SYSTEM_REGISTERS);
    }
}
