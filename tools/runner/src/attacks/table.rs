//! The table for the README: what held where.
//!
//! Each run leaves its results in a folder, a file for each platform; the table is made of all that
//! are there, with a column for seL4 and one for the unikernel.

use super::{Judged, Outcome};
use crate::Platform;
use ::attacks::ALL;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::path::Path;

/// The columns: their titles, and how the names of their platforms begin.
const COLUMNS: [(&str, &str); 2] = [("seL4", "sel4"), ("unikernel", "unikernel")];
const NOT_TRIED: &str = "–";

/// Leaves the results of a run in `folder`, over those of the same platform.
///
/// # Errors
///
/// The folder or the file cannot be written.
pub fn save(folder: &Path, platform: &Platform, judged: &[Judged]) -> io::Result<()> {
    let file = folder.join(name(platform));
    let mut results = load(&file);
    for judged in judged {
        results.insert(judged.attack.name.into(), cell(&judged.outcome).into());
    }
    let mut text = String::new();
    for (attack, cell) in results {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{attack}\t{cell}");
    }
    std::fs::create_dir_all(folder)?;
    std::fs::write(file, text)
}

/// A file's name: the column, and what differs within it.
fn name(platform: &Platform) -> String {
    let architecture = platform.architecture().name();
    match platform {
        Platform::Unikernel(_) => format!("unikernel {architecture}"),
        Platform::Microkit(sel4, _) => format!("sel4 {architecture} {}", sel4.config),
    }
}

fn cell(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Held => "held",
        Outcome::Mended => "held: the hang is mended",
        Outcome::Ended => "held: the run ends",
        Outcome::Fell(_) => "*fell*",
        Outcome::NotTried(_) => NOT_TRIED,
    }
}

/// What an earlier run left; nothing if there was none.
fn load(file: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once('\t'));
    lines
        .map(|(attack, cell)| (attack.into(), cell.into()))
        .collect()
}

/// The table of all results in `folder`, in the list's order.
///
/// # Errors
///
/// The folder cannot be read.
pub fn table(folder: &Path) -> io::Result<String> {
    let mut results = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        results.insert(name.to_string_lossy().into_owned(), load(&path));
    }
    let titles = COLUMNS.map(|(title, _)| title).join(" | ");
    let mut text = format!(
        "| attack | by | what it tries | stopped by | {titles} |\n|---|---|---|---|---|---|\n"
    );
    for attack in ALL.iter().copied().flatten() {
        let cells = COLUMNS.map(|(_, platform)| {
            let of_column = results.iter().filter_map(|(name, results)| {
                let within = name.strip_prefix(platform)?.trim();
                Some((within, results.get(attack.name)?.as_str()))
            });
            merged(of_column.collect())
        });
        if cells.iter().all(|cell| cell == NOT_TRIED) {
            continue;
        }
        let (by, stopped_by) = (attack.act.by().name(), attack.stopped_by.name());
        let (name, tries, cells) = (attack.name, attack.tries, cells.join(" | "));
        // As above.
        let _ = writeln!(text, "| {name} | {by} | {tries} | {stopped_by} | {cells} |");
    }
    Ok(text)
}

/// One cell of several platforms': where they differ, which is which.
fn merged(cells: Vec<(&str, &str)>) -> String {
    let Some((_, first)) = cells.first() else {
        return NOT_TRIED.into();
    };
    if cells.iter().all(|(_, cell)| cell == first) {
        return (*first).into();
    }
    let each = cells
        .iter()
        .map(|(within, cell)| format!("{cell} ({within})"));
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_that_agree_share_a_word() {
        assert_eq!(merged(vec![]), "–");
        assert_eq!(
            merged(vec![("aarch64", "held"), ("x86_64", "held")]),
            "held"
        );
        assert_eq!(
            merged(vec![("aarch64", "held"), ("x86_64", "*fell*")]),
            "held (aarch64), *fell* (x86_64)"
        );
    }
}
