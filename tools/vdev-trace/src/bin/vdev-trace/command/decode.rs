//! `decode` and `stats`: from an input to the outputs that are asked for.
//!
//! Invariant: an input was found readable before an output is opened.

use super::arguments::{self, Colour, InputArguments, OutputArguments};
use super::live::Live;
use super::{Failure, STANDARD_OUTPUT, cannot, failure_of, input, progress, refused};
use anstream::{AutoStream, ColorChoice};
use shared_ring::LAYOUT_VERSION;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use vdev_trace::feed::{feed_memory, feed_serial};
use vdev_trace::input::dump::Memory;
use vdev_trace::input::layout::Layout;
use vdev_trace::input::source::{Format, Input, Texts};
use vdev_trace::output::chrome::Chrome;
use vdev_trace::output::ctf::Ctf;
use vdev_trace::output::files::{self, Outputs};
use vdev_trace::output::html::Html;
use vdev_trace::output::stats::Stats;
use vdev_trace::output::text::{Layout as TextLayout, Text};
use vdev_trace::records::sink::{FeedError, Sink, Sinks};
use vdev_trace::tell::warn;
use vdev_trace::visible::path as shown;
use vdev_trace::vms::names::Names;

/// Decodes the rings into the outputs that are asked for.
pub fn decode(input: &InputArguments, wanted: &OutputArguments) -> Result<(), Failure> {
    let names = names(input)?;
    feed(input, names.compiled(), |outputs| {
        wanted.open(outputs, &names).map_err(refused)
    })?;
    names.tell_missing(|text| warn(text));
    Ok(())
}

/// A sink and its name.
type NamedSink<'a> = (String, Box<dyn Sink + 'a>);

/// Prints rates, places and losses.
pub fn stats(input: &InputArguments) -> Result<(), Failure> {
    let names = names(input)?;
    feed(input, names.compiled(), |_: &mut Outputs| {
        let standard = io::BufWriter::new(io::stdout());
        let stats: Box<dyn Sink> = Box::new(Stats::new(standard, &names));
        Ok(vec![(STANDARD_OUTPUT.to_owned(), stats)])
    })?;
    names.tell_missing(|text| warn(text));
    Ok(())
}

fn names(input: &InputArguments) -> Result<Names, Failure> {
    let InputArguments {
        config,
        guest,
        images,
        ..
    } = input;
    Ok(Names::load(config, guest, images, |text| warn(text))?)
}

impl OutputArguments {
    fn open<'a>(
        &self,
        outputs: &mut Outputs,
        names: &'a Names,
    ) -> Result<Vec<NamedSink<'a>>, files::Refused> {
        let mut sinks = Vec::<NamedSink<'a>>::new();
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
                ColorChoice::Never => TextLayout::Plain,
                _ => TextLayout::Coloured,
            };
            let text = Text::new(outputs.file(path)?, names, layout);
            sinks.push((name_of(path), Box::new(text)));
        }
        if let Some(path) = &self.ctf {
            let ctf = Ctf::new(outputs.folder(path)?, names);
            sinks.push((name_of(path), Box::new(ctf)));
        }
        if let Some(path) = &self.json {
            let json = Chrome::new(outputs.file(path)?, names);
            sinks.push((name_of(path), Box::new(json)));
        }
        if let Some(path) = &self.html {
            let html = Html::new(outputs.file(path)?, names);
            sinks.push((name_of(path), Box::new(html)));
        }
        Ok(sinks)
    }
}

fn name_of(path: &Path) -> String {
    match path.as_os_str() == "-" {
        true => STANDARD_OUTPUT.into(),
        false => shown(path),
    }
}

/// The files that the input and the names come from: none of them may be an output.
fn protected(input: &InputArguments) -> Outputs {
    let mut outputs = Outputs::default();
    let standard = || files::metadata_of(io::stdin()).ok();
    let path = &input.input;
    let metadata: Option<Metadata> = match path.as_os_str() == "-" {
        true => standard(),
        false => std::fs::metadata(path).ok(),
    };
    if let Some(metadata) = metadata {
        outputs.protect(shown(path), &metadata);
    }
    let system = input.system.system.iter();
    for path in input.config.iter().chain(&input.guest).chain(system) {
        outputs.protect_path(path);
    }
    for image in Names::images(&input.config, &input.images) {
        outputs.protect_path(&image);
    }
    outputs
}

/// Feeds the input to the sinks that `sinks` opens when the input was found readable, and puts
/// the files that they wrote in their places.
fn feed<'a>(
    input: &InputArguments,
    compiled: Option<&Path>,
    sinks: impl FnOnce(&mut Outputs) -> Result<Vec<NamedSink<'a>>, Failure>,
) -> Result<(), Failure> {
    let path = &input.input;
    let kind = input.ring.kind();
    let opened = input::open(path, input.from.map(arguments::From::format), Texts::None)?;
    let mut outputs = protected(input);
    match opened {
        Input::Serial(line, len_bytes) => {
            let (names, sinks): (Vec<_>, Vec<_>) = sinks(&mut outputs)?.into_iter().unzip();
            let mut sinks = Sinks::new(sinks);
            let bar = progress(len_bytes);
            let line = match len_bytes {
                Some(_) => line,
                None => Box::new(Live::new(line)),
            };
            let fed = feed_serial(line, kind, &mut sinks, |len| bar.inc(len));
            bar.finish_and_clear();
            let sums = fed.map_err(|error| feed_failure(error, path, &names))?;
            input::tell_line(&sums);
            if sums.frames == 0 {
                return Err(Failure::Told(format!(
                    "error: {} holds no frame that is whole; --from says what else it is\n",
                    shown(path)
                )));
            }
        }
        Input::Memory(file, format) => {
            let (memory, _) = input::search(&file, path, format, &input.system, input.at)?;
            memory.bad.iter().for_each(warn);
            refuse_mixture(&memory, path)?;
            let memory = memory.only(kind);
            tell_rings(&memory, input, format)?;
            refuse_other_build(&memory, path, compiled)?;
            let (names, sinks): (Vec<_>, Vec<_>) = sinks(&mut outputs)?.into_iter().unzip();
            let mut sinks = Sinks::new(sinks);
            let slots = memory.rings.iter().map(|ring| ring.slots_present);
            let bar = progress(Some(slots.sum::<u64>() * shared_ring::SLOT_BYTES as u64));
            let fed = feed_memory(&memory, &mut sinks, |len| bar.inc(len));
            bar.finish_and_clear();
            fed.map_err(|error| feed_failure(error, path, &names))?;
        }
        // Texts were not allowed.
        Input::Text(_) => {}
    }
    outputs.commit().map_err(refused)
}

fn feed_failure(error: FeedError, path: &Path, names: &[String]) -> Failure {
    match error {
        FeedError::Input(error) => cannot("read", &shown(path), &error),
        FeedError::Output(number, error) => failure_of(&names[number], &error),
    }
}

/// A system whose parts did not understand each other has no trace that could be believed. Where the
/// system has its rings must be known for that: else a guest could take the trace away by a header.
fn refuse_mixture(memory: &Memory<'_>, path: &Path) -> Result<(), Failure> {
    match memory.mixture() {
        Some(mixture) if mixture.is_the_systems => Err(Failure::Told(format!(
            "error: {}: {mixture}; parts of different builds do not understand each other. Build \
             all parts of the system together and run it again, or choose a ring by --at\n",
            shown(path)
        ))),
        _ => Ok(()),
    }
}

/// A compiled configuration has the names of a system of its own build, and no other's.
fn refuse_other_build(
    memory: &Memory<'_>,
    path: &Path,
    compiled: Option<&Path>,
) -> Result<(), Failure> {
    let versions = || memory.rings.iter().map(|ring| ring.layout);
    match (versions().next(), compiled) {
        (Some(version), Some(compiled)) if !versions().any(Layout::is_newest) => {
            Err(Failure::Told(format!(
                "error: the rings in {} have layout version {version}, and {} was compiled for a \
                 system of version {LAYOUT_VERSION}: it is another system's. Give the \
                 configuration's text\n",
                shown(path),
                shown(compiled)
            )))
        }
        _ => Ok(()),
    }
}

/// Warns of what is strange about the rings that are to be decoded.
///
/// # Errors
///
/// That there is none.
fn tell_rings(memory: &Memory<'_>, input: &InputArguments, format: Format) -> Result<(), Failure> {
    let kind = input.ring.kind();
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
    if memory.reports.len() > 1 {
        warn("several pages say how the run went; none is believed without --system or --rings");
    }
    if memory.too_many != 0 {
        let more = memory.too_many;
        warn(format_args!(
            "{more} more places look like rings, more than any system has; --system or --rings \
             says where the system's are"
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
            shown(&input.input)
        )));
    }
    if let Some(mixture) = memory.mixture() {
        warn(format_args!(
            "{mixture}; no system has both, but a guest can write what looks like one into its RAM. \
             Each is read by its own; --system or --rings says where the system's are"
        ));
    }
    if let Some((one, other)) = memory.double() {
        warn(format_args!(
            "two {kind:?} rings of VM {}: at {} and at {}; a guest can write what looks like one \
             into its RAM. --at chooses",
            one.vm, one.place, other.place
        ));
    }
    for ring in &memory.rings {
        if ring.cut() != 0 {
            warn(format_args!(
                "ring at {}: the input ends before its last {} slots; what they held is skipped",
                ring.place,
                ring.cut()
            ));
        }
        for note in &ring.notes {
            warn(format_args!("ring at {}: {note}", ring.place));
        }
    }
    Ok(())
}
