//! What an instruction leaves where it meets the device: the contract of the README, in every form,
//! mode and byte order that a guest can choose.

use crate::everywhere::{everywhere, is_sel4, on, on_architecture, on_other_cpus};
use crate::outcome::Outcome;
use crate::platforms::root;
use guest_access::Direction;
use regex::Regex;
use runner::Architecture;
use trace_records::Flags;

/// The matrix of an architecture in the README: header, rows, and the sums below them.
fn matrix_of_the_readme(architecture: Architecture) -> Vec<String> {
    let number = match architecture {
        Architecture::Aarch64 => 1,
        Architecture::X86_64 => 2,
    };
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let mut headers = 0;
    let lines = readme.lines().skip_while(|line| {
        headers += usize::from(line.trim_start().starts_with("R1 "));
        headers < number
    });
    lines
        .take_while(|line| !line.starts_with("```"))
        .map(|line| line.trim().to_owned())
        .collect()
}

#[test]
fn every_case_of_the_contract_ends_as_the_matrix_in_the_readme_says() {
    let on_aarch64 = matrix_of_the_readme(Architecture::Aarch64);
    let on_x86 = matrix_of_the_readme(Architecture::X86_64);
    assert_eq!(on_aarch64.len(), 1 + 16 + 6, "{on_aarch64:#?}");
    assert_eq!(on_x86.len(), 1 + 39 + 2, "{on_x86:#?}");
    for scenario in ["conformance-fail", "conformance-ignore"] {
        everywhere(scenario, |outcome| {
            outcome.assert_guest_is_done();
            let wanted = match outcome.architecture {
                Architecture::X86_64 => &on_x86,
                Architecture::Aarch64 => &on_aarch64,
            };
            let guest = format!("{scenario}| guest: ");
            let said = outcome
                .lines()
                .iter()
                .filter_map(|line| line.split_once(&guest));
            let said: Vec<&str> = said.map(|(_, text)| text.trim()).collect();
            // Nobody on seL4 can reach a guest's vector registers: policy `instruction`, which
            // on x86 is what they get everywhere.
            let differs_on_sel4 = outcome.on_sel4 && outcome.architecture == Architecture::Aarch64;
            let differs = |line: &str| {
                differs_on_sel4
                    && (line.starts_with("vector") || line.contains("refused by policy"))
            };
            for (wanted, said) in wanted.iter().zip(&said) {
                assert!(
                    wanted == said || differs(said),
                    "{}: {said}",
                    outcome.ran.platform
                );
            }
            assert_eq!(said.len(), wanted.len() + 1, "{said:#?}");
            let vectors = said.iter().filter(|line| line.starts_with("vector"));
            for row in vectors.filter(|_| differs_on_sel4) {
                let mut cells = row.split_whitespace().filter(|cell| cell.contains('+'));
                assert!(cells.all(|cell| cell.starts_with("0+")), "{row}");
            }
        });
    }
}

#[test]
fn what_is_not_supported_is_flagged_and_the_guest_lives() {
    for scenario in ["unsupported", "unsupported-ignored"] {
        everywhere(scenario, |outcome| {
            outcome.assert_guest_is_done();
            assert!(outcome.contains("R8 0xfa000000 not supported"));
            // What reads and writes in one: a CPU reports the write, QEMU for x86 the read.
            let either = ["R?", "W?"].map(|what| format!("{what} 0xfa000000 not supported"));
            assert!(either.iter().any(|line| outcome.contains(line)));
            assert_eq!(
                outcome.contains("exceptions given"),
                scenario == "unsupported"
            );
        });
    }
}

#[test]
fn an_instruction_leaves_the_same_on_ram_and_on_the_device() {
    // With reference fail, pairs end in an exception: one of their words is nowhere.
    let scenarios = [
        ("addressing-forms", 64, 13),
        ("addressing-forms-fail", 50, 10),
    ];
    for (scenario, forms, vector_forms) in scenarios {
        everywhere(scenario, |outcome| {
            outcome.assert_guest_is_done();
            let says = |text: &str| {
                let line = format!("| guest: {text}");
                assert!(
                    outcome.contains(&line),
                    "{}: no {text}",
                    outcome.ran.platform
                );
            };
            // seL4 gives nobody a guest's vector registers.
            let vectors = match outcome.on_sel4 {
                false => "leave the same",
                true => "are answered by policy",
            };
            for place in ["mmu off", "lower half", "upper half"] {
                says(&format!(
                    "{place}: {forms} forms leave the same on RAM and on the device"
                ));
                says(&format!(
                    "{place}: {vector_forms} forms of vector registers {vectors}"
                ));
                says(&format!(
                    "{place}: what is not supported is answered by policy"
                ));
            }
            for line in ["4 KiB:", "64 KiB:", "literals", "pairs across pages"] {
                says(line);
            }
        });
    }
}

#[test]
fn an_instruction_leaves_the_same_on_ram_and_on_the_device_in_the_other_byte_order() {
    everywhere("byte-order", |outcome| {
        outcome.assert_guest_is_done();
        for level in ["EL1", "EL0"] {
            let line = format!("{level}: 22 forms leave the same on RAM and on the device");
            assert!(
                outcome.contains(&line),
                "{}: no {line}",
                outcome.ran.platform
            );
        }
    });
}

#[test]
fn a_program_of_aarch32_finds_the_same_on_ram_and_on_the_device_and_ends_nothing() {
    let check = |outcome: Outcome| {
        outcome.assert_guest_is_done();
        // Of each set, those whose condition does not hold make no access.
        for (set, forms, none) in [("A32", 45, 1), ("T32", 42, 1)] {
            for order in ["little-endian", "big-endian"] {
                // seL4 lets nobody set PSTATE of a guest in AArch32, nor the registers behind it.
                let made = match outcome.on_sel4 {
                    false => format!("{forms} forms leave the same on RAM and on the device"),
                    true => format!(
                        "{} forms are answered by policy, {none} make no access",
                        forms - none
                    ),
                };
                let line = format!("{set}, {order}: {made}");
                assert!(
                    outcome.contains(&line),
                    "{}: no {line}",
                    outcome.ran.platform
                );
            }
        }
        // seL4 does not trap them all.
        let undefined = match outcome.on_sel4 {
            false => "4 of 4 registers are undefined",
            true => "of 4 registers are undefined",
        };
        for line in [
            "what is not supported is answered by policy",
            undefined,
            "a wait ends behind its instruction",
        ] {
            assert!(
                outcome.contains(line),
                "{}: no {line}",
                outcome.ran.platform
            );
        }
        assert!(outcome.contains("info  aarch32: ended: powered off by the guest"));
    };
    everywhere("aarch32", check);
    on_other_cpus("aarch32", &["cortex-a76", "max"], check);
    on_other_cpus("aarch32", &["a64fx"], |outcome| {
        assert!(outcome.contains("this CPU has no AArch32"));
    });
}

#[test]
fn on_a_cpu_with_atomics_the_contract_refuses_them() {
    for scenario in ["conformance-fail", "conformance-ignore"] {
        on_other_cpus(scenario, &["cortex-a76", "max"], |outcome| {
            outcome.assert_guest_is_done();
            let row = outcome.lines().iter().find_map(|line| {
                let (_, row) = line.split_once("| guest: atomic ")?;
                Some(row.split_whitespace().collect::<Vec<_>>())
            });
            let row = row.expect("there is such a row");
            // They exist as stores of 1 to 8 bytes, and want to be aligned.
            let cells = [&["-"; 10][..], &["0+12", "0+6", "0+3", "0+2", "-"]].concat();
            assert_eq!(row, cells, "{}", outcome.ran.platform);
            assert!(!outcome.contains("that this CPU does not have"));
        });
    }
}

/// The guest says of each access in which lane of the word it was and what its register holds.
#[test]
fn the_device_sees_what_the_code_does_in_every_mode_of_an_x86_cpu() {
    let said = Regex::new(r"([RW])(\d)\+(\d)=0x([0-9a-f]+)").unwrap();
    // QEMU's CPU takes some of what no CPU takes; Bochs's is as exact as one.
    for (scenario, wants_sel4) in [("modes", false), ("modes-exact", true)] {
        let config = root().join(format!("tools/runner/scenarios/{scenario}.conf"));
        let mut platforms = on_architecture(scenario, Architecture::X86_64);
        platforms.retain(|platform| is_sel4(platform) == wants_sel4);
        on(platforms, &[config], None, |outcome| {
            outcome.assert_guest_is_done();
            let guest = format!("{scenario}| guest: ");
            let lines = outcome.lines().iter().filter(|line| line.contains(&guest));
            let made: Vec<_> = lines
                .flat_map(|line| said.captures_iter(line))
                .map(|access| {
                    let number = |index: usize| access[index].parse::<u64>().unwrap();
                    let value = u32::from_str_radix(&access[4], 16).unwrap();
                    (&access[1] == "W", number(2), number(3), value)
                })
                .collect();
            let records = outcome.traced().into_iter();
            let seen: Vec<_> = records
                .filter(|record| !record.tag.flags().contains(Flags::REFUSED))
                .map(|record| {
                    let width = record.tag.width().unwrap();
                    let lane = record.address.0 - 0xfa00_0000;
                    let is_write = record.tag.direction() == Direction::Write;
                    // A record of a write has the whole word.
                    let shift = if is_write { 8 * lane } else { 0 };
                    let value = record.value >> shift & width.mask() as u32;
                    (is_write, width.bytes(), lane, value)
                })
                .collect();
            assert!(made.len() > 200, "{}: {}", outcome.ran.platform, made.len());
            assert_eq!(made.len(), seen.len(), "{}", outcome.ran.platform);
            for (made, seen) in made.iter().zip(&seen) {
                let alike = |one: &(bool, u64, u64, u32)| (one.0, one.1, one.2);
                // A guest does not know of ticks that came before it added to the word.
                let ticks = seen.3.wrapping_sub(made.3);
                assert!(
                    alike(made) == alike(seen) && (ticks == 0 || seen.2 == 0 && ticks <= 4),
                    "{}: {made:x?} made, {seen:x?} seen",
                    outcome.ran.platform
                );
            }
        });
    }
}
