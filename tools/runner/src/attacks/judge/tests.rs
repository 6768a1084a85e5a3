//! What a run may print, and what is made of it.

use super::*;
use crate::{Architecture, Board, Emulator, Microkit, SystemDescription, Unikernel};
use std::path::Path;

const NAMED: &str = "[   1.712649] error attacker: its VMM misbehaves: 1 times, last a record";

/// The lines of a run in which the witness fared well, with others in the middle.
fn run_with(more: &[&str]) -> Vec<String> {
    let before = [
        "[   1.505000] attacker| guest: attack record-of-no-kind",
        "[   1.512832] witness| guest: counters right, mean 6619 ns, longest 9015936 ns",
        "[   1.520000] info  witness trace0 cpu0 R4 0xfa000000 = 0 pc 0x40081208 seq 1",
    ];
    let after = [
        "[   3.512850] witness| guest: counters right, mean 6620 ns, longest 31744 ns",
        "[   5.014975] witness| guest: done",
        "[   5.015141] info  witness trace0: 1 accesses = 1 reads + 0 writes + 0 refused; 1 logged",
        "verdict: ok",
    ];
    let all = before.iter().chain(more).chain(&after);
    all.map(|line| (*line).to_owned()).collect()
}

fn platform() -> Platform {
    Platform::Unikernel(Unikernel {
        architecture: Architecture::Aarch64,
        kernel: "kernel".into(),
        cpu: None,
    })
}

fn judged(name: &str, lines: &[String], ended: Option<&str>) -> Outcome {
    judged_on(&platform(), name, lines, ended)
}

fn judged_on(platform: &Platform, name: &str, lines: &[String], ended: Option<&str>) -> Outcome {
    let target = Target::of(platform, Path::new("."));
    let boot = Boot::alone(::attacks::find(name).unwrap(), &target);
    judge(&boot, &target, lines, ended).remove(0).outcome
}

fn of_a_record(lines: &[String]) -> Outcome {
    judged("record-of-no-kind", lines, None)
}

fn why(outcome: Outcome) -> String {
    match outcome {
        Outcome::Fell(why) => why,
        held => panic!("{held:?}"),
    }
}

#[test]
fn an_attack_holds_that_is_named_and_harms_nobody() {
    assert_eq!(of_a_record(&run_with(&[NAMED])), Outcome::Held);
    assert!(why(of_a_record(&run_with(&[]))).contains("no line with"));
}

#[test]
fn a_name_that_comes_too_late_is_none() {
    let late = NAMED.replace("1.712649", "3.012649");
    assert!(why(of_a_record(&run_with(&[&late]))).contains("only after 1507 ms"));
}

#[test]
fn an_attack_that_was_not_announced_was_not_tried() {
    let lines = run_with(&[NAMED]);
    assert_eq!(of_a_record(&lines[1..]), Outcome::NotTried(None));
}

/// Of a list on which it falls, too: an emulator that does not start proves nothing.
#[test]
fn an_attack_that_was_not_tried_went_as_no_list_says() {
    let platform = platform();
    let target = Target::of(&platform, Path::new("."));
    for attack in ::attacks::ALL.iter().copied().flatten() {
        let boot = Boot::alone(attack, &target);
        let judged = judge(&boot, &target, &[], Some("no emulator")).remove(0);
        let told = Outcome::NotTried(Some("no emulator".into()));
        assert_eq!(judged.outcome, told, "{}", attack.name);
        assert!(!judged.is_as_wanted(), "{}", attack.name);
    }
}

#[test]
fn forged_text_is_the_attackers_only_after_its_name() {
    let own = "[   1.600000] attacker| [   0.000001] info  witness trace0: forged";
    assert_eq!(of_a_record(&run_with(&[NAMED, own])), Outcome::Held);
    let beginning = "[   1.600000] attacker> forged";
    assert_eq!(of_a_record(&run_with(&[NAMED, beginning])), Outcome::Held);
    for forged in [
        "verdict: ok forged",
        "verdict: ok fofo  attacker trarce0 cpu0",
        "[   0.000001] witness| guest: forged",
        "[   0.000001] witness> forged",
        "\u{1b}[2J",
    ] {
        let lie = why(of_a_record(&run_with(&[NAMED, forged])));
        assert!(
            lie.contains("forged line")
                || lie.contains("forged verdict")
                || lie.contains("raw characters"),
            "{lie}"
        );
    }
}

#[test]
fn whoever_attacks_may_die_and_begin_again_and_nobody_else() {
    let board_name = "qemu_virt_aarch64";
    let boards = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards");
    let board = Board::load(&boards, board_name).unwrap();
    let emulator = Emulator::of(&board).unwrap();
    let sel4 = Microkit {
        sdk: "sdk".into(),
        board_name: board_name.into(),
        board,
        config: "release".into(),
        domains: "domains".into(),
        system: SystemDescription::Made(Vec::new()),
    };
    let platform = Platform::Microkit(sel4, emulator);
    let outcome_of = |attack: &str, more: &[&str]| {
        let mut lines = run_with(more);
        lines[0] = format!("[   1.505000] attacker| guest: attack {attack}");
        judged_on(&platform, attack, &lines, Some("(verdict: failed)"))
    };
    let outcome = |more: &[&str]| outcome_of("write-null", more);
    let died = "warn pd-vmm restarted (1): data abort at 0x0 at pc 0x21b2ec, fsr 0x93c08044";
    let stays_dead = "panic in pd-vmm: data abort at 0x0 at pc 0x21b2ec, fsr 0x93c08044";
    assert_eq!(outcome(&[died]), Outcome::Held);
    assert_eq!(outcome(&[died, stays_dead]), Outcome::Held);
    let otherwise = "warn pd-vmm restarted (1): undefined instruction or exception at pc 0x21b2ec";
    assert!(why(outcome(&[otherwise])).contains("no line with"));
    for other in [
        "warn pd-trace restarted (1): data abort at 0x0 at pc 0x2159b8",
        "warn pd-vmm-1 restarted (1): data abort at 0x0 at pc 0x21b2ec",
        "panic in pd-console: data abort at 0x0 at pc 0x216b20",
        "hung: pd-clock has given no sign of life for 5 s",
    ] {
        assert_eq!(why(outcome(&[died, other])), other);
    }
    // For as long as a hang takes to be found the witness may wait, if the list says so.
    let hung = "warn pd-console restarted (1): hung: has had 79 ms of the CPU";
    for (longest_ns, wanted) in [(149_000_000, None), (151_000_000, Some("took 151 ms"))] {
        let waits = format!("[   2.5] witness| guest: counters right, longest {longest_ns} ns");
        match (outcome_of("console-spins", &[hung, &waits]), wanted) {
            (Outcome::Mended, None) => {}
            (Outcome::Fell(why), Some(wanted)) => assert!(why.contains(wanted), "{why}"),
            (other, _) => panic!("{longest_ns}: {other:?}"),
        }
    }
}

#[test]
fn ok_is_a_lie_after_a_vm_has_failed() {
    let failed = "[   1.700707] fatal attacker: ended: the guest says that it failed, code 1";
    assert!(why(of_a_record(&run_with(&[NAMED, failed]))).contains("the verdict is ok after"));
    let lines = run_with(&[NAMED, failed]);
    let told = judged("second-end", &lines, Some("fatal … (verdict: failed)"));
    // Another attack's name was announced.
    let reason = "fatal … (verdict: failed)";
    assert_eq!(told, Outcome::NotTried(Some(reason.into())));
}

#[test]
fn a_witness_that_is_starved_wrong_or_not_told_of_whole_is_harmed() {
    let slow = "[   2.5] witness| guest: counters right, mean 1 ns, longest 25000001 ns";
    assert!(why(of_a_record(&run_with(&[NAMED, slow]))).contains("took 25 ms"));
    let wrong = "[   2.5] witness| guest: counter wrong: 7 instead of 2, longest 1 ns";
    assert!(why(of_a_record(&run_with(&[NAMED, wrong]))).contains("7 instead of 2"));
    let warned = "[   2.500000] warn  witness: 3 log lines lost";
    assert!(why(of_a_record(&run_with(&[NAMED, warned]))).contains("3 log lines lost"));
    let mut missing = run_with(&[NAMED]);
    missing.retain(|line| !line.ends_with("seq 1"));
    assert!(why(of_a_record(&missing)).contains("not whole"));
}

#[test]
fn a_run_without_a_verdict_is_harmed() {
    let ended = Some("no verdict within 8 s");
    let outcome = judged("record-of-no-kind", &run_with(&[NAMED]), ended);
    assert_eq!(why(outcome), "no verdict within 8 s");
}
