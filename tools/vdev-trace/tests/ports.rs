//! What was at an I/O port of x86 says so in every output, and is never taken for memory.

mod machine;

use machine::{Ring, internal, said, vdev_trace};
use std::process::Command;

/// P of a tag (`trace_records::Tag`).
const PORT: u64 = 1 << 37;

/// A write of one byte to port 0x2f8, and the end by it. In memory the same numbers.
fn ring(port: u64) -> Ring {
    let mut ring = Ring::new(3, 0, 4);
    let mut outside = internal(2, [1000, 0x2f8, 0x20_1000, 1, 0], 0);
    outside[5] |= 1 << 32 | 1 << 36 | port;
    // Policy `abort`, an unsupported reference: reason 3.
    let mut end = internal(4, [2000, 0x2f8, 0x20_1000, 3, 0], 0);
    end[5] |= port;
    ring.push(outside);
    ring.push(end);
    ring
}

/// A console ring with two messages: exceptions given, and the end.
fn console(port: u64) -> Ring {
    let mut ring = Ring::new(4, 0, 4);
    for which in [4, 0x100 | 3] {
        let mut notice = internal(8, [1000, 2, 0x2f8, 0x20_1000, 0], which);
        notice[5] |= port;
        ring.push(notice);
    }
    ring
}

/// Text, JSON and the page of a dump.
fn outputs(dump: &[u8], ring: &str) -> [String; 3] {
    ["--text", "--json", "--html"].map(|output| {
        let output = vdev_trace(dump, &["decode", "-", "--ring", ring, output, "-"]);
        assert!(output.status.success(), "{}", said(&output.stderr));
        said(&output.stdout)
    })
}

#[test]
fn text_json_and_page_write_a_port_as_one() {
    for output in outputs(&ring(PORT).dump(), "trace") {
        assert!(output.contains("last W1 io:0x2f8 pc 0x201000"), "{output}");
        assert!(output.contains("unsupported reference to io:0x2f8 at pc 0x201000"));
    }
    for output in outputs(&ring(0).dump(), "trace") {
        assert!(
            output.contains("last W1 0x000002f8 pc 0x201000"),
            "{output}"
        );
        assert!(output.contains("unsupported reference to 0x2f8 at") && !output.contains("io:"));
    }
    for output in outputs(&console(PORT).dump(), "console") {
        assert!(
            output.contains("notice Refused: 2, io:0x2f8, pc 0x201000"),
            "{output}"
        );
    }
    for output in outputs(&console(0).dump(), "console") {
        assert!(
            output.contains("notice Refused: 2, 0x2f8, pc 0x201000"),
            "{output}"
        );
    }
}

/// An access to a device is never at a port. What a damaged dump claims is shown as it is.
#[test]
fn an_access_that_claims_to_be_at_a_port_is_shown_as_it_claims() {
    let mut access = machine::read(1000, 1, 7);
    access[5] |= PORT;
    let [text, json, page] = outputs(&Ring::traced(2, [access]).dump(), "trace");
    assert!(text.contains(" R4     io:0xfa000000 7 "), "{text}");
    assert!(json.contains("\"address\":\"io:0xfa000000\""), "{json}");
    assert!(page.contains("\"io:0xfa000000\""), "{page}");
}

#[test]
fn ctf_has_the_space_of_an_address_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let ctf = folder.path().join("ctf");
    let path = ctf.to_str().unwrap();
    for (ring, dump) in [
        ("trace", ring(PORT).dump()),
        ("console", console(PORT).dump()),
    ] {
        let output = vdev_trace(&dump, &["decode", "-", "--ring", ring, "--ctf", path]);
        assert!(output.status.success(), "{}", said(&output.stderr));
        let Ok(events) = Command::new("babeltrace2").arg(&ctf).output() else {
            // Other tests tell that it is not there.
            return;
        };
        let events = said(&events.stdout);
        let at_port = "space = ( \"port\" : container = 1 ), ";
        for line in events.lines() {
            let address = ["address", "code"].map(|name| format!("{at_port}{name} = 0x2F8"));
            assert!(address.iter().any(|field| line.contains(field)), "{line}");
        }
        assert_eq!(events.lines().count(), 2);
    }
}
