use super::*;

fn session(text: &str) -> Session {
    let mut session = Session::parse("s.txt", text).unwrap_or_else(|failure| panic!("{failure}"));
    session.begins(None);
    session
}

fn mistakes(text: &str) -> String {
    match Session::parse("s.txt", text) {
        Err(Failure::Config(text)) => text,
        _ => panic!("it was taken"),
    }
}

fn line(text: &str) -> Heard {
    Heard::Line(text.into())
}

#[test]
fn steps_are_read_with_their_bytes() {
    let session = session("# a\n\n  within 0.5\nexpect  a b \nsend \\x1b[A\\r\\n\\t\\\\ é\nend\n");
    let steps: Vec<_> = session.steps.into_iter().collect();
    assert_eq!(
        steps,
        [
            (3, Step::Within(Duration::from_millis(500))),
            (4, Step::Expect(b"a b".into())),
            (5, Step::Send("\x1b[A\r\n\t\\ é".into())),
            (6, Step::End),
        ]
    );
}

#[test]
fn mistakes_are_all_told_with_line_column_and_hint() {
    let text = mistakes("expct a\nsend\n  within soon\nexpect a\\qb\nsend \\x1\nend now\n");
    for wanted in [
        "error: `expct a` is no step of a session\n --> s.txt:1:1\n  |\n1 | expct a\n  | ^^^^^\n",
        "error: `send` without a text\n --> s.txt:2:1\n",
        "error: `soon` is no time\n --> s.txt:3:10\n  |\n3 |   within soon\n  |          ^^^^\n",
        "error: a `\\` that stands for nothing\n --> s.txt:4:9\n",
        "--> s.txt:5:6\n",
        "error: `end now` is no step of a session\n --> s.txt:6:1\n",
        "= help: there is `expect TEXT`, `send TEXT`",
    ] {
        assert!(text.contains(wanted), "{wanted}\n---\n{text}");
    }
}

#[test]
fn what_is_expected_is_found_in_order_also_in_a_line_without_end_and_once() {
    let mut session = session("expect one\nexpect login:\nexpect two\nend\n");
    assert!(session.follow(Some(&line("one two one"))).is_continue());
    assert_eq!(session.at, 1);
    let beginning = Heard::Beginning("login: ".into());
    assert!(session.follow(Some(&beginning)).is_continue());
    assert_eq!(session.at, 2, "two came before");
    let printed = Heard::Printed {
        vm: 0,
        bytes: b"t".into(),
    };
    assert!(session.follow(Some(&printed)).is_continue());
    let printed = Heard::Printed {
        vm: 0,
        bytes: b"wo".into(),
    };
    assert_eq!(session.follow(Some(&printed)), ControlFlow::Break(Ok(())));
}

#[test]
fn what_does_not_come_is_told_with_its_line_and_the_last_output() {
    let mut session = session("within 2\nexpect login:\n");
    assert!(
        session
            .follow(Some(&line("[   1.000000] demo| hello")))
            .is_continue()
    );
    let ControlFlow::Break(Err(reason)) = session.follow(Some(&line("[   3.500000] demo| bye")))
    else {
        panic!("it waits on");
    };
    assert!(reason.starts_with("s.txt:2: `login:` did not come in time (within 2 s)"));
    assert!(reason.contains("demo| hello") && reason.contains("demo| bye"));
}

#[test]
fn a_run_that_ends_before_its_session_is_no_success() {
    let mut early = session("expect never\n");
    assert!(
        early
            .has_seen_all()
            .is_err_and(|reason| reason.contains("`never`"))
    );
    let mut over = session("expect a\n");
    assert!(over.follow(Some(&line("a"))).is_continue());
    assert_eq!(over.has_seen_all(), Ok(()));
}

#[test]
fn who_cannot_type_is_told_so() {
    let mut session = session("send a\n");
    let ended = session.follow(None);
    assert_eq!(
        ended,
        ControlFlow::Break(Err("s.txt:1: nobody can type at this machine".into()))
    );
}

#[test]
fn a_flood_before_what_is_expected_is_not_kept_and_a_text_in_two_pieces_is_found() {
    let text = "x".repeat(SHOWN * 2);
    let mut session = session(&format!("expect {text}y\nend\n"));
    for _ in 0..1000 {
        assert!(
            session
                .follow(Some(&line("a line of the flood")))
                .is_continue()
        );
    }
    assert!(
        session.output.len() <= text.len() + 1,
        "{}",
        session.output.len()
    );
    let piece = |text: &str| Heard::Printed {
        vm: 0,
        bytes: text.into(),
    };
    assert!(session.follow(Some(&piece(&text))).is_continue());
    assert!(session.follow(Some(&piece("y"))).is_break());
}
