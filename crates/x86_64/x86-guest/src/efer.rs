//! What a guest makes of EFER, the one model-specific register that changes what its code means.
//!
//! Called by the platform when WRMSR of EFER leaves the guest.
//!
//! Invariant: a guest changes only bits that are its own, and never the mode that it is in.
//!
//! Specification: AMD APM volume 2, 3.1.7; Intel SDM volume 4, IA32_EFER, and volume 3, 10.8.5
//! (switching long mode on).

/// System call extensions, long mode, no-execute: what a guest may switch.
const WRITABLE: u64 = SCE | LME | NXE;
const SCE: u64 = 1 << 0;
const LME: u64 = 1 << 8;
const LMA: u64 = 1 << 10;
const NXE: u64 = 1 << 11;
const CR0_PG: u64 = 1 << 31;

/// EFER after a guest with this CR0 has written `written` over `efer`, or `None` if that is #GP.
/// Both are as the guest sees them.
pub const fn written_efer(efer: u64, written: u64, cr0: u64) -> Option<u64> {
    let changes_mode = (efer ^ written) & LME != 0;
    if written & !(WRITABLE | LMA) != 0 || changes_mode && cr0 & CR0_PG != 0 {
        return None;
    }
    // LMA is the CPU's to set.
    Some(written & WRITABLE | efer & LMA)
}
