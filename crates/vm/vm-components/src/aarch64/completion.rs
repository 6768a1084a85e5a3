//! How a load or store of A64, A32 or T32 ends: which registers change, and how.
//!
//! Made when the instruction is known (`instruction`, or the syndrome), used after its last element.
//!
//! Invariant: the registers change only in [`Transfer::finish`], so an instruction that ends in an
//! exception has changed none.
//!
//! Specification: Arm ARM (DDI 0487) C6.2, the operation of LDP and its kin.

use super::step::step_over;
use super::{A64Machine, StackPointer};
use crate::vmm::transfer::{Element, Place, Transfer};
use a64_guest::load_store::{Base, Register};
use a64_guest::pstate::ByteOrder;
use guest_access::{Access, AccessWidth, Direction, Extension, Gpr};

/// How an instruction of A64, A32 or T32 changes the registers when all its elements are done.
#[derive(Clone, Copy)]
pub struct End {
    pub direction: Direction,
    /// Log2 of the bytes that each register moves.
    pub log2_bytes: u8,
    pub first: Register,
    /// The register whose bytes lie behind the first one's.
    pub second: Option<Register>,
    pub extension: Extension,
    pub order: ByteOrder,
    /// The base register and what it holds afterwards, if the instruction changes it.
    pub written_back: Option<(Base, u64)>,
    /// How long the instruction is.
    pub len_bytes: u64,
}

impl Transfer<End> {
    /// Where the guest sees its first element.
    pub fn first_virtual_address(&self) -> Option<u64> {
        self.elements().next()?.virtual_address
    }

    /// One that the hardware has described, of an instruction of `len_bytes`. `virtual_address`
    /// is where the guest sees the access, if the platform tells.
    pub fn described(
        access: Access,
        virtual_address: Option<u64>,
        len_bytes: u64,
        machine: &mut impl A64Machine,
    ) -> Self {
        let place = Place::memory(access.address);
        let end = End {
            direction: access.direction,
            log2_bytes: access.width.log2(),
            first: Register::General(access.register),
            second: None,
            extension: access.extension,
            order: machine.byte_order(),
            written_back: None,
            len_bytes,
        };
        let value = match access.direction {
            Direction::Read => 0,
            Direction::Write => end.in_memory(stored(access.register, machine)),
        };
        let (direction, log2_bytes) = (access.direction, access.width.log2());
        let element = Element::new(place, virtual_address, direction, log2_bytes, value);
        Self::new(access.pc, [element], end)
    }

    /// Ends the instruction: the loaded registers, the base register, the program counter.
    pub fn finish(self, machine: &mut impl A64Machine) {
        let end = &self.end;
        let mut result = None;
        if end.direction == Direction::Read {
            for (register, element) in end.registers().zip(self.elements()) {
                let value = end.loaded(element.value());
                match register {
                    Register::General(Gpr::ZERO) => {}
                    // What a platform writes together with the program counter comes last.
                    Register::General(register) if end.second.is_none() => {
                        result = Some((register, value as u64));
                    }
                    Register::General(register) => machine.set_gpr(register, value as u64),
                    Register::Vector(number) => machine.set_vector(number, value),
                }
            }
        }
        match end.written_back {
            Some((Base::General(register), value)) => machine.set_gpr(register, value),
            Some((Base::StackPointer, value)) => {
                let which = StackPointer::current(machine.pstate());
                machine.set_stack_pointer(which, value);
            }
            // No form writes to the program counter.
            Some((Base::ProgramCounter, _)) | None => {}
        }
        step_over(self.pc, end.len_bytes, result, machine);
    }
}

impl End {
    /// The registers that it moves, in the order of their bytes.
    pub fn registers(&self) -> impl Iterator<Item = Register> + use<> {
        core::iter::once(self.first).chain(self.second)
    }

    pub fn width_bytes(&self) -> u32 {
        1 << self.log2_bytes
    }

    /// The bytes of a register in memory, as a little-endian number.
    pub fn in_memory(&self, register: u128) -> u128 {
        let bytes = self.width_bytes();
        self.order
            .swap(register & u128::MAX >> (128 - 8 * bytes), bytes)
    }

    /// What a register holds after a load of these bytes.
    fn loaded(&self, bytes: u128) -> u128 {
        let value = self.order.swap(bytes, self.width_bytes());
        match self.first {
            Register::Vector(_) => value,
            Register::General(_) => {
                let width = AccessWidth::from_log2(self.log2_bytes);
                self.extension.apply(width, value as u64).into()
            }
        }
    }
}

/// What a store of `register` stores, before it is cut to the access's width.
pub(crate) fn stored(register: Gpr, machine: &mut impl A64Machine) -> u128 {
    match register {
        Gpr::ZERO => 0,
        register => machine.gpr(register).into(),
    }
}
