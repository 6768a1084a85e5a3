//! Registers that are a VM's own although no exit saves them: the FP and vector registers and
//! some of EL1, filled with a pattern and read back after a while in which other VMs ran.
//!
//! For the program `registers` only. Arm ARM B1.2.2 (V registers), D17.2 (system registers).

/// 32 vector registers of 16 bytes, as words.
pub const VECTOR_WORDS: usize = 64;
/// EL1 and EL0 registers that hold any value and do nothing while the MMU is off.
pub const SYSTEM_REGISTERS: usize = 6;

/// What the registers hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterFile {
    /// q0 to q31, the low half of each first.
    pub vectors: [u64; VECTOR_WORDS],
    /// TPIDR_EL0, TPIDRRO_EL0, TPIDR_EL1, SP_EL0, FAR_EL1, ELR_EL1.
    pub system: [u64; SYSTEM_REGISTERS],
}

impl RegisterFile {
    /// A pattern with no two words alike, and none in common with another seed's.
    pub fn pattern(seed: u32) -> Self {
        let word = |index: usize| u64::from(seed) << 32 | index as u64;
        Self {
            vectors: core::array::from_fn(word),
            system: core::array::from_fn(|index| word(VECTOR_WORDS + index)),
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

    /// Only in a VM.
    #[cfg(not(target_arch = "aarch64"))]
    pub fn hold(&self, until_ticks: u64) -> Self {
        unimplemented!("{until_ticks}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_two_vms_have_no_word_in_common() {
        let words = |seed| {
            let file = RegisterFile::pattern(seed);
            file.vectors.into_iter().chain(file.system)
        };
        assert!(words(1).all(|one| words(2).all(|two| one != two)));
        assert_eq!(
            words(1).max().map(|word| word as usize + 1 - (1 << 32)),
            Some(70)
        );
    }
}
