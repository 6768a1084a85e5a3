//! The bytes of the instruction that exited.
//!
//! Called when an access of an x86 guest is not one that `cache` recalls.
//!
//! Invariant: at most fifteen bytes, on at most two pages, each translated by itself; what
//! cannot be had is missing from the end, never made up.
//!
//! Specification: AMD APM volume 3, 1.1 (an instruction has at most 15 bytes).

use crate::Paging;
use guest_access::GuestPhysAddr;

/// Bytes of the longest instruction.
const LONGEST: usize = 15;
const PAGE: u64 = 4096;

/// What lies at the guest's instruction pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// The bytes, the first one lowest; those that are not there are 0.
    bytes: u128,
    len: u8,
}

impl Code {
    /// The given bytes, of which more than fifteen are too many.
    pub fn new(bytes: &[u8]) -> Self {
        let mut all = [0; 16];
        let len = bytes.len().min(LONGEST);
        for (to, from) in all.iter_mut().zip(&bytes[..len]) {
            *to = *from;
        }
        Self {
            bytes: u128::from_le_bytes(all),
            len: len as u8,
        }
    }

    /// All of them, and how many there are.
    pub fn bytes(&self) -> ([u8; 16], usize) {
        (self.bytes.to_le_bytes(), usize::from(self.len))
    }
}

/// Fetches the code at the linear address `linear`. `read` is as for
/// [`Paging::translate`]. `None` if not even the first byte can be had.
#[inline(always)]
pub fn fetch(
    paging: &Paging,
    linear: u64,
    mut read: impl FnMut(GuestPhysAddr) -> Option<u64>,
) -> Option<Code> {
    let first = paging.translate(linear, &mut read)?.address.0;
    if first % PAGE <= PAGE - 24 {
        // Three aligned words hold fifteen bytes wherever they begin.
        let word = first & !7;
        let low = read(GuestPhysAddr(word))?;
        let middle = read(GuestPhysAddr(word + 8))?;
        let shift = first % 8 * 8;
        let mut bytes = (u128::from(middle) << 64 | u128::from(low)) >> shift;
        if shift > 8 {
            let high = read(GuestPhysAddr(word + 16))?;
            bytes |= u128::from(high) << (128 - shift);
        }
        return Some(Code {
            bytes: bytes & ((1 << (8 * LONGEST)) - 1),
            len: LONGEST as u8,
        });
    }
    near_the_end(paging, linear, first, &mut read)
}

/// Byte by byte, where the instruction may go on in the next page.
#[cold]
fn near_the_end(
    paging: &Paging,
    linear: u64,
    first: u64,
    read: &mut impl FnMut(GuestPhysAddr) -> Option<u64>,
) -> Option<Code> {
    let mut code = Code { bytes: 0, len: 0 };
    let mut address = first;
    while usize::from(code.len) < LONGEST {
        let at = linear.wrapping_add(u64::from(code.len));
        if code.len != 0 && at.is_multiple_of(PAGE) {
            match paging.translate(at, &mut *read) {
                Some(next) => address = next.address.0,
                None => break,
            }
        }
        let Some(word) = read(GuestPhysAddr(address & !7)) else {
            break;
        };
        let byte = word >> (address % 8 * 8) & 0xff;
        code.bytes |= u128::from(byte) << (8 * u32::from(code.len));
        code.len += 1;
        address = address.wrapping_add(1);
    }
    (code.len != 0).then_some(code)
}
