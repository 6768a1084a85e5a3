//! QEMU's monitor, for the one thing the runner wants of it: the machine's memory.
//!
//! Protocol: QEMU documentation, "QEMU Machine Protocol Specification".

use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Writes `len_bytes` bytes of physical memory from `first` on to `file`.
///
/// # Errors
///
/// If QEMU cannot be reached, does not answer within a minute, or refuses.
pub fn dump(socket: &Path, first: u64, len_bytes: u64, file: &Path) -> io::Result<()> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let mut ask = |command: Value| -> io::Result<()> {
        writeln!(&stream, "{command}")?;
        loop {
            let mut line = String::new();
            if answers.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let answer: Value = serde_json::from_str(&line)?;
            if answer.get("return").is_some() {
                return Ok(());
            }
            if let Some(error) = answer.get("error") {
                return Err(io::Error::other(error.to_string()));
            }
            // Greetings and events.
        }
    };
    ask(json!({ "execute": "qmp_capabilities" }))?;
    // The verdict was seen before the machine switched itself off.
    ask(json!({ "execute": "stop" }))?;
    let arguments = json!({ "val": first, "size": len_bytes, "filename": file });
    ask(json!({ "execute": "pmemsave", "arguments": arguments }))
}
