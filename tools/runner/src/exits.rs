//! The exits of one boot of Linux: how many of each kind, and what answering them takes.
//!
//! Called by the `runner` program. The machine's clock counts instructions, a nanosecond each, so that no figure
//! depends on how fast the host is. QEMU logs each exception, and a plugin of ours beside them how many instructions
//! had been executed (`log`); what is between an exit and the guest's next instruction is what the exit took. When the
//! shell is there, Linux is asked where it has mapped its devices (`places`), by which an access is told to be of one
//! (`kinds`).
//!
//! Invariant: an exit is counted if it is before the guest's last character of the prompt, and what it took is all that
//! was executed until the guest went on: by whatever else had work to do as well.

mod kinds;
mod log;
mod places;

use crate::platform::Platform;
use crate::session::stamp;
use crate::{Architecture, Counted, Failure, Request, Session, Transcript, compile, run_followed};
use a64_guest::syndrome::{Trap, decode};
use guest_access::{Direction, GuestPhysAddr};
use log::{Cause, Exit, Log};
use places::Places;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use vdev_model::AnyVdev;
use vmconf::Vm;

/// What Linux' shell prints when it waits for a command.
const PROMPT: &str = "/ #";
/// How long the run may take.
const DEADLINE: Duration = Duration::from_secs(900);

/// A boot, counted.
#[derive(Debug)]
pub struct Boot {
    /// The machine's time when the shell had greeted: the stamp of the last line before its prompt.
    pub shell: Duration,
    /// Instructions before the guest's first: the boot of what hosts it.
    pub before: u64,
    /// Instructions of the guest, until its prompt.
    pub guest: u64,
    /// The exits by kind, the most frequent first.
    pub kinds: Vec<Kind>,
}

/// The exits of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// In words.
    pub name: String,
    /// How many.
    pub number: u64,
    /// Instructions until the guest went on, of all of them.
    pub instructions: u64,
    /// Those of them that protection domains executed.
    pub domains: u64,
    /// Half of the exits took at most so many.
    pub median: u64,
}

/// Boots the Linux of a configuration, which is the only one, and counts its exits.
///
/// # Errors
///
/// The run's; that the platform is none on which that can be counted; that the log contradicts itself.
pub fn count(
    platform: &Platform,
    configs: &[PathBuf],
    images: &Path,
    work: &Path,
) -> Result<Boot, Failure> {
    if platform.architecture() != Architecture::Aarch64 {
        let reason = "exits are counted on aarch64 only: QEMU does not log those of the others";
        return Err(Failure::Host(reason.into()));
    }
    let file = work.join("exceptions.log");
    let request = Request {
        configs,
        images,
        work,
        platform,
        icount: Some(0),
        dump: None,
        counted: Some(Counted::Exceptions(file.clone())),
        until: None,
        deadline: Some(DEADLINE),
    };
    let compiled = compile(configs, request.images())?;
    let [compiled] = &compiled[..] else {
        let reason = "exits are counted of one VM: two cannot be told apart";
        return Err(Failure::Host(reason.into()));
    };
    let transcript = run_followed(&request, &mut session()?)?;
    let text = std::fs::read(&file)
        .map_err(|error| Failure::Host(format!("cannot read {}: {error}", file.display())))?;
    let text = String::from_utf8_lossy(&text);
    let log = log::read(&text).map_err(|error| Failure::Host(error.to_string()))?;
    summed_up(&log, &transcript, &compiled.vm).map_err(|reason| Failure::System {
        transcript,
        reason: reason.into(),
    })
}

/// Waits for the shell, and asks Linux where its devices are. It shows addresses only to whoever may see the
/// kernel's log (Documentation/admin-guide/sysctl/kernel.rst, kptr_restrict).
fn session() -> Result<Session, Failure> {
    let session = format!(
        "within 300\nexpect {PROMPT}\n\
         send echo 1 >/proc/sys/kernel/kptr_restrict; grep ioremap /proc/vmallocinfo; echo to''ld\\r\n\
         expect told\nend\n"
    );
    Session::parse("exits", &session)
}

fn summed_up(log: &Log, transcript: &Transcript, vm: &Vm) -> Result<Boot, &'static str> {
    let lines = transcript.lines.iter().map(String::as_str);
    let places = Places::new(places::devices(vm), lines);
    if !places.are_known() {
        return Err("Linux does not say in /proc/vmallocinfo where its devices are");
    }
    let shell = greeted(&transcript.lines).ok_or("no line with a time is before the prompt")?;
    let shown = shown(&log.printed)
        .ok_or("the prompt is not in QEMU's log: its trace events do not go there")?;
    let exits = &log.exits[..shown.min(log.exits.len())];
    // The console's register for characters is its first.
    let mut devices = vm.devices.iter();
    let console = devices.find(|device| device.vdev.kind().tree.alias == Some("serial"));
    let last = console.and_then(|console| {
        let prints = |exit: &Exit| writes(exit, console.loc.value, &places);
        exits.iter().rposition(prints)
    });
    let exits = &exits[..last.map_or(exits.len(), |last| last + 1)];
    Ok(Boot {
        shell,
        before: log.before,
        guest: exits.iter().map(|exit| exit.guest).sum(),
        kinds: by_kind(exits, &places),
    })
}

/// The time of the last line before the prompt. The prompt itself is no line, and shown when it has rested.
fn greeted(lines: &[String]) -> Option<Duration> {
    let prompt = lines.iter().position(|line| line.contains(PROMPT))?;
    lines[..prompt].iter().rev().find_map(|line| stamp(line))
}

/// How many exits there had been when the machine's UART had sent the prompt.
fn shown(printed: &[(u8, usize)]) -> Option<usize> {
    let ends = printed.windows(PROMPT.len());
    let mut ends = ends.filter(|bytes| bytes.iter().map(|it| &it.0).eq(PROMPT.as_bytes()));
    ends.next()?.last().map(|(_, exits)| *exits)
}

/// Whether the guest writes to the register at a guest-physical address.
fn writes(exit: &Exit, register: u64, places: &Places) -> bool {
    let Cause::Instruction { syndrome, address } = exit.cause else {
        return false;
    };
    let is_write = matches!(
        decode(syndrome, GuestPhysAddr(0), 0),
        Trap::Access(access) if access.direction == Direction::Write
    );
    is_write && address.and_then(|address| places.physical(address)) == Some(register)
}

fn by_kind(exits: &[Exit], places: &Places) -> Vec<Kind> {
    let mut kinds: BTreeMap<String, Vec<&Exit>> = BTreeMap::new();
    for exit in exits {
        let name = kinds::kind(&exit.cause, places);
        kinds.entry(name).or_default().push(exit);
    }
    let kinds = kinds.into_iter().map(|(name, exits)| Kind {
        name,
        number: exits.len() as u64,
        instructions: exits.iter().map(|exit| exit.instructions()).sum(),
        domains: exits.iter().map(|exit| exit.domains).sum(),
        median: median(exits.iter().map(|exit| exit.instructions()).collect()),
    });
    let mut kinds: Vec<Kind> = kinds.collect();
    kinds.sort_by_key(|kind| core::cmp::Reverse(kind.number));
    kinds
}

/// Of an even number the lower one.
fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    let middle = values.len().saturating_sub(1) / 2;
    values.get(middle).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waited(instructions: u64) -> Exit {
        let cause = Cause::Instruction {
            syndrome: 0x0600_0000,
            address: None,
        };
        Exit {
            cause,
            guest: 5,
            at_el2: instructions - 1,
            domains: 1,
        }
    }

    #[test]
    fn exits_are_added_up_by_kind_the_most_frequent_first() {
        let timer = Exit {
            cause: Cause::Interrupt(Some(27)),
            ..waited(9)
        };
        let exits = [timer, waited(10), waited(1000), waited(30)];
        let kinds = by_kind(&exits, &Places::new(Vec::new(), "".lines()));
        let wait = Kind {
            name: "waiting (WFI, WFE)".into(),
            number: 3,
            instructions: 1040,
            domains: 3,
            median: 30,
        };
        assert_eq!(kinds[0], wait);
        assert_eq!((kinds.len(), kinds[1].number, kinds[1].median), (2, 1, 9));
    }

    #[test]
    fn the_shell_has_greeted_at_the_line_before_its_prompt() {
        let lines = [
            "$ qemu",
            "[   0.906854] linux| Enter 'help' for a list.",
            "[   0.906878] linux|",
            "[   1.010003] linux> / # ?[6n",
            "[   1.011003] linux| / # echo",
        ];
        let lines = lines.map(String::from);
        assert_eq!(greeted(&lines), Some(Duration::from_micros(906_878)));
        assert_eq!(greeted(&lines[..3]), None);
    }

    #[test]
    fn the_prompt_is_shown_with_its_last_character() {
        let sent = |text: &[u8]| -> Vec<(u8, usize)> { text.iter().copied().zip(10..).collect() };
        assert_eq!(shown(&sent(b"/ $ / # / # ")), Some(16));
        assert_eq!(shown(&sent(b"/ $ /")), None);
    }
}
