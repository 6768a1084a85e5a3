//! A FIFO: numbers that the guest writes, and reads again in their order.
//!
//! Reading `data` takes a number away, so the read itself changes the device: `data` is *asked*, and the
//! guest waits until the device's domain has answered. `level` only looks, and follows like most registers.
//!
//! ```text
//!   offset   0x0    0x4     0x8
//!           ┌──────┬───────┬─────────┐
//!           │ data │ level │ control │   words of 32 bits
//!           └──────┴───────┴─────────┘
//!   data     a write appends a number, a read takes the oldest away
//!            full: what is written is lost; empty: a read gives 0 and takes nothing away
//!   level    how many numbers there are, 0 to 8; can only be read
//!   control  bit 0, CLEAR: a write of 1 takes all away; can only be written
//! ```

use vdev_model::{Field, Isolated, Kind, Options, Register};

const DATA: u64 = 0x0;
const LEVEL: u64 = 0x4;
const CONTROL: u64 = 0x8;

const CLEAR: u32 = 1 << 0;
const DEPTH: usize = 8;

/// `vdev fifo-tester`.
pub enum FifoTester {}

impl Isolated for FifoTester {
    const KIND: Kind = Kind {
        len: 12,
        registers: &[
            Register::word("data", DATA).asked(),
            Register::word("level", LEVEL).read_only(),
            Register::word("control", CONTROL)
                .write_only()
                .fields(&[Field::bit("CLEAR", 0)]),
        ],
        ..Kind::new("fifo-tester", "eight numbers, first in, first out")
    };

    /// The level, and the numbers, the oldest first.
    type Words = [u32; 1 + DEPTH];

    fn new(_: &Options) -> Self::Words {
        [0; 1 + DEPTH]
    }

    fn write(words: &mut Self::Words, register: u64, value: u32) {
        let level = level(words);
        match register {
            DATA if level < DEPTH => {
                words[1 + level] = value;
                words[0] = level as u32 + 1;
            }
            CONTROL if value & CLEAR != 0 => words[0] = 0,
            _ => {}
        }
    }

    fn told(words: &Self::Words, register: u64) -> u32 {
        match register {
            DATA if level(words) > 0 => words[1],
            LEVEL => level(words) as u32,
            _ => 0,
        }
    }

    fn asked(words: &mut Self::Words, register: u64) -> u32 {
        let told = Self::told(words, register);
        let level = level(words);
        if register == DATA && level > 0 {
            words.copy_within(2.., 1);
            words[0] = level as u32 - 1;
        }
        told
    }
}

/// Words that no FIFO ever had may claim more than there is room for.
fn level(words: &[u32; 1 + DEPTH]) -> usize {
    (words[0] as usize).min(DEPTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fifo_of(numbers: impl Iterator<Item = u32>) -> [u32; 9] {
        let mut words = FifoTester::new(&Options::NONE);
        numbers.for_each(|number| FifoTester::write(&mut words, 0x0, number));
        words
    }

    #[test]
    fn what_is_written_first_is_read_first_and_once() {
        let mut words = fifo_of([7, u32::MAX].into_iter());
        assert_eq!(FifoTester::told(&words, 0x4), 2);
        assert_eq!(FifoTester::asked(&mut words, 0x0), 7);
        FifoTester::write(&mut words, 0x0, 9);
        assert_eq!(FifoTester::asked(&mut words, 0x0), u32::MAX);
        assert_eq!(FifoTester::asked(&mut words, 0x0), 9);
        assert_eq!(FifoTester::told(&words, 0x4), 0);
    }

    #[test]
    fn the_ninth_number_is_lost() {
        let mut words = fifo_of(1..=9);
        assert_eq!(FifoTester::told(&words, 0x4), 8);
        for number in 1..=8 {
            assert_eq!(FifoTester::asked(&mut words, 0x0), number);
        }
        assert_eq!(FifoTester::told(&words, 0x4), 0);
    }

    #[test]
    fn an_empty_one_gives_0_and_stays_empty() {
        let mut words = fifo_of(1..=1);
        FifoTester::asked(&mut words, 0x0);
        assert_eq!(FifoTester::asked(&mut words, 0x0), 0);
        assert_eq!(FifoTester::told(&words, 0x4), 0);
    }

    #[test]
    fn only_bit_0_of_control_takes_all_away() {
        let mut words = fifo_of(1..=3);
        FifoTester::write(&mut words, 0x8, !1);
        assert_eq!(FifoTester::told(&words, 0x4), 3);
        FifoTester::write(&mut words, 0x8, 1);
        assert_eq!(FifoTester::told(&words, 0x4), 0);
        assert_eq!(FifoTester::asked(&mut words, 0x0), 0);
    }
}
