//! Makes the description of a system for the Microkit's tool, from its VMs and a board.
//!
//! Called by the `runner` for every system but the demo, whose `system.xml` is written by hand, to
//! be read; a test holds the two together. Microkit manual 2.3, "System Description File".
//!
//! Invariant: who may touch what is decided in [`domains`], in one place for each part, and is the
//! same whatever the board and however many the VMs: VM 0's regions have the plain names, VM 1's
//! end in `_1`, and no VMM maps another's.

mod board;
mod channels;
mod domains;
mod regions;
mod xml;

pub use regions::rom_file;

pub use board::{Architecture, Board, Gic, Qemu, Registers, Trigger, Uart, names};

use vm_config::{RamRange, RomRange};
use xml::Xml;

/// A VM, as far as the description has to know it.
pub struct Vm<'a> {
    /// What the Microkit's report is to call it.
    pub name: &'a str,
    /// Its RAM.
    pub ram: Vec<RamRange>,
    /// Its ROM.
    pub rom: Vec<RomRange>,
}

/// A system that is to be described.
struct System<'a> {
    vms: &'a [Vm<'a>],
    board: &'a Board,
}

impl System<'_> {
    /// Whether it is a PC, where the UARTs are I/O ports, the counter's frequency has to be
    /// measured, and a guest runs on its VMM's time.
    fn is_pc(&self) -> bool {
        self.board.architecture == Architecture::X86_64
    }

    /// Whether its VMMs have shares of the CPU: one alone has all of it.
    fn has_shares(&self) -> bool {
        !self.is_pc() && self.vms.len() > 1
    }

    /// Where the board has the CPU interface that its guests are given.
    fn virtual_cpu_interface(&self) -> Option<u64> {
        match self.board.gic {
            Some(Gic::V2 {
                virtual_cpu_interface,
            }) => Some(virtual_cpu_interface),
            _ => None,
        }
    }

    /// The numbers of its VMs.
    fn numbers(&self) -> std::ops::Range<usize> {
        0..self.vms.len()
    }
}

/// The description of a system of these VMs, [`vm_config::MAX_VMS`] at most, on a board.
pub fn describe(vms: &[Vm<'_>], board: &Board) -> String {
    let system = System { vms, board };
    let mut xml = Xml::new();
    xml.open("system", &[]);
    regions::write(&mut xml, &system);
    domains::write(&mut xml, &system);
    channels::write(&mut xml, &system);
    xml.close();
    xml.text()
}

/// How names of VM 0's and of the others differ: `config`, `config_1`.
fn of_vm(name: &str, vm: usize) -> String {
    match vm {
        0 => name.to_owned(),
        vm => format!("{name}_{vm}"),
    }
}
