//! Chrome's trace events: the format's rules, and that they say what the records say.

mod machine;

use machine::{Ring, TRACE, config, internal, read, said, tagged, vdev_trace, write};
use serde_json::Value;

fn events(dump: &[u8]) -> Vec<Value> {
    events_of(dump, &[])
}

fn events_of(dump: &[u8], more: &[&str]) -> Vec<Value> {
    let arguments = ["decode", "-", "--from", "dump", "--json", "-"];
    let output = vdev_trace(dump, &[&arguments, more].concat());
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

/// The steps of all counters: whose, and where to.
fn steps(events: &[Value]) -> Vec<(&str, u64)> {
    let step = |event: &&'_ Value| event["args"]["counter"].as_u64().unwrap();
    let counters = of_phase(events, "C").into_iter();
    counters
        .map(|event| (event["name"].as_str().unwrap(), step(&event)))
        .collect()
}

/// An access of this many bytes; `values` has the register before it in its high half.
fn access(address: u64, bytes: u64, write: u64, values: u64) -> [u64; 7] {
    let tag = 1 | bytes << 32 | write << 36 | 12 << 48;
    [1000, address, 0, values, 1, tag, 0]
}

const REFUSED: u64 = 1 << 40;
const OF_VMM: u64 = 1 << 41;

fn flagged(mut record: [u64; 7], flag: u64) -> [u64; 7] {
    record[5] |= flag;
    record
}

/// The values are those of `vm_components`' test `narrow_writes_merge_into_their_little_endian_lane`.
fn narrow_accesses() -> [[u64; 7]; 5] {
    [
        access(0xfa00_0002, 1, 1, 0x1122_3344 << 32 | 0x11aa_3344),
        access(0xfa00_0002, 2, 1, 0x11aa_3344 << 32 | 0x5566_3344),
        access(0xfa00_0001, 1, 0, 0x33),
        flagged(access(0xfa00_0000, 4, 0, 5), REFUSED),
        access(0xfa00_0003, 2, 1, 0xffff),
    ]
}

#[test]
fn a_narrow_write_tells_the_whole_counter_and_a_narrow_read_or_what_is_refused_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "one", "first emit-trace 12");
    let dump = Ring::traced(8, narrow_accesses()).dump();
    let events = events_of(&dump, &["--config", &config]);
    assert_eq!(
        steps(&events),
        [("first", 0x11aa_3344), ("first", 0x5566_3344)]
    );
    assert_eq!(of_phase(&events, "i").len(), 5);
    let is_refused = |event: &&Value| event["args"]["refused"] == true;
    assert_eq!(events.iter().filter(is_refused).count(), 1);
}

#[test]
fn without_a_configuration_each_word_has_a_counter_and_parts_have_none() {
    let words = [
        access(0xfa00_0004, 4, 0, 1),
        access(0xfa00_0000, 4, 1, 2),
        access(0xfa00_0004, 4, 0, 3),
        tagged(access(0xfa00_0000, 4, 0, 4), 12, 1, 0),
        // What a VMM was given to write is not what its device holds.
        flagged(access(0xfa00_0000, 4, 1, 5), OF_VMM),
        flagged(access(0xfa00_0000, 4, 0, 6), OF_VMM),
    ];
    let records = words.into_iter().chain(narrow_accesses());
    assert_eq!(
        steps(&events(&Ring::traced(16, records).dump())),
        [
            ("dev0", 1),
            ("dev0 0xfa000000", 2),
            ("dev0", 3),
            ("dev1", 4),
            ("dev0 0xfa000000", 6)
        ]
    );
}

#[test]
fn each_register_has_a_counter_of_what_it_is_known_to_hold() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(
        folder.path(),
        "one",
        "counter\n\
         vdev adder loc 0xfa001000 name adder\n\
         vdev fifo-tester loc 0xfa002000 name fifo\n\
         vdev pl031 loc 0xfa003000 name clock\n\
         vdev pl011 loc 0xfa004000 name uart emit-trace 1",
    );
    let of = |device, record| tagged(record, 12, device, 0);
    let records = [
        of(0, access(0xfa00_0000, 4, 1, 1)),
        of(1, access(0xfa00_1000, 4, 1, 2)),
        of(1, access(0xfa00_1004, 4, 1, 3)),
        of(1, access(0xfa00_1008, 4, 0, 5)),
        // `data` is taken away by being read; `level` is state.
        of(2, access(0xfa00_2000, 4, 1, 6)),
        of(2, access(0xfa00_2000, 4, 0, 6)),
        of(2, access(0xfa00_2004, 4, 0, 0)),
        // RTCIMSC has one bit, whatever is written. RTCDR cannot be written.
        of(3, access(0xfa00_3010, 4, 1, 0xff)),
        of(3, access(0xfa00_3010, 4, 0, 1)),
        of(3, access(0xfa00_3000, 4, 1, 9)),
        of(3, access(0xfa00_3002, 4, 0, 0)),
        // A character is no state of the UART.
        of(4, flagged(access(0xfa00_4000, 4, 1, 0x61), OF_VMM)),
        of(4, flagged(access(0xfa00_4018, 4, 0, 0x90), OF_VMM)),
    ];
    let events = events_of(&Ring::traced(16, records).dump(), &["--config", &config]);
    assert_eq!(of_phase(&events, "i").len(), 13);
    assert_eq!(
        steps(&events),
        [
            ("counter", 1),
            ("adder a", 2),
            ("adder b", 3),
            ("adder sum", 5),
            ("fifo level", 0),
            ("clock RTCIMSC", 1),
            ("uart FR", 0x90)
        ]
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
