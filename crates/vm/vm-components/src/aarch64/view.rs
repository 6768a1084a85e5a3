//! The guest as it was when it left: its addresses translated, its instruction fetched and decoded,
//! whatever instruction set it executes.
//!
//! Made by `instruction` for one exit. Invariant: it reads the guest's memory and registers, and
//! changes nothing.
//!
//! Specification: Arm ARM (DDI 0487) C6.2, F5, D8; a64-guest has the details.

use super::completion::{End, stored};
use super::step::INSTRUCTION_BYTES;
use super::{A64Machine, StackPointer};
use crate::vmm::transfer::{Place, SecondPage};
use a64_guest::aarch32;
use a64_guest::load_store::{self, Base, Register};
use a64_guest::pstate::{self, ByteOrder};
use a64_guest::stage1::{Fault, Privilege, Purpose, Regime};
use guest_access::{Direction, Extension, GuestPhysAddr};

/// What the CPU reported about an access.
#[derive(Clone, Copy)]
pub(crate) struct Reported {
    pub address: GuestPhysAddr,
    pub direction: Direction,
    pub pc: u64,
}

/// Translates addresses for the guest as it was when it left.
pub(super) struct View<'a, M> {
    machine: &'a mut M,
    regime: Regime,
    pstate: u64,
    /// Where the last walk that met no memory looked for a descriptor.
    pub table_outside: Option<GuestPhysAddr>,
}

/// An instruction at the guest's program counter.
pub(super) struct Fetched {
    pub len_bytes: u64,
    pub does: Does,
}

pub(super) enum Does {
    /// A load or store, with all that it takes from registers.
    LoadStore(LoadStore),
    /// Another access, somewhere near this address.
    OtherAccess {
        near: u64,
    },
    NoAccess,
}

pub(super) struct LoadStore {
    pub end: End,
    /// Of the first register's bytes.
    pub address: u64,
    /// The bits that an address has.
    pub address_mask: u64,
    pub unprivileged: bool,
}

const PSTATE_PAN: u64 = 1 << 22;
const PSTATE_UAO: u64 = 1 << 23;
/// The bits of an AArch32 register.
const AARCH32_BITS: u64 = 0xffff_ffff;
/// Bytes of the smallest page: what lies in one is contiguous in any.
const PAGE_BYTES: u64 = 4096;

impl LoadStore {
    /// The address of an element, of two.
    pub fn element(&self, index: u64) -> u64 {
        let offset = index * u64::from(self.end.width_bytes());
        self.address.wrapping_add(offset) & self.address_mask
    }

    pub fn last_byte(&self) -> u64 {
        let registers = 1 + u64::from(self.end.second.is_some());
        self.element(registers).wrapping_sub(1) & self.address_mask
    }
}

impl<'a, M: A64Machine> View<'a, M> {
    pub fn new(machine: &'a mut M) -> Self {
        Self {
            regime: machine.stage1(),
            pstate: machine.pstate(),
            machine,
            table_outside: None,
        }
    }

    pub fn translate(&mut self, address: u64, purpose: Purpose) -> Result<GuestPhysAddr, Fault> {
        let (machine, outside) = (&mut *self.machine, &mut self.table_outside);
        self.regime.translate(address, purpose, &mut |at| {
            let mut bytes = [0; 8];
            let is_ram = machine.read_ram(at, &mut bytes);
            if !is_ram {
                *outside = Some(at);
            }
            is_ram.then(|| u64::from_le_bytes(bytes))
        })
    }

    /// The instruction at `pc`, of the set that the guest executes; `None` if it cannot be read.
    pub fn instruction(&mut self, pc: u64) -> Option<Fetched> {
        if !pstate::is_aarch32(self.pstate) {
            let word = u32::from_le_bytes(self.code(pc)?);
            return Some(Fetched {
                len_bytes: INSTRUCTION_BYTES,
                does: self.a64(load_store::decode(word), pc),
            });
        }
        let (set, len_bytes, instruction) = if pstate::is_thumb(self.pstate) {
            let first = u16::from_le_bytes(self.code(pc)?);
            let is_long = aarch32::has_second_half(first);
            let second = match is_long {
                true => u16::from_le_bytes(self.code(pc.wrapping_add(2) & AARCH32_BITS)?),
                false => 0,
            };
            let len_bytes = if is_long { 4 } else { 2 };
            let instruction = aarch32::decode_t32(first, second);
            (aarch32::Set::T32, len_bytes, instruction)
        } else {
            let word = u32::from_le_bytes(self.code(pc)?);
            (aarch32::Set::A32, 4, aarch32::decode_a32(word))
        };
        let pc = set.program_counter(pc as u32);
        let does = self.aarch32(instruction, pc, len_bytes);
        Some(Fetched { len_bytes, does })
    }

    /// Bytes of code, which are little-endian whatever the data is.
    pub fn code<const LEN: usize>(&mut self, pc: u64) -> Option<[u8; LEN]> {
        let address = self.translate(pc, Purpose::Fetch).ok()?;
        let mut bytes = [0; LEN];
        let is_ram = self.machine.read_ram(address, &mut bytes);
        is_ram.then_some(bytes)
    }

    fn byte_order(&self) -> ByteOrder {
        ByteOrder::of_data(self.pstate, self.regime.sctlr)
    }

    /// What an A64 instruction at `pc` does.
    fn a64(&mut self, instruction: load_store::Instruction, pc: u64) -> Does {
        use load_store::Instruction;
        let instruction = match instruction {
            Instruction::LoadStore(instruction) => instruction,
            Instruction::OtherAccess { base } => {
                let near = self.base(base, pc);
                return Does::OtherAccess { near };
            }
            Instruction::NoAccess => return Does::NoAccess,
        };
        let base = self.base(instruction.base, pc);
        let index = instruction.index();
        let index = index.map_or(0, |register| stored(register, self.machine) as u64);
        let written_back = instruction.written_back(base);
        Does::LoadStore(LoadStore {
            address: instruction.address(base, index),
            address_mask: u64::MAX,
            unprivileged: instruction.unprivileged,
            end: End {
                direction: instruction.direction,
                log2_bytes: instruction.log2_bytes,
                first: instruction.first,
                second: instruction.second,
                extension: instruction.extension,
                order: self.byte_order(),
                written_back: written_back.map(|value| (instruction.base, value)),
                len_bytes: INSTRUCTION_BYTES,
            },
        })
    }

    /// What an AArch32 instruction does that reads `program_counter` as its own.
    fn aarch32(
        &mut self,
        instruction: aarch32::Instruction,
        program_counter: u32,
        len_bytes: u64,
    ) -> Does {
        use aarch32::{Base as Base32, Instruction};
        let base_of = |base, machine: &mut M| match base {
            Base32::Register(register) => stored(register, machine) as u32,
            Base32::ProgramCounter => program_counter,
        };
        let instruction = match instruction {
            Instruction::LoadStore(instruction) => instruction,
            Instruction::OtherAccess { base } => {
                let near = base_of(base, self.machine).into();
                return Does::OtherAccess { near };
            }
            Instruction::NoAccess => return Does::NoAccess,
        };
        let base = base_of(instruction.base, self.machine);
        let index = aarch32::Index {
            value: match instruction.index() {
                Some(register) => stored(register, self.machine) as u32,
                None => 0,
            },
            carry: pstate::carry(self.pstate),
        };
        let written_back = match (instruction.written_back(base, index), instruction.base) {
            (Some(value), Base32::Register(register)) => {
                Some((Base::General(register), value.into()))
            }
            _ => None,
        };
        Does::LoadStore(LoadStore {
            address: instruction.address(base, index).into(),
            address_mask: AARCH32_BITS,
            unprivileged: false,
            end: End {
                direction: instruction.direction,
                log2_bytes: instruction.log2_bytes,
                first: Register::General(instruction.first),
                second: instruction.second.map(Register::General),
                extension: Extension {
                    signed: instruction.signed,
                    to_64_bits: false,
                },
                order: self.byte_order(),
                written_back,
                len_bytes,
            },
        })
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

    pub fn privilege(&self, unprivileged: bool) -> Privilege {
        let as_el0 = unprivileged && self.pstate & PSTATE_UAO == 0;
        if pstate::is_el0(self.pstate) || as_el0 {
            Privilege::El0
        } else if self.pstate & PSTATE_PAN != 0 {
            Privilege::El1NotEl0
        } else {
            Privilege::El1
        }
    }

    /// Where the bytes at a virtual address are; the error names the one that has no place.
    pub fn place(
        &mut self,
        address: u64,
        len: u64,
        purpose: Purpose,
        address_mask: u64,
    ) -> Result<Place, (u64, Fault)> {
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
                address: translate(address.wrapping_add(before) & address_mask)?,
            }),
        };
        Ok(Place {
            second_page,
            ..Place::memory(first)
        })
    }

    /// What a store stores of a register, as bytes in memory; 0 for a load. `None` if the platform
    /// has no way to the register.
    pub fn value(&mut self, register: Register, end: &End) -> Option<u128> {
        let whole = match register {
            Register::General(register) => stored(register, self.machine),
            Register::Vector(number) => self.machine.vector(number)?,
        };
        Some(match end.direction {
            Direction::Read => 0,
            Direction::Write => end.in_memory(whole),
        })
    }

    /// The virtual address of the reported one, if it is on the page of `near`.
    pub fn address_near(&mut self, near: u64, reported: Reported) -> Option<u64> {
        let translated = self.translate(near, Purpose::Fetch).ok()?;
        let same_page = translated.0 / PAGE_BYTES == reported.address.0 / PAGE_BYTES;
        same_page.then(|| near - near % PAGE_BYTES + reported.address.0 % PAGE_BYTES)
    }
}
