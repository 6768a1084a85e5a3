//! The boards that QEMU has a model of, beside the usual one: each boots the same systems from its own image.

use crate::changed::boot_on;
use crate::platforms::{BOARDS, microkit, root, skip};
use runner::{Board, Failure, available};
use system_description::names;

/// One VM, two that share the CPU, and one whose guest makes accesses as fast as it can.
const SYSTEMS: [&str; 3] = ["demo", "two-vms", "storm-read"];

#[test]
fn each_board_that_qemu_has_boots_the_demo_two_vms_and_a_storm() {
    let boards = root().join("boards");
    for name in names(&boards) {
        if BOARDS.contains(&name.as_str()) {
            continue;
        }
        let board = Board::load(&boards, &name).unwrap();
        let place = format!("seL4, {name} release");
        let reason = match &board.qemu {
            None => "nothing emulates it".to_owned(),
            Some(qemu) => match available(qemu) {
                Ok(()) => {
                    boot_all(&name);
                    continue;
                }
                Err(reason) => reason,
            },
        };
        for system in SYSTEMS {
            skip(system, &place, &reason);
        }
    }
}

fn boot_all(board: &str) {
    for system in SYSTEMS {
        for platform in microkit(system, board, &["release"], &[]) {
            let folder = tempfile::tempdir().unwrap();
            let ran = boot_on(system, folder.path(), &platform, None);
            match ran.result {
                Ok(transcript) => {
                    let verdict = transcript.lines.iter().any(|line| line == "verdict: ok");
                    assert!(verdict, "{system} on {board}: {:#?}", transcript.lines);
                }
                Err(Failure::System { transcript, reason }) => {
                    panic!("{system} on {board}: {reason}: {:#?}", transcript.lines)
                }
                Err(failure) => panic!("{system} on {board}: {failure}"),
            }
        }
    }
}
