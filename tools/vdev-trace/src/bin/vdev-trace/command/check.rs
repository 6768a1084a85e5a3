//! `check`: whether a configuration can be compiled, or whether what a dump, a core or a capture
//! holds is whole.
//!
//! Invariant: what is wrong is said on standard output, and the exit status says that it is.

use super::arguments::{From, SystemArguments};
use super::{Failure, STANDARD_OUTPUT, any_machine, cannot, failure_of, input};
use shared_ring::RingKind;
use std::io::{self, Write};
use std::path::Path;
use vdev_trace::feed::{feed_memory, feed_serial};
use vdev_trace::input::source::{Input, Segment, Texts};
use vdev_trace::output::check::Report;
use vdev_trace::records::sink::{FeedError, Sinks};
use vdev_trace::visible::path as shown;
use vdev_trace::vms::compile::{Warnings, compile_text, of_compiled};
use vdev_trace::vms::names::Names;

/// Whether what the file holds is as it should be.
pub fn check(
    path: &Path,
    images: &Path,
    from: Option<From>,
    warnings: Warnings,
    system: &SystemArguments,
) -> Result<bool, Failure> {
    let names = Names::default();
    let mut damaged = false;
    let report = Report::new(io::stdout(), &names, &mut damaged);
    let failure = |error| match error {
        FeedError::Input(error) => cannot("read", &shown(path), &error),
        FeedError::Output(_, error) => failure_of(STANDARD_OUTPUT, &error),
    };
    let well = match input::open(path, from.map(From::format), Texts::Allowed)? {
        Input::Text(text) => {
            compile_text(path, &text, 0, any_machine(images), warnings)?;
            true
        }
        Input::Serial(line, _) => {
            let mut sinks = Sinks::new(vec![Box::new(report)]);
            let fed = feed_serial(line, RingKind::Trace, &mut sinks, |_| {});
            let sums = fed.map_err(failure)?;
            input::tell_line(&sums);
            sums.frames != 0 && sums.frames_lost == 0
        }
        Input::Memory(file, format) => {
            let (memory, segments) = input::search(&file, path, format, system, None)?;
            let mut found = String::new();
            for bad in &memory.bad {
                found += &format!("damaged: {bad}\n");
            }
            let mixture = memory.mixture();
            if let Some(mixture) = &mixture {
                let what = match mixture.is_the_systems {
                    true => "parts of different builds do not understand each other",
                    false => "one of them is not the system's",
                };
                found += &format!("damaged: {mixture}; {what}\n");
            }
            for forged in &memory.forged {
                found += &format!("not the system's: {forged}\n");
            }
            if memory.forged_more != 0 {
                found += &format!("not the system's: {} more of these\n", memory.forged_more);
            }
            if memory.too_many != 0 {
                let more = memory.too_many;
                found += &format!("damaged: {more} more places look like rings\n");
            }
            io::stdout()
                .write_all(found.as_bytes())
                .map_err(|error| failure_of(STANDARD_OUTPUT, &error))?;
            if memory.rings.is_empty() && memory.bad.is_empty() {
                let name = shown(path);
                let start = input::start(&file).map_err(|error| cannot("read", &name, &error))?;
                match of_compiled(&start) {
                    Some(Ok(vm)) => {
                        let line =
                            format!("{name}: the compiled configuration of VM {vm}: whole\n");
                        return io::stdout()
                            .write_all(line.as_bytes())
                            .map(|()| true)
                            .map_err(|error| failure_of(STANDARD_OUTPUT, &error));
                    }
                    Some(Err(error)) => {
                        return Err(Failure::Told(format!("error: {name}: {error}\n")));
                    }
                    None => {}
                }
                return Err(Failure::Told(format!("error: {name} holds no ring\n")));
            }
            feed_memory(&memory, &mut Sinks::new(vec![Box::new(report)]), |_| {})
                .map_err(failure)?;
            let whole = |segment: &Segment| segment.len_bytes == segment.claimed_bytes;
            memory.bad.is_empty()
                && memory.too_many == 0
                && mixture.is_none()
                && segments.iter().all(whole)
        }
    };
    Ok(well && !damaged)
}
