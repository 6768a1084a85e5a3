//! A line that has no end of its own: a capture is ended by Ctrl-C, and what came until then is
//! written as if the line had ended.
//!
//! ```text
//! line ──thread──bytes──┐
//!                       ├──► Live ──► decoder ──► outputs, renamed at the end
//! Ctrl-C ──no bytes─────┘
//! ```

use std::io::{self, ErrorKind, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// How much is read at once, and how many such pieces may wait.
const PIECE_BYTES: usize = 64 << 10;
const PIECES: usize = 16;

/// What came, in its order; no bytes are the end.
type Came = io::Result<Vec<u8>>;

/// Reads a line until it or somebody ends it.
pub struct Live {
    came: Receiver<Came>,
    piece: io::Cursor<Vec<u8>>,
}

impl Live {
    /// Reads `line` from now on.
    pub fn new(line: Box<dyn Read + Send>) -> Self {
        let (sender, came) = sync_channel(PIECES);
        let end = sender.clone();
        // Without a handler Ctrl-C ends the program as it always did.
        let _ = ctrlc::set_handler(move || {
            // If nobody listens, all is being written already.
            let _ = end.send(Ok(Vec::new()));
        });
        std::thread::spawn(move || send(line, &sender));
        Self {
            came,
            piece: io::Cursor::default(),
        }
    }
}

fn send(mut line: Box<dyn Read + Send>, came: &SyncSender<Came>) {
    loop {
        let mut piece = vec![0; PIECE_BYTES];
        let read = line.read(&mut piece);
        if matches!(&read, Err(error) if error.kind() == ErrorKind::Interrupted) {
            continue;
        }
        let is_last = !matches!(read, Ok(len) if len != 0);
        let sent = came.send(read.map(|len| {
            piece.truncate(len);
            piece
        }));
        if is_last || sent.is_err() {
            return;
        }
    }
}

impl Read for Live {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.piece.position() == self.piece.get_ref().len() as u64 {
            self.piece = match self.came.recv() {
                Ok(piece) => io::Cursor::new(piece?),
                // Its end was read before.
                Err(_) => return Ok(0),
            };
        }
        self.piece.read(buffer)
    }
}
