//! Boots the configurations of one or several VMs under an emulator and watches their console.
//!
//! Used by the `runner` program and by the system tests. Invariant: a run ends by the verdict in
//! the report page, by the line it was to wait for, by the end of the emulator, or by its deadline,
//! and never by a sleep; only the first two can be success.

pub mod attacks;
pub mod bench;
pub mod deaths;
mod description;
mod emulator;
pub mod exits;
mod machine;
mod microkit;
mod outcome;
mod platform;
mod session;
mod shell;
mod typing;
mod unikernel;
mod vms;

pub use emulator::{Emulator, VtX, available};
pub use machine::Heard;
pub use microkit::{Change, Microkit, SystemDescription};
pub use platform::{Platform, of_images};
pub use session::Session;
pub use system_description::{Architecture, Board};
pub use typing::{Follower, Keyboard};
pub use unikernel::Unikernel;
pub use vms::{configurations, on_architecture};

use machine::Machine;
use outcome::{Ends, Outcome};
use oversight::Verdict;
use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;
use vdev_trace::vms::compile::{Compiled, Warnings, compile_all};
use vmconf::images::Images;

/// How a system is to be run.
pub struct Request<'a> {
    /// The VMs' configurations, in the order of the VMs' numbers.
    pub configs: &'a [PathBuf],
    /// Where an image is that `load` names, if not beside the configuration.
    pub images: &'a Path,
    /// Where the run's files go.
    pub work: &'a Path,
    /// What hosts the VMs.
    pub platform: &'a Platform,
    /// The machine's clock counts instructions, 2^N ns each. Under Bochs it always does, and
    /// this says how long one takes.
    pub icount: Option<u32>,
    /// Where to put a dump of the machine's memory, taken at the verdict.
    pub dump: Option<PathBuf>,
    /// What QEMU is to count, and where it is to write that.
    pub counted: Option<Counted>,
    /// A part of a line that ends the run well, of a guest that does not end.
    pub until: Option<&'a str>,
    /// How long the run may take, if not as long as it likes.
    pub deadline: Option<Duration>,
}

/// What QEMU counts with a plugin of ours, in a file.
#[derive(Debug, Clone)]
pub enum Counted {
    /// The instructions of each block (`bench::blocks`).
    Blocks(PathBuf),
    /// The instructions up to each exception, in a log of all exceptions (`exits`).
    Exceptions(PathBuf),
}

impl Request<'_> {
    fn images(&self) -> Images<'_> {
        Images {
            folder: self.images,
            machine: Some(of_images(self.platform.architecture())),
        }
    }
}

/// What a run printed.
#[derive(Debug)]
pub struct Transcript {
    /// The console's lines.
    pub lines: Vec<String>,
    /// The compiled configurations that were booted.
    pub blobs: Vec<Vec<u8>>,
}

/// Why a run is no success.
#[derive(Debug)]
pub enum Failure {
    /// The configuration was refused: diagnostics, ready to print. Nothing was booted.
    Config(String),
    /// Something on the host is missing or did not work.
    Host(String),
    /// The system ran and says why it failed, or nothing more.
    System {
        /// What it printed.
        transcript: Transcript,
        /// Why that is a failure.
        reason: String,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(text) => f.write_str(text.trim_end()),
            Self::Host(text) => write!(f, "error: {text}"),
            Self::System { reason, .. } => write!(f, "error: the run failed: {reason}"),
        }
    }
}

/// Runs a system. What its console says goes to `show` as it comes, the command first.
///
/// # Errors
///
/// See [`Failure`].
pub fn run(request: &Request<'_>, show: impl FnMut(&Heard)) -> Result<Transcript, Failure> {
    run_meddling(request, |_| Ok(()), &mut typing::Looker(show))
}

/// Runs a system that somebody follows, and types at.
///
/// # Errors
///
/// See [`Failure`].
pub fn run_followed(
    request: &Request<'_>,
    follower: &mut dyn Follower,
) -> Result<Transcript, Failure> {
    run_meddling(request, |_| Ok(()), follower)
}

/// The same, after `meddle` has done with the machine what it wants to.
fn run_meddling(
    request: &Request<'_>,
    meddle: impl FnOnce(&mut dyn Machine) -> Result<(), String>,
    follower: &mut dyn Follower,
) -> Result<Transcript, Failure> {
    let compiled = compile(request.configs, request.images())?;
    if let Platform::Microkit(microkit, _) = request.platform {
        microkit.describe(request.work, &compiled)?;
    }
    let report_page = request.platform.report_page(request.work);
    let report_page = report_page.map_err(Failure::Host)?;
    let boot = request
        .platform
        .boot(request, &compiled)
        .map_err(Failure::Host)?;
    let command = format!("$ {}", shell::pasteable(boot.command()));
    if let ControlFlow::Break(Err(reason)) = follower.follow(Some(&Heard::Line(command))) {
        return Err(Failure::Host(reason));
    }
    let mut machine = boot.start()?;
    follower.begins(machine.keyboard());
    let mut transcript = Transcript {
        lines: Vec::new(),
        blobs: compiled.iter().map(|vm| vm.blob.clone()).collect(),
    };
    if let Err(reason) = meddle(&mut *machine) {
        transcript.lines.extend(outcome::printed(&*machine));
        return Err(Failure::System { transcript, reason });
    }
    let ends = Ends {
        report_page,
        until: request.until,
        deadline: request.deadline,
    };
    let mut has_ended_it = false;
    let mut outcome = outcome::watch(&mut *machine, &ends, |heard| {
        let goes_on = follower.follow(heard.as_ref());
        has_ended_it = goes_on.is_break();
        if let Some(Heard::Line(line)) = heard {
            transcript.lines.push(line);
        }
        goes_on
    });
    if !has_ended_it && let Err(unmet) = follower.has_seen_all() {
        outcome = Outcome::Other(match outcome {
            Outcome::Other(reason) => format!("{reason}; {unmet}"),
            Outcome::Verdict(Verdict::Failed) => {
                format!("{}; {unmet}", Verdict::Failed.line().trim_end())
            }
            Outcome::Verdict(Verdict::Ok) | Outcome::Awaited => unmet,
        });
    }
    let dumped = match &request.dump {
        Some(file) => request
            .platform
            .memory(&compiled, request.work)
            .and_then(|pieces| machine.dump(&pieces, file)),
        None => Ok(()),
    };
    // Why the run failed is worth more than why there is nothing to look at.
    if let Some(reason) = transcript.failure(outcome) {
        return Err(Failure::System { transcript, reason });
    }
    dumped.map_err(|error| Failure::Host(format!("no memory dump: {error}")))?;
    Ok(transcript)
}

/// Compiles the VMs' configurations.
///
/// # Errors
///
/// [`Failure::Config`].
pub fn compile(configs: &[PathBuf], images: Images<'_>) -> Result<Vec<Compiled>, Failure> {
    compile_all(configs, images, Warnings::Told).map_err(Failure::Config)
}

impl Transcript {
    /// Why the run is no success, if it is none, with what the system said of it.
    fn failure(&self, outcome: Outcome) -> Option<String> {
        let reason = match outcome {
            Outcome::Awaited | Outcome::Verdict(Verdict::Ok) => return None,
            Outcome::Verdict(verdict) => verdict.line().trim_end().into(),
            Outcome::Other(reason) => reason,
        };
        // What died or hung first is why the rest ended.
        let is_death = |line: &&String| line.starts_with("panic in ") || line.starts_with("hung: ");
        let died = self.lines.iter().find(is_death);
        // Behind its stamp, where no guest writes.
        let is_end = |line: &&String| {
            let words = line.split_once("] ").map(|(_, words)| words);
            words.is_some_and(|words| words.starts_with("fatal "))
        };
        let ended = || self.lines.iter().rev().find(is_end);
        Some(match died.or_else(ended) {
            Some(cause) => format!("{cause} ({reason})"),
            None => reason,
        })
    }
}
