//! The serial line: how much it carries, whose share of it is left, and how a line goes out.
//!
//! Used by the console alone. Invariants: whoever prints more than its share pays for it alone;
//! what goes out is printable characters, in lines of bounded length.

use super::Output;
use crate::console::log_lines::Stamp;
use crate::{Clock, Host};
use core::fmt::{self, Write};
use heapless::Vec;
use trace_records::MAX_VMS;

/// What a serial line of 115200 baud carries, ten bits a character.
pub(super) const BYTES_PER_SECOND: u64 = 11_520;
/// How much may be printed at once after a time of silence.
pub(super) const BURST_BYTES: i64 = 4096;
/// Characters of any line of ours, the line feed included.
const LINE_BYTES: usize = 400;

/// Characters that the serial line could have carried and has not, in equal shares.
///
/// A VM that prints more than its share has its share alone to answer for it: others lose
/// nothing. What a VM leaves of its share when that is full goes to those that want more.
pub(super) struct Budget {
    /// Each VM's; below zero after a line that was longer than what was left.
    pub shares: Vec<i64, MAX_VMS>,
    last: u64,
}

impl Budget {
    pub fn new(vms: usize, now: u64) -> Self {
        let full = Self::full(vms);
        Self {
            shares: core::iter::repeat_n(full, vms).collect(),
            last: now,
        }
    }

    /// What a share never exceeds.
    fn full(vms: usize) -> i64 {
        BURST_BYTES / vms.max(1) as i64
    }

    pub fn refill(&mut self, now: u64, clock_hz: u64) {
        let vms = self.shares.len().max(1) as u128;
        let (hz, rate) = (u128::from(clock_hz.max(1)), u128::from(BYTES_PER_SECOND));
        let elapsed = u128::from(now.saturating_sub(self.last));
        let each = elapsed * rate / (hz * vms);
        // What is not a whole byte for everybody counts the next time.
        self.last += (each * vms * hz / rate) as u64;
        let each = i64::try_from(each).map_or(BURST_BYTES, |each| each.min(BURST_BYTES));
        let full = Self::full(self.shares.len());
        let mut left = 0;
        for share in &mut self.shares {
            *share += each;
            left += (*share - full).max(0);
            *share = (*share).min(full);
        }
        let wanting = self.shares.iter().filter(|share| **share < full).count();
        let more = left / wanting.max(1) as i64;
        for share in &mut self.shares {
            *share = (*share + more).min(full);
        }
    }
}

/// What a line needs on its way out.
pub(super) struct Printer<'a, H, O> {
    pub clock: Clock,
    /// What the VM has left of its share, in bytes.
    pub share: &'a mut i64,
    /// What is to be left of it.
    pub spared: i64,
    /// When the clock was last looked at.
    pub now: u64,
    pub host: &'a mut H,
    pub output: &'a mut O,
}

impl<H: Host, O: Output> Printer<'_, H, O> {
    pub fn has_budget(&self) -> bool {
        *self.share > self.spared
    }

    pub fn look_at_clock(&mut self) -> u64 {
        self.now = self.host.now();
        self.now
    }

    /// Prints a line that starts with `time`, or now if that is still to come, whatever the
    /// budget.
    pub fn print(&mut self, time: u64, text: fmt::Arguments<'_>) {
        if time > self.now {
            self.look_at_clock();
        }
        let stamp = Stamp(time.min(self.now), self.clock);
        let mut line = Line::default();
        // What does not fit is cut; nothing else fails.
        let _ = write!(line, "{stamp} {text}");
        let bytes = line.finish();
        *self.share -= bytes.len() as i64;
        self.output.write(bytes);
    }
}

/// A line in the making: whatever it is made of, printable characters and one line feed.
#[derive(Default)]
pub(super) struct Line(Vec<u8, LINE_BYTES>);

impl Line {
    /// Appends a byte, as a character that can be printed. Returns whether there is room for
    /// more.
    pub fn push(&mut self, byte: u8) -> bool {
        // The last place is the line feed's.
        if self.0.len() < LINE_BYTES - 1 {
            let _ = self.0.push(printable(byte));
        }
        self.0.len() < LINE_BYTES - 1
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The whole line.
    pub fn finish(&mut self) -> &[u8] {
        let _ = self.0.push(b'\n');
        &self.0
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut bytes = text.bytes();
        match bytes.all(|byte| self.push(byte)) {
            true => Ok(()),
            false => Err(fmt::Error),
        }
    }
}

/// The byte, or a question mark for what no line shows.
pub(super) const fn printable(byte: u8) -> u8 {
    match byte {
        b' '..=b'~' => byte,
        b'\t' => b' ',
        _ => b'?',
    }
}
