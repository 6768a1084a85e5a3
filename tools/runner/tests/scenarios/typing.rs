//! Guests that are typed at, by sessions, wherever one can type: on aarch64.

use crate::everywhere::on_architecture;
use crate::platforms::ran::Ran;
use crate::platforms::{configs_of, guests, instruction_ns_log2, root};
use console_wire::Filter;
use runner::{Architecture, Follower, Heard, Keyboard, Request, Session, run_followed};
use std::ops::ControlFlow;
use std::time::Duration;

/// A session, and what comes in pieces.
struct Listener {
    session: Session,
    printed: Vec<u8>,
}

impl Follower for Listener {
    fn begins(&mut self, keyboard: Option<Keyboard>) {
        self.session.begins(keyboard);
    }

    fn follow(&mut self, heard: Option<&Heard>) -> ControlFlow<Result<(), String>> {
        if let Some(Heard::Printed { bytes, .. }) = heard {
            self.printed.extend(bytes);
        }
        self.session.follow(heard)
    }

    fn has_seen_all(&mut self) -> Result<(), String> {
        self.session.has_seen_all()
    }
}

/// Runs a scenario with a session on each platform; `check` gets what was printed in lines, and in pieces.
fn typed_at(scenario: &str, session: &str, check: impl Fn(&[String], &[u8])) {
    for platform in on_architecture(scenario, Architecture::Aarch64) {
        let work = tempfile::tempdir().unwrap();
        let request = Request {
            configs: &configs_of(scenario),
            images: &guests(&platform),
            work: work.path(),
            platform: &platform,
            icount: Some(instruction_ns_log2(&platform)),
            dump: None,
            counted: None,
            until: None,
            deadline: Some(Duration::from_secs(600)),
        };
        let session = Session::parse(scenario, session);
        let session = session.unwrap_or_else(|failure| panic!("{failure}"));
        let printed = Vec::new();
        let mut listener = Listener { session, printed };
        let ran = Ran {
            result: run_followed(&request, &mut listener),
            platform: platform.name(),
        };
        check(ran.lines(), &listener.printed);
    }
}

fn has(lines: &[String], text: &str) -> bool {
    lines.iter().any(|line| line.ends_with(text))
}

#[test]
fn a_shell_obeys_what_is_typed_and_the_console_what_follows_ctrl_a() {
    let session = root().join("tools/runner/scenarios/shell.session");
    let session = std::fs::read_to_string(session).unwrap();
    typed_at("shell", &session, |lines, _| {
        assert!(has(lines, "info  shell: ended: powered off by the guest"));
        assert!(!lines.iter().any(|line| line.contains("lost,")));
        let verdicts = lines.iter().filter(|line| line.starts_with("verdict: "));
        assert_eq!(verdicts.count(), 1);
    });
}

#[test]
fn what_is_typed_is_for_one_of_two_vms_and_which_is_chosen_by_typing() {
    let session = "send echo for the first\\r\nexpect one| for the first\n\
        send \\x012echo for the second\\r\nexpect info  typed at: VM 2, other\nexpect other| for the second\n\
        send \\x018\nexpect warn  there is no VM 8; typed at: VM 2, other\n\
        send exit\\r\nexpect info  other: ended\n\
        send \\x011exit\\r\n";
    typed_at("two-shells", session, |lines, _| {
        assert!(!has(lines, "other| for the first"));
        assert!(!has(lines, "one| for the second"));
    });
}

#[test]
fn more_is_typed_than_fits_before_anybody_listens_and_nothing_is_lost() {
    let line = |number: usize| format!("{number:03} abcdefghijklmnopqrstuvwxyz0123456789");
    let all: String = (0..150)
        .map(|number| format!("echo {}\\r", line(number)))
        .collect();
    let session = format!("within 100\nsend {all}exit\\r\nexpect deaf: ended\n");
    typed_at("shell-deaf", &session, |lines, _| {
        let said = |line: &String| Some(line.split_once("deaf| ")?.1.to_owned());
        let said: Vec<_> = lines.iter().filter_map(said).collect();
        let echoed: Vec<_> = said
            .iter()
            .filter(|text| text.starts_with(char::is_numeric))
            .collect();
        let wanted: Vec<_> = (0..150).map(line).collect();
        assert!(echoed.into_iter().eq(&wanted), "{said:#?}");
    });
}

#[test]
fn what_a_hostile_guest_prints_in_pieces_is_its_own_and_harmless_at_a_terminal() {
    let session = "expect shell: ready\nsend \\x01p\nexpect guests' output comes in pieces\n\
        send hostile\\r\nexpect red\nsend exit\\r\n";
    typed_at("shell", session, |lines, printed| {
        let forged =
            b"\x02\x031verdict: ok\x03\r\nverdict: ok\r\n[   0.000000] fatal other: forged";
        assert!(printed.windows(forged.len()).any(|place| place == forged));
        let verdicts = lines.iter().filter(|line| line.contains("verdict: ok"));
        assert_eq!(verdicts.count(), 1, "{lines:#?}");
        assert!(
            !lines.iter().any(|line| line.contains("forged")),
            "{lines:#?}"
        );
        let (mut filter, mut shown) = (Filter::default(), Vec::new());
        for byte in printed {
            filter.push(*byte, |part| shown.extend(part));
        }
        let shown = String::from_utf8(shown).unwrap();
        assert!(shown.contains("\x1b[31mred\x1b[0m"), "{shown:?}");
        let without_colours = shown.replace("\x1b[31m", "").replace("\x1b[0m", "");
        let is_plain = |c: char| !c.is_control() || matches!(c, '\r' | '\n');
        assert!(without_colours.chars().all(is_plain), "{shown:?}");
        assert!(!shown.contains("owned"), "{shown:?}");
    });
}
