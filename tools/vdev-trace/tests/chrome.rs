//! Chrome's trace events: the format's rules, and that they say what the records say.

mod machine;

use machine::{Ring, TRACE, internal, read, said, tagged, vdev_trace, write};
use serde_json::Value;

fn events(dump: &[u8]) -> Vec<Value> {
    let output = vdev_trace(dump, &["decode", "-", "--from", "dump", "--json", "-"]);
    assert!(output.status.success(), "{}", said(&output.stderr));
    let trace: Value = serde_json::from_slice(&output.stdout).unwrap();
    let events = trace["traceEvents"].as_array().unwrap().clone();
    for event in &events {
        assert_that_the_format_allows(event);
    }
    events
}

/// *Trace Event Format*: the fields that each of the phases must have.
fn assert_that_the_format_allows(event: &Value) {
    assert!(event["name"].is_string(), "{event}");
    assert!(event["pid"].is_u64(), "{event}");
    let phase = event["ph"].as_str().unwrap();
    if phase != "M" {
        assert!(event["ts"].as_f64().is_some_and(|ts| ts >= 0.0), "{event}");
        assert!(event["cat"].is_string(), "{event}");
    }
    match phase {
        // Metadata: a name for a process or a thread.
        "M" => {
            let name = event["name"].as_str().unwrap();
            assert!(["process_name", "thread_name"].contains(&name), "{event}");
            assert!(
                event["args"]["name"].is_string() && event["tid"].is_u64(),
                "{event}"
            );
        }
        // Instant: its scope is global, process or thread.
        "i" => {
            let scope = event["s"].as_str().unwrap();
            assert!(
                ["g", "p", "t"].contains(&scope) && event["tid"].is_u64(),
                "{event}"
            );
        }
        // Counter: each argument is a number, a series of its own.
        "C" => {
            let series = event["args"].as_object().unwrap();
            assert!(
                !series.is_empty() && series.values().all(Value::is_number),
                "{event}"
            );
        }
        // Complete: a duration, never negative.
        "X" => {
            let duration = event["dur"].as_f64();
            assert!(
                duration.is_some_and(|dur| dur >= 0.0) && event["tid"].is_u64(),
                "{event}"
            );
        }
        other => panic!("phase {other}: {event}"),
    }
}

fn of_phase<'a>(events: &'a [Value], phase: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["ph"] == phase).collect()
}

#[test]
fn an_access_is_an_instant_with_its_arguments_and_a_step_of_its_devices_counter() {
    let ring = Ring::traced(8, [read(1000, 1, 7), write(2500, 2, 7, 1000)]);
    let events = events(&ring.dump());
    let instants = of_phase(&events, "i");
    assert_eq!(instants.len(), 2);
    insta::assert_snapshot!(instants[1].to_string(), @r#"{"args":{"address":"0xfa000000","cpu":0,"device":"dev0","epoch":0,"event":12,"old":7,"pc":"0x40080004","record":2,"seq":2,"value":1000},"cat":"access","name":"W4","ph":"i","pid":1,"s":"t","tid":1,"ts":2500}"#);
    let counters = of_phase(&events, "C");
    let values: Vec<_> = counters
        .iter()
        .map(|event| {
            (
                event["name"].as_str().unwrap(),
                event["ts"].as_f64().unwrap(),
                event["args"]["counter"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(values, [("dev0", 1000.0, 7), ("dev0", 2500.0, 1000)]);
}

#[test]
fn a_narrow_write_changes_its_bytes_of_the_counter_and_what_is_refused_none() {
    let narrow = |lane: u64, bytes: u64, value: u64| {
        let tag = 1 | bytes << 32 | 1 << 36 | 12 << 48;
        [
            1000,
            0xfa00_0000 + lane,
            0,
            value | 0x1122_3344 << 32,
            1,
            tag,
            0,
        ]
    };
    let narrow_read = [1000, 0xfa00_0001, 0, 0x33, 1, 1 | 1 << 32 | 12 << 48, 0];
    let refused = [
        1000,
        0xfa00_0000,
        0,
        5,
        1,
        1 | 4 << 32 | 1 << 40 | 12 << 48,
        0,
    ];
    let beyond = narrow(3, 2, 0xffff);
    let records = [
        narrow(1, 1, 0xaa),
        narrow(2, 2, 0xbbcc),
        narrow_read,
        refused,
        beyond,
    ];
    let events = events(&Ring::traced(8, records).dump());
    let counters = of_phase(&events, "C");
    let values: Vec<_> = counters
        .iter()
        .map(|event| event["args"]["counter"].as_u64().unwrap())
        .collect();
    assert_eq!(values, [0x1122_aa44, 0xbbcc_3344]);
    assert_eq!(of_phase(&events, "i").len(), 5);
    assert_eq!(
        events
            .iter()
            .filter(|event| event["args"]["refused"] == true)
            .count(),
        1
    );
}

#[test]
fn each_vm_is_a_process_and_each_device_a_named_thread() {
    let mut other = Ring::new(TRACE, 1, 4);
    other.push(tagged(read(1500, 1, 9), 12, 3, 1));
    other.push(internal(4, [2000, 0, 0, 0, 0], 0));
    let one = Ring::traced(4, [read(1000, 1, 1), tagged(read(1100, 1, 1), 12, 1, 0)]);
    let events = events(&[one.dump(), other.dump()].concat());
    let thread = |event: &Value| format!("{} {}", event["pid"], event["tid"]);
    let mut names: Vec<_> = of_phase(&events, "M")
        .iter()
        .map(|event| {
            format!(
                "{} {}",
                thread(event),
                event["args"]["name"].as_str().unwrap()
            )
        })
        .collect();
    names.sort();
    insta::assert_snapshot!(names.join("\n"), @"
    1 0 VM
    1 0 VM vm0 (Trace ring)
    1 1 dev0
    1 2 dev1
    2 0 VM
    2 0 VM vm1 (Trace ring)
    2 4 dev3
    ");
    for event in of_phase(&events, "i") {
        let thread = thread(event) + " ";
        assert!(
            names.iter().any(|name| name.starts_with(&thread)),
            "{event}"
        );
    }
}

#[test]
fn what_is_missing_is_a_slice_over_the_time_of_its_absence() {
    let ring = Ring::traced(
        4,
        (1..=10).map(|number| read(number * 1000, number, number)),
    );
    let events = events(&ring.dump());
    let lost = of_phase(&events, "X");
    assert_eq!(lost.len(), 1);
    assert_eq!(
        (
            lost[0]["args"]["count"].as_u64(),
            lost[0]["ts"].as_f64(),
            lost[0]["dur"].as_f64()
        ),
        (Some(6), Some(0.0), Some(7000.0))
    );
}

#[test]
fn stamps_that_step_back_and_no_records_at_all_are_allowed() {
    let ring = Ring::traced(
        4,
        [read(5000, 1, 1), read(1000, 2, 2), read(u64::MAX, 3, 3)],
    );
    assert_eq!(of_phase(&events(&ring.dump()), "i").len(), 3);
    assert_eq!(
        of_phase(&events(&Ring::new(TRACE, 0, 4).dump()), "i").len(),
        0
    );
}
