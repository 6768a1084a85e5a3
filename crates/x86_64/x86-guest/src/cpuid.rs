//! What a guest reads as its CPU.
//!
//! Called by the platform when CPUID leaves the guest.
//!
//! Invariant: a guest is told only of features that work in its VM; the others are hidden by
//! name, and of leaves that nobody has looked at it sees nothing.
//!
//! Specification: AMD APM volume 3, appendix E; Intel SDM volume 2, CPUID.

/// What CPUID leaves in its four registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct Cpuid {
    pub eax: u32,
    pub ebx: u32,
    pub ecx: u32,
    pub edx: u32,
}

/// Leaf 1, ECX: DTES64, MONITOR, DS-CPL, VMX, SMX, enhanced SpeedStep, thermal monitor 2, L1
/// context, SDBG, FMA, xTPR, PDCM, PCID, DCA, x2APIC, the deadline timer, XSAVE, OSXSAVE, AVX,
/// F16C.
const HIDDEN_1_ECX: u32 = 0b1_1111_1100
    | 1 << 10
    | 1 << 11
    | 1 << 12
    | 1 << 14
    | 1 << 15
    | 1 << 17
    | 1 << 18
    | 1 << 21
    | 1 << 24
    | 0b1111 << 26;
/// "A hypervisor is present."
const HYPERVISOR_1_ECX: u32 = 1 << 31;
/// Leaf 1, EDX: machine checks, the APIC, memory type ranges, the debug store, ACPI's thermal
/// control, the thermal monitor, pending break enable.
const HIDDEN_1_EDX: u32 =
    1 << 7 | 1 << 9 | 1 << 12 | 1 << 14 | 1 << 21 | 1 << 22 | 1 << 29 | 1 << 31;
/// Leaf 8000_0001, ECX: LAHF in 64-bit mode, LZCNT, SSE4A, misaligned SSE, PREFETCHW, TBM, which
/// are instructions and nothing else; and what leaf 1 means by HTT. The others are SVM and what
/// is made of registers or of a local APIC that a guest does not have, and what is still reserved.
const VISIBLE_8000_0001_ECX: u32 = 1 << 0 | 1 << 1 | 0b1111 << 5 | 1 << 21;
/// Leaf 8000_0001, EDX: AMD's copies of what leaf 1 hides; FFXSR, whose bit of EFER no guest can
/// set; RDTSCP, whose register nobody switches.
const HIDDEN_8000_0001_EDX: u32 = 1 << 7 | 1 << 9 | 1 << 12 | 1 << 14 | 1 << 25 | 1 << 27;
/// Leaf 8000_0007, EDX: the time stamp counter's rate never changes. The others are of power
/// management, by registers that a guest does not have.
const VISIBLE_8000_0007_EDX: u32 = 1 << 8;
/// Leaf 8000_0008, EBX: CLZERO; FXRSTOR loads the error pointers. The others leave the guest or are
/// made of registers that it does not have.
const VISIBLE_8000_0008_EBX: u32 = 1 << 0 | 1 << 2;

/// Leaf 7, EBX: BMI1, for TZCNT; fast REP MOVS and STOS; CLFLUSHOPT, CLWB. Each of the others would
/// have to be looked at.
const VISIBLE_7_EBX: u32 = 1 << 3 | 1 << 9 | 1 << 23 | 1 << 24;

/// What CPUID with this leaf in EAX leaves in a guest's registers, where it leaves `host` in the
/// host's.
pub const fn visible_cpuid(leaf: u32, host: Cpuid) -> Cpuid {
    match leaf {
        1 => Cpuid {
            ecx: host.ecx & !HIDDEN_1_ECX | HYPERVISOR_1_ECX,
            edx: host.edx & !HIDDEN_1_EDX,
            ..host
        },
        0x8000_0001 => Cpuid {
            ecx: host.ecx & VISIBLE_8000_0001_ECX,
            edx: host.edx & !HIDDEN_8000_0001_EDX,
            ..host
        },
        7 => Cpuid {
            eax: 0,
            ebx: host.ebx & VISIBLE_7_EBX,
            ecx: 0,
            edx: 0,
        },
        0x8000_0007 => Cpuid {
            eax: 0,
            ebx: 0,
            ecx: 0,
            edx: host.edx & VISIBLE_8000_0007_EDX,
        },
        // The address sizes and the number of threads are the host's.
        0x8000_0008 => Cpuid {
            ebx: host.ebx & VISIBLE_8000_0008_EBX,
            edx: 0,
            ..host
        },
        // So are the vendor, the name and caches.
        0 | 2 | 4 | 0x8000_0000 | 0x8000_0002..=0x8000_0006 => host,
        // XSAVE, SVM, and what other hypervisors say of themselves are not there.
        _ => Cpuid {
            eax: 0,
            ebx: 0,
            ecx: 0,
            edx: 0,
        },
    }
}
