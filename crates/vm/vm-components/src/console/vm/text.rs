//! What a VM's guest prints, and what its VMM says: the records of the console ring.
//!
//! Invariant: a guest's line follows the VM's name and holds no control characters; what a VMM cannot
//! say is counted and printed nowhere.

use super::{Ends, LAST_BYTES, VmConsole};
use crate::Host;
use crate::console::line::{Printer, printable};
use crate::console::log_lines::{NoticeText, Reason};
use crate::console::{Output, TURN_BYTES};
use trace_records::{CONSOLE_SLOTS, ConsoleRecord, Misdeed, Notice, Text};

/// Characters of a guest's line; a longer one is broken.
pub(super) const GUEST_LINE_BYTES: usize = 200;

impl VmConsole {
    /// Prints what the guest printed while the serial line has room, and then the VM's end if it
    /// has come. The rest waits in its ring, and the guest sees a busy serial port.
    pub fn print_text(&mut self, printer: &mut Printer<'_, impl Host, impl Output>) {
        let mut looks = CONSOLE_SLOTS;
        if self.is_ending() {
            // A turn of it: others wait meanwhile.
            printer.spared = (*printer.share - TURN_BYTES).max(-LAST_BYTES);
        }
        while printer.has_budget() || self.is_ending() {
            let Some(next) = self.next_text(&mut looks) else {
                if looks != 0 {
                    self.print_end(printer);
                }
                return;
            };
            if !printer.has_budget() {
                self.next = Some(next);
                return;
            }
            match next {
                (ConsoleRecord::Text(text), from) => self.append(text, from, printer),
                (ConsoleRecord::Notice { .. }, _) => self.print_notice(next.0, printer),
                // Never there: nothing that a VMM can say.
                (ConsoleRecord::Verdict(_) | ConsoleRecord::VmDied { .. }, _) => {}
            }
        }
    }

    /// The next record of the console ring that counts, if there is one. Takes at most `looks`.
    fn next_text(&mut self, looks: &mut usize) -> Option<(ConsoleRecord, usize)> {
        if let Some(next) = self.next.take() {
            return Some(next);
        }
        loop {
            if self.is_ending() && self.end.as_ref()?.records_left == 0 {
                return None;
            }
            if self.vmm.is_closed() {
                return None;
            }
            *looks = looks.checked_sub(1)?;
            let popped = self.text.pop();
            self.vmm.note_ring(&self.text);
            let item = popped?;
            if item.lost_before != 0 {
                self.vmm.note(Misdeed::Gap);
            }
            let left = self.end.as_mut().map(|end| {
                let left = end.records_left;
                end.records_left = left.saturating_sub(1);
                left
            });
            if left == Some(0) {
                self.vmm.note(Misdeed::AfterEnd);
                continue;
            }
            match ConsoleRecord::from_words(&item.payload) {
                Some(record @ (ConsoleRecord::Text(_) | ConsoleRecord::Notice { .. })) => {
                    return Some((record, 0));
                }
                Some(ConsoleRecord::Verdict(_) | ConsoleRecord::VmDied { .. }) | None => {
                    self.vmm.note(Misdeed::Kind);
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
                self.vmm.note(Misdeed::Kind);
            } else if self.end.is_some() {
                self.vmm.note(Misdeed::AfterEnd);
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
                        printer.print(time, claim);
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
            printer.print(time, format_args!("{severity} {name}: {text}"));
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
            if *byte == b'\n' || self.line.len() == GUEST_LINE_BYTES {
                if !printer.has_budget() {
                    self.next = Some((ConsoleRecord::Text(text), at));
                    return;
                }
                self.print_line(text.time, printer);
            }
            if !matches!(byte, b'\n' | b'\r') {
                // There is room: a full line was printed above.
                let _ = self.line.push(char::from(printable(*byte)));
                self.printed += 1;
            }
        }
    }

    /// The line has ended: it is printed as a whole, once, whatever of it was shown before.
    pub(super) fn print_line(
        &mut self,
        time: u64,
        printer: &mut Printer<'_, impl Host, impl Output>,
    ) {
        printer.print(time, format_args!("{}| {}", self.config.name(), self.line));
        self.line.clear();
        self.begun = 0;
    }

    /// Called at each wake-up of the clock: shows a line that has not gone on since the last one,
    /// which may be a prompt. It is no line yet, and told from one by its sign: nobody else's words
    /// may come to stand behind a guest's, so when it goes on it is printed anew.
    pub fn print_beginning(&mut self, printer: &mut Printer<'_, impl Host, impl Output>) {
        let before = core::mem::replace(&mut self.printed_before, self.printed);
        let is_still = before == self.printed && self.is_asleep;
        if is_still && self.line.len() > self.begun && printer.has_budget() {
            self.begun = self.line.len();
            let now = printer.look_at_clock();
            printer.print(now, format_args!("{}> {}", self.config.name(), self.line));
        }
    }
}
