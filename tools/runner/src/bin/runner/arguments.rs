//! The command line: its words, and what each of them means.

use clap::{Args, Parser, Subcommand, ValueEnum};
use runner::deaths::Guest;
use runner::{Architecture, VtX};
use std::path::PathBuf;

/// Boots VMs under an emulator.
#[derive(Parser)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Boot a VM, or several, and print what they say
    Run(Boot),
    /// The same, then print the trace ring, read from outside the machine
    Trace(Boot),
    /// Make the bootable seL4 image of the VMs, without booting it
    Image(Boot),
    /// Try the attacks of the list, and say which held
    Attacks {
        #[command(flatten)]
        host: HostArguments,
        /// Only those with these names, or whose names begin so
        names: Vec<String>,
    },
    /// Let protection domains die and hang under a storm of accesses, from outside
    Deaths {
        #[command(flatten)]
        host: HostArguments,
        /// Under whose accesses: the project's own storm, or a program in Debian's Linux
        #[arg(long, value_enum, default_value = "storm")]
        guest: StormingGuest,
        /// How often each domain dies
        #[arg(long, default_value_t = 100)]
        deaths: u64,
        /// How often each hangs
        #[arg(long, default_value_t = 5)]
        hangs: u64,
        /// What the random numbers begin with
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Count the instructions of an access
    Bench {
        #[command(flatten)]
        host: HostArguments,
        /// A unikernel that only moves the PC on
        #[arg(long)]
        floor_kernel: Option<PathBuf>,
        /// Print one JSON document instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Boot Linux and count its exits, by kind, until its shell's prompt
    Exits {
        #[command(flatten)]
        boot: Boot,
        /// Print one JSON document instead of a table
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
pub(crate) struct Boot {
    /// A VM's configuration, a folder with one for each VM, or the name of a scenario
    pub(crate) vms: PathBuf,
    /// Where a scenario is looked for by its name
    #[arg(long, default_value = "tools/runner/scenarios")]
    pub(crate) scenarios: PathBuf,
    #[command(flatten)]
    pub(crate) host: HostArguments,
    /// What emulates a machine with VT-x, if not the fastest that this host has
    #[arg(long, value_enum)]
    pub(crate) emulator: Option<EmulatorName>,
    /// Let the machine's clock count instructions, 2^N ns each
    #[arg(long, value_name = "N")]
    pub(crate) icount: Option<u32>,
    /// Write the machine's memory to a file at the end
    #[arg(long)]
    pub(crate) dump: Option<PathBuf>,
    /// Refuse configurations of which a part means nothing here
    #[arg(long)]
    pub(crate) strict: bool,
    /// How long it may take, in seconds; if not given, 120, or at a terminal as long as it likes
    #[arg(long, value_name = "SECONDS")]
    pub(crate) deadline: Option<u64>,
    /// Type what this file says, and wait for what it expects
    #[arg(long, value_name = "FILE")]
    pub(crate) script: Option<PathBuf>,
    /// Type what is in this file
    #[arg(long, value_name = "FILE", conflicts_with = "script")]
    pub(crate) input: Option<PathBuf>,
    /// At a terminal, write the lines of the log to this file instead of between what guests print
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,
    /// Where the run's files go
    #[arg(long, default_value = "out/run")]
    pub(crate) work: PathBuf,
}

#[derive(Args)]
pub(crate) struct HostArguments {
    /// What hosts the VM
    #[arg(long, value_enum, default_value_t = PlatformName::Unikernel)]
    pub(crate) platform: PlatformName,
    /// Where the guests' images are that are not beside their configurations
    #[arg(long, default_value = "out/firmware")]
    pub(crate) images: PathBuf,
    /// The unikernel's image
    #[arg(long, default_value = "out/firmware/unikernel")]
    pub(crate) kernel: PathBuf,
    /// What the unikernel's image was built for
    #[arg(long, value_enum, default_value_t = ArchitectureName::Aarch64)]
    pub(crate) arch: ArchitectureName,
    /// The Microkit SDK (for `--platform microkit`), if not in `MICROKIT_SDK`
    #[arg(long)]
    pub(crate) sdk: Option<PathBuf>,
    /// The Microkit's name for the board
    #[arg(long, default_value = "qemu_virt_aarch64")]
    pub(crate) board: String,
    /// The SDK's configuration
    #[arg(long, default_value = "release")]
    pub(crate) config_name: String,
    /// Where the protection domains are
    #[arg(long, default_value = "out/microkit/qemu_virt_aarch64/release")]
    pub(crate) domains: PathBuf,
    /// A system description, if not the one that is made of the VMs and the board
    #[arg(long)]
    pub(crate) system: Option<PathBuf>,
    /// Where the boards' files are
    #[arg(long, default_value = "boards")]
    pub(crate) boards: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum ArchitectureName {
    Aarch64,
    #[value(name = "x86_64")]
    X86_64,
}

impl From<ArchitectureName> for Architecture {
    fn from(name: ArchitectureName) -> Self {
        match name {
            ArchitectureName::Aarch64 => Self::Aarch64,
            ArchitectureName::X86_64 => Self::X86_64,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum StormingGuest {
    Storm,
    Linux,
}

impl From<StormingGuest> for Guest {
    fn from(name: StormingGuest) -> Self {
        match name {
            StormingGuest::Storm => Self::Storm,
            StormingGuest::Linux => Self::Linux,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum PlatformName {
    Unikernel,
    Microkit,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum EmulatorName {
    Bochs,
    Kvm,
}

impl From<EmulatorName> for VtX {
    fn from(name: EmulatorName) -> Self {
        match name {
            EmulatorName::Bochs => Self::Bochs,
            EmulatorName::Kvm => Self::Kvm,
        }
    }
}
