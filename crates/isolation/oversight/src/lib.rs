//! What whoever watches over the components knows of them, decides, and publishes.
//!
//! ```text
//!  pd-vmm, pd-trace, pd-console ──life pages──► pd-monitor ──report page──► whoever looks from
//!                 kernel ──faults, CPU time──►                              outside: the runner
//! ```
//!
//! On seL4 `pd-monitor` uses all of it; the unikernel, whose components share one address space
//! with their platform, writes the report page alone. The host tools read that page.
//!
//! Invariant: what a component says of itself is a claim, which is clamped where it is read and
//! can hurt nobody else.
#![no_std]
#![forbid(unsafe_code)]

mod cpu;
mod laps;
mod life;
mod parts;
mod report;
mod restarts;
mod text;
mod watch;

pub use cpu::{Accounts, Claims, Cpu, CpuLine, OfVm};
pub use laps::{Laps, Spender};
pub use life::LifePage;
pub use parts::Part;
pub use report::{Report, ReportPage};
pub use restarts::{Deaths, Fate, MOST_DEATHS, Restarts, WITHIN_SECONDS};
pub use text::{Printable, printable};
pub use trace_records::Verdict;
pub use watch::{Silence, Watch};
