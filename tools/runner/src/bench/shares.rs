//! Whose the instructions of an access are: the kernel's, the VMM's, the trace component's, the console's.
//!
//! Used by `bench`. On seL4 QEMU counts the instructions of each block that it executes; two runs of different
//! length are subtracted, so that what happens once falls out, and each block is its program's whose file has
//! the same bytes at its address. The unikernel is one program: what it says of its components itself is what
//! there is.
//!
//! Invariant: what no program has is told as well, so the shares add up to what the CPU has done.

use super::blocks::{self, Block};
use super::{Storm, run_storm};
use crate::machine::code::Code;
use crate::{Failure, Platform};
use std::path::Path;

/// Accesses of the shorter run, and how many more the longer one has: so many that what a machine still does when
/// all is over, until it is stopped, is less than a hundredth of it.
const SHORT: u64 = 50_000;
const MORE: u64 = 1_000_000;

/// Instructions of an access, by whose they are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shares {
    /// The kernel's.
    pub kernel: f64,
    /// The VMM's.
    pub vmm: f64,
    /// The trace component's.
    pub trace: f64,
    /// The console's.
    pub console: f64,
    /// The guest's, the clock's, the monitor's, and what no program has.
    pub others: f64,
}

/// Counts them, where something does.
///
/// # Errors
///
/// The runs', or that a program or what was counted cannot be read. `None` is no error: nothing counts on this
/// platform.
pub fn count(platform: &Platform, images: &Path, storm: Storm) -> Result<Option<Shares>, Failure> {
    let Some(programs) = platform.programs() else {
        return Ok(None);
    };
    let architecture = platform.architecture();
    let read = |(part, file)| Ok((part, Code::read(file, architecture)?));
    let programs = programs.iter().map(|(part, file)| read((*part, file)));
    let programs: Vec<(Part, Code)> = programs
        .collect::<Result<_, String>>()
        .map_err(Failure::Host)?;
    let run = |accesses| -> Result<Vec<Block>, Failure> {
        let host = |error: std::io::Error| Failure::Host(format!("what QEMU counts: {error}"));
        let folder = tempfile::tempdir().map_err(host)?;
        let file = folder.path().join("blocks");
        run_storm(platform, images, storm, accesses, Some(file.clone()))?;
        blocks::read(&file).map_err(host)
    };
    let (short, long) = (run(SHORT)?, run(SHORT + MORE)?);
    Ok(Some(attribute(&short, &long, &programs)))
}

/// A part of the system that has a program of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Kernel,
    Vmm,
    Trace,
    Console,
}

fn attribute(short: &[Block], long: &[Block], programs: &[(Part, Code)]) -> Shares {
    let mut shares = Shares::default();
    for (blocks, sign) in [(short, -1.0), (long, 1.0)] {
        for block in blocks {
            let mut whose = programs
                .iter()
                .filter(|(_, code)| code.is_at(block.address, &block.code));
            let part = match (whose.next(), whose.next()) {
                (Some((part, _)), None) => Some(part),
                _ => None,
            };
            let share = match part {
                Some(Part::Kernel) => &mut shares.kernel,
                Some(Part::Vmm) => &mut shares.vmm,
                Some(Part::Trace) => &mut shares.trace,
                Some(Part::Console) => &mut shares.console,
                None => &mut shares.others,
            };
            *share += sign * block.executed as f64 / MORE as f64;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(address: u64, executed: u64, code: &[u8]) -> Block {
        let code = code.to_vec();
        Block {
            address,
            executed,
            code,
        }
    }

    #[test]
    fn a_block_is_its_program_s_that_has_the_same_bytes_there_and_two_runs_are_subtracted() {
        let programs = [
            (Part::Vmm, Code::of(0x20_0000, b"shared--vmm-----")),
            (Part::Trace, Code::of(0x20_0000, b"shared--trace---")),
        ];
        let blocks = |accesses| {
            [
                block(0x20_0008, 4 * accesses, b"vmm"),
                block(0x20_0008, 7 + 5 * accesses, b"trace"),
                block(0x20_0008, 2 * accesses, b"vmm"),
                block(0x20_0008, accesses, b"guest"),
                block(0x20_0000, accesses, b"shared"),
                block(0x30_0000, 1000, b"once"),
            ]
        };
        let shares = attribute(&blocks(SHORT), &blocks(SHORT + MORE), &programs);
        let expected = Shares {
            vmm: 6.0,
            trace: 5.0,
            others: 2.0,
            ..Shares::default()
        };
        assert_eq!(shares, expected);
    }
}
