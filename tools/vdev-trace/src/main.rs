//! `vdev-trace`: the project's tool for the host. `vdev-trace --help` lists what it does.
//!
//! Exit status: 0 if it did what was asked, even if parts of the input were damaged and it
//! said so; 1 if it could not, or if `check` finds something wrong; 2 for wrong arguments.

use anstream::{AutoStream, ColorChoice};
use clap::{Args, Parser, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use shared_ring::RingKind;
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use vdev_trace::check::Report;
use vdev_trace::chrome::Chrome;
use vdev_trace::compile;
use vdev_trace::ctf::Ctf;
use vdev_trace::dump::Memory;
use vdev_trace::feed::{Sinks, feed_memory, feed_serial};
use vdev_trace::html::Html;
use vdev_trace::names::Names;
use vdev_trace::places::{self, Places, Region};
use vdev_trace::serial::LineSums;
use vdev_trace::source::{Format, Input, Segment, open, segments};
use vdev_trace::stats::Stats;
use vdev_trace::text::{Layout, Text};
use vdev_trace::visible::path as shown;
use vm_config::MAX_VMS;

/// Compiles VM configurations, and turns the rings of a machine into traces to look at.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Decode the rings in a memory dump, a core or a serial capture
    ///
    /// Without an output, text goes to standard output. Damaged parts are skipped and told on
    /// standard error; everything that is whole is decoded.
    #[command(after_help = "Examples:
  vdev-trace decode memory.dump --config vm.conf
  vdev-trace decode core --guest guest.elf --text trace.txt --ctf ctf --html trace.html
  cat /dev/ttyUSB0 | vdev-trace decode - --from serial")]
    Decode {
        #[command(flatten)]
        input: InputArguments,
        #[command(flatten)]
        outputs: Outputs,
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
        /// Where the images are that a configuration's `load` names
        #[arg(long, default_value = "out/firmware")]
        images: PathBuf,
        /// What the file is, if it is not to be found out
        #[arg(long, value_enum)]
        from: Option<From>,
        #[command(flatten)]
        system: SystemArguments,
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
}

/// Where the system has its rings. What looks like one elsewhere is in memory that a guest
/// writes; without any of these, nothing is known, and all that look like one count.
#[derive(Args)]
struct SystemArguments {
    /// The Microkit's system description: a ring counts only where it has a `trace_ring`
    #[arg(long, value_name = "SYSTEM_XML")]
    system: Option<PathBuf>,
    /// A ring counts only if it begins here: addresses, or offsets if the input tells none; may
    /// be repeated. The unikernel's rings are in the first 0xe00000 bytes of RAM
    #[arg(long, value_name = "START,LENGTH", value_parser = range)]
    rings: Vec<Range<u64>>,
    /// The address of a dump's first byte
    #[arg(long, value_name = "ADDRESS", value_parser = number)]
    base: Option<u64>,
}

#[derive(Args)]
struct InputArguments {
    /// A memory dump, an ELF core or a serial capture; `-` is standard input
    input: PathBuf,
    /// What the input is, if it is not to be found out
    #[arg(long, value_enum)]
    from: Option<From>,
    /// Which rings
    #[arg(long, value_enum, default_value_t = Which::Trace)]
    ring: Which,
    /// Only the ring at this offset or address of a dump
    #[arg(long, value_name = "WHERE", value_parser = number)]
    at: Option<u64>,
    #[command(flatten)]
    system: SystemArguments,
    /// A VM's configuration, for its name and those of its devices; once for each VM
    #[arg(long, value_name = "VM_CONF")]
    config: Vec<PathBuf>,
    /// A guest's ELF file, for the names of its functions; once for each VM
    #[arg(long, value_name = "ELF")]
    guest: Vec<PathBuf>,
    /// Where the ELF file is looked for that a configuration's `load` names
    #[arg(long, default_value = "out/firmware")]
    images: PathBuf,
}

#[derive(Args)]
struct Outputs {
    /// Write text, a line for each record; `-` is standard output
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// Write a CTF 1.8 trace, for babeltrace2 and Trace Compass
    #[arg(long, value_name = "FOLDER")]
    ctf: Option<PathBuf>,
    /// Write Chrome's trace events, for Perfetto; `-` is standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page for a browser; `-` is standard output
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Colours in text
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Colour::Auto)]
    color: Colour,
}

#[derive(Clone, Copy, ValueEnum)]
enum Colour {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, ValueEnum)]
enum From {
    /// Memory, byte for byte
    Dump,
    /// An ELF core file, as QEMU's dump-guest-memory writes it
    Core,
    /// What came over a serial line
    Serial,
}

impl From {
    fn format(self) -> Format {
        match self {
            Self::Dump => Format::Dump,
            Self::Core => Format::Core,
            Self::Serial => Format::Serial,
        }
    }
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

/// Why it could not do what was asked.
enum Failure {
    /// A text to print.
    Told(String),
    /// Whoever read the output has seen enough.
    ReaderGone,
}

impl std::convert::From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Told(text)
    }
}

fn failure(path: &Path, what: &str, error: &io::Error) -> Failure {
    if error.kind() == ErrorKind::BrokenPipe {
        return Failure::ReaderGone;
    }
    Failure::Told(format!("error: cannot {what} {}: {error}\n", shown(path)))
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(true) | Err(Failure::ReaderGone) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(Failure::Told(message)) => {
            eprint!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether all is well.
fn run(command: Command) -> Result<bool, Failure> {
    match command {
        Command::Check {
            file,
            images,
            from,
            system,
        } => check(&file, &images, from, &system),
        Command::Compile {
            config,
            images,
            output,
            vm,
        } => {
            let compiled = compile::compile(&config, vm, &images)?;
            std::fs::write(&output, compiled.blob)
                .map_err(|error| failure(&output, "write", &error))?;
            Ok(true)
        }
        Command::Decode { input, outputs } => {
            let names = Names::load(&input.config, &input.guest, &input.images)?;
            let mut sinks = outputs.open(&names)?;
            feed(&input, &mut sinks).map(|()| true)
        }
        Command::Stats { input } => {
            let names = Names::load(&input.config, &input.guest, &input.images)?;
            let stats = Stats::new(BufWriter::new(io::stdout()), &names);
            feed(&input, &mut Sinks(vec![Box::new(stats)])).map(|()| true)
        }
    }
}

impl Outputs {
    fn open<'a>(&self, names: &'a Names) -> Result<Sinks<'a>, Failure> {
        let mut sinks = Sinks(Vec::new());
        let nothing_asked = [&self.text, &self.ctf, &self.json, &self.html]
            .iter()
            .all(|output| output.is_none());
        let standard = PathBuf::from("-");
        let text = self.text.as_ref().or(nothing_asked.then_some(&standard));
        if let Some(path) = text {
            let choice = match self.color {
                Colour::Always => ColorChoice::Always,
                Colour::Never => ColorChoice::Never,
                Colour::Auto if path.as_os_str() == "-" => AutoStream::choice(&io::stdout()),
                Colour::Auto => ColorChoice::Never,
            };
            let layout = match choice {
                ColorChoice::Never => Layout::Plain,
                _ => Layout::Coloured,
            };
            sinks
                .0
                .push(Box::new(Text::new(writer(path)?, names, layout)));
        }
        if let Some(path) = &self.ctf {
            let ctf = Ctf::create(path, names).map_err(|error| failure(path, "write", &error))?;
            sinks.0.push(Box::new(ctf));
        }
        if let Some(path) = &self.json {
            sinks.0.push(Box::new(Chrome::new(writer(path)?, names)));
        }
        if let Some(path) = &self.html {
            sinks.0.push(Box::new(Html::new(writer(path)?, names)));
        }
        Ok(sinks)
    }
}

fn writer(path: &Path) -> Result<Box<dyn Write>, Failure> {
    if path.as_os_str() != "-" {
        let file = File::create(path).map_err(|error| failure(path, "write", &error))?;
        return Ok(Box::new(BufWriter::new(file)));
    }
    let output = io::stdout();
    if output.is_terminal() {
        return Ok(Box::new(output));
    }
    Ok(Box::new(BufWriter::new(output)))
}

fn warn(text: impl std::fmt::Display) {
    anstream::eprintln!(
        "{style}warning:{style:#} {text}",
        style = anstyle::AnsiColor::Yellow.on_default().bold()
    );
}

/// Shown on a terminal while a long input is read.
fn progress(len_bytes: Option<u64>) -> ProgressBar {
    let Some(len_bytes) = len_bytes else {
        return ProgressBar::hidden();
    };
    // Its target is standard error, and it stays silent where that is no terminal.
    let bar = ProgressBar::new(len_bytes);
    let template = "{wide_bar} {percent:>3} % {bytes_per_sec} {eta}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

fn feed(input: &InputArguments, sinks: &mut Sinks<'_>) -> Result<(), Failure> {
    let path = &input.input;
    let kind = input.ring.kind();
    let opened = open(path, input.from.map(From::format));
    match opened.map_err(|error| failure(path, "read", &error))? {
        Input::Serial(line, len_bytes) => {
            let bar = progress(len_bytes);
            let fed = feed_serial(line, kind, sinks, |len| bar.inc(len));
            bar.finish_and_clear();
            let sums = fed.map_err(|error| failure(path, "decode", &error))?;
            tell_line(&sums);
            match sums.frames {
                0 => Err(Failure::Told(format!(
                    "error: {} holds no frame that is whole; --from says what else it is\n",
                    shown(path)
                ))),
                _ => Ok(()),
            }
        }
        Input::Memory(file, format) => {
            let (memory, _) = search(&file, path, format, &input.system, input.at)?;
            for bad in &memory.bad {
                warn(bad);
            }
            let memory = memory.only(kind);
            for forged in &memory.forged {
                let offset = forged.place.offset;
                warn(format_args!(
                    "{forged}: left out; --at {offset:#x} decodes it"
                ));
            }
            if memory.forged_more != 0 {
                let more = memory.forged_more;
                warn(format_args!("{more} more of these are left out"));
            }
            if memory.too_many != 0 {
                let more = memory.too_many;
                warn(format_args!(
                    "{more} more places look like rings, more than any system has; --system or \
                     --rings says where the system's are"
                ));
            }
            if memory.rings.is_empty() {
                let hint = match input.at {
                    Some(at) => format!(" at {at:#x}"),
                    None if format == Format::Dump => {
                        "; if it is a serial capture, say --from serial".into()
                    }
                    None => String::new(),
                };
                return Err(Failure::Told(format!(
                    "error: {} holds no {kind:?} ring that can be read{hint}\n",
                    shown(path)
                )));
            }
            if let Some((one, other)) = memory.double() {
                warn(format_args!(
                    "two {kind:?} rings of VM {}: at {} and at {}; a guest can write what looks \
                     like one into its RAM. --at chooses",
                    one.vm, one.place, other.place
                ));
            }
            for ring in &memory.rings {
                if ring.cut() != 0 {
                    warn(format_args!(
                        "ring at {}: the input ends before its last {} slots; \
                         what they held is skipped",
                        ring.place,
                        ring.cut()
                    ));
                }
                for note in &ring.notes {
                    warn(format_args!("ring at {}: {note}", ring.place));
                }
            }
            let slots = memory.rings.iter().map(|ring| ring.slots_present);
            let bar = progress(Some(slots.sum::<u64>() * shared_ring::SLOT_BYTES as u64));
            let fed = feed_memory(&memory, sinks, |len| bar.inc(len));
            bar.finish_and_clear();
            fed.map_err(|error| failure(path, "decode", &error))
        }
    }
}

impl SystemArguments {
    /// The regions of the system description's trace rings.
    fn regions(&self) -> Result<Vec<Region>, Failure> {
        let Some(path) = &self.system else {
            return Ok(Vec::new());
        };
        let text = std::fs::read_to_string(path).map_err(|error| failure(path, "read", &error))?;
        let regions = places::trace_rings(&text)
            .map_err(|error| format!("error: {}: {error}\n", shown(path)))?;
        Ok(regions)
    }

    /// Gives the input's stretches their addresses, and says where rings count.
    fn settle(&self, path: &Path, segments: &mut Vec<Segment>) -> Result<Places, Failure> {
        let regions = self.regions()?;
        if let ([segment], Some(base)) = (&mut segments[..], self.base) {
            segment.address.get_or_insert(base);
        }
        if let ([segment], false) = (&segments[..], regions.is_empty())
            && segment.address.is_none()
        {
            let pieces = places::pieces(&regions, segment.len_bytes);
            *segments = pieces.ok_or_else(|| {
                format!(
                    "error: {} tells no addresses, and is not the system's trace rings one after \
                     the other; --base says the address of its first byte\n",
                    shown(path)
                )
            })?;
        }
        let mut ranges = self.rings.clone();
        match places::starts(&regions) {
            Places::In(starts) if !starts.is_empty() => ranges.extend(starts),
            _ => {}
        }
        Ok(match ranges.is_empty() {
            true => Places::Anywhere,
            false => Places::In(ranges),
        })
    }
}

fn search<'a>(
    file: &'a File,
    path: &Path,
    format: Format,
    system: &SystemArguments,
    at: Option<u64>,
) -> Result<(Memory<'a>, Vec<Segment>), Failure> {
    let mut segments = segments(file, format)
        .map_err(|error| format!("error: cannot read {}: {error}\n", shown(path)))?;
    let places = system.settle(path, &mut segments)?;
    let places = at.map_or(places, Places::At);
    for segment in &segments {
        if segment.len_bytes < segment.claimed_bytes {
            warn(format_args!(
                "segment at offset {:#x}: only {} of its {} bytes are there; \
                 take the core again, or go on with what there is",
                segment.offset, segment.len_bytes, segment.claimed_bytes
            ));
        }
    }
    let bar = progress(Some(segments.iter().map(|segment| segment.len_bytes).sum()));
    let memory = Memory::search(file, &segments, &places, |len| bar.inc(len));
    bar.finish_and_clear();
    let memory = memory.map_err(|error| failure(path, "read", &error))?;
    Ok((memory, segments))
}

fn tell_line(sums: &LineSums) {
    let LineSums {
        frames_lost,
        other_bytes,
        restarts,
        ignored,
        ..
    } = *sums;
    if frames_lost != 0 {
        warn(format_args!(
            "{frames_lost} frames did not arrive whole, by the numbers of those that did"
        ));
    }
    if restarts != 0 {
        warn(format_args!("the sender started anew {restarts} times"));
    }
    if ignored != 0 {
        warn(format_args!(
            "{ignored} frames of too many rings were ignored"
        ));
    }
    if other_bytes != 0 {
        warn(format_args!(
            "{other_bytes} bytes are no frame: text, or what is left of damaged frames"
        ));
    }
}

/// Whether what the file holds is as it should be.
fn check(
    path: &Path,
    images: &Path,
    from: Option<From>,
    system: &SystemArguments,
) -> Result<bool, Failure> {
    if from.is_none() && is_config(path) {
        return Ok(compile::compile(path, 0, images).map(|_| true)?);
    }
    let names = Names::default();
    let mut damaged = false;
    let report = Report::new(io::stdout(), &names, &mut damaged);
    let opened = open(path, from.map(From::format));
    let well = match opened.map_err(|error| failure(path, "read", &error))? {
        Input::Serial(line, _) => {
            let fed = feed_serial(
                line,
                RingKind::Trace,
                &mut Sinks(vec![Box::new(report)]),
                |_| {},
            );
            let sums = fed.map_err(|error| failure(path, "read", &error))?;
            tell_line(&sums);
            sums.frames != 0 && sums.frames_lost == 0
        }
        Input::Memory(file, format) => {
            let (memory, segments) = search(&file, path, format, system, None)?;
            for bad in &memory.bad {
                println!("damaged: {bad}");
            }
            for forged in &memory.forged {
                println!("not the system's: {forged}");
            }
            if memory.forged_more != 0 {
                println!("not the system's: {} more of these", memory.forged_more);
            }
            if memory.too_many != 0 {
                println!("damaged: {} more places look like rings", memory.too_many);
            }
            if memory.rings.is_empty() && memory.bad.is_empty() {
                return Err(Failure::Told(format!(
                    "error: {} holds no ring\n",
                    shown(path)
                )));
            }
            feed_memory(&memory, &mut Sinks(vec![Box::new(report)]), |_| {})
                .map_err(|error| failure(path, "read", &error))?;
            let whole = |segment: &Segment| segment.len_bytes == segment.claimed_bytes;
            memory.bad.is_empty() && memory.too_many == 0 && segments.iter().all(whole)
        }
    };
    Ok(well && !damaged)
}

/// A configuration is text; dumps, cores and captures hold zeroes.
fn is_config(path: &Path) -> bool {
    let Ok(mut file) = File::open(path) else {
        // `compile` says what is wrong with it.
        return path.as_os_str() != "-";
    };
    let mut start = [0; 4096];
    let len = io::Read::read(&mut file, &mut start).unwrap_or(0);
    path.as_os_str() != "-" && !start[..len].contains(&0)
}
