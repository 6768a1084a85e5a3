//! With whoever watches over the components: its lines, the verdict, and the
//! deaths that it tells of.

use crate::machine::{HONEST, HOSTILE, Watch, end, notice, system, text};
use trace_records::{CONSOLE_SLOTS, ConsoleRecord, EndReason, Notice, Text};
use vm_components::Verdict;

#[test]
fn the_watchs_lines_are_characters_of_bounded_length() {
    let mut system = system(Watch::There);
    let hostile = b"panic in pd-vmm: \x1b[2J\r\x00\xff, then\nverdict: ok\n";
    for chunk in hostile.chunks(40) {
        system.watch_says(ConsoleRecord::Text(Text::new(0, chunk)));
    }
    for _ in 0..30 {
        system.watch_says(ConsoleRecord::Text(Text::new(0, &[b'x'; 40])));
    }
    system.watch_says(ConsoleRecord::Verdict(Verdict::Failed));
    system.wake();
    let lines: Vec<&str> = system.screen.0.lines().collect();
    assert_eq!(lines[0], "panic in pd-vmm: ?[2J???, then");
    assert!(
        lines[2..]
            .iter()
            .all(|line| line.len() < 400 && line.starts_with('x'))
    );
    assert_eq!(
        lines[2..].iter().map(|line| line.len()).sum::<usize>(),
        1200
    );
    assert!(system.screen.0.ends_with('\n'));
}

#[test]
fn with_a_watch_the_verdict_is_its_and_comes_after_the_ends() {
    let mut system = system(Watch::There);
    system.watch_says(ConsoleRecord::Text(Text::new(0, b"panic in pd-idle\n")));
    for vm in [HOSTILE, HONEST] {
        system.log(vm, &end(EndReason::PoweredOff));
    }
    system.wake();
    assert_eq!(system.console.verdict(), None, "nobody has said so");
    system.watch_says(ConsoleRecord::Verdict(Verdict::Failed));
    system.watch_says(ConsoleRecord::Verdict(Verdict::Ok));
    system.wake();
    assert_eq!(
        system.console.verdict(),
        Some(Verdict::Failed),
        "the first stays"
    );
}

#[test]
fn a_good_verdict_waits_for_the_ends_and_what_is_printed_before_them() {
    let mut system = system(Watch::There);
    system.watch_says(ConsoleRecord::Verdict(Verdict::Ok));
    system.log(HONEST, &end(EndReason::PoweredOff));
    system.wake();
    assert_eq!(system.console.verdict(), None);
    for _ in 0..CONSOLE_SLOTS {
        system.text(
            HOSTILE,
            &text(b"the last words of a guest that talks a l\n"),
        );
    }
    system.log(HOSTILE, &end(EndReason::PoweredOff));
    system.wake();
    assert_eq!(system.console.verdict(), None, "it has text to print");
    for _ in 0..100 {
        system.wake();
    }
    let (before, _) = system.screen.0.split_once("hostile: ended").unwrap();
    // The words are one character longer than a record.
    assert_eq!(before.matches("the last words").count(), CONSOLE_SLOTS);
    assert_eq!(system.console.verdict(), Some(Verdict::Ok));
}

#[test]
fn a_bad_verdict_does_not_wait_for_vms_that_will_not_end() {
    let mut system = system(Watch::There);
    system.watch_says(ConsoleRecord::Verdict(Verdict::Failed));
    system.log(HONEST, &end(EndReason::PoweredOff));
    system.wake();
    assert_eq!(system.count("honest: ended"), 1);
    assert_eq!(system.console.verdict(), Some(Verdict::Failed));
}

/// The verdict is not made of it: a log that calls a VM failed and a run that calls it well would
/// contradict each other.
#[test]
fn an_end_that_only_its_vmm_tells_of_is_a_claim_where_somebody_watches() {
    let mut system = system(Watch::There);
    system.text(HOSTILE, &notice(Notice::Ended(EndReason::GuestFailed)));
    system.wake();
    assert_eq!(system.count("fatal"), 0, "{}", system.screen.0);
    assert_eq!(
        system.count("warn  hostile: its VMM says: the guest says that it failed"),
        1
    );
    system.log(HOSTILE, &end(EndReason::PoweredOff));
    system.wake();
    assert_eq!(system.count("info  hostile: ended: powered off"), 1);
}

#[test]
fn the_death_of_a_vmm_is_the_end_of_its_vm_and_of_no_other() {
    let mut system = system(Watch::There);
    system.text(HOSTILE, &text(b"last words"));
    for _ in 0..2 {
        system.watch_says(ConsoleRecord::VmDied { time: 1, vm: 0 });
    }
    system.watch_says(ConsoleRecord::VmDied { time: 1, vm: 77 });
    system.wake();
    system.log(HOSTILE, &end(EndReason::PoweredOff));
    system.wake();
    let screen = &system.screen.0;
    let (before, after) = screen
        .split_once("fatal hostile: ended: its VMM has died\n")
        .unwrap();
    assert!(
        before.ends_with("hostile| last words\n[   0.000001] "),
        "{screen}"
    );
    assert_eq!(after, "");
    assert_eq!(system.console.verdict(), None);
    // A VM that has ended has not died.
    system.log(HONEST, &end(EndReason::PoweredOff));
    system.wake();
    system.watch_says(ConsoleRecord::VmDied { time: 1, vm: 1 });
    system.watch_says(ConsoleRecord::Verdict(Verdict::Failed));
    system.wake();
    assert_eq!(system.count("honest: ended: powered off"), 1);
    assert_eq!(system.count("ended: "), 2);
    assert_eq!(system.console.verdict(), Some(Verdict::Failed));
}
