//! `vdev-trace`: the project's tool for the host. `vdev-trace --help` lists what it does.
//!
//! Exit status: 0 if it did what was asked, even if parts of the input were damaged and it
//! said so; 1 if it could not, or if `check` finds something wrong; 2 for wrong arguments.
#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "they panic when nobody can be told"
)]

mod command;

use clap::Parser;
use command::Failure;
use command::arguments::Arguments;
use std::process::ExitCode;
use vdev_trace::tell;

fn main() -> ExitCode {
    match command::run(Arguments::parse().command) {
        Ok(true) | Err(Failure::ReaderGone) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(Failure::Told(message)) => {
            tell::say(&message);
            ExitCode::FAILURE
        }
    }
}
