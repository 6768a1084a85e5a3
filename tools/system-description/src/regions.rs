//! The memory that the parts share, and where it has to be.
//!
//! Invariant: a region is as large as what lies in it, by the types that the components use.

use crate::xml::{Attribute, Xml};
use crate::{System, Uart, of_vm};
use oversight::{LifePage, ReportPage};
use shared_ring::{ConsumerPage, RingMemory};
use trace_records::{ACCESS_SLOTS, CONSOLE_SLOTS, LOG_SLOTS, StatePage, TRACE_SLOTS};
use vm_config::{MAX_VMS, RamRange};

const PAGE: usize = 4096;
/// What one entry of a second-stage table maps, of either architecture.
const LARGE_PAGE: u64 = 2 << 20;
/// How far the trace rings are from each other, in physical memory; the report page is after all
/// that there could be.
const OBSERVED_STEP: u64 = 1 << 20;
const _: () = assert!(size_of::<RingMemory<TRACE_SLOTS>>() as u64 <= OBSERVED_STEP);

/// The name of the region of a VM's RAM with this number.
pub(crate) fn ram_name(vm: usize, number: usize) -> String {
    let name = match number {
        0 => "guest_ram".to_owned(),
        number => format!("guest_ram_part{}", number + 1),
    };
    of_vm(&name, vm)
}

/// Whether the RAM can be mapped by large pages.
fn is_of_large_pages(range: &RamRange) -> bool {
    range.base.is_multiple_of(LARGE_PAGE) && range.len_bytes.is_multiple_of(LARGE_PAGE)
}

pub(crate) fn write(xml: &mut Xml, system: &System<'_>) {
    let observed = |step: usize| system.board.observed_at + step as u64 * OBSERVED_STEP;
    for (vm, number) in system.vms.iter().zip(0..) {
        for (range, part) in vm.ram.iter().zip(0..) {
            let (name, size) = (ram_name(number, part), hex(range.len_bytes));
            let mut attributes: Vec<Attribute<'_>> = vec![("name", &name), ("size", &size)];
            let page_size = hex(LARGE_PAGE);
            if is_of_large_pages(range) {
                attributes.push(("page_size", &page_size));
            }
            xml.leaf("memory_region", &attributes);
        }
        let file = |stem: &str, suffix: &str| format!("{}.{suffix}", of_vm(stem, number));
        prefilled(xml, "guest_image", number, None, &file("guest", "elf"));
        prefilled(xml, "config", number, Some(PAGE), &file("vm", "blob"));
        for (name, bytes) in [
            ("access_ring", size_of::<RingMemory<ACCESS_SLOTS>>()),
            ("access_reader", size_of::<ConsumerPage>()),
            ("state_page", size_of::<StatePage>()),
            ("log_ring", size_of::<RingMemory<LOG_SLOTS>>()),
            ("log_reader", size_of::<ConsumerPage>()),
            ("console_ring", size_of::<RingMemory<CONSOLE_SLOTS>>()),
            ("console_reader", size_of::<ConsumerPage>()),
            ("life_vmm", size_of::<LifePage>()),
        ] {
            plain(xml, &of_vm(name, number), bytes);
        }
        let bytes = size_of::<RingMemory<TRACE_SLOTS>>();
        placed(xml, &of_vm("trace_ring", number), bytes, observed(number));
    }
    for (name, bytes) in [
        ("monitor_ring", size_of::<RingMemory<CONSOLE_SLOTS>>()),
        ("monitor_reader", size_of::<ConsumerPage>()),
        ("life_trace", size_of::<LifePage>()),
        ("life_console", size_of::<LifePage>()),
    ] {
        plain(xml, name, bytes);
    }
    placed(xml, "report", size_of::<ReportPage>(), observed(MAX_VMS));
    match system.board.uart {
        Uart::Pl011 { at } | Uart::Cadence { at } => placed(xml, "uart", PAGE, at),
        Uart::Ports { .. } => {}
    }
    if system.is_pc() {
        plain(xml, "clock_page", PAGE);
    }
}

fn plain(xml: &mut Xml, name: &str, bytes: usize) {
    let attributes: [Attribute<'_>; 2] = [("name", &name), ("size", &hex(bytes as u64))];
    xml.leaf("memory_region", &attributes);
}

fn placed(xml: &mut Xml, name: &str, bytes: usize, at: u64) {
    let (size, at) = (hex(bytes as u64), hex(at));
    let attributes: [Attribute<'_>; 3] = [("name", &name), ("size", &size), ("phys_addr", &at)];
    xml.leaf("memory_region", &attributes);
}

fn prefilled(xml: &mut Xml, name: &str, vm: usize, bytes: Option<usize>, file: &str) {
    let (name, size) = (of_vm(name, vm), bytes.map(|bytes| hex(bytes as u64)));
    let mut attributes: Vec<Attribute<'_>> = vec![("name", &name)];
    if let Some(size) = &size {
        attributes.push(("size", size));
    }
    attributes.push(("prefill_path", &file));
    xml.leaf("memory_region", &attributes);
}

pub(crate) fn hex(number: u64) -> String {
    format!("{number:#x}")
}
