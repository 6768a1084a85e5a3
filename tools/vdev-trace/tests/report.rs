//! What the system says of its run: in the outputs if it is the system that says it.

mod machine;

use machine::{PAGE, Ring, read, said, vdev_trace};
use serde_json::{Value, json};

/// A report page as `oversight` lays it out: of one VM, with this verdict.
fn page(verdict: u64, guest_us: u64) -> Vec<u8> {
    let magic = u64::from_le_bytes(*b"VTRACEND");
    let words = [
        magic, 2, verdict, 10_000_000, 6_000_000, 500_000, guest_us, 1,
    ];
    let of_vm = [guest_us, 300_000, 200_000, 100_000];
    let words = words
        .iter()
        .chain(&of_vm)
        .flat_map(|word| word.to_le_bytes());
    let mut page: Vec<u8> = words.collect();
    page.resize(PAGE, 0);
    page
}

/// The system's ring, then the pages.
fn dump(pages: &[Vec<u8>]) -> Vec<u8> {
    let ring = Ring::traced(64, [read(1000, 1, 7)]).dump();
    [ring, pages.concat()].concat()
}

/// Where the first page is, after a page of nothing, a ring of two and a page of nothing.
const FIRST: usize = 4 * PAGE;

fn json_of(dump: &[u8], more: &[&str]) -> (Value, String) {
    let arguments = [&["decode", "-", "--from", "dump", "--json", "-"], more].concat();
    let output = vdev_trace(dump, &arguments);
    assert!(output.status.success(), "{}", said(&output.stderr));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(json["traceEvents"].is_array());
    (json["otherData"].clone(), said(&output.stderr))
}

#[test]
fn json_carries_the_cpu_s_table_and_the_verdict() {
    let (data, told) = json_of(&dump(&[page(1, 2_900_000)]), &[]);
    assert_eq!(told, "");
    let vm = json!({
        "vm": "vm0", "guest_us": 2_900_000, "vmm_us": 300_000, "trace_us": 200_000,
        "console_us": 100_000
    });
    let cpu = json!({
        "wall_us": 10_000_000, "idle_us": 6_000_000, "others_us": 500_000,
        "guests_us": 2_900_000, "vms": [vm]
    });
    assert_eq!(data, json!({ "verdict": "ok", "cpu": cpu }));
    let (data, _) = json_of(&dump(&[page(2, u64::MAX)]), &[]);
    assert_eq!(data["verdict"], "failed");
    assert_eq!(
        data["cpu"]["vms"][0]["guest_us"],
        Value::Null,
        "not known apart"
    );
    let (data, _) = json_of(&dump(&[page(0, 1)]), &[]);
    assert_eq!(data["verdict"], Value::Null);
}

#[test]
fn text_stats_and_page_have_it_as_a_line() {
    let dump = dump(&[page(1, 2_900_000)]);
    let line = "cpu of 10.00 s: vm0: guest 29.0 %, vmm 3.0 %, trace 2.0 %, console 1.0 %; \
                idle 60.0 %, others 5.0 %; verdict: ok";
    for arguments in [
        &["decode", "-"][..],
        &["stats", "-"],
        &["decode", "-", "--html", "-"],
    ] {
        let text = said(&vdev_trace(&dump, arguments).stdout);
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn a_dump_without_the_page_says_nothing_of_the_run() {
    assert_eq!(json_of(&dump(&[]), &[]).0, Value::Null);
    for version in [1, 9] {
        let mut other_version = page(1, 1);
        other_version[8] = version;
        assert_eq!(json_of(&dump(&[other_version]), &[]).0, Value::Null);
    }
    let cut = &dump(&[page(1, 1)])[..FIRST + 64];
    assert_eq!(json_of(cut, &[]).0, Value::Null);
}

#[test]
fn a_guest_cannot_say_how_the_run_went() {
    let (honest, forged) = (page(2, 100), page(1, 999));
    let both = dump(&[honest, forged.clone()]);
    let places = format!("0,{}", FIRST + PAGE);
    let (data, told) = json_of(&both, &["--rings", &places]);
    assert_eq!((&data["verdict"], told.as_str()), (&json!("failed"), ""));
    let (data, told) = json_of(&both, &[]);
    assert_eq!(data, Value::Null);
    assert!(
        told.contains("several pages say how the run went"),
        "{told}"
    );
    let places = format!("0,{FIRST}");
    let (data, _) = json_of(&dump(&[forged]), &["--rings", &places]);
    assert_eq!(data, Value::Null);
}

#[test]
fn the_page_is_where_the_system_description_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let system = folder.path().join("system.xml");
    let text = "<system><memory_region name=\"trace_ring\" size=\"0x2000\" phys_addr=\"0xb0000000\"/>\
                <memory_region name=\"report\" size=\"0x1000\" phys_addr=\"0xb0200000\"/></system>";
    std::fs::write(&system, text).unwrap();
    let ring = Ring::traced(64, [read(1000, 1, 7)]).bytes();
    let dump = [ring, page(1, 5)].concat();
    let (data, told) = json_of(&dump, &["--system", system.to_str().unwrap()]);
    assert_eq!((&data["verdict"], told.as_str()), (&json!("ok"), ""));
}
