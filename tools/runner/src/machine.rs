//! A machine that an emulator runs, as `run` sees it: lines, its report page, memory, and an end.
//!
//! Each emulator is a file of the folder. Invariant: a machine ends when it is dropped.

pub(crate) mod bochs;
mod multiboot;
pub(crate) mod qemu;
mod qmp;

use crate::Failure;
use oversight::Report;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender};

/// A machine that is ready to be started.
pub(crate) enum Boot {
    Qemu(qemu::Boot),
    Bochs(bochs::Boot),
}

impl Boot {
    /// What starts it.
    pub(crate) fn command(&self) -> &Command {
        match self {
            Self::Qemu(boot) => boot.command(),
            Self::Bochs(boot) => boot.command(),
        }
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// That the emulator is missing, or what the host refuses.
    pub(crate) fn start(self) -> Result<Box<dyn Machine>, Failure> {
        Ok(match self {
            Self::Qemu(boot) => Box::new(boot.start()?),
            Self::Bochs(boot) => Box::new(boot.start()?),
        })
    }
}

/// A running machine.
pub(crate) trait Machine {
    /// The lines of its serial ports, which end when it does.
    fn lines(&self) -> &Receiver<String>;

    /// Waits for the end of the emulator, and tells it in words.
    fn ending(&mut self) -> String;

    /// Looks at the report page, which is at this physical address. The machine goes on.
    ///
    /// # Errors
    ///
    /// Why that cannot be, in a sentence.
    fn look(&mut self, report_page: u64) -> Result<Look, String>;

    /// Writes pieces of physical memory, each with its start and length in bytes, to `file`,
    /// one after the other. The machine does not go on.
    ///
    /// # Errors
    ///
    /// Why that cannot be, in a sentence.
    fn dump(&mut self, pieces: &[(u64, u64)], file: &Path) -> Result<(), String>;
}

/// What a look at a machine shows.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Look {
    /// The report page, if somebody has begun it.
    pub(crate) report: Option<Report>,
    /// The machine has switched itself off: no line will come.
    pub(crate) is_off: bool,
}

/// Sends the lines of `output` as they come, from a thread of its own.
pub(crate) fn send_lines(output: impl Read + Send + 'static, lines: Sender<String>) {
    std::thread::spawn(move || send_each_line(output, &lines));
}

/// Sends the lines of `output` as they come, until it ends or nobody wants them.
pub(crate) fn send_each_line(output: impl Read, lines: &Sender<String>) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
        let text = String::from_utf8_lossy(&line);
        if lines.send(text.trim_end().to_owned()).is_err() {
            break;
        }
        line.clear();
    }
}
