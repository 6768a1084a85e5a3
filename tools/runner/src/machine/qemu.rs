//! QEMU: a running machine of it.
//!
//! Called by `run` for all that does not need VT-x, and for that too where the host has it. What
//! machine it is to be, whoever boots one says (`unikernel`, `emulator`), by the command's arguments.

use super::gdb::Gdb;
use super::qmp::Qmp;
use super::{Debugger, Heard, Look, Machine, listen, send_lines};
use crate::{Counted, Failure, Keyboard, Request, bench};
use oversight::{Report, ReportPage};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long what QEMU has said last may take to get here.
const PATIENCE: Duration = Duration::from_secs(5);

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
        if let Some(counted) = &request.counted {
            count(&mut command, counted);
        }
        let socket = request.work.join("qmp.sock");
        // The machine stays when it switches itself off, so that it can be looked at.
        command.arg("-no-shutdown").arg("-qmp");
        let place = option_value(&socket);
        command.arg(format!("unix:{place},server=on,wait=off"));
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
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = spawned.map_err(|error| {
            Failure::Host(format!(
                "cannot start {program}: {error}; `make setup` installs it \
                 (Debian: apt-get install --no-install-recommends {package})"
            ))
        })?;
        let (sender, heard) = channel();
        if let Some(output) = child.stdout.take() {
            listen(output, sender);
        }
        let (sender, said) = channel();
        if let Some(output) = child.stderr.take() {
            send_lines(output, sender);
        }
        Ok(Qemu {
            child,
            heard,
            said,
            socket: self.socket,
        })
    }
}

/// What QEMU logs of exceptions, and beside them: what the plugin says, the numbers of interrupts of both
/// interrupt controllers, what is written to the machine's UART.
const LOGGED: &str =
    "int,plugin,trace:gic_acknowledge_irq,trace:gicv3_icc_iar1_read,trace:pl011_write";

/// Tells the command to load the plugin that counts.
fn count(command: &mut Command, counted: &Counted) {
    let plugin = option_value(&bench::blocks::plugin());
    match counted {
        Counted::Blocks(file) => {
            let counts = option_value(file);
            command.args(["-plugin", &format!("{plugin},counts={counts}")]);
        }
        Counted::Exceptions(file) => {
            command.args(["-plugin", &format!("{plugin},stamps=on")]);
            command.args(["-d", LOGGED, "-D"]).arg(file);
        }
    }
}

/// Tells the command to put `file` into the machine's memory before it starts. `place` is the
/// address, with what else QEMU's loader is told.
pub(crate) fn load(command: &mut Command, file: &Path, place: &str) {
    let file = option_value(file);
    command.arg("-device");
    command.arg(format!("loader,file={file},addr={place}"));
}

/// A path inside one of QEMU's options, where a comma ends a value and two do not.
pub(crate) fn option_value(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

/// A running QEMU; it is killed when nobody watches it any more.
pub(crate) struct Qemu {
    child: Child,
    heard: Receiver<Heard>,
    /// What it says itself, line by line.
    said: Receiver<String>,
    socket: PathBuf,
}

impl Machine for Qemu {
    fn heard(&self) -> &Receiver<Heard> {
        &self.heard
    }

    fn keyboard(&mut self) -> Option<Keyboard> {
        let input = self.child.stdin.take()?;
        Some(Keyboard::new(input, self.child.id()))
    }

    fn ending(&mut self) -> String {
        let status = match self.child.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        // Its last words come before the end of its output.
        let said = std::iter::from_fn(|| self.said.recv_timeout(PATIENCE).ok());
        match said.filter(|line| !line.is_empty()).last() {
            Some(words) => format!("QEMU ended without a verdict ({status}): {words}"),
            None => format!("QEMU ended without a verdict ({status})"),
        }
    }

    fn look(&mut self, report_page: u64) -> Result<Look, String> {
        let piece = self.socket.with_file_name("report.piece");
        let look = || -> io::Result<Look> {
            let mut qmp = Qmp::connect(&self.socket)?;
            // In this order: who is off has written its page.
            let is_off = qmp.is_off()?;
            let mut page = Vec::new();
            qmp.memory(report_page, ReportPage::BYTES as u64, &piece, &mut page)?;
            let report = Report::parse(&page);
            Ok(Look { report, is_off })
        };
        look().map_err(|error| format!("QEMU does not show its memory: {error}"))
    }

    fn dump(&mut self, pieces: &[(u64, u64)], file: &Path) -> Result<(), String> {
        // QEMU begins a file anew with each piece.
        let piece = file.with_added_extension("piece");
        let dump = || -> io::Result<()> {
            let mut qmp = Qmp::connect(&self.socket)?;
            qmp.stop()?;
            let mut whole = File::create(file)?;
            for (first, len_bytes) in pieces {
                qmp.memory(*first, *len_bytes, &piece, &mut whole)?;
            }
            Ok(())
        };
        dump().map_err(|error| error.to_string())
    }

    fn debugger(&mut self) -> Result<Box<dyn Debugger + '_>, String> {
        let socket = self.socket.with_file_name("gdb.sock");
        // It may just have been started.
        let deadline = Instant::now() + PATIENCE;
        while !self.socket.exists() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        let connect = || {
            Qmp::connect(&self.socket)?.listen_for_gdb(&socket)?;
            Gdb::connect(&socket)
        };
        match connect() {
            Ok(gdb) => Ok(Box::new(gdb)),
            Err(error) => Err(format!("QEMU cannot be debugged: {error}")),
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
