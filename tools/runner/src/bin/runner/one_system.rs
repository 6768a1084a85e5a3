//! `run`, `trace` and `image`: one system, of the VMs that the user names.

use crate::arguments::Boot;
use crate::hosts::{microkit, platform_of};
use crate::screen::Screen;
use crate::terminal;
use runner::{
    Architecture, Failure, Follower, Heard, Keyboard, Request, Session, SystemDescription, compile,
    run_followed,
};
use shared_ring::RingKind;
use std::fmt;
use std::io::{self, IsTerminal, Stdout, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;
use vdev_trace::input::places::Places;
use vdev_trace::tell;
use vdev_trace::vms::compile::file_of_vm;
use vdev_trace::vms::names::Names;
use vdev_trace::whole_dump::write_rings;

/// How long a run may take that nobody watches, if nothing else is said, in seconds.
const UNWATCHED_S: u64 = 120;

/// Whether somebody is there who can end a run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Person {
    Watches,
    IsAway,
}

impl Person {
    fn at_the_terminal() -> Self {
        match io::stdin().is_terminal() && io::stdout().is_terminal() {
            true => Self::Watches,
            false => Self::IsAway,
        }
    }
}

fn deadline(asked_s: Option<u64>, person: Person) -> Option<Duration> {
    let unasked_s = (person == Person::IsAway).then_some(UNWATCHED_S);
    asked_s.or(unasked_s).map(Duration::from_secs)
}

/// Boots the VMs, prints what they say, and leaves the machine's memory in `dump`.
pub(crate) fn run_vm(boot: &Boot, dump: Option<PathBuf>) -> Result<(), Failure> {
    let configs = boot.configurations()?;
    let session = boot.script.as_deref().map(Session::load).transpose()?;
    let input = boot.input.as_deref().map(read).transpose()?;
    let person = Person::at_the_terminal();
    let request = Request {
        configs: &configs,
        images: &boot.host.images,
        work: &boot.work,
        platform: &platform_of(boot)?,
        icount: boot.icount,
        counted: None,
        dump,
        until: None,
        deadline: deadline(boot.deadline, person),
    };
    if person == Person::Watches && session.is_none() && input.is_none() {
        return terminal::run(&request, boot.log.as_deref());
    }
    let mut follower = Watcher {
        screen: Screen::new(io::stdout()),
        session,
        input,
    };
    let ran = run_followed(&request, &mut follower);
    let shown = follower.screen.end();
    ran?;
    or_reader_gone(shown, "the console")
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let cannot = |error| Failure::Host(format!("cannot read {}: {error}", file.display()));
    std::fs::read(file).map_err(cannot)
}

/// Whoever follows a run that nobody types at: it is shown, and what a file says is typed.
struct Watcher {
    screen: Screen<Stdout>,
    session: Option<Session>,
    input: Option<Vec<u8>>,
}

impl Follower for Watcher {
    fn begins(&mut self, keyboard: Option<Keyboard>) {
        if let (Some(keyboard), Some(input)) = (&keyboard, self.input.take()) {
            keyboard.type_in(input);
        }
        if let Some(session) = &mut self.session {
            session.begins(keyboard);
        }
    }

    fn follow(&mut self, heard: Option<&Heard>) -> ControlFlow<Result<(), String>> {
        if let Some(heard) = heard {
            self.screen.show(heard);
        }
        match &mut self.session {
            Some(session) => session.follow(heard),
            None => ControlFlow::Continue(()),
        }
    }

    fn has_seen_all(&mut self) -> Result<(), String> {
        self.session.as_mut().map_or(Ok(()), Session::has_seen_all)
    }
}

/// The same, then prints the trace rings that the memory holds.
pub(crate) fn trace(boot: &Boot) -> Result<(), Failure> {
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
    write_rings(&mut out, &memory, (RingKind::Trace, places), names, warn).map(drop)
}

/// Makes the image for seL4, and says where it is.
pub(crate) fn image(boot: &Boot) -> Result<(), Failure> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_a_deadline_that_was_asked_for_or_that_nobody_watches() {
        for (asked, person, wanted) in [
            (Some(7), Person::Watches, Some(7)),
            (Some(7), Person::IsAway, Some(7)),
            (None, Person::Watches, None),
            (None, Person::IsAway, Some(120)),
        ] {
            assert_eq!(deadline(asked, person), wanted.map(Duration::from_secs));
        }
    }
}
