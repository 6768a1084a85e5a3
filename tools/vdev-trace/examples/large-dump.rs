//! Writes a dump that holds one trace ring of many records, to measure `vdev-trace` with:
//!
//! ```sh
//! cargo run --release -p vdev-trace --example large-dump -- 10000000 out/large.dump
//! ```
//!
//! Laid out by `shared_ring`'s and `trace_records`' description. One access in ten is a write.

use guest_access::{AccessWidth, Direction, GuestPhysAddr};
use shared_ring::{LAYOUT_VERSION, MAGIC, RingKind, SLOT_BYTES, header_word};
use std::fs::File;
use std::io::{BufWriter, Write};
use trace_records::{Kind, Record, Stamp, Tag};

const PAGE_WORDS: usize = 512;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(count), Some(path)) = (arguments.next(), arguments.next()) else {
        return Err("how many records, and into which file?".into());
    };
    let count: u64 = count.parse()?;
    let slots = count.next_power_of_two();
    let file = File::create(&path)?;
    file.set_len(4096 + slots * SLOT_BYTES as u64)?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let mut header = [0_u64; PAGE_WORDS];
    for (index, value) in [
        (header_word::MAGIC, MAGIC),
        (header_word::LAYOUT_VERSION, LAYOUT_VERSION),
        (header_word::SLOT_BYTES, SLOT_BYTES as u64),
        (header_word::SLOT_COUNT, slots),
        (header_word::KIND_AND_VM, RingKind::Trace as u64),
        (header_word::CLOCK_HZ, 62_500_000),
        (header_word::HEAD, count),
    ] {
        header[index] = value;
    }
    for word in header {
        out.write_all(&word.to_le_bytes())?;
    }
    for sequence in 1..=count {
        let direction = match sequence % 10 {
            0 => Direction::Write,
            _ => Direction::Read,
        };
        let record = Record {
            time: sequence * 26,
            address: GuestPhysAddr(0xfa00_0000),
            pc: 0x4008_0000 + sequence % 16 * 4,
            value: sequence as u32,
            old: 7,
            sequence,
            tag: Tag::new(Kind::Access)
                .with_access(direction, Some(AccessWidth::Word))
                .stamped(Stamp::new(0, 12)),
            state_seen: sequence as u32 - 1,
            epoch: 0,
        };
        out.write_all(&sequence.to_le_bytes())?;
        for word in record.to_words() {
            out.write_all(&word.to_le_bytes())?;
        }
    }
    out.flush()?;
    Ok(())
}
