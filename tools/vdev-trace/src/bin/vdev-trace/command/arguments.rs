//! What can be asked of the program, as its help tells it.
//!
//! Read by `main` and the other parts of the command.

use clap::{Args, Parser, Subcommand, ValueEnum};
use shared_ring::RingKind;
use std::ops::Range;
use std::path::PathBuf;
use vdev_trace::input::source::Format;
use vm_config::MAX_VMS;

/// Compiles VM configurations, and turns the rings of a machine into traces to look at.
#[derive(Parser)]
#[command(version)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Decode the rings in a memory dump, a core or a serial capture
    ///
    /// Without an output, text goes to standard output. Damaged parts are skipped and told on
    /// standard error; everything that is whole is decoded.
    #[command(after_help = "Examples:
  vdev-trace decode memory.dump --config vm.conf
  vdev-trace decode core --guest guest.elf --text trace.txt --ctf ctf --html trace.html
  vdev-trace decode memory.dump --config vm.blob --guest System.map
  cat /dev/ttyUSB0 | vdev-trace decode - --from serial")]
    Decode {
        #[command(flatten)]
        input: InputArguments,
        #[command(flatten)]
        outputs: OutputArguments,
    },
    /// Say how often and how fast locations were accessed, from where, and what was lost
    Stats {
        #[command(flatten)]
        input: InputArguments,
    },
    /// Check a VM configuration, or whether a dump, a core or a capture is whole
    Check {
        /// The configuration, dump, core or capture; `-` is standard input
        file: PathBuf,
        /// Where an image is looked for that a configuration's `load` names, if not beside it
        #[arg(long, default_value = "out/firmware")]
        images: PathBuf,
        /// What the file is, if it is not to be found out
        #[arg(long, value_enum)]
        from: Option<From>,
        /// Refuse what means nothing here, instead of telling it
        #[arg(long)]
        strict: bool,
        #[command(flatten)]
        system: SystemArguments,
    },
    /// Compile a VM configuration
    Compile {
        /// The configuration
        config: PathBuf,
        /// Where the image is looked for that `load` names, if not beside the configuration
        #[arg(long, default_value = "out/firmware")]
        images: PathBuf,
        /// Refuse what means nothing here, instead of telling it
        #[arg(long)]
        strict: bool,
        /// The compiled form to write
        #[arg(short, long)]
        output: PathBuf,
        /// Where to write the bytes of the images that the VM's RAM gets at its start; the compiled form
        /// says where
        #[arg(long)]
        image_region: Option<PathBuf>,
        /// Where to write the device tree that the guest is given; `dtc -I dtb FILE` reads it
        #[arg(long, value_name = "FILE")]
        device_tree: Option<PathBuf>,
        /// The VM's number in its system
        #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(..MAX_VMS as i64))]
        vm: u8,
    },
}

/// Where the system has its rings. What looks like one elsewhere is in memory that a guest
/// writes; without any of these, nothing is known, and all that look like one count.
#[derive(Args)]
pub struct SystemArguments {
    /// The Microkit's system description: a ring counts only where it has a `trace_ring`
    #[arg(long, value_name = "SYSTEM_XML")]
    pub system: Option<PathBuf>,
    /// A ring counts only if it begins here: addresses, or offsets if the input tells none; may
    /// be repeated. The unikernel's rings are in the first 0xe00000 bytes of RAM
    #[arg(long, value_name = "START,LENGTH", value_parser = range)]
    pub rings: Vec<Range<u64>>,
    /// The address of a dump's first byte
    #[arg(long, value_name = "ADDRESS", value_parser = number)]
    pub base: Option<u64>,
}

#[derive(Args)]
pub struct InputArguments {
    /// A memory dump, an ELF core or a serial capture; `-` is standard input
    pub input: PathBuf,
    /// What the input is, if it is not to be found out
    #[arg(long, value_enum)]
    pub from: Option<From>,
    /// Which rings
    #[arg(long, value_enum, default_value_t = Which::Trace)]
    pub ring: Which,
    /// Only the ring at this offset or address of a dump
    #[arg(long, value_name = "WHERE", value_parser = number)]
    pub at: Option<u64>,
    #[command(flatten)]
    pub system: SystemArguments,
    /// A VM's configuration, for its name and those of its devices; once for each VM
    #[arg(long, value_name = "VM_CONF")]
    pub config: Vec<PathBuf>,
    /// For the names of a guest's functions, its ELF file, or the symbols of its Linux kernel: `System.map`, or a
    /// copy of `/proc/kallsyms`; once for each VM
    #[arg(long, value_name = "FILE")]
    pub guest: Vec<PathBuf>,
    /// Where the ELF file is looked for that a configuration's `load` names, if not beside it
    #[arg(long, default_value = "out/firmware")]
    pub images: PathBuf,
}

#[derive(Args)]
pub struct OutputArguments {
    /// Write text, a line for each record; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// Write a CTF 1.8 trace, for babeltrace2 and Trace Compass
    #[arg(long, value_name = "FOLDER")]
    pub ctf: Option<PathBuf>,
    /// Write Chrome's trace events, for Perfetto; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a page for a browser; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Colours in text
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Colour::Auto)]
    pub color: Colour,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Colour {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum From {
    /// Memory, byte for byte
    Dump,
    /// An ELF core file, as QEMU's dump-guest-memory writes it
    Core,
    /// What came over a serial line
    Serial,
}

impl From {
    pub fn format(self) -> Format {
        match self {
            Self::Dump => Format::Dump,
            Self::Core => Format::Core,
            Self::Serial => Format::Serial,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Which {
    Access,
    Log,
    Trace,
    Console,
}

impl Which {
    pub fn kind(self) -> RingKind {
        match self {
            Self::Access => RingKind::Access,
            Self::Log => RingKind::Log,
            Self::Trace => RingKind::Trace,
            Self::Console => RingKind::Console,
        }
    }
}

fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|error| format!("{error}; a number is decimal or 0x…"))
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let (start, len) = text.split_once(',').ok_or("START,LENGTH is wanted")?;
    let (start, len) = (number(start)?, number(len)?);
    Ok(start..start.saturating_add(len))
}
