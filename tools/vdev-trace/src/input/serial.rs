//! What came over a serial line, as rings: who sent what, and what did not arrive.
//!
//! Called by `feed`. The frames are `trace_stream`'s; a machine that starts anew in the middle
//! of a capture, or a capture that begins in the middle, makes no record lie about its clock:
//! records wait for their ring's identity, which is sent every few records. Each
//! frame says of which version its record is, so a machine may also start anew with another build.

use crate::input::layout::Layout;
use crate::records::sink::{FeedError, Sinks};
use crate::records::stamps::Timeline;
use crate::records::stream::Found;
use crate::records::stream::{End, Stream};
use shared_ring::{Payload, RingKind};
use trace_stream::{Content, Decoder, Frame, IDENTITY_EVERY, Received};
use vm_components::Clock;

/// Records that wait for their ring's identity: two times as many as may be sent without one.
const MAX_WAITING: usize = 2 * IDENTITY_EVERY as usize;
/// More rings than that come from no machine, however often it starts anew.
const MAX_STREAMS: usize = 256;

/// What happened on the line, over all rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LineSums {
    /// Whole frames.
    pub frames: u64,
    /// Frames that are missing between them, by their numbers.
    pub frames_lost: u64,
    /// Bytes that are no frame: damaged ones, and what else was on the line.
    pub other_bytes: u64,
    /// How often the frames' numbers began anew.
    pub restarts: u64,
    /// Frames of rings beyond the most that are told apart.
    pub ignored: u64,
}

/// A ring whose records arrive.
struct Lane {
    vm: u8,
    /// Not known before the ring's first identity.
    stream: Option<Stream>,
    waiting: Vec<Found>,
    /// A frame has a checksum, so a stamp is what was sent; nothing waits for what comes next,
    /// since the line may be live.
    timeline: Timeline,
    last: u64,
    /// What [`LineSums::frames_lost`] was at the last frame of this ring.
    frames_lost: u64,
    end: End,
}

/// Sorts a line's frames by ring and feeds them.
pub(crate) struct Line {
    kind: RingKind,
    decoder: Decoder,
    expected: Option<u32>,
    lanes: Vec<Lane>,
    opened: usize,
    sums: LineSums,
}

impl Line {
    pub fn new(kind: RingKind) -> Self {
        Self {
            kind,
            decoder: Decoder::new(),
            expected: None,
            lanes: Vec::new(),
            opened: 0,
            sums: LineSums::default(),
        }
    }

    pub fn push(&mut self, byte: u8, sinks: &mut Sinks<'_>) -> Result<(), FeedError> {
        match self.decoder.push(byte) {
            Some(received) => self.take(received, sinks),
            None => Ok(()),
        }
    }

    pub fn finish(mut self, sinks: &mut Sinks<'_>) -> Result<LineSums, FeedError> {
        if let Some(received) = self.decoder.finish() {
            self.take(received, sinks)?;
        }
        for lane in std::mem::take(&mut self.lanes) {
            self.close(lane, sinks)?;
        }
        Ok(self.sums)
    }

    fn take(&mut self, received: Received, sinks: &mut Sinks<'_>) -> Result<(), FeedError> {
        let frame = match received {
            Received::Frame(frame) => frame,
            Received::Other { len_bytes } => {
                self.sums.other_bytes += len_bytes;
                return Ok(());
            }
        };
        self.sums.frames += 1;
        self.count(frame.number, sinks)?;
        if frame.ring != self.kind as u8 {
            return Ok(());
        }
        match frame.content {
            Content::Identity {
                clock_hz,
                start_ticks,
                lost,
            } => {
                let clock = Clock {
                    hz: clock_hz.max(1),
                    start_ticks,
                };
                self.identity(frame, clock, lost, sinks)
            }
            Content::Record { sequence, payload } => {
                // The decoder hands out no frame of another version.
                let layout = Layout::of_frames(frame.version);
                let payload = layout.map_or(payload, |layout| layout.newest(payload));
                self.record(frame, sequence, payload, sinks)
            }
        }
    }

    /// Counts the frames that are missing before this one.
    fn count(&mut self, number: u32, sinks: &mut Sinks<'_>) -> Result<(), FeedError> {
        let ahead = number.wrapping_sub(self.expected.unwrap_or(number));
        self.expected = Some(number.wrapping_add(1));
        if ahead < 1 << 31 {
            self.sums.frames_lost += u64::from(ahead);
            return Ok(());
        }
        // Numbers never go back: the sender has started anew.
        self.sums.restarts += 1;
        for lane in std::mem::take(&mut self.lanes) {
            self.close(lane, sinks)?;
        }
        Ok(())
    }

    /// The place in `lanes` of the frame's ring, or none if there are too many.
    fn lane(&mut self, vm: u8) -> Option<usize> {
        if let Some(place) = self.lanes.iter().position(|lane| lane.vm == vm) {
            return Some(place);
        }
        if self.opened + self.lanes.len() >= MAX_STREAMS {
            self.sums.ignored += 1;
            return None;
        }
        self.lanes.push(Lane {
            vm,
            stream: None,
            waiting: Vec::new(),
            timeline: Timeline::new(0),
            last: 0,
            frames_lost: self.sums.frames_lost,
            end: End::default(),
        });
        Some(self.lanes.len() - 1)
    }

    fn identity(
        &mut self,
        frame: Frame,
        clock: Clock,
        lost: u64,
        sinks: &mut Sinks<'_>,
    ) -> Result<(), FeedError> {
        let Some(mut place) = self.lane(frame.vm) else {
            return Ok(());
        };
        let known = self.lanes[place].stream.as_ref();
        if known.is_some_and(|stream| stream.clock != clock) {
            let old = self.lanes.remove(place);
            // Without an identity so far, it is the same ring, whose clock is known now.
            let last = if old.end.notes.is_empty() {
                0
            } else {
                old.last
            };
            self.close(old, sinks)?;
            match self.lane(frame.vm) {
                Some(new) => place = new,
                None => return Ok(()),
            }
            self.lanes[place].last = last;
        }
        self.lanes[place].end.overwritten = lost;
        self.settle(place, clock, sinks)
    }

    /// The clock of a ring is known: what waited for it can go on.
    fn settle(
        &mut self,
        place: usize,
        clock: Clock,
        sinks: &mut Sinks<'_>,
    ) -> Result<(), FeedError> {
        let lane = &mut self.lanes[place];
        if lane.stream.is_some() {
            return Ok(());
        }
        let stream = Stream {
            index: self.opened,
            vm: lane.vm,
            kind: self.kind,
            clock,
            place: "serial line".into(),
        };
        self.opened += 1;
        sinks.each(|sink| sink.open(&stream))?;
        for found in std::mem::take(&mut lane.waiting) {
            if let Some(item) = lane.timeline.push(&stream, found) {
                sinks.each(|sink| sink.item(&stream, &item))?;
            }
        }
        lane.stream = Some(stream);
        Ok(())
    }

    fn record(
        &mut self,
        frame: Frame,
        sequence: u64,
        payload: Payload,
        sinks: &mut Sinks<'_>,
    ) -> Result<(), FeedError> {
        let Some(place) = self.lane(frame.vm) else {
            return Ok(());
        };
        let lane = &mut self.lanes[place];
        if sequence <= lane.last {
            // It was sent twice, or is nobody's number.
            lane.end.torn += 1;
            return Ok(());
        }
        let lost_before = sequence - lane.last - 1;
        let frames_lost = self.sums.frames_lost - lane.frames_lost;
        let found = Found {
            sequence,
            lost_before,
            // The frames of other rings may be among those that are missing.
            breaks_before: frames_lost.min(lost_before),
            payload,
        };
        lane.frames_lost = self.sums.frames_lost;
        if lane.end.records != 0 {
            lane.end.missing += lost_before;
        }
        lane.last = sequence;
        lane.end.records += 1;
        if let Some(stream) = &lane.stream {
            return match lane.timeline.push(stream, found) {
                Some(item) => sinks.each(|sink| sink.item(stream, &item)),
                None => Ok(()),
            };
        }
        lane.waiting.push(found);
        if lane.waiting.len() >= MAX_WAITING {
            return self.settle_without_identity(place, sinks);
        }
        Ok(())
    }

    fn settle_without_identity(
        &mut self,
        place: usize,
        sinks: &mut Sinks<'_>,
    ) -> Result<(), FeedError> {
        let note = "its identity did not arrive; times are in ticks".into();
        self.lanes[place].end.notes.push(note);
        let clock = Clock {
            hz: 1,
            start_ticks: 0,
        };
        self.settle(place, clock, sinks)
    }

    fn close(&mut self, lane: Lane, sinks: &mut Sinks<'_>) -> Result<(), FeedError> {
        self.lanes.push(lane);
        let place = self.lanes.len() - 1;
        if self.lanes[place].stream.is_none() {
            if self.lanes[place].waiting.is_empty() {
                self.lanes.pop();
                return Ok(());
            }
            self.settle_without_identity(place, sinks)?;
        }
        let Some(Lane {
            stream: Some(stream),
            mut end,
            timeline,
            ..
        }) = self.lanes.pop()
        else {
            return Ok(());
        };
        end.wrong_stamps = timeline.wrong();
        sinks.each(|sink| sink.close(&stream, &end))
    }
}
