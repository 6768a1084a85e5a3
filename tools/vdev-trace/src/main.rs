//! `vdev-trace`: the project's tool for the host. `vdev-trace --help` lists what it does.

use clap::{Parser, Subcommand};
use std::io::{ErrorKind, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use vdev_trace::{compile, dump};
use vm_config::VmConfig;

/// Compiles VM configurations and reads the rings of a machine.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check a VM configuration and say what is wrong with it
    Check {
        /// The configuration
        config: PathBuf,
        /// Where the images are that `load` names
        #[arg(long, default_value = "out/firmware")]
        images: PathBuf,
    },
    /// Compile a VM configuration
    Compile {
        /// The configuration
        config: PathBuf,
        /// Where the images are that `load` names
        #[arg(long, default_value = "out/firmware")]
        images: PathBuf,
        /// The compiled form to write
        #[arg(short, long)]
        output: PathBuf,
    },
    /// Print the rings in a memory dump
    Decode {
        /// The dump; `-` is standard input
        dump: PathBuf,
        /// A compiled configuration, for the names of the VM and its devices
        #[arg(long)]
        config: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprint!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), String> {
    match command {
        Command::Check { config, images } => compile::compile(&config, &images).map(drop),
        Command::Compile {
            config,
            images,
            output,
        } => {
            let compiled = compile::compile(&config, &images)?;
            std::fs::write(&output, compiled.blob)
                .map_err(|error| format!("error: cannot write {}: {error}\n", output.display()))
        }
        Command::Decode { dump, config } => decode(&dump, config),
    }
}

fn decode(path: &PathBuf, config: Option<PathBuf>) -> Result<(), String> {
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes))
    };
    read.map_err(|error| format!("error: cannot read {}: {error}\n", path.display()))?;
    let blob = config
        .map(|path| {
            std::fs::read(&path)
                .map_err(|error| format!("error: cannot read {}: {error}\n", path.display()))
        })
        .transpose()?;
    let config = blob
        .as_deref()
        .map(|blob| VmConfig::parse(blob).map_err(|error| format!("error: {error}\n")))
        .transpose()?;
    let mut found = false;
    for ring in dump::rings(&bytes) {
        match ring {
            Ok(ring) if ring.kind == dump::TRACE => {
                found = true;
                match std::io::stdout().write_all(ring.to_text(config.as_ref()).as_bytes()) {
                    Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
                    other => other.map_err(|error| format!("error: {error}\n"))?,
                }
            }
            Ok(_) => {}
            Err(bad) => eprintln!("warning: {bad}"),
        }
    }
    if found {
        Ok(())
    } else {
        Err(format!("error: {} holds no trace ring\n", path.display()))
    }
}
