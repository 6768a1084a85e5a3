//! Interrupts that the CPU's own virtual interface has: one in each list register (IHI 0048B 5.2, 5.3.9).
//!
//! Called by `Gic`, for a guest that has that interface. Invariant: an interrupt is in one list register at
//! most, and is no candidate meanwhile. Nobody can look into a list register, nor take an interrupt back;
//! that one has ended, its maintenance interrupt tells.

use crate::distributor::Distributor;
use crate::{Candidate, Group};

/// More list registers than any CPU has that this is for (GICH_VTR.ListRegs: 64 at most, 4 in a GIC-400).
pub const MAX_LIST_REGISTERS: usize = 16;

/// The lowest of 32 priorities. No mask lets it through (IHI 0048B 3.3): in a list register it would stay for ever.
const LOWEST: u8 = 0xf8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListRegisters([Option<u8>; MAX_LIST_REGISTERS]);

/// What a list register is to hold: an interrupt that is pending, and whose end is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handed {
    /// Which list register.
    pub slot: usize,
    /// Its INTID.
    pub intid: u8,
    /// Its priority, of five bits: GICH_LR.Priority.
    pub priority: u8,
    /// Its group.
    pub group: Group,
}

fn handed(slot: usize, intid: u8, priority: u8, group: Group) -> Handed {
    Handed {
        slot,
        intid,
        priority: priority >> 3,
        group,
    }
}

impl ListRegisters {
    pub const RESET: Self = Self([None; MAX_LIST_REGISTERS]);

    pub fn hand_out(&mut self, count: usize, distributor: &mut Distributor) -> Option<Handed> {
        let mut slots = self.0.iter_mut().take(count).zip(0..);
        let (place, slot) = slots.find(|(place, _)| place.is_none())?;
        let Candidate {
            intid,
            priority,
            group,
        } = distributor.best().filter(|best| best.priority < LOWEST)?;
        distributor.put_into_list(intid);
        *place = Some(intid);
        Some(handed(slot, intid, priority, group))
    }

    /// What they hold, as it would be handed out now.
    pub fn all(&self, distributor: &Distributor) -> impl Iterator<Item = Handed> {
        let held = self.0.iter().enumerate();
        held.filter_map(|(slot, intid)| {
            let intid = (*intid)?;
            let (priority, group) = (distributor.priority_of(intid), distributor.group(intid));
            Some(handed(slot, intid, priority, group))
        })
    }

    pub fn holds(&self, slot: usize) -> Option<u8> {
        self.0.get(slot).copied().flatten()
    }

    pub fn ended(&mut self, slot: usize, distributor: &mut Distributor) -> bool {
        let Some(intid) = self.0.get_mut(slot).and_then(Option::take) else {
            return false;
        };
        distributor.take_out_of_list(intid);
        true
    }
}
