//! Who follows a run: sees what comes, may type, and may end it.
//!
//! Called by `run`. Invariant: whoever types never waits for the machine, which takes bytes at its own pace: a thread
//! does.

use crate::Heard;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::Write;
use std::ops::ControlFlow;
use std::process::ChildStdin;
use std::sync::mpsc::{Sender, channel};

/// Whoever follows a run.
pub trait Follower {
    /// The machine runs; it has a keyboard, if one can type at it.
    fn begins(&mut self, _keyboard: Option<Keyboard>) {}

    /// Something has come, or nothing for a moment. A break ends the run, well or for this reason.
    fn follow(&mut self, heard: Option<&Heard>) -> ControlFlow<Result<(), String>>;

    /// The run has ended by itself. Whether all has come that was to come.
    ///
    /// # Errors
    ///
    /// What has not.
    fn has_seen_all(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// Somebody who only looks.
pub(crate) struct Looker<F>(pub(crate) F);

impl<F: FnMut(&Heard)> Follower for Looker<F> {
    fn follow(&mut self, heard: Option<&Heard>) -> ControlFlow<Result<(), String>> {
        heard.into_iter().for_each(&mut self.0);
        ControlFlow::Continue(())
    }
}

/// Where one types at a machine, and its switch.
#[derive(Debug, Clone)]
pub struct Keyboard {
    bytes: Sender<Vec<u8>>,
    emulator: Pid,
}

impl Keyboard {
    /// The keyboard of an emulator whose serial port reads its standard input.
    pub(crate) fn new(mut input: ChildStdin, emulator: u32) -> Self {
        let (bytes, typed) = channel::<Vec<u8>>();
        // It ends when nobody types any more, or the emulator reads no more.
        std::thread::spawn(move || typed.iter().all(|bytes| input.write_all(&bytes).is_ok()));
        Self {
            bytes,
            emulator: Pid::from_raw(emulator as i32),
        }
    }

    /// Types.
    pub fn type_in(&self, bytes: impl IntoIterator<Item = u8>) {
        // Nobody reads any more: the run is over.
        let _ = self.bytes.send(bytes.into_iter().collect());
    }

    /// Ends the emulator, and with it the run.
    pub fn switch_off(&self) {
        // It may have ended by itself; and it inherits which signals do not reach whoever waits for them, so it is
        // one that always does.
        let _ = kill(self.emulator, Signal::SIGKILL);
    }
}
