//! What a guest reads as its CPU.
//!
//! Called by `vcpu`. The invariant: a guest is told only of features that work in its VM.
//!
//! AMD APM volume 3, appendix E.

use core::arch::x86_64::{__cpuid_count, CpuidResult};

/// Leaf 1, ECX: MONITOR, VMX, PCID, x2APIC, the deadline timer, XSAVE, OSXSAVE, AVX, F16C,
/// FMA.
const HIDDEN_1_ECX: u32 =
    1 << 3 | 1 << 5 | 1 << 17 | 1 << 21 | 1 << 24 | 1 << 26 | 1 << 27 | 1 << 28 | 1 << 29 | 1 << 12;
/// "A hypervisor is present."
const HYPERVISOR_1_ECX: u32 = 1 << 31;
/// Leaf 1, EDX: machine checks, the APIC, memory type ranges.
const HIDDEN_1_EDX: u32 = 1 << 7 | 1 << 9 | 1 << 12 | 1 << 14;
/// Leaf 8000_0001, ECX: SVM, instruction based sampling, SKINIT, the watchdog, XOP, FMA4,
/// performance counters.
const HIDDEN_8000_0001_ECX: u32 =
    1 << 2 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 16 | 1 << 23 | 1 << 24;
/// Leaf 8000_0001, EDX: RDTSCP, whose register nobody switches.
const HIDDEN_8000_0001_EDX: u32 = 1 << 27;

/// CPUID with this leaf and subleaf in EAX and ECX.
pub fn read(leaf: u32, subleaf: u32) -> CpuidResult {
    const NOTHING: CpuidResult = CpuidResult {
        eax: 0,
        ebx: 0,
        ecx: 0,
        edx: 0,
    };
    let mut result = __cpuid_count(leaf, subleaf);
    match leaf {
        1 => {
            result.ecx = result.ecx & !HIDDEN_1_ECX | HYPERVISOR_1_ECX;
            result.edx &= !HIDDEN_1_EDX;
        }
        0x8000_0001 => {
            result.ecx &= !HIDDEN_8000_0001_ECX;
            result.edx &= !HIDDEN_8000_0001_EDX;
        }
        // The vendor, the name, caches and address sizes are the host's.
        0 | 2 | 4 | 0x8000_0000 | 0x8000_0002..=0x8000_0008 => {}
        // Extended features would have to be looked at one by one; XSAVE, SVM, and what
        // other hypervisors say of themselves are not there.
        _ => result = NOTHING,
    }
    result
}
