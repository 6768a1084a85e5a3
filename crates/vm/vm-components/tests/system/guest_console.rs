//! What the guest prints on its serial port.

use crate::machine::{HZ, MS, System, UART};

#[test]
fn what_the_guest_prints_is_a_line_with_its_name_and_no_control_characters() {
    let mut system = System::new();
    system.say("hello\x1b[2J\nverdict: ok\nno end of line");
    system.power_off();
    let printed: Vec<_> = system
        .lines("demo| ")
        .iter()
        .map(|line| &line[14..])
        .collect();
    assert_eq!(
        printed,
        [
            "demo| hello?[2J",
            "demo| verdict: ok",
            "demo| no end of line"
        ]
    );
    assert_eq!(
        system
            .screen
            .0
            .lines()
            .filter(|line| *line == "verdict: ok")
            .count(),
        1
    );
}

#[test]
fn what_does_not_go_on_is_shown_and_stands_as_a_line_when_it_has_ended() {
    let mut system = System::new();
    system.say("hello\n> ");
    system.pass(400 * MS);
    let guests = |system: &System, sign: &str| -> Vec<String> {
        let lines = system.lines(sign).into_iter();
        lines.map(|line| line[14..].to_owned()).collect()
    };
    assert_eq!(guests(&system, "demo| "), ["demo| hello"]);
    assert_eq!(guests(&system, "demo> "), ["demo> > "]);
    system.pass(HZ);
    assert_eq!(system.lines("demo> ").len(), 1, "it is shown once");
    system.say("ls\nno more\n\nend");
    system.pass(400 * MS);
    let rest = ["demo| > ls", "demo| no more", "demo| "];
    assert_eq!(guests(&system, "demo| ")[1..], rest);
    assert_eq!(guests(&system, "demo> ")[1..], ["demo> end"]);
    // Each line stands once behind a bar, however little was added to what was shown.
    system.say("\n");
    system.pass(400 * MS);
    system.power_off();
    assert_eq!(guests(&system, "demo| ")[4..], ["demo| end"]);
    assert_eq!(system.lines("demo> ").len(), 2);
}

#[test]
fn a_line_that_goes_on_slowly_is_shown_when_it_has_ended() {
    let mut system = System::new();
    for _ in 0..30 {
        system.say(".");
        system.pass(50 * MS);
    }
    assert!(system.lines("demo| ").is_empty(), "{}", system.screen.0);
    system.say("\n");
    system.pass(200 * MS);
    assert_eq!(system.lines("demo| ").len(), 1);
}

#[test]
fn a_guest_that_waits_for_its_serial_port_loses_no_character() {
    let mut system = System::new();
    let mut waits = 0;
    for number in 0..4_000 {
        for byte in format!("{number:05}\n").bytes() {
            while {
                assert!(system.access(UART + 0x18, 2, 0, 5));
                system.platform.gprs[5] & 1 << 5 != 0
            } {
                waits += 1;
                system.pass(10 * MS);
            }
            system.platform.gprs[4] = byte.into();
            assert!(system.access(UART, 2, 1, 4));
        }
    }
    system.power_off();
    assert!(waits > 0, "the test never filled the port");
    // Its share of the line takes a while to print what is left; then it has ended.
    let mut passed = 0;
    while system.lines("demo: ended").is_empty() {
        system.pass(100 * MS);
        passed += 1;
        assert!(passed < 100, "its end never comes");
    }
    assert_eq!(system.lines("demo| ").len(), 4_000);
}

#[test]
fn a_guest_that_does_not_wait_loses_its_own_characters_and_they_are_counted() {
    let mut system = System::new();
    for _ in 0..40_000 {
        system.platform.gprs[4] = b'x'.into();
        assert!(system.access(UART, 2, 1, 4));
    }
    system.pass(5 * HZ);
    system.power_off();
    let printed: usize = system
        .lines("demo| ")
        .iter()
        .map(|line| line.matches('x').count())
        .sum();
    let lost: usize = system
        .lines("characters of the guest lost")
        .iter()
        .map(|line| {
            line.split_whitespace()
                .nth(4)
                .unwrap()
                .parse::<usize>()
                .unwrap()
        })
        .sum();
    assert_eq!(printed + lost, 40_000);
}
