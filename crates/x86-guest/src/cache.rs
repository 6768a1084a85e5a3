//! What was decoded last, so that a guest that polls a device does not pay for it again.
//!
//! Asked on every access of an x86 guest.
//!
//! Invariant: reuse is safe because the bytes are fetched again each time and compared: an
//! entry is used only for the very bytes that it was made of, in the mode in which they were
//! decoded. Where they lie does not matter: nothing that is decoded depends on it. So no
//! write of the guest's, no change of its tables, and no other address space can bring up a
//! stale instruction.

use crate::{Code, Instruction, Mode, decode};

/// Instructions of a loop that are kept.
const ENTRIES: usize = 8;

/// A few decoded instructions.
pub struct DecodeCache {
    entries: [Option<Entry>; ENTRIES],
    /// How often an instruction was decoded.
    decoded: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    mode: Mode,
    code: Code,
    instruction: Instruction,
}

impl Default for DecodeCache {
    fn default() -> Self {
        Self {
            entries: [None; ENTRIES],
            decoded: 0,
        }
    }
}

impl DecodeCache {
    /// The instruction that `code` begins with, which lies at `rip`: as [`decode`] says, or
    /// said of the same bytes.
    #[inline(always)]
    pub fn decode(&mut self, rip: u64, code: &Code, mode: Mode) -> Option<Instruction> {
        // Instructions of one loop rarely share these bits.
        let index = (rip ^ rip >> 3) as usize % ENTRIES;
        if let Some(Some(entry)) = self.entries.get(index)
            && entry.mode == mode
            && code.begins_like(&entry.code, entry.instruction.len)
        {
            return Some(entry.instruction);
        }
        self.decode_anew(index, code, mode)
    }

    /// How often an instruction had to be decoded.
    pub fn decoded(&self) -> u64 {
        self.decoded
    }

    #[cold]
    fn decode_anew(&mut self, index: usize, code: &Code, mode: Mode) -> Option<Instruction> {
        self.decoded += 1;
        let instruction = decode(code, mode)?;
        if let Some(place) = self.entries.get_mut(index) {
            *place = Some(Entry {
                mode,
                code: *code,
                instruction,
            });
        }
        Some(instruction)
    }
}
