//! A device that stays inside its VMM, where its accesses are told, and what is typed at it.
//!
//! Called by `carry_out`, and when something may have been typed or there may be room for what the guest prints.
//! Invariants: what is typed waits in its ring until the device has room, so nothing of it is lost here; what such a device tells of itself is its VMM's word, and the device
//! domain says so in every record; a guest waits for nobody but for room for that record.

use super::console_text::ConsoleText;
use super::transfer::Element;
use super::{Device, Isa, Vmm};
use crate::Machine;
use guest_access::{Access, Direction};
use shared_ring::InputConsumer;
use trace_records::{Record, Tag};
use vdev_model::{AnyInVmm, AnyVdev, Kind};
use vdevs::{Local, Vdev};
use vm_config::Device as Configured;

/// See the file's header.
pub(crate) struct LocalDevice {
    pub(super) instance: u8,
    kind: &'static Kind,
    location: u64,
    tag: Tag,
    /// Somebody wants to know of its accesses.
    pub(super) emits: bool,
    /// The number of the last access that was told.
    pub(super) sequence: u64,
    pub(super) device: Local,
    vdev: Vdev,
    /// What is typed is for this one.
    is_typed_at: bool,
}

impl LocalDevice {
    /// The VM's device of this number, if it is one of those.
    pub(super) fn new(instance: u8, device: &Configured<'_>) -> Option<Self> {
        let begins = device.vdev.local()?;
        Some(Self {
            instance,
            kind: device.kind(),
            location: device.loc,
            tag: Tag::of_device(instance, device.space),
            emits: device.emit.logger || device.emit.trace.is_some(),
            sequence: 0,
            device: begins,
            vdev: device.vdev,
            is_typed_at: false,
        })
    }

    /// The VM is reset. The numbering goes on.
    pub(super) fn reset(&mut self) {
        self.device = self.vdev.local().unwrap_or(self.device);
    }

    /// The level of its interrupt.
    pub(super) fn is_interrupting(&self) -> bool {
        self.device.line()
    }

    /// The element as an access that the device supports, if it is one.
    pub(super) fn supports(&self, element: &Element, pc: u64) -> Option<Access> {
        let access = element.access(pc)?;
        let (offset, width) = (self.offset(element), access.width.bytes());
        let is_known = self.kind.find(offset, width, access.direction).is_some();
        (is_known || self.kind.ignores(offset, width)).then_some(access)
    }

    /// Carries an element out.
    pub(super) fn carry_out(
        &mut self,
        element: &mut Element,
        console: &mut ConsoleText,
        typed: &mut InputConsumer,
        machine: &mut impl Machine,
    ) {
        let offset = self.offset(element);
        match element.direction {
            Direction::Read => {
                let transmitter = console.transmitter(machine);
                let read = self.device.read(offset, transmitter);
                element.set_value(u128::from(read) & element.all_ones());
            }
            Direction::Write => {
                if let Some(character) = self.device.write(offset, element.value() as u32) {
                    console.print(character, machine);
                    self.device.sent(console.transmitter(machine));
                }
            }
        }
        self.take_typed(typed);
    }

    /// It takes what was typed as far as it has room, if that is for it.
    fn take_typed(&mut self, typed: &mut InputConsumer) {
        while self.is_typed_at
            && self.device.room() != 0
            && let Some(character) = typed.take()
        {
            self.device.receive(character);
        }
    }

    /// The record of an access that was carried out.
    pub(super) fn record(&mut self, access: &Access, value: u32, time: u64) -> Record {
        self.sequence += 1;
        Record::of_access(access, self.tag, self.sequence, value, time)
    }

    fn offset(&self, element: &Element) -> u64 {
        element.place.first.0.wrapping_sub(self.location)
    }
}

impl<A: Isa> Vmm<A> {
    /// What is typed is for the first device that receives, in the order of the configuration.
    pub(super) fn choose_typed_at(&mut self) {
        let mut devices = self.bus.devices_mut();
        let first = devices.find_map(|device| match device {
            Device::Local(local) if local.device.receives() => Some(local),
            _ => None,
        });
        if let Some(first) = first {
            first.is_typed_at = true;
        }
    }

    /// Lets the devices take what was typed, and know of room for what is printed.
    pub(super) fn serve_local_devices(&mut self, machine: &mut impl Machine) {
        for device in self.bus.devices_mut() {
            if let Device::Local(local) = device {
                local.device.sent(self.console.transmitter(machine));
                local.take_typed(&mut self.typed);
            }
        }
    }
}
