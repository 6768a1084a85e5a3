//! What is told of each access, in the log and in the trace ring, and what is lost of it.

use crate::fixtures::trace_device;
use crate::machine::{HZ, MS, System};
use trace_records::TRACE_SLOTS;
use vm_config::Unsupported;

#[test]
fn each_access_is_one_log_line_that_says_it_all() {
    let mut system = System::new();
    system.pass(1_250 * MS);
    system.read();
    system.write(1000);
    system.pass(20 * MS);
    assert_eq!(
        system.lines(" info "),
        [
            "[   1.250000] info  demo trace0 cpu0 R4 0xfa000000 = 1 pc 0x40080000 seq 1",
            "[   1.250000] info  demo trace0 cpu0 W4 0xfa000000 = 1 -> 1000 pc 0x40080000 seq 2",
        ]
    );
}

#[test]
fn a_traced_read_names_the_state_that_it_saw() {
    let mut system = System::new();
    system.write(7);
    system.read();
    system.pass(20 * MS);
    system.read();
    system.pass(20 * MS);
    let records = system.traced();
    let seen: Vec<_> = records
        .iter()
        .map(|record| (record.sequence, record.state_seen))
        .collect();
    assert_eq!(seen, [(1, 0), (2, 1), (3, 2)]);
    assert!(records.iter().all(|record| record.tag.event() == 12));
}

#[test]
fn with_both_options_off_the_device_works_in_silence() {
    let mut system = System::with(&[trace_device(false, None)], Unsupported::default());
    system.write(3);
    system.pass(HZ);
    assert_eq!(system.read(), 4);
    system.power_off();
    assert_eq!(system.traced(), []);
    assert!(system.lines("cpu0").is_empty());
    assert!(
        system
            .screen
            .0
            .contains("2 accesses = 1 reads + 1 writes + 0 refused; 0 logged, 0 traced; counter 4")
    );
}

#[test]
fn in_a_storm_printed_and_lost_lines_add_up() {
    let mut system = System::new();
    let accesses = 50_000;
    for _ in 0..accesses {
        system.read();
        system.pass(10);
    }
    system.power_off();
    let printed = system.lines(" cpu0 R4 ").len() as u64;
    let lost: u64 = system
        .lines("log lines lost")
        .iter()
        .map(|line| {
            line.split_whitespace()
                .rev()
                .nth(3)
                .unwrap()
                .parse::<u64>()
                .unwrap()
        })
        .sum();
    assert_eq!(printed + lost, accesses, "{}", system.screen.0);
    assert!(
        system.screen.0.len() < 20_000,
        "{} bytes",
        system.screen.0.len()
    );
    assert!(system.screen.0.contains("50000 accesses = 50000 reads"));
    let summary = system.lines("not logged")[0];
    let number = |before: &str| -> u64 {
        let head = summary.split(before).next().unwrap();
        head.split_whitespace().last().unwrap().parse().unwrap()
    };
    assert_eq!(
        number(" not logged") + number(" not printed") + printed,
        accesses
    );
    assert_eq!(number(" overwritten"), accesses - TRACE_SLOTS as u64);
}

#[test]
fn at_fifty_accesses_a_second_each_line_is_out_within_20_ms() {
    let mut system = System::new();
    for access in 1..=200 {
        system.read();
        system.pass(20 * MS);
        assert_eq!(system.lines(" cpu0 R4 ").len(), access);
    }
}
