//! A run at a terminal: keys go to the VM that is typed at, what it prints comes as it is, as far as a terminal
//! may see it, and lines of the log stand above its prompt or in a file.
//!
//! Called by `run` when its standard input and output are a terminal. Invariant: however the run ends, by its
//! verdict, by Ctrl-A `x`, by a signal or by a panic, the terminal is as it was. What is shown of guests has gone
//! through `console_wire::Filter`.

use console_wire::{Filter, Key, Keys};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::termios::{self, InputFlags, LocalFlags, SetArg, SpecialCharacterIndices, Termios};
use runner::{Failure, Follower, Heard, Keyboard, Request, run_followed};
use std::fs::File;
use std::io::{self, Read, Stdout, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

/// What is kept of a line that has no end, to be shown again below a line of the log.
const BEGUN_BYTES: usize = 1024;
const HELP: &str = "Ctrl-A x ends the run, Ctrl-A 1 to 8 chooses the VM that is typed at, Ctrl-A Ctrl-A is \
                    Ctrl-A for it, Ctrl-A h is this";

/// Runs a system at the terminal. `log` is where the lines of the log go, if not there.
pub(crate) fn run(request: &Request<'_>, log: Option<&Path>) -> Result<(), Failure> {
    let log = log.map(File::create).transpose();
    let log = log.map_err(|error| Failure::Host(format!("cannot write the log: {error}")))?;
    let cannot = |error| Failure::Host(format!("cannot use the terminal: {error}"));
    // Before there is any other thread, which would take the signals.
    let signals: SigSet = ENDING.into_iter().collect();
    signals.thread_block().map_err(cannot)?;
    let raw = Raw::begin().map_err(cannot)?;
    let shared = Arc::new(Mutex::new(Shared {
        screen: Screen::new(io::stdout(), log, request.configs.len()),
        keyboard: None,
        ended: None,
    }));
    wait_for_signals(signals, shared.clone(), raw.before.clone());
    lock(&shared).screen.note(HELP);
    let ran = run_followed(request, &mut Person(shared.clone()));
    let mut shared = lock(&shared);
    shared.screen.end();
    drop(raw);
    match shared.ended {
        Some(Ended::ByKey) => Ok(()),
        Some(Ended::BySignal(signal)) => Err(Failure::Host(format!("ended by {signal}"))),
        None => ran.map(drop),
    }
}

/// Signals that end a program.
const ENDING: [Signal; 4] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
];

/// Who has ended the run.
enum Ended {
    ByKey,
    BySignal(Signal),
}

/// What the threads share: that of the run, that of the keys, and that of the signals.
struct Shared {
    screen: Screen<Stdout>,
    keyboard: Option<Keyboard>,
    ended: Option<Ended>,
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    // Who has panicked over it leaves what can be shown.
    shared
        .lock()
        .unwrap_or_else(|panicked| panicked.into_inner())
}

/// Ends the run when a signal says so. Before there is a machine there is nothing to end but this program.
fn wait_for_signals(signals: SigSet, shared: Arc<Mutex<Shared>>, before: Termios) {
    std::thread::spawn(move || {
        let Ok(signal) = signals.wait() else {
            return;
        };
        let mut shared = lock(&shared);
        shared.ended = Some(Ended::BySignal(signal));
        match &shared.keyboard {
            Some(keyboard) => keyboard.switch_off(),
            None => {
                let _ = termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &before);
                std::process::exit(128 + signal as i32);
            }
        }
    });
}

/// The terminal gives each key as it is pressed, and shows none, as long as this lives. What is printed goes on to be
/// translated: a line feed begins a line.
struct Raw {
    before: Termios,
}

impl Raw {
    fn begin() -> nix::Result<Self> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.input_flags.remove(
            InputFlags::IXON
                | InputFlags::ICRNL
                | InputFlags::INLCR
                | InputFlags::IGNCR
                | InputFlags::BRKINT
                | InputFlags::ISTRIP,
        );
        raw.local_flags
            .remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG | LocalFlags::IEXTEN);
        raw.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
        raw.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &raw)?;
        Ok(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // There is nowhere else to say that it fails.
        let _ = termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &self.before);
    }
}

/// Whoever sits at the terminal.
struct Person(Arc<Mutex<Shared>>);

impl Follower for Person {
    fn begins(&mut self, keyboard: Option<Keyboard>) {
        let Some(keyboard) = keyboard else {
            return lock(&self.0).screen.note("nobody can type at this machine");
        };
        keyboard.type_in(Key::Pieces.bytes());
        lock(&self.0).keyboard = Some(keyboard.clone());
        let shared = self.0.clone();
        std::thread::spawn(move || pass_keys_on(&keyboard, &shared));
    }

    fn follow(&mut self, heard: Option<&Heard>) -> ControlFlow<Result<(), String>> {
        let screen = &mut lock(&self.0).screen;
        match heard {
            Some(Heard::Line(line)) => screen.line(line),
            Some(Heard::Printed { vm, bytes }) => screen.printed(*vm, bytes),
            // It comes again, whole.
            Some(Heard::Beginning(_)) | None => {}
        }
        ControlFlow::Continue(())
    }
}

/// Reads keys until there are no more, which ends typing and not the run.
fn pass_keys_on(keyboard: &Keyboard, shared: &Mutex<Shared>) {
    let mut keys = Keys::default();
    for byte in io::stdin().lock().bytes().map_while(Result::ok) {
        match keys.press(byte) {
            Some(Key::End) => {
                lock(shared).ended = Some(Ended::ByKey);
                return keyboard.switch_off();
            }
            Some(Key::Help | Key::Unknown) => lock(shared).screen.note(HELP),
            Some(key) => {
                if let Key::Choose(vm) = key {
                    lock(shared).screen.choose(vm);
                }
                keyboard.type_in(key.bytes());
            }
            None => {}
        }
    }
}

/// What a person sees.
struct Screen<W> {
    output: W,
    log: Option<File>,
    /// The VM that is shown.
    vm: usize,
    vms: Vec<Shown>,
}

/// What a VM's terminal shows, as far as it is kept.
#[derive(Default)]
struct Shown {
    filter: Filter,
    /// Of the line that has no end yet.
    begun: Vec<u8>,
}

/// The beginning of the line, which is erased; and what colours there were end.
const ANEW: &[u8] = b"\r\x1b[0m\x1b[K";

impl<W: Write> Screen<W> {
    fn new(output: W, log: Option<File>, vms: usize) -> Self {
        Self {
            output,
            log,
            vm: 0,
            vms: (0..vms).map(|_| Shown::default()).collect(),
        }
    }

    /// A line of the log.
    fn line(&mut self, line: &str) {
        match &mut self.log {
            Some(log) => drop(writeln!(log, "{line}")),
            None => self.note(line),
        }
    }

    /// A line above the one that has begun. What comes from a machine is no more than its text.
    fn note(&mut self, line: &str) {
        let text: String = line
            .chars()
            .map(|c| if c.is_control() { '?' } else { c })
            .collect();
        self.show(&[ANEW, text.as_bytes(), b"\n"]);
        self.show_begun();
    }

    fn printed(&mut self, vm: u8, bytes: &[u8]) {
        let vm = usize::from(vm);
        let Some(shown) = self.vms.get_mut(vm) else {
            return;
        };
        let mut seen = Vec::new();
        for byte in bytes {
            shown.filter.push(*byte, |part| {
                seen.extend(part);
                match part {
                    b"\n" => shown.begun.clear(),
                    part if shown.begun.len() < BEGUN_BYTES => shown.begun.extend(part),
                    _ => {}
                }
            });
        }
        if vm == self.vm {
            self.show(&[&seen]);
        }
    }

    /// Another VM is typed at, and shown.
    fn choose(&mut self, vm: u8) {
        if usize::from(vm) < self.vms.len() {
            self.vm = vm.into();
            self.show(&[ANEW]);
            self.show_begun();
        }
    }

    fn show_begun(&mut self) {
        if let Some(shown) = self.vms.get(self.vm) {
            let begun = shown.begun.clone();
            self.show(&[&begun]);
        }
    }

    fn end(&mut self) {
        self.show(&[b"\x1b[0m\r\n"]);
    }

    /// The terminal may be gone, which ends nothing by itself.
    fn show(&mut self, parts: &[&[u8]]) {
        for part in parts {
            let _ = self.output.write_all(part);
        }
        let _ = self.output.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(work: impl FnOnce(&mut Screen<&mut Vec<u8>>)) -> String {
        let mut output = Vec::new();
        work(&mut Screen::new(&mut output, None, 2));
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn a_line_of_the_log_stands_above_the_prompt() {
        let text = shown(|screen| {
            screen.printed(0, b"hello\r\nlogin: ");
            screen.line("[ 1.0] warn \x1b]0;x");
        });
        let anew = "\r\x1b[0m\x1b[K";
        assert_eq!(
            text,
            format!("hello\r\nlogin: {anew}[ 1.0] warn ?]0;x\nlogin: ")
        );
    }

    #[test]
    fn only_the_vm_that_is_typed_at_is_shown_and_another_s_prompt_when_it_is_chosen() {
        let text = shown(|screen| {
            screen.printed(1, b"out of sight\r\nother> ");
            screen.printed(0, b"one> ");
            screen.choose(1);
            screen.choose(7);
        });
        assert_eq!(text, "one> \r\x1b[0m\x1b[Kother> ");
    }

    #[test]
    fn of_a_guest_s_bytes_a_terminal_gets_what_is_permitted() {
        let text = shown(|screen| screen.printed(0, b"\x1b]0;t\x07\x1b[31mred\x1b[6n"));
        assert_eq!(text, "\x1b[31mred");
    }
}
