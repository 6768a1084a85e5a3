//! What a configuration says of devices: their options, how many they are, and what is beside them.

use crate::everywhere::{assert_that_the_guest_is_content, everywhere, on, on_architecture};
use crate::platforms::configs_of;
use guest_access::Direction;
use runner::Architecture;
use trace_records::Record;

#[test]
fn with_both_options_off_the_counter_works_and_nothing_is_told() {
    everywhere("both-off", |outcome| {
        outcome.assert_guest_is_done();
        assert!(outcome.logged().is_empty());
        assert_eq!(outcome.number("accesses = ", " logged"), 0);
        let traced = outcome.traced();
        assert!(traced.is_empty());
    });
}

#[test]
fn with_emit_trace_alone_the_ring_holds_every_access_and_the_log_none() {
    everywhere("trace-only", |outcome| {
        outcome.assert_guest_is_done();
        assert!(outcome.logged().is_empty());
        let accesses = outcome.number("accesses = ", " accesses");
        assert_eq!(outcome.number("accesses = ", " traced"), accesses);
        let traced = outcome.traced();
        assert_eq!(traced.len() as u64, accesses);
        assert!(traced.iter().all(|record| record.tag.event() == 7));
    });
}

#[test]
fn a_logger_that_leaves_info_out_logs_no_access() {
    everywhere("logger-without-info", |outcome| {
        outcome.assert_guest_is_done();
        assert!(outcome.logged().is_empty());
    });
}

#[test]
fn two_devices_have_a_counter_and_numbers_each() {
    everywhere("two-devices", |outcome| {
        outcome.assert_guest_is_done();
        // The line has room for a part of them, by chance for few of one device; the trace has all.
        let logged = outcome.logged();
        assert!(!logged.is_empty(), "{}", outcome.ran.platform);
        for device in ["trace0", "second"] {
            let mine: Vec<_> = logged.iter().filter(|it| it.device == device).collect();
            assert!(mine.is_sorted_by_key(|access| access.sequence));
        }
        let traced = outcome.traced();
        for (instance, event) in [(0, 12), (1, 13)] {
            let mine = traced.iter().filter(|it| it.tag.instance() == instance);
            assert!(mine.clone().all(|record| record.tag.event() == event));
            let sequences: Vec<u64> = mine.map(|record| record.sequence).collect();
            assert!(!sequences.is_empty(), "{}", outcome.ran.platform);
            assert_eq!(sequences, (1..=sequences.len() as u64).collect::<Vec<_>>());
        }
    });
}

#[test]
fn the_rest_of_the_page_reads_all_ones_and_is_counted() {
    everywhere("outside", |outcome| {
        outcome.assert_guest_is_done();
        // The guest reads, writes and reads again, in three widths, at three places.
        assert_eq!(outcome.number("outside a device", " outside a device"), 27);
        assert!(outcome.contains("no device: "));
        let traced = outcome.traced();
        for direction in [Direction::Read, Direction::Write] {
            for width in [1, 2, 4] {
                let is_such = |record: &Record| {
                    (record.tag.direction(), record.tag.width_bytes()) == (direction, width)
                };
                assert!(traced.iter().any(is_such), "no {direction:?} of {width}");
            }
        }
    });
}

#[test]
fn an_adder_adds_in_any_order_and_refuses_what_it_does_not_have() {
    everywhere("adder", |outcome| {
        outcome.assert_guest_is_done();
        // A byte and a half of each of the three words, read and written, and the sum written.
        assert_eq!(outcome.number("accesses = ", " refused"), 13);
    });
}

#[test]
fn what_goes_into_a_fifo_comes_out_once_and_in_its_order() {
    assert_that_the_guest_is_content("fifo-tester");
}

#[test]
fn arm_s_clock_is_what_its_manual_says() {
    assert_that_the_guest_is_content("rtc-pl031");
}

/// Its ports are a PC's.
#[test]
fn the_pc_s_clock_is_what_its_manual_says() {
    let scenario = "rtc-mc146818";
    let platforms = on_architecture(scenario, Architecture::X86_64);
    on(platforms, &configs_of(scenario), None, |outcome| {
        outcome.assert_guest_is_done();
    });
}

#[test]
fn rom_is_read_without_a_trap_and_written_without_effect() {
    everywhere("rom", |outcome| {
        outcome.assert_guest_is_done();
        // The guest reads it twice, some hundred thousand words.
        assert_eq!(outcome.number("outside a device", " outside a device"), 5);
    });
}

#[test]
fn vms_beside_each_other_have_roms_of_their_own() {
    everywhere("rom-beside", |outcome| {
        for name in ["rom-0", "rom-1"] {
            let done = format!("{name}| guest: done");
            assert!(outcome.contains(&done), "{}", outcome.ran.platform);
        }
    });
}
