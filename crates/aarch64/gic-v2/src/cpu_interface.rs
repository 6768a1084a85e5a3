//! The CPU interface: whether the best candidate is signalled, what is acknowledged, and what that keeps out.
//!
//! Called by `Gic` for the guest's accesses. Invariant: an interrupt is acknowledged only if its group
//! priority is higher than every active one, so no two active priorities are the same.
//!
//! Specification: Arm IHI 0048B 4.4, 3.3 (priorities), 3.2.1 (the end of an interrupt).

use crate::distributor::Distributor;
use crate::{Candidate, Group, INTIDS, Output};

/// Offsets of the registers, table 4-2.
mod register {
    pub const CTLR: u64 = 0x00;
    pub const PMR: u64 = 0x04;
    pub const BPR: u64 = 0x08;
    pub const IAR: u64 = 0x0c;
    pub const EOIR: u64 = 0x10;
    pub const RPR: u64 = 0x14;
    pub const HPPIR: u64 = 0x18;
    pub const ABPR: u64 = 0x1c;
    pub const AIAR: u64 = 0x20;
    pub const AEOIR: u64 = 0x24;
    pub const AHPPIR: u64 = 0x28;
    /// APR0, of group 0. There are 32 priorities, so the others of both read as zero.
    pub const APR: u64 = 0xd0;
    /// NSAPR0, of group 1.
    pub const NSAPR: u64 = 0xe0;
    pub const IIDR: u64 = 0xfc;
    pub const DIR: u64 = 0x1000;
}

/// GICC_CTLR.
mod control {
    pub const ENABLE: [u32; 2] = [1 << 0, 1 << 1];
    pub const ACK_CTL: u32 = 1 << 2;
    pub const FIQ_EN: u32 = 1 << 3;
    pub const CBPR: u32 = 1 << 4;
    pub const EOI_MODE: u32 = 1 << 9;
    pub const ALL: u32 = 0x21f;
}

/// GICC_IIDR: as the distributor's, of version 2.
const IDENTIFICATION: u32 = 0x0562_043b;
/// No interrupt is there for this register (3.2.5).
const SPURIOUS: u32 = 1023;
/// One is, of group 1, for which another register is to be used.
const OF_GROUP_1: u32 = 1022;
/// The bits of a register that say which INTID.
const INTID: u32 = 0x3ff;
/// The bits of a priority that there are.
const PRIORITY: u8 = 0xf8;
/// Of a priority that says no interrupt is active.
const IDLE: u8 = 0xff;
/// The binary point of group 0 with which all bits of a priority preempt; group 1's is one more.
const LEAST_BINARY_POINT: u8 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CpuInterface {
    control: u32,
    mask: u8,
    binary_point: u8,
    aliased_binary_point: u8,
    /// A bit for each group priority that is active, of either group.
    active: [u32; 2],
}

/// Of the registers that there are twice: the one for all, and the one for group 1.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    General,
    Aliased,
}

impl CpuInterface {
    pub const RESET: Self = Self {
        control: 0,
        mask: 0,
        binary_point: LEAST_BINARY_POINT,
        aliased_binary_point: LEAST_BINARY_POINT + 1,
        active: [0; 2],
    };

    /// What is signalled, if this is the best candidate.
    pub fn output(&self, best: Option<Candidate>) -> Output {
        let Some(signalled) = best.filter(|candidate| self.is_signalled(candidate)) else {
            return Output::default();
        };
        let fiq = signalled.group == Group::Zero && self.has(control::FIQ_EN);
        Output { irq: !fiq, fiq }
    }

    pub fn read(&mut self, offset: u64, distributor: &mut Distributor) -> u32 {
        match offset {
            register::CTLR => self.control,
            register::PMR => self.mask.into(),
            register::BPR => self.binary_point.into(),
            register::ABPR => self.aliased_binary_point.into(),
            register::IAR => self.acknowledge(Which::General, distributor),
            register::AIAR => self.acknowledge(Which::Aliased, distributor),
            register::RPR => self.running_priority().into(),
            register::HPPIR => self.name(distributor.best(), Which::General),
            register::AHPPIR => self.name(distributor.best(), Which::Aliased),
            register::APR => self.active[0],
            register::NSAPR => self.active[1],
            register::IIDR => IDENTIFICATION,
            _ => 0,
        }
    }

    pub fn write(&mut self, offset: u64, value: u32, distributor: &mut Distributor) {
        let binary_point = (value & 7) as u8;
        match offset {
            register::CTLR => self.control = value & control::ALL,
            register::PMR => self.mask = value as u8 & PRIORITY,
            register::BPR => self.binary_point = binary_point.max(LEAST_BINARY_POINT),
            register::ABPR => self.aliased_binary_point = binary_point.max(LEAST_BINARY_POINT + 1),
            register::EOIR => self.end(Which::General, value, distributor),
            register::AEOIR => self.end(Which::Aliased, value, distributor),
            register::APR => self.active[0] = value,
            register::NSAPR => self.active[1] = value,
            register::DIR if self.has(control::EOI_MODE) => {
                if let Some(intid) = intid(value) {
                    distributor.deactivate(intid);
                }
            }
            _ => {}
        }
    }

    pub fn ended_by(&self, offset: u64, value: u32) -> Option<u8> {
        let deactivates = match offset {
            register::EOIR | register::AEOIR => !self.has(control::EOI_MODE),
            register::DIR => self.has(control::EOI_MODE),
            _ => false,
        };
        intid(value).filter(|_| deactivates)
    }

    fn acknowledge(&mut self, which: Which, distributor: &mut Distributor) -> u32 {
        let best = distributor.best();
        let signalled = best.filter(|candidate| self.is_signalled(candidate));
        let named = self.name(signalled, which);
        if let Some(candidate) = signalled
            && named < OF_GROUP_1
        {
            let group_priority = self.group_priority(&candidate);
            self.active[candidate.group as usize] |= 1 << (group_priority >> 3);
            distributor.activate(candidate.intid);
        }
        named
    }

    /// The INTID that a register gives for an interrupt, or why it gives none.
    fn name(&self, candidate: Option<Candidate>, which: Which) -> u32 {
        match candidate {
            None => SPURIOUS,
            Some(it) => match (which, it.group) {
                (Which::General, Group::One) if !self.has(control::ACK_CTL) => OF_GROUP_1,
                (Which::Aliased, Group::Zero) => SPURIOUS,
                _ => it.intid.into(),
            },
        }
    }

    /// The priority drops to what it was before; unless DIR is to do that, the interrupt is active no more.
    fn end(&mut self, which: Which, value: u32, distributor: &mut Distributor) {
        let Some(intid) = intid(value) else {
            return;
        };
        let group = distributor.group(intid);
        if which == Which::Aliased && group == Group::Zero {
            return;
        }
        let active = &mut self.active[group as usize];
        *active &= active.wrapping_sub(1);
        if !self.has(control::EOI_MODE) {
            distributor.deactivate(intid);
        }
    }

    fn is_signalled(&self, candidate: &Candidate) -> bool {
        self.has(control::ENABLE[candidate.group as usize])
            && candidate.priority < self.mask
            && self.group_priority(candidate) < self.running_priority()
    }

    /// The highest active priority.
    fn running_priority(&self) -> u8 {
        match (self.active[0] | self.active[1]).trailing_zeros() {
            32 => IDLE,
            level => (level as u8) << 3,
        }
    }

    /// The bits of a priority that preempt: those above the binary point (table 3-2; group 1's own point counts
    /// from one bit lower).
    fn group_priority(&self, candidate: &Candidate) -> u8 {
        let point = match candidate.group {
            Group::One if !self.has(control::CBPR) => self.aliased_binary_point - 1,
            _ => self.binary_point,
        };
        let subpriority = (1_u16 << (point + 1)) - 1;
        candidate.priority & !(subpriority as u8)
    }

    fn has(&self, bit: u32) -> bool {
        self.control & bit != 0
    }
}

/// The interrupt that a register names, if there is one of that number.
fn intid(value: u32) -> Option<u8> {
    let intid = value & INTID;
    (intid < INTIDS as u32).then_some(intid as u8)
}
