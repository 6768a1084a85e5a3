//! `runner`: what `make run`, `make trace`, `make image`, `make attacks`, `make deaths`, `make bench` and
//! `make exits` call.
//!
//! A file for what one command, or a few, do; all that several programs need is in the library.

mod arguments;
mod attack;
mod bench;
mod deaths;
mod exits;
mod hosts;
mod one_system;
mod screen;
mod terminal;

use arguments::{Arguments, Command};
use clap::Parser;
use runner::deaths::Wanted;
use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Run(boot) => one_system::run_vm(&boot, boot.dump.clone()),
        Command::Trace(boot) => one_system::trace(&boot),
        Command::Image(boot) => one_system::image(&boot),
        Command::Attacks { host, names } => attack::attack(&host, &names),
        Command::Deaths {
            host,
            guest,
            deaths,
            hangs,
            seed,
        } => deaths::try_and_print(
            &host,
            Wanted {
                guest: guest.into(),
                deaths,
                hangs,
                seed,
            },
        ),
        Command::Bench {
            host,
            floor_kernel,
            json,
        } => bench::bench_all(&host, floor_kernel, json),
        Command::Exits { boot, json } => exits::count_and_print(&boot, json),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // There is nowhere else to say it.
            let _ = writeln!(io::stderr(), "{failure}");
            ExitCode::FAILURE
        }
    }
}
