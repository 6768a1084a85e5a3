//! What whoever watches over the components says: lines, the death of a VM's VMM, and the verdict.
//!
//! Used by the console alone. Invariants: what is printed is printable characters in lines of
//! bounded length, though the lines quote what a dead component has left; the first verdict
//! stays; a line is printed once, though the console dies.

use super::line::Line;
use super::{Output, Printing, SystemPort};
use crate::console::log_lines::OfAnotherBuild;
use core::fmt::{self, Write};
use kept::Kept;
use shared_ring::{Consumer, ReadPosition, RingFault, RingKind};
use trace_records::{CONSOLE_SLOTS, ConsoleRecord, Text, Verdict};

pub(super) struct System {
    ring: Consumer<CONSOLE_SLOTS>,
    state: State,
    kept: &'static mut Kept<State>,
}

/// What survives the console.
#[derive(Clone, Copy, Default)]
pub(super) struct State {
    at: ReadPosition,
    line: Line,
    /// A record that is in `line` only up to this character.
    next: Option<(Text, usize)>,
    verdict: Option<Verdict>,
    /// That the ring is of another build has been told.
    is_told: bool,
    /// Lines missing since the last one that said so.
    missing: u64,
    printing: Option<Printing>,
}

impl System {
    /// Goes on where another, which is no more, was, if there was one.
    pub fn resume(port: SystemPort, kept: &'static mut Kept<State>) -> Self {
        let state = kept.state().copied().unwrap_or_default();
        Self {
            ring: Consumer::resume(port.text, port.text_reader, RingKind::Console, state.at),
            state,
            kept,
        }
    }

    pub fn verdict(&self) -> Option<Verdict> {
        self.state.verdict
    }

    /// Whether the console has died over a line of this.
    pub fn is_cut(&self) -> bool {
        self.state.printing.is_some()
    }

    /// Goes on where the console has died: what it was printing is missing.
    pub fn recover(&mut self) {
        self.state.missing += match self.state.printing.take() {
            None => 0,
            Some(Printing::Missing(lines)) => lines,
            Some(_) => 1,
        };
        self.commit();
    }

    /// Prints what there is, at most a ring of it. Calls `died` for each VM whose VMM has died,
    /// with the time. Returns whether the ring wakes us.
    pub fn print(&mut self, output: &mut impl Output, mut died: impl FnMut(u8, u64)) -> bool {
        self.report_missing(output);
        if let Some((text, from)) = self.state.next.take() {
            self.append(text, from, output);
        }
        for _ in 0..CONSOLE_SLOTS {
            let Some(item) = self.ring.take() else {
                break;
            };
            match ConsoleRecord::from_words(&item.payload) {
                Some(ConsoleRecord::Text(text)) => self.append(text, 0, output),
                Some(ConsoleRecord::VmDied { time, vm }) => died(vm, time),
                Some(ConsoleRecord::Verdict(verdict)) => {
                    self.state.verdict.get_or_insert(verdict);
                    self.end_line(output);
                }
                Some(ConsoleRecord::Notice { .. }) | None => {}
            }
        }
        self.tell_version(output);
        self.commit();
        self.ring.sleep_until(1)
    }

    fn report_missing(&mut self, output: &mut impl Output) {
        let lines = core::mem::take(&mut self.state.missing);
        if lines != 0 {
            let text = format_args!("warn the monitor: {lines} lines lost");
            self.print_words(Printing::Missing(lines), text, output);
        }
    }

    /// Says that nothing of what the watch says can be read, if that is so.
    fn tell_version(&mut self, output: &mut impl Output) {
        let Some(RingFault::Version(version)) = self.ring.last_fault() else {
            return;
        };
        if !self.state.is_told {
            self.end_line(output);
            self.state.is_told = true;
            let of = OfAnotherBuild {
                who: "the monitor",
                version,
            };
            self.print_words(Printing::Line, format_args!("{of}"), output);
        }
    }

    /// Prints the characters from this one on, as far as they end a line.
    fn append(&mut self, text: Text, from: usize, output: &mut impl Output) {
        for (at, byte) in text.bytes().iter().enumerate().skip(from) {
            if *byte != b'\n' {
                self.state.line.push(*byte);
            }
            if *byte == b'\n' || self.state.line.is_full() {
                self.state.next = Some((text, at + 1));
                self.end_line(output);
            }
        }
        self.state.next = None;
    }

    fn end_line(&mut self, output: &mut impl Output) {
        let line = core::mem::take(&mut self.state.line);
        if !line.is_empty() {
            self.put(Printing::Line, line, output);
        }
    }

    /// Prints a line of the console's own.
    fn print_words(&mut self, what: Printing, words: fmt::Arguments<'_>, output: &mut impl Output) {
        let mut line = Line::default();
        // What does not fit is cut; nothing else fails.
        let _ = line.write_fmt(words);
        self.put(what, line, output);
    }

    /// Prints a line, and all that follows from it is kept before.
    fn put(&mut self, what: Printing, mut line: Line, output: &mut impl Output) {
        self.state.printing = Some(what);
        self.commit();
        output.write(line.finish());
        self.state.printing = None;
        self.commit();
    }

    fn commit(&mut self) {
        self.state.at = *self.ring.position();
        self.kept.commit(&self.state);
        self.ring.publish();
    }
}
