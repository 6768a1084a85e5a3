//! Proves what a guest sees of a trace component that stops running: it waits for a bounded
//! time where only that component could answer, then the policy holds and nothing waits; and
//! all is well once the component runs again.
//!
//! The platform lets the trace component run for a while, then not, then again.
//!
//! Keys: `trace=` address of the location.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::time::Duration;

use guest::{Outcome, Start, check, clock::whole_ms, driver::TraceLocation, say};

guest::program!(run);

/// Three wake-ups of the VMM's clock, which are 100 ms apart, and one of slack.
const PATIENCE: Duration = Duration::from_millis(400);
/// When the platform has to have stopped the component, and to have let it run again.
const LIMIT: Duration = Duration::from_secs(30);
const READS: u32 = 1_000;

fn run(start: &Start) -> Outcome {
    let mut location = start.trace_location("trace")?;
    let clock = &start.clock;
    let longest = wait_until(start, "gone", &mut location, |value| value == u32::MAX);
    say!("gone, after waiting for {} ms at most", whole_ms(longest));

    let began = clock.now();
    for _ in 0..READS {
        let value = location.read();
        check!(value == u32::MAX, "read {value} of a device that is gone");
    }
    let waited = clock.since(began);
    check!(waited <= PATIENCE, "then waited {} ms", whole_ms(waited));

    wait_until(start, "back", &mut location, |value| value != u32::MAX);
    location.write(1000);
    let value = location.read();
    check!(value == 1000, "wrote 1000, read {value}");
    say!("back, and reads what was written");
    Ok(())
}

/// Writes a byte, which only the trace component can turn into a word, and reads the word,
/// until that is as wanted. No access takes longer than the VMM's patience. Returns how long
/// the longest took.
fn wait_until(
    start: &Start,
    what: &str,
    location: &mut TraceLocation,
    is_wanted: fn(u32) -> bool,
) -> Duration {
    let clock = &start.clock;
    let began = clock.now();
    let mut longest = Duration::ZERO;
    loop {
        let asked = clock.now();
        location.write_lane::<u8>(0, 9);
        let value = location.read();
        longest = longest.max(clock.since(asked));
        check!(longest <= PATIENCE, "waited {} ms", whole_ms(longest));
        if is_wanted(value) {
            return longest;
        }
        check!(clock.since(began) < LIMIT, "still not {what}");
    }
}
