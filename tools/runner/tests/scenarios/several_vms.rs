//! VMs beside each other: what is one's own, and what one can do to another.

use crate::everywhere::{ROUNDS, STORM, everywhere, on, platforms};
use crate::platforms::{guests, root, say, unikernel};
use runner::Architecture;
use std::path::{Path, PathBuf};
use trace_records::{Kind, Record};

#[test]
fn two_vms_have_devices_counters_and_logs_of_their_own() {
    everywhere("two-vms", |outcome| {
        for (vm, name, address, event) in
            [(0, "first", "fa000000", 12), (1, "second", "fb000040", 20)]
        {
            assert!(outcome.contains(&format!("{name}| guest: done")), "{name}");
            outcome.assert_that_the_log_is_whole(name);
            let own = format!("info  {name} trace0 cpu0 W4 0x{address} = 5 -> 1000 ");
            assert!(outcome.contains(&own), "{}: {name}", outcome.ran.platform);
            assert!(outcome.contains(&format!("info  {name}: ended: powered off by the guest")));
            let ring = outcome.trace_ring_of(vm);
            let events: Vec<_> = ring.events().collect();
            let accesses = outcome.sequences_of(name).len();
            assert_eq!(events.len(), accesses, "{name}");
            let own =
                |(_, record): &(Kind, Record)| (record.tag.vm(), record.tag.event()) == (vm, event);
            assert!(events.iter().all(own), "{name}");
        }
    });
}

/// How long an access may take beside a VM that floods its ring: as long as that VM's turn, with
/// what the trace component and the console do in it. On the unikernel a turn is a wake-up of
/// the clock; on seL4 it is a millisecond of the vCPU's own, and what its VMM does comes on top.
fn longest_wait_ns(on_sel4: bool) -> u64 {
    match on_sel4 {
        false => 15_000_000,
        true => 10_000_000,
    }
}

#[test]
fn a_vm_that_floods_its_ring_takes_no_line_of_the_others_and_delays_it_within_a_bound() {
    everywhere("flood", |outcome| {
        outcome.assert_that_the_log_is_whole("probe");
        let rounds = ROUNDS / outcome.divisor;
        assert_eq!(outcome.sequences_of("probe").len() as u64, rounds);
        let storm = outcome
            .lines()
            .iter()
            .find(|line| line.contains("info  storm trace0: "));
        let storm = storm.unwrap();
        let made = STORM / outcome.divisor;
        let sums = format!(": {made} accesses = {made} reads + 0 writes");
        assert!(storm.contains(&sums), "{storm}");
        // The flood outlasted the measurement.
        let end_of = |name: &str| {
            let end = format!("info  {name}: ended");
            outcome.lines().iter().position(|line| line.contains(&end))
        };
        assert!(end_of("probe").unwrap() < end_of("storm").unwrap());
        for which in ["logged", "silent"] {
            let line = format!(" {which} accesses: mean ");
            let line = outcome
                .lines()
                .iter()
                .find(|text| text.contains(&line))
                .unwrap();
            let longest = line.split_once("longest ").unwrap().1;
            let longest: u64 = longest.trim_end_matches(" ns").parse().unwrap();
            say(&format!("{}: {line}", outcome.ran.platform));
            let bound = longest_wait_ns(outcome.on_sel4);
            assert!(longest <= bound, "{}: {line}", outcome.ran.platform);
        }
    });
}

#[test]
fn a_vm_that_its_policy_ends_leaves_the_other_alone() {
    everywhere("one-aborts", |outcome| {
        let reason = outcome.reason();
        assert!(
            reason.contains("fatal aborts: ended: policy abort"),
            "{reason}"
        );
        let position = |text: &str| {
            outcome
                .printed()
                .iter()
                .position(|line| line.contains(text))
        };
        let aborted = position("fatal aborts: ended").unwrap();
        assert!(
            aborted < position("goes-on| guest: done").unwrap(),
            "{}",
            outcome.ran.platform
        );
        outcome.assert_that_the_log_is_whole("goes-on");
        assert_eq!(outcome.printed().last().unwrap(), "verdict: failed");
    });
}

#[test]
fn a_vm_finds_its_registers_as_it_left_them() {
    everywhere("registers", |outcome| {
        for name in ["registers-0", "registers-1"] {
            let kept = format!("{name}| guest: 20 rounds kept their registers");
            assert!(outcome.contains(&kept), "{}: {name}", outcome.ran.platform);
        }
    });
}

/// Configurations of VMs that use a second range of RAM, of so many bytes each.
fn vms_with_two_ranges(folder: &Path, second_ranges: &[u64]) -> Vec<PathBuf> {
    let config = |(number, len_bytes): (usize, &u64)| {
        // Not all in large pages, and each somewhere else.
        let from = 0x5000_0000 + 0x1000 * number as u64;
        let text = format!(
            "system ranges-{number}\ncpu\nram 0x40000000,2M\nram {from:#x},{len_bytes:#x}\n\
             load ram-ranges\n\
             cmdline \"trace=0xfa000000 console=0x9000000 from={from:#x} to={:#x}\"\n\
             logger info,warn,error,fatal stdout\n\
             vdev trace loc 0xfa000000 emit-logger emit-trace 1\nvdev pl011 loc 0x9000000\n",
            from + len_bytes
        );
        let file = folder.join(format!("{number}.conf"));
        std::fs::write(&file, text).unwrap();
        file
    };
    second_ranges.iter().enumerate().map(config).collect()
}

#[test]
fn eight_vms_with_several_ranges_of_ram_run_beside_each_other() {
    const MIB: u64 = 1 << 20;
    let folder = tempfile::tempdir().unwrap();
    let ranges = [
        256 * MIB,
        0x1000,
        2 * MIB,
        0x3000,
        0x1000,
        MIB,
        4 * MIB,
        0x1000,
    ];
    let configs = vms_with_two_ranges(folder.path(), &ranges);
    on(platforms("eight VMs"), &configs, None, |outcome| {
        for vm in 0..8 {
            let name = format!("ranges-{vm}");
            // All end within a few milliseconds, so a slow line has no room for all that is logged.
            for text in [
                ": ended: powered off by the guest",
                " trace0: 2 accesses = 1 reads + 1 writes + 0 refused",
            ] {
                assert!(outcome.contains(&format!("{name}{text}")), "{name}: {text}");
            }
        }
    });
}

#[test]
fn a_vm_has_a_gibibyte_of_ram_and_an_image_of_64_mib_on_the_unikernel() {
    let folder = tempfile::tempdir().unwrap();
    let configs = vms_with_two_ranges(folder.path(), &[1 << 30]);
    for architecture in [Architecture::Aarch64, Architecture::X86_64] {
        if let Some(platform) = unikernel("much RAM and a large image", architecture) {
            // What follows an ELF file's contents belongs to nothing.
            let mut image = std::fs::read(guests(&platform).join("ram-ranges")).unwrap();
            image.resize(64 << 20, 0);
            std::fs::write(folder.path().join("ram-ranges"), image).unwrap();
            let text = std::fs::read_to_string(&configs[0]).unwrap();
            let here = format!("load {}", folder.path().join("ram-ranges").display());
            std::fs::write(&configs[0], text.replace("load ram-ranges", &here)).unwrap();
            on(vec![platform], &configs, None, |outcome| {
                assert!(outcome.contains("ranges-0| guest: done"));
            });
            std::fs::write(&configs[0], text).unwrap();
        }
    }
}

/// A guest that means harm as VM 0, and one that times its ticks as VM 1, which must not notice.
#[test]
fn a_vm_goes_on_beside_one_that_means_harm() {
    let scenarios = root().join("tools/runner/scenarios");
    for (hostile, line, until) in [
        (
            "lost-hole",
            "fatal lost-hole: ended: the guest left its RAM",
            None,
        ),
        ("rewritten", "info  rewritten: ended: powered off", None),
        ("psci", "info  psci: ended: powered off", None),
        ("calls", "info  calls: ended: powered off", None),
        ("lost-table", "fatal lost-table: ended: ", None),
        (
            "waits",
            "warn  waits: the guest only waits for interrupts",
            Some("warn  waits: "),
        ),
    ] {
        let configs = [format!("{hostile}.conf"), "one-aborts/1.conf".into()];
        let configs = configs.map(|file| scenarios.join(file));
        let name = format!("{hostile} beside a VM that goes on");
        on(platforms(&name), &configs, until, |outcome| {
            let printed = outcome.printed();
            let has = |text: &str| printed.iter().any(|printed| printed.contains(text));
            for text in [
                line,
                "goes-on| guest: done",
                "info  goes-on: ended: powered off",
            ] {
                assert!(
                    has(text),
                    "{}: no {text} beside {hostile}",
                    outcome.ran.platform
                );
            }
            outcome.assert_that_the_log_is_whole("goes-on");
        });
    }
}
