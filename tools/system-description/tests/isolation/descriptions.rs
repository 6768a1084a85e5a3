//! Every system description that there can be, and how its XML is read: the set-up of all tests here.

use roxmltree::{Document, Node};
use std::path::{Path, PathBuf};
use system_description::{Board, Vm, describe, names};
use vm_config::{MAX_VMS, RamRange, RomRange};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn read(name: &str) -> String {
    let path = root().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn attribute<'a>(node: &Node<'a, '_>, name: &str) -> &'a str {
    node.attribute(name)
        .unwrap_or_else(|| panic!("{:?} has no {name}", node.tag_name()))
}

pub(crate) fn number(text: &str) -> u64 {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(&digits.replace('_', ""), 16).unwrap(),
        None => text.parse().unwrap(),
    }
}

const RAM: [RamRange; 2] = [
    RamRange {
        base: 0x4000_0000,
        len_bytes: 2 << 20,
    },
    // Not of large pages.
    RamRange {
        base: 0x5000_1000,
        len_bytes: 0x3000,
    },
];

const ROM: [RomRange; 1] = [RomRange {
    base: 0,
    len_bytes: 64 << 20,
}];

/// The name of the second range's region.
pub(crate) const FURTHER_RAM: &str = "guest_ram_part2";

/// What is made for a board and so many VMs, of which all but the first have two ranges of RAM,
/// and ROM.
pub(crate) fn made(board: &str, vms: usize) -> String {
    let board = Board::load(&root().join("boards"), board).unwrap();
    let vms: Vec<_> = ["a", "b", "c", "d", "e", "f", "g", "h"][..vms]
        .iter()
        .enumerate()
        .map(|(number, name)| Vm {
            name,
            ram: RAM[..1 + number.min(1)].to_vec(),
            rom: ROM[..number.min(1)].to_vec(),
        })
        .collect();
    describe(&vms, &board)
}

/// Every system description there can be, with its name.
fn descriptions() -> Vec<(String, String)> {
    let mut all = vec![("system.xml".to_owned(), read("system.xml"))];
    let boards = names(&root().join("boards"));
    assert!(boards.len() > 2, "no board was found");
    for board in boards {
        let of_so_many =
            (1..=MAX_VMS).map(|vms| (format!("{board}, {vms} VMs"), made(&board, vms)));
        all.extend(of_so_many);
    }
    all
}

/// Runs a check on every system description; it gets the number of VMs as well.
pub(crate) fn in_each(check: impl Fn(&str, &Document<'_>, u8)) {
    for (name, xml) in descriptions() {
        let document = Document::parse(&xml).unwrap();
        let vms = nodes(&document, "virtual_machine").count();
        assert!(vms > 0, "{name} has no VM");
        check(&name, &document, u8::try_from(vms).unwrap());
    }
}

pub(crate) fn nodes<'a>(
    document: &'a Document<'_>,
    tag: &'a str,
) -> impl Iterator<Item = Node<'a, 'a>> {
    let all = document.descendants();
    all.filter(move |node| node.has_tag_name(tag))
}

/// How names of VM 0's and of the others differ: `config`, `config_1`; `pd-vmm`, `pd-vmm-1`.
pub(crate) fn of_vm(name: &str, separator: char, vm: u8) -> String {
    match vm {
        0 => name.to_owned(),
        vm => format!("{name}{separator}{vm}"),
    }
}

/// Whether a description is of a PC, where the UARTs are I/O ports and the counter's frequency
/// has to be measured.
pub(crate) fn is_of_pc(name: &str) -> bool {
    name.starts_with("x86_64")
}

/// Whether a description is of a board with a GIC-400, whose virtual CPU interface is memory; i.MX 8M have a GIC-500,
/// which is a GICv3, and a PC has none.
pub(crate) fn interrupts_guests(name: &str) -> bool {
    let without = ["imx8mp_evk", "maaxboard"];
    !is_of_pc(name) && !without.iter().any(|board| name.starts_with(board))
}

/// What all VMs share; everything else exists once for each.
pub(crate) fn is_one_for_all(resource: &str) -> bool {
    matches!(resource, "uart" | "clock_page" | "gic_cpu" | "report") || resource.starts_with("0x")
}

/// The VMs whose VMMs have a share of the CPU: on a PC a VMM takes turns with the others' as its
/// guest does, and one VM alone has the CPU to itself.
pub(crate) fn sharing(name: &str, vms: u8) -> std::ops::Range<u8> {
    match is_of_pc(name) || vms == 1 {
        true => 0..0,
        false => 0..vms,
    }
}

/// Whether idling has a protection domain: where guests do not run on their VMMs' time.
pub(crate) fn has_idle(name: &str) -> bool {
    !is_of_pc(name)
}
