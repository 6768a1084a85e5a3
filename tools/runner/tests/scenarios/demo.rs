//! The demo: what the README shows of it holds on every platform.

use crate::everywhere::everywhere;
use crate::outcome::Outcome;
use crate::seconds::assert_that_ticks_are_seconds;
use regex::Regex;

/// Every line has one of the forms that the README shows.
fn assert_that_each_line_is_known(outcome: &Outcome) {
    let lines = [
        r"demo\| guest: .+",
        r"info  demo trace0 cpu0 R4 0xfa000000 = \d+ pc 0x[0-9a-f]+ seq \d+",
        r"info  demo trace0 cpu0 W4 0xfa000000 = \d+ -> \d+ pc 0x[0-9a-f]+ seq \d+",
        r"info  demo trace0: \d+ accesses = \d+ reads \+ \d+ writes \+ \d+ refused; \d+ logged, \d+ traced; counter \d+",
        r"info  demo: lost: \d+ not logged, \d+ not printed, \d+ overwritten in the trace, \d+ unrecorded; \d+ outside a device, \d+ misbehaviour",
        r"info  demo: accesses from \[ *\d+\.\d{6}\] to \[ *\d+\.\d{6}\], recorded by \[ *\d+\.\d{6}\]",
        r"info  demo: ended: powered off by the guest",
    ];
    let line = Regex::new(&format!(r"^\[ *\d+\.\d{{6}}\] (?:{})$", lines.join("|"))).unwrap();
    for text in outcome.lines().iter().filter(|text| text.starts_with('[')) {
        assert!(line.is_match(text), "{}: {text}", outcome.ran.platform);
    }
}

#[test]
fn the_demo_logs_each_access_once_and_the_sums_agree() {
    everywhere("demo", |outcome| {
        outcome.assert_guest_is_done();
        let logged = outcome.logged();
        let sequences: Vec<u64> = logged.iter().map(|access| access.sequence).collect();
        assert_eq!(sequences, (1..=logged.len() as u64).collect::<Vec<_>>());
        assert!(logged.is_sorted_by_key(|access| access.seconds));
        let writes: Vec<u64> = logged
            .iter()
            .filter(|it| it.write)
            .map(|it| it.value)
            .collect();
        assert_eq!(writes, [1000]);
        assert_that_each_line_is_known(&outcome);
        let written = logged.iter().position(|access| access.write).unwrap();
        let (before, after) = logged.split_at(written);
        assert_that_ticks_are_seconds(before.iter());
        assert!(
            before.is_sorted_by_key(|access| access.value) && before.last().unwrap().value >= 5
        );
        assert!(
            after.is_sorted_by_key(|access| access.value) && after.last().unwrap().value == 1002
        );
        let count = logged.len() as u64;
        assert_eq!(outcome.number("accesses = ", " accesses"), count);
        assert_eq!(outcome.number("accesses = ", " reads"), count - 1);
        assert_eq!(outcome.number("accesses = ", " writes"), 1);
        assert_eq!(outcome.number("accesses = ", " logged"), count);
        assert_eq!(outcome.number("accesses = ", " traced"), count);
        for kind_of_loss in [" not logged", " not printed", " overwritten", " unrecorded"] {
            assert_eq!(outcome.number("not logged", kind_of_loss), 0);
        }
        let traced = outcome.traced();
        assert_eq!(traced.len() as u64, count);
        assert!(traced.iter().all(|record| record.tag.event() == 12));
    });
}

/// The lines of a run by whom they come from, times and values aside, equal neighbours once:
/// how many readings it takes to see a tick depends on when in a second the guest starts.
fn lines_by_source(outcome: &Outcome) -> [Vec<String>; 2] {
    let number =
        Regex::new(r"\[ *\d+\.\d+\]|\d+ ms|(counter|=|seq) \d+|pc 0x[0-9a-f]+|\d+ (accesses|reads|logged|traced)")
            .unwrap();
    let lines = outcome.lines().iter().filter(|line| line.starts_with('['));
    let (guest, log) = lines.partition(|line| line.contains("| guest: "));
    [guest, log].map(|lines: Vec<&String>| {
        let bare = lines.iter().map(|line| number.replace_all(line, "#"));
        let mut bare: Vec<_> = bare.map(String::from).collect();
        bare.dedup();
        bare
    })
}

#[test]
fn every_platform_prints_the_same_source_by_source() {
    let transcripts = std::cell::RefCell::new(Vec::new());
    everywhere("demo", |outcome| {
        transcripts.borrow_mut().push(lines_by_source(&outcome));
    });
    let transcripts = transcripts.into_inner();
    for transcript in &transcripts {
        assert!(
            transcript.iter().all(|lines| lines.len() > 5),
            "{transcript:#?}"
        );
        assert_eq!(transcript, &transcripts[0]);
    }
}
