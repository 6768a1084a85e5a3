//! What a VM's guest prints, and what its VMM says: the records of the console ring.
//!
//! Invariant: a guest's line follows the VM's name and holds no control characters, and in pieces
//! (`console_wire`) nothing of a guest stands outside of its own; what a VMM cannot say is counted and printed nowhere.

use super::{Ends, LAST_BYTES, Ring, VmConsole};
use crate::Host;
use crate::console::line::Printer;
use crate::console::log_lines::{NoticeText, Reason};
use crate::console::typing::Format;
use crate::console::{Output, Printing, TURN_BYTES};
use console_wire::{PIECE_BYTES, Piece};
use trace_records::{CONSOLE_SLOTS, ConsoleRecord, Misdeed, Notice, Text};

/// Characters of a guest's line, the line feed included; a longer one is broken.
pub(super) const GUEST_LINE_BYTES: usize = 201;

impl VmConsole {
    /// Prints what the guest printed while the serial line has room, and then the VM's end if it
    /// has come. The rest waits in its ring, and the guest sees a busy serial port.
    pub fn print_text(&mut self, printer: &mut Printer<'_, impl Host, impl Output>) {
        let mut looks = CONSOLE_SLOTS;
        if self.is_ending() {
            // A turn of it: others wait meanwhile.
            printer.spared = (self.state.share - TURN_BYTES).max(-LAST_BYTES);
        }
        while self.has_budget(printer) || self.is_ending() {
            let Some(next) = self.next_text(&mut looks) else {
                if looks != 0 {
                    self.print_end(printer);
                }
                return;
            };
            if !self.has_budget(printer) {
                self.state.next = Some(next);
                return;
            }
            match next {
                (ConsoleRecord::Text(text), from) => match printer.format {
                    Format::Lines => self.append(text, from, printer),
                    Format::Pieces => self.put_pieces(&text.bytes()[from..], printer.output),
                },
                (ConsoleRecord::Notice { .. }, _) => self.print_notice(next.0, printer),
                // Never there: nothing that a VMM can say.
                (ConsoleRecord::Verdict(_) | ConsoleRecord::VmDied { .. }, _) => {}
            }
        }
    }

    /// The next record of the console ring that counts, if there is one. Takes at most `looks`.
    fn next_text(&mut self, looks: &mut usize) -> Option<(ConsoleRecord, usize)> {
        loop {
            let next = match self.state.next.take() {
                Some(next) => next,
                None => (self.take_text(looks)?, 0),
            };
            let position = self.text.position().taken() - 1;
            if !self.is_deadly(Ring::Text, position) {
                return Some(next);
            }
            self.state.missing_text += 1;
            self.state.vmm.note(Misdeed::Deadly(Some(position)));
        }
    }

    /// Takes the next record out of the ring, as [`next_text`](Self::next_text).
    fn take_text(&mut self, looks: &mut usize) -> Option<ConsoleRecord> {
        loop {
            if self.is_ending() && self.state.end?.records_left == 0 {
                return None;
            }
            if self.state.vmm.is_closed() {
                return None;
            }
            *looks = looks.checked_sub(1)?;
            let taken = self.text.take();
            self.state.vmm.note_ring(&self.text);
            let item = taken?;
            if item.lost_before != 0 {
                self.state.vmm.note(Misdeed::Gap);
            }
            let left = self.state.end.as_mut().map(|end| {
                let left = end.records_left;
                end.records_left = left.saturating_sub(1);
                left
            });
            if left == Some(0) {
                self.state.vmm.note(Misdeed::AfterEnd);
                continue;
            }
            match ConsoleRecord::from_words(&item.payload) {
                Some(record @ (ConsoleRecord::Text(_) | ConsoleRecord::Notice { .. })) => {
                    return Some(record);
                }
                Some(ConsoleRecord::Verdict(_) | ConsoleRecord::VmDied { .. }) | None => {
                    self.state.vmm.note(Misdeed::Kind);
                }
            }
        }
    }

    fn print_notice(
        &mut self,
        record: ConsoleRecord,
        printer: &mut Printer<'_, impl Host, impl Output>,
    ) {
        let ConsoleRecord::Notice {
            time,
            notice,
            number,
            address,
            pc,
        } = record
        else {
            return;
        };
        if let Notice::Ended(reason) = notice {
            if !reason.is_a_vmms() {
                self.state.vmm.note(Misdeed::Kind);
            } else if self.state.end.is_some() {
                self.state.vmm.note(Misdeed::AfterEnd);
            } else {
                let reason = Reason {
                    reason,
                    about: address,
                    pc,
                };
                match self.ends {
                    Ends::Unwatched => self.end(time, reason),
                    Ends::Watched => {
                        let name = self.config.name();
                        let claim = format_args!("warn  {name}: its VMM says: {reason}");
                        self.print(Printing::Line, time, claim, printer);
                    }
                }
            }
            return;
        }
        let text = NoticeText {
            notice,
            number,
            address,
            pc,
        };
        let (mask, severity) = text.severity();
        if self.config.logger().contains(mask) {
            let name = self.config.name();
            let line = format_args!("{severity} {name}: {text}");
            self.print(Printing::Line, time, line, printer);
        }
    }

    /// Prints the characters from this one on; what the line has no room for waits.
    fn append(
        &mut self,
        text: Text,
        from: usize,
        printer: &mut Printer<'_, impl Host, impl Output>,
    ) {
        for (at, byte) in text.bytes().iter().enumerate().skip(from) {
            let is_end = *byte == b'\n';
            if is_end || self.state.line.is_full() {
                if !self.has_budget(printer) {
                    self.state.next = Some((ConsoleRecord::Text(text), at));
                    return;
                }
                self.state.next = Some((ConsoleRecord::Text(text), at + usize::from(is_end)));
                self.print_line(text.time, printer);
            }
            if !matches!(byte, b'\n' | b'\r') {
                // There is room: a full line was printed above.
                self.state.line.push(*byte);
                self.state.printed += 1;
            }
        }
        self.state.next = None;
    }

    /// Prints the characters as they are, and before them those of a line that has begun.
    fn put_pieces(&mut self, printed: &[u8], output: &mut impl Output) {
        let line = core::mem::take(&mut self.state.line);
        (self.state.begun, self.state.next) = (0, None);
        for bytes in line.as_bytes().chunks(PIECE_BYTES).chain([printed]) {
            let piece = Piece::new(self.number, bytes);
            self.put(Printing::Text, piece.as_bytes(), output);
        }
    }

    /// The line has ended: it is printed as a whole, once, whatever of it was shown before.
    pub(super) fn print_line(
        &mut self,
        time: u64,
        printer: &mut Printer<'_, impl Host, impl Output>,
    ) {
        let (name, line) = (self.config.name(), core::mem::take(&mut self.state.line));
        self.state.begun = 0;
        self.print(
            Printing::Text,
            time,
            format_args!("{name}| {line}"),
            printer,
        );
    }

    /// Called at each wake-up of the clock: shows a line that has not gone on since the last one,
    /// which may be a prompt. It is no line yet, and told from one by its sign: nobody else's words
    /// may come to stand behind a guest's, so when it goes on it is printed anew.
    pub fn print_beginning(&mut self, printer: &mut Printer<'_, impl Host, impl Output>) {
        let printed = self.state.printed;
        let before = core::mem::replace(&mut self.state.printed_before, printed);
        let (name, line) = (self.config.name(), self.state.line);
        let is_still = before == printed && self.is_asleep;
        if is_still && line.len() > self.state.begun && self.has_budget(printer) {
            self.state.begun = line.len();
            let now = printer.look_at_clock();
            self.print(Printing::Text, now, format_args!("{name}> {line}"), printer);
        }
    }
}
