//! Shifts and rotations.
//!
//! Called by `execute`. Invariant: the result has no more bits than the operand; a count of 0
//! changes nothing, also none of the flags.
//!
//! Specification: AMD APM volume 3, ROL, ROR, RCL, RCR, SHL, SHR, SAR.

use crate::flags::{self, CARRY, OVERFLOW, of_result, sign_extend, top_bit};
use crate::instruction::Shift;
use guest_access::AccessWidth;

/// `operand` shifted by `count`, and RFLAGS after it.
pub fn shift(
    shift: Shift,
    width: AccessWidth,
    operand: u64,
    count: u64,
    rflags: u64,
) -> (u64, u64) {
    let count_mask = match width {
        AccessWidth::Doubleword => 63,
        _ => 31,
    };
    let count = (count & count_mask) as u32;
    let operand = operand & width.mask();
    if count == 0 {
        return (operand, rflags);
    }
    let carry = rflags & CARRY;
    let (result, carry) = match shift {
        Shift::Left => shift_left(width, operand, count),
        Shift::Right => (
            operand.checked_shr(count).unwrap_or(0),
            operand >> (count - 1) & 1,
        ),
        Shift::RightSigned => {
            let operand = sign_extend(operand, width) as i64;
            (
                (operand >> count) as u64,
                (operand >> (count - 1)) as u64 & 1,
            )
        }
        Shift::RotateLeft => {
            let result = rotate_left(width, operand, count);
            (result, result & 1)
        }
        Shift::RotateRight => {
            let bits = top_bit(width) + 1;
            let result = rotate_left(width, operand, bits - count % bits);
            (result, result >> top_bit(width) & 1)
        }
        Shift::RotateLeftThroughCarry => (0..count).fold((operand, carry), |(value, carry), _| {
            (value << 1 | carry, value >> top_bit(width) & 1)
        }),
        Shift::RotateRightThroughCarry => (0..count).fold((operand, carry), |(value, carry), _| {
            let value = value & width.mask();
            (value >> 1 | carry << top_bit(width), value & 1)
        }),
    };
    let result = result & width.mask();
    let highest = |value: u64| value >> top_bit(width) & 1;
    // Defined for a count of 1; the CPUs that were looked at do the same for others.
    let overflow = match shift {
        Shift::Left | Shift::RotateLeft | Shift::RotateLeftThroughCarry => highest(result) ^ carry,
        Shift::RotateRight | Shift::RotateRightThroughCarry => {
            highest(result) ^ highest(result << 1)
        }
        Shift::Right => highest(operand),
        Shift::RightSigned => 0,
    };
    let rflags = flags::with(rflags, [(CARRY, carry), (OVERFLOW, overflow)]);
    match shift {
        Shift::Left | Shift::Right | Shift::RightSigned => {
            (result, flags::with(rflags, of_result(result, width)))
        }
        _ => (result, rflags),
    }
}

/// The operand shifted left, not cut to its width, and what went out last.
fn shift_left(width: AccessWidth, operand: u64, count: u32) -> (u64, u64) {
    let result = u128::from(operand) << count;
    (result as u64, (result >> (top_bit(width) + 1)) as u64 & 1)
}

fn rotate_left(width: AccessWidth, operand: u64, count: u32) -> u64 {
    let bits = top_bit(width) + 1;
    let count = count % bits;
    match count {
        0 => operand,
        _ => operand << count | operand >> (bits - count),
    }
}
