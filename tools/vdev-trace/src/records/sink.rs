//! Where records go: an output is a [`Sink`], and any number of them take one pass.
//!
//! Implemented by each output, fed by `feed` and `serial`. Invariant: an output whose reader has seen
//! enough ends, and the others go on.

use crate::records::stream::{End, Item, Stream};
use oversight::Report;
use std::io;

/// Where records go.
pub trait Sink {
    /// A ring's records will follow.
    ///
    /// # Errors
    ///
    /// Those of the output.
    fn open(&mut self, stream: &Stream) -> io::Result<()>;

    /// The next record of a ring.
    ///
    /// # Errors
    ///
    /// Those of the output.
    fn item(&mut self, stream: &Stream, item: &Item) -> io::Result<()>;

    /// A ring has no more records.
    ///
    /// # Errors
    ///
    /// Those of the output.
    fn close(&mut self, stream: &Stream, end: &End) -> io::Result<()>;

    /// What the system says of the run, before all else if it says so.
    ///
    /// # Errors
    ///
    /// Those of the output.
    fn report(&mut self, _: &Report) -> io::Result<()> {
        Ok(())
    }

    /// There is no more of anything.
    ///
    /// # Errors
    ///
    /// Those of the output.
    fn finish(&mut self) -> io::Result<()>;
}

/// Why not everything was fed.
#[derive(Debug)]
pub enum FeedError {
    /// The input could not be read.
    Input(io::Error),
    /// The output of this number could not be written.
    Output(usize, io::Error),
}

impl From<io::Error> for FeedError {
    fn from(error: io::Error) -> Self {
        Self::Input(error)
    }
}

/// All outputs of a run.
pub struct Sinks<'a> {
    /// None in the place of one whose reader has seen enough.
    sinks: Vec<Option<Box<dyn Sink + 'a>>>,
}

impl<'a> Sinks<'a> {
    /// These, numbered in their order.
    pub fn new(sinks: Vec<Box<dyn Sink + 'a>>) -> Self {
        Self {
            sinks: sinks.into_iter().map(Some).collect(),
        }
    }
}

impl Sinks<'_> {
    /// The others go on when the reader of one has seen enough; only when there are no others
    /// this is an error.
    pub(crate) fn each(
        &mut self,
        mut act: impl FnMut(&mut dyn Sink) -> io::Result<()>,
    ) -> Result<(), FeedError> {
        for number in 0..self.sinks.len() {
            let Some(sink) = &mut self.sinks[number] else {
                continue;
            };
            if let Err(error) = act(sink.as_mut()) {
                if error.kind() == io::ErrorKind::BrokenPipe {
                    self.sinks[number] = None;
                }
                if self.sinks[number].is_some() || self.sinks.iter().all(Option::is_none) {
                    return Err(FeedError::Output(number, error));
                }
            }
        }
        Ok(())
    }
}
