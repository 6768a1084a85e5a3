//! A guest writes what looks like a ring into its RAM: what the tool takes for the system's.

mod machine;

use machine::{PAGE, Ring, TRACE, read, said, set_header, vdev_trace};
use std::path::Path;
use std::process::Output;

/// A trace ring of VM `vm` with one read of `value`.
fn ring(vm: u64, value: u64) -> Ring {
    let mut ring = Ring::new(TRACE, vm, 2);
    ring.push(read(1_000_000, 1, value));
    ring
}

/// The system's ring at 0x1000 and a guest's forgery of it at 0x5000.
fn dump() -> Vec<u8> {
    [ring(0, 7).dump(), ring(0, 666).dump()].concat()
}

/// A system description whose only trace ring is at `address`.
fn description(folder: &Path, address: u64) -> String {
    let path = folder.join("system.xml");
    let text = format!(
        r#"<system>
            <memory_region name="guest_ram" size="0x200000" phys_addr="0x60000000" />
            <memory_region name="log_ring" size="0x11000" />
            <memory_region name="trace_ring" size="0x3_000" phys_addr="{address:#x}" />
        </system>"#
    );
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The system's ring was decoded, and the other one named with its place.
fn assert_the_forgery_is_left_out(output: &Output, place: &str) {
    assert!(output.status.success(), "{}", said(&output.stderr));
    let text = said(&output.stdout);
    assert!(text.contains(" 0xfa000000 7 "), "{text}");
    assert!(!text.contains("666"), "{text}");
    assert_eq!(
        said(&output.stderr),
        format!(
            "warning: what looks like a Trace ring of VM 0 is in guest RAM, at {place}, where the \
             system has none: left out; --at 0x5000 decodes it\n"
        )
    );
}

#[test]
fn a_ring_in_guest_ram_is_named_and_left_out() {
    let output = vdev_trace(&dump(), &["decode", "-", "--rings", "0,0x5000"]);
    assert_the_forgery_is_left_out(&output, "offset 0x5000");
    // With the system's addresses.
    let base = ["decode", "-", "--base", "0x40000000"];
    let rings = ["--rings", "0x40000000,0x5000"];
    let output = vdev_trace(&dump(), &[&base[..], &rings].concat());
    assert_the_forgery_is_left_out(&output, "offset 0x5000 (address 0x40005000)");
}

#[test]
fn a_ring_counts_where_the_system_description_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let system = description(folder.path(), 0x4000_1000);
    let at = ["decode", "-", "--system", &system, "--base", "0x40000000"];
    let output = vdev_trace(&dump(), &at);
    assert_the_forgery_is_left_out(&output, "offset 0x5000 (address 0x40005000)");
}

#[test]
fn a_guest_does_not_supplant_a_ring_that_is_gone() {
    let mut dump = dump();
    set_header(&mut dump, 0, 0);
    let output = vdev_trace(&dump, &["decode", "-", "--rings", "0,0x5000"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(said(&output.stdout), "");
    assert!(said(&output.stderr).contains("is in guest RAM, at offset 0x5000"));
}

#[test]
fn whoever_asks_for_it_by_its_place_sees_what_the_guest_wrote() {
    let arguments = ["decode", "-", "--rings", "0,0x5000", "--at", "0x5000"];
    let output = vdev_trace(&dump(), &arguments);
    assert!(said(&output.stdout).contains(" 0xfa000000 666 "));
    assert_eq!(said(&output.stderr), "");
}

#[test]
fn a_dump_of_the_regions_alone_needs_no_address() {
    let folder = tempfile::tempdir().unwrap();
    let system = description(folder.path(), 0xb000_0000);
    let mut region = ring(0, 7).bytes();
    region.resize(3 * PAGE, 0);
    let output = vdev_trace(&region, &["check", "-", "--system", &system]);
    assert_eq!(
        said(&output.stdout),
        "vm0 Trace: ring at offset 0x0 (address 0xb0000000): whole, 1 records\n"
    );
    let other = vdev_trace(&dump(), &["decode", "-", "--system", &system]);
    assert_eq!(other.status.code(), Some(1));
    insta::assert_snapshot!(said(&other.stderr), @"error: - tells no addresses, and is not the system's trace rings one after the other; --base says the address of its first byte");
}

#[test]
fn a_system_description_without_rings_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("system.xml");
    std::fs::write(&path, "<system />").unwrap();
    let path = path.to_str().unwrap();
    let output = vdev_trace(&dump(), &["decode", "-", "--system", path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output.stderr).ends_with("no memory_region trace_ring\n"));
}

#[test]
fn check_is_not_worried_by_what_a_guest_writes() {
    let mut dump = dump();
    // The forgery is of a version that does not exist.
    dump[0x5008] = 9;
    let output = vdev_trace(&dump, &["check", "-", "--rings", "0,0x5000"]);
    assert!(output.status.success());
    insta::assert_snapshot!(said(&output.stdout), @"
    not the system's: what looks like a Trace ring of VM 0 is in guest RAM, at offset 0x5000, where the system has none
    vm0 Trace: ring at offset 0x1000: whole, 1 records
    ");
}

/// Each of these claims slots to the end of the dump: to hold them all against their slots would
/// take as many bytes as there are, squared.
#[test]
fn a_guest_that_fills_its_ram_with_headers_gets_a_line() {
    let mut dump = ring(0, 7).dump();
    let mut header = Ring::new(TRACE, 0, 1 << 14).bytes();
    header.truncate(PAGE);
    for _ in 0..1000 {
        dump.extend(&header);
    }
    let known = vdev_trace(&dump, &["decode", "-", "--rings", "0,0x4000"]);
    assert!(known.status.success());
    let told = said(&known.stderr);
    assert_eq!(told.lines().count(), 9, "{told}");
    assert!(told.ends_with("992 more of these are left out\n"), "{told}");
    let unknown = said(&vdev_trace(&dump, &["decode", "-"]).stderr);
    assert!(
        unknown.contains("937 more places look like rings, more than any system has"),
        "{unknown}"
    );
}
