//! A machine that an emulator runs, as `run` sees it: lines, its report page, memory, and an end.
//!
//! Each emulator is a file of the folder. Invariant: a machine ends when it is dropped.

pub(crate) mod bochs;
mod bochs_debugger;
pub(crate) mod code;
mod gdb;
mod multiboot;
pub(crate) mod qemu;
mod qmp;

use crate::{Failure, Keyboard};
use code::Code;
use console_wire::{Decoded, Decoder};
use nix::poll::{PollFd, PollFlags, poll};
use oversight::Report;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, SendError, Sender};

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
    /// What comes out of its serial ports, which end when it does.
    fn heard(&self) -> &Receiver<Heard>;

    /// Where one types at it, if one can. Given once.
    fn keyboard(&mut self) -> Option<Keyboard>;

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

    /// Halts the machine and takes it over.
    ///
    /// # Errors
    ///
    /// Why that cannot be, in a sentence.
    fn debugger(&mut self) -> Result<Box<dyn Debugger + '_>, String>;
}

/// A machine that is halted, of one CPU. Whatever is done to it but [`Self::run`] takes no time there.
///
/// Each of these fails if the emulator does not answer, or refuses.
pub(crate) trait Debugger {
    /// Lets the machine run for about so many instructions.
    fn run(&mut self, instructions: u64) -> io::Result<()>;

    /// Lets the CPU execute one instruction.
    fn step(&mut self) -> io::Result<()>;

    /// Where the CPU is.
    fn pc(&mut self) -> io::Result<u64>;

    /// Lets the CPU go on elsewhere.
    fn set_pc(&mut self, pc: u64) -> io::Result<()>;

    /// The bytes that the CPU executes next, or fewer if they are not there.
    fn next_bytes(&mut self, len_bytes: u64) -> io::Result<Vec<u8>>;

    /// Reads physical memory.
    fn physical(&mut self, first: u64, len_bytes: u64) -> io::Result<Vec<u8>>;

    /// The counter that the components read. `code` is that of the protection domain that the CPU
    /// executes.
    fn now(&mut self, code: &Code) -> io::Result<u64>;

    /// Lets the machine go.
    fn let_go(&mut self) -> io::Result<()>;
}

/// What a look at a machine shows.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Look {
    /// The report page, if somebody has begun it.
    pub(crate) report: Option<Report>,
    /// The machine has switched itself off: no line will come.
    pub(crate) is_off: bool,
}

/// What comes out of a serial port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A line, whole, without its end.
    Line(String),
    /// A line as far as it has come, when no more of it has come for a moment. It comes again.
    Beginning(String),
    /// What a VM has printed, where that comes in pieces (`console_wire`).
    Printed {
        /// The VM's number.
        vm: u8,
        /// As it has printed them.
        bytes: Vec<u8>,
    },
}

/// How long that is.
const MOMENT_MS: u8 = 200;

/// Sends what a serial port says as it comes, from a thread of its own.
pub(crate) fn listen(port: impl Read + AsFd + Send + 'static, heard: Sender<Heard>) {
    // It ends when nobody listens any more.
    std::thread::spawn(move || send_all(port, &heard));
}

/// Sends what a serial port says until it ends.
///
/// # Errors
///
/// Nobody wants it.
fn send_all(mut port: impl Read + AsFd, heard: &Sender<Heard>) -> Result<(), SendError<Heard>> {
    let whole = |line: &[u8]| Heard::Line(String::from_utf8_lossy(line).trim_end().to_owned());
    let (mut line, mut sent) = (Vec::new(), 0);
    let mut decoder = Decoder::default();
    let mut bytes = [0; 4096];
    loop {
        if line.len() > sent && is_silent(&port) {
            let text = String::from_utf8_lossy(&line);
            heard.send(Heard::Beginning(text.trim_end_matches('\r').to_owned()))?;
            sent = line.len();
        }
        let len = match port.read(&mut bytes) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Ok(0) | Err(_) => break,
            Ok(len) => len,
        };
        let mut printed = Printed::default();
        for byte in bytes[..len].iter().filter_map(|byte| decoder.push(*byte)) {
            match byte {
                Decoded::Printed { vm, byte } => printed.push(vm, byte, heard)?,
                Decoded::Text(byte) => {
                    printed.send(heard)?;
                    line.push(byte);
                    if byte == b'\n' {
                        heard.send(whole(&line))?;
                        (line, sent) = (Vec::new(), 0);
                    }
                }
            }
        }
        printed.send(heard)?;
    }
    match line.is_empty() {
        true => Ok(()),
        false => heard.send(whole(&line)),
    }
}

/// What a VM has printed and nobody was sent.
#[derive(Default)]
struct Printed {
    vm: u8,
    bytes: Vec<u8>,
}

impl Printed {
    fn push(&mut self, vm: u8, byte: u8, heard: &Sender<Heard>) -> Result<(), SendError<Heard>> {
        if vm != self.vm {
            self.send(heard)?;
            self.vm = vm;
        }
        self.bytes.push(byte);
        Ok(())
    }

    fn send(&mut self, heard: &Sender<Heard>) -> Result<(), SendError<Heard>> {
        let bytes = std::mem::take(&mut self.bytes);
        match bytes.is_empty() {
            true => Ok(()),
            false => heard.send(Heard::Printed { vm: self.vm, bytes }),
        }
    }
}

/// Whether nothing comes for a moment, not even the end.
fn is_silent(port: &impl AsFd) -> bool {
    let mut ports = [PollFd::new(port.as_fd(), PollFlags::POLLIN)];
    poll(&mut ports, MOMENT_MS) == Ok(0)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::mpsc::channel;

    #[test]
    fn the_beginning_of_a_line_is_told_when_it_does_not_go_on_and_then_the_whole() {
        let (port, mut machine) = std::io::pipe().unwrap();
        let (sender, heard) = channel();
        listen(port, sender);
        machine.write_all(b"hello\r\n> ").unwrap();
        assert_eq!(heard.recv().unwrap(), Heard::Line("hello".into()));
        assert_eq!(heard.recv().unwrap(), Heard::Beginning("> ".into()));
        machine.write_all(b"ls\n\n").unwrap();
        assert_eq!(heard.recv().unwrap(), Heard::Line("> ls".into()));
        assert_eq!(heard.recv().unwrap(), Heard::Line(String::new()));
        machine.write_all(b"\x021a\\J\x03\x022b\x03line\n").unwrap();
        let printed = |vm, bytes: &[u8]| {
            let bytes = bytes.to_vec();
            Heard::Printed { vm, bytes }
        };
        assert_eq!(heard.recv().unwrap(), printed(0, b"a\n"));
        assert_eq!(heard.recv().unwrap(), printed(1, b"b"));
        assert_eq!(heard.recv().unwrap(), Heard::Line("line".into()));
        machine.write_all(b"no end").unwrap();
        drop(machine);
        let last = heard.iter().last();
        assert_eq!(last, Some(Heard::Line("no end".into())));
    }
}
