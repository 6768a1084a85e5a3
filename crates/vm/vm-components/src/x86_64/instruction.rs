//! An access read off the guest's instruction.
//!
//! Called by `exits`. An exit says where an access went and whether it wrote; all else is in the
//! instruction, which x86-guest fetches, decodes and carries out. The guest may have rewritten it,
//! its tables or both since the CPU used them: what is decoded counts only if its operand is where
//! the CPU says the guest went. Whatever else it then does, it could have done by itself.
//!
//! ```text
//!   RIP ─► paging ─► RAM ─► decode ─► operands ─► paging ─► agrees? ─┬─ Transfer: [read], [write];
//!                               │                                   │  of a string one element
//!                               │                                   ├─ PageFault
//!                               └──────────── not carried out, or not ─ Unsupported
//! ```
//!
//! Specification: AMD APM volume 2, 8.4.2, and Intel SDM volume 3, 4.7 (page fault error code).

use super::{X86, X86End, X86Exception, X86Machine};
use crate::Vmm;
use crate::vmm::transfer::{Element, MAX_ELEMENTS, Place, SecondPage, Transfer};
use guest_access::{Direction, GuestPhysAddr};
use heapless::Vec;
use x86_guest::{Found, Instruction, Operation, Paging};

const CR0_WP: u64 = 1 << 16;
const PAGE_BYTES: u64 = 4096;

/// Bits of a page fault's error code.
mod page_fault {
    pub const PRESENT: u32 = 1 << 0;
    pub const WRITE: u32 = 1 << 1;
    pub const USER: u32 = 1 << 2;
}

/// Why an access is not carried out.
pub(super) enum Obstacle {
    /// Policy `instruction`.
    Unsupported,
    /// The guest's own affair.
    PageFault(X86Exception),
}

impl Vmm<X86> {
    /// Finds out what the instruction at `rip` does, if its operand is at `reported` and
    /// `direction` is one that it has.
    pub(super) fn plan<M: X86Machine>(
        &mut self,
        rip: u64,
        reported: GuestPhysAddr,
        direction: Direction,
        machine: &mut M,
    ) -> Result<Transfer<X86End>, Obstacle> {
        let situation = machine.situation();
        let paging = situation.paging;
        let words = machine.ram_words();
        let found = self.memory.find(&situation, machine, words);
        if !M::SEES_CODE_SEGMENT {
            self.memory.compare_modes(&situation, words);
        }
        let found = found.ok_or(Obstacle::Unsupported)?;
        let Found {
            instruction,
            linear,
            written,
            ..
        } = found;
        let (reads, writes) = (instruction.reads(), instruction.writes());
        let (width, log2_bytes) = (instruction.width, instruction.width.log2());
        let mut elements: Vec<Element, MAX_ELEMENTS> = Vec::new();
        let mut add = |linear, direction, writes, value: u64| {
            let place = place(linear, &instruction, writes, paging, machine)?;
            let element = Element::new(place, Some(linear), direction, log2_bytes, value.into());
            // There are at most two.
            let _ = elements.push(element);
            Ok(())
        };
        if reads {
            add(linear, Direction::Read, writes && written.is_none(), 0)?;
        }
        if writes {
            let stored = instruction.execute(0, machine).write.unwrap_or(0) & width.mask();
            add(written.unwrap_or(linear), Direction::Write, true, stored)?;
        }
        // An emulator reports the reading half of what reads and writes at one place, a CPU the
        // writing one.
        let goes_there = |element: &Element| {
            let is_half = written.is_none() || element.direction == direction;
            is_half && element.virtual_address_of(reported).is_some()
        };
        let has_direction = match direction {
            Direction::Read => reads,
            Direction::Write => writes,
        };
        let is_told = match instruction.operation {
            // It goes there as a read does, and nothing comes of it.
            Operation::Flush => found.address == reported,
            _ => has_direction && elements.iter().any(goes_there),
        };
        if !is_told || instruction.is_over(machine) {
            return Err(Obstacle::Unsupported);
        }
        let end = X86End::Instruction {
            instruction,
            next_rip: situation.next_rip(instruction.len),
        };
        Ok(Transfer::new(rip, elements, end))
    }
}

/// Where the bytes of an operand at a linear address are. The CPU has translated the first of them
/// and checked what the guest may do there, unless the instruction has two operands and it was the
/// other one that it could not go to; the rest obeys the guest's tables here. An emulator may
/// report the reading half of an instruction before it looks whether it may write.
fn place(
    linear: u64,
    instruction: &Instruction,
    writes: bool,
    paging: Paging,
    machine: &impl X86Machine,
) -> Result<Place, Obstacle> {
    let user = machine.privilege_level() == 3;
    let page_fault = |address, present| {
        let bit = |is_set, bit| if is_set { bit } else { 0 };
        let error_code = present | bit(writes, page_fault::WRITE) | bit(user, page_fault::USER);
        Obstacle::PageFault(X86Exception::PageFault {
            address,
            error_code,
        })
    };
    let words = machine.ram_words();
    let checked = |address| {
        let found = paging.translate(address, words)?;
        let obeys_writable = user || paging.cr0 & CR0_WP != 0;
        let allowed = (!user || found.user) && (!writes || !obeys_writable || found.writable);
        Some((found.address, allowed))
    };
    let (first, allowed) = checked(linear).ok_or(match instruction.written {
        None => Obstacle::Unsupported,
        Some(_) => page_fault(linear, 0),
    })?;
    if !allowed {
        return Err(page_fault(linear, page_fault::PRESENT));
    }
    let before = PAGE_BYTES - linear % PAGE_BYTES;
    if before >= instruction.width.bytes() {
        return Ok(Place::memory(first));
    }
    let second = linear.wrapping_add(before);
    match checked(second) {
        None => Err(page_fault(second, 0)),
        Some((_, false)) => Err(page_fault(second, page_fault::PRESENT)),
        Some((address, true)) => Ok(Place {
            second_page: Some(SecondPage {
                bytes_before: before as usize,
                address,
            }),
            ..Place::memory(first)
        }),
    }
}
