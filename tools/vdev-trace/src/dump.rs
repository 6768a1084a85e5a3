//! Rings in a dump of a machine's memory.
//!
//! A ring starts at a page with its magic number and describes itself (`shared_ring`, the
//! layout's version 1). Reading does not disturb the machine: the dump was taken from
//! outside.

use shared_ring::{
    LAYOUT_VERSION, MAGIC, PAYLOAD_WORDS, Payload, RingKind, SLOT_BYTES, header_word,
};
use std::fmt::{self, Write};
use std::io;
use trace_records::{ConsoleRecord, EVENT_NONE, Entry, Kind, Record};
use vm_components::Clock;
use vm_components::lines::{DeviceSums, Event, SpanText, Stamp, VmSums};
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
pub const TRACE: u8 = RingKind::Trace as u8;

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

/// Writes the rings of `kind` in a dump as text, and returns whether there is one. What only
/// looks like a ring is told on standard error. `config` names a VM's parts, by its number.
///
/// # Errors
///
/// Those of `out`.
pub fn write_rings<'a>(
    out: &mut impl io::Write,
    dump: &[u8],
    kind: RingKind,
    config: impl Fn(u8) -> Option<&'a VmConfig<'a>>,
) -> io::Result<bool> {
    let mut found = false;
    for ring in rings(dump) {
        match ring {
            Ok(ring) if ring.kind == kind as u8 => {
                found = true;
                out.write_all(ring.to_text(config(ring.vm)).as_bytes())?;
            }
            Ok(_) => {}
            Err(bad) => eprintln!("warning: {bad}"),
        }
    }
    Ok(found)
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
        // A bounded ring counts what it dropped in its numbers, an overwriting one does not.
        let dropped = if ring.kind == TRACE { 0 } else { ring.lost };
        let newest_possible = position.saturating_add(1).saturating_add(dropped);
        if sequence > last && (position + 1..=newest_possible).contains(&sequence) {
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

    /// A line for each record, then one of totals. Names come from `config` if it is given.
    pub fn to_text(&self, config: Option<&VmConfig<'_>>) -> String {
        let mut text = String::new();
        let vm = config.map_or_else(|| format!("vm{}", self.vm), |config| config.name().into());
        let mut before = None;
        let mut unreadable = 0;
        for (_, payload) in &self.records {
            let Some(line) = self.line(payload, &vm, config, &mut before) else {
                unreadable += 1;
                continue;
            };
            text += &line;
            text.push('\n');
        }
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "{vm}: {} records, {} overwritten or lost by the header's count, \
             {} missing between them, {} torn",
            self.records.len(),
            self.lost,
            self.gaps(),
            self.torn
        );
        if unreadable != 0 {
            let _ = write!(text, ", {unreadable} of no kind that this tool knows");
        }
        text.push('\n');
        text
    }

    /// How many records are missing between those that are there, by their numbers.
    pub fn gaps(&self) -> u64 {
        let pairs = self.records.windows(2);
        pairs.map(|pair| pair[1].0 - pair[0].0 - 1).sum()
    }

    /// One record, without a line's end. `before` is the time of the one before it.
    fn line(
        &self,
        payload: &Payload,
        vm: &str,
        config: Option<&VmConfig<'_>>,
        before: &mut Option<u64>,
    ) -> Option<String> {
        let device_name = |instance: u8| {
            config
                .and_then(|config| config.devices().nth(usize::from(instance)))
                .map_or_else(|| format!("dev{instance}"), |device| device.name.into())
        };
        let (time, event, what) = if self.kind == RingKind::Console as u8 {
            let (time, what) = console_line(ConsoleRecord::from_words(payload)?);
            (time, EVENT_NONE, what)
        } else {
            match Entry::from_words(payload)? {
                Entry::Event(kind, record) => {
                    let line = Event {
                        kind,
                        record: &record,
                        device: &device_name(record.tag.instance()),
                    };
                    let what = format!("{line} epoch {}", record.epoch);
                    (record.time, record.tag.event(), what)
                }
                Entry::Device(instance, sums) => {
                    let device = &device_name(instance);
                    let line = DeviceSums { device, sums };
                    (sums.time, EVENT_NONE, line.to_string())
                }
                Entry::Vm(sums) => {
                    // The console counts what it does not print; here it prints everything.
                    let line = VmSums { sums, unprinted: 0 };
                    (sums.time, EVENT_NONE, line.to_string())
                }
                Entry::Span(time, span) => {
                    let clock = self.clock;
                    (time, EVENT_NONE, SpanText { span, clock }.to_string())
                }
            }
        };
        let since = time.saturating_sub(before.unwrap_or(time));
        *before = Some(time);
        let micros = u128::from(since) * 1_000_000 / u128::from(self.clock.hz.max(1));
        let event = match event {
            EVENT_NONE => "-".into(),
            number => number.to_string(),
        };
        let stamp = Stamp(time, self.clock);
        Some(format!(
            "{stamp} +{micros:>8} us  event {event:>4}  {vm} {what}"
        ))
    }
}

fn console_line(record: ConsoleRecord) -> (u64, String) {
    match record {
        ConsoleRecord::Text(text) => {
            let printed = String::from_utf8_lossy(text.bytes());
            (text.time, format!("printed {printed:?}"))
        }
        ConsoleRecord::Notice {
            time,
            notice,
            number,
            address,
            pc,
        } => {
            let what = format!("notice {notice:?}: {number}, {address:#x}, pc {pc:#x}");
            (time, what)
        }
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
        [&[0; 2 * PAGE_BYTES], &bytes(ring)[..]].concat()
    }

    fn bytes(ring: &'static RingMemory<4>) -> Vec<u8> {
        let len = size_of::<RingMemory<4>>();
        let first = std::ptr::from_ref(ring).cast::<u8>();
        // SAFETY: a ring is made of words and padding that a static of zeroes left zero.
        unsafe { std::slice::from_raw_parts(first, len) }.to_vec()
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
                .contains("4 records, 6 overwritten or lost by the header's count, 0 missing")
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
    fn a_number_that_cannot_be_costs_its_own_record_and_no_other() {
        for number in [u64::MAX, 9, 7, 1] {
            let mut dump = dump();
            // Position 6 lies in slot 2 and has number 7; position 7 has number 8.
            let slot = 3 * PAGE_BYTES + 3 * SLOT_BYTES;
            dump[slot..slot + 8].copy_from_slice(&number.to_le_bytes());
            let rings = rings(&dump);
            let ring = rings[0].as_ref().unwrap();
            let sequences: Vec<u64> = ring.records.iter().map(|(number, _)| *number).collect();
            assert_eq!(sequences, [7, 9, 10], "with number {number:#x}");
            assert_eq!((ring.torn, ring.gaps()), (1, 1));
        }
    }

    #[test]
    fn a_record_of_an_unknown_kind_is_counted_and_not_printed() {
        let mut dump = dump();
        let tag = 3 * PAGE_BYTES + 2 * SLOT_BYTES + 8 + 8 * 5;
        dump[tag] = 0xee;
        let rings = rings(&dump);
        let text = rings[0].as_ref().unwrap().to_text(None);
        assert_eq!(text.lines().count(), 3 + 1);
        assert!(text.contains("4 records") && text.contains("1 of no kind that this tool knows"));
    }

    /// The words of one access each: a read of event 12, a narrow write, a refused one.
    #[test]
    fn a_record_is_one_line_with_all_that_a_person_needs() {
        let ring: &'static RingMemory<4> = Box::leak(Box::new(RingMemory::new()));
        let identity = Identity {
            kind: RingKind::Trace,
            vm: 0,
            clock_hz: 62_500_000,
            start_ticks: 625,
        };
        let mut producer = OverwritingProducer::new(ring, identity);
        // As the tag's layout has it: kind 1, 4 bytes, event 12; a write of 1 byte to device 1.
        let read = 1 | 4 << 32 | 12 << 48;
        let write = 1 | 1 << 16 | 1 << 32 | 1 << 36 | 13 << 48;
        let refused = 1 | 8 << 32 | 1 << 40 | 12 << 48;
        producer.push(&[1250, 0xfa00_0000, 0x4008_0000, 7, 1, read, 3 << 32]);
        producer.push(&[
            63_125,
            0xfa00_0005,
            0x4008_0004,
            0xaa | 7 << 32,
            1,
            write,
            3 << 32,
        ]);
        producer.push(&[63_125, 0xfa00_0000, 0x4008_0008, 0, 2, refused, 3 << 32]);
        let text = rings(&bytes(ring))[0].as_ref().unwrap().to_text(None);
        insta::assert_snapshot!(text, @"
        [   0.000010] +       0 us  event   12  vm0 dev0 cpu0 R4 0xfa000000 = 7 pc 0x40080000 seq 1 epoch 3
        [   0.001000] +     990 us  event   13  vm0 dev1 cpu0 W1 0xfa000005 = 7 -> 170 pc 0x40080004 seq 1 epoch 3
        [   0.001000] +       0 us  event   12  vm0 dev0 cpu0 R8 0xfa000000 not supported pc 0x40080008 seq 2 epoch 3
        vm0: 3 records, 0 overwritten or lost by the header's count, 0 missing between them, 0 torn
        ");
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
