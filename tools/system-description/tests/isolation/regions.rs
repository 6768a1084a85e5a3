//! Regions of memory: whose they are by name, how large, and where a VMM finds its guest's.

use crate::descriptions::{
    FURTHER_RAM, attribute, in_each, is_of_pc, is_one_for_all, nodes, number, of_vm,
};
use oversight::{LifePage, Part, ReportPage};
use roxmltree::Node;
use shared_ring::{ConsumerPage, InputMemory, InputReader, RingMemory};
use std::collections::BTreeMap;
use trace_records::{ACCESS_SLOTS, CONSOLE_SLOTS, LOG_SLOTS, StatePage, TRACE_SLOTS};

const PAGE: u64 = 4096;

/// A VMM is one program for all VMs and knows its own regions by VM 0's names; who serves all
/// VMs knows each region by its own.
#[test]
fn each_program_finds_the_regions_of_the_right_vm() {
    in_each(|name, document, vms| {
        for map in nodes(document, "map") {
            let parent = map.parent().unwrap();
            let (region, symbol) = (attribute(&map, "mr"), map.attribute("setvar_vaddr"));
            // The UART's symbol says which it is; where a VMM finds its guest's further RAM
            // follows from where it finds the first.
            if parent.has_tag_name("virtual_machine") || region == "uart" {
                continue;
            }
            if region.starts_with(FURTHER_RAM) {
                let len = map.attribute("setvar_size");
                assert_eq!(len, Some("guest_ram_part2_len"), "{name}");
                continue;
            }
            let domain = attribute(&parent, "name");
            let program = nodes(document, "program_image");
            let mut program = program.filter(|image| image.parent() == Some(parent));
            let program = attribute(&program.next().unwrap(), "path").to_owned();
            let wanted = match (program.as_str(), region.split_once('_')) {
                ("pd-monitor", _) => region,
                _ if is_one_for_all(region) => region,
                (_, Some(("life", _))) => "life",
                (_, Some(("kept", _))) => "kept",
                ("pd-vmm", _) => {
                    let vm = domain.strip_prefix("pd-vmm").unwrap().replace('-', "_");
                    region.strip_suffix(&vm).unwrap()
                }
                _ => region,
            };
            assert_eq!(symbol, Some(wanted), "{name}: {region} in {domain}");
        }
        for vm in 0..vms {
            for (region, stem, suffix) in
                [("config", "vm", "blob"), ("guest_images", "guest", "image")]
            {
                let region = of_vm(region, '_', vm);
                let mut regions = nodes(document, "memory_region");
                let node = regions.find(|node| attribute(node, "name") == region);
                let wanted = format!("{}.{suffix}", of_vm(stem, '_', vm));
                assert_eq!(attribute(&node.unwrap(), "prefill_path"), wanted, "{name}");
            }
        }
    });
}

#[test]
fn regions_are_as_large_as_what_lies_in_them() {
    in_each(|name, document, vms| {
        let size = |region: &str| {
            let mut regions = nodes(document, "memory_region");
            let node = regions.find(|node| attribute(node, "name") == region);
            number(attribute(&node.unwrap(), "size"))
        };
        let of_each_vm = [
            ("access_ring", size_of::<RingMemory<ACCESS_SLOTS>>()),
            ("log_ring", size_of::<RingMemory<LOG_SLOTS>>()),
            ("trace_ring", size_of::<RingMemory<TRACE_SLOTS>>()),
            ("console_ring", size_of::<RingMemory<CONSOLE_SLOTS>>()),
            ("access_reader", size_of::<ConsumerPage>()),
            ("log_reader", size_of::<ConsumerPage>()),
            ("console_reader", size_of::<ConsumerPage>()),
            ("input_ring", size_of::<InputMemory>()),
            ("input_reader", size_of::<InputReader>()),
            ("state_page", size_of::<StatePage>()),
            ("config", vm_config::REGION_LEN_BYTES),
        ];
        for vm in 0..vms {
            for (region, bytes) in of_each_vm {
                let region = of_vm(region, '_', vm);
                assert_eq!(size(&region), bytes as u64, "{name}: {region}");
            }
        }
        for vm in 0..vms {
            let life = of_vm("life_vmm", '_', vm);
            assert_eq!(size(&life), size_of::<LifePage>() as u64, "{name}: {life}");
            let kept = of_vm("kept_vmm", '_', vm);
            let bytes = Part::Vmm(vm.into()).kept_bytes() as u64;
            assert_eq!(size(&kept), bytes, "{name}: {kept}");
        }
        for (region, bytes) in [
            ("monitor_ring", size_of::<RingMemory<CONSOLE_SLOTS>>()),
            ("life_trace", size_of::<LifePage>()),
            ("life_console", size_of::<LifePage>()),
            ("kept_trace", Part::Trace.kept_bytes()),
            ("kept_console", Part::Console.kept_bytes()),
            ("report", size_of::<ReportPage>()),
        ] {
            assert_eq!(size(region), bytes as u64, "{name}: {region}");
        }
        if is_of_pc(name) {
            assert_eq!(size("clock_page"), PAGE, "{name}");
        }
    });
}

/// So that a guest's address is found by one addition, whatever range it is in.
#[test]
fn a_vmm_has_all_of_its_guests_ram_at_the_same_distance() {
    in_each(|name, document, _| {
        for machine in nodes(document, "virtual_machine") {
            let maps_of = |node: Node<'_, '_>| {
                let maps = node.children().filter(|child| child.has_tag_name("map"));
                let maps = maps.map(|map| {
                    let region = attribute(&map, "mr").to_owned();
                    (region, number(attribute(&map, "vaddr")))
                });
                maps.collect::<BTreeMap<_, _>>()
            };
            let in_vmm = maps_of(machine.parent().unwrap());
            for (region, at) in maps_of(machine) {
                if region.starts_with("guest_rom") {
                    continue;
                }
                // No RAM.
                if region == "gic_cpu" {
                    assert_eq!(at, vm_components::GIC_CPU_INTERFACE, "{name}");
                    continue;
                }
                assert_eq!(in_vmm[&region] - at, 0x10_0000_0000, "{name}: {region}");
            }
        }
    });
}

/// 64 MiB of ROM at 0 is 32 times the same block.
#[test]
fn rom_is_one_block_as_often_as_it_is_wanted() {
    in_each(|name, document, vms| {
        for vm in 1..vms {
            let region = of_vm("guest_rom1", '_', vm);
            let maps = nodes(document, "map").filter(|map| attribute(map, "mr") == region);
            let at: Vec<u64> = maps.map(|map| number(attribute(&map, "vaddr"))).collect();
            let wanted: Vec<u64> = (0..32).map(|block| block << 21).collect();
            assert_eq!(at, wanted, "{name}");
            let mut regions = nodes(document, "memory_region");
            let node = regions
                .find(|node| attribute(node, "name") == region)
                .unwrap();
            let bytes = ["size", "page_size"].map(|what| number(attribute(&node, what)));
            assert_eq!(bytes, [2 << 20; 2], "{name}");
            let file = attribute(&node, "prefill_path");
            assert_eq!(file, system_description::rom_file(2 << 20), "{name}");
        }
    });
}

#[test]
fn ram_has_large_pages_where_they_fit() {
    in_each(|name, document, _| {
        for region in nodes(document, "memory_region") {
            let is = |what: &str| attribute(&region, "name").starts_with(what);
            if is("guest_ram") {
                let wanted = if is(FURTHER_RAM) {
                    None
                } else {
                    Some("0x200000")
                };
                assert_eq!(region.attribute("page_size"), wanted, "{name}");
            }
        }
    });
}
