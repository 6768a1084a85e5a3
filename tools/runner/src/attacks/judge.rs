//! What became of an attack, by what the run printed.
//!
//! Invariant: a claim of the attacker's is never believed. What is judged is what the witness, an
//! honest guest, says of itself, what the platform says of the attacker, and where the attacker's
//! text ended up.

use super::{Boot, Target};
use crate::Platform;
use ::attacks::{ATTACKER, Act, Attack, By, Seen, WITNESS};
use std::fmt;
use std::ops::Range;

/// What became of an attack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The witness noticed nothing, nothing lied, and the attacker was named if it could be.
    Held,
    /// The same, once a hang was found.
    Mended,
    /// The run ended at once, for a reason that was told.
    Ended,
    /// Not so, and why.
    Fell(String),
    /// It did not come to it, and why the run ended, if it was no success.
    NotTried(Option<String>),
}

/// An attack and what became of it.
#[derive(Clone)]
pub struct Judged {
    /// Which.
    pub attack: &'static Attack,
    /// What had to become of it.
    pub wanted: Seen,
    /// What became of it.
    pub outcome: Outcome,
}

impl Judged {
    /// Whether it went as the list says.
    pub fn is_as_wanted(&self) -> bool {
        match self.wanted {
            Seen::Held(_) => self.outcome == Outcome::Held,
            Seen::Mended(_) => self.outcome == Outcome::Mended,
            Seen::Ends(_) => self.outcome == Outcome::Ended,
            Seen::Fell | Seen::Documented(_) => matches!(self.outcome, Outcome::Fell(_)),
            Seen::NotThere => false,
        }
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attack = self.attack;
        let sign = if self.is_as_wanted() { ' ' } else { '!' };
        let by = attack.act.by().name();
        write!(f, "{sign} {:<32} {by:<8}", attack.name)?;
        match &self.outcome {
            Outcome::Held => f.write_str("held"),
            Outcome::Mended => f.write_str("held: the hang is mended"),
            Outcome::Ended => f.write_str("held: the run ends"),
            Outcome::Fell(why) => write!(f, "fell: {why}"),
            Outcome::NotTried(None) => f.write_str("was not tried"),
            Outcome::NotTried(Some(why)) => write!(f, "was not tried: {why}"),
        }
    }
}

/// How soon an attacker is to be named, in microseconds of the machine's time, after the guest
/// has said that it is time: a second, after the time that it gives its line, and two wake-ups
/// before the attack begins.
const NAMED_WITHIN_US: u64 = 1_450_000;
/// How soon a machine stops that an attack stops.
const STOPS_WITHIN_US: u64 = 500_000;
/// Within what a hang is found and mended, in nanoseconds.
const HANG_NS: u64 = 150_000_000;
/// What every text has that tries to be another's.
const FORGED: &str = "forged";
/// What is said of a VMM's false claims.
const ITS_VMM: &str = "attacker: its VMM misbehaves";

/// Judges a boot. `ended` is why the run was no success, if it was none.
pub fn judge(
    boot: &Boot,
    target: &Target<'_>,
    lines: &[String],
    ended: Option<&str>,
) -> Vec<Judged> {
    let seen = Run {
        lines,
        ended,
        until_witness: boot.until().is_some(),
    };
    let lie = seen.lie().or_else(|| seen.death_of_another(boot.by()));
    let harm = |longest_wait_ns| lie.clone().or_else(|| seen.harm(longest_wait_ns));
    let for_all = harm(longest_wait_ns(target));
    let judge_one = |attack: &'static Attack| {
        let wanted = target.wanted(attack);
        let outcome = match (wanted, seen.window(attack)) {
            (_, None) => Outcome::NotTried(ended.map(str::to_owned)),
            (Seen::Ends(line), Some(window)) => seen.ends(line, window),
            (Seen::Documented(line), Some(window)) => seen.is_documented(line, window, &for_all),
            (Seen::Held(line), Some(window)) => {
                let why = for_all.clone().or_else(|| seen.unnamed(line, window));
                why.map_or(Outcome::Held, Outcome::Fell)
            }
            (Seen::Mended(line), Some(window)) => {
                let why = harm(HANG_NS).or_else(|| seen.unnamed(line, window));
                why.map_or(Outcome::Mended, Outcome::Fell)
            }
            (_, Some(window)) => {
                // It holds only if somebody was told, whatever the line would be here.
                let told = match attack.act.by() {
                    By::Guest | By::Vmm => [ITS_VMM, "pd-vmm restarted ("],
                    By::Trace => ["the trace component misbehaves", "pd-trace restarted ("],
                    By::Console => ["the console misbehaves", "pd-console restarted ("],
                };
                let named = told
                    .iter()
                    .any(|line| seen.unnamed(line, window.clone()).is_none());
                match (&for_all, named) {
                    (Some(why), _) => Outcome::Fell(why.clone()),
                    (None, false) => Outcome::Fell("nobody noticed".into()),
                    (None, true) => Outcome::Held,
                }
            }
        };
        Judged {
            attack,
            wanted,
            outcome,
        }
    };
    boot.attacks.iter().copied().map(judge_one).collect()
}

/// How long an access of the witness may take. On seL4 what the tests allow beside a flood; on the
/// unikernel two wake-ups and what the components do in them, for a turn that began late, because they were
/// busy, goes on until the next one.
fn longest_wait_ns(target: &Target<'_>) -> u64 {
    match target.platform {
        Platform::Unikernel(_) => 25_000_000,
        Platform::Microkit(..) => 10_000_000,
    }
}

struct Run<'a> {
    lines: &'a [String],
    ended: Option<&'a str>,
    /// The run was over when the witness was.
    until_witness: bool,
}

impl Run<'_> {
    /// The lines from an attack's announcement to the next one's, if it was announced. A guest's
    /// own attack begins with the guest, which was there if the console has printed anything.
    fn window(&self, attack: &Attack) -> Option<Range<usize>> {
        if let Act::Guest(..) = attack.act {
            let has_begun = self.lines.iter().any(|line| stamp_us(line).is_some());
            return has_begun.then_some(0..self.lines.len());
        }
        let announces = |line: &String, name: &str| {
            let text = text_of(line, ATTACKER);
            text.is_some_and(|text| text.strip_prefix("guest: attack ") == Some(name))
        };
        let mut lines = self.lines.iter();
        let first = 1 + lines.position(|line| announces(line, attack.name))?;
        let is_next = |line: &String| {
            text_of(line, ATTACKER).is_some_and(|text| text.starts_with("guest: attack "))
        };
        let more = self.lines[first..].iter().position(is_next);
        Some(first..more.map_or(self.lines.len(), |more| first + more))
    }

    /// Why the attacker cannot be told to have been named by a line that holds `text`.
    fn unnamed(&self, text: &str, window: Range<usize>) -> Option<String> {
        if text.is_empty() {
            return None;
        }
        let began = match window.start {
            0 => 0,
            announced => stamp_us(&self.lines[announced - 1]).unwrap_or(0),
        };
        let found = window.clone().find(|&line| holds(&self.lines[line], text));
        let Some(found) = found else {
            return Some(format!("no line with `{text}`"));
        };
        // A line without a stamp came after what was printed before it.
        let stamped = self.lines[..=found]
            .iter()
            .rev()
            .find_map(|line| stamp_us(line));
        let took = stamped.unwrap_or(0).saturating_sub(began);
        (window.start != 0 && took > NAMED_WITHIN_US)
            .then(|| format!("named only after {} ms", took / 1000))
    }

    /// What was printed that is not true, or not its author's.
    fn lie(&self) -> Option<String> {
        let is_clean = |line: &&String| line.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        // What comes before is the boot's: a debug kernel's has tabs.
        let mut own = self
            .lines
            .iter()
            .skip_while(|line| stamp_us(line).is_none());
        if let Some(line) = own.find(|line| !is_clean(line)) {
            return Some(format!("raw characters: {line:?}"));
        }
        let of_the_attacker = |line: &str| {
            let after_stamp = line.split_once("] ").map_or(line, |(_, rest)| rest);
            // A line of its guest, or the beginning of one.
            let signs = ["| ", "> "];
            signs
                .iter()
                .any(|sign| after_stamp.starts_with(&format!("{ATTACKER}{sign}")))
                || dead(line).is_some_and(|domain| domain == "pd-vmm")
        };
        let mut lines = self.lines.iter();
        if let Some(line) = lines.find(|line| line.contains(FORGED) && !of_the_attacker(line)) {
            return Some(format!("a forged line: {line}"));
        }
        let is_verdict = |line: &str| line == "verdict: ok" || line.starts_with("verdict: failed");
        let mut lines = self.lines.iter();
        let forged = lines.find(|line| line.starts_with("verdict: ") && !is_verdict(line));
        if let Some(line) = forged {
            return Some(format!("a forged verdict: {line}"));
        }
        let failed = |line: &String| line.contains("] fatal ") || line.starts_with("panic in ");
        let failed = self.lines.iter().find(|line| failed(line));
        match (self.ended, failed) {
            (None, Some(line)) if !self.until_witness => {
                Some(format!("the verdict is ok after: {line}"))
            }
            (Some(why), _) if !why.contains("verdict: failed") => Some(why.into()),
            _ => None,
        }
    }

    /// What died beside the component that attacks. Others go on when it is started again, and have
    /// been reached all the same.
    fn death_of_another(&self, by: By) -> Option<String> {
        let attacks = match by {
            By::Guest => None,
            By::Vmm => Some("pd-vmm"),
            By::Trace => Some("pd-trace"),
            By::Console => Some("pd-console"),
        };
        let is_of_another = |line: &&String| dead(line).is_some_and(|died| Some(died) != attacks);
        self.lines.iter().find(is_of_another).cloned()
    }

    /// What the witness noticed.
    fn harm(&self, longest_wait_ns: u64) -> Option<String> {
        let changed = |line: &String| {
            let text = text_of(line, ATTACKER)?.strip_prefix("guest: somebody changed ")?;
            Some(format!("the attacker's guest: somebody changed {text}"))
        };
        if let Some(changed) = self.lines.iter().find_map(changed) {
            return Some(changed);
        }
        let said = || self.lines.iter().filter_map(|line| text_of(line, WITNESS));
        if let Some(text) = said().find(|text| text.contains("counter wrong")) {
            return Some(format!("witness: {text}"));
        }
        let waits = said().filter_map(|text| {
            let longest = text.split_once("longest ")?.1.strip_suffix(" ns")?;
            longest.parse::<u64>().ok()
        });
        let longest = waits.max().unwrap_or(0);
        if longest > longest_wait_ns {
            return Some(format!(
                "an access of the witness took {} ms",
                longest / 1_000_000
            ));
        }
        if !said().any(|text| text == "guest: done") {
            return Some("the witness did not get to its end".into());
        }
        let told = |line: &'_ String, what: &str| {
            let rest = line.strip_prefix('[')?.split_once("] ")?.1;
            rest.strip_prefix(what).map(str::to_owned)
        };
        let sums = format!("info  {WITNESS} trace0: ");
        let sums = self.lines.iter().find_map(|line| told(line, &sums));
        let Some(accesses) = sums.and_then(|sums| sums.split(' ').next()?.parse().ok()) else {
            return Some("no sums of the witness".into());
        };
        let warned = format!("warn  {WITNESS}: ");
        if let Some(missing) = self.lines.iter().find_map(|line| told(line, &warned)) {
            return Some(format!("witness: {missing}"));
        }
        let access = format!("info  {WITNESS} trace0 cpu0 ");
        let logged = self.lines.iter().filter_map(|line| told(line, &access));
        let logged: Vec<Option<u64>> = logged
            .map(|line| line.rsplit_once(" seq ")?.1.parse().ok())
            .collect();
        let all: Vec<_> = (1..=accesses).map(Some).collect();
        (logged != all).then(|| "the log of the witness is not whole".into())
    }

    /// Whether the run ended as it has to when a part of it that serves all has been taken over.
    fn ends(&self, line: &str, window: Range<usize>) -> Outcome {
        let why = self.unnamed(line, window).or_else(|| self.lie());
        match (why, self.ended) {
            (Some(why), _) => Outcome::Fell(why),
            (None, None) => Outcome::Fell("the verdict is ok".into()),
            (None, Some(_)) => Outcome::Ended,
        }
    }

    /// Whether what is documented has happened: it fell, in these words, or without any.
    fn is_documented(&self, line: &str, window: Range<usize>, harm: &Option<String>) -> Outcome {
        let told = match line {
            "" => self.has_stopped(window),
            line => self.lines.iter().any(|other| other.contains(line)),
        };
        match harm {
            Some(why) if told => Outcome::Fell(why.clone()),
            _ => Outcome::Held,
        }
    }

    /// Whether the machine said nothing any more soon after an attack was announced.
    fn has_stopped(&self, window: Range<usize>) -> bool {
        let announced = window.start.checked_sub(1);
        let began = announced.and_then(|line| stamp_us(&self.lines[line]));
        let last = self.lines[window]
            .iter()
            .filter_map(|line| stamp_us(line))
            .max();
        let is_soon = last.unwrap_or(0) <= began.unwrap_or(0) + STOPS_WITHIN_US;
        is_soon && self.ended.is_some_and(|why| !why.contains("verdict: "))
    }
}

/// Whether a line holds a text, in which `…` stands for anything.
fn holds(line: &str, text: &str) -> bool {
    let mut rest = Some(line);
    for part in text.split('…') {
        rest = rest.and_then(|rest| Some(rest.split_once(part)?.1));
    }
    rest.is_some()
}

/// Whose death the monitor tells by a line, whether it has been started again or stays dead.
fn dead(line: &str) -> Option<&str> {
    let lines = [
        ("warn ", " restarted ("),
        ("panic in ", ": "),
        ("hung: ", " has "),
    ];
    let domain = lines.iter().find_map(|(before, after)| {
        let (domain, _) = line.strip_prefix(before)?.split_once(after)?;
        Some(domain)
    });
    domain.filter(|domain| domain.starts_with("pd-"))
}

/// What a line says of its guest's text, if it is one of the VM `name`.
fn text_of<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let rest = line.strip_prefix('[')?.split_once("] ")?.1;
    rest.strip_prefix(name)?.strip_prefix("| ")
}

/// A line's time, in microseconds.
fn stamp_us(line: &str) -> Option<u64> {
    let stamp = line.strip_prefix('[')?.split_once(']')?.0;
    let (seconds, micros) = stamp.trim().split_once('.')?;
    Some(seconds.parse::<u64>().ok()? * 1_000_000 + micros.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests;
