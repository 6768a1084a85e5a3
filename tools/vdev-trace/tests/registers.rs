//! The registers of devices that have many, by their names, in every output.
//!
//! The names are those of the manuals: DDI 0183 table 3-1 (PL011), DDI 0224 table 3-1 (PL031).

mod machine;

use machine::{Ring, config, said, tagged, vdev_trace};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

const CLOCK: u64 = 0xfa00_1000;
const UART: u64 = 0xfa00_2000;

/// The device, the offset of a register, whether it is written, and what it is called.
const ACCESSES: [(u64, u64, u64, &str); 9] = [
    (0, 0x000, 0, ""),
    (1, 0x000, 0, "RTCDR"),
    (1, 0x004, 1, "RTCMR"),
    (1, 0xfe0, 0, "PeriphID0"),
    (1, 0xffc, 0, "PCellID3"),
    (2, 0x038, 1, "IMSC"),
    (2, 0xfe4, 0, "PeriphID1"),
    (2, 0xff0, 0, "PCellID0"),
    // Reserved.
    (2, 0x100, 0, ""),
];

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// What the tool prints of the accesses.
    fn tool(&self, command: &str, more: &[&str]) -> String {
        let devices = format!(
            "counter\nvdev pl031 loc {CLOCK:#x} name clock\n\
             vdev pl011 loc {UART:#x} name uart emit-trace 1"
        );
        let config = config(self.0.path(), "one", &devices);
        let records = (1..)
            .zip(ACCESSES)
            .map(|(number, (device, offset, write, _))| {
                let address = [0xfa00_0000, CLOCK, UART][device as usize] + offset;
                let tag = 1 | 4 << 32 | write << 36;
                let record = [1000 * number, address, 0x4008_0000, 7, number, tag, 0];
                tagged(record, 12, device, 0)
            });
        let dump = Ring::traced(16, records).dump();
        let arguments = [&[command, "-", "--config", &config], more].concat();
        let output = vdev_trace(&dump, &arguments);
        assert!(output.status.success(), "{}", said(&output.stderr));
        said(&output.stdout)
    }
}

fn names() -> Vec<&'static str> {
    ACCESSES.map(|(_, _, _, name)| name).to_vec()
}

#[test]
fn text_has_them_behind_the_epoch() {
    let text = Folder::new().tool("decode", &[]);
    let lines = text.lines().skip(1).take(ACCESSES.len());
    let register = |line: &str| line.rsplit_once("     0").unwrap().1.trim().to_owned();
    assert_eq!(lines.map(register).collect::<Vec<_>>(), names());
}

#[test]
fn json_has_them_as_arguments() {
    let json = Folder::new().tool("decode", &["--json", "-"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    let events = json["traceEvents"].as_array().unwrap();
    let accesses = events.iter().filter(|event| event["cat"] == "access");
    let register = |event: &Value| match &event["args"]["register"] {
        Value::Null => "",
        name => names().into_iter().find(|known| name == known).unwrap(),
    };
    assert_eq!(accesses.map(register).collect::<Vec<_>>(), names());
}

#[test]
fn ctf_has_them_as_a_field() {
    let folder = Folder::new();
    let ctf = folder.path("ctf");
    folder.tool("decode", &["--ctf", ctf.to_str().unwrap()]);
    let Some(events) = babeltrace2(&ctf) else {
        return;
    };
    let register = |line: &str| {
        let (_, rest) = line.split_once("register = \"").unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    };
    let registers: Vec<_> = events.lines().map(register).collect();
    assert_eq!(registers, names());
}

/// What babeltrace2 prints of a trace, or none if it is not there; other tests tell that.
fn babeltrace2(folder: &Path) -> Option<String> {
    let output = Command::new("babeltrace2").arg(folder).output().ok()?;
    assert!(output.status.success(), "{}", said(&output.stderr));
    Some(said(&output.stdout))
}

#[test]
fn the_page_has_them_for_its_script_and_without() {
    let page = Folder::new().tool("decode", &["--html", "-"]);
    let (_, data) = page.split_once("id=\"data\">").unwrap();
    let data: Value = serde_json::from_str(data.split_once("</script").unwrap().0).unwrap();
    let register = |row: &Value| match row[18].as_u64() {
        Some(place) => data["texts"][place as usize].as_str().unwrap().to_owned(),
        None => String::new(),
    };
    let rows = data["rows"].as_array().unwrap();
    assert_eq!(rows.iter().map(register).collect::<Vec<_>>(), names());
    // The column that the script fills.
    assert!(page.contains("<th class=\"register\">register</th>"));
    assert!(page.contains("register: text(row[18])") && page.contains("cell(row.register, "));
    let (_, plain) = page.split_once("<noscript>").unwrap();
    for line in [
        "clock cpu0 R4 0xfa001fe0 PeriphID0 = 7",
        "uart cpu0 R4 0xfa002fe4 PeriphID1 = 7",
        "uart cpu0 W4 0xfa002038 IMSC = 0 -&gt; 7",
        "uart cpu0 R4 0xfa002100 = 7",
    ] {
        assert!(plain.contains(line), "no {line} in {plain}");
    }
}

#[test]
fn stats_have_sums_of_each_below_its_device_s() {
    let stats = Folder::new().tool("stats", &[]);
    let lines: Vec<_> = stats
        .lines()
        .filter(|line| line.starts_with("  device") || line.starts_with("  register"))
        .collect();
    let expected = [
        "  device    counter      1 reads, 0 writes, 0 refused",
        "  device    clock        3 reads, 1 writes, 0 refused",
        "  register  clock RTCDR          1 reads, 0 writes, 0 refused",
        "  register  clock RTCMR          0 reads, 1 writes, 0 refused",
        "  register  clock PeriphID0      1 reads, 0 writes, 0 refused",
        "  register  clock PCellID3       1 reads, 0 writes, 0 refused",
        "  device    uart         3 reads, 1 writes, 0 refused",
        "  register  uart IMSC            0 reads, 1 writes, 0 refused",
        "  register  uart PeriphID1       1 reads, 0 writes, 0 refused",
        "  register  uart PCellID0        1 reads, 0 writes, 0 refused",
    ];
    assert_eq!(lines, expected);
}
