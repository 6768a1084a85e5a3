//! The isolation argument, held against what the Microkit is told: `system.xml` and what is made for
//! every board and number of VMs give what the README's tables say for each VM and nothing else,
//! their numbers are those of the code, and whoever a guest must not hold up runs above its vCPU.

use oversight::{LifePage, Part, ReportPage};
use roxmltree::{Document, Node};
use shared_ring::{ConsumerPage, RingMemory};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use system_description::{Board, Vm, describe, names};
use trace_records::{ACCESS_SLOTS, CONSOLE_SLOTS, LOG_SLOTS, StatePage, TRACE_SLOTS};
use vm_components::channel;
use vm_config::{MAX_VMS, RamRange};

const PAGE: u64 = 4096;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(name: &str) -> String {
    let path = root().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn attribute<'a>(node: &Node<'a, '_>, name: &str) -> &'a str {
    node.attribute(name)
        .unwrap_or_else(|| panic!("{:?} has no {name}", node.tag_name()))
}

fn number(text: &str) -> u64 {
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

/// The name of the second range's region.
const FURTHER_RAM: &str = "guest_ram_part2";

/// What is made for a board and so many VMs, of which all but the first have two ranges of RAM.
fn made(board: &str, vms: usize) -> String {
    let board = Board::load(&root().join("boards"), board).unwrap();
    let vms: Vec<_> = ["a", "b", "c", "d", "e", "f", "g", "h"][..vms]
        .iter()
        .enumerate()
        .map(|(number, name)| Vm {
            name,
            ram: RAM[..1 + number.min(1)].to_vec(),
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
fn in_each(check: impl Fn(&str, &Document<'_>, u8)) {
    for (name, xml) in descriptions() {
        let document = Document::parse(&xml).unwrap();
        let vms = nodes(&document, "virtual_machine").count();
        assert!(vms > 0, "{name} has no VM");
        check(&name, &document, u8::try_from(vms).unwrap());
    }
}

fn nodes<'a>(document: &'a Document<'_>, tag: &'a str) -> impl Iterator<Item = Node<'a, 'a>> {
    let all = document.descendants();
    all.filter(move |node| node.has_tag_name(tag))
}

/// How names of VM 0's and of the others differ: `config`, `config_1`; `pd-vmm`, `pd-vmm-1`.
fn of_vm(name: &str, separator: char, vm: u8) -> String {
    match vm {
        0 => name.to_owned(),
        vm => format!("{name}{separator}{vm}"),
    }
}

/// Whether a description is of a PC, where the UARTs are I/O ports and the counter's frequency
/// has to be measured.
fn is_of_pc(name: &str) -> bool {
    name.starts_with("x86_64")
}

/// What all VMs share; everything else exists once for each.
fn is_one_for_all(resource: &str) -> bool {
    matches!(resource, "uart" | "clock_page" | "report") || resource.starts_with("0x")
}

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
        }
        for domain in ["trace", "console"] {
            want(format!("pd-{domain}"), format!("life_{domain}"), "rw");
            want("pd-monitor".into(), format!("life_{domain}"), "r");
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
                [("config", "vm", "blob"), ("guest_image", "guest", "elf")]
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
            ("state_page", size_of::<StatePage>()),
            ("config", PAGE as usize),
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
        }
        for (region, bytes) in [
            ("monitor_ring", size_of::<RingMemory<CONSOLE_SLOTS>>()),
            ("life_trace", size_of::<LifePage>()),
            ("life_console", size_of::<LifePage>()),
            ("report", size_of::<ReportPage>()),
        ] {
            assert_eq!(size(region), bytes as u64, "{name}: {region}");
        }
        if is_of_pc(name) {
            assert_eq!(size("clock_page"), PAGE, "{name}");
        }
    });
}

#[test]
fn channels_have_the_numbers_that_the_components_use() {
    in_each(|name, document, vms| {
        let channels: BTreeSet<[(String, u64); 2]> = nodes(document, "channel")
            .map(|channel| {
                let ends = channel.children().filter(|node| node.has_tag_name("end"));
                let mut ends = ends
                    .map(|end| {
                        (
                            attribute(&end, "pd").to_owned(),
                            number(attribute(&end, "id")),
                        )
                    })
                    .collect::<Vec<_>>();
                ends.sort();
                ends.try_into().unwrap()
            })
            .collect();
        let end =
            |who: &str, channel: vm_components::Channel| (who.to_owned(), u64::from(channel.0));
        let clock = |number: u8| ("pd-clock".to_owned(), u64::from(number));
        let mut wanted = BTreeSet::from([
            [clock(0), end("pd-trace", channel::trace::CLOCK)],
            [clock(1), end("pd-console", channel::console::CLOCK)],
            [
                end("pd-console", channel::console::TRACE),
                end("pd-trace", channel::trace::CONSOLE),
            ],
            [
                end("pd-console", channel::console::MONITOR),
                ("pd-monitor".to_owned(), 0),
            ],
            // The numbers in `pd-clock`, `pd-trace` and `pd-monitor`.
            [clock(10), ("pd-monitor".to_owned(), 1)],
            [("pd-monitor".to_owned(), 2), ("pd-trace".to_owned(), 10)],
        ]);
        for vm in sharing(name, vms) {
            let share = of_vm("pd-share", '-', vm);
            let monitor = ("pd-monitor".to_owned(), 3 + u64::from(vm));
            wanted.insert([monitor, (share, 0)]);
        }
        for vm in 0..vms {
            let vmm = of_vm("pd-vmm", '-', vm);
            wanted.extend([
                [clock(2 + vm), end(&vmm, channel::vmm::CLOCK)],
                [
                    end("pd-trace", channel::trace::vmm(vm)),
                    end(&vmm, channel::vmm::TRACE),
                ],
                [
                    end("pd-console", channel::console::vmm(vm)),
                    end(&vmm, channel::vmm::CONSOLE),
                ],
            ]);
        }
        assert_eq!(channels, wanted, "{name}");
        let symbol = |domain: &str, channel: u8| {
            let mut ends = nodes(document, "end").filter(|end| attribute(end, "pd") == domain);
            let end = ends.find(|end| number(attribute(end, "id")) == u64::from(channel));
            attribute(&end.unwrap(), "setvar_id").to_owned()
        };
        // The clock knows VM 0's channel, and is told the others'; the monitor is told all.
        for vm in 1..vms {
            assert_eq!(symbol("pd-clock", 2 + vm), of_vm("vmm", '_', vm), "{name}");
        }
        for vm in sharing(name, vms) {
            let wanted = of_vm("share", '_', vm);
            assert_eq!(symbol("pd-monitor", 3 + vm), wanted, "{name}");
        }
    });
}

/// The children of the monitor and their numbers, as the code has them.
fn children(name: &str, vms: u8) -> BTreeMap<String, u64> {
    let mut parts = vec![Part::Trace, Part::Console, Part::Clock];
    parts.extend((0..vms).map(|vm| Part::Vmm(vm.into())));
    if has_idle(name) {
        parts.push(Part::Idle);
    }
    parts.extend(sharing(name, vms).map(|vm| Part::Share(vm.into())));
    let numbered = |part: Part| (part.name().to_owned(), part.number() as u64);
    parts.into_iter().map(numbered).collect()
}

/// The VMs whose VMMs have a share of the CPU: on a PC a VMM takes turns with the others' as its
/// guest does, and one VM alone has the CPU to itself.
fn sharing(name: &str, vms: u8) -> std::ops::Range<u8> {
    match is_of_pc(name) || vms == 1 {
        true => 0..0,
        false => 0..vms,
    }
}

/// Whether idling has a protection domain: where guests do not run on their VMMs' time.
fn has_idle(name: &str) -> bool {
    !is_of_pc(name)
}

/// The monitor names a dead child by its number.
#[test]
fn children_have_the_numbers_that_the_monitor_knows() {
    in_each(|name, document, vms| {
        let given = nodes(document, "protection_domain");
        let given = given.filter(|node| node.attribute("id").is_some());
        let given: BTreeMap<String, u64> = given
            .map(|node| {
                (
                    attribute(&node, "name").to_owned(),
                    number(attribute(&node, "id")),
                )
            })
            .collect();
        assert_eq!(given, children(name, vms), "{name}");
    });
}

/// A scheduling context says what its protection domain consumed, and could be given more or less:
/// the monitor alone has them, in the slots after the children's numbers and its own, and nobody
/// has any other capability besides what the Microkit gives.
#[test]
fn the_monitor_alone_holds_scheduling_contexts_and_nobody_any_other_capability() {
    in_each(|name, document, vms| {
        let mut wanted: BTreeSet<(String, u64)> = children(name, vms)
            .into_iter()
            .map(|(child, number)| (child, number + 1))
            .collect();
        let own = Part::Monitor.slot_of_time() as u64;
        wanted.insert(("pd-monitor".to_owned(), own));
        let mut given = BTreeSet::new();
        for cspace in nodes(document, "cspace") {
            let owner = cspace.parent().unwrap();
            assert_eq!(attribute(&owner, "name"), "pd-monitor", "{name}");
            for capability in cspace.children().filter(Node::is_element) {
                assert!(capability.has_tag_name("cap_sc"), "{name}: {capability:?}");
                let of = attribute(&capability, "pd").to_owned();
                given.insert((of, number(attribute(&capability, "slot"))));
            }
        }
        assert_eq!(given, wanted, "{name}");
    });
}

#[test]
fn whoever_a_guest_must_not_hold_up_runs_above_its_vcpu() {
    in_each(|name, document, _| {
        // With VT-x a vCPU runs at its VMM's priority, and both are held up together.
        let priority_of_vcpu = |vm: Node<'_, '_>| match is_of_pc(name) {
            true => number(attribute(&vm.parent().unwrap(), "priority")),
            false => number(attribute(&vm, "priority")),
        };
        let of_vcpus: BTreeSet<u64> = nodes(document, "virtual_machine")
            .map(priority_of_vcpu)
            .collect();
        assert_eq!(of_vcpus.len(), 1, "{name}: the VMs take turns");
        let of_vcpus = of_vcpus.into_iter().next().unwrap();
        for domain in nodes(document, "protection_domain") {
            let domain_name = attribute(&domain, "name");
            if is_of_pc(name) && domain_name.starts_with("pd-vmm") {
                continue;
            }
            if domain_name == "pd-idle" {
                assert!(number(attribute(&domain, "priority")) < of_vcpus, "{name}");
                continue;
            }
            assert!(
                number(attribute(&domain, "priority")) > of_vcpus,
                "{name}: {domain_name}"
            );
        }
        let (budget, period) = budget_and_period(document, "pd-clock");
        assert_eq!(
            period, 10_000,
            "{name}: the trace component's wake-ups, in microseconds"
        );
        // With a budget as long as its period a yield returns at once and the loop takes the
        // CPU. A small one is no better: the kernel makes a thread wait one period for each
        // budget by which it was overrun, by an emulator's host or a board's firmware.
        assert!(
            budget < period && budget * 2 > period,
            "{name}: {budget} {period}"
        );
    });
}

/// What keeps a VMM from starving another VM. The numbers are those of the monitor's `shares`.
#[test]
fn each_of_several_vmms_has_a_share_of_the_cpu_and_goes_on_below_the_vcpus() {
    const ON_SHARE: u64 = 210;
    const IN_BACKGROUND: u64 = 90;
    in_each(|name, document, vms| {
        let domain = |wanted: &str| {
            let mut domains = nodes(document, "protection_domain");
            domains.find(|node| attribute(node, "name") == wanted)
        };
        let priority = |wanted: &str| number(attribute(&domain(wanted).unwrap(), "priority"));
        let sharing = sharing(name, vms);
        for vm in 0..vms {
            let vmm = domain(&of_vm("pd-vmm", '-', vm)).unwrap();
            let is_sharing = sharing.contains(&vm);
            assert_eq!(vmm.attribute("budget").is_some(), is_sharing, "{name}");
        }
        let mut permille = 0;
        for vm in sharing.clone() {
            let (vmm, share) = (of_vm("pd-vmm", '-', vm), of_vm("pd-share", '-', vm));
            let (budget, period) = budget_and_period(document, &vmm);
            permille += 1000 * budget / period;
            assert!(budget <= 1_500, "{name}: the others wait for {budget} us");
            assert_eq!(priority(&vmm), ON_SHARE, "{name}");
            assert!(priority(&share) > ON_SHARE, "{name}");
            let share = domain(&share).unwrap();
            assert!(
                share.attribute("budget").is_none() && share.attribute("period").is_none(),
                "{name}: the background has no limit"
            );
            // The kernel names a share by its protection domain's place in the description.
            let mut all = nodes(document, "protection_domain");
            let place = all.position(|node| attribute(&node, "name") == vmm);
            assert_eq!(place, Some(1 + usize::from(vm)), "{name}");
        }
        if sharing.is_empty() {
            return;
        }
        assert!(
            permille <= 700,
            "{name}: the rest is for pd-trace and pd-console"
        );
        for vm in nodes(document, "virtual_machine") {
            assert!(number(attribute(&vm, "priority")) > IN_BACKGROUND, "{name}");
        }
        for served in ["pd-trace", "pd-console"] {
            assert!(
                priority(served) < ON_SHARE,
                "{name}: who notifies {served} pays for it"
            );
        }
    });
}

/// In microseconds.
fn budget_and_period(document: &Document<'_>, domain: &str) -> (u64, u64) {
    let mut domains = nodes(document, "protection_domain");
    let domain = domains.find(|node| attribute(node, "name") == domain);
    let domain = domain.unwrap();
    let of = |name| number(attribute(&domain, name));
    (of("budget"), of("period"))
}

/// The monitor measures the counter when it starts, on a PC; nobody may read it before.
#[test]
fn the_monitor_runs_before_all_others() {
    in_each(|name, document, _| {
        let mut domains = nodes(document, "protection_domain");
        let monitor = domains.find(|node| attribute(node, "name") == "pd-monitor");
        let monitor = monitor.unwrap();
        assert!(
            monitor.attribute("budget").is_none() && monitor.attribute("period").is_none(),
            "{name}: with less than the whole period others run in between"
        );
        for domain in nodes(document, "protection_domain").filter(|node| *node != monitor) {
            assert!(
                number(attribute(&domain, "priority")) < number(attribute(&monitor, "priority")),
                "{name}: {}",
                attribute(&domain, "name")
            );
        }
    });
}

/// A polled UART takes the CPU from all that run below the console, unless that waits for its
/// next period: when the port has sent what its FIFO holds (PC16550D, section 8.6), 16 characters
/// of 10 bits.
#[test]
fn a_pcs_console_waits_as_long_as_its_fifo_takes() {
    in_each(|name, document, _| {
        if is_of_pc(name) {
            let (budget, period) = budget_and_period(document, "pd-console");
            let fifo = 16 * 10 * 1_000_000 / 115_200;
            assert!((fifo + 1..fifo + 20).contains(&period), "{name}: {period}");
            // For the same reasons as the clock's.
            assert!(
                budget < period && budget * 2 > period,
                "{name}: {budget} {period}"
            );
        }
    });
}

#[test]
fn a_board_differs_from_the_demo_only_where_its_hardware_does() {
    let hardware = ["phys_addr=", "setvar_vaddr=\"uart_"];
    let of_all_boards = |line: &&str| !hardware.iter().any(|what| line.contains(what));
    let (demo, board) = (made("qemu_virt_aarch64", 1), made("zcu102", 1));
    let lines = |xml| str::lines(xml).filter(of_all_boards).collect::<Vec<_>>();
    assert_eq!(lines(&demo), lines(&board));
    assert_eq!(demo.lines().count(), board.lines().count());
}

/// Whether an element is about what a PC has no need of, since a guest runs on its VMM's time
/// there: idling that is measured, shares of the CPU.
fn is_about_time(element: Node<'_, '_>) -> bool {
    let names_one = |node: Node<'_, '_>| {
        ["pd", "path", "name"].into_iter().any(|what| {
            let named = node.attribute(what).unwrap_or_default();
            named == "pd-idle" || named.starts_with("pd-share")
        })
    };
    let channel = element
        .ancestors()
        .find(|node| node.has_tag_name("channel"));
    names_one(element) || channel.is_some_and(|channel| channel.children().any(names_one))
}

#[test]
fn a_pc_differs_from_a_board_only_where_its_hardware_does() {
    let without_hardware = |xml: &str| {
        let document = Document::parse(xml).unwrap();
        let elements = document.descendants().filter(Node::is_element);
        let of_all = elements.filter(|node| {
            let region = node.attribute("mr").or(node.attribute("name"));
            let is_of_hardware = |resource| is_one_for_all(resource) && resource != "report";
            !node.has_tag_name("ioport")
                && !region.is_some_and(is_of_hardware)
                && !is_about_time(*node)
        });
        let line_of = |node: Node<'_, '_>| {
            let name = node.attribute("name").unwrap_or_default();
            let of_hardware: &[&str] = match node.tag_name().name() {
                "memory_region" => &["phys_addr"],
                "virtual_machine" => &["priority"],
                "protection_domain" if name.starts_with("pd-vmm") => {
                    &["priority", "budget", "period"]
                }
                "protection_domain" if name == "pd-console" => &["priority", "budget", "period"],
                "protection_domain" if name == "pd-trace" => &["priority"],
                _ => &[],
            };
            let attributes = node.attributes();
            let attributes = attributes.filter(|one| !of_hardware.contains(&one.name()));
            let attributes: Vec<_> = attributes
                .map(|one| format!("{}={}", one.name(), one.value()))
                .collect();
            format!("{} {}", node.tag_name().name(), attributes.join(" "))
        };
        of_all.map(line_of).collect::<Vec<_>>()
    };
    for vms in 1..=MAX_VMS {
        let (board, pc) = (
            made("qemu_virt_aarch64", vms),
            made("x86_64_generic_vtx", vms),
        );
        assert_eq!(without_hardware(&board), without_hardware(&pc), "{vms} VMs");
    }
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
                assert_eq!(in_vmm[&region] - at, 0x10_0000_0000, "{name}: {region}");
            }
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
