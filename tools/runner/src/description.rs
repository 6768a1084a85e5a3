//! Holds the VMs' configurations against the system description of the Microkit, which fixes
//! how many VMs there are and what RAM they have.
//!
//! Used before an seL4 image is made. Invariant: a mistake is told at its place in the VM's
//! configuration, with the place in the system description that it contradicts. The VMs of the
//! description are numbered in its order; what it calls them is for the Microkit's reports,
//! so the names are compared only to find VMs that are in the wrong order.

use crate::Failure;
use roxmltree::{Document, Node};
use std::path::Path;
use vdev_trace::vms::compile::{Compiled, render};
use vm_config::RamRange;
use vmconf::{Diagnostic, Diagnostics, Vm};

/// A VM as the system description has it.
struct Described<'a> {
    name: &'a str,
    /// Where it is, as `file:line:column`.
    place: String,
    /// Each range of its RAM, and where that is mapped.
    ram: Vec<(RamRange, String)>,
    /// Where it has memory that it cannot write.
    rom: Vec<u64>,
}

/// Compares the VMs with the system description at `path`.
///
/// # Errors
///
/// [`Failure::Config`] with everything that does not fit, or [`Failure::Host`] if the
/// description cannot be read.
pub(crate) fn check(path: &Path, vms: &[Compiled]) -> Result<(), Failure> {
    let file = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Host(format!("cannot read {file}: {error}")))?;
    let document =
        Document::parse(&text).map_err(|error| Failure::Host(format!("{file}: {error}")))?;
    let described = describe(&document, &file.to_string());
    let mut wrong = String::new();
    for (number, compiled) in vms.iter().enumerate() {
        let vm = &compiled.vm;
        let found = match described.get(number) {
            Some(here) => compare(vm, number, here, &described),
            None => vec![
                Diagnostic::error(
                    vm.system.span,
                    format!("there is no VM {number} in the system description"),
                )
                .label(format!("this is VM {number}, counted from 0"))
                .help(match described.last() {
                    Some(last) => format!("{} is the last one there", last.place),
                    None => format!("{file} has none"),
                }),
            ],
        };
        if !found.is_empty() {
            wrong += &render(&Diagnostics::new(vm.source.clone(), found));
        }
    }
    if let (Some(missing), Some(last)) = (described.get(vms.len()), vms.last()) {
        let vm = &last.vm;
        let title = format!("VM {} has no configuration", vms.len());
        let error = Diagnostic::error(vm.system.span, title)
            .label("this is the last VM")
            .help(format!("{} is one more", missing.place));
        wrong += &render(&Diagnostics::new(vm.source.clone(), vec![error]));
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(Failure::Config(wrong)),
    }
}

fn compare(vm: &Vm, number: usize, here: &Described<'_>, all: &[Described<'_>]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let namesake = all.iter().position(|other| other.name == vm.system.value);
    if let Some(other) = namesake.filter(|&other| other != number) {
        let title = format!("VM {number} has the name of VM {other}");
        found.push(
            Diagnostic::error(vm.system.span, title)
                .label("VMs are numbered in the order of their files' names")
                .help(format!("{} is VM {other}", all[other].place)),
        );
    }
    let gives = || {
        let ram = here.ram.iter();
        ram.map(|(range, place)| format!("{place} gives it {}", extent(range)))
    };
    let is_given = |range: &RamRange| here.ram.iter().any(|(given, _)| given == range);
    for range in vm.ram.iter().filter(|range| !is_given(&range.value)) {
        let title = "this is not the RAM that the system description gives the VM";
        let error = Diagnostic::error(range.span, title).label(extent(&range.value));
        found.push(gives().fold(error, Diagnostic::help));
    }
    if found.is_empty() && vm.ram.len() < here.ram.len() {
        let place = vm.ram.last().map_or(vm.system.span, |range| range.span);
        let title = "the system description gives the VM more RAM than this";
        let error = Diagnostic::error(place, title);
        found.push(gives().fold(error, Diagnostic::help));
    }
    let is_rom = |base: u64| here.rom.contains(&base);
    let missing = vm.rom.iter().filter(|range| {
        let mut blocks = range.value.blocks();
        !blocks.all(|(base, _)| is_rom(base))
    });
    for range in missing {
        let title = "the system description does not give the VM this ROM";
        found.push(
            Diagnostic::error(range.span, title).help(
                "leave the system description out: one is made of the VMs and the board then",
            ),
        );
    }
    found
}

fn extent(range: &RamRange) -> String {
    format!("{:#x} bytes at {:#x}", range.len_bytes, range.base)
}

fn describe<'a>(document: &'a Document<'_>, file: &str) -> Vec<Described<'a>> {
    let place = |node: &Node<'_, '_>| {
        let at = document.text_pos_at(node.range().start);
        format!("{file}:{}:{}", at.row, at.col)
    };
    let len_of = |region: &str| {
        let mut regions = document.descendants();
        regions.find_map(|node| {
            let is_it =
                node.has_tag_name("memory_region") && node.attribute("name") == Some(region);
            is_it.then(|| number(node.attribute("size")?)).flatten()
        })
    };
    let machines = document.descendants();
    let machines = machines.filter(|node| node.has_tag_name("virtual_machine"));
    machines
        .map(|machine| {
            let memory = machine
                .children()
                .filter(|node| node.has_tag_name("map"))
                // A device's registers are no memory.
                .filter(|map| map.attribute("cached") != Some("false"));
            let (ram, rom): (Vec<_>, Vec<_>) = memory.partition(may_be_written);
            let base = |map: &Node<'_, '_>| number(map.attribute("vaddr")?);
            Described {
                name: machine.attribute("name").unwrap_or_default(),
                place: place(&machine),
                ram: ram
                    .iter()
                    .filter_map(|map| {
                        let (base, len_bytes) = (base(map)?, len_of(map.attribute("mr")?)?);
                        Some((RamRange { base, len_bytes }, place(map)))
                    })
                    .collect(),
                rom: rom.iter().filter_map(base).collect(),
            }
        })
        .collect()
}

/// Whether a mapping is to be written; the Microkit's default is that it may.
fn may_be_written(map: &Node<'_, '_>) -> bool {
    map.attribute("perms")
        .is_none_or(|perms| perms.contains('w'))
}

/// A number as the Microkit's tool reads it.
fn number(text: &str) -> Option<u64> {
    let text = text.replace('_', "");
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
