//! Lets a component die at every step that it takes, and compares what comes of it with a run in which
//! nobody dies.
//!
//! A step is a store to memory that components share, or a call to the platform, as the fakes here
//! count them ([`shared_ring::mortal`]). What dies is the component alone: its memory and its peers stay.

use shared_ring::mortal::{self, Death};
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// When the component dies in a run: each number is of steps since the death before.
pub struct Deaths {
    to_come: Vec<u64>,
    /// How often it has died so far.
    pub died: usize,
}

impl Deaths {
    /// Never.
    pub fn none() -> Self {
        Self::at(&[])
    }

    /// At these. What dies by itself is counted besides.
    pub fn at(steps: &[u64]) -> Self {
        Self {
            to_come: steps.iter().rev().copied().collect(),
            died: 0,
        }
    }

    /// Lets the component work; `None` if it has died over it. Only what is done in here are steps.
    pub fn attempt<T>(&mut self, work: impl FnOnce() -> T) -> Option<T> {
        if let Some(step) = self.to_come.last() {
            mortal::die_at(*step);
        }
        let result = catch_unwind(AssertUnwindSafe(work));
        let left = mortal::spare();
        match result {
            Ok(result) => {
                if let (Some(step), Some(left)) = (self.to_come.last_mut(), left) {
                    *step = left;
                }
                Some(result)
            }
            Err(panic) if panic.is::<Death>() => {
                self.to_come.pop();
                self.died += 1;
                None
            }
            Err(panic) => resume_unwind(panic),
        }
    }
}

/// Runs with a death at every step that there is, and compares each outcome with the undisturbed one's.
/// Returns how many steps there were.
pub fn at_every_step<T: PartialEq + Debug>(run: impl Fn(&mut Deaths) -> T) -> u64 {
    once(run, |undisturbed, outcome, step| {
        assert_eq!(outcome, undisturbed, "dead at step {step}");
    })
}

/// The same, where an outcome may differ. `compare` is told both, the undisturbed first, and the step.
pub fn once<T>(run: impl Fn(&mut Deaths) -> T, compare: impl Fn(&T, &T, u64)) -> u64 {
    let undisturbed = run(&mut Deaths::none());
    for step in 0.. {
        let mut deaths = Deaths::at(&[step]);
        let outcome = run(&mut deaths);
        if deaths.died == 0 {
            return step;
        }
        compare(&undisturbed, &outcome, step);
    }
    unreachable!()
}

/// The same with two deaths, the second so many steps after the first. `compare` is told both outcomes,
/// the undisturbed first, and the steps.
pub fn twice<T>(
    run: impl Fn(&mut Deaths) -> T,
    seconds: impl Iterator<Item = u64> + Clone,
    compare: impl Fn(&T, &T, [u64; 2]),
) {
    let undisturbed = run(&mut Deaths::none());
    for first in 0.. {
        for second in seconds.clone() {
            let mut deaths = Deaths::at(&[first, second]);
            let outcome = run(&mut deaths);
            match deaths.died {
                0 => return,
                1 => break,
                _ => compare(&undisturbed, &outcome, [first, second]),
            }
        }
    }
}
