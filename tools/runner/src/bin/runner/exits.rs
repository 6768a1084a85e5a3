//! `exits`: the exits of one boot of Linux, as a table for people or as JSON for programs.

use crate::arguments::Boot;
use crate::hosts::platform_of;
use runner::exits::{self, Kind};
use runner::{Failure, Platform};
use serde_json::{Value, json};

const WHAT_IS_COUNTED: &str = "\
An exit's instructions are all that the CPU executed from the exception that left the guest until the guest's next
instruction: the answer, and whatever else had work to do meanwhile (waiting: other than the guest's). The time is the
stamp of the shell's last line before its prompt; the machine's clock counts an instruction as a nanosecond.";

/// Boots the VM until its shell's prompt, and prints what it left the CPU for.
pub(crate) fn count_and_print(boot: &Boot, is_json: bool) -> Result<(), Failure> {
    let platform = platform_of(boot)?;
    let configs = boot.configurations()?;
    let counted = exits::count(&platform, &configs, &boot.host.images, &boot.work)?;
    if is_json {
        println!("{:#}", document(&platform, &counted));
    } else {
        print(&platform, &counted);
    }
    Ok(())
}

fn print(platform: &Platform, boot: &exits::Boot) {
    let all = all(&boot.kinds);
    println!(
        "Linux at its shell's prompt after {:.3} s, {}\n\n\
         | exit | number | instructions each, mean | median | of the mean domains' | all |\n|---|--:|--:|--:|--:|--:|",
        boot.shell.as_secs_f64(),
        platform.name()
    );
    for kind in boot.kinds.iter().chain([&all]) {
        let domains = match platform {
            Platform::Unikernel(_) => "-".into(),
            Platform::Microkit(..) => each(kind.domains, kind.number).to_string(),
        };
        // Of all kinds together it says nothing.
        let median = match std::ptr::eq(kind, &all) {
            true => "-".into(),
            false => kind.median.to_string(),
        };
        println!(
            "| {} | {} | {} | {median} | {domains} | {} |",
            kind.name,
            kind.number,
            each(kind.instructions, kind.number),
            kind.instructions
        );
    }
    let share = all.instructions as f64 / (all.instructions + boot.guest) as f64;
    println!(
        "\nThe guest itself executed {} instructions, so its exits are {:.1} % of all from its first to its prompt; \
         {} were executed before.\n{WHAT_IS_COUNTED}",
        boot.guest,
        100.0 * share,
        boot.before
    );
}

fn document(platform: &Platform, boot: &exits::Boot) -> Value {
    let rows = boot.kinds.iter().map(|kind| {
        json!({
            "exit": kind.name, "number": kind.number, "instructions": kind.instructions,
            "of_domains": kind.domains, "median": kind.median,
        })
    });
    json!({
        "platform": platform.name(), "shell_s": boot.shell.as_secs_f64(),
        "instructions_before": boot.before, "instructions_of_guest": boot.guest,
        "exits": rows.collect::<Vec<_>>(), "what_is_counted": WHAT_IS_COUNTED,
    })
}

fn all(kinds: &[Kind]) -> Kind {
    Kind {
        name: "all".into(),
        number: kinds.iter().map(|kind| kind.number).sum(),
        instructions: kinds.iter().map(|kind| kind.instructions).sum(),
        domains: kinds.iter().map(|kind| kind.domains).sum(),
        median: 0,
    }
}

/// The mean, rounded.
fn each(instructions: u64, number: u64) -> u64 {
    (instructions + number / 2) / number.max(1)
}
