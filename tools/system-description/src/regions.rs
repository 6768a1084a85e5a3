//! The memory that the parts share, and where it has to be.
//!
//! Invariant: a region is as large as what lies in it, by the types that the components use.

use crate::xml::{Attribute, Xml};
use crate::{System, of_vm};
use oversight::{LifePage, Part, ReportPage};
use shared_ring::{ConsumerPage, InputMemory, InputReader, RingMemory};
use trace_records::{ACCESS_SLOTS, CONSOLE_SLOTS, LOG_SLOTS, StatePage, TRACE_SLOTS};
use vm_config::{MAX_VMS, REGION_LEN_BYTES, RamRange};

const PAGE: u64 = 4096;
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

/// The name of the region of a VM's ROM with this number.
pub(crate) fn rom_name(vm: usize, number: usize) -> String {
    of_vm(&format!("guest_rom{}", number + 1), vm)
}

/// The file with what `len_bytes` of ROM hold.
pub fn rom_file(len_bytes: u64) -> String {
    format!("rom-{len_bytes:#x}.ones")
}

/// Whether the RAM can be mapped by large pages.
fn is_of_large_pages(range: &RamRange) -> bool {
    range.base.is_multiple_of(LARGE_PAGE) && range.len_bytes.is_multiple_of(LARGE_PAGE)
}

pub(crate) fn write(xml: &mut Xml, system: &System<'_>) {
    let observed = |step: usize| hex(system.board.observed_at + step as u64 * OBSERVED_STEP);
    for (vm, number) in system.vms.iter().zip(0..) {
        for (range, part) in vm.ram.iter().zip(0..) {
            let page_size: &[Attribute<'_>] = match is_of_large_pages(range) {
                true => &[("page_size", &hex(LARGE_PAGE))],
                false => &[],
            };
            region(xml, &ram_name(number, part), range.len_bytes, page_size);
        }
        for (range, part) in vm.rom.iter().zip(0..) {
            let Some((_, len_bytes)) = range.blocks().next() else {
                continue;
            };
            // All blocks of a range are one region.
            let ones: Attribute<'_> = ("prefill_path", &rom_file(len_bytes));
            let is_large = len_bytes == LARGE_PAGE && range.base.is_multiple_of(LARGE_PAGE);
            let page_size: Attribute<'_> = ("page_size", &hex(LARGE_PAGE));
            let more = [ones, page_size];
            let more = if is_large { &more[..] } else { &more[..1] };
            region(xml, &rom_name(number, part), len_bytes, more);
        }
        let file = |stem: &str, suffix: &str| format!("{}.{suffix}", of_vm(stem, number));
        // As large as the file.
        let (images, bytes) = (of_vm("guest_images", number), file("guest", "image"));
        xml.leaf(
            "memory_region",
            &[("name", &images), ("prefill_path", &bytes)],
        );
        let blob: [Attribute<'_>; 1] = [("prefill_path", &file("vm", "blob"))];
        region(
            xml,
            &of_vm("config", number),
            REGION_LEN_BYTES as u64,
            &blob,
        );
        for (name, bytes) in [
            ("access_ring", size_of::<RingMemory<ACCESS_SLOTS>>()),
            ("access_reader", size_of::<ConsumerPage>()),
            ("state_page", size_of::<StatePage>()),
            ("log_ring", size_of::<RingMemory<LOG_SLOTS>>()),
            ("log_reader", size_of::<ConsumerPage>()),
            ("console_ring", size_of::<RingMemory<CONSOLE_SLOTS>>()),
            ("console_reader", size_of::<ConsumerPage>()),
            ("input_ring", size_of::<InputMemory>()),
            ("input_reader", size_of::<InputReader>()),
            ("life_vmm", size_of::<LifePage>()),
            ("kept_vmm", Part::Vmm(number).kept_bytes()),
        ] {
            region(xml, &of_vm(name, number), bytes as u64, &[]);
        }
        let bytes = size_of::<RingMemory<TRACE_SLOTS>>() as u64;
        let place: [Attribute<'_>; 1] = [("phys_addr", &observed(number))];
        region(xml, &of_vm("trace_ring", number), bytes, &place);
    }
    for (name, bytes) in [
        ("monitor_ring", size_of::<RingMemory<CONSOLE_SLOTS>>()),
        ("monitor_reader", size_of::<ConsumerPage>()),
        ("life_trace", size_of::<LifePage>()),
        ("life_console", size_of::<LifePage>()),
        ("kept_trace", Part::Trace.kept_bytes()),
        ("kept_console", Part::Console.kept_bytes()),
    ] {
        region(xml, name, bytes as u64, &[]);
    }
    let place: [Attribute<'_>; 1] = [("phys_addr", &observed(MAX_VMS))];
    region(xml, "report", size_of::<ReportPage>() as u64, &place);
    if let Some((_, registers)) = system.board.uart.mapped() {
        region(xml, "uart", PAGE, &[("phys_addr", &hex(registers.at))]);
    }
    if let Some(at) = system.virtual_cpu_interface() {
        region(xml, "gic_cpu", 2 * PAGE, &[("phys_addr", &hex(at))]);
    }
    if system.is_pc() {
        region(xml, "clock_page", PAGE, &[]);
    }
}

fn region(xml: &mut Xml, name: &str, len_bytes: u64, more: &[Attribute<'_>]) {
    let what: [Attribute<'_>; 2] = [("name", &name), ("size", &hex(len_bytes))];
    xml.leaf("memory_region", &[&what, more].concat());
}

pub(crate) fn hex(number: u64) -> String {
    format!("{number:#x}")
}
