//! The distributor: which interrupts are pending, enabled and active, and which of them comes first.
//!
//! Called by `Gic` for the guest's accesses, and by `cpu_interface` and `list_registers`. Invariant: a candidate is
//! pending, enabled, in an enabled group, and neither active nor in a list register.
//!
//! Specification: Arm IHI 0048B 4.3; 3.2.4 has an interrupt's states.

use crate::bits::Bits;
use crate::{Candidate, Group, INTIDS, Width};

/// Offsets of the registers, table 4-1. A range's end belongs to the next.
mod register {
    pub const CTLR: u64 = 0x000;
    pub const TYPER: u64 = 0x004;
    pub const IIDR: u64 = 0x008;
    pub const IGROUPR: u64 = 0x080;
    pub const ISENABLER: u64 = 0x100;
    pub const ICENABLER: u64 = 0x180;
    pub const ISPENDR: u64 = 0x200;
    pub const ICPENDR: u64 = 0x280;
    pub const ISACTIVER: u64 = 0x300;
    pub const ICACTIVER: u64 = 0x380;
    pub const IPRIORITYR: u64 = 0x400;
    /// One CPU has no targets: they read as zero, and so does all that follows.
    pub const ITARGETSR: u64 = 0x800;
    pub const ICFGR: u64 = 0xc00;
    pub const ICFGR_END: u64 = 0xd00;
    pub const SGIR: u64 = 0xf00;
    pub const CPENDSGIR: u64 = 0xf10;
    pub const SPENDSGIR: u64 = 0xf20;
    pub const SPENDSGIR_END: u64 = 0xf30;
    pub const ID_FIRST: u64 = 0xfd0;
    pub const END: u64 = 0x1000;
}

/// GICD_CTLR: EnableGrp0, EnableGrp1.
const ENABLE_GROUPS: u32 = 0b11;
/// GICD_TYPER.ITLinesNumber; no Security Extensions, one CPU.
const TYPE: u32 = INTIDS as u32 / 32 - 1;
/// GICD_IIDR: a product of nobody's that Arm has specified.
const IDENTIFICATION: u32 = 0x5600_043b;
/// Peripheral id 4 to 7 and 0 to 3, component id 0 to 3 (table 4-19; ArchRev is 2).
const IDS: [u32; 12] = [0x04, 0, 0, 0, 0x90, 0xb4, 0x2b, 0, 0x0d, 0xf0, 0x05, 0xb1];
/// The SGIs' bits of a word.
const SGIS: u32 = 0xffff;
/// The bits of a priority that there are.
const PRIORITY: u8 = 0xf8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Distributor {
    control: u32,
    /// Set: group 1.
    group: Bits,
    enabled: Bits,
    /// Pending by an edge, by software or as an SGI; what is level-sensitive may be by its line, too.
    latched: Bits,
    /// As the lines are.
    level: Bits,
    /// Edge-triggered; the others are level-sensitive.
    edge: Bits,
    active: Bits,
    in_list: Bits,
    priority: [u8; INTIDS],
}

impl Distributor {
    pub const RESET: Self = {
        let mut sgis = Bits::NONE;
        sgis.0[0] = SGIS;
        Self {
            control: 0,
            group: Bits::NONE,
            enabled: sgis,
            latched: Bits::NONE,
            level: Bits::NONE,
            edge: sgis,
            active: Bits::NONE,
            in_list: Bits::NONE,
            priority: [0; INTIDS],
        }
    };

    /// Whether that has changed anything.
    pub fn set_level(&mut self, intid: u8, is_high: bool) -> bool {
        if intid < 16 || self.level.has(intid) == is_high {
            return false;
        }
        self.level.set(intid, is_high);
        if is_high && self.edge.has(intid) {
            self.latched.set(intid, true);
        }
        true
    }

    pub fn level(&self, intid: u8) -> bool {
        self.level.has(intid)
    }

    pub fn is_enabled(&self, intid: u8) -> bool {
        let index = usize::from(intid) / 32;
        (self.enabled.word(index) & self.in_enabled_group(index)) >> (intid % 32) & 1 != 0
    }

    pub fn is_any_enabled(&self) -> bool {
        let of = |index| self.enabled.word(index) & self.in_enabled_group(index);
        of(0) & !SGIS != 0 || (1..INTIDS / 32).any(|index| of(index) != 0)
    }

    pub fn is_active(&self, intid: u8) -> bool {
        self.active.has(intid) || self.in_list.has(intid)
    }

    pub fn group(&self, intid: u8) -> Group {
        match self.group.has(intid) {
            false => Group::Zero,
            true => Group::One,
        }
    }

    /// What comes first of all that is to come.
    pub fn best(&self) -> Option<Candidate> {
        if self.control == 0 {
            return None;
        }
        let waiting = Bits::each(|index| {
            let busy = self.active.word(index) | self.in_list.word(index);
            self.pending(index) & self.enabled.word(index) & self.in_enabled_group(index) & !busy
        });
        // The first of several that are alike.
        let best = waiting.min_by_key(|intid| self.priority_of(*intid))?;
        Some(Candidate {
            intid: best,
            priority: self.priority_of(best),
            group: self.group(best),
        })
    }

    /// It is acknowledged: what was latched has come.
    pub fn activate(&mut self, intid: u8) {
        self.latched.set(intid, false);
        self.active.set(intid, true);
    }

    pub fn deactivate(&mut self, intid: u8) {
        self.active.set(intid, false);
    }

    /// What was latched has come, too.
    pub fn put_into_list(&mut self, intid: u8) {
        self.latched.set(intid, false);
        self.in_list.set(intid, true);
    }

    pub fn take_out_of_list(&mut self, intid: u8) {
        self.in_list.set(intid, false);
    }

    pub fn read(&self, offset: u64, width: Width) -> u32 {
        match offset {
            register::IPRIORITYR..register::ITARGETSR => {
                bytes(width, |index| self.priority_at(offset, index))
            }
            register::CPENDSGIR..register::SPENDSGIR_END => bytes(width, |index| {
                // Its one source is this CPU.
                u8::from(self.latched.has((offset % 16) as u8 + index))
            }),
            _ if width == Width::Byte => 0,
            register::CTLR => self.control,
            register::TYPER => TYPE,
            register::IIDR => IDENTIFICATION,
            register::IGROUPR..register::ISENABLER => self.group.word(place(offset)),
            register::ISENABLER..register::ISPENDR => self.enabled.word(place(offset)),
            register::ISPENDR..register::ISACTIVER => self.pending(place(offset)),
            register::ISACTIVER..register::IPRIORITYR => {
                let index = place(offset);
                self.active.word(index) | self.in_list.word(index)
            }
            register::ICFGR..register::ICFGR_END => {
                let sixteen = (offset - register::ICFGR) as u32 / 4;
                let edge = self.edge.word(sixteen as usize / 2) >> (16 * (sixteen % 2));
                (0..16).fold(0, |all, bit| all | (edge >> bit & 1) << (2 * bit + 1))
            }
            register::ID_FIRST..register::END => {
                let index = (offset - register::ID_FIRST) / 4;
                IDS.get(index as usize).copied().unwrap_or(0)
            }
            _ => 0,
        }
    }

    pub fn write(&mut self, offset: u64, width: Width, value: u32) {
        // SGIs cannot be enabled, disabled, or made pending like others.
        let index = place(offset);
        let others = if index == 0 { value & !SGIS } else { value };
        match offset {
            register::IPRIORITYR..register::ITARGETSR => {
                for (byte, at) in given(width, value).zip(offset - register::IPRIORITYR..) {
                    if let Some(priority) = self.priority.get_mut(at as usize) {
                        *priority = byte & PRIORITY;
                    }
                }
            }
            register::CPENDSGIR..register::SPENDSGIR_END => {
                let is_set = offset >= register::SPENDSGIR;
                for (byte, sgi) in given(width, value).zip((offset % 16) as u8..) {
                    if byte & 1 != 0 {
                        self.latched.set(sgi, is_set);
                    }
                }
            }
            _ if width == Width::Byte => {}
            register::CTLR => self.control = value & ENABLE_GROUPS,
            register::IGROUPR..register::ISENABLER => self.group.change(index, u32::MAX, value),
            register::ISENABLER..register::ICENABLER => self.enabled.change(index, 0, others),
            register::ICENABLER..register::ISPENDR => self.enabled.change(index, others, 0),
            register::ISPENDR..register::ICPENDR => self.latched.change(index, 0, others),
            register::ICPENDR..register::ISACTIVER => self.latched.change(index, others, 0),
            register::ISACTIVER..register::ICACTIVER => self.active.change(index, 0, value),
            register::ICACTIVER..register::IPRIORITYR => self.active.change(index, value, 0),
            register::ICFGR..register::ICFGR_END => {
                let sixteen = (offset - register::ICFGR) as u32 / 4;
                if sixteen > 0 {
                    let edge =
                        (0..16).fold(0, |all, bit| all | (value >> (2 * bit + 1) & 1) << bit);
                    let shift = 16 * (sixteen % 2);
                    self.edge
                        .change(sixteen as usize / 2, SGIS << shift, edge << shift);
                }
            }
            register::SGIR => self.generate(value),
            _ => {}
        }
    }

    /// GICD_SGIR: an SGI for the CPUs of a list, for all others, or for this one.
    fn generate(&mut self, value: u32) {
        let is_for_this_cpu = match value >> 24 & 3 {
            0 => value >> 16 & 1 != 0,
            2 => true,
            _ => false,
        };
        if is_for_this_cpu {
            self.latched.set((value & 0xf) as u8, true);
        }
    }

    fn pending(&self, index: usize) -> u32 {
        self.latched.word(index) | self.level.word(index) & !self.edge.word(index)
    }

    fn in_enabled_group(&self, index: usize) -> u32 {
        let group_1 = self.group.word(index);
        let zero = if self.control & 1 != 0 { !group_1 } else { 0 };
        let one = if self.control & 2 != 0 { group_1 } else { 0 };
        zero | one
    }

    pub fn priority_of(&self, intid: u8) -> u8 {
        self.priority.get(usize::from(intid)).copied().unwrap_or(0)
    }

    fn priority_at(&self, offset: u64, index: u8) -> u8 {
        let intid = offset - register::IPRIORITYR + u64::from(index);
        self.priority.get(intid as usize).copied().unwrap_or(0)
    }
}

/// Which word of its register's range.
const fn place(offset: u64) -> usize {
    (offset % 0x80 / 4) as usize
}

/// The bytes that an access of this width gives, by their places.
fn bytes(width: Width, byte: impl Fn(u8) -> u8) -> u32 {
    match width {
        Width::Byte => byte(0).into(),
        Width::Word => u32::from_le_bytes([0, 1, 2, 3].map(byte)),
    }
}

/// The bytes that an access of this width has.
fn given(width: Width, value: u32) -> impl Iterator<Item = u8> {
    let count = match width {
        Width::Byte => 1,
        Width::Word => 4,
    };
    value.to_le_bytes().into_iter().take(count)
}
