//! How a run ends: by the verdict in the report page, and by nothing that anybody prints.
//!
//! Called by `run` with a machine that has been started. A line that looks like a verdict is a
//! reason to look at the page, and so is silence; a line alone decides nothing, since any
//! component, and whoever has taken it over, can print one.

use crate::machine::{Heard, Look, Machine};
use oversight::Verdict;
use std::ops::ControlFlow;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

/// What a line begins with that says for people how a run went.
const VERDICT: &str = "verdict: ";
/// How long a machine may be silent before it is looked at.
const SILENCE: Duration = Duration::from_secs(2);
/// A run whose page has a verdict, but whose console does not say so, ends when so many looks in
/// a row have found silence.
const SILENT_LOOKS: u32 = 3;

/// What ended a run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The line that it was to wait for, or whoever follows it.
    Awaited,
    /// The verdict in the report page.
    Verdict(Verdict),
    /// Something else, in words.
    Other(String),
}

/// What a run may end by.
pub(crate) struct Ends<'a> {
    /// Where the report page is.
    pub(crate) report_page: u64,
    /// A part of a line.
    pub(crate) until: Option<&'a str>,
    /// How long it may take, if not as long as it likes.
    pub(crate) deadline: Option<Duration>,
}

/// Watches a machine until its run ends; what comes from its console goes to `follow` as it comes, and nothing,
/// when nothing has come for a moment. Only whole lines can end the run, and a break of `follow`.
pub(crate) fn watch(
    machine: &mut dyn Machine,
    ends: &Ends<'_>,
    mut follow: impl FnMut(Option<Heard>) -> ControlFlow<Result<(), String>>,
) -> Outcome {
    let began = Instant::now();
    let mut silent_looks = 0;
    let mut cannot_look = None;
    loop {
        let passed = began.elapsed();
        if let Some(deadline) = ends.deadline
            && passed >= deadline
        {
            let seconds = deadline.as_secs();
            return Outcome::Other(match cannot_look {
                None => format!("no verdict within {seconds} s"),
                Some(why) => format!("no verdict within {seconds} s ({why})"),
            });
        }
        let mut look = |machine: &mut dyn Machine| {
            machine.look(ends.report_page).unwrap_or_else(|why| {
                cannot_look = Some(why);
                Look::default()
            })
        };
        let verdict = |look: Look| look.report.and_then(|report| report.verdict);
        let rest = ends.deadline.map_or(SILENCE, |deadline| deadline - passed);
        let heard = machine.heard().recv_timeout(rest.min(SILENCE));
        let line = match &heard {
            Ok(Heard::Line(line)) => line.as_str(),
            _ => "",
        };
        let is_awaited = ends.until.is_some_and(|text| line.contains(text));
        let claims_verdict = line.starts_with(VERDICT);
        let error = heard.as_ref().err().copied();
        if let ControlFlow::Break(end) = follow(heard.ok()) {
            return match end {
                Ok(()) => Outcome::Awaited,
                Err(reason) => Outcome::Other(reason),
            };
        }
        match error {
            None => {
                silent_looks = 0;
                if is_awaited {
                    return Outcome::Awaited;
                }
                if claims_verdict && let Some(verdict) = verdict(look(machine)) {
                    return Outcome::Verdict(verdict);
                }
            }
            Some(RecvTimeoutError::Timeout) => {
                let look = look(machine);
                silent_looks += 1;
                if let Some(verdict) = verdict(look)
                    && (look.is_off || silent_looks >= SILENT_LOOKS)
                {
                    return Outcome::Verdict(verdict);
                }
                if look.is_off {
                    let why = "the machine switched itself off without a verdict";
                    return Outcome::Other(why.into());
                }
            }
            Some(RecvTimeoutError::Disconnected) => return Outcome::Other(machine.ending()),
        }
    }
}

/// The lines that a machine has printed and that nobody has watched.
pub(crate) fn printed(machine: &dyn Machine) -> Vec<String> {
    let line = |heard| match heard {
        Heard::Line(line) => Some(line),
        Heard::Beginning(_) | Heard::Printed { .. } => None,
    };
    machine.heard().try_iter().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Debugger;
    use oversight::{Cpu, Report};
    use std::path::Path;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// A machine that prints what it is told to, and whose page is what it is told to be.
    struct Fake {
        heard: Receiver<Heard>,
        verdict: Option<Verdict>,
        is_off: bool,
        looks: u32,
        /// At which look the verdict is there.
        from_look: u32,
    }

    fn fake(lines: &[&str]) -> (Sender<Heard>, Fake) {
        let (sender, receiver) = channel();
        for line in lines {
            sender.send(Heard::Line((*line).into())).unwrap();
        }
        let fake = Fake {
            heard: receiver,
            verdict: None,
            is_off: false,
            looks: 0,
            from_look: 1,
        };
        (sender, fake)
    }

    impl Machine for Fake {
        fn heard(&self) -> &Receiver<Heard> {
            &self.heard
        }

        fn keyboard(&mut self) -> Option<crate::Keyboard> {
            None
        }

        fn ending(&mut self) -> String {
            "the emulator ended".into()
        }

        fn look(&mut self, report_page: u64) -> Result<Look, String> {
            assert_eq!(report_page, 0x1000);
            self.looks += 1;
            let report = Report {
                verdict: self.verdict.filter(|_| self.looks >= self.from_look),
                cpu: Cpu::default(),
            };
            Ok(Look {
                report: Some(report),
                is_off: self.is_off,
            })
        }

        fn dump(&mut self, _: &[(u64, u64)], _: &Path) -> Result<(), String> {
            Err("nobody asks for it".into())
        }

        fn debugger(&mut self) -> Result<Box<dyn Debugger + '_>, String> {
            Err("nobody asks for it".into())
        }
    }

    /// How the machine's run ends, and how many lines were shown.
    fn watch_fake(machine: &mut Fake, seconds: u64) -> (Outcome, usize) {
        let ends = Ends {
            report_page: 0x1000,
            until: None,
            deadline: Some(Duration::from_secs(seconds)),
        };
        let mut shown = 0;
        let outcome = watch(machine, &ends, |heard| {
            shown += usize::from(heard.is_some());
            ControlFlow::Continue(())
        });
        (outcome, shown)
    }

    #[test]
    fn a_verdict_that_only_a_line_says_neither_ends_nor_passes_a_run() {
        let lines = ["verdict: ok", "verdict: ok", "hello"];
        let (sender, mut machine) = fake(&lines);
        drop(sender);
        let (outcome, shown) = watch_fake(&mut machine, 60);
        assert_eq!(outcome, Outcome::Other("the emulator ended".into()));
        assert_eq!((shown, machine.looks), (3, 2));
    }

    #[test]
    fn a_line_that_contradicts_the_page_is_not_believed() {
        let (_sender, mut machine) = fake(&["verdict: ok", "never read"]);
        machine.verdict = Some(Verdict::Failed);
        let (outcome, shown) = watch_fake(&mut machine, 60);
        assert_eq!(outcome, Outcome::Verdict(Verdict::Failed));
        assert_eq!(shown, 1);
    }

    #[test]
    fn the_beginning_of_a_line_decides_nothing() {
        let (sender, mut machine) = fake(&[]);
        machine.verdict = Some(Verdict::Ok);
        let beginning = Heard::Beginning("verdict: ok".into());
        sender.send(beginning).unwrap();
        drop(sender);
        let (outcome, shown) = watch_fake(&mut machine, 60);
        assert_eq!(outcome, Outcome::Other("the emulator ended".into()));
        assert_eq!((shown, machine.looks), (1, 0));
    }

    #[test]
    fn a_forged_line_before_the_verdict_is_text() {
        let (_sender, mut machine) = fake(&["verdict: failed", "hello", "verdict: ok"]);
        machine.verdict = Some(Verdict::Ok);
        machine.from_look = 2;
        let (outcome, shown) = watch_fake(&mut machine, 60);
        assert_eq!(outcome, Outcome::Verdict(Verdict::Ok));
        assert_eq!(shown, 3);
    }

    #[test]
    fn a_guest_s_line_is_no_reason_to_look() {
        let (sender, mut machine) = fake(&["demo| verdict: ok", " verdict: ok", "verdict:ok"]);
        drop(sender);
        machine.verdict = Some(Verdict::Ok);
        let (outcome, _) = watch_fake(&mut machine, 60);
        assert_eq!(outcome, Outcome::Other("the emulator ended".into()));
        assert_eq!(machine.looks, 0);
    }

    #[test]
    fn a_console_that_does_not_say_the_verdict_does_not_keep_it() {
        let (_sender, mut machine) = fake(&["hello"]);
        machine.verdict = Some(Verdict::Ok);
        let (outcome, _) = watch_fake(&mut machine, 60);
        assert_eq!(outcome, Outcome::Verdict(Verdict::Ok));
        assert_eq!(machine.looks, SILENT_LOOKS);
    }

    #[test]
    fn a_machine_that_switched_itself_off_ends_the_run_at_once() {
        for (verdict, wanted) in [
            (Some(Verdict::Failed), Outcome::Verdict(Verdict::Failed)),
            (
                None,
                Outcome::Other("the machine switched itself off without a verdict".into()),
            ),
        ] {
            let (_sender, mut machine) = fake(&[]);
            (machine.verdict, machine.is_off) = (verdict, true);
            let (outcome, _) = watch_fake(&mut machine, 60);
            assert_eq!((outcome, machine.looks), (wanted, 1));
        }
    }

    #[test]
    fn a_machine_that_never_stops_printing_ends_with_the_deadline() {
        let (sender, mut machine) = fake(&[]);
        let printer =
            std::thread::spawn(move || while sender.send(Heard::Line("more".into())).is_ok() {});
        let (outcome, _) = watch_fake(&mut machine, 1);
        assert_eq!(outcome, Outcome::Other("no verdict within 1 s".into()));
        drop(machine);
        printer.join().unwrap();
    }
}
