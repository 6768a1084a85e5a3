//! The HTML page in a real browser: what it draws and shows after its script has run.
//!
//! Chromium is used if it is there. The page's state stands in its address (`#direction=W`),
//! so that a filter can be set without a mouse.

mod machine;

use machine::{Ring, TRACE, config, internal, read, said, tagged, vdev_trace, write};
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::Command;

/// The browser's names on the systems that we know.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Two VMs: reads and writes from two places, a reset, and six records lost.
fn page(folder: &Path) -> String {
    let mut one = Ring::new(TRACE, 0, 8);
    for number in 1..=12 {
        one.push(read(number * 100_000, number, number));
    }
    one.push(write(1_300_000, 13, 12, 500));
    one.push(internal(3, [1_400_000, 0, 0, 0, 0], 1 << 32));
    let mut other = Ring::new(TRACE, 1, 8);
    other.push(tagged(write(1_000_000, 1, 0, 3), 7, 1, 1));
    other.push(tagged(read(1_100_000, 2, 3), 7, 1, 1));
    let dump = [one.dump(), other.dump()].concat();
    let file = folder.join("trace.html");
    let output = vdev_trace(&dump, &["decode", "-", "--html", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", said(&output.stderr));
    std::fs::read_to_string(file).unwrap()
}

/// The document after the page's script has run, or none if there is no browser.
fn shown(test: &str, folder: &Path, address: &str) -> Option<String> {
    let url = format!("file://{}/trace.html{address}", folder.display());
    for browser in BROWSERS {
        let output = Command::new(browser)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--window-size=1280,1000",
            ])
            .arg("--enable-logging=stderr")
            .arg(format!(
                "--user-data-dir={}",
                folder.join("profile").display()
            ))
            .args(["--virtual-time-budget=5000", "--dump-dom", &url])
            .output();
        if let Ok(output) = output {
            let console = said(&output.stderr);
            assert!(
                !console.contains("CONSOLE"),
                "the page complains: {console}"
            );
            return Some(said(&output.stdout));
        }
    }
    // Not `eprintln`, which the test harness keeps to itself.
    let _ = writeln!(
        std::io::stderr(),
        "skipped: {test} (no browser; Debian: apt-get install chromium)"
    );
    None
}

/// What an element shows, without its marks.
fn content(document: &str, start: &str) -> String {
    let from = document.find(start).unwrap_or_else(|| panic!("no {start}")) + start.len();
    let rest = &document[from..];
    let rest = &rest[rest.find('>').unwrap() + 1..];
    rest[..rest.find('<').unwrap()].to_owned()
}

/// The lines of the table that are accesses, with their classes.
fn rows(document: &str, class: &str) -> usize {
    document.matches(&format!("<tr class=\"{class}\">")).count()
}

#[test]
fn the_page_needs_nothing_from_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let page = page(folder.path());
    for word in [
        "http://", "https://", "src=", "href=", "@import", "url(", "fetch(", "XMLHttp",
    ] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn the_page_draws_the_counter_and_lists_every_record() {
    let folder = tempfile::tempdir().unwrap();
    page(folder.path());
    let test = "the_page_draws_the_counter_and_lists_every_record";
    let Some(document) = shown(test, folder.path(), "") else {
        return;
    };
    assert_eq!(
        content(&document, "<output id=\"count\""),
        "10 of 10 records"
    );
    assert_eq!(
        (
            rows(&document, "R"),
            rows(&document, "W"),
            rows(&document, "lost")
        ),
        (7, 2, 1)
    );
    // No register has a name, so there is no column for them.
    assert!(document.contains("class=\"scripted unnamed\""));
    assert!(document.contains("6 records lost before this"));
    assert!(document.contains("reset, epoch 1"));
    assert!(document.contains("12 → 500"));
    // What was drawn: a point for each step of the counter, a bar for each time with accesses.
    let drawn: u64 = document
        .split("data-points=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(drawn >= 7, "{drawn} points");
    let bars: u64 = document
        .split("data-bins=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!((5..=9).contains(&bars), "{bars} bars");
}

#[test]
fn the_table_is_filtered_by_vm_device_direction_and_place() {
    let folder = tempfile::tempdir().unwrap();
    page(folder.path());
    let test = "the_table_is_filtered_by_vm_device_direction_and_place";
    for (address, count, reads, writes) in [
        ("#direction=W", "2 of 10 records", 0, 2),
        ("#direction=R", "7 of 10 records", 7, 0),
        ("#vm=vm1", "2 of 10 records", 1, 1),
        ("#device=dev0", "7 of 10 records", 6, 1),
        ("#pc=0x40080004", "2 of 10 records", 0, 2),
        ("#vm=vm1&direction=W", "1 of 10 records", 0, 1),
        ("#zoom=1.25-1.35", "1 of 10 records", 0, 1),
    ] {
        let Some(document) = shown(test, folder.path(), address) else {
            return;
        };
        assert_eq!(
            content(&document, "<output id=\"count\""),
            count,
            "{address}"
        );
        assert_eq!(
            (rows(&document, "R"), rows(&document, "W")),
            (reads, writes),
            "{address}"
        );
    }
}

#[test]
fn what_a_configuration_says_cannot_become_part_of_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("vm.conf");
    std::fs::write(
        &config,
        "system </script><b>x\ncpu\nram 0x40000000,2M\nload not-there\n\
         vdev trace loc 0xfa000000 name <i>&amp;\n",
    )
    .unwrap();
    let file = folder.path().join("trace.html");
    let dump = Ring::traced(4, [read(1000, 1, 1)]).dump();
    let (config, file) = (config.to_str().unwrap(), file.to_str().unwrap());
    let output = vdev_trace(&dump, &["decode", "-", "--config", config, "--html", file]);
    assert!(output.status.success(), "{}", said(&output.stderr));
    assert!(!std::fs::read_to_string(file).unwrap().contains("<b>x"));
    let test = "what_a_configuration_says_cannot_become_part_of_the_page";
    if let Some(document) = shown(test, folder.path(), "") {
        assert!(
            document.contains("<td>&lt;i&gt;&amp;amp;</td>"),
            "the device's name"
        );
        assert!(!document.contains("<b>x"));
    }
}

/// A number that the script leaves at a chart.
fn drawn(document: &str, what: &str) -> String {
    let (_, rest) = document.split_once(&format!(" data-{what}=\"")).unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

/// The page of this dump in `folder`.
fn page_of(folder: &Path, dump: &[u8]) -> String {
    let file = folder.join("trace.html");
    let output = vdev_trace(dump, &["decode", "-", "--html", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", said(&output.stderr));
    std::fs::read_to_string(file).unwrap()
}

/// What the script reads.
fn data(page: &str) -> Value {
    let (_, data) = page.split_once("id=\"data\">").unwrap();
    serde_json::from_str(data.split_once("</script").unwrap().0).unwrap()
}

#[test]
fn each_register_has_a_curve_and_what_reading_changes_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let at = |address, device, mut record: [u64; 7]| {
        record[1] = address;
        tagged(record, 12, device, 0)
    };
    // A byte of the counter, of which the record tells all.
    let mut narrow = at(0xfa00_0002, 0, write(1000, 1, 0x1122_3344, 0x11aa_3344));
    narrow[5] ^= (4 ^ 1) << 32;
    let dump = Ring::traced(
        8,
        [
            narrow,
            at(0xfa00_1000, 1, write(2000, 1, 0, 3)),
            at(0xfa00_1008, 1, read(3000, 2, 4)),
            at(0xfa00_2000, 2, read(4000, 1, 5)),
        ],
    )
    .dump();
    let devices = "counter\nvdev adder loc 0xfa001000 name adder\n\
                   vdev fifo-tester loc 0xfa002000 name fifo";
    let config = config(folder.path(), "one", devices);
    let file = folder.path().join("trace.html");
    let arguments = ["--config", &config, "--html", file.to_str().unwrap()];
    let output = vdev_trace(&dump, &[&["decode", "-"], &arguments[..]].concat());
    assert!(output.status.success(), "{}", said(&output.stderr));
    let data = data(&std::fs::read_to_string(file).unwrap());
    let curve = |row: &Value| {
        let name = row[11].as_u64().map(|place| &data["texts"][place as usize]);
        let name = name.and_then(Value::as_str).map(str::to_owned);
        (name, row[10].as_u64())
    };
    let curves: Vec<_> = data["rows"].as_array().unwrap().iter().map(curve).collect();
    let point = |name: &str, value| (Some(name.to_owned()), Some(value));
    assert_eq!(
        curves,
        [
            point("counter", 0x11aa_3344),
            point("adder a", 3),
            point("adder sum", 4),
            (None, None)
        ]
    );
    let test = "each_register_has_a_curve_and_what_reading_changes_has_none";
    if let Some(document) = shown(test, folder.path(), "") {
        let (_, legend) = document.split_once("<span id=\"legend\">").unwrap();
        let (legend, _) = legend.split_once("<label>").unwrap();
        for name in ["one counter", "one adder a", "one adder sum"] {
            assert!(legend.contains(name), "{legend}");
        }
        assert!(!legend.contains("fifo"), "{legend}");
        // The table names the registers, those without a curve too.
        for name in ["a", "sum", "data"] {
            let cell = format!("<td class=\"register\">{name}</td>");
            assert!(document.contains(&cell), "{name}");
        }
    }
}

#[test]
fn marks_of_many_writes_do_not_cover_the_counter() {
    let folder = tempfile::tempdir().unwrap();
    let test = "marks_of_many_writes_do_not_cover_the_counter";
    for (records, place) in [(100_000, "below"), (100, "on the line")] {
        let accesses = (1..=records).map(|number| match number % 10 {
            0 => write(number * 70, number, number / 10, number / 10 + 1),
            _ => read(number * 70, number, number / 10),
        });
        page_of(folder.path(), &Ring::traced(1 << 17, accesses).dump());
        let Some(document) = shown(test, folder.path(), "") else {
            return;
        };
        assert_eq!(drawn(&document, "marks"), place);
        // At most one for each pixel.
        let marks: u64 = drawn(&document, "writes").parse().unwrap();
        assert!((10..1280).contains(&marks), "{marks}");
    }
}

#[test]
fn the_widest_label_has_room() {
    let folder = tempfile::tempdir().unwrap();
    let test = "the_widest_label_has_room";
    let mut widths = Vec::new();
    for value in [10, 4_294_967_000] {
        let records = (1..=9).map(|number| read(number * 1000, number, value + 30 * number));
        page_of(folder.path(), &Ring::traced(16, records).dump());
        let Some(document) = shown(test, folder.path(), "") else {
            return;
        };
        widths.push(drawn(&document, "left").parse::<u32>().unwrap());
    }
    // Thirteen characters are wider than two.
    assert!(widths[0] >= 40 && widths[1] >= 75, "{widths:?}");
}

#[test]
fn the_sums_are_of_what_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    page(folder.path());
    let test = "the_sums_are_of_what_is_shown";
    for (address, sums) in [
        ("#direction=W", ["2", "0", "2", "0", "6"]),
        ("#vm=vm1", ["2", "1", "1", "0", "0"]),
        ("#zoom=1.25-1.35", ["1", "0", "1", "0", "0"]),
        // In the middle of what was lost.
        ("#zoom=0.2-0.3", ["0", "0", "0", "0", "6"]),
    ] {
        let Some(document) = shown(test, folder.path(), address) else {
            return;
        };
        let (_, sums_shown) = document.split_once("<section id=\"sums\"").unwrap();
        let (sums_shown, _) = sums_shown.split_once("</section>").unwrap();
        let shown: Vec<_> = sums_shown
            .split("<b>")
            .skip(1)
            .take(5)
            .map(|rest| rest.split_once('<').unwrap().0)
            .collect();
        assert_eq!(shown, sums, "{address}");
    }
}

#[test]
fn losses_of_two_vms_have_a_lane_each() {
    let folder = tempfile::tempdir().unwrap();
    let mut dump = Vec::new();
    for vm in 0..2 {
        let mut ring = Ring::new(TRACE, vm, 4);
        for number in 1..=10 {
            ring.push(tagged(read(number * 1000, number, number), 12, 0, vm));
        }
        dump.extend(ring.dump());
    }
    page_of(folder.path(), &dump);
    let test = "losses_of_two_vms_have_a_lane_each";
    for (address, lanes) in [("", "2"), ("#vm=vm1", "1")] {
        let Some(document) = shown(test, folder.path(), address) else {
            return;
        };
        assert_eq!(drawn(&document, "lanes"), lanes, "{address}");
    }
}

#[test]
fn without_its_script_the_page_shows_rings_and_records() {
    let folder = tempfile::tempdir().unwrap();
    let page = page(folder.path());
    let (_, plain) = page.split_once("<noscript>").unwrap();
    let (plain, _) = plain.split_once("</noscript>").unwrap();
    for row in [
        "<tr><td>vm0<td>Trace<td>8<td>6<td>0<td>\n",
        "<tr><td>1.300000<td>vm0<td>dev0 cpu0 W4 0xfa000000 = 12 -&gt; 500 pc 0x40080004 seq 13\n",
        "<tr><td>0.700000<td>vm0<td>6 records lost before this\n",
    ] {
        assert!(plain.contains(row), "no {row} in {plain}");
    }
    // What only the script fills is not there.
    assert!(page.contains(":root:not(.scripted) :is(.card, #theme, #sums) { display: none; }"));
}

#[test]
fn a_phone_gets_what_fits() {
    let folder = tempfile::tempdir().unwrap();
    let page = page(folder.path());
    assert!(page.contains("width=device-width") && page.contains("@media (max-width: 640px)"));
}
