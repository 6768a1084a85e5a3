//! Silence is an event: who was asked for a sign of life, had the CPU, and did not answer.
//!
//! One [`Watch`] for each domain, fed by `pd-monitor` each time `pd-clock` has asked the domains
//! again (every 100 ms). The monitor runs before those that are asked, so what it finds is the
//! answer to the question before.
//!
//! ```text
//!   beats go on ──► well
//!   beats stand still for 3 checks ─┬─ and 50 ms of CPU since the last beat ──► hung
//!                                   └─ for  8 checks, with less than that ────► starved (told)
//!                                      for 50 checks, with less than that ────► gone
//! ```
//!
//! Invariant: who has had no CPU is never called hung. Whoever works for long beats meanwhile, at
//! least every few milliseconds of its own time.

/// Questions that a domain may leave unanswered: as many wake-ups of the clock as any bounded wait
/// in the system.
const PATIENCE: u32 = 3;
/// CPU time, in microseconds, in which every domain beats many times over.
const ENOUGH_US: u64 = 50_000;
/// Unanswered questions after which it is told that a domain gets no CPU, or waits for something
/// else: longer than a full burst of lines keeps a polled serial line busy (0.4 s).
const NOTICED: u32 = 8;
/// Unanswered questions after which a domain is given up whatever the reason: longer than any
/// budget's period that somebody tries on purpose (3 s).
const GIVEN_UP: u32 = 50;

/// What a domain's silence means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// It had so much CPU since its last sign of life, in microseconds, and does not answer.
    Hung {
        /// How much.
        cpu_us: u64,
    },
    /// It does not answer, but had next to no CPU: others take it, or it waits for something else.
    /// Told once a silence.
    Starved,
    /// It has been so for 5 s.
    Gone,
}

/// The watch over one domain.
#[derive(Debug, Default)]
pub struct Watch {
    beats: u64,
    unanswered: u32,
    cpu_us: u64,
}

impl Watch {
    /// A domain that has said nothing yet and has not been asked.
    pub const fn new() -> Self {
        Self {
            beats: 0,
            unanswered: 0,
            cpu_us: 0,
        }
    }

    /// A check: the domain's beats, and the CPU time it consumed since the last check, in
    /// microseconds. Says when its silence means something new.
    pub fn check(&mut self, beats: u64, consumed_us: u64) -> Option<Silence> {
        if core::mem::replace(&mut self.beats, beats) != beats {
            self.unanswered = 0;
            self.cpu_us = 0;
            return None;
        }
        self.unanswered = self.unanswered.saturating_add(1);
        self.cpu_us = self.cpu_us.saturating_add(consumed_us);
        let cpu_us = self.cpu_us;
        match self.unanswered {
            PATIENCE.. if cpu_us >= ENOUGH_US => Some(Silence::Hung { cpu_us }),
            NOTICED => Some(Silence::Starved),
            GIVEN_UP => Some(Silence::Gone),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said in so many checks of a domain that is silent and consumes the same in each.
    fn said_of_a_silent_one(checks: u32, consumed_us: u64) -> impl Iterator<Item = (u32, Silence)> {
        let mut watch = Watch::new();
        assert_eq!(watch.check(1, 10_000), None);
        (1..=checks).filter_map(move |check| Some((check, watch.check(1, consumed_us)?)))
    }

    #[test]
    fn whoever_answers_is_well_however_much_it_consumes() {
        let mut watch = Watch::new();
        for beats in 1..1000 {
            assert_eq!(watch.check(beats, 100_000), None);
        }
    }

    #[test]
    fn whoever_takes_the_cpu_and_does_not_answer_is_hung_after_three_questions() {
        let first = said_of_a_silent_one(5, 100_000).next();
        assert_eq!(first, Some((3, Silence::Hung { cpu_us: 300_000 })));
    }

    #[test]
    fn a_spinner_that_others_leave_little_is_hung_when_it_has_had_enough() {
        let first = said_of_a_silent_one(20, 7_200).next();
        assert_eq!(first, Some((7, Silence::Hung { cpu_us: 50_400 })));
    }

    #[test]
    fn a_starved_domain_is_told_once_and_given_up_after_five_seconds() {
        let all: [_; 2] = [(8, Silence::Starved), (50, Silence::Gone)];
        assert!(said_of_a_silent_one(200, 0).eq(all));
    }

    #[test]
    fn a_budget_of_20_ms_in_3_s_is_no_death() {
        // The trace component of the test on seL4: 30 checks without, then it answers.
        let mut watch = Watch::new();
        for period in 0..10 {
            watch.check(period + 1, 20_000);
            for check in 1..30 {
                let said = watch.check(period + 1, 0);
                let wanted = (check == 8).then_some(Silence::Starved);
                assert_eq!(said, wanted, "{check}");
            }
        }
    }

    #[test]
    fn long_work_that_beats_now_and_then_is_no_silence() {
        // Filling RAM: all of the CPU, and a beat in each second check.
        let mut watch = Watch::new();
        for check in 0..1000 {
            assert_eq!(watch.check(1 + check / 2, 100_000), None);
        }
    }

    #[test]
    fn an_answer_makes_good_for_the_silence_before() {
        let mut watch = Watch::new();
        for beats in 0..100 {
            assert_eq!(watch.check(beats + 1, 0), None);
            assert_eq!(watch.check(beats + 1, 49_999), None);
            assert_eq!(watch.check(beats + 1, 0), None);
        }
    }
}
