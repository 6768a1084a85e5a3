//! The status flags: their bits, sums and differences with their carries, and conditions.
//!
//! Used by `execute` and `shift`. Invariant: what the manual leaves undefined is here as it was.
//!
//! Specification: AMD APM volume 1, 3.1.4 (flags); volume 3, 1.2.4 and appendix A (conditions).

use crate::instruction::Condition;
use guest_access::AccessWidth;

/// CF in RFLAGS.
pub const CARRY: u64 = 1 << 0;
/// PF.
pub const PARITY: u64 = 1 << 2;
/// AF.
pub const AUXILIARY: u64 = 1 << 4;
/// ZF.
pub const ZERO: u64 = 1 << 6;
/// SF.
pub const SIGN: u64 = 1 << 7;
/// OF.
pub const OVERFLOW: u64 = 1 << 11;
/// All of them.
pub const STATUS: u64 = CARRY | PARITY | AUXILIARY | ZERO | SIGN | OVERFLOW;

/// `rflags` with these flags as given; each is 0 or 1.
pub fn with<const N: usize>(rflags: u64, flags: [(u64, u64); N]) -> u64 {
    let all = flags.iter().map(|(flag, _)| flag).sum::<u64>();
    let set = flags.iter().map(|(flag, set)| flag * set).sum::<u64>();
    rflags & !all | set
}

/// SF, ZF and PF of a result.
pub fn of_result(result: u64, width: AccessWidth) -> [(u64, u64); 3] {
    [
        (SIGN, result >> top_bit(width) & 1),
        (ZERO, u64::from(result & width.mask() == 0)),
        (
            PARITY,
            u64::from((result as u8).count_ones().is_multiple_of(2)),
        ),
    ]
}

/// The number of the highest bit.
pub const fn top_bit(width: AccessWidth) -> u32 {
    8 * width.bytes() as u32 - 1
}

/// All bits of a value whose sign is the width's highest bit.
pub const fn sign_extend(value: u64, width: AccessWidth) -> u64 {
    let unused = 64 - 8 * width.bytes() as u32;
    ((value << unused) as i64 >> unused) as u64
}

/// The sum, and for each bit whether there was a carry out of it.
pub fn add(first: u64, second: u64, carry: u64) -> (u64, u64) {
    let sum = first.wrapping_add(second).wrapping_add(carry);
    (sum, first & second | (first | second) & !sum)
}

/// The difference, and for each bit whether it had to borrow.
pub fn subtract(first: u64, second: u64, borrow: u64) -> (u64, u64) {
    let difference = first.wrapping_sub(second).wrapping_sub(borrow);
    (difference, !first & second | (!first | second) & difference)
}

/// The status flags of a result with these carries.
pub fn status(result: u64, carries: u64, width: AccessWidth) -> u64 {
    let top = top_bit(width);
    let bit = |value: u64, index: u32| value >> index & 1;
    let carry = bit(carries, top);
    let overflow = carry ^ bit(carries, top - 1);
    let flags = [
        (CARRY, carry),
        (AUXILIARY, bit(carries, 3)),
        (OVERFLOW, overflow),
    ];
    with(with(0, flags), of_result(result, width))
}

/// Whether a condition holds.
pub fn holds(condition: Condition, rflags: u64) -> bool {
    let is = |flag: u64| rflags & flag != 0;
    let number = condition.number();
    let holds = match number >> 1 {
        0 => is(OVERFLOW),
        1 => is(CARRY),
        2 => is(ZERO),
        3 => is(CARRY) || is(ZERO),
        4 => is(SIGN),
        5 => is(PARITY),
        6 => is(SIGN) != is(OVERFLOW),
        _ => is(ZERO) || is(SIGN) != is(OVERFLOW),
    };
    holds != (number & 1 != 0)
}
