//! A machine's memory as the tests make it: rings written word by word, as the layout's
//! documentation has them (`shared_ring`, `trace_records`), and none of the tool's constants.
#![allow(dead_code, reason = "each test uses a part of it")]

pub mod elf;

use std::io::Write;
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
            1,
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

pub fn said(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}
