//! How a run went, as a test asks for it. Whoever asks for another end than it had fails, with all
//! that was printed.
#![allow(dead_code, reason = "not every test program asks for all of it")]

use runner::{Failure, Transcript};

/// A run that is over.
pub struct Ran {
    /// What it left.
    pub result: Result<Transcript, Failure>,
    /// Where it was.
    pub platform: String,
}

impl Ran {
    /// The lines of a run that ended well.
    pub fn lines(&self) -> &[String] {
        match &self.result {
            Ok(transcript) => &transcript.lines,
            Err(Failure::System { transcript, reason }) => {
                let lines = transcript.lines.join("\n");
                panic!("{}: {reason}\n{lines}", self.platform)
            }
            Err(failure) => panic!("{}: {failure}", self.platform),
        }
    }

    /// Why the run ended badly, as it should.
    pub fn reason(&self) -> &str {
        match &self.result {
            Err(Failure::System { reason, .. }) => reason,
            Err(failure) => panic!("{}: {failure}", self.platform),
            Ok(_) => panic!("{}: the run did not fail", self.platform),
        }
    }

    /// What was printed, however the run ended.
    pub fn printed(&self) -> &[String] {
        match &self.result {
            Err(Failure::System { transcript, .. }) => &transcript.lines,
            _ => self.lines(),
        }
    }
}
