//! `runner`: what `make run`, `make trace` and `make bench` call.

use ::attacks::Attack;
use clap::{Args, Parser, Subcommand, ValueEnum};
use runner::attacks::{Target, save, table};
use runner::{
    Architecture, Board, Emulator, Failure, Microkit, Platform, Request, SystemDescription,
    Unikernel, VtX, bench, compile, configurations, of_images, on_architecture, run,
};
use shared_ring::RingKind;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use vdev_trace::compile::{Warnings, compile_all, file_of_vm};
use vdev_trace::dump;
use vdev_trace::image::Images;
use vdev_trace::names::Names;
use vdev_trace::places::Places;
use vdev_trace::tell;

/// Boots VMs under an emulator.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
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
    /// Count the instructions of an access
    Bench {
        #[command(flatten)]
        host: HostArguments,
        /// A unikernel that only moves the PC on
        #[arg(long)]
        floor_kernel: Option<PathBuf>,
    },
}

#[derive(Args)]
struct Boot {
    /// A VM's configuration, a folder with one for each VM, or the name of a scenario
    vms: PathBuf,
    /// Where a scenario is looked for by its name
    #[arg(long, default_value = "tools/runner/scenarios")]
    scenarios: PathBuf,
    #[command(flatten)]
    host: HostArguments,
    /// What emulates a machine with VT-x, if not the fastest that this host has
    #[arg(long, value_enum)]
    emulator: Option<EmulatorName>,
    /// Let the machine's clock count instructions, 2^N ns each
    #[arg(long, value_name = "N")]
    icount: Option<u32>,
    /// Write the machine's memory to a file at the end
    #[arg(long)]
    dump: Option<PathBuf>,
    /// Refuse configurations of which a part means nothing here
    #[arg(long)]
    strict: bool,
    /// How long it may take, in seconds
    #[arg(long, default_value_t = 120)]
    deadline: u64,
    /// Where the run's files go
    #[arg(long, default_value = "out/run")]
    work: PathBuf,
}

#[derive(Args)]
struct HostArguments {
    /// What hosts the VM
    #[arg(long, value_enum, default_value_t = PlatformName::Unikernel)]
    platform: PlatformName,
    /// Where the guests' images are that are not beside their configurations
    #[arg(long, default_value = "out/firmware")]
    images: PathBuf,
    /// The unikernel's image
    #[arg(long, default_value = "out/firmware/unikernel")]
    kernel: PathBuf,
    /// What the unikernel's image was built for
    #[arg(long, value_enum, default_value_t = ArchitectureName::Aarch64)]
    arch: ArchitectureName,
    /// The Microkit SDK (for `--platform microkit`), if not in `MICROKIT_SDK`
    #[arg(long)]
    sdk: Option<PathBuf>,
    /// The Microkit's name for the board
    #[arg(long, default_value = "qemu_virt_aarch64")]
    board: String,
    /// The SDK's configuration
    #[arg(long, default_value = "release")]
    config_name: String,
    /// Where the protection domains are
    #[arg(long, default_value = "out/microkit/qemu_virt_aarch64/release")]
    domains: PathBuf,
    /// A system description, if not the one that is made of the VMs and the board
    #[arg(long)]
    system: Option<PathBuf>,
    /// Where the boards' files are
    #[arg(long, default_value = "boards")]
    boards: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum ArchitectureName {
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
enum PlatformName {
    Unikernel,
    Microkit,
}

#[derive(Clone, Copy, ValueEnum)]
enum EmulatorName {
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

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Run(boot) => run_vm(&boot, boot.dump.clone()),
        Command::Trace(boot) => trace(&boot),
        Command::Image(boot) => image(&boot),
        Command::Attacks { host, names } => attack(&host, &names),
        Command::Bench { host, floor_kernel } => bench_all(&host, floor_kernel),
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

impl Boot {
    fn configurations(&self) -> Result<Vec<PathBuf>, Failure> {
        let configs = configurations(&self.vms, &self.scenarios).map_err(Failure::Host)?;
        if self.strict {
            let images = self.host.images_of_guests();
            compile_all(&configs, images, Warnings::Refused).map_err(Failure::Config)?;
        }
        if !configs
            .iter()
            .all(|config| config.starts_with(&self.scenarios))
        {
            return Ok(configs);
        }
        on_architecture(self.host.arch.into(), configs, &self.work).map_err(Failure::Host)
    }
}

impl HostArguments {
    fn images_of_guests(&self) -> Images<'_> {
        Images {
            folder: &self.images,
            machine: Some(of_images(self.arch.into())),
        }
    }
}

/// What is to host the VMs; seL4 on what emulates its board.
fn platform(
    host: &HostArguments,
    emulator: impl Fn(&Board) -> Result<Emulator, String>,
) -> Result<Platform, Failure> {
    Ok(match host.platform {
        PlatformName::Unikernel => Platform::Unikernel(Unikernel {
            architecture: host.arch.into(),
            kernel: host.kernel.clone(),
            cpu: None,
        }),
        PlatformName::Microkit => {
            let microkit = microkit(host)?;
            let emulator = emulator(&microkit.board)
                .map_err(|error| Failure::Host(format!("{}: {error}", microkit.board_name)))?;
            Platform::Microkit(microkit, emulator)
        }
    })
}

fn microkit(host: &HostArguments) -> Result<Microkit, Failure> {
    // Make exports the variable, empty if it is not set.
    let variable = std::env::var_os("MICROKIT_SDK").filter(|sdk| !sdk.is_empty());
    let sdk = host.sdk.clone().or(variable.map(PathBuf::from));
    Ok(Microkit {
        sdk: sdk.ok_or_else(|| {
            Failure::Host("set MICROKIT_SDK to the folder of a Microkit SDK".into())
        })?,
        board: Board::load(&host.boards, &host.board).map_err(Failure::Host)?,
        board_name: host.board.clone(),
        config: host.config_name.clone(),
        domains: host.domains.clone(),
        system: match &host.system {
            Some(file) => SystemDescription::Written(file.clone()),
            None => SystemDescription::Made(Vec::new()),
        },
    })
}

fn image(boot: &Boot) -> Result<(), Failure> {
    let configs = boot.configurations()?;
    let microkit = microkit(&boot.host)?;
    let compiled = compile(&configs, boot.host.images_of_guests())?;
    microkit.describe(&boot.work, &compiled)?;
    let image = microkit
        .build(&boot.work, &compiled)
        .map_err(Failure::Host)?;
    let made = match microkit.system {
        SystemDescription::Made(_) => "system.xml, ",
        SystemDescription::Written(_) => "",
    };
    let beside = match microkit.board.architecture {
        Architecture::Aarch64 => "report.txt",
        // A Multiboot loader takes one or the other.
        Architecture::X86_64 => "report.txt and the kernel (sel4.elf, sel4_32.elf)",
    };
    println!("{}, {made}{beside} beside it", image.display());
    Ok(())
}

fn platform_of(boot: &Boot) -> Result<Platform, Failure> {
    let asked = boot.emulator.map(VtX::from);
    platform(&boot.host, |board| Emulator::asked(board, asked))
}

fn run_vm(boot: &Boot, dump: Option<PathBuf>) -> Result<(), Failure> {
    let configs = boot.configurations()?;
    let request = Request {
        configs: &configs,
        images: &boot.host.images,
        work: &boot.work,
        platform: &platform_of(boot)?,
        icount: boot.icount,
        dump,
        until: None,
        deadline: Duration::from_secs(boot.deadline),
    };
    let mut printed = Ok(());
    run(&request, |line| {
        if printed.is_ok() {
            printed = writeln!(io::stdout(), "{line}");
        }
    })?;
    or_reader_gone(printed, "the console")
}

fn trace(boot: &Boot) -> Result<(), Failure> {
    let file = boot
        .dump
        .clone()
        .unwrap_or_else(|| boot.work.join("memory.dump"));
    // What an earlier run left must not be taken for this one's.
    let _ = std::fs::remove_file(&file);
    let ran = run_vm(boot, Some(file.clone()));
    // What the guest did is most wanted when it failed.
    if ran.is_ok() || file.exists() {
        let vms = (0..).zip(boot.configurations()?);
        let blobs = vms.map(|(vm, _)| boot.work.join(file_of_vm(vm, "vm", "blob")));
        let blobs = blobs.collect::<Vec<_>>();
        let places = platform_of(boot)?.ring_places();
        let names = Names::load(&blobs, &[], &boot.host.images, |text| tell::warn(text));
        let names = names.map_err(Failure::Config)?;
        let printed = print_rings(&file, &places, &names);
        return ran.and(or_reader_gone(printed, "the trace rings"));
    }
    ran
}

/// Printing may end early if whoever reads it has seen enough.
fn or_reader_gone(printed: io::Result<()>, what: &str) -> Result<(), Failure> {
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Host(format!("cannot print {what}: {error}")))
        }
        _ => Ok(()),
    }
}

fn print_rings(dump_file: &Path, places: &Places, names: &Names) -> io::Result<()> {
    let memory = std::fs::read(dump_file)?;
    let mut out = io::stdout();
    let place = dump_file.display();
    writeln!(out, "\nthe trace ring, read from the memory dump {place}:")?;
    let warn = |text: &dyn fmt::Display| tell::warn(text);
    dump::write_rings(&mut out, &memory, (RingKind::Trace, places), names, warn).map(drop)
}

fn attack(host: &HostArguments, names: &[String]) -> Result<(), Failure> {
    let platform = platform(host, Emulator::of)?;
    let target = Target::of(&platform, &host.images);
    let is_wanted = |attack: &&Attack| {
        names.is_empty()
            || names
                .iter()
                .any(|name| attack.name.starts_with(name.as_str()))
    };
    let list: Vec<_> = attacks::ALL
        .iter()
        .copied()
        .flatten()
        .filter(is_wanted)
        .collect();
    let judged = target.attack(&list, |judged| println!("{judged}"))?;
    let wrong = judged
        .iter()
        .filter(|judged| !judged.is_as_wanted())
        .count();
    let folder = Path::new("out/attacks");
    let table = save(folder, &platform, &judged).and_then(|()| table(folder));
    let table = table.map_err(|error| Failure::Host(format!("{}: {error}", folder.display())))?;
    print!("\n{table}");
    match wrong {
        0 => Ok(()),
        wrong => Err(Failure::Host(format!(
            "{wrong} attacks did not go as the list says"
        ))),
    }
}

const FLOOR: &str = "floor: the PC moves on";

fn bench_all(host: &HostArguments, floor_kernel: Option<PathBuf>) -> Result<(), Failure> {
    let platform = platform(host, Emulator::of)?;
    println!(
        "{} an access, {}, both options on, n = {}",
        bench::unit(&platform),
        platform.name(),
        bench::accesses(&platform)
    );
    println!("\n| guest | total | of it console | without console |");
    println!("|---|---|---|---|");
    let row = |name: &str, figures: &bench::Figures| {
        let (console, rest) = match figures.console {
            Some(console) => (format!("{console:.0}"), figures.total - console),
            None => ("-".into(), figures.total),
        };
        println!("| {name} | {:.0} | {console} | {rest:.0} |", figures.total);
    };
    let operations = [
        ("reads in a row", "read"),
        ("writes in a row", "write"),
        ("write, then read it back", "write-read"),
    ];
    if let Some(kernel) = floor_kernel {
        let floor = Platform::Unikernel(Unikernel {
            architecture: host.arch.into(),
            kernel,
            cpu: None,
        });
        row(FLOOR, &bench::measure(&floor, &host.images, "read")?);
    }
    if let Platform::Microkit(..) = platform {
        let beside = |answer: &str| -> Result<Platform, Failure> {
            let mut platform = self::platform(host, Emulator::of)?;
            if let Platform::Microkit(microkit, _) = &mut platform {
                // `make bench` puts them beside the others.
                microkit
                    .domains
                    .as_mut_os_string()
                    .push(format!("-{answer}"));
            }
            Ok(platform)
        };
        let floor = beside("floor")?;
        row(FLOOR, &bench::measure(&floor, &host.images, "read")?);
        let in_vmm = beside("in-vmm")?;
        for (name, operation) in operations {
            let name = format!("device inside the VMM: {name}");
            row(&name, &bench::measure(&in_vmm, &host.images, operation)?);
        }
    }
    for (name, operation) in operations {
        row(name, &bench::measure(&platform, &host.images, operation)?);
    }
    Ok(())
}
