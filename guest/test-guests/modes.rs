//! Proves that a guest's processor is a processor in every mode of x86, and that the device sees
//! in each what the code does: its accesses, bytes that mean one thing in 64-bit code and another
//! in 32-bit code, the registers that decide on the mode, and what they refuse.
//!
//! What it does to the location it says in lines of `R` or `W`, bytes, lane and value; the log
//! must have the same.
//!
//! Keys: `trace=` address of the location; `exact=` 1 where the CPU refuses all that no CPU takes,
//! 0 where an emulator lets some of it pass.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::fmt;

use guest::code::CodePage;
use guest::driver::PAGE_LEN_BYTES;
use guest::page_tables::{self, WINDOW, WINDOW_LEVEL_3};
use guest::{Outcome, Start, check, say, segments};

#[path = "modes/accesses.rs"]
mod accesses;
#[path = "modes/control.rs"]
mod control;
#[path = "modes/same_bytes.rs"]
mod same_bytes;

guest::program!(run);

static CODE: CodePage = CodePage::new();

/// What the pages of the window are.
const USER_DEVICE: u64 = WINDOW;
const USER_CODE: u64 = WINDOW + PAGE_LEN_BYTES;
const DEVICE_TO_READ: u64 = WINDOW + 2 * PAGE_LEN_BYTES;
const DEVICE: u64 = WINDOW + 3 * PAGE_LEN_BYTES;

fn run(start: &Start) -> Outcome {
    let location = start.trace_location("trace")?;
    let is_exact = start.cmdline.number("exact")? != 0;
    let device = location.address() & !(PAGE_LEN_BYTES - 1);
    let pages = [
        page_tables::user_page(device),
        page_tables::user_page(CODE.address()),
        page_tables::user_page_to_read(device),
        page_tables::page(device),
    ];
    for (index, entry) in pages.into_iter().enumerate() {
        WINDOW_LEVEL_3.set(index, entry);
    }
    page_tables::turn_on();
    segments::turn_on();

    let mut location = Location {
        device: location,
        made: [Access::NONE; MOST],
        count: 0,
        word: 0,
    };
    accesses::in_every_mode(&mut location);
    same_bytes::mean_another_thing(&mut location);
    control::is_a_cpus(&mut location, is_exact);
    Ok(())
}

/// Accesses between two lines, and in one of them.
const MOST: usize = 32;
const IN_A_LINE: usize = 9;

/// An access of a program.
#[derive(Debug, Clone, Copy)]
struct Access {
    letter: char,
    bytes: u32,
    lane: u32,
    value: u32,
}

impl Access {
    const NONE: Self = Self {
        letter: ' ',
        bytes: 0,
        lane: 0,
        value: 0,
    };
}

/// The device's location, what it should hold, and what was done to it since it was last said.
struct Location {
    device: guest::driver::TraceLocation,
    made: [Access; MOST],
    count: usize,
    /// The word without the ticks that it may have counted since.
    word: u32,
}

/// Ticks that may come while a program looks.
const TICKS: u32 = 4;

impl Location {
    fn address(&self) -> u64 {
        self.device.address()
    }

    fn in_page(&self) -> u64 {
        self.device.offset_in_page()
    }

    /// Sets the word.
    fn set(&mut self, word: u32) {
        self.device.write(word);
        self.stored(4, 0, word);
    }

    /// A program has stored `value`.
    fn stored(&mut self, bytes: u32, lane: u32, value: u32) {
        let mask = mask(bytes) << (8 * lane);
        self.word = self.word & !mask | value << (8 * lane) & mask;
        self.note('W', bytes, lane, value & self::mask(bytes));
    }

    /// A program has loaded `value`.
    fn loaded(&mut self, bytes: u32, lane: u32, value: u32) {
        let wanted = self.word >> (8 * lane) & mask(bytes);
        let ticks = value.wrapping_sub(wanted);
        check!(
            ticks == 0 || lane == 0 && ticks <= TICKS,
            "{value:#x} loaded, not {wanted:#x}"
        );
        self.word = self.word.wrapping_add(ticks);
        self.note('R', bytes, lane, value);
    }

    /// A program has added to the word.
    fn added(&mut self, value: u32) {
        self.note('R', 4, 0, self.word);
        self.stored(4, 0, self.word.wrapping_add(value));
    }

    fn note(&mut self, letter: char, bytes: u32, lane: u32, value: u32) {
        self.made[self.count] = Access {
            letter,
            bytes,
            lane,
            value,
        };
        self.count += 1;
    }

    /// Says what was done.
    fn say(&mut self, what: &str) {
        for accesses in self.made[..self.count].chunks(IN_A_LINE) {
            say!("{what}:{}", Accesses(accesses));
        }
        self.count = 0;
    }
}

const fn mask(bytes: u32) -> u32 {
    u32::MAX >> (32 - 8 * bytes)
}

struct Accesses<'a>(&'a [Access]);

impl fmt::Display for Accesses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for access in self.0 {
            let Access {
                letter,
                bytes,
                lane,
                value,
            } = access;
            write!(f, " {letter}{bytes}+{lane}={value:#x}")?;
        }
        Ok(())
    }
}
