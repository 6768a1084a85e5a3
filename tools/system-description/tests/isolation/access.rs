//! Who may touch what: the README's tables, and that all that is written has one writer.

use crate::descriptions::{
    FURTHER_RAM, attribute, in_each, interrupts_guests, is_of_pc, is_one_for_all, nodes, number,
    of_vm, read,
};
use roxmltree::Document;
use std::collections::{BTreeMap, BTreeSet};

/// Who maps what how: (protection domain or `guest`, region) to permissions. The guest of
/// `pd-vmm-1` is `guest-1`. A VM's ranges of RAM are one resource.
fn mappings(document: &Document<'_>) -> BTreeMap<(String, String), String> {
    let mut mapped = BTreeMap::new();
    for map in nodes(document, "map") {
        let parent = map.parent().unwrap();
        let who = match parent.tag_name().name() {
            "virtual_machine" => {
                let vmm = parent.parent().unwrap();
                attribute(&vmm, "name").replace("pd-vmm", "guest")
            }
            _ => attribute(&parent, "name").to_owned(),
        };
        let region = attribute(&map, "mr").replace(FURTHER_RAM, "guest_ram");
        let perms = attribute(&map, "perms").to_owned();
        if let Some(other) = mapped.insert((who, region), perms.clone()) {
            assert_eq!(other, perms, "{map:?}");
        }
    }
    mapped
}

/// Who may use which range of I/O ports, as `0x3f8-0x3ff`.
fn io_ports(document: &Document<'_>) -> BTreeMap<(String, String), String> {
    nodes(document, "ioport")
        .map(|range| {
            let who = attribute(&range.parent().unwrap(), "name").to_owned();
            let first = number(attribute(&range, "addr"));
            let last = first + number(attribute(&range, "size")) - 1;
            ((who, format!("{first:#x}-{last:#x}")), "rw".to_owned())
        })
        .collect()
}

/// One of the README's tables: a row for each part, a column for each region or range of ports.
fn readme_table(first_cell: &str) -> BTreeMap<(String, String), String> {
    let readme = read("README.md");
    let mut rows = readme
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells
                .map(|cell| cell.trim().trim_matches('`').to_owned())
                .collect::<Vec<_>>()
        });
    let header = rows
        .find(|row| row[0] == first_cell)
        .expect("the README has the isolation table");
    let rows = rows
        .skip(1)
        .take_while(|row| row[0] == "guest" || row[0].starts_with("pd-"));
    let cells = rows.flat_map(|row| {
        let who = row[0].clone();
        let cells = header.clone().into_iter().zip(row).skip(1);
        cells
            .map(move |(region, perms)| ((who.clone(), region), perms))
            .collect::<Vec<_>>()
    });
    cells.filter(|(_, perms)| perms != "–").collect()
}

#[test]
fn the_system_gives_what_the_readme_says_for_each_vm_and_nothing_else() {
    let of_all = readme_table("who");
    assert!(of_all.len() > 20, "the table was not found: {of_all:?}");
    let of_pc = readme_table("who, on x86_64");
    assert!(of_pc.len() > 6, "the table was not found: {of_pc:?}");
    in_each(|name, document, vms| {
        let mut table = of_all.clone();
        if is_of_pc(name) {
            table.retain(|(_, region), _| region != "uart");
            table.extend(of_pc.clone());
        }
        if !interrupts_guests(name) {
            table.retain(|(_, region), _| region != "gic_cpu");
        }
        let mut wanted = BTreeMap::new();
        let mut want = |who: String, region: String, perms: &str| {
            wanted.insert((who, region), perms.to_owned());
        };
        for vm in 0..vms {
            for ((who, region), perms) in &table {
                let who = match who.as_str() {
                    "guest" | "pd-vmm" => of_vm(who, '-', vm),
                    one_for_all => one_for_all.to_owned(),
                };
                let region = match is_one_for_all(region) {
                    true => region.to_owned(),
                    false => of_vm(region, '_', vm),
                };
                want(who, region, perms);
            }
            // The signs of life and last words of each protection domain that has some.
            let life = of_vm("life_vmm", '_', vm);
            want(of_vm("pd-vmm", '-', vm), life.clone(), "rw");
            want("pd-monitor".into(), life, "r");
            // What outlives one that is started again, for itself alone.
            let kept = of_vm("kept_vmm", '_', vm);
            want(of_vm("pd-vmm", '-', vm), kept, "rw");
            // In all but the first there is ROM, which nobody else has, and nobody can write.
            if vm > 0 {
                want(of_vm("guest", '-', vm), of_vm("guest_rom1", '_', vm), "rx");
            }
        }
        for domain in ["trace", "console"] {
            want(format!("pd-{domain}"), format!("life_{domain}"), "rw");
            want("pd-monitor".into(), format!("life_{domain}"), "r");
            want(format!("pd-{domain}"), format!("kept_{domain}"), "rw");
        }
        // The line that they take to the console.
        for (who, region, perms) in [
            ("pd-monitor", "monitor_ring", "rw"),
            ("pd-console", "monitor_ring", "r"),
            ("pd-monitor", "monitor_reader", "r"),
            ("pd-console", "monitor_reader", "rw"),
        ] {
            want(who.into(), region.into(), perms);
        }
        let mut given = mappings(document);
        given.extend(io_ports(document));
        assert_eq!(given, wanted, "{name}");
    });
}

#[test]
fn each_shared_region_has_one_writer() {
    in_each(|name, document, vms| {
        let mapped = mappings(document);
        let mut writers: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for ((who, region), perms) in &mapped {
            if perms.contains('w') {
                writers.entry(region).or_default().insert(who);
            }
        }
        for vm in 0..vms {
            let ram = writers
                .remove(of_vm("guest_ram", '_', vm).as_str())
                .unwrap();
            let (guest, vmm) = (of_vm("guest", '-', vm), of_vm("pd-vmm", '-', vm));
            assert_eq!(
                ram,
                BTreeSet::from([guest.as_str(), vmm.as_str()]),
                "{name}"
            );
        }
        // The monitor's mapping is for the time after the console's death. A PC has none: its
        // UARTs are I/O ports.
        let uart = match is_of_pc(name) {
            true => None,
            false => Some(BTreeSet::from(["pd-console", "pd-monitor"])),
        };
        assert_eq!(writers.remove("uart"), uart, "{name}");
        // Of the CPU's virtual interface each vCPU has a state of its own, which the kernel changes with it.
        let guests = (0..vms)
            .map(|vm| of_vm("guest", '-', vm))
            .collect::<Vec<_>>();
        let gic_cpu = match interrupts_guests(name) {
            true => Some(guests.iter().map(String::as_str).collect()),
            false => None,
        };
        assert_eq!(writers.remove("gic_cpu"), gic_cpu, "{name}");
        for (region, writers) in writers {
            assert_eq!(writers.len(), 1, "{name}: {region}: {writers:?}");
        }
    });
}

#[test]
fn each_io_port_has_one_owner() {
    in_each(|name, document, _| {
        let mut owned = BTreeSet::new();
        for range in nodes(document, "ioport") {
            let first = number(attribute(&range, "addr"));
            for port in first..first + number(attribute(&range, "size")) {
                assert!(owned.insert(port), "{name}: {port:#x}");
            }
        }
        assert_eq!(owned.is_empty(), !is_of_pc(name), "{name}");
    });
}
