//! What was found out last, so that a guest that polls a device does not pay for it again.
//!
//! Asked on every access of an x86 guest.
//!
//! Invariant: what is recalled is what would be found anew. It depends on the registers in
//! [`Situation`], which are compared; on words of the guest's memory, its tables' entries and
//! the instruction's bytes, which are read again and compared, each time; and on the general
//! registers in the operand's address, which is computed anew and has to be on the same page.
//! So no write of the guest's to its code, no change of its tables and no other address space
//! can bring up something stale: reuse saves the decoding and most of the walking, not the
//! looking.
//!
//! That holds if CS is what the situation says. Where to ask for it costs as much as half an
//! access (VT-x by way of a kernel), it is what it was when last asked for, and asked for again
//! unless [`Recalled::reads_alike`]. What is left to presume is that 16-bit code and segments
//! that do not begin at 0 are where they were: a guest that jumps from 64-bit code to such code
//! at the same RIP, on the same tables, and accesses the device's page from there in the same
//! direction has the earlier instruction carried out in place of its own. It still gets only
//! what the earlier instruction does with its own registers on a page that the CPU let it
//! access, so nothing that rewriting its code would not give it.
//!
//! ```text
//!   found once:   RIP ─► entries of the tables ─► code ─► decode ─► operand ─► entries ─► address
//!                              │                   │                              │
//!   recalled:              the same?           the same?      same page?      the same?
//! ```

use crate::instruction::{MemoryOperand, Registers, Segment};
use crate::{Code, Instruction, Mode, Paging, decode, fetch};
use core::ops::Range;
use guest_access::GuestPhysAddr;
use heapless::Vec;

/// Instructions of a loop that are kept.
const ENTRIES: usize = 8;
/// Words of memory that lead to an address: two walks of five levels, and an instruction.
const WORDS: usize = 13;
const PAGE: u64 = 4096;
/// No fetched word lies further behind an instruction.
const FETCHED: u64 = 24;

/// The registers that decide what an instruction pointer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    /// RIP.
    pub rip: u64,
    /// The base of CS as it was loaded.
    pub code_base: u64,
    /// Attributes of CS: bits 55 to 52 and 47 to 40 of its descriptor.
    pub code_attributes: u16,
    /// How the CPU translates addresses.
    pub paging: Paging,
}

/// L and D of a code segment.
const LONG: u16 = 1 << 9;
const DEFAULT_32: u16 = 1 << 10;

impl Situation {
    /// How the CPU reads the code at RIP.
    #[inline(always)]
    pub const fn mode(&self) -> Mode {
        if self.code_attributes & LONG != 0 && self.paging.is_long() {
            Mode::Long
        } else if self.code_attributes & DEFAULT_32 != 0 {
            Mode::Protected
        } else {
            Mode::Real
        }
    }

    /// The linear address of RIP. In 64-bit mode CS begins at 0 whatever was loaded.
    pub const fn linear_rip(&self) -> u64 {
        match self.mode() {
            Mode::Long => self.rip,
            Mode::Protected | Mode::Real => self.linear(self.rip.wrapping_add(self.code_base)),
        }
    }

    /// RIP after an instruction of so many bytes: what follows the last of 4 GiB is the first,
    /// outside of 64-bit mode.
    pub const fn next_rip(&self, len: u8) -> u64 {
        self.linear(self.rip.wrapping_add(len as u64))
    }

    /// The linear address that the sum of a segment's base and an effective address is: it has
    /// 32 bits outside of 64-bit mode, also where long mode's tables translate it.
    const fn linear(&self, sum: u64) -> u64 {
        match self.mode() {
            Mode::Long => sum,
            Mode::Protected | Mode::Real => sum & 0xffff_ffff,
        }
    }
}

/// An instruction and where its operand is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// The instruction.
    pub instruction: Instruction,
    /// The linear address of the operand's first byte, where it reads if it has two.
    pub linear: u64,
    /// Its guest-physical address.
    pub address: GuestPhysAddr,
    /// The linear address of the first byte that is written, if that is not where it reads.
    pub written: Option<u64>,
}

/// What was found before and still holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recalled<'a> {
    /// The instruction.
    pub instruction: &'a Instruction,
    /// The guest-physical address of the operand's first byte.
    pub address: GuestPhysAddr,
    /// The same would be found if the code were 64-bit code and if it were 32-bit code in a
    /// segment that begins at 0, as far as there is a RIP and long mode for either. Known only
    /// after [`AccessCache::compare_modes`].
    pub reads_alike: bool,
}

/// The last few that were found.
#[derive(Default)]
pub struct AccessCache {
    entries: [Option<Entry>; ENTRIES],
    /// How often something had to be found anew.
    searches: u64,
}

struct Entry {
    situation: Situation,
    instruction: Instruction,
    reads_alike: bool,
    /// The operand's segment begins at 0, whatever was loaded.
    begins_at_0: bool,
    /// The pages of the operand.
    linear_page: u64,
    physical_page: u64,
    /// All memory on which this depends: address and value.
    words: Vec<(u64, u64), WORDS>,
}

impl AccessCache {
    /// What was found before, if all that it depends on is as it was. `read` gives the eight
    /// bytes at a guest-physical address that is a multiple of 8, or `None` if no RAM is there.
    #[inline(always)]
    pub fn recall(
        &self,
        situation: &Situation,
        registers: &impl Registers,
        read: impl Fn(GuestPhysAddr) -> Option<u64>,
    ) -> Option<Recalled<'_>> {
        let entry = self.entries.get(index(situation.rip))?.as_ref()?;
        if entry.situation != *situation {
            return None;
        }
        for (address, value) in &entry.words {
            if read(GuestPhysAddr(*address)) != Some(*value) {
                return None;
            }
        }
        let instruction = &entry.instruction;
        let next_rip = situation.rip.wrapping_add(instruction.len.into());
        let mut linear = instruction.memory.effective(registers, next_rip);
        if !entry.begins_at_0 {
            let base = registers.segment_base(instruction.memory.segment);
            linear = situation.linear(linear.wrapping_add(base));
        }
        let in_page = linear.wrapping_sub(entry.linear_page);
        if in_page > PAGE - instruction.width.bytes() {
            return None;
        }
        Some(Recalled {
            instruction,
            address: GuestPhysAddr(entry.physical_page | in_page),
            reads_alike: entry.reads_alike,
        })
    }

    /// Finds it anew, and keeps it for [`Self::recall`], unless it is not
    /// [plain](Instruction::is_plain), or the last of 4 GiB and RIP does not just go on behind it.
    /// `None` if the instruction cannot be
    /// fetched, is none that is carried out, or has an operand that leads nowhere.
    pub fn find(
        &mut self,
        situation: &Situation,
        registers: &impl Registers,
        read: impl Fn(GuestPhysAddr) -> Option<u64>,
    ) -> Option<Found> {
        self.searches += 1;
        let mut words = Words::default();
        let linear_rip = situation.linear_rip();
        let code = fetch(&situation.paging, linear_rip, words.noting(&read))?;
        let instruction = decode(&code, situation.mode())?;
        if linear_rip % PAGE + u64::from(instruction.len) <= PAGE {
            let code = situation.paging.translate(linear_rip, &read)?.address.0;
            let end = code.wrapping_add(instruction.len.into());
            words.forget(end..end.saturating_add(FETCHED));
            // Some of these may have been entries of the tables.
            situation
                .paging
                .translate(linear_rip, words.noting(&read))?;
        }
        let next_rip = situation.rip.wrapping_add(instruction.len.into());
        let linear = situation.linear(instruction.linear(registers, next_rip));
        let goes_on_behind = situation.next_rip(instruction.len) == next_rip;
        let segment = instruction.memory.segment;
        let begins_at_0 =
            situation.mode() == Mode::Long && !matches!(segment, Segment::Fs | Segment::Gs);
        let translation = situation.paging.translate(linear, words.noting(&read))?;
        let address = translation.address;
        if goes_on_behind
            && instruction.is_plain()
            && let Some(words) = words.complete()
            && let Some(place) = self.entries.get_mut(index(situation.rip))
        {
            *place = Some(Entry {
                situation: *situation,
                instruction,
                reads_alike: false,
                begins_at_0,
                linear_page: linear - linear % PAGE,
                physical_page: address.0 - address.0 % PAGE,
                words,
            });
        }
        let written = instruction.written.map(|operand| {
            let written = operand.linear(registers, next_rip);
            situation.linear(written)
        });
        Some(Found {
            instruction,
            linear,
            address,
            written,
        })
    }

    /// Finds out [`Recalled::reads_alike`] for what was just found in `situation`.
    pub fn compare_modes(
        &mut self,
        situation: &Situation,
        read: impl Fn(GuestPhysAddr) -> Option<u64>,
    ) {
        if let Some(Some(entry)) = self.entries.get_mut(index(situation.rip))
            && entry.situation == *situation
            && let Some(code) = fetch(&situation.paging, situation.linear_rip(), read)
        {
            entry.reads_alike = reads_alike(&code, &entry.instruction, situation);
        }
    }

    /// How often something had to be found anew.
    pub fn searches(&self) -> u64 {
        self.searches
    }
}

/// Whether 64-bit code and 32-bit code make the same of `code`, which is `instruction` in
/// `situation`.
///
/// They may differ in the upper bits of the operand's address. Those choose the page, and which
/// page it is the CPU says; where in it the operand is, and so whether it ends there, the lower
/// bits say in both.
fn reads_alike(code: &Code, instruction: &Instruction, situation: &Situation) -> bool {
    const LOW_4_GIB: u64 = 0xffff_ffff;
    let other = match situation.mode() {
        // Only 64-bit code comes there.
        Mode::Long if situation.rip > LOW_4_GIB => return true,
        Mode::Long => Mode::Protected,
        Mode::Protected if situation.code_base != 0 => return false,
        // Without long mode there is no 64-bit code.
        Mode::Protected if !situation.paging.is_long() => return true,
        Mode::Protected => Mode::Long,
        Mode::Real => return false,
    };
    let next_rip = situation.rip.saturating_add(instruction.len.into());
    let alike = decode(code, other).is_some_and(|in_other| {
        let memory = MemoryOperand {
            address_mask: instruction.memory.address_mask,
            ..in_other.memory
        };
        *instruction == Instruction { memory, ..in_other }
    });
    alike && next_rip <= LOW_4_GIB
}

/// Words of memory that were read, and whether there was room to note all.
#[derive(Default)]
struct Words {
    noted: Vec<(u64, u64), WORDS>,
    overflowed: bool,
}

impl Words {
    /// Reads by `read` and notes what it gave.
    fn noting(
        &mut self,
        read: &impl Fn(GuestPhysAddr) -> Option<u64>,
    ) -> impl FnMut(GuestPhysAddr) -> Option<u64> {
        |address| {
            let value = read(address)?;
            let word = (address.0, value);
            if !self.noted.contains(&word) {
                self.overflowed |= self.noted.push(word).is_err();
            }
            Some(value)
        }
    }

    /// Drops the words at these addresses.
    fn forget(&mut self, addresses: Range<u64>) {
        self.noted
            .retain(|(address, _)| !addresses.contains(address));
    }

    /// All words, if they are all.
    fn complete(self) -> Option<Vec<(u64, u64), WORDS>> {
        (!self.overflowed).then_some(self.noted)
    }
}

/// Instructions of one loop rarely share these bits.
#[inline(always)]
fn index(rip: u64) -> usize {
    (rip ^ rip >> 3) as usize % ENTRIES
}
