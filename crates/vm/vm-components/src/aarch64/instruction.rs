//! Accesses that the syndrome does not describe: read off the guest's instruction.
//!
//! Called by `exits`. The guest may have rewritten the instruction, its page
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
//! Specification: Arm ARM (DDI 0487) C6.2, F5, D8; a64-guest has the details.

use super::A64Machine;
use super::completion::End;
use super::step::INSTRUCTION_BYTES;
use super::view::{Does, LoadStore, Reported, View};
use crate::vmm::transfer::{Element, MAX_ELEMENTS, Transfer};
use a64_guest::exception::EXTERNAL_ABORT;
use a64_guest::stage1::{Fault, Purpose};
use guest_access::GuestPhysAddr;
use heapless::Vec;

/// Why an access is not carried out: the data abort that answers it has this fault status
/// and virtual address.
pub(crate) enum Obstacle {
    /// Policy `instruction`, of which the data abort is one answer.
    Unsupported {
        status: u8,
        virtual_address: u64,
        /// How long the instruction is, for the policy that skips it.
        len_bytes: u64,
    },
    /// Another element of the instruction has no translation: the guest's own affair.
    GuestFault { status: u8, virtual_address: u64 },
}

/// A walk of the CPU's that met no memory.
pub(crate) struct FailedWalk {
    /// The fault status code: a synchronous external abort on a walk, of this level.
    pub status: u8,
    /// The address that was to be translated.
    pub virtual_address: u64,
    /// Where the descriptor should be; `None` if it is not found any more.
    pub table: Option<GuestPhysAddr>,
}

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
    let fetched = view.instruction(reported.pc);
    // The syndrome of an access that it does not describe is silent about this as well.
    let len_bytes = fetched
        .as_ref()
        .map_or(INSTRUCTION_BYTES, |it| it.len_bytes);
    let unsupported = |guess: Option<u64>| {
        Err(Obstacle::Unsupported {
            status: EXTERNAL_ABORT,
            virtual_address: told.or(guess).unwrap_or(reported.address.0),
            len_bytes,
        })
    };
    let instruction = match fetched.map(|it| it.does) {
        Some(Does::LoadStore(instruction)) => instruction,
        Some(Does::OtherAccess { near }) => {
            let guess = view.address_near(near, reported);
            return unsupported(guess);
        }
        Some(Does::NoAccess) | None => return unsupported(None),
    };
    let LoadStore { end, .. } = &instruction;
    let (direction, len) = (end.direction, u64::from(end.width_bytes()));
    let purpose = Purpose::Access(direction, view.privilege(instruction.unprivileged));
    let mut elements: Vec<Element, MAX_ELEMENTS> = Vec::new();
    let mut fault = None;
    // Where the reported access is in the guest's eyes, if it is one of this instruction's.
    let mut agreed = None;
    let mut all_registers = true;
    for (register, index) in end.registers().zip(0..) {
        let address = instruction.element(index);
        let value = view.value(register, end);
        all_registers &= value.is_some();
        match view.place(address, len, purpose, instruction.address_mask) {
            Ok(place) => {
                let value = value.unwrap_or(0);
                let element = Element::new(place, Some(address), direction, end.log2_bytes, value);
                agreed = agreed.or(element.virtual_address_of(reported.address));
                // There are at most two.
                let _ = elements.push(element);
            }
            Err(found) => fault = fault.or(Some(found)),
        }
    }
    match fault {
        _ if agreed.is_none() || direction != reported.direction || !all_registers => {
            unsupported(agreed)
        }
        Some((virtual_address, fault)) => Err(Obstacle::GuestFault {
            status: fault.status(),
            virtual_address,
        }),
        None => Ok(Transfer::new(reported.pc, elements, instruction.end)),
    }
}

/// The virtual address of an access that the hardware has described, if the instruction still
/// tells; for platforms that do not.
pub(crate) fn virtual_address(reported: Reported, machine: &mut impl A64Machine) -> u64 {
    let mut view = View::new(machine);
    let address = match view.instruction(reported.pc).map(|it| it.does) {
        Some(Does::LoadStore(instruction)) => Some(instruction.address),
        Some(Does::OtherAccess { .. } | Does::NoAccess) | None => None,
    };
    address
        .filter(|address| view.translate(*address, Purpose::Fetch) == Ok(reported.address))
        .unwrap_or(reported.address.0)
}

/// Finds the walk that the CPU says it could not end, for an address of the instruction at `pc`.
/// If the guest has mended its tables since, it is an external abort without a level.
pub(crate) fn failed_walk(pc: u64, machine: &mut impl A64Machine) -> FailedWalk {
    let told = machine.fault_address();
    let mut view = View::new(machine);
    let candidates = match told {
        Some(address) => [Some(address), None],
        None => match view.instruction(pc).map(|it| it.does) {
            Some(Does::LoadStore(instruction)) => {
                let last = instruction.last_byte();
                [Some(instruction.address), Some(last)]
            }
            Some(Does::OtherAccess { near }) => [Some(near), None],
            Some(Does::NoAccess) | None => [None; 2],
        },
    };
    for virtual_address in candidates.into_iter().flatten() {
        let translated = view.translate(virtual_address, Purpose::Fetch);
        if let Err(fault @ Fault::TableOutsideRam { .. }) = translated {
            return FailedWalk {
                status: fault.status(),
                virtual_address,
                table: view.table_outside,
            };
        }
    }
    FailedWalk {
        status: EXTERNAL_ABORT,
        virtual_address: candidates[0].unwrap_or(0),
        table: None,
    }
}
