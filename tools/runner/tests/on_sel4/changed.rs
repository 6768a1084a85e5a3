//! Boots of a changed system: other words in its description, other bytes in a domain's program.

use crate::platforms::ran::Ran;
use crate::platforms::{BOARDS, configs_of, guests, instruction_ns_log2, microkit, set_by_make};
use runner::{Change, Platform, Request, on_architecture, run};
use std::path::Path;
use std::time::Duration;

pub(crate) const CONFIGS: [&str; 2] = ["debug", "release"];

/// What stands in the system description, and what is to.
pub(crate) fn change(from: &str, to: &str) -> Change {
    let (from, to) = (from.into(), to.into());
    Change { from, to }
}

/// Boots a scenario in the changed system, once on each board for each of the SDK's
/// configurations.
pub(crate) fn boot(scenario: &str, changes: &[Change]) -> Vec<Ran> {
    let boards = BOARDS.iter();
    boards
        .flat_map(|board| boot_on_board(scenario, board, &CONFIGS, changes, |_| {}))
        .collect()
}

/// The same on one board, after `prepare` has put files into the run's folder.
pub(crate) fn boot_on_board(
    scenario: &str,
    board: &str,
    configs: &[&str],
    changes: &[Change],
    prepare: impl Fn(&Path),
) -> Vec<Ran> {
    let folder = tempfile::tempdir().unwrap();
    let platforms = microkit(scenario, board, configs, changes);
    // Without an SDK there are no protection domains to prepare either.
    if !platforms.is_empty() {
        prepare(folder.path());
    }
    let run_on = |platform| boot_on(scenario, folder.path(), platform, None);
    platforms.iter().map(run_on).collect()
}

pub(crate) fn boot_on(
    scenario: &str,
    work: &Path,
    platform: &Platform,
    icount: Option<u32>,
) -> Ran {
    let configs = on_architecture(platform.architecture(), configs_of(scenario), work).unwrap();
    let request = Request {
        configs: &configs,
        images: &guests(platform),
        work,
        platform,
        icount: icount.or(Some(instruction_ns_log2(platform))),
        dump: None,
        counted: None,
        until: None,
        deadline: Some(Duration::from_secs(600)),
    };
    Ran {
        result: run(&request, |_| {}),
        platform: platform.name(),
    }
}

/// Writes a copy of a protection domain, with a change, as `changed` to the run's folder.
fn write_changed_copy(
    folder: &Path,
    board: &str,
    config: &str,
    domain: &str,
    change: impl Fn(&mut [u8]),
) {
    let from = set_by_make("VDEV_TRACE_DOMAINS").join(board).join(config);
    let mut file = std::fs::read(from.join(domain)).unwrap();
    change(&mut file);
    std::fs::write(folder.join("changed"), file).unwrap();
}

/// Puts an instruction where a program begins: one for each of the boards.
pub(crate) fn begin_with(file: &mut [u8], board: &str, [aarch64, x86]: [[u8; 4]; 2]) {
    let instruction = match board == BOARDS[0] {
        true => aarch64,
        false => x86,
    };
    let header = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap());
    // ELF-64 specification, "ELF Header": e_entry at 24, e_phoff at 32, entries of 56 bytes,
    // in which p_offset is at 8, p_vaddr at 16, p_filesz at 32.
    let (entry, segments) = (header(24), header(32) as usize);
    let place = (0..usize::from(file[56])).find_map(|number| {
        let segment = segments + 56 * number;
        let into = entry.checked_sub(header(segment + 16))?;
        (into < header(segment + 32)).then(|| (header(segment + 8) + into) as usize)
    });
    let place = place.expect("the entry point lies in a segment");
    file[place..place + 4].copy_from_slice(&instruction);
}

/// `UDF #0`, and UD2.
pub(crate) const UNDEFINED: [[u8; 4]; 2] = [[0; 4], [0x0f, 0x0b, 0, 0]];

/// A branch to itself.
pub(crate) const SPIN: [[u8; 4]; 2] = [[0, 0, 0, 0x14], [0xeb, 0xfe, 0, 0]];

/// Puts a text in the place of another one in a program, with line feeds as far as it is shorter.
pub(crate) fn say_instead(file: &mut [u8], from: &str, to: &str) {
    let places: Vec<_> = (0..file.len() - from.len())
        .filter(|at| file[*at..].starts_with(from.as_bytes()))
        .collect();
    assert!(!places.is_empty(), "{from:?} is in the program");
    for at in places {
        file[at..][..from.len()].fill(b'\n');
        file[at..][..to.len()].copy_from_slice(to.as_bytes());
    }
}

/// Each board with each configuration of its kernel.
pub(crate) fn everywhere() -> impl Iterator<Item = (&'static str, &'static str)> {
    let boards = BOARDS.into_iter();
    boards.flat_map(|board| CONFIGS.map(|config| (board, config)))
}

/// Boots the demo on one board, with a copy of a protection domain's program that `edit` has changed.
pub(crate) fn boot_with_changed(
    (board, config): (&str, &str),
    domain: &str,
    mut changes: Vec<Change>,
    edit: impl Fn(&mut [u8]),
) -> Vec<Ran> {
    let from = format!(r#"<program_image path="{domain}""#);
    changes.push(change(&from, r#"<program_image path="changed""#));
    boot_on_board("demo", board, &[config], &changes, |folder| {
        write_changed_copy(folder, board, config, domain, &edit);
    })
}
