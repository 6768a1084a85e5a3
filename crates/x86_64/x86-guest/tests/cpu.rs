//! What a guest sees of its CPU and may switch: bits from the manuals, by their numbers.

use x86_guest::{Cpuid, visible_cpuid, written_efer};

/// A host that has everything.
const ALL: Cpuid = Cpuid {
    eax: u32::MAX,
    ebx: u32::MAX,
    ecx: u32::MAX,
    edx: u32::MAX,
};
const NOTHING: Cpuid = Cpuid {
    eax: 0,
    ebx: 0,
    ecx: 0,
    edx: 0,
};

#[test]
fn a_guest_has_no_virtualization_and_no_devices_of_the_cpu() {
    let first = visible_cpuid(1, ALL);
    // What stays. ECX: SSE3, PCLMULQDQ, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, MOVBE, POPCNT, AES,
    // RDRAND, and that a hypervisor is there.
    let ecx = [0, 1, 9, 13, 19, 20, 22, 23, 25, 30, 31];
    // EDX: FPU, VME, DE, PSE, TSC, MSR, PAE, CX8, SEP, PGE, CMOV, PAT, PSE-36, PSN, CLFSH, MMX,
    // FXSR, SSE, SSE2, SS, HTT.
    let edx = [
        0, 1, 2, 3, 4, 5, 6, 8, 11, 13, 15, 16, 17, 18, 19, 23, 24, 25, 26, 27, 28,
    ];
    for bit in 0..32 {
        // Nobody has used bits 16 of ECX, 10, 20 and 30 of EDX.
        if bit != 16 {
            let seen = first.ecx >> bit & 1 == 1;
            assert_eq!(seen, ecx.contains(&bit), "bit {bit} of ECX");
        }
        if ![10, 20, 30].contains(&bit) {
            let seen = first.edx >> bit & 1 == 1;
            assert_eq!(seen, edx.contains(&bit), "bit {bit} of EDX");
        }
    }
    assert_eq!((first.eax, first.ebx), (u32::MAX, u32::MAX));
    let extended = visible_cpuid(0x8000_0001, ALL);
    // SVM; RDTSCP; SYSCALL, no-execute and long mode stay.
    assert_eq!(extended.ecx >> 2 & 1, 0);
    assert_eq!(extended.edx >> 27 & 1, 0);
    for bit in [11, 20, 29] {
        assert_eq!(extended.edx >> bit & 1, 1, "bit {bit} of EDX");
    }
}

/// The numbers of the bits that are set.
fn bits(value: u32) -> Vec<u32> {
    (0..32).filter(|bit| value >> bit & 1 == 1).collect()
}

#[test]
fn of_the_extended_features_those_are_visible_that_need_nothing_but_the_cpu() {
    let extended = visible_cpuid(0x8000_0001, ALL);
    // AMD APM volume 3, E.4.2, ECX: LahfSahf, CmpLegacy, ABM, SSE4A, MisAlignSse, 3DNowPrefetch, TBM.
    //
    // Not: SVM (2), ExtApicSpace (3), AltMovCr8 (4), OSVW (9), IBS (10), XOP (11), SKINIT (12), WDT
    // (13), LWP (15), FMA4 (16), TCE (17), NodeId (19), TopologyExtensions (22), PerfCtrExtCore
    // (23), PerfCtrExtNB (24), DataBkptExt (26), PerfTsc (27), PerfCtrExtLLC (28), MONITORX (29),
    // AddrMaskExt (30).
    assert_eq!(bits(extended.ecx), [0, 1, 5, 6, 7, 8, 21]);
    // EDX: not MCE (7), APIC (9), MTRR (12), MCA (14), which leaf 1 has not either, FFXSR (25),
    // RDTSCP (27).
    let hidden = [7, 9, 12, 14, 25, 27];
    assert_eq!(bits(!extended.edx), hidden);
    assert_eq!((extended.eax, extended.ebx), (u32::MAX, u32::MAX));
    assert_eq!(visible_cpuid(0x8000_0001, NOTHING), NOTHING);
}

#[test]
fn an_efer_that_a_guest_cannot_write_is_of_no_feature_that_it_sees() {
    // TCE is EFER's bit 15, FFXSR its bit 14, SVM its bit 12.
    let extended = visible_cpuid(0x8000_0001, ALL);
    for (feature, efer_bit) in [
        (extended.ecx >> 17, 15),
        (extended.edx >> 25, 14),
        (extended.ecx >> 2, 12),
    ] {
        let is_seen = feature & 1 == 1;
        let is_writable = written_efer(0, 1 << efer_bit, 0).is_some();
        assert_eq!(is_seen, is_writable, "bit {efer_bit} of EFER");
    }
}

#[test]
fn of_power_management_and_speculation_a_guest_sees_nothing_that_is_a_register() {
    // AMD APM volume 3, E.4.6: TscInvariant alone.
    let edx = 1 << 8;
    let power = visible_cpuid(0x8000_0007, ALL);
    assert_eq!(power, Cpuid { edx, ..NOTHING });
    // E.4.7, EBX: CLZERO and RstrFpErrPtrs; not InstRetCntMsr, RDPRU, WBNOINVD, IBPB, IBRS, STIBP,
    // SSBD and their kin. The sizes of addresses are the host's.
    let sizes = visible_cpuid(0x8000_0008, ALL);
    assert_eq!(bits(sizes.ebx), [0, 2]);
    assert_eq!((sizes.eax, sizes.ecx), (u32::MAX, u32::MAX));
    assert_eq!(sizes.edx, 0);
}

#[test]
fn a_guest_is_told_that_a_hypervisor_is_present_and_not_which() {
    assert_eq!(visible_cpuid(1, NOTHING).ecx, 1 << 31);
    for leaf in [0x4000_0000, 0x4000_0001, 0x4000_00ff] {
        assert_eq!(visible_cpuid(leaf, ALL), NOTHING, "leaf {leaf:#x}");
    }
}

#[test]
fn leaves_that_nobody_looked_at_are_empty() {
    // Structured features, XSAVE, SVM, what is beyond the last.
    for leaf in [0xd, 0x8000_000a, 0x8000_001f, u32::MAX] {
        assert_eq!(visible_cpuid(leaf, ALL), NOTHING, "leaf {leaf:#x}");
    }
    for leaf in [0, 2, 4, 0x8000_0000, 0x8000_0002, 0x8000_0006] {
        assert_eq!(visible_cpuid(leaf, ALL), ALL, "leaf {leaf:#x}");
    }
}

const PAGED: u64 = 1 << 31;
const SCE: u64 = 1 << 0;
const LME: u64 = 1 << 8;
const LMA: u64 = 1 << 10;
const NXE: u64 = 1 << 11;

#[test]
fn a_guest_switches_no_execute_and_system_calls() {
    let running = LME | LMA;
    for bits in [0, SCE, NXE, SCE | NXE] {
        let written = running | bits;
        assert_eq!(written_efer(running, written, PAGED), Some(written));
    }
}

#[test]
fn long_mode_is_switched_only_while_paging_is_off() {
    assert_eq!(written_efer(0, LME, 0), Some(LME));
    assert_eq!(written_efer(LME, 0, 0), Some(0));
    assert_eq!(written_efer(0, LME, PAGED), None);
    assert_eq!(written_efer(LME | LMA, 0, PAGED), None);
}

#[test]
fn whether_long_mode_is_active_is_not_the_guests_to_write() {
    assert_eq!(written_efer(LME, LME | LMA, 0), Some(LME));
    assert_eq!(written_efer(LME | LMA, LME, PAGED), Some(LME | LMA));
}

#[test]
fn other_bits_are_a_general_protection_exception() {
    for bit in [1, 9, 12, 13, 14, 15, 63] {
        assert_eq!(written_efer(0, 1 << bit, 0), None, "bit {bit}");
    }
}

#[test]
fn a_guest_is_told_of_what_is_carried_out_for_it() {
    // MOVBE, POPCNT; CLFLUSH; LZCNT.
    let first = visible_cpuid(1, ALL);
    assert_eq!(first.ecx & (1 << 22 | 1 << 23), 1 << 22 | 1 << 23);
    assert_ne!(first.edx & 1 << 19, 0);
    assert_ne!(visible_cpuid(0x8000_0001, ALL).ecx & 1 << 5, 0);
    // BMI1, ERMS, CLFLUSHOPT, CLWB, and nothing else of the leaf, nor another one below it.
    let extended = visible_cpuid(7, ALL);
    let ebx = 1 << 3 | 1 << 9 | 1 << 23 | 1 << 24;
    assert_eq!(extended, Cpuid { ebx, ..NOTHING });
    assert_eq!(visible_cpuid(7, NOTHING), NOTHING);
}
