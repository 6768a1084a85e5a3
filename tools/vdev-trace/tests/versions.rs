//! Dumps and captures of an older layout version, and of several at once.
//!
//! `version-1` holds what the components of layout version 1 wrote, by the producers of their time
//! (2026-11-30): a dump of three rings, and what the trace ring is on a serial line. Its trace has a
//! record with a bit set that had no meaning then, as a VMM of that version could have set it.

mod machine;

use machine::{PAGE, Ring, TRACE, internal, read, said, set_header, vdev_trace};

const DUMP: &[u8] = include_bytes!("version-1/memory.dump");
const CAPTURE: &[u8] = include_bytes!("version-1/serial.capture");

/// What is decoded of the old dump's rings of this kind.
fn old(ring: &str) -> String {
    let output = vdev_trace(DUMP, &["decode", "-", "--ring", ring]);
    assert!(output.status.success(), "{}", said(&output.stderr));
    assert_eq!(said(&output.stderr), "");
    said(&output.stdout)
}

/// A dump with a ring of version 4 at 0x1000, and one of version 1 at 0x5000.
fn both() -> Vec<u8> {
    let ring = |value| Ring::traced(2, [read(1_000_000, 1, value)]).dump();
    let mut past = ring(666);
    set_header(&mut past, 1, 1);
    [ring(7), past].concat()
}

#[test]
fn a_dump_of_version_1_gives_its_records() {
    insta::assert_snapshot!(old("trace"), @"
         time (s) since before us  event  vm        device    cpu access address    value                    pc             seq epoch
    [   0.001000] +         0.000     12  vm0       dev0      0   R4     0xfa000000 7                        0x0000201004     1     0
    [   0.002000] +      1000.000     12  vm0       dev0      0   W4     0xfa000000 7 -> 100                 0x0000201008     2     0
    [   0.003000] +      1000.000     12  vm0       dev0      0   R4     0xfa000000 100                      0x000020100c     3     0
    vm0: 3 records, 0 overwritten or lost by the ring's own count, 0 missing between them, 0 torn
    ");
    // Nothing in it says that the address was a port's.
    insta::assert_snapshot!(old("log"), @"
         time (s) since before us  event  vm        device    cpu access address    value                    pc             seq epoch
    [   0.004000] +         0.000      -  vm0       no device: 3 times, last W1 0x000003f8 pc 0x201000
    [   0.004500] +       500.000      -  vm0       its VMM misbehaves: 1 times, last the header of its ring is missing, or names another size or purpose
    [   0.005000] +       500.000      -  vm0       dev0: 3 accesses = 2 reads + 1 writes + 0 refused; 0 logged, 3 traced
    [   0.005000] +         0.000      -  vm0       lost: 0 not logged, 0 not printed, 0 overwritten in the trace, 0 unrecorded; 3 outside a device, 1 misbehaviour
    [   0.005000] +         0.000      -  vm0       accesses from [   0.001000] to [   0.003000], recorded by [   0.003100]
    [   0.005000] +         0.000      -  vm0       ended: policy abort, unsupported reference to 0x3f8 at pc 0x201000
    vm0: 6 records, 0 overwritten or lost by the ring's own count, 0 missing between them, 0 torn
    ");
    insta::assert_snapshot!(old("console"), @r#"
         time (s) since before us  event  vm        device    cpu access address    value                    pc             seq epoch
    [   0.000900] +         0.000      -  vm0       printed "hello\n"
    [   0.004100] +      3200.000      -  vm0       notice Refused: 2, 0x3f8, pc 0x201010
    vm0: 2 records, 0 overwritten or lost by the ring's own count, 0 missing between them, 0 torn
    "#);
    let check = vdev_trace(DUMP, &["check", "-"]);
    assert!(check.status.success());
    assert_eq!(said(&check.stdout).matches(": whole, ").count(), 3);
}

#[test]
fn a_capture_of_version_1_gives_what_its_dump_gives() {
    let output = vdev_trace(CAPTURE, &["decode", "-", "--from", "serial"]);
    assert!(output.status.success(), "{}", said(&output.stderr));
    assert_eq!(said(&output.stdout), old("trace"));
}

#[test]
fn a_port_of_version_2_is_one_and_the_bits_above_it_are_none() {
    let mut ring = Ring::new(2, 0, 4);
    let outside = internal(2, [2000, 0x3f8, 0x4008_0000, 3, 0], 0);
    for bits in [0, 1 << 37] {
        let mut record = outside;
        record[5] |= 1 << 32 | bits;
        ring.push(record);
    }
    let decoded = |dump: &[u8]| {
        let text = said(&vdev_trace(dump, &["decode", "-", "--ring", "log"]).stdout);
        let last = |line: &str| line.split_once("last ").map(|(_, last)| last.to_owned());
        text.lines().filter_map(last).collect::<Vec<_>>()
    };
    let [memory, port] = ["R1 0x000003f8 pc 0x40080000", "R1 io:0x3f8 pc 0x40080000"];
    let mut past = ring.dump();
    set_header(&mut past, 1, 2);
    assert_eq!(decoded(&past), [memory, port]);
    set_header(&mut past, 1, 1);
    assert_eq!(decoded(&past), [memory, memory]);
}

#[test]
fn version_3_tells_which_record_killed_its_reader_and_version_2_is_read_as_before() {
    let mut ring = Ring::new(2, 0, 4);
    // Two of them: misdeed 10, another version, and misdeed 11 about position 17.
    ring.push(internal(10, [1000, 1, 10, 0, 7], 0));
    ring.push(internal(10, [2000, 1, 11, 1, 18], 0));
    let mut dump = ring.dump();
    let decoded = |dump: &[u8]| said(&vdev_trace(dump, &["decode", "-", "--ring", "log"]).stdout);
    set_header(&mut dump, 1, 2);
    let of_2 = decoded(&dump);
    assert!(of_2.contains("its ring has layout version 7"), "{of_2}");
    set_header(&mut dump, 1, 3);
    let of_3 = decoded(&dump);
    assert!(of_3.contains("its ring has layout version 7"), "{of_3}");
    let named =
        "last the record at position 17 of its ring, of which its reader died; its ring is closed";
    assert!(of_3.contains(named), "{of_3}");
}

#[test]
fn version_4_tells_what_is_a_vmm_s_word_and_before_it_that_bit_says_nothing() {
    let mut ring = Ring::new(2, 0, 4);
    let mut record = read(1_000_000, 1, 7);
    record[5] |= 1 << 41;
    ring.push(record);
    let mut dump = ring.dump();
    for (version, is_told) in [(4, true), (3, false), (2, false), (1, false)] {
        set_header(&mut dump, 1, version);
        let text = said(&vdev_trace(&dump, &["decode", "-", "--ring", "log"]).stdout);
        assert!(text.contains(" 0xfa000000 7 "), "{text}");
        assert_eq!(
            text.contains("(its VMM says)"),
            is_told,
            "{version}: {text}"
        );
    }
}

#[test]
fn rings_of_two_versions_in_one_system_are_refused() {
    let refused = |arguments: &[&str]| {
        let output = vdev_trace(&both(), arguments);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(said(&output.stdout), "");
        said(&output.stderr)
    };
    let told = refused(&["decode", "-", "--rings", "0,0x8000"]);
    insta::assert_snapshot!(told, @"error: -: rings of two layout versions: 4 at offset 0x1000, 1 at offset 0x5000; parts of different builds do not understand each other. Build all parts of the system together and run it again, or choose a ring by --at");
    let starts = ["--rings", "0x1000,1", "--rings", "0x5000,1"];
    assert_eq!(refused(&[&["stats", "-"][..], &starts].concat()), told);
    let check = vdev_trace(&both(), &["check", "-", "--rings", "0,0x8000"]);
    assert_eq!(check.status.code(), Some(1));
    insta::assert_snapshot!(said(&check.stdout), @"
    damaged: rings of two layout versions: 4 at offset 0x1000, 1 at offset 0x5000; parts of different builds do not understand each other
    vm0 Trace: ring at offset 0x1000: whole, 1 records
    vm0 Trace: ring at offset 0x5000: whole, 1 records
    ");
    // The VMM's rings may be the ones of the other build.
    let mut access = Ring::new(1, 0, 2).dump();
    set_header(&mut access, 1, 1);
    let mixed = [Ring::traced(2, [read(1, 1, 7)]).dump(), access].concat();
    let output = vdev_trace(&mixed, &["decode", "-", "--rings", "0,0x8000"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output.stderr).contains("1 at offset 0x5000"));
}

#[test]
fn one_of_them_can_be_chosen() {
    for (at, value) in [("0x1000", " 7 "), ("0x5000", " 666 ")] {
        let output = vdev_trace(&both(), &["decode", "-", "--rings", "0,0x8000", "--at", at]);
        assert!(output.status.success(), "{}", said(&output.stderr));
        assert!(said(&output.stdout).contains(value));
    }
}

#[test]
fn a_guest_that_forges_a_header_of_another_version_takes_no_record_away() {
    // Where the system's rings are known, the forgery is left out as any other.
    let known = vdev_trace(&both(), &["decode", "-", "--rings", "0,0x5000"]);
    assert!(known.status.success());
    let text = said(&known.stdout);
    assert!(
        text.contains(" 0xfa000000 7 ") && !text.contains("666"),
        "{text}"
    );
    assert!(!said(&known.stderr).contains("two layout versions"));
    // Where they are not, both are read, each by its own version, and that is told.
    let unknown = vdev_trace(&both(), &["decode", "-"]);
    assert!(unknown.status.success());
    assert!(said(&unknown.stdout).contains(" 0xfa000000 7 "));
    insta::assert_snapshot!(said(&unknown.stderr), @"
    warning: rings of two layout versions: 4 at offset 0x1000, 1 at offset 0x5000; no system has both, but a guest can write what looks like one into its RAM. Each is read by its own; --system or --rings says where the system's are
    warning: two Trace rings of VM 0: at offset 0x1000 and at offset 0x5000; a guest can write what looks like one into its RAM. --at chooses
    ");
    // A bare header, before the system's ring, with the version before.
    let mut header = Ring::new(TRACE, 0, 1 << 14).bytes();
    header.truncate(PAGE);
    header[8] = 1;
    let forged = [header, both()[..5 * PAGE].to_vec()].concat();
    let output = vdev_trace(&forged, &["decode", "-"]);
    assert!(output.status.success());
    assert!(said(&output.stdout).contains(" 0xfa000000 7 "));
}
