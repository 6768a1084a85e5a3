//! The isolation argument, held against what the Microkit is told: `system.xml` maps what
//! the README's table says and nothing else, its numbers are those of the code, and whoever
//! a guest must not hold up runs above its vCPU. Needs no SDK.

use roxmltree::{Document, Node};
use shared_ring::{ConsumerPage, RingMemory};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use trace_records::{ACCESS_SLOTS, CONSOLE_SLOTS, LOG_SLOTS, StatePage, TRACE_SLOTS};
use vm_components::channel;

const PAGE: u64 = 4096;

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(name);
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

/// Who maps what how: (protection domain or `guest`, region) to permissions.
fn mappings(document: &Document<'_>) -> BTreeMap<(String, String), String> {
    let maps = document
        .descendants()
        .filter(|node| node.has_tag_name("map"));
    maps.map(|map| {
        let parent = map.parent().unwrap();
        let who = match parent.tag_name().name() {
            "virtual_machine" => "guest".to_owned(),
            _ => attribute(&parent, "name").to_owned(),
        };
        let key = (who, attribute(&map, "mr").to_owned());
        (key, attribute(&map, "perms").to_owned())
    })
    .collect()
}

/// The README's table: a row for each part, a column for each region.
fn readme_table() -> BTreeMap<(String, String), String> {
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
        .find(|row| row[0] == "who")
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
fn the_system_maps_what_the_readme_says_and_nothing_else() {
    let xml = read("system.xml");
    let mapped = mappings(&Document::parse(&xml).unwrap());
    let table = readme_table();
    assert!(table.len() > 20, "the table was not found: {table:?}");
    let mut wanted = table;
    // The last words of each protection domain, and the line they take to the console.
    for domain in ["vmm", "trace", "console"] {
        wanted.insert(
            (format!("pd-{domain}"), format!("crash_{domain}")),
            "rw".into(),
        );
    }
    for domain in ["vmm", "trace", "console", "clock"] {
        wanted.insert(("pd-monitor".into(), format!("crash_{domain}")), "r".into());
    }
    for (who, region, perms) in [
        ("pd-monitor", "monitor_ring", "rw"),
        ("pd-console", "monitor_ring", "r"),
        ("pd-monitor", "monitor_reader", "r"),
        ("pd-console", "monitor_reader", "rw"),
    ] {
        wanted.insert((who.into(), region.into()), perms.into());
    }
    assert_eq!(mapped, wanted);
}

#[test]
fn each_shared_region_has_one_writer() {
    let xml = read("system.xml");
    let mapped = mappings(&Document::parse(&xml).unwrap());
    let mut writers: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for ((who, region), perms) in &mapped {
        if perms.contains('w') {
            writers.entry(region).or_default().insert(who);
        }
    }
    for (region, writers) in writers {
        let wanted = match region {
            "guest_ram" => BTreeSet::from(["guest", "pd-vmm"]),
            // The monitor's mapping is for the time after the console's death.
            "uart" => BTreeSet::from(["pd-console", "pd-monitor"]),
            _ => {
                assert_eq!(writers.len(), 1, "{region}: {writers:?}");
                continue;
            }
        };
        assert_eq!(writers, wanted, "{region}");
    }
}

#[test]
fn regions_are_as_large_as_what_lies_in_them() {
    let xml = read("system.xml");
    let document = Document::parse(&xml).unwrap();
    let wanted = [
        ("access_ring", size_of::<RingMemory<ACCESS_SLOTS>>()),
        ("log_ring", size_of::<RingMemory<LOG_SLOTS>>()),
        ("trace_ring", size_of::<RingMemory<TRACE_SLOTS>>()),
        ("console_ring", size_of::<RingMemory<CONSOLE_SLOTS>>()),
        ("monitor_ring", size_of::<RingMemory<CONSOLE_SLOTS>>()),
        ("access_reader", size_of::<ConsumerPage>()),
        ("state_page", size_of::<StatePage>()),
        ("config", PAGE as usize),
    ];
    for (name, bytes) in wanted {
        let mut regions = document
            .descendants()
            .filter(|node| node.has_tag_name("memory_region"));
        let region = regions
            .find(|region| attribute(region, "name") == name)
            .unwrap();
        assert_eq!(number(attribute(&region, "size")), bytes as u64, "{name}");
    }
}

#[test]
fn channels_have_the_numbers_that_the_components_use() {
    let xml = read("system.xml");
    let document = Document::parse(&xml).unwrap();
    let channels: BTreeSet<[(String, u64); 2]> = document
        .descendants()
        .filter(|node| node.has_tag_name("channel"))
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
    let end = |who: &str, channel: vm_components::Channel| (who.to_owned(), u64::from(channel.0));
    let wanted = [
        [
            ("pd-clock".to_owned(), 0),
            end("pd-trace", channel::trace::CLOCK),
        ],
        [
            ("pd-clock".to_owned(), 1),
            end("pd-console", channel::console::CLOCK),
        ],
        [
            ("pd-clock".to_owned(), 2),
            end("pd-vmm", channel::vmm::CLOCK),
        ],
        [
            end("pd-trace", channel::trace::vmm(0)),
            end("pd-vmm", channel::vmm::TRACE),
        ],
        [
            end("pd-console", channel::console::vmm(0)),
            end("pd-vmm", channel::vmm::CONSOLE),
        ],
        [
            end("pd-console", channel::console::TRACE),
            end("pd-trace", channel::trace::CONSOLE),
        ],
        [
            end("pd-console", channel::console::MONITOR),
            ("pd-monitor".to_owned(), 0),
        ],
    ];
    assert_eq!(channels, BTreeSet::from(wanted));
}

#[test]
fn whoever_a_guest_must_not_hold_up_runs_above_its_vcpu() {
    let xml = read("system.xml");
    let document = Document::parse(&xml).unwrap();
    let priority = |tag: &str, name: &str| {
        let mut nodes = document.descendants().filter(|node| node.has_tag_name(tag));
        let node = nodes.find(|node| attribute(node, "name") == name).unwrap();
        number(attribute(&node, "priority"))
    };
    let vcpu = priority("virtual_machine", "demo");
    for domain in ["pd-vmm", "pd-trace", "pd-console", "pd-clock", "pd-monitor"] {
        assert!(priority("protection_domain", domain) > vcpu, "{domain}");
    }
    let clock = document
        .descendants()
        .find(|node| node.attribute("name") == Some("pd-clock"))
        .unwrap();
    let (budget, period) = (attribute(&clock, "budget"), attribute(&clock, "period"));
    assert_eq!(
        number(period),
        10_000,
        "the trace component's wake-ups, in microseconds"
    );
    // With a budget as long as its period a yield returns at once and the loop takes the CPU.
    // A small one is no better: the kernel makes a thread wait one period for each budget by
    // which it was overrun, by an emulator's host or a board's firmware.
    let (budget, period) = (number(budget), number(period));
    assert!(budget < period && budget * 2 > period, "{budget} {period}");
}

#[test]
fn a_board_differs_from_the_demo_only_where_its_hardware_does() {
    let hardware = ["phys_addr=", "setvar_vaddr=\"uart_"];
    let of_all_boards = |line: &&str| !hardware.iter().any(|what| line.contains(what));
    let (demo, board) = (read("system.xml"), read("boards/zcu102/demo.xml"));
    let lines = |xml| str::lines(xml).filter(of_all_boards).collect::<Vec<_>>();
    assert_eq!(lines(&demo), lines(&board));
    assert_eq!(demo.lines().count(), board.lines().count());
}
