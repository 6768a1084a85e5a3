//! A VM's interrupt controller, and the lines that lead to it.
//!
//! What it is, is the architecture's matter; x86 has none yet. It stays in the VMM: an interrupt is given to a
//! CPU, which no other domain can touch.
//!
//! ```text
//!   isolated devices ── state page: a level each ─┐  of those that the configuration connects
//!   devices in the VMM ───────────────────────────┼─► controller ─► the vCPU
//!   the guest's timer ────────────────────────────┘
//! ```
//!
//! Looked at in each event, that is whenever the guest is left by another than the short way of an access, and
//! whenever another component has something for this one: the device domain notifies it of levels that have
//! changed. Invariant: a line that the configuration does not connect changes nothing, whoever raises it.

use super::architecture::{Architecture, Isa};
use super::carry_out::Moved;
use super::transfer::Element;
use super::{Device, Vmm};
use crate::Machine;
use guest_access::{Direction, GuestPhysAddr};
use trace_records::{Address, MAX_DEVICES};
use vm_config::VmConfig;

/// An interrupt controller, as far as the VMM's other parts see it.
pub trait InterruptController: Copy {
    /// Out of reset, with all lines low.
    const RESET: Self;

    /// Whether it has this address.
    fn is_at(address: GuestPhysAddr) -> bool;

    /// A load; `None` if it has no register that is accessed like that.
    fn read(&mut self, address: GuestPhysAddr, width_bytes: u64) -> Option<u32>;

    /// A store; `None` if it has no register that is accessed like that.
    fn write(&mut self, address: GuestPhysAddr, width_bytes: u64, value: u32) -> Option<()>;

    /// The line whose interrupt a store ends: its level counts from then on.
    fn ended_by(&self, address: GuestPhysAddr, value: u32) -> Option<u8>;

    /// The line whose interrupt is in this list register of the CPU.
    fn handed(&self, slot: usize) -> Option<u8>;

    /// The interrupt in this list register has ended.
    fn ended(&mut self, slot: usize);

    /// The level of a line.
    fn set_level(&mut self, line: u8, is_high: bool);

    /// As it was given last.
    fn level(&self, line: u8) -> bool;

    /// Whether any device's interrupt could be given as things are.
    fn is_any_enabled(&self) -> bool;
}

/// No interrupt controller.
impl InterruptController for () {
    const RESET: Self = ();

    fn is_at(_: GuestPhysAddr) -> bool {
        false
    }

    fn read(&mut self, _: GuestPhysAddr, _: u64) -> Option<u32> {
        None
    }

    fn write(&mut self, _: GuestPhysAddr, _: u64, _: u32) -> Option<()> {
        None
    }

    fn ended_by(&self, _: GuestPhysAddr, _: u32) -> Option<u8> {
        None
    }

    fn handed(&self, _: usize) -> Option<u8> {
        None
    }

    fn ended(&mut self, _: usize) {}

    fn set_level(&mut self, _: u8, _: bool) {}

    fn level(&self, _: u8) -> bool {
        false
    }

    fn is_any_enabled(&self) -> bool {
        false
    }
}

/// The line of each device that the configuration connects, by the devices' numbers.
pub(super) struct Lines([Option<u8>; MAX_DEVICES]);

impl Lines {
    pub(super) fn of(config: &VmConfig<'_>) -> Self {
        let mut lines = [None; MAX_DEVICES];
        for (line, device) in lines.iter_mut().zip(config.devices()) {
            *line = device.interrupt().and_then(|number| number.try_into().ok());
        }
        Self(lines)
    }

    fn of_device(&self, instance: u8) -> Option<u8> {
        self.0.get(usize::from(instance)).copied().flatten()
    }
}

impl<A: Isa> Vmm<A> {
    /// Takes the levels of all lines as they are now.
    pub(crate) fn sample_lines<M: Machine>(&mut self, machine: &mut M)
    where
        A: Architecture<M>,
    {
        if !self.uses_interrupts {
            return;
        }
        self.sample_devices();
        A::sample_timer(&mut self.interrupts, machine);
    }

    fn sample_devices(&mut self) {
        let levels = self.link.levels();
        let mut waits = false;
        for device in self.bus.devices() {
            let (instance, is_high, is_behind) = match device {
                Device::Isolated(point) => {
                    let is_high = levels >> (point.instance & 31) & 1 != 0;
                    let is_behind = !self.link.kept.gone && point.is_behind(&self.link);
                    (point.instance, is_high, is_behind)
                }
                Device::Local(device) => (device.instance, device.is_interrupting(), false),
            };
            let Some(line) = self.lines.of_device(instance) else {
                continue;
            };
            // What is high may be about to be lowered.
            match is_high && is_behind && !self.interrupts.level(line) {
                true => waits = true,
                false => self.interrupts.set_level(line, is_high),
            }
        }
        if waits {
            self.link.access.announce_wait();
            self.link.is_wanted = true;
        }
    }

    /// Lets the vCPU have what comes of the lines. Whether a guest that waits is woken by that.
    pub(crate) fn deliver<M: Machine>(&mut self, machine: &mut M) -> bool
    where
        A: Architecture<M>,
    {
        self.uses_interrupts && A::deliver(&mut self.interrupts, machine)
    }

    /// The CPU says that the interrupt in this list register has ended: its line counts again, once its device has
    /// done what the guest asked of it.
    pub fn interrupt_ended<M: Machine>(&mut self, slot: usize, machine: &mut M)
    where
        A: Architecture<M>,
    {
        self.begin(machine);
        if let Some(line) = self.interrupts.handed(slot)
            && self.is_on_its_way(line)
        {
            self.interrupts.set_level(line, false);
        }
        self.interrupts.ended(slot);
        self.sample_lines(machine);
        self.deliver(machine);
        self.commit(machine);
    }

    /// The guest accesses the interrupt controller. An interrupt whose device has not done yet what the guest
    /// asked of it ends later: else the guest would be interrupted again for nothing.
    pub(super) fn move_at_controller(
        &mut self,
        element: &mut Element,
        pc: u64,
        machine: &mut impl Machine,
    ) -> Moved {
        let address = element.place.first;
        if element.direction == Direction::Write
            && let Some(line) = self.interrupts.ended_by(address, element.value() as u32)
            && self.is_on_its_way(line)
        {
            self.link.access.announce_wait();
            if self.is_on_its_way(line) {
                return Moved::Later;
            }
        }
        if self.move_at_once(element).is_some() {
            return Moved::Done;
        }
        let address = Address::memory(address.0);
        self.record_outside(address, element, pc, machine);
        Moved::Refused(address)
    }

    /// The same, whatever its devices have done; `None` if there is no such register.
    pub(super) fn move_at_once(&mut self, element: &mut Element) -> Option<()> {
        self.uses_interrupts = true;
        self.sample_devices();
        let (address, width_bytes) = (element.place.first, element.width_bytes() as u64);
        match element.direction {
            Direction::Read => {
                let value = self.interrupts.read(address, width_bytes)?;
                element.set_value(value.into());
                Some(())
            }
            Direction::Write => {
                let value = element.value() as u32;
                self.interrupts.write(address, width_bytes, value)
            }
        }
    }

    /// Whether a device with this line has not applied all of the guest's writes.
    fn is_on_its_way(&self, line: u8) -> bool {
        !self.link.kept.gone
            && self.bus.devices().any(|device| match device {
                Device::Isolated(point) => {
                    self.lines.of_device(point.instance) == Some(line)
                        && point.is_behind(&self.link)
                }
                Device::Local(_) => false,
            })
    }
}
