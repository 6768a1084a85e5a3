//! The list of attacks, tried on every platform that is there; and what keeps hostile code out of
//! ordinary images.

mod platforms;

use platforms::{BOARDS, guests, instruction_ns_log2, microkit, root, say, unikernel};
use roxmltree::Document;
use runner::attacks::Target;
use runner::{Architecture, Board, Platform};
use std::path::{Path, PathBuf};
use system_description::{Vm, describe};
use vm_config::RamRange;

/// Tries the whole list on a platform.
fn attack(platform: &Platform) {
    let images = guests(platform);
    let target = Target {
        icount: Some(instruction_ns_log2(platform)),
        ..Target::of(platform, &images)
    };
    let list: Vec<_> = attacks::ALL.iter().copied().flatten().collect();
    let name = platform.name();
    let judged = target
        .attack(&list, |judged| say(&format!("{name}: {judged}")))
        .unwrap_or_else(|failure| panic!("{name}: {failure}"));
    let wrong: Vec<_> = judged
        .iter()
        .filter(|judged| !judged.is_as_wanted())
        .collect();
    let wrong: Vec<_> = wrong.iter().map(ToString::to_string).collect();
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
}

#[test]
fn on_the_unikernel_checks_hold_and_what_page_tables_would_stop_falls_aarch64() {
    unikernel("attacks", Architecture::Aarch64)
        .iter()
        .for_each(attack);
}

#[test]
fn on_the_unikernel_checks_hold_and_what_page_tables_would_stop_falls_x86_64() {
    unikernel("attacks", Architecture::X86_64)
        .iter()
        .for_each(attack);
}

#[test]
fn on_sel4_every_attack_holds_that_somebody_stops() {
    for board in BOARDS {
        let configs = ["debug", "release"];
        microkit("attacks", board, &configs, &[])
            .iter()
            .for_each(attack);
    }
}

/// Files with this suffix under a folder, target folders left out.
fn files(folder: &Path, suffix: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !matches!(name.as_str(), "target" | "out") && !name.starts_with('.') {
            files(&path, suffix, found);
        } else if name.ends_with(suffix) {
            found.push(path);
        }
    }
}

/// The folders whose files are hostile. No other file is compiled in two ways for their sake.
const HOSTILE: [&str; 3] = [
    "crates/isolation/attacks",
    "sel4/attacks",
    "unikernel/hostile",
];

fn is_hostile(path: &Path) -> bool {
    HOSTILE
        .iter()
        .any(|folder| path.starts_with(root().join(folder)))
}

#[test]
fn no_file_of_an_ordinary_image_is_compiled_otherwise_for_an_attack() {
    let mut sources = Vec::new();
    files(&root(), ".rs", &mut sources);
    assert!(sources.len() > 100, "no sources were found");
    for path in sources.iter().filter(|path| !is_hostile(path)) {
        let text = std::fs::read_to_string(path).unwrap();
        let conditions = text.lines().filter(|line| line.contains("cfg"));
        let hostile = |line: &&str| line.contains("hostile") || line.contains("attack");
        let found = conditions
            .filter(|line| !line.contains("contains("))
            .find(hostile);
        assert_eq!(found, None, "{}", path.display());
    }
}

#[test]
fn no_ordinary_image_depends_on_an_attack() {
    let mut manifests = Vec::new();
    files(&root(), "Cargo.toml", &mut manifests);
    // The workspaces name all members, the runner tries the attacks.
    let may = ["Cargo.toml", "sel4/Cargo.toml", "tools/runner/Cargo.toml"];
    let ordinary = manifests.iter().filter(|path| !is_hostile(path));
    for path in ordinary.filter(|path| !may.iter().any(|other| **path == root().join(other))) {
        let text = std::fs::read_to_string(path).unwrap();
        let hostile = |line: &&str| line.starts_with("attacks") || line.contains("hostile");
        assert_eq!(text.lines().find(hostile), None, "{}", path.display());
    }
}

/// Where the hostile domains look for the regions that they have been given.
#[test]
fn the_hostile_domains_find_their_regions_where_the_descriptions_map_them() {
    let places = root().join("sel4/attacks/components/src/places.rs");
    let places = std::fs::read_to_string(places).unwrap();
    for board_name in BOARDS {
        let board = Board::load(&root().join("boards"), board_name).unwrap();
        let ram = [RamRange {
            base: 0x4000_0000,
            len_bytes: 2 << 20,
        }];
        let vms = ["attacker", "witness"].map(|name| Vm {
            name,
            ram: ram.to_vec(),
            rom: Vec::new(),
        });
        let system = describe(&vms, &board);
        let document = Document::parse(&system).unwrap();
        let address = |domain: &str, region: &str| {
            let mut maps = document.descendants().filter(|node| {
                node.has_tag_name("map")
                    && node.attribute("mr") == Some(region)
                    && node.parent().and_then(|parent| parent.attribute("name")) == Some(domain)
            });
            maps.next()
                .and_then(|map| map.attribute("vaddr"))
                .unwrap()
                .to_owned()
        };
        for (domain, name, region, variant) in [
            ("pd-vmm", "Vmm", "state_page", "StatePage"),
            ("pd-vmm", "Vmm", "access_reader", "AccessReader"),
            ("pd-vmm", "Vmm", "console_ring", "ConsoleRing"),
            ("pd-vmm", "Vmm", "guest_images", "GuestImage"),
            ("pd-vmm", "Vmm", "guest_ram", "GuestRam"),
            ("pd-trace", "Trace", "log_ring", "LogRing"),
            ("pd-trace", "Trace", "log_reader", "LogReader"),
            ("pd-trace", "Trace", "trace_ring", "TraceRing"),
            ("pd-console", "Console", "log_ring", "LogRing"),
            ("pd-console", "Console", "log_reader", "LogReader"),
            ("pd-console", "Console", "monitor_ring", "MonitorRing"),
        ] {
            let there = address(domain, region);
            let wanted = u64::from_str_radix(&there[2..], 16).unwrap();
            let found = places.lines().any(|line| {
                let line = line.trim().replace('_', "");
                line.starts_with('(')
                    && line.contains(&format!("Self::{name}"))
                    && line.contains(variant)
                    && line.ends_with(&format!("=> 0x{wanted:x},"))
            });
            assert!(found, "{board_name}: {region} in {domain} at {there}");
        }
    }
}
