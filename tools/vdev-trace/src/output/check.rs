//! What is wrong with a dump or a capture, in words.
//!
//! Invariant: what is damaged is told with its place; nothing of it is decoded.

use crate::records::sink::Sink;
use crate::records::stream::{End, Item, Stream};
use crate::vms::names::Names;
use std::io::{self, Write};

/// Reports how each ring ended.
pub struct Report<'a, W> {
    out: W,
    names: &'a Names,
    /// Whether any ring was damaged.
    pub damaged: &'a mut bool,
}

impl<'a, W: Write> Report<'a, W> {
    /// Reports to `out`, and sets `damaged` if anything is.
    pub fn new(out: W, names: &'a Names, damaged: &'a mut bool) -> Self {
        Self {
            out,
            names,
            damaged,
        }
    }
}

impl<W: Write> Sink for Report<'_, W> {
    fn open(&mut self, _: &Stream) -> io::Result<()> {
        Ok(())
    }

    fn item(&mut self, _: &Stream, _: &Item) -> io::Result<()> {
        Ok(())
    }

    fn close(&mut self, stream: &Stream, end: &End) -> io::Result<()> {
        let state = if end.is_damaged() { "damaged" } else { "whole" };
        *self.damaged |= end.is_damaged();
        writeln!(
            self.out,
            "{} {:?}: {}: {state}, {} records",
            self.names.vm(stream.vm),
            stream.kind,
            stream.place,
            end.records
        )?;
        let mut tell = |count: u64, what: &str| match count {
            0 => Ok(()),
            _ => writeln!(self.out, "  {count} {what}"),
        };
        tell(end.torn, "records cannot be read")?;
        tell(
            end.cut,
            "slots are not in the input, which ends before them",
        )?;
        tell(
            end.missing,
            "records are missing between those that can be read",
        )?;
        tell(
            end.wrong_stamps,
            "records have a stamp that cannot be, and are shown at the time before",
        )?;
        end.notes
            .iter()
            .try_for_each(|note| writeln!(self.out, "  {note}"))
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
