//! From an input to the outputs: the records of all rings, in the order of their time.
//!
//! Called by the command. An output is a [`Sink`]; any number of them are fed in one pass.
//! Invariant: memory does not grow with the number of records.

use crate::dump::Memory;
use crate::ring::RingReader;
use crate::serial::{Line, LineSums};
use crate::stamps::{LOOKED_AHEAD, Timeline};
use oversight::Report;
use shared_ring::{Payload, RingKind};
use std::io::{self, Read};
use trace_records::{
    ConsoleRecord, DeviceSummary, Entry, Kind, Misbehaviour, Record, Span, VmSummary,
};
use vm_components::Clock;

/// What is known about a ring before its first record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Its number among those that are read, from 0 on.
    pub index: usize,
    /// The VM's number.
    pub vm: u8,
    /// Which ring of the VM.
    pub kind: RingKind,
    /// The clock of the stamps.
    pub clock: Clock,
    /// Where it comes from, in words.
    pub place: String,
}

impl Stream {
    /// The ticks since the start at `time`, and 0 before it.
    pub fn since_start(&self, time: u64) -> u64 {
        time.saturating_sub(self.clock.start_ticks)
    }

    /// Ticks as nanoseconds.
    pub fn nanoseconds(&self, ticks: u64) -> u128 {
        u128::from(ticks) * 1_000_000_000 / u128::from(self.clock.hz.max(1))
    }
}

/// A record, and what is missing before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Its number in the ring; the first is 1.
    pub sequence: u64,
    /// Records between the one before and this one, by their numbers.
    pub lost_before: u64,
    /// Pieces of the input between the two that could not be read: a run of slots of a dump,
    /// a frame of a serial line.
    pub breaks_before: u64,
    /// Its words.
    pub payload: Payload,
    /// When it was, in ticks since the system's start; never before the one before.
    pub time: u64,
    /// What its stamp says instead, if that cannot be (`stamps`).
    pub wrong_stamp: Option<u64>,
}

/// How a ring ended, and its sums.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct End {
    /// Records missing after the last one.
    pub lost_after: u64,
    /// As [`Item::breaks_before`], after the last one.
    pub breaks_after: u64,
    /// Records that were read.
    pub records: u64,
    /// Records overwritten or dropped, as the ring itself counts.
    pub overwritten: u64,
    /// Records missing between those that were read.
    pub missing: u64,
    /// Slots that should hold a record and do not.
    pub torn: u64,
    /// Slots that are not in the input; those of them that held records are counted as torn.
    pub cut: u64,
    /// Records whose stamps cannot be.
    pub wrong_stamps: u64,
    /// Bytes of the input that belong to nothing.
    pub other_bytes: u64,
    /// What was wrong and how it was mended.
    pub notes: Vec<String>,
}

impl End {
    /// Whether something of the ring was damaged.
    pub fn is_damaged(&self) -> bool {
        self.torn != 0
            || self.cut != 0
            || self.breaks_after != 0
            || self.wrong_stamps != 0
            || !self.notes.is_empty()
    }
}

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// An access, or something else on its path.
    Event(Kind, Record),
    /// The sums of a device, and its number.
    Device(u8, DeviceSummary),
    /// The sums of a VM.
    Vm(VmSummary),
    /// When the accesses were.
    Span(Span),
    /// What a VMM claimed that cannot be.
    Misbehaviour(Misbehaviour),
    /// A record of the console ring.
    Console(ConsoleRecord),
    /// Nothing that this tool knows.
    Unknown,
}

impl Meaning {
    /// What the words of a record of this ring mean, and its time in ticks.
    pub fn of(kind: RingKind, words: &Payload) -> (u64, Self) {
        if kind == RingKind::Console {
            return match ConsoleRecord::from_words(words) {
                Some(record @ ConsoleRecord::Text(text)) => (text.time, Self::Console(record)),
                Some(record) => (words[0], Self::Console(record)),
                None => (words[0], Self::Unknown),
            };
        }
        let meaning = match Entry::from_words(words) {
            Some(Entry::Event(kind, record)) => Self::Event(kind, record),
            Some(Entry::Device(instance, sums)) => Self::Device(instance, sums),
            Some(Entry::Vm(sums)) => Self::Vm(sums),
            Some(Entry::Span(_, span)) => Self::Span(span),
            Some(Entry::Misbehaviour(misbehaviour)) => Self::Misbehaviour(misbehaviour),
            None => Self::Unknown,
        };
        (words[0], meaning)
    }
}

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
