//! Proves that two trace devices in one VM have counters of their own: different values
//! written to both are read back, and each goes on from its own.
//!
//! Keys: `trace0=` and `trace1=` addresses of the locations.

#![cfg_attr(target_os = "none", no_std, no_main)]

use guest::{
    Outcome, Start, check,
    clock::Wait,
    say,
    ticks::{CLOSELY, TickWatch, check_on_second, is_written_or_next},
};

guest::program!(run);

const WRITTEN: [u32; 2] = [100, 200_000];

fn run(start: &Start) -> Outcome {
    let mut locations = [
        start.trace_location("trace0")?,
        start.trace_location("trace1")?,
    ];
    let clock = &start.clock;

    // Right after a tick no other comes for a second: a value that is off by one is then not
    // the clock's doing.
    let mut watch = TickWatch::start(&mut locations[0], clock);
    watch.wait_closely(&mut locations[0], clock);
    for (location, written) in locations.iter_mut().zip(WRITTEN) {
        location.write(written);
    }
    let mut watches = [0; 2].map(|value| TickWatch::from_value(value, clock));
    for (device, location) in locations.iter_mut().enumerate() {
        let (written, read_back) = (WRITTEN[device], location.read());
        say!("device {device}: wrote {written}, read back {read_back}");
        check!(
            is_written_or_next(read_back, written),
            "device {device} does not have what it was given"
        );
        watches[device] = TickWatch::from_value(read_back, clock);
    }

    let mut first = [None; 2];
    let mut advanced = [0; 2];
    while advanced.iter().any(|ticks| *ticks < 3) {
        clock.wait_until(clock.after(clock.now(), CLOSELY), Wait::Busy);
        for device in 0..2 {
            let Some(tick) = watches[device].poll(&mut locations[device], clock) else {
                continue;
            };
            say!(
                "{} ms: device {device} counter {}",
                clock.ms(tick.seen),
                tick.value
            );
            check!(tick.advance == 1, "advanced by {} at once", tick.advance);
            check_on_second(clock, *first[device].get_or_insert(tick), tick);
            advanced[device] += 1;
        }
    }

    // What is written to one does not reach the other.
    let before = locations[1].read();
    locations[0].write(7);
    let after = locations[1].read();
    check!(
        is_written_or_next(after, before),
        "writing device 0 changed device 1 from {before} to {after}"
    );
    Ok(())
}
