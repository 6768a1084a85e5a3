//! QEMU: a running machine of it.
//!
//! Called by `run` for all that does not need VT-x, and for that too where the host has it. The
//! machine itself is the platform's (`system`).

use crate::machine::{Machine, send_lines};
use crate::{Failure, Request, qmp, system};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// A machine that is ready to be started.
pub(crate) struct Boot {
    command: Command,
    socket: PathBuf,
}

impl Boot {
    /// Completes a platform's command for a run.
    pub(crate) fn prepare(request: &Request<'_>, mut command: Command) -> Self {
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
        Self { command, socket }
    }

    pub(crate) fn command(&self) -> &Command {
        &self.command
    }

    /// Starts the machine.
    ///
    /// # Errors
    ///
    /// That QEMU is missing.
    pub(crate) fn start(mut self) -> Result<Qemu, Failure> {
        let program = self.command.get_program().display().to_string();
        let package = match program.as_str() {
            "qemu-system-x86_64" => "qemu-system-x86",
            _ => "qemu-system-arm",
        };
        let spawned = self
            .command
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
            send_lines(output, sender);
        }
        Ok(Qemu {
            child,
            lines,
            socket: self.socket,
        })
    }
}

/// A running QEMU; it is killed when nobody watches it any more.
pub(crate) struct Qemu {
    child: Child,
    lines: Receiver<String>,
    socket: PathBuf,
}

impl Machine for Qemu {
    fn lines(&self) -> &Receiver<String> {
        &self.lines
    }

    fn ending(&mut self) -> String {
        let status = match self.child.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        format!("QEMU ended without a verdict ({status})")
    }

    fn dump(&mut self, pieces: &[(u64, u64)], file: &Path) -> Result<(), String> {
        qmp::dump(&self.socket, pieces, file).map_err(|error| error.to_string())
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
