//! Arm's Generic Interrupt Controller, version 2: a distributor and the interface of one CPU, as a value.
//!
//! Used by an aarch64 VMM: it gives the levels of the lines ([`Gic::set_level`]), carries out the guest's
//! accesses, and takes the CPU's two interrupt inputs from [`Gic::output`]. There are no Security
//! Extensions; there is one CPU, and there are INTIDs 0 to 127: software-generated interrupts (SGIs) to 15,
//! the CPU's private ones (PPIs) to 31, shared ones (SPIs) behind. Priorities have five bits, as in Arm's
//! GIC-400 and in the list registers of a CPU.
//!
//! ```text
//!   lines ─► latch, level ─► pending ─┐ and enabled, its group too, not active, not in a list register
//!   SGIR  ─►                          ▼
//!                         the best candidate ──┬─► mask, running priority, group ─► IRQ or FIQ   (modelled)
//!                                              └─► a free list register ─► the CPU's own interface
//! ```
//!
//! There are two ways to a CPU. *Modelled*: the guest's accesses to the CPU interface are carried out here.
//! *In hardware*: the guest has the CPU's own virtual interface, which is given interrupts by list registers
//! ([`Gic::hand_out`], [`Gic::ended`]); the distributor is the same.
//!
//! Invariants, whatever is written to whichever register: no interrupt is given that is not enabled and
//! pending, or that is active already; of two active priorities one is higher than the other; the output is
//! that of the state.
//!
//! Specification: Arm IHI 0048B. Where it leaves a choice: SGIs are always enabled; PPIs are configured like
//! SPIs; one CPU, so no targets; a narrow access where only words are allowed reads as zero and writes
//! nothing; interrupts cannot bypass the CPU interface.
#![no_std]
#![forbid(unsafe_code)]

mod bits;
mod cpu_interface;
mod distributor;
mod list_registers;

use cpu_interface::CpuInterface;
use distributor::Distributor;
use list_registers::ListRegisters;

pub use list_registers::{Handed, MAX_LIST_REGISTERS};

/// How many INTIDs there are.
pub const INTIDS: usize = 128;
/// How many bytes of addresses the distributor has.
pub const DISTRIBUTOR_LEN_BYTES: u64 = 0x1000;
/// How many bytes of addresses the CPU interface has.
pub const CPU_INTERFACE_LEN_BYTES: u64 = 0x2000;
/// The CPU's virtual timer (Arm Base System Architecture, "PPI assignments").
pub const VIRTUAL_TIMER: u8 = 27;

/// An interrupt's group. Whether a group is signalled as IRQ or as FIQ, the CPU interface says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// IRQ, or FIQ if GICC_CTLR.FIQEn.
    Zero,
    /// IRQ.
    One,
}

/// How wide an access is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// Where the specification allows it, else it reads as zero and writes nothing.
    Byte,
    /// Aligned.
    Word,
}

impl Width {
    /// The width of an access at this offset; `None` for one that no register of the GIC has.
    pub const fn of_access(offset: u64, bytes: u64) -> Option<Self> {
        match bytes {
            1 => Some(Self::Byte),
            4 if offset.is_multiple_of(4) => Some(Self::Word),
            _ => None,
        }
    }
}

/// The inputs of the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Output {
    /// An IRQ is signalled.
    pub irq: bool,
    /// An FIQ is signalled.
    pub fiq: bool,
}

impl Output {
    /// Anything is.
    pub const fn is_asserted(self) -> bool {
        self.irq || self.fiq
    }
}

/// The best that waits: of the highest priority, and of these the lowest INTID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Candidate {
    intid: u8,
    priority: u8,
    group: Group,
}

/// See the crate's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gic {
    distributor: Distributor,
    cpu: CpuInterface,
    lists: ListRegisters,
    output: Output,
}

impl Default for Gic {
    fn default() -> Self {
        Self::new()
    }
}

impl Gic {
    /// A GIC out of reset, whose lines are all low.
    pub const fn new() -> Self {
        Self {
            distributor: Distributor::RESET,
            cpu: CpuInterface::RESET,
            lists: ListRegisters::RESET,
            output: Output {
                irq: false,
                fiq: false,
            },
        }
    }

    /// What the modelled CPU interface signals.
    #[inline]
    pub const fn output(&self) -> Output {
        self.output
    }

    /// The level of the line with this INTID, a PPI's or SPI's; others have none.
    pub fn set_level(&mut self, intid: u8, is_high: bool) {
        if self.distributor.set_level(intid, is_high) {
            self.update();
        }
    }

    /// The level of the line with this INTID, as it was given last.
    pub fn level(&self, intid: u8) -> bool {
        self.distributor.level(intid)
    }

    /// Whether an interrupt with this INTID could ever be given as things are: it is enabled, and so is its
    /// group.
    pub fn is_enabled(&self, intid: u8) -> bool {
        self.distributor.is_enabled(intid)
    }

    /// Whether an interrupt with this INTID is active or in a list register.
    pub fn is_active(&self, intid: u8) -> bool {
        self.distributor.is_active(intid)
    }

    /// Whether any PPI or SPI could ever be given.
    pub fn is_any_enabled(&self) -> bool {
        self.distributor.is_any_enabled()
    }

    /// What a load from the distributor gives.
    pub fn read_distributor(&self, offset: u64, width: Width) -> u32 {
        self.distributor.read(offset, width)
    }

    /// A store to the distributor.
    pub fn write_distributor(&mut self, offset: u64, width: Width, value: u32) {
        self.distributor.write(offset, width, value);
        self.update();
    }

    /// What a load from the CPU interface gives; it may acknowledge an interrupt.
    pub fn read_cpu_interface(&mut self, offset: u64, width: Width) -> u32 {
        if width != Width::Word {
            return 0;
        }
        let value = self.cpu.read(offset, &mut self.distributor);
        self.update();
        value
    }

    /// A store to the CPU interface.
    pub fn write_cpu_interface(&mut self, offset: u64, width: Width, value: u32) {
        if width == Width::Word {
            self.cpu.write(offset, value, &mut self.distributor);
            self.update();
        }
    }

    /// The interrupt that a store of `value` to the CPU interface ends: whoever may still have to lower its
    /// line does so before the store.
    pub fn ended_by(&self, offset: u64, value: u32) -> Option<u8> {
        self.cpu.ended_by(offset, value)
    }

    /// Takes the best interrupt that waits, for one of the first `count` list registers that is free, if
    /// there are both. It stays there until it has [ended](Self::ended).
    pub fn hand_out(&mut self, count: usize) -> Option<Handed> {
        let handed = self.lists.hand_out(count, &mut self.distributor);
        self.update();
        handed
    }

    /// The interrupt in this list register.
    pub fn handed(&self, slot: usize) -> Option<u8> {
        self.lists.holds(slot)
    }

    /// What is in list registers, as far as its end has been told.
    pub fn all_handed(&self) -> impl Iterator<Item = Handed> {
        self.lists.all(&self.distributor)
    }

    /// The interrupt in this list register has ended; if its line is high still, it is pending again. Whether
    /// there was one.
    pub fn ended(&mut self, slot: usize) -> bool {
        let was_there = self.lists.ended(slot, &mut self.distributor);
        self.update();
        was_there
    }

    fn update(&mut self) {
        self.output = self.cpu.output(self.distributor.best());
    }
}
