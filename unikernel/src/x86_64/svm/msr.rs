//! Model-specific registers: which of them a guest has, and what happens to the others.
//!
//! Called by `vcpu`. The invariant: a guest writes only registers that VMLOAD and VMRUN bring
//! back for whoever runs next, and EFER as x86-guest says; all else is for the VM's policy.
//!
//! AMD APM volume 2, 15.11 (permission map), appendix A (numbers).

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

/// SVME, which must be set while a guest runs and which it does not see.
pub const EFER_SVME: u64 = 1 << 12;
