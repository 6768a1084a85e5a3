//! As many accesses as the CPU can make: the load under which every loss must be counted,
//! and the benchmark. Without `ticks=` the guest makes exactly `n` accesses to the location.
//!
//! Keys: `trace=` address of the location; `n=` accesses; `op=read|write|write-read|mixed`
//! (`n` is a multiple of 2 for write-read, of 8 for mixed); `ticks=` anything: also proves,
//! with further accesses, that the ticks before and after lie whole seconds apart.

#![cfg_attr(target_os = "none", no_std, no_main)]

use guest::{
    Outcome, Start,
    access_forms::MIXED_ROUND,
    check,
    cmdline::CommandLineError,
    say,
    ticks::{TOLERANCE, TickWatch, off_nearest_second},
};

guest::program!(run);

#[derive(Clone, Copy)]
enum Op {
    Read,
    Write,
    WriteRead,
    Mixed,
}

fn run(start: &Start) -> Outcome {
    let mut location = start.trace_location("trace")?;
    let ops = [
        ("read", Op::Read),
        ("write", Op::Write),
        ("write-read", Op::WriteRead),
        ("mixed", Op::Mixed),
    ];
    let op = start.cmdline.choice("op", &ops)?;
    let n = start.cmdline.number("n")?;
    let turn = match op {
        Op::Read | Op::Write => 1,
        Op::WriteRead => 2,
        Op::Mixed => MIXED_ROUND,
    };
    let n_u32 = match u32::try_from(n) {
        Ok(n) if n != 0 && u64::from(n).is_multiple_of(turn) => n,
        _ => {
            return Err(CommandLineError::Unusable {
                key: "n",
                value: n,
                needs: "a 32-bit multiple of the operation's accesses",
            });
        }
    };
    let clock = &start.clock;
    let watches_ticks = start.cmdline.value("ticks").is_some();
    let before = watches_ticks.then(|| {
        let mut watch = TickWatch::start(&mut location, clock);
        watch.wait_closely(&mut location, clock)
    });

    let began = clock.now();
    match op {
        Op::Read => {
            location.storm_of_reads(n);
        }
        Op::Write => location.storm_of_writes(n_u32),
        Op::WriteRead => {
            location.storm_of_write_reads(n / turn, 0);
        }
        Op::Mixed => location.storm_of_mixed(n / turn),
    }
    let ended = clock.now();

    say!(
        "bench op={} n={n} ticks={} hz={}",
        start.cmdline.value("op").unwrap_or_default(),
        ended.ticks_since(began),
        clock.hz()
    );
    if let Some(before) = before {
        let mut watch = TickWatch::start(&mut location, clock);
        let after = watch.wait_closely(&mut location, clock);
        // Writes set the counter, but the phase of its ticks stays.
        let time = clock.between(before.seen, after.seen);
        check!(
            off_nearest_second(time) <= TOLERANCE,
            "ticks before and after lie {} us apart",
            time.as_micros()
        );
        say!("ticks before and after lie {} us apart", time.as_micros());
    }
    Ok(())
}
