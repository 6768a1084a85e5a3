//! The CTF output as the real babeltrace2 reads it: events, times, and what is missing.

mod machine;

use machine::{
    PAGE, Ring, SLOT, TRACE, config, in_epoch, internal, life, read, said, set_header, tagged,
    vdev_trace, write,
};
use proptest::prelude::*;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

/// What babeltrace2 says of this dump, or none if it is not installed.
struct Viewed {
    text: String,
    events: Vec<String>,
    warnings: Vec<String>,
}

fn babeltrace2(test: &str, arguments: &[&str], folder: &Path) -> Option<Output> {
    match Command::new("babeltrace2")
        .args(arguments)
        .arg(folder)
        .output()
    {
        Ok(output) => Some(output),
        Err(_) => {
            // Not `eprintln`, which the test harness keeps to itself.
            let _ = writeln!(
                std::io::stderr(),
                "skipped: {test} (babeltrace2 is missing; Debian: apt-get install babeltrace2)"
            );
            None
        }
    }
}

/// Decodes a dump to text and CTF, and reads the CTF with babeltrace2.
fn view(test: &str, dump: &[u8], more: &[&str]) -> Option<Viewed> {
    let folder = tempfile::tempdir().unwrap();
    let ctf = folder.path().join("ctf");
    let outputs = ["decode", "-", "--from", "dump", "--text", "-", "--ctf"];
    let arguments = [&outputs[..], &[ctf.to_str().unwrap()], more].concat();
    let decoded = vdev_trace(dump, &arguments);
    assert!(decoded.status.success(), "{}", said(&decoded.stderr));
    let output = babeltrace2(test, &[], &ctf)?;
    let warnings = said(&output.stderr);
    assert!(output.status.success(), "babeltrace2 says: {warnings}");
    let lines = |text: String| text.lines().map(str::to_owned).collect::<Vec<_>>();
    Some(Viewed {
        text: said(&decoded.stdout),
        events: lines(said(&output.stdout)),
        warnings: lines(warnings),
    })
}

impl Viewed {
    /// The events of these names.
    fn named(&self, name: &str) -> Vec<&String> {
        let mark = format!(" {name}: {{");
        self.events
            .iter()
            .filter(|event| event.contains(&mark))
            .collect()
    }

    /// The records that the warnings say were discarded, and the packets lost.
    fn lost(&self) -> (Vec<u64>, Vec<u64>) {
        let numbers = |what: &str| {
            let told = self.warnings.iter().filter_map(|line| {
                let (_, rest) = line.split_once("Tracer discarded ")?;
                let (number, rest) = rest.split_once(' ')?;
                rest.starts_with(what).then(|| number.parse().unwrap())
            });
            told.collect()
        };
        (numbers("event"), numbers("packet"))
    }

    /// Every access in the text is an event with the same time and values, and the other way
    /// round.
    fn assert_same_accesses(&self) {
        let words = |line: &String| {
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let hex = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap();
        let texts = self.text.lines().filter(|line| line.contains(" 0xfa00000"));
        let told: Vec<_> = texts
            .map(|line| {
                let time = line[1..].split(']').next().unwrap().trim().to_owned();
                let words = words(&line[line.find(']').unwrap()..].to_owned());
                let at = words
                    .iter()
                    .position(|word| word.starts_with("0xfa"))
                    .unwrap();
                let pc = words[at + 1..]
                    .iter()
                    .position(|word| word.starts_with("0x"))
                    .unwrap();
                let pc = at + 1 + pc;
                let seq: u64 = words[pc + 1].parse().unwrap();
                (
                    time,
                    hex(&words[at]),
                    hex(&words[pc]),
                    seq,
                    words[pc - 1].clone(),
                )
            })
            .collect();
        let events = self
            .events
            .iter()
            .filter(|event| event.contains("address = 0xFA00000"));
        let seen: Vec<_> = events
            .map(|event| {
                let field = |name: &str| {
                    let start = event.find(&format!("{name} = ")).unwrap() + name.len() + 3;
                    event[start..].split([',', ' ']).next().unwrap().to_owned()
                };
                // "00:00:05.259079776": all tests are over within a minute.
                let seconds: u64 = event[7..9].parse().unwrap();
                let time = format!("{seconds}.{}", &event[10..16]);
                let hex = |name: &str| {
                    u64::from_str_radix(field(name).trim_start_matches("0x"), 16).unwrap()
                };
                let value = match field("flags").as_str() {
                    "0" => field("value"),
                    _ => "supported".into(),
                };
                let seq: u64 = field("seq").parse().unwrap();
                (time, hex("address"), hex("pc"), seq, value)
            })
            .collect();
        assert!(!told.is_empty());
        assert_eq!(told, seen);
    }
}

#[test]
fn every_record_is_an_event_with_its_number_and_values() {
    let ring = life(1023, 0);
    let Some(viewed) = view(
        "every_record_is_an_event_with_its_number_and_values",
        &ring.dump(),
        &[],
    ) else {
        return;
    };
    viewed.assert_same_accesses();
    insta::assert_snapshot!(viewed.events.join("\n"), @r#"
    [00:00:00.001000000] (+?.?????????) trace_12: { device = 0, vcpu = 0, direction = ( "read" : container = 0 ), width = 4, flags = 0, address = 0xFA000000, pc = 0x40080000, value = 7, old = 0, seq = 1, state_seen = 0, epoch = 0, record = 1 }
    [00:00:00.063125000] (+0.062125000) trace_13: { device = 1, vcpu = 0, direction = ( "write" : container = 1 ), width = 1, flags = 0, address = 0xFA000005, pc = 0x40080004, value = 43527, old = 7, seq = 1, state_seen = 0, epoch = 0, record = 2 }
    [00:00:00.063125000] (+0.000000000) trace_1023: { device = 0, vcpu = 0, direction = ( "read" : container = 0 ), width = 8, flags = 1, address = 0xFA000000, pc = 0x40080008, value = 0, old = 0, seq = 2, state_seen = 0, epoch = 0, record = 3 }
    [00:00:00.069500000] (+0.006375000) reset: { epoch = 1, record = 4 }
    [00:00:00.069600000] (+0.000100000) trace_0: { device = 0, vcpu = 0, direction = ( "read" : container = 0 ), width = 4, flags = 0, address = 0xFA000000, pc = 0x40080000, value = 0, old = 0, seq = 3, state_seen = 0, epoch = 1, record = 5 }
    [00:00:00.079500000] (+0.009900000) outside: { count = 3, direction = ( "read" : container = 0 ), width = 0, space = ( "memory" : container = 0 ), address = 0xFB000000, pc = 0x4008000C, epoch = 1, record = 6 }
    [00:00:00.089500000] (+0.010000000) device_sums: { device = 0, reads = 3, writes = 1, logged = 4, traced = 5, counter = 7, refused = 0, record = 7 }
    [00:00:00.089500000] (+0.000000000) vm_sums: { log_lost = 1, trace_overwritten = 2, outside = 3, unrecorded = 4, misbehaviour = 5, record = 8 }
    [00:00:00.089500000] (+0.000000000) span: { first = 1000, last = 79500, recorded = 79501, record = 9 }
    [00:00:00.089500000] (+0.000000000) end: { reason = "PoweredOff", space = ( "memory" : container = 0 ), code = 0x0, pc = 0x0, epoch = 1, record = 10 }
    [00:00:00.089501000] (+0.000001000) unknown: { words = [ [0] = 0x15F91, [1] = 0x0, [2] = 0x0, [3] = 0x0, [4] = 0x0, [5] = 0xFFFF0000000000EE, [6] = 0x0 ], record = 11 }
    "#);
    assert_eq!(viewed.warnings, Vec::<String>::new());
}

#[test]
fn an_access_tells_its_register_if_any_of_its_vm_has_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let adder = "counter emit-trace 12\nvdev adder loc 0xfa000004 name adder";
    let config = config(folder.path(), "one", adder);
    let mut to_a = tagged(write(2000, 1, 0, 5), 12, 1, 0);
    to_a[1] = 0xfa00_0004;
    let ring = Ring::traced(2, [read(1000, 1, 7), to_a]);
    let test = "an_access_tells_its_register_if_any_of_its_vm_has_a_name";
    let Some(viewed) = view(test, &ring.dump(), &["--config", &config]) else {
        return;
    };
    viewed.assert_same_accesses();
    let end = |event: &String| event.split_once("epoch = 0, ").unwrap().1.to_owned();
    let ends: Vec<_> = viewed.events.iter().map(end).collect();
    let expected = [
        "register = \"\", record = 1 }",
        "register = \"a\", record = 2 }",
    ];
    assert_eq!(ends, expected);
}

#[test]
fn what_was_overwritten_is_discarded_before_the_first_event() {
    let ring = Ring::traced(
        4,
        (1..=10).map(|number| read(number * 1000, number, number)),
    );
    let Some(viewed) = view("what_was_overwritten_is_discarded", &ring.dump(), &[]) else {
        return;
    };
    viewed.assert_same_accesses();
    assert_eq!(viewed.events.len(), 4);
    assert_eq!(viewed.lost(), (vec![6], vec![]));
    let warning = &viewed.warnings[0];
    assert!(
        warning.contains("between [00:00:00.000000000] and [00:00:00.007000000]"),
        "{warning}"
    );
}

#[test]
fn what_cannot_be_read_is_discarded_where_it_was_and_a_packet_is_lost() {
    let ring = Ring::traced(
        16,
        (1..=16).map(|number| read(number * 1000, number, number)),
    );
    let mut dump = ring.dump();
    // Numbers 5 and 6, 9, and the last.
    for index in [4, 5, 8, 15] {
        dump[2 * PAGE + index * SLOT] ^= 0x80;
    }
    let Some(viewed) = view("what_cannot_be_read_is_discarded_where_it_was", &dump, &[]) else {
        return;
    };
    viewed.assert_same_accesses();
    assert_eq!(viewed.events.len(), 12);
    assert_eq!(viewed.lost(), (vec![2, 1, 1], vec![1, 1, 1]));
    assert!(viewed.warnings.iter().any(|line| {
        line.contains("discarded 2 events between [00:00:00.004000000] and [00:00:00.007000000]")
    }));
}

#[test]
fn a_reset_raises_the_epoch_and_stops_no_viewer() {
    let ring = Ring::traced(
        8,
        [
            read(1000, 1, 5),
            internal(3, [2000, 0, 0, 0, 0], 1 << 32),
            in_epoch(read(3000, 2, 0), 1),
            internal(3, [4000, 0, 0, 0, 0], 2 << 32),
            in_epoch(read(5000, 3, 0), 2),
        ],
    );
    let Some(viewed) = view("a_reset_raises_the_epoch", &ring.dump(), &[]) else {
        return;
    };
    viewed.assert_same_accesses();
    assert_eq!(viewed.named("reset").len(), 2);
    let epochs: Vec<bool> = (0..3)
        .map(|epoch| viewed.named("trace_12")[epoch].contains(&format!("epoch = {epoch}")))
        .collect();
    assert_eq!(epochs, [true; 3]);
}

#[test]
fn a_stamp_that_steps_back_is_shown_at_the_time_before_it() {
    let times = [1000, 5000, 5100, 2000, 2500, 6000];
    let records = (1..)
        .zip(times)
        .map(|(number, time)| read(time, number, number));
    let Some(viewed) = view(
        "a_stamp_that_steps_back",
        &Ring::traced(8, records).dump(),
        &[],
    ) else {
        return;
    };
    let time_of = |event: &&String| event[10..19].to_owned();
    let shown: Vec<_> = viewed.named("trace_12").iter().map(time_of).collect();
    assert_eq!(
        shown,
        [
            "001000000",
            "005000000",
            "005100000",
            "005100000",
            "005100000",
            "006000000"
        ]
    );
    let told = viewed.named("wrong_stamp");
    let told: Vec<_> = told
        .iter()
        .map(|event| event.split('{').nth(1).unwrap())
        .collect();
    assert_eq!(told, [" stamp = 2000 }", " stamp = 2500 }"]);
    assert!(viewed.text.contains("[   0.002000] -      3100.000"));
}

#[test]
fn one_stamp_far_ahead_does_not_move_those_after_it() {
    for ahead in [1 << 40, u64::MAX] {
        let ring = Ring::traced(8, [read(1000, 1, 1), read(ahead, 2, 2), read(3000, 3, 3)]);
        let Some(viewed) = view("one_stamp_far_ahead", &ring.dump(), &[]) else {
            return;
        };
        let shown: Vec<&str> = viewed
            .named("trace_12")
            .iter()
            .map(|event| &event[10..19])
            .collect();
        assert_eq!(shown, ["001000000", "001000000", "003000000"]);
        assert!(viewed.named("wrong_stamp")[0].contains(&format!("stamp = {ahead} ")));
    }
}

#[test]
fn each_vm_is_a_stream_with_its_own_names() {
    let folder = tempfile::tempdir().unwrap();
    let config = |name, device| config(folder.path(), name, device);
    let one = config("one", "first emit-trace 12");
    let two = config("two", "se/cond emit-trace 12");
    let mut other = Ring::new(TRACE, 1, 4);
    other.push(tagged(read(1500, 1, 9), 12, 0, 1));
    other.push(tagged(write(2500, 2, 9, 10), 12, 0, 1));
    let dump = [
        Ring::traced(4, [read(1000, 1, 1), read(2000, 2, 1)]).dump(),
        other.dump(),
    ]
    .concat();
    let configs = ["--config", &one, "--config", &two];
    let Some(viewed) = view("each_vm_is_a_stream", &dump, &configs) else {
        return;
    };
    viewed.assert_same_accesses();
    let devices: Vec<_> = viewed
        .events
        .iter()
        .map(|event| event.split('"').nth(1).unwrap())
        .collect();
    assert_eq!(devices, ["first", "se/cond", "first", "se/cond"]);
}

#[test]
fn many_records_are_many_packets_and_none_is_missing() {
    let records = (1..=20_000).map(|number| read(number * 3, number, number));
    let ring = Ring::traced(1 << 15, records);
    let Some(viewed) = view("many_records_are_many_packets", &ring.dump(), &[]) else {
        return;
    };
    assert_eq!(viewed.events.len(), 20_000);
    viewed.assert_same_accesses();
    assert_eq!(viewed.warnings, Vec::<String>::new());
}

#[test]
fn an_empty_ring_is_an_empty_trace() {
    let Some(viewed) = view(
        "an_empty_ring_is_an_empty_trace",
        &Ring::new(TRACE, 0, 4).dump(),
        &[],
    ) else {
        return;
    };
    assert_eq!((viewed.events.len(), viewed.warnings.len()), (0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is in a dump, the viewer reads all of the trace, and its counts are the text's.
    #[test]
    fn no_dump_makes_a_trace_that_a_viewer_refuses(
        words in prop::collection::vec((0usize..8 * 16, any::<u64>()), 0..20),
        times in prop::collection::vec(prop_oneof![0u64..1 << 20, any::<u64>()], 24),
        header in prop::collection::vec((5usize..11, any::<u64>()), 0..3),
        kinds in prop::collection::vec(0u64..12, 24),
    ) {
        let records = (1..).zip(times).zip(kinds);
        let ring = Ring::traced(16, records.map(|((number, time), kind)| {
            let mut record = read(time, number, number);
            record[5] = record[5] & !0xff | kind;
            record
        }));
        let mut dump = ring.dump();
        for (word, value) in words {
            let at = 2 * PAGE + 8 * word;
            dump[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        for (word, value) in header {
            set_header(&mut dump, word, value);
        }
        if let Some(viewed) = view("no_dump_makes_a_trace_that_a_viewer_refuses", &dump, &[]) {
            let records = viewed.text.lines().find(|line| line.starts_with("vm0: ")).unwrap();
            let count: usize = records.split_whitespace().nth(1).unwrap().parse().unwrap();
            let shown = viewed.events.len() - viewed.named("wrong_stamp").len();
            prop_assert_eq!(shown, count);
        }
    }
}
