//! A machine's memory as the tests make it: rings written word by word, as the layout's
//! documentation has them (`shared_ring`, `trace_records`), and none of the tool's constants.
#![allow(dead_code, reason = "each test uses a part of it")]

pub mod elf;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

pub const TRACE: u64 = 3;
pub const CLOCK_HZ: u64 = 1_000_000;
pub const PAGE: usize = 4096;
pub const SLOT: usize = 64;

/// Header words.
pub const SLOT_BYTES: usize = 2;
pub const SLOT_COUNT: usize = 3;
pub const HEAD: usize = 8;

/// A ring as its producer leaves it.
pub struct Ring {
    pub kind: u64,
    pub vm: u64,
    pub start: u64,
    pub epoch: u64,
    pub lost: u64,
    slots: Vec<[u64; 8]>,
    pushed: u64,
}

impl Ring {
    pub fn new(kind: u64, vm: u64, slots: usize) -> Self {
        Self {
            kind,
            vm,
            start: 0,
            epoch: 0,
            lost: 0,
            slots: vec![[0; 8]; slots],
            pushed: 0,
        }
    }

    /// A trace ring of VM 0 with these records.
    pub fn traced(slots: usize, records: impl IntoIterator<Item = [u64; 7]>) -> Self {
        let mut ring = Self::new(TRACE, 0, slots);
        for record in records {
            ring.push(record);
        }
        ring
    }

    pub fn push(&mut self, record: [u64; 7]) {
        let place = self.pushed as usize % self.slots.len();
        self.pushed += 1;
        self.slots[place][0] = self.pushed;
        self.slots[place][1..].copy_from_slice(&record);
        self.lost = self.pushed.saturating_sub(self.slots.len() as u64);
    }

    /// A page of header, then the slots.
    pub fn bytes(&self) -> Vec<u8> {
        let magic = u64::from_le_bytes(*b"VTRACRNG");
        let mut words = vec![
            magic,
            4,
            64,
            self.slots.len() as u64,
            self.kind | self.vm << 8,
            CLOCK_HZ,
            self.start,
            self.epoch,
            self.pushed,
            self.lost,
        ];
        words.resize(PAGE / 8, 0);
        words.extend(self.slots.iter().flatten());
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// The ring between pages of nothing, in whole pages.
    pub fn dump(&self) -> Vec<u8> {
        let mut dump = [vec![0; PAGE], self.bytes(), vec![0; PAGE]].concat();
        dump.resize(dump.len().next_multiple_of(PAGE), 0);
        dump
    }
}

/// Overwrites a word of a ring in [`Ring::dump`].
pub fn set_header(dump: &mut [u8], word: usize, value: u64) {
    let at = PAGE + 8 * word;
    dump[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

/// A read of 4 bytes, event 12, device 0.
pub fn read(time: u64, sequence: u64, value: u64) -> [u64; 7] {
    let tag = 1 | 4 << 32 | 12 << 48;
    [time, 0xfa00_0000, 0x4008_0000, value, sequence, tag, 0]
}

/// A write of 4 bytes, event 12, device 0.
pub fn write(time: u64, sequence: u64, old: u64, value: u64) -> [u64; 7] {
    let tag = 1 | 4 << 32 | 1 << 36 | 12 << 48;
    let values = value | old << 32;
    [time, 0xfa00_0000, 0x4008_0004, values, sequence, tag, 0]
}

/// The same record with another event number, device and VM.
pub fn tagged(mut record: [u64; 7], event: u64, instance: u64, vm: u64) -> [u64; 7] {
    record[5] = record[5] & 0x0000_ffff_0000_00ff | event << 48 | instance << 16 | vm << 8;
    record
}

/// The same record in another epoch.
pub fn in_epoch(mut record: [u64; 7], epoch: u64) -> [u64; 7] {
    record[6] = epoch << 32;
    record
}

/// A record of this kind with no event number.
pub fn internal(kind: u64, words: [u64; 5], last: u64) -> [u64; 7] {
    let [a, b, c, d, e] = words;
    [a, b, c, d, e, kind | 0xffff << 48, last]
}

/// A life: reads, a narrow write, a refused access, a reset, what is no device, the sums, the end,
/// and something unknown. The events of the refused access and of the one after the reset are
/// `refused` and `anew`.
pub fn life(refused: u64, anew: u64) -> Ring {
    let mut ring = Ring::new(TRACE, 0, 64);
    ring.start = 500;
    ring.push(read(1500, 1, 7));
    let narrow = 1 | 1 << 16 | 1 << 32 | 1 << 36 | 13 << 48;
    ring.push([
        63_625,
        0xfa00_0005,
        0x4008_0004,
        0xaa07 | 7 << 32,
        1,
        narrow,
        0,
    ]);
    let refused = 1 | 8 << 32 | 1 << 40 | refused << 48;
    ring.push([63_625, 0xfa00_0000, 0x4008_0008, 0, 2, refused, 0]);
    ring.push(internal(3, [70_000, 0, 0, 0, 0], 1 << 32));
    ring.push(in_epoch(tagged(read(70_100, 3, 0), anew, 0, 0), 1));
    ring.push(internal(
        2,
        [80_000, 0xfb00_0000, 0x4008_000c, 3, 0],
        1 << 32,
    ));
    ring.push(internal(5, [90_000, 3, 1, 4, 5], 7));
    ring.push(internal(6, [90_000, 1, 2, 3, 4], 5));
    ring.push(internal(9, [90_000, 1500, 80_000, 80_001, 0], 0));
    ring.push(internal(4, [90_000, 0, 0, 0, 0], 1 << 32));
    ring.push(internal(0xee, [90_001, 0, 0, 0, 0], 0));
    ring
}

/// A dump with a trace ring of VM `vm` that has one read of its first device, a second after the
/// start.
pub fn one_read(vm: u64) -> Vec<u8> {
    let mut ring = Ring::new(TRACE, vm, 2);
    ring.push(tagged(read(1_000_000, 1, 7), 12, 0, vm));
    ring.dump()
}

/// Writes a configuration whose guest is not there, and gives its path. Its one device has this
/// name, and what else follows that.
pub fn config(folder: &Path, name: &str, device: &str) -> String {
    let path = folder.join(name);
    let text = format!(
        "system {name}\ncpu\nram 0x40000000,2M\nload not-there\n\
         vdev trace loc 0xfa000000 name {device}\n"
    );
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Runs the tool with these bytes on its standard input.
pub fn vdev_trace(input: &[u8], arguments: &[&str]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vdev-trace"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let input = input.to_vec();
    // It may print before it has read everything, or end before.
    let writer = std::thread::spawn(move || drop(pipe.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// The same without any.
pub fn tool(arguments: &[&str]) -> Output {
    vdev_trace(&[], arguments)
}

/// Decodes a dump.
pub fn decode(dump: &[u8], arguments: &[&str]) -> Output {
    vdev_trace(dump, &[&["decode", "-"], arguments].concat())
}

pub fn said(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}
