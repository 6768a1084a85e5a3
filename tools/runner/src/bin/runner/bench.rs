//! `bench`: what an access costs, as the table for the README.

use crate::arguments::HostArguments;
use crate::hosts;
use runner::{Emulator, Failure, Platform, Unikernel, bench};
use std::path::PathBuf;
use vdev_model::AnyVdev;

const FLOOR: &str = "floor: the PC moves on";

/// Measures each operation, and what the least that can be done for an access costs.
pub(crate) fn bench_all(
    host: &HostArguments,
    floor_kernel: Option<PathBuf>,
) -> Result<(), Failure> {
    let platform = hosts::platform(host, Emulator::of)?;
    println!(
        "{} an access, {}, both options on, n = {}",
        bench::unit(&platform),
        platform.name(),
        bench::accesses(&platform)
    );
    println!("\n| guest | total | of it console | without console |");
    println!("|---|---|---|---|");
    let row = |name: &str, figures: &bench::Figures| {
        let (console, rest) = match figures.console {
            Some(console) => (format!("{console:.0}"), figures.total - console),
            None => ("-".into(), figures.total),
        };
        println!("| {name} | {:.0} | {console} | {rest:.0} |", figures.total);
    };
    let operations = [
        ("reads in a row", "read"),
        ("writes in a row", "write"),
        ("write, then read it back", "write-read"),
    ];
    if let Some(kernel) = floor_kernel {
        let floor = Platform::Unikernel(Unikernel {
            architecture: host.arch.into(),
            kernel,
            cpu: None,
        });
        row(
            FLOOR,
            &bench::measure(&floor, &host.images, bench::Storm::of_first("read"))?,
        );
    }
    if let Platform::Microkit(..) = platform {
        let beside = |answer: &str| -> Result<Platform, Failure> {
            let mut platform = hosts::platform(host, Emulator::of)?;
            if let Platform::Microkit(microkit, _) = &mut platform {
                // `make bench` puts them beside the others.
                microkit
                    .domains
                    .as_mut_os_string()
                    .push(format!("-{answer}"));
            }
            Ok(platform)
        };
        let floor = beside("floor")?;
        row(
            FLOOR,
            &bench::measure(&floor, &host.images, bench::Storm::of_first("read"))?,
        );
        let in_vmm = beside("in-vmm")?;
        for (name, operation) in operations {
            let name = format!("device inside the VMM: {name}");
            row(
                &name,
                &bench::measure(&in_vmm, &host.images, bench::Storm::of_first(operation))?,
            );
        }
    }
    for (name, operation) in operations {
        row(
            name,
            &bench::measure(&platform, &host.images, bench::Storm::of_first(operation))?,
        );
    }
    for storm in bench::Storm::of_others() {
        let kind = storm.vdev.kind().name;
        let (register, way) = (storm.register.name, storm.way());
        let name = format!("reads in a row, {kind}'s {register} ({way})");
        row(&name, &bench::measure(&platform, &host.images, storm)?);
    }
    Ok(())
}
