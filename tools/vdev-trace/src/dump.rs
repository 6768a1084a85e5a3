//! Rings in a dump of a machine's memory.
//!
//! A ring starts at a page with its magic number and describes itself (`shared_ring`, the
//! layout's version 1). Reading does not disturb the machine: the dump was taken from
//! outside.

use shared_ring::{LAYOUT_VERSION, MAGIC, PAYLOAD_WORDS, Payload, SLOT_BYTES, header_word};
use std::fmt::{self, Write};
use trace_records::{EVENT_NONE, Entry, Kind, Record};
use vm_components::Clock;
use vm_components::lines::{Event, Stamp};
use vm_config::VmConfig;

const PAGE_BYTES: usize = 4096;

/// A place that has the magic number and is no ring that this tool can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRing {
    /// Where in the dump, in bytes.
    pub offset: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for BadRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ring at offset {:#x}: {}", self.offset, self.reason)
    }
}

/// A ring found in a dump.
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
pub const TRACE: u8 = 3;

fn word(dump: &[u8], at: usize) -> Option<u64> {
    let bytes = dump.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// Finds all rings in a dump, and what only looks like one.
pub fn rings(dump: &[u8]) -> Vec<Result<Ring, BadRing>> {
    (0..dump.len())
        .step_by(PAGE_BYTES)
        .filter(|offset| word(dump, *offset) == Some(MAGIC))
        .filter_map(|offset| read_ring(dump, offset))
        .collect()
}

/// `None` if it is a program's constant that happens to start a page.
fn read_ring(dump: &[u8], offset: usize) -> Option<Result<Ring, BadRing>> {
    let header = |index: usize| word(dump, offset + 8 * index);
    let version = header(header_word::LAYOUT_VERSION)?;
    let slot_bytes = header(header_word::SLOT_BYTES)?;
    let slot_count = header(header_word::SLOT_COUNT)?;
    let bad = |reason: String| Some(Err(BadRing { offset, reason }));
    if version != LAYOUT_VERSION {
        return bad(format!(
            "layout version {version}, this tool reads {LAYOUT_VERSION}"
        ));
    }
    if slot_bytes != SLOT_BYTES as u64 {
        return bad(format!(
            "slots of {slot_bytes} bytes instead of {SLOT_BYTES}"
        ));
    }
    let first = offset + PAGE_BYTES;
    let room = (dump.len().saturating_sub(first) / SLOT_BYTES) as u64;
    if !slot_count.is_power_of_two() || slot_count > room {
        return bad(format!(
            "{slot_count} slots, which is no power of two or more than the dump's rest of {room}"
        ));
    }
    let head = header(header_word::HEAD)?;
    let kind_and_vm = header(header_word::KIND_AND_VM)?;
    let mut ring = Ring {
        offset,
        kind: kind_and_vm as u8,
        vm: (kind_and_vm >> 8) as u8,
        clock: Clock {
            hz: header(header_word::CLOCK_HZ)?,
            start_ticks: header(header_word::START_TICKS)?,
        },
        epoch: header(header_word::EPOCH)?,
        lost: header(header_word::LOST)?,
        head,
        records: Vec::new(),
        torn: 0,
    };
    let mut last = 0;
    for position in head.saturating_sub(slot_count)..head {
        let slot = first + (position & (slot_count - 1)) as usize * SLOT_BYTES;
        let sequence = word(dump, slot)?;
        let mut payload = [0; PAYLOAD_WORDS];
        for (index, value) in payload.iter_mut().enumerate() {
            *value = word(dump, slot + 8 + 8 * index)?;
        }
        if sequence > last {
            last = sequence;
            ring.records.push((sequence, payload));
        } else {
            ring.torn += 1;
        }
    }
    Some(Ok(ring))
}

impl Ring {
    /// The accesses and other events in the ring; slots with anything else are left out.
    pub fn events(&self) -> impl Iterator<Item = (Kind, Record)> + '_ {
        self.records
            .iter()
            .filter_map(|(_, payload)| match Entry::from_words(payload) {
                Some(Entry::Event(kind, record)) => Some((kind, record)),
                _ => None,
            })
    }

    /// A line for each event, then one of totals. Names come from `config` if it is given.
    pub fn to_text(&self, config: Option<&VmConfig<'_>>) -> String {
        let mut text = String::new();
        let vm = config.map_or_else(|| format!("vm{}", self.vm), |config| config.name().into());
        let mut before = None;
        for (kind, record) in self.events() {
            let since = record.time.saturating_sub(before.unwrap_or(record.time));
            before = Some(record.time);
            let micros = u128::from(since) * 1_000_000 / u128::from(self.clock.hz.max(1));
            let instance = usize::from(record.tag.instance());
            let device = config.and_then(|config| config.devices().nth(instance));
            let device = device.map_or_else(|| format!("dev{instance}"), |it| it.name.into());
            let event = match record.tag.event() {
                EVENT_NONE => "-".into(),
                number => number.to_string(),
            };
            let line = Event {
                kind,
                record: &record,
                device: &device,
            };
            let stamp = Stamp(record.time, self.clock);
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "{stamp} +{micros:>8} us  event {event:>4}  {vm} {line} epoch {}",
                record.epoch
            );
        }
        let _ = writeln!(
            text,
            "{vm}: {} records, {} overwritten or lost before them, {} torn",
            self.records.len(),
            self.lost,
            self.torn
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use shared_ring::{Identity, OverwritingProducer, RingKind, RingMemory};

    /// A dump of two pages of nothing and a ring of four slots after ten pushes.
    fn dump() -> Vec<u8> {
        let ring: &'static RingMemory<4> = Box::leak(Box::new(RingMemory::new()));
        let identity = Identity {
            kind: RingKind::Trace,
            vm: 1,
            clock_hz: 1000,
            start_ticks: 0,
        };
        let mut producer = OverwritingProducer::new(ring, identity);
        for value in 1..=10 {
            // Kind 1 is an access; the tag is word 5.
            producer.push(&[value, 2, 3, 4, value, 1, 0]);
        }
        let len = size_of::<RingMemory<4>>();
        let first = std::ptr::from_ref(ring).cast::<u8>();
        // SAFETY: a ring is made of words and padding that a static of zeroes left zero.
        let bytes = unsafe { std::slice::from_raw_parts(first, len) };
        [&[0; 2 * PAGE_BYTES], bytes].concat()
    }

    #[test]
    fn the_newest_records_are_read_oldest_first() {
        let rings = rings(&dump());
        let [Ok(ring)] = &rings[..] else {
            panic!("{rings:?}");
        };
        assert_eq!(
            (ring.offset, ring.kind, ring.vm, ring.head),
            (0x2000, 3, 1, 10)
        );
        assert_eq!((ring.lost, ring.torn), (6, 0));
        let sequences: Vec<u64> = ring.records.iter().map(|(sequence, _)| *sequence).collect();
        assert_eq!(sequences, [7, 8, 9, 10]);
        assert!(
            ring.to_text(None)
                .contains("4 records, 6 overwritten or lost before them, 0 torn")
        );
    }

    #[test]
    fn a_slot_that_is_being_written_is_counted_and_skipped() {
        let mut dump = dump();
        let slot = 3 * PAGE_BYTES + 2 * SLOT_BYTES;
        dump[slot..slot + 8].fill(0);
        let rings = rings(&dump);
        let ring = rings[0].as_ref().unwrap();
        assert_eq!((ring.records.len(), ring.torn), (3, 1));
    }

    #[test]
    fn a_header_that_does_not_add_up_says_what_is_wrong() {
        let reason = |index: usize, value: u64| {
            let mut dump = dump();
            let at = 2 * PAGE_BYTES + 8 * index;
            dump[at..at + 8].copy_from_slice(&value.to_le_bytes());
            rings(&dump)[0].clone().unwrap_err().to_string()
        };
        assert_eq!(
            reason(1, 9),
            "ring at offset 0x2000: layout version 9, this tool reads 1"
        );
        assert_eq!(
            reason(2, 32),
            "ring at offset 0x2000: slots of 32 bytes instead of 64"
        );
        assert!(reason(3, 128).contains("128 slots, which is no power of two or more than"));
        assert!(reason(3, 3).contains("3 slots, which is no power of two"));
    }

    proptest! {
        #[test]
        fn no_dump_panics(changes in prop::collection::vec((0usize..4 * 4096, any::<u8>()), 0..200), cut: usize) {
            let mut dump = dump();
            for (at, byte) in changes {
                if let Some(place) = dump.get_mut(at) {
                    *place = byte;
                }
            }
            let len = cut % (dump.len() + 1);
            for ring in rings(&dump).into_iter().chain(rings(&dump[..len])).flatten() {
                ring.to_text(None);
            }
        }
    }
}
