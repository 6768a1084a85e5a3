//! A damaged stamp among good ones: every output thinks the same of it.

mod machine;

use machine::{PAGE, Ring, SLOT, TRACE, read, said, tagged, vdev_trace};
use serde_json::Value;
use std::process::Command;

const HOURS_5: u64 = 5 * 3600 * 1_000_000;

/// Twenty-eight records in seven seconds, of which those of these numbers have a stamp of five
/// hours, and a second VM in the same seconds.
fn dump(damaged: &[u64]) -> Vec<u8> {
    let times = (1..=28).map(|number| number * 250_000);
    let records = (1..)
        .zip(times.clone())
        .map(|(number, time)| read(time, number, number));
    let mut dump = Ring::traced(32, records).dump();
    for number in damaged {
        let at = 2 * PAGE + (*number as usize - 1) * SLOT + 8;
        dump[at..at + 8].copy_from_slice(&(HOURS_5 + number).to_le_bytes());
    }
    let mut other = Ring::new(TRACE, 1, 32);
    for (number, time) in (1..).zip(times) {
        other.push(tagged(read(time + 1000, number, number), 12, 0, 1));
    }
    dump.extend(other.dump());
    dump
}

fn output(dump: &[u8], arguments: &[&str]) -> String {
    let output = vdev_trace(dump, arguments);
    assert!(output.status.success(), "{}", said(&output.stderr));
    said(&output.stdout)
}

fn assert_that_every_output_ends_after_seven_seconds(damaged: &[u64]) {
    let dump = dump(damaged);
    let wrong = damaged.len();
    let text = output(&dump, &["decode", "-"]);
    let marked = text
        .lines()
        .filter(|line| line.ends_with("  (wrong stamp)"));
    assert_eq!(marked.count(), wrong);
    assert!(text.contains(&format!(", {wrong} wrong stamps\n")));
    // The VMs' records alternate, all through.
    let vms = text.lines().filter(|line| line.contains(" 0xfa000000 "));
    let vms: Vec<bool> = vms.map(|line| line.contains(" vm1 ")).collect();
    let runs = 1 + vms.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(runs >= vms.len() - 2 * wrong, "{text}");

    let json: Value =
        serde_json::from_str(&output(&dump, &["decode", "-", "--json", "-"])).unwrap();
    let events = json["traceEvents"].as_array().unwrap();
    let last = events
        .iter()
        .filter_map(|event| event["ts"].as_f64())
        .fold(0.0, f64::max);
    assert_eq!(last, 7_001_000.0);
    let told = events
        .iter()
        .filter(|event| event["args"]["wrong_stamp"].is_number());
    assert_eq!(told.count(), wrong);

    let page = output(&dump, &["decode", "-", "--html", "-"]);
    let (_, data) = page.split_once("id=\"data\">").unwrap();
    let data: Value = serde_json::from_str(data.split_once("</script").unwrap().0).unwrap();
    let rows = data["rows"].as_array().unwrap();
    let last = rows.iter().map(|row| row[2].as_u64().unwrap()).max();
    assert_eq!(last, Some(7_001_000_000));
    let told = rows.iter().filter(|row| !row[19].is_null());
    assert_eq!(told.count(), wrong);

    let stats = output(&dump, &["stats", "-"]);
    assert!(
        stats.contains("accesses  28 in 6.750000 s, 4.1 a second, 4 in the busiest"),
        "{stats}"
    );
    assert!(
        stats.contains(&format!("stamps    {wrong} cannot be")),
        "{stats}"
    );

    let check = vdev_trace(&dump, &["check", "-"]);
    assert_eq!(check.status.code(), Some(1));
    let told = said(&check.stdout);
    let expected = format!(
        "vm0 Trace: ring at offset 0x1000: damaged, 28 records\n  {wrong} records have a stamp that cannot be"
    );
    assert!(told.starts_with(&expected), "{told}");

    let folder = tempfile::tempdir().unwrap();
    let ctf = folder.path().join("ctf");
    output(&dump, &["decode", "-", "--ctf", ctf.to_str().unwrap()]);
    if let Ok(viewed) = Command::new("babeltrace2").arg(&ctf).output() {
        let events = said(&viewed.stdout);
        assert_eq!(events.matches(" wrong_stamp: ").count(), wrong);
        assert!(
            events
                .lines()
                .last()
                .unwrap()
                .starts_with("[00:00:07.001000000]"),
            "{events}"
        );
    }
}

#[test]
fn one_damaged_stamp_stretches_no_output() {
    for number in [1, 2, 14, 27] {
        assert_that_every_output_ends_after_seven_seconds(&[number]);
    }
}

#[test]
fn several_damaged_stamps_in_a_row_stretch_none_either() {
    assert_that_every_output_ends_after_seven_seconds(&[10, 11, 12, 20]);
}
