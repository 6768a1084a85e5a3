//! The trace as CTF 1.8, which babeltrace2 and Trace Compass open.
//!
//! A folder with `metadata` and a file for each ring. The specification: *Common Trace
//! Format*, v1.8.3; section 5.2 for the packet context, 7 for the metadata (`metadata`).
//!
//! Invariants that viewers insist on: within a file no time goes back, no event is
//! undeclared, and every packet is whole. So a packet is written only when it is complete, a
//! record whose stamp cannot be (`stamps`) is shown at its predecessor's time, with an event
//! `wrong_stamp` before it that tells the stamp, and the metadata come last.
//!
//! What is missing shows by the standard fields. `events_discarded` counts every record that
//! is missing by its number, whatever the reason. `packet_seq_num` leaves out one for each
//! piece of the input that could not be read. At a loss an empty packet carries both, so that
//! viewers see it exactly between the events around it; one at time 0 makes the first count.

mod folder;
mod metadata;

use crate::records::meaning::Meaning;
use crate::records::sink::Sink;
use crate::records::stream::{End, Item, Stream};
use crate::vms::names::Names;
pub(crate) use folder::{files, replace};
use metadata::StreamClass;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use trace_records::{ConsoleRecord, DeviceSummary, EndReason, Kind, Notice, Record, VmSummary};

/// A packet is written once it is longer than this, in bytes.
const PACKET_BYTES: usize = 256 << 10;
/// Viewers count nanoseconds in 63 bits, some of them in floating point: half of that.
const LATEST_NANOSECONDS: u64 = 1 << 62;
/// Trace numbers are below this; internal events are not.
const TRACE_NUMBERS: u16 = 1024;

/// Numbers of the events that have no trace number.
mod id {
    use super::TRACE_NUMBERS;

    pub const ACCESS: u16 = TRACE_NUMBERS;
    pub const OUTSIDE: u16 = TRACE_NUMBERS + 1;
    pub const RESET: u16 = TRACE_NUMBERS + 2;
    pub const END: u16 = TRACE_NUMBERS + 3;
    pub const DEVICE_SUMS: u16 = TRACE_NUMBERS + 4;
    pub const VM_SUMS: u16 = TRACE_NUMBERS + 5;
    pub const SPAN: u16 = TRACE_NUMBERS + 6;
    pub const TEXT: u16 = TRACE_NUMBERS + 7;
    pub const NOTICE: u16 = TRACE_NUMBERS + 8;
    pub const UNKNOWN: u16 = TRACE_NUMBERS + 9;
    pub const WRONG_STAMP: u16 = TRACE_NUMBERS + 10;
}

/// Writes a folder.
pub struct Ctf<'a> {
    folder: PathBuf,
    names: &'a Names,
    streams: Vec<StreamFile>,
}

impl<'a> Ctf<'a> {
    /// Writes to `folder`, which is there and empty.
    pub fn new(folder: PathBuf, names: &'a Names) -> Self {
        Self {
            folder,
            names,
            streams: Vec::new(),
        }
    }
}

impl Sink for Ctf<'_> {
    fn open(&mut self, stream: &Stream) -> io::Result<()> {
        let (vm, index) = (stream.vm, stream.index);
        let same = |other: &StreamFile| (other.class.vm, other.class.kind) == (vm, stream.kind);
        let again = self.streams.iter().any(same).then_some(index);
        let name = folder::stream_file(vm, stream.kind, again);
        let devices = self.names.devices(vm).map(str::to_owned);
        let class = StreamClass {
            id: index as u32,
            vm,
            kind: stream.kind,
            vm_name: self.names.vm(vm),
            clock_hz: stream.clock.hz,
            devices: devices.collect(),
            has_functions: self.names.has_functions(),
            trace_numbers: [0; 16],
        };
        let mut file = StreamFile::new(File::create(self.folder.join(name))?, class);
        // Its count of discarded events is 0, so the next packet's counts from here.
        file.write_packet(0)?;
        self.streams.push(file);
        Ok(())
    }

    fn item(&mut self, stream: &Stream, item: &Item) -> io::Result<()> {
        self.streams[stream.index].write(stream, item, self.names)
    }

    fn close(&mut self, stream: &Stream, end: &End) -> io::Result<()> {
        self.streams[stream.index].close(end)
    }

    fn finish(&mut self) -> io::Result<()> {
        let classes = self.streams.iter().map(|file| &file.class);
        fs::write(self.folder.join(folder::METADATA), metadata::text(classes))
    }
}

/// The file of one ring.
struct StreamFile {
    file: File,
    class: StreamClass,
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
    fn new(file: File, class: StreamClass) -> Self {
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

    fn is_empty(&self) -> bool {
        self.packet.len() == HEADER_BYTES + CONTEXT_BYTES
    }

    /// Writes the packet, whose last event is at `end`, and begins the next.
    fn write_packet(&mut self, end: u64) -> io::Result<()> {
        let begin = if self.is_empty() { end } else { self.begin };
        let bits = 8 * self.packet.len() as u64;
        let head = &mut self.packet[..HEADER_BYTES + CONTEXT_BYTES];
        head[..4].copy_from_slice(&metadata::PACKET_MAGIC.to_le_bytes());
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

    fn close(&mut self, end: &End) -> io::Result<()> {
        if !self.is_empty() {
            self.write_packet(self.last)?;
        }
        self.mark_loss(end.lost_after, end.breaks_after, self.last)
    }

    /// An empty packet that says what is missing before `time`.
    fn mark_loss(&mut self, lost: u64, breaks: u64, time: u64) -> io::Result<()> {
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

    /// Appends a record.
    fn write(&mut self, stream: &Stream, item: &Item, names: &Names) -> io::Result<()> {
        let (time, meaning) = Meaning::of(stream.kind, &item.payload);
        let stamp = stream.since_start(time);
        let shown = item.time.min(self.latest);
        self.mark_loss(item.lost_before, item.breaks_before, shown)?;
        if self.is_empty() {
            self.begin = shown;
        }
        self.last = shown;
        if shown != stamp {
            self.event(id::WRONG_STAMP);
            self.put(&stamp.to_le_bytes());
        }
        self.record(stream, item, &meaning, names);
        if self.packet.len() >= PACKET_BYTES {
            self.write_packet(shown)?;
        }
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) {
        self.packet.extend_from_slice(bytes);
    }

    fn event(&mut self, id: u16) {
        self.put(&id.to_le_bytes());
        self.put(&self.last.to_le_bytes());
    }

    /// A string field, which a zero byte ends (section 4.2.5): for those in the text stands their
    /// picture.
    fn string(&mut self, text: &str) {
        self.put(text.replace('\0', "\u{2400}").as_bytes());
        self.put(&[0]);
    }

    fn record(&mut self, stream: &Stream, item: &Item, meaning: &Meaning, names: &Names) {
        match meaning {
            Meaning::Event(Kind::Access, record) => self.access(stream.vm, record, names),
            Meaning::Event(kind, record) => {
                self.event(match kind {
                    Kind::Outside => id::OUTSIDE,
                    Kind::Reset => id::RESET,
                    _ => id::END,
                });
                match kind {
                    Kind::Outside => {
                        self.put(&record.value.to_le_bytes());
                        self.put(&[record.tag.direction() as u8, record.tag.width_bytes() as u8]);
                        self.put(&record.address.0.to_le_bytes());
                        self.put(&record.pc.to_le_bytes());
                    }
                    Kind::Reset => {}
                    _ => {
                        let reason = EndReason::from_number(record.value);
                        let reason = reason.map(|reason| format!("{reason:?}"));
                        self.string(&reason.unwrap_or_else(|| record.value.to_string()));
                        self.put(&record.address.0.to_le_bytes());
                        self.put(&record.pc.to_le_bytes());
                    }
                }
                self.put(&record.epoch.to_le_bytes());
            }
            Meaning::Device(instance, sums) => {
                let DeviceSummary {
                    reads,
                    writes,
                    logged,
                    traced,
                    value,
                    refused,
                    ..
                } = *sums;
                self.event(id::DEVICE_SUMS);
                self.put(&[*instance]);
                for value in [reads, writes, logged, traced] {
                    self.put(&value.to_le_bytes());
                }
                self.put(&value.to_le_bytes());
                self.put(&refused.to_le_bytes());
            }
            Meaning::Vm(sums) => {
                let VmSummary {
                    log_lost,
                    trace_overwritten,
                    outside,
                    unrecorded,
                    misbehaviour,
                    ..
                } = *sums;
                self.event(id::VM_SUMS);
                for value in [log_lost, trace_overwritten, outside, unrecorded] {
                    self.put(&value.to_le_bytes());
                }
                self.put(&misbehaviour.to_le_bytes());
            }
            Meaning::Span(span) => {
                self.event(id::SPAN);
                for time in [span.first, span.last, span.recorded] {
                    self.put(&stream.since_start(time).to_le_bytes());
                }
            }
            Meaning::Console(ConsoleRecord::Text(text)) => {
                self.event(id::TEXT);
                self.string(&String::from_utf8_lossy(text.bytes()));
            }
            Meaning::Console(ConsoleRecord::Notice {
                notice,
                number,
                address,
                pc,
                ..
            }) => {
                self.event(id::NOTICE);
                self.string(&match notice {
                    Notice::Ended(reason) => format!("Ended: {reason:?}"),
                    other => format!("{other:?}"),
                });
                for value in [number, address, pc] {
                    self.put(&value.to_le_bytes());
                }
            }
            // As their words stand.
            Meaning::Misbehaviour(_)
            | Meaning::Console(ConsoleRecord::Verdict(_) | ConsoleRecord::VmDied { .. })
            | Meaning::Unknown => {
                self.event(id::UNKNOWN);
                for word in item.payload {
                    self.put(&word.to_le_bytes());
                }
            }
        }
        self.put(&item.sequence.to_le_bytes());
    }

    /// The fields of an access but its number, in the order of `metadata::ACCESS_FIELDS`.
    fn access(&mut self, vm: u8, record: &Record, names: &Names) {
        let number = record.tag.event();
        if number < TRACE_NUMBERS {
            self.class.trace_numbers[usize::from(number / 64)] |= 1 << (number % 64);
            self.event(number);
        } else {
            self.event(id::ACCESS);
        }
        let tag = record.tag;
        let mut fields = [0; 45];
        fields[..5].copy_from_slice(&[
            tag.instance(),
            tag.vcpu(),
            tag.direction() as u8,
            tag.width_bytes() as u8,
            tag.flags().0,
        ]);
        fields[5..13].copy_from_slice(&record.address.0.to_le_bytes());
        fields[13..21].copy_from_slice(&record.pc.to_le_bytes());
        fields[21..25].copy_from_slice(&record.value.to_le_bytes());
        fields[25..29].copy_from_slice(&record.old.to_le_bytes());
        fields[29..37].copy_from_slice(&record.sequence.to_le_bytes());
        fields[37..41].copy_from_slice(&record.state_seen.to_le_bytes());
        fields[41..45].copy_from_slice(&record.epoch.to_le_bytes());
        self.put(&fields);
        if self.class.has_functions {
            match names.function(vm, record.pc) {
                Some(function) => self.string(&function),
                None => self.string(""),
            }
        }
    }
}
