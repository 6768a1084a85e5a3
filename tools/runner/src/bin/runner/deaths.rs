//! `deaths`: kills and hangs protection domains from outside, and prints what that cost the guest.

use crate::arguments::HostArguments;
use crate::hosts::platform;
use runner::deaths::{Guest, Seen, WHO, Wanted, try_deaths};
use runner::{Emulator, Failure, Transcript};
use std::fs;

/// The longest that the guest may wait for a domain that has died, and half of them; and for one that
/// hangs: in microseconds.
const LONGEST_US: f64 = 10_000.0;
const MEDIAN_US: f64 = 100.0;
/// The latter in Linux: its program asks its clock between two accesses, and its kernel has something to do as well.
const MEDIAN_IN_LINUX_US: f64 = 1000.0;
const LONGEST_HANG_US: f64 = 150_000.0;

/// Where the console's lines are left if something is wrong.
const TRANSCRIPT: &str = "out/deaths.txt";

/// Tries it, and prints the figures.
///
/// # Errors
///
/// That something was lost, doubled or wrong, or took too long, or what the host lacks.
pub(crate) fn try_and_print(host: &HostArguments, wanted: Wanted) -> Result<(), Failure> {
    let platform = platform(host, Emulator::of)?;
    println!("{}, seed {}:", platform.name(), wanted.seed);
    let seen = match try_deaths(&platform, &host.images, wanted) {
        Ok(seen) => seen,
        Err(Failure::System { transcript, reason }) => {
            let reason = format!("{reason}; {}", leave(&transcript));
            return Err(Failure::System { transcript, reason });
        }
        Err(failure) => return Err(failure),
    };
    println!("outage, from the death to the guest's next record, in us of the machine's time");
    println!(
        "{:<12} {:>7} {:>9} {:>9} {:>7} {:>9}",
        "", "deaths", "median", "longest", "hangs", "longest"
    );
    let most_of_half = match wanted.guest {
        Guest::Storm => MEDIAN_US,
        Guest::Linux => MEDIAN_IN_LINUX_US,
    };
    let mut wrong = Vec::new();
    for ((part, deaths), hangs) in WHO.iter().zip(&seen.deaths_us).zip(&seen.hangs_us) {
        let (median, longest) = (median(deaths), longest(deaths));
        let longest_hang = self::longest(hangs);
        let (name, count) = (part.name(), deaths.len());
        println!(
            "{name:<12} {count:>7} {median:>9.1} {longest:>9.1} {:>7} {longest_hang:>9.1}",
            hangs.len()
        );
        if median > most_of_half || longest > LONGEST_US || longest_hang > LONGEST_HANG_US {
            wrong.push(format!("{name} is away for too long"));
        }
    }
    wrong.extend(what_is_wrong(&seen, wanted));
    match &wrong[..] {
        [] => Ok(()),
        wrong => {
            let what = wrong.join("; ");
            let left = leave(&seen.transcript);
            Err(Failure::Host(format!("{what}; {left}")))
        }
    }
}

/// Leaves the console's lines, and tells where.
fn leave(transcript: &Transcript) -> String {
    match fs::write(TRANSCRIPT, transcript.lines.join("\n")) {
        Ok(()) => format!("what was printed is in {TRANSCRIPT}"),
        Err(error) => format!("{TRANSCRIPT}: {error}"),
    }
}

/// Prints the sums, and tells which are not as they have to be.
fn what_is_wrong(seen: &Seen, wanted: Wanted) -> Vec<String> {
    let (sums, records) = (&seen.sums, &seen.records);
    println!(
        "the guest: {} accesses, {:?} wrong reads",
        sums.made, sums.wrong
    );
    println!(
        "sums: {:?} accesses, {:?} unrecorded, {:?} logged, {:?} not logged",
        sums.accesses, sums.unrecorded, sums.logged, sums.not_logged
    );
    println!(
        "lines: {} printed, {:?} not printed, {} doubled",
        sums.printed, sums.not_printed, sums.doubled
    );
    println!(
        "trace ring, while domains died: {} accesses, {} missing, {} doubled, {} unseen",
        records.accesses, records.missing, records.doubled, records.unseen
    );
    let all_logged = sums
        .logged
        .zip(sums.not_logged)
        .map(|(logged, not)| logged + not);
    let of_each = wanted.deaths + wanted.hangs;
    let missing = sums.not_logged.zip(sums.not_printed);
    let are_lines_there = missing.is_some_and(|(not_logged, not_printed)| {
        let all = sums.printed + not_logged + not_printed;
        (sums.made..=sums.made + of_each).contains(&all)
    });
    let died = WHO.len() as u64 * of_each;
    // A line that is missing may be there in part.
    let are_restarts_told = sums.restarts <= died && sums.restarts + sums.restarts_lost >= died;
    let checks = [
        (sums.wrong == Some(0), "wrong reads"),
        (sums.accesses == Some(sums.made), "the device's sum"),
        (sums.unrecorded == Some(0), "accesses without a record"),
        (all_logged == Some(sums.made), "the log's sums"),
        (are_lines_there, "the lines"),
        (sums.doubled + records.doubled == 0, "what was told twice"),
        (records.missing == 0, "what is not in the trace ring"),
        (are_restarts_told, "the restarts that were told"),
    ];
    let wrong = checks.iter().filter(|(is_right, _)| !is_right);
    wrong.map(|(_, what)| (*what).to_owned()).collect()
}

fn longest(all: &[f64]) -> f64 {
    all.iter().copied().fold(0.0, f64::max)
}

fn median(all: &[f64]) -> f64 {
    let mut sorted = all.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}
