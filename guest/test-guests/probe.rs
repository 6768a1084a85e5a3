//! What an access costs while another VM storms: the longest and the mean time that this
//! guest's accesses take by its own counter.
//!
//! Rounds with a rest between them. In each, one access to a location that is logged, few
//! enough a second for every line to be printed, and then many to one that is not. The rests
//! differ, from half to one and a half of their mean, so that rounds fall into every part of
//! the vCPU's turn, its end included.
//!
//! Keys: `trace=` address of the logged location; `silent=` address of the other; `rounds=`;
//! `rest_us=` the mean time between two rounds; `burst=` accesses to the other in a round.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::time::Duration;

use guest::{
    Outcome, Start,
    clock::{Clock, Wait},
    driver::TraceLocation,
    say,
};

guest::program!(run);

/// A prime, so that the rests differ.
const REST_STEP_US: u64 = 7919;

/// How long accesses took.
#[derive(Default)]
struct Times {
    count: u32,
    sum: Duration,
    longest: Duration,
}

impl Times {
    fn measure(&mut self, location: &mut TraceLocation, clock: &Clock) {
        let began = clock.now();
        location.read();
        let time = clock.since(began);
        self.count += 1;
        self.sum += time;
        self.longest = self.longest.max(time);
    }

    fn say(&self, which: &str) {
        let mean = self.sum.checked_div(self.count).unwrap_or_default();
        say!(
            "{} {which} accesses: mean {} ns, longest {} ns",
            self.count,
            mean.as_nanos(),
            self.longest.as_nanos()
        );
    }
}

fn run(start: &Start) -> Outcome {
    let mut logged = start.trace_location("trace")?;
    let mut silent = start.trace_location("silent")?;
    let rounds = start.cmdline.number("rounds")?;
    let rest_us = start.cmdline.number("rest_us")?.max(1);
    let burst = start.cmdline.number("burst")?;

    let clock = &start.clock;
    let (mut of_logged, mut of_silent) = (Times::default(), Times::default());
    for round in 0..rounds {
        let rest_us = rest_us / 2 + round * REST_STEP_US % rest_us;
        let rest = Duration::from_micros(rest_us);
        clock.wait_until(clock.after(clock.now(), rest), Wait::Busy);
        of_logged.measure(&mut logged, clock);
        for _ in 0..burst {
            of_silent.measure(&mut silent, clock);
        }
    }
    of_logged.say("logged");
    of_silent.say("silent");
    Ok(())
}
