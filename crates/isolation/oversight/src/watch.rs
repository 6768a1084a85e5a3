//! Silence is an event: who was asked for a sign of life, had the CPU, and did not answer.
//!
//! One [`Watch`] for each domain, fed by `pd-monitor` each time `pd-clock` has woken it (every 40 ms).
//! The monitor runs before those that are asked, so what it finds is the answer to the question
//! before; who is asked less often has nothing to do in between, and no CPU.
//!
//! ```text
//!   beats go on ──► well
//!   beats stand still for 2 checks ──┬─ and 20 ms of CPU since the last beat ──► hung
//!                                    └─ for  20 checks, with less than that ───► starved (told)
//!                                       for 125 checks, with less than that ───► gone
//! ```
//!
//! Invariant: who has had no CPU is never called hung. Whoever works for long beats meanwhile, at
//! least every few milliseconds of its own time.

/// Checks in a row at which a domain may be silent. Two of them are over within 120 ms of the last
/// sign of life, well before a VMM's patience is (three wake-ups that are 100 ms apart), and one is none of
/// the domain's fault where an emulator's host takes the CPU away.
const PATIENCE: u32 = 2;
/// CPU time, in microseconds, in which every domain beats many times over.
const ENOUGH_US: u64 = 20_000;
/// How much of that one check counts for at most. A machine that stands still while a domain has the
/// CPU charges it for all of that time, which is not to be enough.
const OF_ONE_CHECK_US: u64 = 15_000;
/// Silent checks after which it is told that a domain gets no CPU, or waits for something else: longer
/// than a full burst of lines keeps a polled serial line busy (0.4 s).
const NOTICED: u32 = 20;
/// Silent checks after which a domain is given up whatever the reason: longer than any budget's period
/// that somebody tries on purpose (3 s).
const GIVEN_UP: u32 = 125;

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
    silent: u32,
    /// What it had since its last sign of life, and what of that counts.
    cpu_us: u64,
    counted_us: u64,
}

impl Watch {
    /// A domain that has said nothing yet and has not been asked.
    pub const fn new() -> Self {
        Self {
            beats: 0,
            silent: 0,
            cpu_us: 0,
            counted_us: 0,
        }
    }

    /// A check: the domain's beats, and the CPU time it consumed since the last check, in
    /// microseconds. Says when its silence means something new.
    pub fn check(&mut self, beats: u64, consumed_us: u64) -> Option<Silence> {
        if self.beats != beats {
            *self = Self::new();
            self.beats = beats;
            return None;
        }
        self.silent = self.silent.saturating_add(1);
        self.cpu_us = self.cpu_us.saturating_add(consumed_us);
        self.counted_us += consumed_us.min(OF_ONE_CHECK_US);
        let cpu_us = self.cpu_us;
        match self.silent {
            PATIENCE.. if self.counted_us >= ENOUGH_US => Some(Silence::Hung { cpu_us }),
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
            assert_eq!(watch.check(beats, 40_000), None);
        }
    }

    #[test]
    fn whoever_takes_the_cpu_and_does_not_answer_is_hung_at_the_second_check() {
        let first = said_of_a_silent_one(5, 40_000).next();
        assert_eq!(first, Some((2, Silence::Hung { cpu_us: 80_000 })));
    }

    #[test]
    fn a_spinner_that_others_leave_little_is_hung_when_it_has_had_enough() {
        let first = said_of_a_silent_one(20, 2_900).next();
        assert_eq!(first, Some((7, Silence::Hung { cpu_us: 20_300 })));
    }

    #[test]
    fn a_host_that_stalls_once_makes_nobody_hung() {
        // Its domain had the CPU then, and none from then on until after the next check.
        let mut watch = Watch::new();
        assert_eq!(watch.check(1, 10_000), None);
        for silent in [700_000, 0, 4_999] {
            assert_eq!(watch.check(1, silent), None);
        }
        assert_eq!(watch.check(2, 1_000), None);
        assert_eq!(watch.check(2, 700_000), None);
        // One that gets it and still does not answer is.
        let hung = Silence::Hung { cpu_us: 740_000 };
        assert_eq!(watch.check(2, 40_000), Some(hung));
    }

    #[test]
    fn a_starved_domain_is_told_once_and_given_up_after_five_seconds() {
        let all = [(20, Silence::Starved), (125, Silence::Gone)];
        assert!(said_of_a_silent_one(500, 0).eq(all));
    }

    #[test]
    fn whoever_is_asked_less_often_and_has_nothing_to_do_is_well() {
        // Every 120 ms at most: two checks in between.
        let mut watch = Watch::new();
        for beats in 1..1000 {
            for consumed_us in [300, 0, 0] {
                assert_eq!(watch.check(beats, consumed_us), None);
            }
        }
    }

    #[test]
    fn a_budget_of_40_ms_in_3_s_is_no_death() {
        // The trace component of the test on seL4: 75 checks without, then it answers.
        let mut watch = Watch::new();
        for period in 0..10 {
            watch.check(period + 1, 40_000);
            for check in 1..75 {
                let said = watch.check(period + 1, 0);
                let wanted = (check == 20).then_some(Silence::Starved);
                assert_eq!(said, wanted, "{check}");
            }
        }
    }

    #[test]
    fn long_work_that_beats_now_and_then_is_no_silence() {
        // Filling RAM: all of the CPU, and a beat in each second check.
        let mut watch = Watch::new();
        for check in 0..1000 {
            assert_eq!(watch.check(1 + check / 2, 40_000), None);
        }
    }

    #[test]
    fn an_answer_makes_good_for_the_silence_before() {
        let mut watch = Watch::new();
        for beats in 0..100 {
            assert_eq!(watch.check(beats + 1, 0), None);
            assert_eq!(watch.check(beats + 1, 10_000), None);
            assert_eq!(watch.check(beats + 1, 9_999), None);
        }
    }
}
