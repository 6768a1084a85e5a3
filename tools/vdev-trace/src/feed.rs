//! From an input to the outputs: the records of all rings, in the order of their time.
//!
//! Called by the command, once for all outputs. Invariant: memory does not grow with the number of records.

use crate::input::dump::Memory;
use crate::input::ring::RingReader;
use crate::input::serial::{Line, LineSums};
use crate::records::sink::{FeedError, Sinks};
use crate::records::stamps::{LOOKED_AHEAD, Timeline};
use crate::records::stream::{End, Item, Stream};
use shared_ring::RingKind;
use std::io::{self, Read};

/// Feeds the rings of a dump, merged by time; `progress` is told how many bytes were read.
///
/// # Errors
///
/// Those of the dump and of the outputs.
pub fn feed_memory(
    memory: &Memory<'_>,
    sinks: &mut Sinks<'_>,
    mut progress: impl FnMut(u64),
) -> Result<(), FeedError> {
    struct Lane<'a> {
        reader: RingReader<'a>,
        timeline: Timeline,
        stream: Stream,
        next: Option<Item>,
    }
    impl Lane<'_> {
        fn advance(&mut self) -> io::Result<()> {
            while let Some(found) = self.reader.next_item()? {
                if let Some(item) = self.timeline.push(&self.stream, found) {
                    self.next = Some(item);
                    return Ok(());
                }
            }
            self.next = self.timeline.pop();
            Ok(())
        }
    }
    if let Some(report) = memory.report() {
        sinks.each(|sink| sink.report(report))?;
    }
    let mut lanes = Vec::new();
    for (index, reader) in memory.readers().enumerate() {
        let stream = reader.stream(index);
        sinks.each(|sink| sink.open(&stream))?;
        let mut lane = Lane {
            reader,
            timeline: Timeline::new(LOOKED_AHEAD),
            stream,
            next: None,
        };
        lane.advance()?;
        lanes.push(lane);
    }
    let mut fed = 0;
    // Each ring keeps its own order.
    while let Some((lane, item)) = lanes
        .iter_mut()
        .filter_map(|lane| lane.next.map(|next| (lane, next)))
        .min_by_key(|(_, item)| item.time)
    {
        sinks.each(|sink| sink.item(&lane.stream, &item))?;
        lane.advance()?;
        fed += 1;
        if fed == PROGRESS_RECORDS {
            progress(fed * shared_ring::SLOT_BYTES as u64);
            fed = 0;
        }
    }
    for lane in &lanes {
        let end = End {
            wrong_stamps: lane.timeline.wrong(),
            ..lane.reader.end()
        };
        sinks.each(|sink| sink.close(&lane.stream, &end))?;
    }
    sinks.each(|sink| sink.finish())
}

/// Records between two reports of progress.
const PROGRESS_RECORDS: u64 = 4096;

/// Feeds what came over a serial line of the rings of `kind`, as it comes.
///
/// # Errors
///
/// Those of the input and of the outputs.
pub fn feed_serial(
    mut input: impl Read,
    kind: RingKind,
    sinks: &mut Sinks<'_>,
    mut progress: impl FnMut(u64),
) -> Result<LineSums, FeedError> {
    let mut line = Line::new(kind);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let len = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        for byte in &buffer[..len] {
            line.push(*byte, sinks)?;
        }
        progress(len as u64);
    }
    let sums = line.finish(sinks)?;
    sinks.each(|sink| sink.finish())?;
    Ok(sums)
}
