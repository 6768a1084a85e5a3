//! As many accesses as the CPU can make: the load under which every loss must be counted,
//! and the benchmark. Without `ticks=` the guest makes exactly `n` accesses to the location.
//!
//! Keys: `trace=` address of the location; `n=` accesses; `op=read|write|write-read|mixed|checked`
//! (`n` is a multiple of 2 for write-read, of 8 for mixed, of 5 for checked, which looks at all that is
//! read and says how much of it is wrong); `ticks=` anything: also proves, with further accesses, that
//! the ticks before and after lie whole seconds apart.

#![cfg_attr(target_os = "none", no_std, no_main)]

use guest::{
    Outcome, Start,
    access_forms::MIXED_ROUND,
    check,
    cmdline::CommandLineError,
    driver::TraceLocation,
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
    Checked,
}

fn run(start: &Start) -> Outcome {
    let mut location = start.trace_location("trace")?;
    let ops = [
        ("read", Op::Read),
        ("write", Op::Write),
        ("write-read", Op::WriteRead),
        ("mixed", Op::Mixed),
        ("checked", Op::Checked),
    ];
    let op = start.cmdline.choice("op", &ops)?;
    let n = start.cmdline.number("n")?;
    let turn = match op {
        Op::Read | Op::Write => 1,
        Op::WriteRead => 2,
        Op::Mixed => MIXED_ROUND,
        Op::Checked => CHECKED_ROUND,
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
        Op::Checked => {
            let wrong = (1..=n_u32 / turn as u32).map(|round| wrong_reads(&mut location, round));
            say!("wrong reads: {}", wrong.sum::<u32>());
        }
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

/// Accesses in a round of [`wrong_reads`].
const CHECKED_ROUND: u64 = 5;

/// Writes the word and a byte of it, and reads each back. How many reads gave what was not written, or what
/// a second has made of it.
fn wrong_reads(location: &mut TraceLocation, round: u32) -> u32 {
    // A tick stays in the lowest byte.
    let word = round << 16 | round & 0x7f;
    let byte = !(round as u8);
    let of_word = |seen: u32, word: u32| u32::from(seen.wrapping_sub(word) > 1);
    location.write(word);
    let after_word = of_word(location.read(), word);
    location.write_lane(1, byte);
    let after_byte = u32::from(location.read_lane::<u8>(1) != byte);
    let word = word & !0xff00 | u32::from(byte) << 8;
    after_word + after_byte + of_word(location.read(), word)
}
