//! `attacks`: tries the list's, or some of them, and prints the table of all that were ever tried.

use crate::arguments::HostArguments;
use crate::hosts::platform;
use ::attacks::Attack;
use runner::attacks::{Target, save, table};
use runner::{Emulator, Failure};
use std::path::Path;

/// Tries the attacks whose names begin as one of `names` does, or all.
///
/// # Errors
///
/// That some did not go as the list says, or what the host lacks.
pub(crate) fn attack(host: &HostArguments, names: &[String]) -> Result<(), Failure> {
    let platform = platform(host, Emulator::of)?;
    let target = Target::of(&platform, &host.images);
    let is_wanted = |attack: &&Attack| {
        names.is_empty()
            || names
                .iter()
                .any(|name| attack.name.starts_with(name.as_str()))
    };
    let list: Vec<_> = ::attacks::ALL
        .iter()
        .copied()
        .flatten()
        .filter(is_wanted)
        .collect();
    let judged = target.attack(&list, |judged| println!("{judged}"))?;
    let wrong = judged
        .iter()
        .filter(|judged| !judged.is_as_wanted())
        .count();
    let folder = Path::new("out/attacks");
    let table = save(folder, &platform, &judged).and_then(|()| table(folder));
    let table = table.map_err(|error| Failure::Host(format!("{}: {error}", folder.display())))?;
    print!("\n{table}");
    match wrong {
        0 => Ok(()),
        wrong => Err(Failure::Host(format!(
            "{wrong} attacks did not go as the list says"
        ))),
    }
}
