//! The serial line: how much it carries, whose share of it is left, and how a line goes out.
//!
//! Used by the console alone. Invariants: whoever prints more than its share pays for it alone;
//! what goes out is printable characters, in lines of bounded length.

use super::typing::Format;
use crate::console::log_lines::Stamp;
use crate::{Clock, Host};
use core::fmt::{self, Write};
use shared_ring::{Cell, Ordering};

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
    /// Until when what the line could have carried is in the shares. Kept, and before the shares are:
    /// who dies in between has carried less, never more.
    refilled: &'static Cell,
}

impl Budget {
    pub fn resume(refilled: &'static Cell, clock: Clock) -> Self {
        let from = refilled.load(Ordering::Relaxed).max(clock.start_ticks);
        refilled.store(from, Ordering::Relaxed);
        Self { refilled }
    }

    /// What a share never exceeds, and is at first.
    pub fn full(vms: usize) -> i64 {
        BURST_BYTES / vms.max(1) as i64
    }

    /// Adds what the line could have carried since this was last called. A share is below zero after
    /// a line that was longer than what was left.
    pub fn refill(&mut self, shares: &mut [&mut i64], now: u64, clock_hz: u64) {
        let vms = shares.len().max(1) as u128;
        let (hz, rate) = (u128::from(clock_hz.max(1)), u128::from(BYTES_PER_SECOND));
        let last = self.refilled.load(Ordering::Relaxed);
        let elapsed = u128::from(now.saturating_sub(last));
        let each = elapsed * rate / (hz * vms);
        // What is not a whole byte for everybody counts the next time.
        let counted = (each * vms * hz / rate) as u64;
        self.refilled.store(last + counted, Ordering::Relaxed);
        let each = i64::try_from(each).map_or(BURST_BYTES, |each| each.min(BURST_BYTES));
        let full = Self::full(shares.len());
        let mut left = 0;
        for share in shares.iter_mut() {
            **share += each;
            left += (**share - full).max(0);
            **share = (**share).min(full);
        }
        let wanting = shares.iter().filter(|share| ***share < full).count();
        let more = left / wanting.max(1) as i64;
        for share in shares {
            **share = (**share + more).min(full);
        }
    }
}

/// What a line needs on its way out.
pub(super) struct Printer<'a, H, O> {
    pub clock: Clock,
    pub format: Format,
    /// What is to be left of the VM's share, in bytes.
    pub spared: i64,
    /// When the clock was last looked at.
    pub now: u64,
    pub host: &'a mut H,
    pub output: &'a mut O,
}

impl<H: Host, O> Printer<'_, H, O> {
    pub fn look_at_clock(&mut self) -> u64 {
        self.now = self.host.now();
        self.now
    }

    /// A line that starts with `time`, or now if that is still to come.
    pub fn line(&mut self, time: u64, text: fmt::Arguments<'_>) -> Line {
        if time > self.now {
            self.look_at_clock();
        }
        let stamp = Stamp(time.min(self.now), self.clock);
        let mut line = Line::default();
        // What does not fit is cut; nothing else fails.
        let _ = write!(line, "{stamp} {text}");
        line
    }
}

/// A line in the making: whatever it is made of, printable characters, and room for a line feed.
/// Plain data, so that it can be kept.
#[derive(Clone, Copy)]
pub(super) struct Line<const BYTES: usize = LINE_BYTES> {
    bytes: [u8; BYTES],
    len: usize,
}

impl<const BYTES: usize> Default for Line<BYTES> {
    fn default() -> Self {
        Self {
            bytes: [0; BYTES],
            len: 0,
        }
    }
}

impl<const BYTES: usize> Line<BYTES> {
    /// Appends a byte, as a character that can be printed, if there is room.
    pub fn push(&mut self, byte: u8) {
        if !self.is_full() {
            self.bytes[self.len] = printable(byte);
            self.len += 1;
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn is_full(&self) -> bool {
        // The last place is the line feed's.
        self.len == BYTES - 1
    }

    /// What it has so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// The whole line, which is finished by that.
    pub fn finish(&mut self) -> &[u8] {
        self.bytes[self.len] = b'\n';
        &self.bytes[..=self.len]
    }
}

impl<const BYTES: usize> Write for Line<BYTES> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.push(byte));
        Ok(())
    }
}

impl<const BYTES: usize> fmt::Display for Line<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // All of it is ASCII.
        f.write_str(str::from_utf8(&self.bytes[..self.len]).unwrap_or_default())
    }
}

/// The byte, or a question mark for what no line shows.
const fn printable(byte: u8) -> u8 {
    match byte {
        b' '..=b'~' => byte,
        b'\t' => b' ',
        _ => b'?',
    }
}
