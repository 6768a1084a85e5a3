//! What of a guest goes where in its RAM, and as many devices as a configuration can have.

use crate::everywhere::{on, platforms};
use crate::platforms::{guests, root};
use runner::Platform;
use std::path::Path;
use vdev_trace::vms::compile::{Warnings, compile};
use vm_config::{MAX_DEVICES, VmConfig};
use vmconf::images::Images;

/// Where the guest is linked to begin.
const START: u64 = 0x4008_0000;

/// The bytes of the demo's guest from its start on, as its ELF file lays them out.
fn flat(platform: &Platform, folder: &Path) -> Vec<u8> {
    let images = Images {
        folder: &guests(platform),
        machine: None,
    };
    let config = folder.join("as-an-elf-file.conf");
    std::fs::write(&config, "system demo ram 0x40000000,2M load guest-app\n").unwrap();
    let compiled = compile(&config, 0, images, Warnings::Refused).unwrap();
    let config = VmConfig::parse(&compiled.blob).unwrap();
    assert_eq!(config.entry(), START);
    let mut bytes = Vec::new();
    for piece in config.pieces() {
        let (from, to) = (piece.offset as usize, piece.end() as usize);
        let at = (piece.address - START) as usize;
        bytes.resize(bytes.len().max(at + to - from), 0);
        bytes[at..][..to - from].copy_from_slice(&compiled.image_region[from..to]);
    }
    bytes
}

#[test]
fn a_flat_program_with_data_beside_it_uses_the_last_of_many_devices() {
    let usual = std::fs::read_to_string(root().join("vm.conf")).unwrap();
    // The demo's device, and the console, come after all others.
    let others: String = (0..MAX_DEVICES - 2)
        .map(|number| {
            format!(
                "vdev trace loc {:#x}\n",
                0xfb00_0000_u64 + 4 * number as u64
            )
        })
        .collect();
    for platform in platforms("flat") {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        file("flat.bin", &flat(&platform, folder.path()));
        file("data", b"beside it");
        let place = folder.path().display();
        let loads = format!("load {START:#x},{place}/flat.bin\nload 0x40150003,{place}/data\n");
        let text = usual
            .replace("load guest-app\n", &loads)
            .replace("\nvdev trace\n", &format!("\n{others}vdev trace\n"));
        let config = file("vm.conf", text.as_bytes());
        on(vec![platform], &[config], None, |outcome| {
            outcome.assert_guest_is_done();
            let name = format!("demo trace{}:", MAX_DEVICES - 2);
            let sums = outcome.lines().iter().find(|line| line.contains(&name));
            let sums = sums.unwrap_or_else(|| panic!("no {name}"));
            assert!(sums.contains("reads + 1 writes + 0 refused"), "{sums}");
        });
    }
}
