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

mod events;
mod folder;
mod metadata;
mod packets;

use crate::records::sink::Sink;
use crate::records::stream::{End, Item, Stream};
use crate::vms::names::Names;
pub(crate) use folder::{files, replace};
use metadata::StreamClass;
use packets::StreamFile;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

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
            has_registers: self.names.has_registers(vm),
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
