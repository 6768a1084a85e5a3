//! A device that stays inside its VMM, and where its accesses are told.
//!
//! Called by `carry_out`. Invariant: what such a device tells of itself is its VMM's word, and the device
//! domain says so in every record; a guest waits for nobody but for room for that record.

use super::console_text::ConsoleText;
use super::transfer::Element;
use crate::Machine;
use guest_access::{Access, Direction};
use trace_records::{Record, Tag};
use vdev_model::{AnyInVmm, AnyVdev, Kind};
use vdevs::Local;
use vm_config::Device;

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
    /// As it is when the VM begins.
    begins: Local,
}

impl LocalDevice {
    /// The VM's device of this number, if it is one of those.
    pub(super) fn new(instance: u8, device: &Device<'_>) -> Option<Self> {
        let begins = device.vdev.local()?;
        Some(Self {
            instance,
            kind: device.kind(),
            location: device.loc,
            tag: Tag::of_device(instance, device.space),
            emits: device.emit.logger || device.emit.trace.is_some(),
            sequence: 0,
            device: begins,
            begins,
        })
    }

    /// The VM is reset. The numbering goes on.
    pub(super) fn reset(&mut self) {
        self.device = self.begins;
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
                }
            }
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
