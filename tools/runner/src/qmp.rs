//! QEMU's monitor, for the one thing the runner wants of it: the machine's memory.
//!
//! Protocol: QEMU documentation, "QEMU Machine Protocol Specification".

use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Writes pieces of physical memory, each with its start and length in bytes, to `file`, one
/// after the other.
///
/// # Errors
///
/// If QEMU cannot be reached, does not answer within a minute, or refuses.
pub fn dump(socket: &Path, pieces: &[(u64, u64)], file: &Path) -> io::Result<()> {
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
    // QEMU begins a file anew with each piece.
    let piece_file = file.with_added_extension("piece");
    let mut whole = File::create(file)?;
    for (first, len_bytes) in pieces {
        let arguments = json!({ "val": first, "size": len_bytes, "filename": &piece_file });
        ask(json!({ "execute": "pmemsave", "arguments": arguments }))?;
        io::copy(&mut File::open(&piece_file)?, &mut whole)?;
        std::fs::remove_file(&piece_file)?;
    }
    Ok(())
}
