//! A dump that is in memory as a whole: its rings at once, or as text.
//!
//! Used by the runner and by the system tests, whose machines are small.

use crate::feed::feed_memory;
use crate::input::dump::Memory;
use crate::input::places::Places;
use crate::input::ring::header::BadRing;
use crate::input::source::Segment;
use crate::output::text::{Layout, Text};
use crate::records::meaning::Meaning;
use crate::records::sink::{FeedError, Sinks};
use crate::vms::names::Names;
use shared_ring::{Payload, RingKind};
use std::{fmt, io};
use trace_records::{Kind, Record};
use vm_components::Clock;

/// A ring that was read as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    /// Where in the dump it starts, in bytes.
    pub offset: usize,
    /// Which ring (`shared_ring::RingKind`): 1 access, 2 log, 3 trace, 4 console.
    pub kind: u8,
    /// The VM's number.
    pub vm: u8,
    /// The clock of the stamps.
    pub clock: Clock,
    /// How often the VM was reset.
    pub epoch: u64,
    /// Records lost or overwritten, as the header says.
    pub lost: u64,
    /// Positions written since the start.
    pub head: u64,
    /// The whole records, oldest first, with their sequence numbers.
    pub records: Vec<(u64, Payload)>,
    /// Slots that should hold a record and do not.
    pub torn: u64,
}

/// The trace ring, as `RingKind::Trace` numbers it.
pub const TRACE: u8 = RingKind::Trace as u8;

impl Ring {
    /// The accesses and other events in the ring; slots with anything else are left out.
    pub fn events(&self) -> impl Iterator<Item = (Kind, Record)> + '_ {
        self.records
            .iter()
            .filter_map(|(_, payload)| match Meaning::of(RingKind::Trace, payload) {
                (_, Meaning::Event(kind, record)) => Some((kind, record)),
                _ => None,
            })
    }
}

fn whole(dump: &[u8]) -> Segment {
    let len_bytes = dump.len() as u64;
    Segment {
        offset: 0,
        len_bytes,
        claimed_bytes: len_bytes,
        address: None,
    }
}

/// Reads all rings in a dump that is in memory, and tells what only looks like one.
pub fn rings(dump: &[u8]) -> Vec<Result<Ring, BadRing>> {
    rings_in(dump, &Places::Anywhere)
}

/// Reads the rings of a dump that is in memory that are where the system has them, and tells
/// what only looks like one there.
pub fn rings_in(dump: &[u8], places: &Places) -> Vec<Result<Ring, BadRing>> {
    // Reading from memory does not fail.
    let Ok(memory) = Memory::search(&dump, &[whole(dump)], places, |_| {}) else {
        return Vec::new();
    };
    let read = memory.readers().map(|mut reader| {
        let mut records = Vec::new();
        while let Ok(Some(item)) = reader.next_item() {
            records.push((item.sequence, item.payload));
        }
        let header = reader.header();
        Ok(Ring {
            offset: header.place.offset as usize,
            kind: header.kind as u8,
            vm: header.vm,
            clock: header.clock,
            epoch: header.epoch,
            lost: header.lost,
            head: header.head,
            records,
            torn: reader.end().torn,
        })
    });
    let bad = memory.bad.iter().map(|bad| Err(bad.clone()));
    read.chain(bad).collect()
}

/// Writes the rings of `kind` in a dump as text, and returns whether there is one. What only
/// looks like a ring goes to `warn`.
///
/// # Errors
///
/// Those of `out`.
pub fn write_rings(
    out: &mut impl io::Write,
    dump: &[u8],
    (kind, places): (RingKind, &Places),
    names: &Names,
    mut warn: impl FnMut(&dyn fmt::Display),
) -> io::Result<bool> {
    let memory = Memory::search(&dump, &[whole(dump)], places, |_| {})?.only(kind);
    memory.bad.iter().for_each(|bad| warn(bad));
    memory.forged.iter().for_each(|forged| warn(forged));
    let text = Text::new(out, names, Layout::Plain);
    match feed_memory(&memory, &mut Sinks::new(vec![Box::new(text)]), |_| {}) {
        Ok(()) => {}
        Err(FeedError::Input(error) | FeedError::Output(_, error)) => return Err(error),
    }
    Ok(!memory.rings.is_empty())
}
