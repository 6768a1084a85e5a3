//! QEMU's monitor, for what the runner wants of it: the machine's memory, whether it is on, and that it
//! can be debugged.
//!
//! Called by `qemu`. A connection lives as long as a look: QEMU takes one at a time.
//!
//! Protocol: QEMU documentation, "QEMU Machine Protocol Specification".

use super::qemu::option_value;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A connection, ready for commands.
pub(crate) struct Qmp {
    stream: UnixStream,
    answers: BufReader<UnixStream>,
}

impl Qmp {
    /// Connects to a QEMU.
    ///
    /// # Errors
    ///
    /// If it cannot be reached, does not answer within a minute, or refuses.
    pub(crate) fn connect(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let answers = BufReader::new(stream.try_clone()?);
        let mut connection = Self { stream, answers };
        connection.ask(&json!({ "execute": "qmp_capabilities" }))?;
        Ok(connection)
    }

    fn ask(&mut self, command: &Value) -> io::Result<Value> {
        writeln!(&self.stream, "{command}")?;
        loop {
            let mut line = String::new();
            if self.answers.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let mut answer: Value = serde_json::from_str(&line)?;
            if let Some(answer) = answer.get_mut("return") {
                return Ok(answer.take());
            }
            if let Some(error) = answer.get("error") {
                return Err(io::Error::other(error.to_string()));
            }
            // Greetings and events.
        }
    }

    /// Stops the machine, if it has not switched itself off.
    ///
    /// # Errors
    ///
    /// As [`Self::connect`].
    pub(crate) fn stop(&mut self) -> io::Result<()> {
        self.ask(&json!({ "execute": "stop" })).map(drop)
    }

    /// Whether the machine has switched itself off.
    ///
    /// # Errors
    ///
    /// As [`Self::connect`].
    pub(crate) fn is_off(&mut self) -> io::Result<bool> {
        let answer = self.ask(&json!({ "execute": "query-status" }))?;
        Ok(answer.get("status").and_then(Value::as_str) == Some("shutdown"))
    }

    /// Lets a debugger connect to the machine at this socket.
    ///
    /// # Errors
    ///
    /// As [`Self::connect`].
    pub(crate) fn listen_for_gdb(&mut self, socket: &Path) -> io::Result<()> {
        let place = option_value(socket);
        let command = format!("gdbserver unix:{place},server=on,wait=off");
        let arguments = json!({ "command-line": command });
        self.ask(&json!({ "execute": "human-monitor-command", "arguments": arguments }))
            .map(drop)
    }

    /// Appends a piece of physical memory to `out`, by way of the file `piece`.
    ///
    /// # Errors
    ///
    /// As [`Self::connect`], or that the host's files cannot be read or written.
    pub(crate) fn memory(
        &mut self,
        first: u64,
        len_bytes: u64,
        piece: &Path,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let arguments = json!({ "val": first, "size": len_bytes, "filename": piece });
        self.ask(&json!({ "execute": "pmemsave", "arguments": arguments }))?;
        io::copy(&mut File::open(piece)?, out)?;
        std::fs::remove_file(piece)
    }
}
