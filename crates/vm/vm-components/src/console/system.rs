//! What whoever watches over the components says: lines, the death of a VM's VMM, and the verdict.
//!
//! Used by the console alone. Invariants: what is printed is printable characters in lines of
//! bounded length, though the lines quote what a dead component has left; the first verdict
//! stays.

use super::line::Line;
use super::{Output, SystemPort};
use crate::console::log_lines::OfAnotherBuild;
use core::fmt::Write;
use shared_ring::{Consumer, RingFault, RingKind};
use trace_records::{CONSOLE_SLOTS, ConsoleRecord, Verdict};

pub(super) struct System {
    ring: Consumer<CONSOLE_SLOTS>,
    line: Line,
    verdict: Option<Verdict>,
    /// That the ring is of another build has been told.
    is_told: bool,
}

impl System {
    pub fn new(port: SystemPort) -> Self {
        Self {
            ring: Consumer::new(port.text, port.text_reader, RingKind::Console),
            line: Line::default(),
            verdict: None,
            is_told: false,
        }
    }

    pub fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    /// Prints what there is, at most a ring of it. Calls `died` for each VM whose VMM has died,
    /// with the time. Returns whether the ring wakes us.
    pub fn print(&mut self, output: &mut impl Output, mut died: impl FnMut(u8, u64)) -> bool {
        for _ in 0..CONSOLE_SLOTS {
            let Some(item) = self.ring.pop() else {
                break;
            };
            match ConsoleRecord::from_words(&item.payload) {
                Some(ConsoleRecord::Text(text)) => self.append(text.bytes(), output),
                Some(ConsoleRecord::VmDied { time, vm }) => died(vm, time),
                Some(ConsoleRecord::Verdict(verdict)) => {
                    self.end_line(output);
                    self.verdict.get_or_insert(verdict);
                }
                Some(ConsoleRecord::Notice { .. }) | None => {}
            }
        }
        self.tell_version(output);
        self.ring.sleep_until(1)
    }

    /// Says that nothing of what the watch says can be read, if that is so.
    fn tell_version(&mut self, output: &mut impl Output) {
        let Some(RingFault::Version(version)) = self.ring.last_fault() else {
            return;
        };
        if !core::mem::replace(&mut self.is_told, true) {
            self.end_line(output);
            let of = OfAnotherBuild {
                who: "the monitor",
                version,
            };
            // What does not fit is cut; nothing else fails.
            let _ = write!(self.line, "{of}");
            self.end_line(output);
        }
    }

    fn append(&mut self, text: &[u8], output: &mut impl Output) {
        for byte in text {
            if *byte == b'\n' || !self.line.push(*byte) {
                self.end_line(output);
            }
        }
    }

    fn end_line(&mut self, output: &mut impl Output) {
        if !self.line.is_empty() {
            output.write(self.line.finish());
            self.line.clear();
        }
    }
}
