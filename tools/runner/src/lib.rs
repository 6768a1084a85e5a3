//! Boots the configurations of one or several VMs under QEMU and watches its console.
//!
//! Used by the `runner` program and by the system tests. Invariant: a run ends by the
//! verdict line, by the line it was to wait for, by the end of QEMU, or by its deadline, and
//! never by a sleep; only the first two can be success.

pub mod bench;
mod description;
mod qmp;
mod system;
mod vms;

pub use system::{Architecture, BoardModel, Microkit, Platform, Unikernel};
pub use vms::{configurations, system_description};

use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use vdev_trace::compile::{Compiled, compile_all};

/// The line that ends a run well.
const VERDICT_OK: &str = "verdict: ok";
const VERDICT: &str = "verdict: ";

/// How a system is to be run.
pub struct Request<'a> {
    /// The VMs' configurations, in the order of the VMs' numbers.
    pub configs: &'a [PathBuf],
    /// Where the images are that `load` names.
    pub images: &'a Path,
    /// Where the run's files go.
    pub work: &'a Path,
    /// What hosts the VMs.
    pub platform: &'a Platform,
    /// `-icount shift=N`: the machine's clock counts instructions, 2^N ns each.
    pub icount: Option<u32>,
    /// Where to put a dump of the machine's memory, taken at the verdict.
    pub dump: Option<PathBuf>,
    /// A part of a line that ends the run well, of a guest that does not end.
    pub until: Option<&'a str>,
    /// How long the run may take.
    pub deadline: Duration,
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

/// Runs a system. Each line of its console goes to `show` as it comes, the command first.
///
/// # Errors
///
/// See [`Failure`].
pub fn run(request: &Request<'_>, mut show: impl FnMut(&str)) -> Result<Transcript, Failure> {
    let compiled = compile_for(request.platform.system(), request.configs, request.images)?;
    let mut command = request
        .platform
        .command(request, &compiled)
        .map_err(Failure::Host)?;
    if let Some(shift) = request.icount {
        command.args(["-icount", &format!("shift={shift},sleep=off")]);
    }
    let socket = request.work.join("qmp.sock");
    if request.dump.is_some() {
        // The machine stays when it switches itself off, so that it can be looked at.
        command.arg("-no-shutdown").arg("-qmp");
        let place = system::option_value(&socket);
        command.arg(format!("unix:{place},server=on,wait=off"));
    }
    show(&format!("$ {}", system::pasteable(&command)));
    let mut qemu = Qemu::start(command)?;
    let mut transcript = Transcript {
        lines: Vec::new(),
        blobs: compiled.iter().map(|vm| vm.blob.clone()).collect(),
    };
    let deadline = Instant::now() + request.deadline;
    let outcome = loop {
        let rest = deadline.saturating_duration_since(Instant::now());
        match qemu.lines.recv_timeout(rest) {
            Ok(line) => {
                show(&line);
                let verdict = line.starts_with(VERDICT);
                let awaited = request.until.is_some_and(|text| line.contains(text));
                transcript.lines.push(line);
                if awaited {
                    break Ok(());
                }
                if verdict {
                    break Err(None);
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                break Err(Some(format!(
                    "no verdict within {} s",
                    request.deadline.as_secs()
                )));
            }
            Err(RecvTimeoutError::Disconnected) => {
                let status = qemu.status();
                break Err(Some(format!("QEMU ended without a verdict ({status})")));
            }
        }
    };
    let dumped = match &request.dump {
        Some(file) => request.platform.memory(&compiled).and_then(|pieces| {
            qmp::dump(&socket, &pieces, file).map_err(|error| error.to_string())
        }),
        None => Ok(()),
    };
    // Why the run failed is worth more than why there is nothing to look at.
    if let Err(outcome) = outcome
        && let Some(reason) = transcript.failure(outcome)
    {
        return Err(Failure::System { transcript, reason });
    }
    dumped.map_err(|error| Failure::Host(format!("no memory dump: {error}")))?;
    Ok(transcript)
}

/// Compiles the VMs' configurations and holds them against the system description, if there is
/// one.
///
/// # Errors
///
/// [`Failure::Config`], or that the system description cannot be read.
pub fn compile_for(
    system: Option<&Path>,
    configs: &[PathBuf],
    images: &Path,
) -> Result<Vec<Compiled>, Failure> {
    let compiled = compile_all(configs, images).map_err(Failure::Config)?;
    if let Some(system) = system {
        description::check(system, &compiled)?;
    }
    Ok(compiled)
}

impl Transcript {
    /// Why the run is no success, with what the system said of it: it ended without a
    /// verdict, for the reason given, or with a bad one.
    fn failure(&self, without_verdict: Option<String>) -> Option<String> {
        let verdict = self.lines.last().filter(|line| *line != VERDICT_OK);
        let reason = match without_verdict {
            Some(reason) => reason,
            None => verdict?.clone(),
        };
        let cause = |line: &&String| line.starts_with("panic in ") || line.contains("] fatal ");
        Some(match self.lines.iter().rev().find(cause) {
            Some(cause) => format!("{cause} ({reason})"),
            None => reason,
        })
    }
}

/// A running QEMU; it is killed when nobody watches it any more.
struct Qemu {
    child: Child,
    lines: Receiver<String>,
}

impl Qemu {
    fn start(mut command: std::process::Command) -> Result<Self, Failure> {
        let program = command.get_program().display().to_string();
        let package = match program.as_str() {
            "qemu-system-x86_64" => "qemu-system-x86",
            _ => "qemu-system-arm",
        };
        let spawned = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn();
        let mut child = spawned.map_err(|error| {
            Failure::Host(format!(
                "cannot start {program}: {error}; `make setup` installs it \
                 (Debian: apt-get install --no-install-recommends {package})"
            ))
        })?;
        let (sender, lines) = channel();
        if let Some(output) = child.stdout.take() {
            std::thread::spawn(move || {
                let mut output = BufReader::new(output);
                let mut line = Vec::new();
                while output.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
                    let text = String::from_utf8_lossy(&line);
                    if sender.send(text.trim_end().to_owned()).is_err() {
                        break;
                    }
                    line.clear();
                }
            });
        }
        Ok(Self { child, lines })
    }

    fn status(&mut self) -> String {
        match self.child.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
