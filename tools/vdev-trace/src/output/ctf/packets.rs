//! A ring's file: packets, which are written when they are complete.
//!
//! What is in a packet between its header and its end is written by `events`.

use super::metadata::{PACKET_MAGIC, StreamClass};
use crate::records::stream::End;
use std::fs::File;
use std::io::{self, Write};

/// A packet is written once it is longer than this, in bytes.
const PACKET_BYTES: usize = 256 << 10;

/// Viewers count nanoseconds in 63 bits, some of them in floating point: half of that.
const LATEST_NANOSECONDS: u64 = 1 << 62;

/// The file of one ring.
pub(super) struct StreamFile {
    file: File,
    pub(super) class: StreamClass,
    /// The packet that is being filled: its header, its context and its events.
    packet: Vec<u8>,
    /// The time of its first event.
    begin: u64,
    /// The time of the last event or packet.
    last: u64,
    packet_number: u64,
    discarded: u64,
    /// The latest time whose nanoseconds viewers can count.
    latest: u64,
}

const HEADER_BYTES: usize = 4 + 4 + 8;
const CONTEXT_BYTES: usize = 6 * 8;

impl StreamFile {
    pub(super) fn new(file: File, class: StreamClass) -> Self {
        let latest = u128::from(class.clock_hz) * u128::from(LATEST_NANOSECONDS) / 1_000_000_000;
        let mut packet = Vec::with_capacity(PACKET_BYTES + 1024);
        packet.resize(HEADER_BYTES + CONTEXT_BYTES, 0);
        Self {
            file,
            class,
            packet,
            begin: 0,
            last: 0,
            packet_number: 0,
            discarded: 0,
            latest: u64::try_from(latest).unwrap_or(u64::MAX),
        }
    }

    /// The latest time up to `time` that viewers can count.
    pub(super) fn shown(&self, time: u64) -> u64 {
        time.min(self.latest)
    }

    /// The next events are at this time.
    pub(super) fn go_on_at(&mut self, time: u64) {
        if self.is_empty() {
            self.begin = time;
        }
        self.last = time;
    }

    /// Writes the packet if it is long enough. Called between records.
    pub(super) fn write_if_full(&mut self) -> io::Result<()> {
        if self.packet.len() >= PACKET_BYTES {
            self.write_packet(self.last)?;
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.packet.len() == HEADER_BYTES + CONTEXT_BYTES
    }

    /// Writes the packet, whose last event is at `end`, and begins the next.
    pub(super) fn write_packet(&mut self, end: u64) -> io::Result<()> {
        let begin = if self.is_empty() { end } else { self.begin };
        let bits = 8 * self.packet.len() as u64;
        let head = &mut self.packet[..HEADER_BYTES + CONTEXT_BYTES];
        head[..4].copy_from_slice(&PACKET_MAGIC.to_le_bytes());
        head[4..8].copy_from_slice(&self.class.id.to_le_bytes());
        head[8..16].copy_from_slice(&u64::from(self.class.id).to_le_bytes());
        let context = [begin, end, bits, bits, self.packet_number, self.discarded];
        for (place, value) in head[HEADER_BYTES..].chunks_exact_mut(8).zip(context) {
            place.copy_from_slice(&value.to_le_bytes());
        }
        self.file.write_all(&self.packet)?;
        self.packet.truncate(HEADER_BYTES + CONTEXT_BYTES);
        self.packet_number += 1;
        Ok(())
    }

    pub(super) fn close(&mut self, end: &End) -> io::Result<()> {
        if !self.is_empty() {
            self.write_packet(self.last)?;
        }
        self.mark_loss(end.lost_after, end.breaks_after, self.last)
    }

    /// An empty packet that says what is missing before `time`.
    pub(super) fn mark_loss(&mut self, lost: u64, breaks: u64, time: u64) -> io::Result<()> {
        if lost == 0 && breaks == 0 {
            return Ok(());
        }
        if !self.is_empty() {
            self.write_packet(self.last)?;
        }
        self.discarded = self.discarded.saturating_add(lost);
        self.packet_number = self.packet_number.saturating_add(breaks);
        self.write_packet(time)?;
        Ok(())
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.packet.extend_from_slice(bytes);
    }

    pub(super) fn event(&mut self, id: u16) {
        self.put(&id.to_le_bytes());
        self.put(&self.last.to_le_bytes());
    }

    /// A string field, which a zero byte ends (section 4.2.5): for those in the text stands their
    /// picture.
    pub(super) fn string(&mut self, text: &str) {
        self.put(text.replace('\0', "\u{2400}").as_bytes());
        self.put(&[0]);
    }
}
