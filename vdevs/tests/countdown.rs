//! A countdown: seconds of a period, again and again.
//!
//! ```text
//!   0x0  control  bit 0, RUN: it counts
//!   0x4  left     RO  seconds until the period ends
//!   0x8  ended    RO  how many have ended since the last read; asked, because reading clears it
//! ```

use vdev_model::{Field, Isolated, Kind, OptionKind, OptionType, Options, Register};

const CONTROL: u64 = 0x0;
const LEFT: u64 = 0x4;
const ENDED: u64 = 0x8;

const RUN: u32 = 1 << 0;

/// Places among the options.
const PERIOD_OPTION: usize = 0;
const FIRST_OPTION: usize = 1;

/// If the option is not given.
const USUAL_PERIOD: u64 = 60;

/// `vdev countdown`.
pub enum Countdown {}

impl Isolated for Countdown {
    const KIND: Kind = Kind {
        len: 12,
        registers: &[
            Register::word("control", CONTROL).fields(&[Field::bit("RUN", 0)]),
            Register::word("left", LEFT).read_only(),
            Register::word("ended", ENDED).read_only().asked(),
        ],
        options: &[
            OptionKind {
                name: "period",
                is: OptionType::Number {
                    least: 1,
                    most: 3600,
                },
                example: "period 60",
            },
            OptionKind {
                name: "first",
                is: OptionType::Number {
                    least: 1,
                    most: 3600,
                },
                example: "first 10",
            },
        ],
        ..Kind::new("countdown", "counts a period down, again and again")
    };

    /// `control`, `left`, `ended`; and the period, as `seconds` is not given the options.
    type Words = [u32; 4];

    fn new(options: &Options) -> [u32; 4] {
        let period = options.get(PERIOD_OPTION).unwrap_or(USUAL_PERIOD);
        let first = options.get(FIRST_OPTION).unwrap_or(period);
        [0, first as u32, 0, period as u32]
    }

    fn write(words: &mut [u32; 4], register: u64, value: u32) {
        if register == CONTROL {
            words[0] = value & RUN;
        }
    }

    fn told(words: &[u32; 4], register: u64) -> u32 {
        match register {
            CONTROL => words[0],
            LEFT => words[1],
            _ => words[2],
        }
    }

    fn asked(words: &mut [u32; 4], register: u64) -> u32 {
        let told = Self::told(words, register);
        if register == ENDED {
            words[2] = 0;
        }
        told
    }

    fn seconds(words: &mut [u32; 4], seconds: u64) {
        let [control, left, ended, period] = words;
        // Words that no countdown ever had may have a period of 0.
        let period = u64::from(*period).max(1);
        match seconds.checked_sub((*left).into()) {
            _ if *control & RUN == 0 => {}
            None => *left -= seconds as u32,
            Some(beyond) => {
                *ended = ended.wrapping_add((beyond / period) as u32).wrapping_add(1);
                *left = (period - beyond % period) as u32;
            }
        }
    }

    /// What has ended stays known.
    fn reset(words: &mut [u32; 4], options: &Options) {
        let ended = words[2];
        *words = Self::new(options);
        words[2] = ended;
    }

    fn check(options: &Options) -> Result<(), &'static str> {
        let period = options.get(PERIOD_OPTION).unwrap_or(USUAL_PERIOD);
        match options.get(FIRST_OPTION) {
            Some(first) if first > period => Err("`first` is longer than `period`"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_end_and_are_told_once() {
        let options = Options([Some(10), Some(3), None, None]);
        let mut words = Countdown::new(&options);
        Countdown::seconds(&mut words, 5);
        assert_eq!(Countdown::told(&words, LEFT), 3, "it does not run");
        Countdown::write(&mut words, CONTROL, RUN);
        Countdown::seconds(&mut words, 2);
        assert_eq!(Countdown::told(&words, LEFT), 1);
        Countdown::seconds(&mut words, 12);
        assert_eq!(Countdown::told(&words, LEFT), 9);
        assert_eq!(Countdown::asked(&mut words, ENDED), 2);
        assert_eq!(Countdown::asked(&mut words, ENDED), 0);
    }

    #[test]
    fn a_first_period_that_is_longer_is_refused() {
        assert!(Countdown::check(&Options([Some(3), Some(3), None, None])).is_ok());
        assert!(Countdown::check(&Options([Some(3), Some(4), None, None])).is_err());
        assert!(Countdown::check(&Options([None, Some(61), None, None])).is_err());
    }
}
