//! The PC's clock and its memory that a battery keeps: an MC146818, of 64 bytes, behind two ports.
//!
//! ```text
//!   0x70  INDEX  which byte DATA is; bit 7, NMI off, has no effect here. Reads as 0xff
//!   0x71  DATA   the byte: asked, because reading register C clears it
//!
//!   0x00 seconds   0x01 seconds alarm   0x06 day of the week, 1 is Sunday
//!   0x02 minutes   0x03 minutes alarm   0x07 day   0x08 month   0x09 year   0x32 century
//!   0x04 hours     0x05 hours alarm     0x0e to 0x3f memory, but for the century
//!
//!                7      6     5     4     3      2     1      0
//!           ┌──────┬──────────────────┬────────────────────────┐
//!   0x0a  A │ UIP  │  DV2  DV1  DV0   │  RS3   RS2   RS1   RS0 │  UIP can only be read
//!           ├──────┼──────┬─────┬─────┼──────┬─────┬──────┬────┤
//!   0x0b  B │ SET  │ PIE  │ AIE │ UIE │ SQWE │ DM  │24/12 │DSE │  DM: binary, not BCD; 24/12: 24 hours
//!           ├──────┼──────┼─────┼─────┼──────┴─────┴──────┴────┤
//!   0x0c  C │ IRQF │ PF   │ AF  │ UF  │           0            │  a read clears it; IRQF is the line
//!           ├──────┼──────┴─────┴─────┴────────────────────────┤
//!   0x0d  D │ VRT  │                    0                      │  the battery is good
//!           └──────┴───────────────────────────────────────────┘
//! ```
//!
//! It is told of whole seconds alone, and only when they have passed. So
//!
//! - UIP is always 0: an update takes no time that a guest could see, and is not announced. One that
//!   comes between two reads shows in the seconds: a driver reads them again at the end.
//! - PF is set once a second whatever rate RS asks for, if it asks for any: a periodic interrupt comes,
//!   but not as often as on hardware.
//! - The first second after the dividers' reset ends when it would have ended without it.
//! - There is no square wave, and DSE does not change to daylight saving time.
//!
//! Beyond the manual of 1984, as on PCs of today: when the VM begins, A is 0x26 and B 0x02; the year and the
//! century count together, so 2100 is no leap year; an index has 7 bits, and what it names beyond byte
//! 0x3f reads as 0. A reset of the VM does what the RESET pin does: interrupts are off, none is pending, and the
//! time goes on.
//!
//! Specification: Motorola MC146818 datasheet (1984), "Programming model"; the century is the byte that
//! ACPI (6.5, 5.2.9) calls CENTURY.

use vdev_model::{
    AddressSpace, Field, Interrupt, Isolated, Kind, OptionKind, OptionType, Options, Otherwise,
    Register,
};

const INDEX: u64 = 0;
const DATA: u64 = 1;

/// Bytes by their index.
mod at {
    pub const SECONDS: usize = 0x00;
    pub const SECONDS_ALARM: usize = 0x01;
    pub const MINUTES: usize = 0x02;
    pub const MINUTES_ALARM: usize = 0x03;
    pub const HOURS: usize = 0x04;
    pub const HOURS_ALARM: usize = 0x05;
    pub const WEEKDAY: usize = 0x06;
    pub const DAY: usize = 0x07;
    pub const MONTH: usize = 0x08;
    pub const YEAR: usize = 0x09;
    pub const A: usize = 0x0a;
    pub const B: usize = 0x0b;
    pub const C: usize = 0x0c;
    pub const D: usize = 0x0d;
    pub const CENTURY: usize = 0x32;
}

/// Register A: what the dividers make seconds of, and the rate of the periodic interrupt.
mod a {
    pub const UIP: u8 = 1 << 7;
    pub const DV: u8 = 7 << 4;
    /// The slowest of the three time bases; beyond it the dividers are tested or held.
    pub const DV_32768_HZ: u8 = 2 << 4;
    pub const RS: u8 = 0xf;
    /// That time base, and 1024 Hz.
    pub const BEGIN: u8 = DV_32768_HZ | 6;
}

/// Register B.
mod b {
    pub const SET: u8 = 1 << 7;
    pub const PIE: u8 = 1 << 6;
    pub const AIE: u8 = 1 << 5;
    pub const UIE: u8 = 1 << 4;
    pub const SQWE: u8 = 1 << 3;
    pub const DM: u8 = 1 << 2;
    pub const HOURS_24: u8 = 1 << 1;
}

/// Register C; flags are where register B lets them through.
mod c {
    pub const IRQF: u8 = 1 << 7;
    pub const PF: u8 = super::b::PIE;
    pub const AF: u8 = super::b::AIE;
    pub const UF: u8 = super::b::UIE;
}

/// Register D: valid RAM and time.
const VRT: u8 = 1 << 7;

/// The seconds' highest bit can only be read.
const SECONDS_BITS: u8 = 0x7f;
/// In hours of 1 to 12.
const PM: u8 = 1 << 7;
/// From here on an alarm's byte means any.
const ANY: u8 = 0xc0;

/// The place of `time` among the options.
const TIME_OPTION: usize = 0;

/// The 64 bytes in their order, four a word, and the index.
type Words = [u32; 17];
const BYTES: usize = 64;
const INDEX_WORD: usize = 16;
const INDEX_BITS: u32 = 0x7f;

/// `vdev mc146818`.
pub enum Mc146818 {}

impl Isolated for Mc146818 {
    const KIND: Kind = Kind {
        spaces: &[AddressSpace::Ports],
        len: 2,
        align: 2,
        example: "loc io:0x70",
        registers: &[
            Register::byte("INDEX", INDEX)
                .fields(&[Field::bits("index", 0, 7), Field::bit("NMI", 7)]),
            Register::byte("DATA", DATA).asked(),
        ],
        otherwise: Otherwise::Refused,
        options: &[
            OptionKind::TIME,
            OptionKind {
                name: "intr",
                is: OptionType::Interrupt { most: 15 },
                example: "intr 8",
            },
        ],
        interrupt: Some(Interrupt {
            word: at::C / 4,
            mask: (c::IRQF as u32) << (8 * (at::C % 4)),
        }),
        ..Kind::new("mc146818", "the PC's clock")
    };

    type Words = Words;

    /// Without the option `time` it begins in 1970.
    fn new(options: &Options) -> Words {
        let mut words = [0; 17];
        set(&mut words, at::A, a::BEGIN);
        set(&mut words, at::B, b::HOURS_24);
        set(&mut words, at::D, VRT);
        let since_1970 = options.get(TIME_OPTION).unwrap_or(0) % calendar::SECONDS;
        let seconds = (calendar::DAYS_UNTIL_1970 * calendar::DAY + since_1970) % calendar::SECONDS;
        set(&mut words, at::WEEKDAY, calendar::weekday(seconds));
        set_time(&mut words, seconds);
        words
    }

    fn write(words: &mut Words, register: u64, value: u32) {
        if register == INDEX {
            words[INDEX_WORD] = value & INDEX_BITS;
            return;
        }
        let index = index(words);
        let value = value as u8;
        match index {
            at::C | at::D => {}
            at::SECONDS => set(words, index, value & SECONDS_BITS),
            at::A => set(words, index, value & !a::UIP),
            at::B if value & b::SET != 0 => set(words, index, value & !b::UIE),
            _ => set(words, index, value),
        }
        drive_the_line(words);
    }

    fn told(words: &Words, register: u64) -> u32 {
        if register == INDEX {
            0xff
        } else {
            get(words, index(words)).into()
        }
    }

    fn asked(words: &mut Words, register: u64) -> u32 {
        let told = Self::told(words, register);
        if register == DATA && index(words) == at::C {
            set(words, at::C, 0);
        }
        told
    }

    fn seconds(words: &mut Words, seconds: u64) {
        let [a, b] = [at::A, at::B].map(|at| get(words, at));
        if seconds == 0 || a & a::DV > a::DV_32768_HZ {
            return;
        }
        let mut flags = 0;
        if a & a::RS != 0 {
            flags |= c::PF;
        }
        if b & b::SET == 0 {
            flags |= c::UF;
            let before = time(words);
            if seconds_until_alarm(words, before).is_some_and(|until| until <= seconds) {
                flags |= c::AF;
            }
            advance(words, before, seconds % calendar::SECONDS);
        }
        set(words, at::C, get(words, at::C) | flags);
        drive_the_line(words);
    }

    fn reset(words: &mut Words, _: &Options) {
        let kept = get(words, at::B) & !(b::PIE | b::AIE | b::UIE | b::SQWE);
        set(words, at::B, kept);
        set(words, at::C, 0);
    }

    fn check(options: &Options) -> Result<(), &'static str> {
        let end = calendar::SECONDS - calendar::DAYS_UNTIL_1970 * calendar::DAY;
        match options.get(TIME_OPTION) {
            Some(time) if time >= end => Err("an mc146818 counts until the year 9999"),
            _ => Ok(()),
        }
    }
}

fn index(words: &Words) -> usize {
    words[INDEX_WORD] as usize
}

/// The byte at this index; 0 where there is none.
fn get(words: &Words, at: usize) -> u8 {
    if at < BYTES {
        words[at / 4].to_le_bytes()[at % 4]
    } else {
        0
    }
}

/// Sets it, if there is one.
fn set(words: &mut Words, at: usize, value: u8) {
    if at < BYTES {
        let mut bytes = words[at / 4].to_le_bytes();
        bytes[at % 4] = value;
        words[at / 4] = u32::from_le_bytes(bytes);
    }
}

/// IRQF follows the flags that are let through.
fn drive_the_line(words: &mut Words) {
    let [b, c] = [at::B, at::C].map(|at| get(words, at));
    let flags = c & (c::PF | c::AF | c::UF);
    let irqf = if flags & b != 0 { c::IRQF } else { 0 };
    set(words, at::C, flags | irqf);
}

/// A byte of the time as a number: binary, or two decimal digits.
fn decoded(words: &Words, at: usize, bits: u8) -> u64 {
    let byte = get(words, at) & bits;
    if get(words, at::B) & b::DM != 0 {
        byte.into()
    } else {
        u64::from(byte >> 4) * 10 + u64::from(byte & 0xf)
    }
}

/// A number below 100 as a byte of the time.
fn encoded(words: &Words, number: u64) -> u8 {
    let number = number as u8;
    if get(words, at::B) & b::DM != 0 {
        number
    } else {
        let (tens, ones) = (number / 10 % 10, number % 10);
        tens << 4 | ones
    }
}

/// An hour of 0 to 23 as a byte of the time.
fn encoded_hour(words: &Words, hour: u64) -> u8 {
    if get(words, at::B) & b::HOURS_24 != 0 {
        return encoded(words, hour);
    }
    let half = if hour < 12 { 0 } else { PM };
    encoded(words, (hour + 11) % 12 + 1) | half
}

/// The time that the bytes hold, in seconds since the year 0. What is in none of its ranges carries over.
fn time(words: &Words) -> u64 {
    let hour = if get(words, at::B) & b::HOURS_24 != 0 {
        decoded(words, at::HOURS, !0)
    } else {
        let half = if get(words, at::HOURS) & PM == 0 {
            0
        } else {
            12
        };
        decoded(words, at::HOURS, !PM) % 12 + half
    };
    let year = decoded(words, at::CENTURY, !0) * 100 + decoded(words, at::YEAR, !0);
    let [month, day] = [at::MONTH, at::DAY].map(|at| decoded(words, at, !0));
    let days = calendar::days(year, month.clamp(1, 12)) + day.saturating_sub(1);
    let minute = decoded(words, at::MINUTES, !0);
    let second = decoded(words, at::SECONDS, !0);
    (days * calendar::DAY + hour * 3600 + minute * 60 + second) % calendar::SECONDS
}

/// Makes the bytes hold a time; the day of the week is not touched.
fn set_time(words: &mut Words, seconds: u64) {
    let (year, month, day) = calendar::date(seconds / calendar::DAY);
    let [hour, minute, second] = calendar::clock(seconds);
    for (at, number) in [
        (at::SECONDS, second),
        (at::MINUTES, minute),
        (at::DAY, day),
        (at::MONTH, month),
        (at::YEAR, year % 100),
        (at::CENTURY, year / 100),
    ] {
        let byte = encoded(words, number);
        set(words, at, byte);
    }
    let byte = encoded_hour(words, hour);
    set(words, at::HOURS, byte);
}

/// The day of the week counts the midnights that pass, whatever day it was set to.
fn advance(words: &mut Words, before: u64, seconds: u64) {
    let after = before + seconds;
    let midnights = after / calendar::DAY - before / calendar::DAY;
    let weekday = u64::from(get(words, at::WEEKDAY)).max(1);
    let weekday = (weekday - 1 + midnights) % 7 + 1;
    set(words, at::WEEKDAY, weekday as u8);
    set_time(words, after % calendar::SECONDS);
}

/// How long until the clock next shows what the alarm's bytes ask for, if it ever does.
fn seconds_until_alarm(words: &Words, now: u64) -> Option<u64> {
    let asks_for = |at, byte| {
        let alarm = get(words, at);
        alarm >= ANY || alarm == byte
    };
    let mut until = 1;
    while until <= calendar::DAY {
        let then = now + until;
        let [hour, minute, second] = calendar::clock(then);
        // What cannot be is passed over at once.
        until += if !asks_for(at::HOURS_ALARM, encoded_hour(words, hour)) {
            3600 - then % 3600
        } else if !asks_for(at::MINUTES_ALARM, encoded(words, minute)) {
            60 - then % 60
        } else if !asks_for(at::SECONDS_ALARM, encoded(words, second)) {
            1
        } else {
            return Some(until);
        };
    }
    None
}

/// The Gregorian calendar from the year 0 to the year 9999, after which it begins again.
mod calendar {
    /// Seconds of a day.
    pub const DAY: u64 = 24 * 60 * 60;
    /// Seconds of all the years.
    pub const SECONDS: u64 = days_before(YEARS) * DAY;
    /// Days from 0000-01-01 to 1970-01-01.
    pub const DAYS_UNTIL_1970: u64 = days_before(1970);

    const YEARS: u64 = 10_000;
    /// What day of the week 0000-01-01 is: a Saturday, Sunday being 0.
    const FIRST_WEEKDAY: u64 = 6;

    /// Days before a year: every fourth is a leap year, but of those that end a century only every fourth.
    const fn days_before(year: u64) -> u64 {
        year * 365 + year.div_ceil(4) - year.div_ceil(100) + year.div_ceil(400)
    }

    /// How long a month is, 1 to 12.
    fn days_of(year: u64, month: u64) -> u64 {
        match month {
            2 => 28 + days_before(year + 1) - days_before(year) - 365,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    /// Days from 0000-01-01 to the first of a month.
    pub fn days(year: u64, month: u64) -> u64 {
        let months: u64 = (1..month).map(|month| days_of(year, month)).sum();
        days_before(year) + months
    }

    /// The year, month and day, so many days after 0000-01-01.
    pub fn date(days: u64) -> (u64, u64, u64) {
        // Of years of the mean length; the true one may be the next.
        let mut year = days * YEARS / days_before(YEARS);
        if days_before(year + 1) <= days {
            year += 1;
        }
        if days_before(year) > days {
            year -= 1;
        }
        let mut day = days - days_before(year);
        let mut month = 1;
        while month < 12 && day >= days_of(year, month) {
            day -= days_of(year, month);
            month += 1;
        }
        (year, month, day + 1)
    }

    /// The day of the week, 1 to 7, Sunday being 1.
    pub fn weekday(seconds: u64) -> u8 {
        ((seconds / DAY + FIRST_WEEKDAY) % 7) as u8 + 1
    }

    /// The hour, minute and second.
    pub fn clock(seconds: u64) -> [u64; 3] {
        [seconds / 3600 % 24, seconds / 60 % 60, seconds % 60]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-01T00:00:00Z, a Thursday.
    const NOW: u64 = 1_767_225_600;

    fn clock_at(time: u64) -> Words {
        Mc146818::new(&Options([Some(time), None, None, None]))
    }

    fn read(words: &mut Words, index: u32) -> u32 {
        Mc146818::write(words, 0, index);
        Mc146818::asked(words, 1)
    }

    fn write(words: &mut Words, index: u32, value: u32) {
        Mc146818::write(words, 0, index);
        Mc146818::write(words, 1, value);
    }

    /// Century, year, month, day, hours, minutes, seconds; day of the week.
    fn shown(words: &mut Words) -> ([u32; 7], u32) {
        let bytes = [0x32, 9, 8, 7, 4, 2, 0].map(|index| read(words, index));
        (bytes, read(words, 6))
    }

    fn set_to(words: &mut Words, bytes: [u32; 7]) {
        for (index, byte) in [0x32, 9, 8, 7, 4, 2, 0].into_iter().zip(bytes) {
            write(words, index, byte);
        }
    }

    fn is_interrupting(words: &Words) -> bool {
        let line = Mc146818::KIND.interrupt.unwrap();
        words[line.word] & line.mask != 0
    }

    #[test]
    fn it_begins_in_bcd_with_24_hours_and_no_interrupt() {
        let mut words = clock_at(NOW + 45_296);
        let time = [0x20, 0x26, 0x01, 0x01, 0x12, 0x34, 0x56];
        assert_eq!(shown(&mut words), (time, 5));
        let registers = [0xa, 0xb, 0xc, 0xd].map(|index| read(&mut words, index));
        assert_eq!(registers, [0x26, 0x02, 0x00, 0x80]);
        let mut words = Mc146818::new(&Options::NONE);
        assert_eq!(
            shown(&mut words),
            ([0x19, 0x70, 0x01, 0x01, 0, 0, 0], 5),
            "a Thursday"
        );
    }

    #[test]
    fn months_and_years_end_where_the_calendar_has_it() {
        for (time, century, year, month, day, weekday) in [
            (951_782_400, 0x20, 0x00, 0x02, 0x29, 3), // 2000-02-29, a Tuesday
            (951_868_800, 0x20, 0x00, 0x03, 0x01, 4),
            (1_709_164_800, 0x20, 0x24, 0x02, 0x29, 5), // 2024-02-29, a Thursday
            (1_772_323_200, 0x20, 0x26, 0x03, 0x01, 1), // 2026-03-01, a Sunday
            (946_684_800, 0x20, 0x00, 0x01, 0x01, 7),   // 2000-01-01, a Saturday
            (4_107_456_000, 0x21, 0x00, 0x02, 0x28, 1), // 2100-02-28, a Sunday
            (4_107_542_400, 0x21, 0x00, 0x03, 0x01, 2),
            (253_402_214_400, 0x99, 0x99, 0x12, 0x31, 6), // 9999-12-31, a Friday
        ] {
            let date = ([century, year, month, day, 0, 0, 0], weekday);
            assert_eq!(shown(&mut clock_at(time)), date);
            let mut words = clock_at(time - 1);
            assert_eq!(read(&mut words, 0x4), 0x23);
            Mc146818::seconds(&mut words, 1);
            assert_eq!(shown(&mut words), date, "reached");
        }
    }

    #[test]
    fn every_day_of_the_calendar_has_its_date() {
        let mut days = 0;
        for year in 0..10_000 {
            let is_leap_year = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let february = if is_leap_year { 29 } else { 28 };
            let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            for (month, len) in (1..).zip(months) {
                assert_eq!(calendar::days(year, month), days);
                assert_eq!(calendar::date(days), (year, month, 1));
                days += len;
                assert_eq!(calendar::date(days - 1), (year, month, len));
            }
        }
        assert_eq!(days * 24 * 60 * 60, calendar::SECONDS);
    }

    #[test]
    fn the_last_century_of_the_calendar_is_followed_by_the_first() {
        let mut words = clock_at(253_402_300_799);
        Mc146818::seconds(&mut words, 1);
        assert_eq!(shown(&mut words), ([0, 0, 1, 1, 0, 0, 0], 7));
    }

    #[test]
    fn many_seconds_at_once_are_as_many_one_by_one() {
        for mode in [0x00, 0x02, 0x04, 0x06] {
            let mut words = clock_at(NOW);
            write(&mut words, 0xb, mode);
            set_to(&mut words, [0; 7]);
            write(&mut words, 0x4, if mode & 2 == 0 { 0x91 } else { 0x13 });
            let mut at_once = words;
            Mc146818::seconds(&mut at_once, 100_000);
            (0..100_000).for_each(|_| Mc146818::seconds(&mut words, 1));
            assert_eq!(words, at_once, "{mode:#x}");
        }
    }

    #[test]
    fn hours_of_two_halves_begin_with_12() {
        for (mode, noon, midnight, eleven) in [
            (0x00, 0x92, 0x12, 0x91),
            (0x04, 0x8c, 0x0c, 0x8b),
            (0x02, 0x12, 0x00, 0x23),
            (0x06, 0x0c, 0x00, 0x17),
        ] {
            let mut words = clock_at(NOW);
            write(&mut words, 0xb, mode);
            write(&mut words, 0x4, noon);
            Mc146818::seconds(&mut words, 11 * 3600);
            assert_eq!(read(&mut words, 0x4), eleven, "{mode:#x}");
            Mc146818::seconds(&mut words, 3600);
            assert_eq!(read(&mut words, 0x4), midnight, "{mode:#x}");
            Mc146818::seconds(&mut words, 12 * 3600);
            assert_eq!(read(&mut words, 0x4), noon, "{mode:#x}");
        }
    }

    #[test]
    fn a_time_may_be_set_in_binary_while_set_holds_the_clock() {
        let mut words = clock_at(NOW);
        write(&mut words, 0xb, 0x86);
        set_to(&mut words, [19, 99, 12, 31, 23, 59, 58]);
        write(&mut words, 0x6, 6);
        Mc146818::seconds(&mut words, 10);
        assert_eq!(shown(&mut words), ([19, 99, 12, 31, 23, 59, 58], 6));
        assert_eq!(read(&mut words, 0xc) & 0x10, 0, "nothing was updated");
        write(&mut words, 0xb, 0x06);
        Mc146818::seconds(&mut words, 2);
        assert_eq!(shown(&mut words), ([20, 0, 1, 1, 0, 0, 0], 7));
    }

    #[test]
    fn dividers_that_are_held_hold_the_clock() {
        let mut words = clock_at(NOW);
        write(&mut words, 0xa, 0x76);
        Mc146818::seconds(&mut words, 10);
        assert_eq!((read(&mut words, 0x0), read(&mut words, 0xc)), (0, 0));
        write(&mut words, 0xa, 0x26);
        Mc146818::seconds(&mut words, 10);
        assert_eq!(read(&mut words, 0x0), 0x10);
    }

    #[test]
    fn bits_that_can_only_be_read_are() {
        let mut words = clock_at(NOW);
        for (index, written, told) in [
            (0x0, 0xd9, 0x59),
            (0xa, 0xa6, 0x26),
            (0xc, 0xff, 0x00),
            (0xd, 0x00, 0x80),
            // SET clears UIE.
            (0xb, 0xff, 0xef),
            (0xb, 0x7f, 0x7f),
        ] {
            write(&mut words, index, written);
            assert_eq!(read(&mut words, index), told, "{index:#x}");
        }
    }

    #[test]
    fn an_index_has_7_bits_and_is_not_read() {
        let mut words = clock_at(NOW);
        assert_eq!(read(&mut words, 0x80 | 0x9), 0x26);
        assert_eq!(Mc146818::told(&words, 0), 0xff);
    }

    #[test]
    fn memory_keeps_what_is_written_and_beyond_it_is_nothing() {
        let mut words = clock_at(NOW);
        let memory = || (0xe..0x40).filter(|index| *index != 0x32);
        memory().for_each(|index| write(&mut words, index, !index & 0xff));
        (0x40..0x80).for_each(|index| write(&mut words, index, 0xff));
        Mc146818::seconds(&mut words, 1);
        memory().for_each(|index| assert_eq!(read(&mut words, index), !index & 0xff));
        (0x40..0x80).for_each(|index| assert_eq!(read(&mut words, index), 0));
        // Nor does a write there choose another byte.
        write(&mut words, 0x40, 0x09);
        assert_eq!(Mc146818::asked(&mut words, 1), 0);
    }

    #[test]
    fn an_update_sets_its_flag_and_interrupts_if_it_is_enabled() {
        let mut words = clock_at(NOW);
        write(&mut words, 0xa, 0x20);
        Mc146818::seconds(&mut words, 1);
        assert!(!is_interrupting(&words));
        assert_eq!(read(&mut words, 0xc), 0x10);
        assert_eq!(read(&mut words, 0xc), 0x00, "reading clears");
        write(&mut words, 0xb, 0x12);
        assert!(!is_interrupting(&words));
        Mc146818::seconds(&mut words, 1);
        assert!(is_interrupting(&words));
        // A flag that is set already interrupts when it is enabled, and no longer when it is not.
        write(&mut words, 0xb, 0x02);
        assert!(!is_interrupting(&words));
        write(&mut words, 0xb, 0x12);
        assert!(is_interrupting(&words));
        // Another register's read clears nothing.
        assert_eq!(read(&mut words, 0xd), 0x80);
        assert_eq!(read(&mut words, 0xc), 0x90);
        assert!(!is_interrupting(&words));
    }

    #[test]
    fn the_periodic_flag_comes_with_each_second_whose_rate_is_not_0() {
        let mut words = clock_at(NOW);
        write(&mut words, 0xb, 0xc2);
        write(&mut words, 0xa, 0x2f);
        Mc146818::seconds(&mut words, 1);
        assert!(is_interrupting(&words));
        assert_eq!(read(&mut words, 0xc), 0xc0, "also with SET");
        write(&mut words, 0xa, 0x20);
        Mc146818::seconds(&mut words, 1);
        assert_eq!(read(&mut words, 0xc), 0x00);
    }

    #[test]
    fn an_alarm_comes_at_its_second_or_at_any() {
        // Hours, minutes, seconds asked for; when it comes, from 12:34:56 on.
        for (alarm, until) in [
            ([0x12, 0x34, 0x57], Some(1)),
            ([0x12, 0x34, 0x56], Some(86_400)),
            ([0x13, 0x00, 0x00], Some(1504)),
            ([0xc0, 0xff, 0xc1], Some(1)),
            ([0xc0, 0xc0, 0x00], Some(4)),
            ([0xc0, 0x34, 0x00], Some(3544)),
            ([0xc0, 0x35, 0xc0], Some(4)),
            ([0x00, 0xc0, 0xc0], Some(41_104)),
            ([0x24, 0xc0, 0xc0], None),
            ([0xc0, 0xc0, 0x5a], None),
        ] {
            let mut words = clock_at(NOW + 45_296);
            for (index, byte) in [0x5, 0x3, 0x1].into_iter().zip(alarm) {
                write(&mut words, index, byte);
            }
            write(&mut words, 0xb, 0x22);
            let mut early = words;
            Mc146818::seconds(&mut early, until.unwrap_or(100_000) - 1);
            assert_eq!(read(&mut early, 0xc) & 0xa0, 0, "{alarm:#x?}");
            Mc146818::seconds(&mut words, until.unwrap_or(u64::MAX));
            let is_reached = until.is_some();
            assert_eq!(is_interrupting(&words), is_reached, "{alarm:#x?}");
            let flags = if is_reached { 0xa0 } else { 0 };
            assert_eq!(read(&mut words, 0xc) & 0xa0, flags, "{alarm:#x?}");
        }
    }

    #[test]
    fn an_alarm_of_the_afternoon_is_not_one_of_the_morning() {
        for (hour, hours) in [(0x05, 5), (0x85, 17), (0x12, 24), (0x92, 12)] {
            let mut words = clock_at(NOW);
            write(&mut words, 0xb, 0x20);
            write(&mut words, 0x4, 0x12);
            write(&mut words, 0x5, hour);
            Mc146818::seconds(&mut words, hours * 3600 - 1);
            assert_eq!(read(&mut words, 0xc) & 0x20, 0, "{hour:#x}");
            Mc146818::seconds(&mut words, 1);
            assert_eq!(read(&mut words, 0xc) & 0x20, 0x20, "{hour:#x}");
        }
    }

    #[test]
    fn a_reset_ends_interrupts_and_leaves_time_and_memory_alone() {
        let mut words = clock_at(NOW);
        write(&mut words, 0x3f, 0x5a);
        write(&mut words, 0xb, 0x7b);
        Mc146818::seconds(&mut words, 5);
        assert!(is_interrupting(&words));
        Mc146818::reset(&mut words, &Options::NONE);
        assert!(!is_interrupting(&words));
        let kept = [0x9, 0x0, 0xb, 0xc, 0x3f].map(|index| read(&mut words, index));
        assert_eq!(kept, [0x26, 5, 0x03, 0x00, 0x5a]);
    }

    #[test]
    fn a_time_beyond_its_calendar_is_refused() {
        let check = |time| Mc146818::check(&Options([Some(time), None, None, None]));
        assert!(check(253_402_300_799).is_ok());
        assert!(check(253_402_300_800).is_err());
        assert!(Mc146818::check(&Options::NONE).is_ok());
    }
}
