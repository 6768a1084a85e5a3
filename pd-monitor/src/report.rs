//! How the monitor's lines and its verdict get out: through the console, or, if that is the dead
//! one, by the UART.
//!
//! Used by `main`. Invariant: each line is one line, whatever was displayed in it; the UART is
//! touched when the console can do nothing any more, or does not answer.

use core::fmt::{self, Write};
use oversight::Verdict;
use pd_runtime::{Counter, Serial, clock, region};
use sel4_microkit::Channel;
use shared_ring::{BoundedProducer, RingKind};
use trace_records::{CONSOLE_SLOTS, ConsoleRecord, TEXT_BYTES, Text};

/// To `pd-console`.
const CONSOLE: Channel = Channel::new(0);
/// The longest line.
const LINE_BYTES: usize = 400;

/// See the file's header.
pub struct Reporter {
    ring: BoundedProducer<CONSOLE_SLOTS>,
    console_is_dead: bool,
    /// The UART, once the monitor has had to print by itself.
    serial: Option<Serial>,
}

impl Reporter {
    /// The console lives.
    pub fn new() -> Self {
        // No VM has this number.
        let identity = clock().identity(RingKind::Console, 0xff);
        Self {
            ring: BoundedProducer::new(
                region!(monitor_ring: _),
                region!(monitor_reader: _),
                identity,
            ),
            console_is_dead: false,
            serial: None,
        }
    }

    /// From now on everything goes to the UART.
    pub fn console_is_dead(&mut self) {
        self.console_is_dead = true;
    }

    /// Tells a line.
    pub fn line(&mut self, text: fmt::Arguments<'_>) {
        self.note(text);
        if !self.console_is_dead {
            CONSOLE.notify();
        }
    }

    /// Tells a line that is printed at the console's next wake-up: until then others run who have to.
    pub fn note(&mut self, text: fmt::Arguments<'_>) {
        let line = Line::new(text);
        let mut chunks = line.bytes().chunks(TEXT_BYTES);
        let is_told = !self.console_is_dead
            && chunks.all(|chunk| self.push(ConsoleRecord::Text(Text::new(0, chunk))));
        if !is_told {
            self.write(line.bytes());
        }
    }

    /// Prints a line to the UART, whoever else prints there.
    pub fn print(&mut self, text: fmt::Arguments<'_>) {
        self.write(Line::new(text).bytes());
    }

    /// Tells the console that a VM's VMM has died.
    pub fn vm_died(&mut self, vm: usize) {
        let record = ConsoleRecord::VmDied {
            time: Counter::now(),
            vm: vm as u8,
        };
        if !self.console_is_dead && self.push(record) {
            CONSOLE.notify();
        }
    }

    /// Tells how the run went.
    pub fn verdict(&mut self, verdict: Verdict) {
        if !self.console_is_dead && self.push(ConsoleRecord::Verdict(verdict)) {
            return CONSOLE.notify();
        }
        self.write(verdict.line().as_bytes());
    }

    /// Whether there was room for it. A console that does not read is as good as dead.
    fn push(&mut self, record: ConsoleRecord) -> bool {
        self.ring.push(&record.to_words()).is_ok()
    }

    /// Writes to the UART; on x86 it is another than the console's.
    fn write(&mut self, bytes: &[u8]) {
        // SAFETY: the UART is mapped uncached, or is the monitor's own; the console, its only
        // other user, does not run while this does, and loses at most its place in a line.
        let open = || unsafe { Serial::of_board() };
        self.serial.get_or_insert_with(open).write(bytes);
    }
}

/// A line with its end, of which what is too long is cut off.
struct Line(heapless::String<LINE_BYTES>);

impl Line {
    fn new(text: fmt::Arguments<'_>) -> Self {
        let mut line = Self(heapless::String::new());
        // It never fails.
        let _ = line.write_fmt(text);
        // There is room: `write_str` keeps it.
        let _ = line.0.push('\n');
        line
    }

    fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.0.len() + character.len_utf8() < LINE_BYTES {
                // Checked above.
                let _ = self.0.push(character);
            }
        }
        Ok(())
    }
}
