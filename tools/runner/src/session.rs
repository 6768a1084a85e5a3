//! A session: what is typed at a system and what has to come, from a file.
//!
//! ```text
//!   # logs in
//!   within 20
//!   expect login:
//!   send root\r
//!   expect \x23
//!   send poweroff\r
//! ```
//!
//! `expect TEXT` waits for the text in all that the console prints, behind what the `expect` before it has found;
//! `send TEXT` types; `within SECONDS` says how long each `expect` from there on may take, of the machine's time, as the
//! stamps of its lines tell it; `end` ends the run, well. In a text `\n`, `\r`, `\t`, `\\` and `\xNN` stand for a byte,
//! and blanks around it do not count. Used by `runner run --script` and by the system tests. Invariant: nothing here sleeps;
//! a mistake in the file is told before anything boots.

use crate::typing::{Follower, Keyboard};
use crate::{Failure, Heard};
use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long an `expect` may take, if nothing is said.
const USUAL: Duration = Duration::from_secs(30);
/// A machine that says nothing has no time that one sees: then the host's counts, which has to be so many times
/// as much, and so much more.
const HOST_TIMES: u32 = 4;
const HOST_MORE: Duration = Duration::from_secs(20);
/// What is shown of the last output, in bytes.
const SHOWN: usize = 400;

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Expect(Vec<u8>),
    Send(Vec<u8>),
    Within(Duration),
    End,
}

/// See the file's header.
pub struct Session {
    file: String,
    /// Each with the number of its line.
    steps: Vec<(usize, Step)>,
    at: usize,
    within: Duration,
    /// The machine runs.
    has_begun: bool,
    keyboard: Option<Keyboard>,
    /// The last of what has come and no `expect` has found.
    output: Vec<u8>,
    /// The beginning of a line that is in `output` already.
    begun: Vec<u8>,
    /// The machine's time, as far as it has told it.
    now: Duration,
    /// When the step at `at` began: the machine's time, and the host's.
    began: (Duration, Instant),
}

impl Session {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`Failure::Config`], with the line and what can be there.
    pub fn load(file: &Path) -> Result<Self, Failure> {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file)
            .map_err(|error| Failure::Host(format!("cannot read {name}: {error}")))?;
        Self::parse(&name, &text)
    }

    /// The same, of a text.
    ///
    /// # Errors
    ///
    /// [`Failure::Config`].
    pub fn parse(name: &str, text: &str) -> Result<Self, Failure> {
        let mut steps = Vec::new();
        let mut mistakes = String::new();
        for (line, number) in text.lines().zip(1..) {
            match step(line) {
                Ok(Some(step)) => steps.push((number, step)),
                Ok(None) => {}
                Err(mistake) => mistake.write_to(&mut mistakes, name, number, line),
            }
        }
        if !mistakes.is_empty() {
            return Err(Failure::Config(mistakes));
        }
        Ok(Self {
            file: name.to_owned(),
            steps,
            at: 0,
            within: USUAL,
            has_begun: false,
            keyboard: None,
            output: Vec::new(),
            begun: Vec::new(),
            now: Duration::ZERO,
            began: (Duration::ZERO, Instant::now()),
        })
    }

    fn hear(&mut self, heard: &Heard) {
        match heard {
            Heard::Line(line) => {
                if let Some(stamp) = stamp(line) {
                    self.now = self.now.max(stamp);
                }
                self.add(line.as_bytes());
                self.output.push(b'\n');
                self.begun.clear();
            }
            Heard::Beginning(line) => {
                self.add(line.as_bytes());
                self.begun = line.clone().into_bytes();
            }
            Heard::Printed { bytes, .. } => self.output.extend(bytes),
        }
    }

    /// A line, of which some may have been seen.
    fn add(&mut self, line: &[u8]) {
        self.output
            .extend(line.strip_prefix(&self.begun[..]).unwrap_or(line));
    }

    /// Takes the steps that can be taken.
    fn go_on(&mut self) -> ControlFlow<Result<(), String>> {
        while let Some((number, step)) = self.steps.get(self.at) {
            match step {
                Step::Within(time) => self.within = *time,
                Step::Send(bytes) => match &self.keyboard {
                    Some(keyboard) => keyboard.type_in(bytes.iter().copied()),
                    None => {
                        let reason = "nobody can type at this machine";
                        return ControlFlow::Break(Err(format!(
                            "{}:{number}: {reason}",
                            self.file
                        )));
                    }
                },
                Step::End => return ControlFlow::Break(Ok(())),
                Step::Expect(text) => match find(&self.output, text) {
                    Some(end) => drop(self.output.drain(..end)),
                    None => {
                        // It can only begin in the last of it: a flood is not searched again and again.
                        let kept = text.len().max(SHOWN);
                        self.output.drain(..self.output.len().saturating_sub(kept));
                        return self.wait();
                    }
                },
            }
            self.at += 1;
            self.began = (self.now, Instant::now());
        }
        ControlFlow::Continue(())
    }

    fn wait(&self) -> ControlFlow<Result<(), String>> {
        let (began, host_began) = self.began;
        let most_of_host = self.within.saturating_mul(HOST_TIMES) + HOST_MORE;
        let is_late = self.now.saturating_sub(began) > self.within;
        match is_late || host_began.elapsed() > most_of_host {
            true => ControlFlow::Break(Err(self.unmet("did not come in time"))),
            false => ControlFlow::Continue(()),
        }
    }

    fn unmet(&self, why: &str) -> String {
        let Some((number, step)) = self.steps.get(self.at) else {
            return why.to_owned();
        };
        let what = match step {
            Step::Expect(text) => text.escape_ascii().to_string(),
            _ => "the step".to_owned(),
        };
        let last = &self.output[self.output.len().saturating_sub(SHOWN)..];
        let last = String::from_utf8_lossy(last);
        format!(
            "{}:{number}: `{what}` {why} (within {} s); the last output: {last}",
            self.file,
            self.within.as_secs_f64()
        )
    }
}

impl Follower for Session {
    fn begins(&mut self, keyboard: Option<Keyboard>) {
        self.has_begun = true;
        self.keyboard = keyboard;
        self.began = (Duration::ZERO, Instant::now());
    }

    fn follow(&mut self, heard: Option<&Heard>) -> ControlFlow<Result<(), String>> {
        if !self.has_begun {
            return ControlFlow::Continue(());
        }
        if let Some(heard) = heard {
            self.hear(heard);
        }
        self.go_on()
    }

    fn has_seen_all(&mut self) -> Result<(), String> {
        match self.at < self.steps.len() {
            true => Err(self.unmet("did not come before the run ended")),
            false => Ok(()),
        }
    }
}

/// Where a text ends in what has come.
fn find(output: &[u8], text: &[u8]) -> Option<usize> {
    let mut places = output.windows(text.len().max(1));
    places
        .position(|place| place == text)
        .map(|at| at + text.len())
}

/// The time that a line of the console begins with: `[   1.234567] …`.
pub(crate) fn stamp(line: &str) -> Option<Duration> {
    let (stamp, _) = line.strip_prefix('[')?.split_once(']')?;
    Duration::try_from_secs_f64(stamp.trim().parse().ok()?).ok()
}

/// What is wrong with a line, from which column to which.
struct Mistake {
    title: String,
    columns: std::ops::Range<usize>,
    help: &'static str,
}

impl Mistake {
    fn write_to(&self, text: &mut String, file: &str, number: usize, line: &str) {
        let column = self.columns.start + 1;
        let margin = " ".repeat(number.to_string().len());
        let before = " ".repeat(self.columns.start);
        let carets = "^".repeat(self.columns.len().max(1));
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "error: {}\n{margin}--> {file}:{number}:{column}\n{margin} |\n{number} | {line}\n\
             {margin} | {before}{carets}\n{margin} |\n{margin} = help: {}",
            self.title, self.help
        );
    }
}

const STEPS: &str =
    "there is `expect TEXT`, `send TEXT`, `within SECONDS`, `end`; `#` begins a comment";

/// The step on a line, if there is one.
fn step(line: &str) -> Result<Option<Step>, Mistake> {
    let trimmed = line.trim();
    if trimmed.is_empty() || trimmed.starts_with('#') {
        return Ok(None);
    }
    let first = line.len() - line.trim_start().len();
    let (word, rest) = trimmed
        .split_once(char::is_whitespace)
        .unwrap_or((trimmed, ""));
    let argument = rest.trim();
    let place = first + trimmed.len() - argument.len();
    let columns_of_word = first..first + word.chars().count();
    let text = || match argument.is_empty() {
        true => Err(Mistake {
            title: format!("`{word}` without a text"),
            columns: columns_of_word.clone(),
            help: STEPS,
        }),
        false => unescape(argument, place),
    };
    Ok(Some(match word {
        "expect" => Step::Expect(text()?),
        "send" => Step::Send(text()?),
        "end" if argument.is_empty() => Step::End,
        "within" => {
            let seconds = argument.parse().ok().filter(|seconds| *seconds > 0.0);
            let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            Step::Within(time.ok_or_else(|| Mistake {
                title: format!("`{argument}` is no time"),
                columns: place..place + argument.chars().count(),
                help: "seconds, such as `within 10` or `within 0.5`",
            })?)
        }
        _ => {
            return Err(Mistake {
                title: format!("`{trimmed}` is no step of a session"),
                columns: columns_of_word,
                help: STEPS,
            });
        }
    }))
}

/// The bytes that a text stands for.
fn unescape(text: &str, place: usize) -> Result<Vec<u8>, Mistake> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let len = match (c, rest.get(1..2)) {
            ('\\', Some("n")) => escaped(&mut bytes, b'\n', 2),
            ('\\', Some("r")) => escaped(&mut bytes, b'\r', 2),
            ('\\', Some("t")) => escaped(&mut bytes, b'\t', 2),
            ('\\', Some("\\")) => escaped(&mut bytes, b'\\', 2),
            ('\\', x) => {
                let digits = rest.get(2..4).filter(|_| x == Some("x"));
                let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                let byte = byte.ok_or_else(|| {
                    let before = text[..text.len() - rest.len()].chars().count();
                    Mistake {
                        title: "a `\\` that stands for nothing".into(),
                        columns: place + before..place + before + 1,
                        help: "there is `\\n`, `\\r`, `\\t`, `\\\\` and `\\x1b`, two hexadecimal digits",
                    }
                })?;
                escaped(&mut bytes, byte, 4)
            }
            (c, _) => {
                bytes.extend(c.encode_utf8(&mut [0; 4]).bytes());
                c.len_utf8()
            }
        };
        rest = &rest[len..];
    }
    Ok(bytes)
}

fn escaped(bytes: &mut Vec<u8>, byte: u8, len: usize) -> usize {
    bytes.push(byte);
    len
}

#[cfg(test)]
mod tests;
