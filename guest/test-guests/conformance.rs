//! Runs every case of [`guest::conformance`] on the device and prints the matrix: for each form
//! and width how many cases were carried out, refused by policy, and excluded.
//!
//! Each case checks the registers that are moved, the base, all others, flags where there are
//! such, the word before and after, and an exception as the handler got it.
//!
//! Keys: `trace=` a location at the start of a page; `end=` a location at the end of another,
//! followed by a page without devices; `console=`, on aarch64; `policy=` what the VM's
//! `unsupported instruction` and `unsupported reference` say, `ignore` or `fail`.

#![cfg_attr(target_os = "none", no_std, no_main)]

use guest::conformance::{Case, Column, Exclusion, Expected, Form as _};
use guest::driver::TraceLocation;
use guest::{Outcome, Start, say};
use own::Form;

#[cfg_attr(target_arch = "aarch64", path = "conformance/aarch64.rs")]
#[cfg_attr(target_arch = "x86_64", path = "conformance/x86_64.rs")]
mod own;

guest::program!(run);

const PAGE_BYTES: u64 = 4096;
/// What the words hold before each case: a tick changes their last digit.
const WORD: u32 = 0x8091_a2b0;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Policy {
    Ignore,
    Fail,
}

struct Devices {
    start: TraceLocation,
    end: TraceLocation,
}

/// How many cases of a cell had which outcome.
#[derive(Clone, Copy, Default)]
struct Cell {
    done: u32,
    refused: u32,
    excluded: u32,
}

fn run(start: &Start) -> Outcome {
    let policies = [("ignore", Policy::Ignore), ("fail", Policy::Fail)];
    let policy = start.cmdline.choice("policy", &policies)?;
    let mut devices = Devices {
        start: start.trace_location("trace")?,
        end: start.trace_location("end")?,
    };
    let end_page = devices.end.address() & !(PAGE_BYTES - 1);
    let pages = [devices.start.address(), end_page, end_page + PAGE_BYTES];
    let window = own::begin(start, pages)?;
    let abilities = own::abilities(&mut devices);
    let mut exclusions = [0_u32; 5];
    let mut totals = Cell::default();
    say!("{:<12}{}", "", Header);
    for &form in Form::ALL {
        let mut row = [Cell::default(); Column::ALL.len()];
        for case in Case::all().filter(|case| case.form == form) {
            let column = Column::ALL.iter().position(|column| *column == case.column);
            let cell = &mut row[column.expect("it is one of them")];
            if let Some(exclusion) = case.excluded(abilities) {
                exclusions[exclusion as usize] += 1;
                cell.excluded += 1;
                continue;
            }
            let expected = case.expected(abilities);
            own::try_case(case, expected, policy, &mut devices);
            match expected {
                Expected::Done => cell.done += 1,
                Expected::Reference { .. } | Expected::Instruction => cell.refused += 1,
            }
        }
        for cell in row {
            totals.done += cell.done;
            totals.refused += cell.refused;
            totals.excluded += cell.excluded;
        }
        say!("{:<12}{}", form.name(), Row(&row));
    }
    own::end(window);
    let Cell {
        done,
        refused,
        excluded,
    } = totals;
    say!("{done} done, {refused} refused by policy, {excluded} excluded:");
    for (exclusion, reason) in REASONS {
        let count = exclusions[exclusion as usize];
        if count != 0 {
            say!("{count} {reason}");
        }
    }
    Ok(())
}

const REASONS: [(Exclusion, &str); 5] = [
    (
        Exclusion::NoSuchInstruction,
        "that the architecture does not have",
    ),
    (
        Exclusion::CpuWantsAlignment,
        "that the CPU refuses, as they are not aligned",
    ),
    (
        Exclusion::NoAccess,
        "that make no access: a store exclusive without its load",
    ),
    (Exclusion::NotOnThisCpu, "that this CPU does not have"),
    (
        Exclusion::Elsewhere,
        "that need code near the device: see addressing-forms",
    ),
];

struct Header;

impl core::fmt::Display for Header {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        Column::ALL
            .iter()
            .try_for_each(|column| write!(f, "{:>6}", column.name()))
    }
}

struct Row<'a>(&'a [Cell]);

impl core::fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for cell in self.0 {
            match (cell.done, cell.refused) {
                (0, 0) => write!(f, "{:>6}", "-")?,
                (done, refused) => write!(f, "{done:>3}+{refused:<2}")?,
            }
        }
        Ok(())
    }
}
