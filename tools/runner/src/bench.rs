//! What an access costs, in instructions that the emulator counts.
//!
//! The machine's clock advances by one nanosecond an instruction, so times are counts: QEMU's
//! with `-icount shift=0`, and Bochs's, whose TSC is that clock. The figure: from the first
//! access until the trace component is through with the last one, divided by their number,
//! without what the console took meanwhile.

pub mod blocks;
pub mod shares;

use crate::vms::with_console;
use crate::{Architecture, Counted, Failure, Platform, Request, Transcript, run};
use std::path::{Path, PathBuf};
use std::time::Duration;
use vdev_model::{Access, AddressSpace, AnyVdev, Read, Register};
use vdevs::Vdev;

/// Where the device is.
const LOC: u64 = 0xfa00_0000;

/// What is measured: accesses in a row to a register of a device.
#[derive(Debug, Clone, Copy)]
pub struct Storm {
    /// The device, of which nothing is configured but where its accesses are told: everywhere.
    pub vdev: Vdev,
    /// The register.
    pub register: &'static Register,
    /// What the guest does: `read`, `write`, `write-read`.
    pub operation: &'static str,
}

impl Storm {
    /// What this does to the first device of the list.
    pub fn of_first(operation: &'static str) -> Self {
        let vdev = Vdev::ALL[0];
        let register = &vdev.kind().registers[0];
        Self {
            vdev,
            register,
            operation,
        }
    }

    /// Reads of each kind that there is, of devices with more than a word: of each way in which a register is
    /// read, the first in the list.
    pub fn of_others() -> impl Iterator<Item = Self> {
        [Read::ReadsBack, Read::Follows, Read::Asked]
            .into_iter()
            .filter_map(|read| {
                let in_memory = |vdev: &&Vdev| vdev.kind().spaces[0] == AddressSpace::Memory;
                let several = Vdev::ALL.iter().filter(|vdev| vdev.word_count() > 1);
                several.filter(in_memory).find_map(|&vdev| {
                    let is_such = |it: &&Register| {
                        it.read == read && it.width_bytes == 4 && it.access != Access::WriteOnly
                    };
                    let register = vdev.kind().registers.iter().find(is_such)?;
                    let operation = "read";
                    Some(Self {
                        vdev,
                        register,
                        operation,
                    })
                })
            })
    }

    /// How it is read, for people.
    pub fn way(&self) -> &'static str {
        match self.register.read {
            Read::ReadsBack => "reads back",
            Read::Follows => "follows",
            Read::Asked => "asked",
        }
    }

    /// Accesses of a run: a second or two of the host's, or half a minute where the emulator is slower.
    pub fn accesses(&self, platform: &Platform) -> u64 {
        let all = accesses(platform);
        // Each takes two switches to another domain.
        if self.register.read == Read::Asked {
            all / 10
        } else {
            all
        }
    }
}

/// Accesses of a run of most.
pub fn accesses(platform: &Platform) -> u64 {
    match (platform, platform.architecture()) {
        (Platform::Microkit(..), Architecture::X86_64) => 100_000,
        _ => 1_000_000,
    }
}

/// What the figures are of.
pub fn unit(platform: &Platform) -> &'static str {
    match (platform, platform.architecture()) {
        (Platform::Microkit(..), Architecture::X86_64) => "ticks of Bochs's TSC",
        _ => "instructions",
    }
}

/// What one run measured, an access in its [`unit`].
pub struct Figures {
    /// All of it.
    pub total: f64,
    /// The console's part, where the platform tells it.
    pub console: Option<f64>,
    /// The trace component's, likewise.
    pub trace: Option<f64>,
}

/// Runs the guest `storm`.
///
/// # Errors
///
/// The run's, or that its lines are not as expected.
pub fn measure(platform: &Platform, images: &Path, storm: Storm) -> Result<Figures, Failure> {
    let accesses = storm.accesses(platform);
    let transcript = run_storm(platform, images, storm, accesses, None)?;
    figures(&transcript, accesses as f64).ok_or_else(|| {
        let reason = "it does not say when its accesses were".into();
        Failure::System { transcript, reason }
    })
}

/// Runs the guest `storm` with so many accesses. How often QEMU executes what goes to `blocks`, if that is
/// some file.
fn run_storm(
    platform: &Platform,
    images: &Path,
    storm: Storm,
    accesses: u64,
    blocks: Option<PathBuf>,
) -> Result<Transcript, Failure> {
    let work = tempfile::tempdir().map_err(|error| Failure::Host(error.to_string()))?;
    let config = work.path().join("bench.conf");
    let (vdev, operation) = (storm.vdev.kind().name, storm.operation);
    let address = LOC + storm.register.offset;
    let text = format!(
        "system bench\ncpu\nram 0x40000000,2M\nload storm\nlogger info,error,fatal stdout\n\
         cmdline \"trace={address:#x} console=0x9000000 n={accesses} op={operation}\"\n\
         vdev {vdev} loc {LOC:#x} emit-logger emit-trace 12\nvdev pl011 loc 0x9000000\n"
    );
    let text = with_console(platform.architecture(), &text);
    std::fs::write(&config, text).map_err(|error| Failure::Host(error.to_string()))?;
    let request = Request {
        configs: &[config],
        images,
        work: work.path(),
        platform,
        icount: Some(0),
        dump: None,
        counted: blocks.map(Counted::Blocks),
        until: None,
        deadline: Some(Duration::from_secs(600)),
    };
    run(&request, |_| {})
}

fn figures(transcript: &Transcript, accesses: f64) -> Option<Figures> {
    let find = |text: &str| transcript.lines.iter().find(|line| line.contains(text));
    // "accesses from [   0.000031] to [   0.424314], recorded by [   0.424408]"
    let stamps = |line: &String, after: &str| -> Option<f64> {
        let rest = &line[line.find(after)? + after.len()..];
        rest[..rest.find(']')?].trim().parse().ok()
    };
    let nanoseconds = match find("accesses from [") {
        Some(line) => (stamps(line, "recorded by [")? - stamps(line, "from [")?) * 1e9,
        None => {
            // Without a device (the floor) only the guest's own stopwatch tells.
            let line = find("bench op=")?;
            number(line, "ticks=")? / number(line, "hz=")? * 1e9
        }
    };
    // "unikernel: trace ran 114444 ticks, console 483821 ticks, of 62500000 Hz"; the
    // Microkit's line begins with the console.
    let ticks = find(" ticks, of ");
    let share = |who| {
        let line = ticks?;
        Some(number(line, who)? / number(line, " of ")? * 1e9 / accesses)
    };
    Some(Figures {
        total: nanoseconds / accesses,
        console: share("console "),
        trace: share("trace ran "),
    })
}

/// The number that stands behind `before`.
fn number(line: &str, before: &str) -> Option<f64> {
    let rest = &line[line.find(before)? + before.len()..];
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..digits].parse().ok()
}
