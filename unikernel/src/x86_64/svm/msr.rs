//! Model-specific registers: which of them a guest has, and what happens to the others.
//!
//! Called by `vcpu`. The invariant: a guest writes only registers that VMLOAD and VMRUN bring
//! back for whoever runs next, and EFER within limits; all else is for the VM's policy.
//!
//! AMD APM volume 2, 15.11 (permission map), 3.1.7 (EFER), appendix A (numbers).

/// EFER.
pub const EFER: u32 = 0xc000_0080;
const TIME_STAMP_COUNTER: u32 = 0x10;

/// What VMLOAD, VMSAVE and, with nested paging, VMRUN switch: the guest's own.
const GUEST_OWNED: [u32; 11] = [
    0x174,       // SYSENTER_CS
    0x175,       // SYSENTER_ESP
    0x176,       // SYSENTER_EIP
    0x277,       // PAT
    0xc000_0081, // STAR
    0xc000_0082, // LSTAR
    0xc000_0083, // CSTAR
    0xc000_0084, // SFMASK
    0xc000_0100, // FSbase
    0xc000_0101, // GSbase
    0xc000_0102, // KernelGSbase
];

/// The permission map: two bits for each register, read then write, set to intercept.
#[repr(C, align(4096))]
pub struct PermissionMap([u8; 0x2000]);

/// The one map, for all VMs.
pub static PERMISSION_MAP: PermissionMap = {
    let mut map = [0xff; 0x2000];
    let mut index = 0;
    while index < GUEST_OWNED.len() {
        let (byte, shift) = place(GUEST_OWNED[index]);
        map[byte] &= !(0b11 << shift);
        index += 1;
    }
    // The guest reads the host's counter and cannot move it.
    let (byte, shift) = place(TIME_STAMP_COUNTER);
    map[byte] &= !(0b01 << shift);
    PermissionMap(map)
};

/// Byte and bit in the map.
const fn place(register: u32) -> (usize, u32) {
    let range = if register >= 0xc000_0000 { 0x800 } else { 0 };
    let index = (register & 0x1fff) as usize;
    (range + index / 4, register % 4 * 2)
}

/// System call extensions, long mode, no-execute: what a guest may switch.
const EFER_WRITABLE: u64 = EFER_SCE | EFER_LME | EFER_NXE;
const EFER_SCE: u64 = 1 << 0;
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;
const EFER_NXE: u64 = 1 << 11;
/// SVME, which must be set while a guest runs and which it does not see.
pub const EFER_SVME: u64 = 1 << 12;
const CR0_PG: u64 = 1 << 31;

/// EFER after a guest's write, or `None` if that is a general protection exception.
pub fn written_efer(efer: u64, written: u64, cr0: u64) -> Option<u64> {
    let changes_mode = (efer ^ written) & EFER_LME != 0;
    if written & !(EFER_WRITABLE | EFER_LMA) != 0 || changes_mode && cr0 & CR0_PG != 0 {
        return None;
    }
    // LMA is the CPU's to set.
    Some(written & EFER_WRITABLE | efer & EFER_LMA | EFER_SVME)
}
