//! Accesses that the syndrome does not describe: read off the guest's instruction.
//!
//! Called by `vmm`, on its cold path. The guest may have rewritten the instruction, its page
//! tables or both since the CPU used them; so what is decoded counts only if it agrees with
//! what the CPU reported, the direction and the address of one element. Whatever else it then
//! does, it could have done by itself.
//!
//! ```text
//!   PC ─► stage 1 ─► RAM ─► decode ─► addresses ─► stage 1 ─► agrees? ─┬─ Transfer
//!              │                                       │               ├─ GuestFault
//!              └──────────── not a simple load or store, or does not ──┴─ Unsupported
//! ```
//!
//! Specification: Arm ARM (DDI 0487) C6.2, D8; a64-guest has the details.

use crate::transfer::{Element, End, Place, SecondPage, Transfer, registers, stored};
use crate::{A64Machine, StackPointer};
use a64_guest::exception::EXTERNAL_ABORT;
use a64_guest::load_store::{Base, Instruction, LoadStore, Register, decode};
use a64_guest::stage1::{Fault, Privilege, Purpose, Regime};
use guest_trap::{Direction, GuestPhysAddr};
use heapless::Vec;

/// What the CPU reported about an access.
#[derive(Clone, Copy)]
pub(crate) struct Reported {
    pub address: GuestPhysAddr,
    pub direction: Direction,
    pub pc: u64,
}

/// Why an access is not carried out: the data abort that answers it has this fault status
/// and virtual address.
pub(crate) enum Obstacle {
    /// Policy `instruction`, of which the data abort is one answer.
    Unsupported { status: u8, virtual_address: u64 },
    /// Another element of the instruction has no translation: the guest's own affair.
    GuestFault { status: u8, virtual_address: u64 },
}

/// Translates addresses for the guest as it was when it left.
struct View<'a, M> {
    machine: &'a mut M,
    regime: Regime,
    pstate: u64,
}

const PSTATE_AARCH32: u64 = 1 << 4;
const PSTATE_EL: u64 = 0b11 << 2;
const PSTATE_PAN: u64 = 1 << 22;
const PSTATE_UAO: u64 = 1 << 23;
/// Bytes of the smallest page: what lies in one is contiguous in any.
const PAGE_BYTES: u64 = 4096;

/// Finds out what the instruction at the guest's PC does.
///
/// # Errors
///
/// The [`Obstacle`] to carrying it out.
pub(crate) fn plan(
    reported: Reported,
    machine: &mut impl A64Machine,
) -> Result<Transfer<End>, Obstacle> {
    let told = machine.fault_address();
    let mut view = View::new(machine);
    let unsupported = |status, guess: Option<u64>| {
        Err(Obstacle::Unsupported {
            status,
            virtual_address: told.or(guess).unwrap_or(reported.address.0),
        })
    };
    let instruction = match view.instruction(reported.pc) {
        Some(Instruction::LoadStore(instruction)) => instruction,
        Some(Instruction::OtherAccess { base }) => {
            let guess = view.address_near(base, reported);
            return unsupported(EXTERNAL_ABORT, guess);
        }
        Some(Instruction::NoAccess) | None => return unsupported(EXTERNAL_ABORT, None),
    };
    let base = view.base(instruction.base, reported.pc);
    let purpose = Purpose::Access(instruction.direction, view.privilege(&instruction));
    let mut elements = Vec::new();
    let mut fault = None;
    // Where the reported access is in the guest's eyes, if it is one of this instruction's.
    let mut agreed = None;
    let mut all_registers = true;
    let first = view.first_address(&instruction, base);
    for (register, index) in registers(&instruction).zip(0..) {
        let address = first.wrapping_add(index * instruction.width_bytes());
        let value = view.value(register, &instruction);
        all_registers &= value.is_some();
        match view.place(address, instruction.width_bytes(), purpose) {
            Ok(place) => {
                let (direction, log2_bytes) = (instruction.direction, instruction.log2_bytes);
                let value = value.unwrap_or(0);
                let element = Element::new(place, Some(address), direction, log2_bytes, value);
                agreed = agreed.or(element.virtual_address_of(reported.address));
                // There are at most two.
                let _ = elements.push(element);
            }
            Err(found) => fault = fault.or(Some(found)),
        }
    }
    match fault {
        // The CPU could not read a table either: that is the access it reported.
        Some((address, fault @ Fault::TableOutsideRam { .. })) if agreed.is_none() => {
            unsupported(fault.status(), Some(address))
        }
        _ if agreed.is_none() || instruction.direction != reported.direction || !all_registers => {
            unsupported(EXTERNAL_ABORT, agreed)
        }
        Some((virtual_address, fault)) => Err(Obstacle::GuestFault {
            status: fault.status(),
            virtual_address,
        }),
        None => Ok(Transfer::decoded(reported.pc, instruction, base, elements)),
    }
}

/// The virtual address of an access that the hardware has described, if the instruction still
/// tells; for platforms that do not.
pub(crate) fn virtual_address(reported: Reported, machine: &mut impl A64Machine) -> u64 {
    let mut view = View::new(machine);
    let address = match view.instruction(reported.pc) {
        Some(Instruction::LoadStore(instruction)) => {
            let base = view.base(instruction.base, reported.pc);
            Some(view.first_address(&instruction, base))
        }
        Some(Instruction::OtherAccess { .. } | Instruction::NoAccess) | None => None,
    };
    address
        .filter(|address| view.translate(*address, Purpose::Fetch) == Ok(reported.address))
        .unwrap_or(reported.address.0)
}

impl<'a, M: A64Machine> View<'a, M> {
    fn new(machine: &'a mut M) -> Self {
        Self {
            regime: machine.stage1(),
            pstate: machine.pstate(),
            machine,
        }
    }

    fn translate(&mut self, address: u64, purpose: Purpose) -> Result<GuestPhysAddr, Fault> {
        let machine = &mut *self.machine;
        self.regime.translate(address, purpose, &mut |at| {
            let mut bytes = [0; 8];
            let is_ram = machine.read_ram(at, &mut bytes);
            is_ram.then(|| u64::from_le_bytes(bytes))
        })
    }

    /// The A64 instruction at `pc`; `None` if it cannot be read, or the guest is not a
    /// little-endian AArch64 one.
    fn instruction(&mut self, pc: u64) -> Option<Instruction> {
        if self.pstate & PSTATE_AARCH32 != 0 || self.regime.is_big_endian() {
            return None;
        }
        let address = self.translate(pc, Purpose::Fetch).ok()?;
        let mut bytes = [0; 4];
        let is_ram = self.machine.read_ram(address, &mut bytes);
        is_ram.then(|| decode(u32::from_le_bytes(bytes)))
    }

    fn base(&mut self, base: Base, pc: u64) -> u64 {
        match base {
            Base::General(register) => stored(register, self.machine) as u64,
            Base::StackPointer => {
                let which = StackPointer::current(self.pstate);
                self.machine.stack_pointer(which)
            }
            Base::ProgramCounter => pc,
        }
    }

    fn first_address(&mut self, instruction: &LoadStore, base: u64) -> u64 {
        let index = instruction.index();
        let index = index.map_or(0, |register| stored(register, self.machine) as u64);
        instruction.address(base, index)
    }

    fn privilege(&self, instruction: &LoadStore) -> Privilege {
        let as_el0 = instruction.unprivileged && self.pstate & PSTATE_UAO == 0;
        if self.pstate & PSTATE_EL == 0 || as_el0 {
            Privilege::El0
        } else if self.pstate & PSTATE_PAN != 0 {
            Privilege::El1NotEl0
        } else {
            Privilege::El1
        }
    }

    /// Where the bytes at a virtual address are; the error names the one that has no place.
    fn place(&mut self, address: u64, len: u64, purpose: Purpose) -> Result<Place, (u64, Fault)> {
        let mut translate = |address| {
            let translated = self.translate(address, purpose);
            translated.map_err(|fault| (address, fault))
        };
        let first = translate(address)?;
        let before = PAGE_BYTES - address % PAGE_BYTES;
        let second_page = match before < len {
            false => None,
            true => Some(SecondPage {
                bytes_before: before as usize,
                address: translate(address.wrapping_add(before))?,
            }),
        };
        Ok(Place { first, second_page })
    }

    /// What a store stores of a register; 0 for a load. `None` if the platform has no way to
    /// the register.
    fn value(&mut self, register: Register, instruction: &LoadStore) -> Option<u128> {
        let whole = match register {
            Register::General(register) => stored(register, self.machine),
            Register::Vector(number) => self.machine.vector(number)?,
        };
        Some(match instruction.direction {
            Direction::Read => 0,
            Direction::Write => whole & u128::MAX >> (128 - 8 * instruction.width_bytes()),
        })
    }

    /// The virtual address of the reported one, if it is on the page that `base` points to.
    fn address_near(&mut self, base: Base, reported: Reported) -> Option<u64> {
        let base = self.base(base, reported.pc);
        let translated = self.translate(base, Purpose::Fetch).ok()?;
        let same_page = translated.0 / PAGE_BYTES == reported.address.0 / PAGE_BYTES;
        same_page.then(|| base - base % PAGE_BYTES + reported.address.0 % PAGE_BYTES)
    }
}
