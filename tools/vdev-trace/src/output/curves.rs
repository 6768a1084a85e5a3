//! The curves of devices' registers: what each held, as the accesses tell it.
//!
//! Used by the outputs that draw them. Invariant: a point is what its register tells after the access, so
//! nobody draws a part of one, what reading changes ([`Read::Asked`]), or what a device was merely written:
//! only of a register that [reads back](Read::ReadsBack) that is what it tells.

use crate::vms::names::Names;
use guest_access::Direction;
use std::collections::HashMap;
use trace_records::{Flags, Record};
use vdev_model::Read;
use vm_components::log_lines::AddressText;

/// Names the curves. One for an output, asked about all accesses in their order.
pub(crate) struct Curves<'a> {
    names: &'a Names,
    /// Where the first word is that was accessed in a device of which nothing is known, by VM and number.
    first: HashMap<(u8, u8), u64>,
}

/// A point of a curve.
pub(crate) struct Point {
    /// The curve's name, within its VM.
    pub curve: String,
    /// What the register holds.
    pub value: u32,
}

impl<'a> Curves<'a> {
    /// None yet.
    pub fn new(names: &'a Names) -> Self {
        Self {
            names,
            first: HashMap::new(),
        }
    }

    /// The point that an access adds to a curve.
    pub fn point(&mut self, vm: u8, record: &Record) -> Option<Point> {
        let tag = record.tag;
        let device = self.names.device(vm, tag.instance());
        let words = device.words();
        let curve = if words.is.is_none() {
            self.unknown(vm, record, &device.name)?
        } else {
            let register = words.whole_register(record)?;
            let is_told = match register.read {
                Read::ReadsBack => true,
                Read::Follows => tag.direction() == Direction::Read,
                Read::Asked => false,
            };
            match register.name {
                _ if !is_told => return None,
                "" => device.name,
                register => format!("{} {register}", device.name),
            }
        };
        let value = record.value;
        Some(Point { curve, value })
    }

    /// The curve of an access to a device of which no configuration tells the registers: each word counts for
    /// one that reads back. The first is called as the device, which may have no other.
    fn unknown(&mut self, vm: u8, record: &Record, device: &str) -> Option<String> {
        let (tag, address) = (record.tag, record.address.0);
        let is_word = tag.width_bytes() == 4 && address.is_multiple_of(4);
        let is_said = tag.direction() == Direction::Write && tag.flags().contains(Flags::OF_VMM);
        if !is_word || is_said || tag.flags().contains(Flags::REFUSED) {
            return None;
        }
        let first = self.first.entry((vm, tag.instance())).or_insert(address);
        Some(match *first == address {
            true => device.to_owned(),
            false => format!("{device} {:#x}", AddressText(record.location())),
        })
    }
}
