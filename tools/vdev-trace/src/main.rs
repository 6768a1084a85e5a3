//! `vdev-trace`: the project's tool for the host. `vdev-trace --help` lists what it does.

use clap::{Parser, Subcommand, ValueEnum};
use shared_ring::RingKind;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use vdev_trace::{compile, dump};
use vm_config::{MAX_VMS, VmConfig};

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
        /// The VM's number in its system
        #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(..MAX_VMS as i64))]
        vm: u8,
    },
    /// Print the rings in a memory dump
    Decode {
        /// The dump; `-` is standard input
        dump: PathBuf,
        /// A VM's configuration, for its name and those of its devices; once for each VM
        #[arg(long, value_name = "VM_CONF")]
        config: Vec<PathBuf>,
        /// Which rings
        #[arg(long, value_enum, default_value_t = Which::Trace)]
        ring: Which,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Which {
    Access,
    Log,
    Trace,
    Console,
}

impl Which {
    fn kind(self) -> RingKind {
        match self {
            Self::Access => RingKind::Access,
            Self::Log => RingKind::Log,
            Self::Trace => RingKind::Trace,
            Self::Console => RingKind::Console,
        }
    }
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
        Command::Check { config, images } => compile::compile(&config, 0, &images).map(drop),
        Command::Compile {
            config,
            images,
            output,
            vm,
        } => {
            let compiled = compile::compile(&config, vm, &images)?;
            std::fs::write(&output, compiled.blob)
                .map_err(|error| format!("error: cannot write {}: {error}\n", output.display()))
        }
        Command::Decode { dump, config, ring } => decode(&dump, &config, ring),
    }
}

fn decode(path: &Path, configs: &[PathBuf], which: Which) -> Result<(), String> {
    let blobs = configs.iter().map(|path| compile::names(path));
    let blobs = blobs.collect::<Result<Vec<_>, _>>()?;
    let configs: Vec<_> = blobs
        .iter()
        .map(|blob| VmConfig::parse(blob).map_err(|error| format!("error: {error}\n")))
        .collect::<Result<_, _>>()?;
    let bytes =
        read(path).map_err(|error| format!("error: cannot read {}: {error}\n", path.display()))?;
    let names = |vm: u8| configs.get(usize::from(vm));
    match dump::write_rings(&mut std::io::stdout(), &bytes, which.kind(), names) {
        Ok(true) => return Ok(()),
        Ok(false) => {}
        // Whoever read the text has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
        Err(error) => return Err(format!("error: {error}\n")),
    }
    let kind = which.kind();
    Err(format!(
        "error: {} holds no {kind:?} ring that can be read\n",
        path.display()
    ))
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    if path.as_os_str() != "-" {
        return std::fs::read(path);
    }
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    Ok(bytes)
}
