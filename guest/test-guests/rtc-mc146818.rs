//! Holds an MC146818 against its manual, byte by byte, by all that a guest can see of it.
//!
//! Runs in a VM with `vdev mc146818`, and on a bare PC; what holds of one only is not checked: how often a
//! periodic interrupt comes, UIP, and memory beyond 64 bytes.
//!
//! Keys: `rtc=` the first of its two ports, as `io:0x70`; `date=` the date on which it began, as
//! `0x20260101`, and `weekday=`, 1 being Sunday.
//!
//! Motorola MC146818 datasheet (1984), "Programming model".

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::time::Duration;
use guest::{
    Outcome, Start, check,
    clock::{Clock, Instant, Wait},
    cmdline::CommandLineError,
    ports::Port,
    say,
    ticks::{CLOSELY, TOLERANCE},
};

guest::program!(run);

const A: u8 = 0x0a;
const UIP: u8 = 1 << 7;
const B: u8 = 0x0b;
const SET: u8 = 1 << 7;
const PIE: u8 = 1 << 6;
const AIE: u8 = 1 << 5;
const UIE: u8 = 1 << 4;
const BINARY: u8 = 1 << 2;
const HOURS_24: u8 = 1 << 1;
const C: u8 = 0x0c;
const D: u8 = 0x0d;

/// Where the century, the year, the month, the day, the hours, minutes and seconds are, and the day of
/// the week: the order of a [`Time`].
const PLACES: [u8; 8] = [0x32, 0x09, 0x08, 0x07, 0x04, 0x02, 0x00, 0x06];
/// Another place of the century on some machines, QEMU's among them.
const CENTURY_OF_PS2: u8 = 0x37;
/// Alarms: hours, minutes, seconds.
const ALARMS: [u8; 3] = [0x05, 0x03, 0x01];

type Time = [u8; 8];

/// In a mode of register B, a time and what follows it.
#[rustfmt::skip]
const SECONDS: &[(u8, Time, Time)] = &[
    (HOURS_24, [0x20, 0x25, 0x12, 0x31, 0x23, 0x59, 0x59, 4], [0x20, 0x26, 0x01, 0x01, 0x00, 0x00, 0x00, 5]),
    (HOURS_24, [0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59, 6], [0x20, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00, 7]),
    (HOURS_24, [0x20, 0x00, 0x02, 0x28, 0x23, 0x59, 0x59, 2], [0x20, 0x00, 0x02, 0x29, 0x00, 0x00, 0x00, 3]),
    (HOURS_24, [0x21, 0x00, 0x02, 0x28, 0x23, 0x59, 0x59, 1], [0x21, 0x00, 0x03, 0x01, 0x00, 0x00, 0x00, 2]),
    (HOURS_24, [0x20, 0x26, 0x01, 0x09, 0x09, 0x09, 0x09, 6], [0x20, 0x26, 0x01, 0x09, 0x09, 0x09, 0x10, 6]),
    (0,        [0x20, 0x26, 0x01, 0x01, 0x11, 0x59, 0x59, 5], [0x20, 0x26, 0x01, 0x01, 0x92, 0x00, 0x00, 5]),
    (0,        [0x20, 0x26, 0x01, 0x01, 0x92, 0x59, 0x59, 5], [0x20, 0x26, 0x01, 0x01, 0x81, 0x00, 0x00, 5]),
    (0,        [0x20, 0x26, 0x01, 0x01, 0x91, 0x59, 0x59, 5], [0x20, 0x26, 0x01, 0x02, 0x12, 0x00, 0x00, 6]),
    (0,        [0x20, 0x26, 0x01, 0x01, 0x12, 0x59, 0x59, 5], [0x20, 0x26, 0x01, 0x01, 0x01, 0x00, 0x00, 5]),
    (BINARY | HOURS_24, [19, 99, 12, 31, 23, 59, 59, 6], [20, 0, 1, 1, 0, 0, 0, 7]),
    (BINARY | HOURS_24, [20, 26, 10, 9, 9, 59, 59, 6], [20, 26, 10, 9, 10, 0, 0, 6]),
    (BINARY,            [20, 26, 1, 1, 0x8b, 59, 59, 5], [20, 26, 1, 2, 12, 0, 0, 6]),
    (BINARY,            [20, 26, 1, 1, 11, 59, 59, 5], [20, 26, 1, 1, 0x8c, 0, 0, 5]),
];

/// A clock that shows the same for longer than this stands still.
const PATIENCE: Duration = Duration::from_secs(3);
/// Long enough for a clock that is not held to go on.
const LONGER_THAN_A_SECOND: Duration = Duration::from_millis(1500);

struct Rtc<'a> {
    index: Port,
    data: Port,
    clock: &'a Clock,
}

fn run(start: &Start) -> Outcome {
    let port = start.cmdline.optional_port("rtc")?;
    let index = Port::new(port.ok_or(CommandLineError::Missing { key: "rtc" })?);
    let date = start.cmdline.number("date")? as u32;
    let weekday = start.cmdline.number("weekday")? as u8;
    let mut rtc = Rtc {
        data: index.next(),
        index,
        clock: &start.clock,
    };
    rtc.check_date(date, weekday);
    say!("it began on {date:x}");
    rtc.check_registers();
    rtc.check_memory();
    say!("each register reads and writes as it should");
    rtc.check_seconds();
    rtc.check_that_it_can_be_held();
    for (mode, before, after) in SECONDS {
        rtc.set(*mode, before);
        rtc.next_second();
        let time = rtc.time();
        check!(
            time == *after,
            "in mode {mode:#x} {time:x?} follows {before:x?}"
        );
    }
    say!("{} seconds were followed by the right ones", SECONDS.len());
    rtc.check_flags();
    rtc.check_alarms();
    say!("flags are set when they should be, and a read clears them");
    Ok(())
}

impl Rtc<'_> {
    fn read(&mut self, index: u8) -> u8 {
        self.index.write(index);
        self.data.read()
    }

    fn write(&mut self, index: u8, value: u8) {
        self.index.write(index);
        self.data.write(value);
    }

    fn check_byte(&mut self, index: u8, wanted: u8) {
        let found = self.read(index);
        check!(
            found == wanted,
            "byte {index:#04x} is {found:#04x}, not {wanted:#04x}"
        );
    }

    /// What it shows between two updates.
    fn time(&mut self) -> Time {
        loop {
            let is_updating = self.read(A) & UIP != 0;
            let seconds = self.read(0x00);
            let time = PLACES.map(|index| self.read(index));
            if !is_updating && seconds == time[6] && seconds == self.read(0x00) {
                return time;
            }
        }
    }

    fn set(&mut self, mode: u8, time: &Time) {
        self.write(B, SET | mode);
        for (index, byte) in PLACES.iter().zip(time) {
            self.write(*index, *byte);
        }
        self.write(B, mode);
    }

    /// Waits until the next second begins, so that none does for a while; when that was seen.
    fn next_second(&mut self) -> Instant {
        let began = self.clock.now();
        let before = self.read(0x00);
        while self.read(0x00) == before {
            self.wait(CLOSELY);
            check!(
                self.clock.since(began) < PATIENCE,
                "the seconds are {before:#x} for ever"
            );
        }
        self.clock.now()
    }

    fn wait(&self, time: Duration) {
        let until = self.clock.after(self.clock.now(), time);
        self.clock.wait_until(until, Wait::Busy);
    }

    fn check_date(&mut self, date: u32, weekday: u8) {
        let [century, year, month, day, .., today] = self.time();
        let found = u32::from_be_bytes([century, year, month, day]);
        check!(found == date, "the date is {found:x}, not {date:x}");
        check!(today == weekday, "the weekday is {today}, not {weekday}");
    }

    fn check_registers(&mut self) {
        let index = self.index.read();
        check!(index == 0xff, "the index is {index:#x}");
        self.check_byte(B, HOURS_24);
        self.check_byte(D, 0x80);
        self.write(D, 0x00);
        self.check_byte(D, 0x80);
        // No rate but 0 from here on. UIP can only be read.
        for rate in [0x2f, 0x26, 0x20] {
            self.write(A, UIP | rate);
            let found = self.read(A) & !UIP;
            check!(found == rate, "register A is {found:#x}, not {rate:#x}");
        }
        for (written, found) in [
            (SET | HOURS_24, SET | HOURS_24),
            (SET | PIE | AIE | UIE, SET | PIE | AIE),
            (SET | 0x0f, SET | 0x0f),
            (AIE | HOURS_24, AIE | HOURS_24),
            (HOURS_24, HOURS_24),
        ] {
            self.write(B, written);
            self.check_byte(B, found);
        }
        for index in ALARMS {
            self.write(index, 0x55);
            self.check_byte(index, 0x55);
        }
        self.next_second();
        self.read(C);
        self.write(C, 0xff);
        self.check_byte(C, 0);
    }

    /// Each byte keeps its own. Bit 7 of an index has no part in it.
    fn check_memory(&mut self) {
        let memory = || {
            let is_memory = |index: &u8| !PLACES.contains(index) && *index != CENTURY_OF_PS2;
            (0x0e..0x40).filter(is_memory)
        };
        for mask in [0x00, 0xff] {
            memory().for_each(|index| self.write(index, index ^ mask));
            memory().for_each(|index| self.check_byte(0x80 | index, index ^ mask));
        }
    }

    /// Seconds are seconds of the guest's clock.
    fn check_seconds(&mut self) {
        self.set(HOURS_24, &[0x20, 0x26, 0x01, 0x01, 0x12, 0x34, 0x56, 5]);
        let first = self.next_second();
        for seconds in 1..=3 {
            let time = self.clock.between(first, self.next_second());
            let off = time.abs_diff(Duration::from_secs(seconds));
            check!(
                off <= TOLERANCE,
                "{seconds} seconds took {} us",
                time.as_micros()
            );
        }
    }

    /// By SET, under which it can be set, and by the dividers.
    fn check_that_it_can_be_held(&mut self) {
        let time = [0x20, 0x26, 0x01, 0x01, 0x12, 0x34, 0x56, 5];
        self.set(HOURS_24, &time);
        self.write(B, SET | HOURS_24);
        self.wait(LONGER_THAN_A_SECOND);
        let found = self.time();
        check!(found == time, "{found:x?} in spite of SET");
        self.write(B, HOURS_24);
        self.next_second();

        self.write(A, 0x70);
        let held = self.time();
        self.read(C);
        self.wait(LONGER_THAN_A_SECOND);
        let found = self.time();
        check!(found == held, "{found:x?} with the dividers held");
        self.check_byte(C, 0);
        self.write(A, 0x20);
        self.next_second();
    }

    /// Waits for flags, and reads them away.
    fn next_flags(&mut self) -> u8 {
        let began = self.clock.now();
        loop {
            let flags = self.read(C);
            if flags != 0 {
                return flags;
            }
            check!(self.clock.since(began) < PATIENCE, "no flag is set");
            self.wait(CLOSELY);
        }
    }

    fn check_next_flags(&mut self, wanted: u8) {
        let found = self.next_flags();
        check!(found == wanted, "the flags are {found:#x}, not {wanted:#x}");
        self.check_byte(C, 0);
    }

    /// Updates and periods, whether they interrupt or not.
    fn check_flags(&mut self) {
        self.set(HOURS_24, &[0x20, 0x26, 0x01, 0x01, 0x12, 0x00, 0x00, 5]);
        self.next_second();
        self.next_flags();
        self.check_next_flags(0x10);
        self.write(B, UIE | HOURS_24);
        self.check_next_flags(0x90);
        // What is pending interrupts when it is enabled, and no longer when it is not.
        self.write(B, HOURS_24);
        self.next_second();
        self.wait(TOLERANCE);
        self.write(B, UIE | HOURS_24);
        self.write(B, HOURS_24);
        self.write(B, UIE | HOURS_24);
        self.check_next_flags(0x90);

        self.write(B, PIE | HOURS_24);
        self.write(A, 0x2f);
        self.wait(LONGER_THAN_A_SECOND);
        let flags = self.next_flags() & 0xc0;
        check!(flags == 0xc0, "no period has ended");
        self.write(A, 0x20);
        self.write(B, HOURS_24);
        self.next_second();
        self.next_flags();
    }

    /// One second that is meant, others, and any.
    fn check_alarms(&mut self) {
        #[rustfmt::skip]
        let alarms = [
            (HOURS_24, [0x12, 0x34, 0x56], [0x12, 0x34, 0x58], [0x10, 0x30]),
            (AIE | HOURS_24, [0x23, 0x59, 0x59], [0x00, 0x00, 0x00], [0xb0, 0x10]),
            (HOURS_24, [0x12, 0x34, 0x58], [0xff, 0xc0, 0x00], [0x10, 0x30]),
            (AIE | HOURS_24, [0x12, 0x34, 0x58], [0xff, 0xff, 0xff], [0xb0, 0xb0]),
            (AIE, [0x92, 0x34, 0x57], [0x92, 0x34, 0x58], [0xb0, 0x10]),
            (AIE, [0x92, 0x34, 0x57], [0x12, 0x34, 0x58], [0x10, 0x10]),
        ];
        for (mode, time, alarm, flags) in alarms {
            self.write(B, SET | mode);
            for (index, byte) in ALARMS.iter().zip(alarm) {
                self.write(*index, byte);
            }
            let [hours, minutes, seconds] = time;
            self.set(mode, &[0x20, 0x26, 0x01, 0x01, hours, minutes, seconds, 5]);
            self.read(C);
            for wanted in flags {
                self.check_next_flags(wanted);
            }
        }
        self.write(B, HOURS_24);
    }
}
