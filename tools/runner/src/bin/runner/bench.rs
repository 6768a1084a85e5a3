//! `bench`: what an access costs, as a table for people or as JSON for programs.
//!
//! Invariant: a figure that nothing on this platform counts is not there; it is never zero for that.

use crate::arguments::HostArguments;
use crate::hosts;
use runner::bench::shares::{Shares, count};
use runner::bench::{self, Figures, Storm};
use runner::{Emulator, Failure, Platform, Unikernel};
use serde_json::{Value, json};
use std::path::PathBuf;
use vdev_model::AnyVdev;

const FLOOR: &str = "floor: the PC moves on";

/// What the guest does to the first device.
const OPERATIONS: [(&str, &str); 3] = [
    ("reads in a row", "read"),
    ("writes in a row", "write"),
    ("write, then read it back", "write-read"),
];

/// How the figures are told, as they come.
#[derive(Clone, Copy)]
enum Told {
    Table,
    Json,
}

struct Bench<'a> {
    host: &'a HostArguments,
    told: Told,
    rows: Vec<Value>,
}

/// Measures each operation, and what the least that can be done for an access costs.
pub(crate) fn bench_all(
    host: &HostArguments,
    floor_kernel: Option<PathBuf>,
    json: bool,
) -> Result<(), Failure> {
    let platform = hosts::platform(host, Emulator::of)?;
    let (name, unit, accesses) = (
        platform.name(),
        bench::unit(&platform),
        bench::accesses(&platform),
    );
    let told = if json { Told::Json } else { Told::Table };
    let mut bench = Bench {
        host,
        told,
        rows: Vec::new(),
    };
    bench.say(&format!(
        "{unit} an access, {name}, both options on, n = {accesses}\n\n\
         | guest | total | of it console | without console | of that trace |\n\
         |---|---|---|---|---|"
    ));
    let read = Storm::of_first("read");
    if let Some(kernel) = floor_kernel {
        let floor = Platform::Unikernel(Unikernel {
            architecture: host.arch.into(),
            kernel,
            cpu: None,
        });
        bench.row(FLOOR, &floor, read)?;
    }
    if let Platform::Microkit(..) = platform {
        bench.row(FLOOR, &beside(host, "floor")?, read)?;
        let in_vmm = beside(host, "in-vmm")?;
        for (name, operation) in OPERATIONS {
            let name = format!("device inside the VMM: {name}");
            bench.row(&name, &in_vmm, Storm::of_first(operation))?;
        }
    }
    for (name, operation) in OPERATIONS {
        bench.row(name, &platform, Storm::of_first(operation))?;
    }
    for storm in Storm::of_others() {
        let kind = storm.vdev.kind().name;
        let (register, way) = (storm.register.name, storm.way());
        let name = format!("reads in a row, {kind}'s {register} ({way})");
        bench.row(&name, &platform, storm)?;
    }
    let shares = bench.shares(&platform)?;
    if json {
        let all = json!({
            "platform": name, "unit": unit, "accesses": accesses,
            "rows": bench.rows, "shares": shares,
        });
        println!("{all:#}");
    }
    Ok(())
}

/// The Microkit's platform with a VMM that answers by itself. `make bench` puts it beside the others.
fn beside(host: &HostArguments, answer: &str) -> Result<Platform, Failure> {
    let mut platform = hosts::platform(host, Emulator::of)?;
    if let Platform::Microkit(microkit, _) = &mut platform {
        let folder = microkit.domains.as_mut_os_string();
        folder.push(format!("-{answer}"));
    }
    Ok(platform)
}

impl Bench<'_> {
    fn say(&self, text: &str) {
        if let Told::Table = self.told {
            println!("{text}");
        }
    }

    fn row(&mut self, name: &str, platform: &Platform, storm: Storm) -> Result<(), Failure> {
        let Figures {
            total,
            console,
            trace,
        } = bench::measure(platform, &self.host.images, storm)?;
        let rest = total - console.unwrap_or(0.0);
        let known = |share: Option<f64>| share.map_or("-".into(), |share| format!("{share:.0}"));
        let (of_console, of_trace) = (known(console), known(trace));
        self.say(&format!(
            "| {name} | {total:.0} | {of_console} | {rest:.0} | {of_trace} |"
        ));
        self.rows.push(json!({
            "guest": name, "total": total, "console": console, "without_console": rest, "trace_component": trace,
        }));
        Ok(())
    }

    /// Whose the instructions are, where that is counted.
    fn shares(&self, platform: &Platform) -> Result<Vec<Value>, Failure> {
        let mut all = Vec::new();
        for (name, operation) in &OPERATIONS[..2] {
            let storm = Storm::of_first(operation);
            let Some(shares) = count(platform, &self.host.images, storm)? else {
                break;
            };
            if all.is_empty() {
                self.say("\n| whose they are | kernel | pd-vmm | pd-trace | pd-console | guest and others |\n|---|---|---|---|---|---|");
            }
            let Shares {
                kernel,
                vmm,
                trace,
                console,
                others,
            } = shares;
            self.say(&format!(
                "| {name} | {kernel:.0} | {vmm:.0} | {trace:.0} | {console:.0} | {others:.0} |"
            ));
            all.push(json!({
                "guest": name, "kernel": kernel, "vmm": vmm, "trace_component": trace, "console": console,
                "others": others,
            }));
        }
        Ok(all)
    }
}
