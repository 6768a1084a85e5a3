//! An adder: two numbers that the guest writes, and their sum.
//!
//! The device from which one learns how devices are written here (`docs/your-own-vdev.md` builds it
//! line by line).
//!
//! ```text
//!   offset   0x0   0x4   0x8
//!           ┌─────┬─────┬─────┐
//!           │  a  │  b  │ sum │   words of 32 bits; the sum can only be read, and wraps
//!           └─────┴─────┴─────┘
//! ```

use vdev_model::{Isolated, Kind, Options, Register};

const A: u64 = 0x0;
const B: u64 = 0x4;
const SUM: u64 = 0x8;

/// `vdev adder`.
pub enum Adder {}

impl Isolated for Adder {
    const KIND: Kind = Kind {
        len: 12,
        registers: &[
            Register::word("a", A).reads_back(),
            Register::word("b", B).reads_back(),
            Register::word("sum", SUM).read_only(),
        ],
        ..Kind::new("adder", "adds two numbers")
    };

    type Words = [u32; 3];

    fn new(_: &Options) -> [u32; 3] {
        [0; 3]
    }

    fn write(words: &mut [u32; 3], register: u64, value: u32) {
        words[if register == A { 0 } else { 1 }] = value;
        words[2] = words[0].wrapping_add(words[1]);
    }

    fn told(words: &[u32; 3], register: u64) -> u32 {
        match register {
            A => words[0],
            B => words[1],
            _ => words[2],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_follows_both_numbers_and_wraps() {
        let mut words = Adder::new(&Options::NONE);
        Adder::write(&mut words, A, u32::MAX);
        Adder::write(&mut words, B, 3);
        assert_eq!(
            [A, B, SUM].map(|register| Adder::told(&words, register)),
            [u32::MAX, 3, 2]
        );
    }
}
