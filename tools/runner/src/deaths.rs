//! Deaths from outside, at random instructions, under a guest that accesses its device as fast as it
//! can: how long it waits for each, and whether anything was lost or told twice.
//!
//! Called by the `runner` program. A debugger halts the machine until it is at an instruction of the
//! protection domain whose turn it is, and lets the CPU go on where nothing is mapped, or where it
//! branches to itself for ever. What the guest did is read from the trace ring meanwhile, so that no
//! record is overwritten unseen, and what is said of it at the end from the console's lines.
//!
//! ```text
//!  debugger ──► halted in pd-trace ──► PC := 0 ─┬─► runs on ──► the next record: its stamp
//!                                     the time ─┴───────────────────── outage ─────┘
//! ```
//!
//! Invariant: a domain dies only if it lives: records have followed the death before.

mod random;
mod records;
mod sums;

pub use records::Records;
pub use sums::Sums;

use crate::machine::Debugger;
use crate::machine::code::{COMPARED_BYTES, Code};
use crate::microkit::Microkit;
use crate::vms::with_console;
use crate::{Failure, Platform, Request, Transcript, run_meddling};
use oversight::Part;
use random::Random;
use std::io;
use std::path::Path;
use std::time::Duration;

/// Who dies in turn.
pub const WHO: [Part; 3] = [Part::Trace, Part::Vmm(0), Part::Console];
/// Instructions between two looks at where the CPU is, at most.
const PACE: u64 = 400_000;
/// Looks from there, if the CPU is at no known code, and instructions between two of them, at most: who runs
/// seldom is mostly in the kernel then, and back in a moment.
const LOOKS: u64 = 16;
const CALL: u64 = 500;
/// Instructions that a domain is stepped before it dies, at most: an emulator likes to halt at some
/// more than at others.
const STEPS: u64 = 100;
/// Instructions within which the guest begins, and between two looks whether it has: a BIOS waits for
/// seconds.
const BOOT: u64 = 30_000_000_000;
const BOOT_PACE: u64 = 20_000_000;
/// Instructions within which each domain runs, and the guest after a death.
const PATIENCE: u64 = 2_000_000_000;
/// Looks in a row at which a domain is no more where it hung: it has been started again.
const GONE: u32 = 25;
/// Accesses of the guest for each death that is wanted, and besides: it makes them while the next to die is
/// waited for. On x86_64 the console runs so seldom that it makes 15 000 until then.
const ACCESSES: u64 = 10_000;
const RESERVE: u64 = 100_000;

/// Who accesses the device meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guest {
    /// The project's own storm.
    Storm,
    /// A program in Debian's Linux, `guest/linux/accesses.c`.
    Linux,
}

impl Guest {
    /// The configuration of a VM in which it makes so many accesses and checks each. Whoever it is, the VM is `storm`.
    fn configuration(self, accesses: u64) -> String {
        let vm = "system storm\nlogger info,warn,error,fatal stdout\n\
                  vdev trace loc 0xfa000000 emit-logger emit-trace 12\n";
        match self {
            Self::Storm => format!(
                "{vm}vdev pl011 loc 0x9000000\nram 0x40000000,2M\nload storm\n\
                 cmdline \"trace=0xfa000000 console=0x9000000 n={accesses} op=checked\"\n"
            ),
            Self::Linux => format!(
                "{vm}vdev pl011 loc 0x9000000 intr gic:33\nram 0x40000000,128M\nload linux\n\
                 initrd load linux-initrd\n\
                 cmdline \"console=ttyAMA0 quiet run=accesses,0xfa000000,{accesses}\"\n"
            ),
        }
    }
}

/// What is to be tried.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Under whose accesses.
    pub guest: Guest,
    /// How often each domain is to die.
    pub deaths: u64,
    /// How often each is to hang.
    pub hangs: u64,
    /// What the random numbers begin with.
    pub seed: u64,
}

/// What came of it.
pub struct Seen {
    /// How long it was from each death to the guest's next record, in microseconds, by [`WHO`].
    pub deaths_us: [Vec<f64>; WHO.len()],
    /// The same for each hang, or until the domain hung no more if that was later.
    pub hangs_us: [Vec<f64>; WHO.len()],
    /// What stood in the trace ring.
    pub records: Records,
    /// What was printed of it.
    pub sums: Sums,
    /// The console's lines.
    pub transcript: Transcript,
}

/// Lets the domains of a system die and hang.
///
/// # Errors
///
/// The run's, or that the machine cannot be debugged.
pub fn try_deaths(platform: &Platform, images: &Path, wanted: Wanted) -> Result<Seen, Failure> {
    let Platform::Microkit(microkit, _) = platform else {
        let why = "who dies in the unikernel takes the others along: seL4 is needed";
        return Err(Failure::Host(why.into()));
    };
    let host = |error: io::Error| Failure::Host(error.to_string());
    let work = tempfile::tempdir().map_err(host)?;
    let config = work.path().join("storm.conf");
    let accesses = WHO.len() as u64 * (wanted.deaths + wanted.hangs) * ACCESSES + RESERVE;
    let text = wanted.guest.configuration(accesses);
    std::fs::write(&config, with_console(platform.architecture(), &text)).map_err(host)?;
    let request = Request {
        configs: &[config],
        images,
        work: work.path(),
        platform,
        icount: Some(0),
        dump: None,
        counted: None,
        until: None,
        deadline: Some(Duration::from_secs(1200)),
    };
    let mut experiment = None;
    let transcript = run_meddling(
        &request,
        |machine| {
            let mut debugger = machine.debugger()?;
            let ran = Experiment::new(&mut *debugger, microkit, work.path(), wanted.seed, accesses)
                .and_then(|begun| begun.run(wanted));
            experiment = Some(ran.map_err(|error| format!("the experiment: {error}"))?);
            debugger.let_go().map_err(|error| error.to_string())
        },
        &mut crate::typing::Looker(|_: &crate::Heard| {}),
    )?;
    let Some((deaths_us, hangs_us, records)) = experiment else {
        return Err(Failure::Host("no machine was there to meddle with".into()));
    };
    let sums = Sums::read(&transcript.lines, accesses);
    Ok(Seen {
        deaths_us,
        hangs_us,
        records,
        sums,
        transcript,
    })
}

/// A machine in which domains die.
struct Experiment<'a> {
    debugger: &'a mut dyn Debugger,
    /// By [`WHO`].
    codes: [Code; WHO.len()],
    records: Records,
    random: Random,
    /// How many accesses the guest makes, of which each is recorded.
    accesses: u64,
}

type Outages = [Vec<f64>; WHO.len()];

impl<'a> Experiment<'a> {
    fn new(
        debugger: &'a mut dyn Debugger,
        microkit: &Microkit,
        work: &Path,
        seed: u64,
        accesses: u64,
    ) -> io::Result<Self> {
        let code = |part: Part| {
            let file = microkit.domains.join(part.name());
            Code::read(&file, microkit.board.architecture).map_err(io::Error::other)
        };
        let [trace, vmm, console] = WHO;
        let regions = microkit.looked_at(work).map_err(io::Error::other)?;
        let ring = regions.iter().find(|region| !region.is_report);
        let ring = ring.ok_or_else(|| io::Error::other("no trace ring is described"))?;
        Ok(Self {
            debugger,
            codes: [code(trace)?, code(vmm)?, code(console)?],
            records: Records::of_ring_at(ring.start),
            random: Random::new(seed),
            accesses,
        })
    }

    fn run(mut self, wanted: Wanted) -> io::Result<(Outages, Outages, Records)> {
        let (mut deaths_us, mut hangs_us) = (Outages::default(), Outages::default());
        self.wait_for_storm()?;
        for _ in 0..wanted.deaths {
            for (who, outages_us) in deaths_us.iter_mut().enumerate() {
                let (began, next) = self.send_to(who, 0)?;
                outages_us.push(self.us(began, next));
            }
        }
        for _ in 0..wanted.hangs {
            for (who, outages_us) in hangs_us.iter_mut().enumerate() {
                let place = self.codes[who].branch_to_itself();
                let place = place.ok_or_else(|| io::Error::other("a program that never hangs"))?;
                let (began, next) = self.send_to(who, place)?;
                // A guest may go on meanwhile, in what a domain's budget leaves of the time.
                let hung = self.wait_until_gone(who, place)?;
                outages_us.push(self.us(began, hung.max(next)));
            }
        }
        Ok((deaths_us, hangs_us, self.records))
    }

    fn us(&self, from: u64, to: u64) -> f64 {
        (to - from) as f64 * 1e6 / self.records.clock_hz() as f64
    }

    /// Lets the system boot.
    fn wait_for_storm(&mut self) -> io::Result<()> {
        let mut ran = 0;
        while ran < BOOT {
            self.debugger.run(BOOT_PACE)?;
            ran += BOOT_PACE;
            if self.records.begin(self.debugger)? {
                return Ok(());
            }
        }
        Err(io::Error::other("the guest makes no access"))
    }

    /// Lets a domain go on somewhere else than where it is, and waits for the guest's next record: the time
    /// before, and that of the record.
    fn send_to(&mut self, who: usize, place: u64) -> io::Result<(u64, u64)> {
        self.halt_in(who)?;
        let began = self.debugger.now(&self.codes[who])?;
        self.debugger.set_pc(place)?;
        let next = self.wait_for_record_after(began).map_err(|error| {
            let name = WHO[who].name();
            io::Error::other(format!("{error}, after {name} was sent to {place:#x}"))
        })?;
        Ok((began, next))
    }

    /// Waits until a domain is no longer where it stays for ever: when it was last seen there, or 0.
    fn wait_until_gone(&mut self, who: usize, place: u64) -> io::Result<u64> {
        let (mut ran, mut looks, mut last) = (0, 0, 0);
        while looks < GONE {
            if ran >= PATIENCE {
                let name = WHO[who].name();
                return Err(io::Error::other(format!("{name} hangs for ever")));
            }
            self.debugger.run(PACE)?;
            ran += PACE;
            looks += 1;
            self.records.follow(self.debugger)?;
            if self.debugger.pc()? == place && self.who_runs()? == Some(who) {
                (last, looks) = (self.debugger.now(&self.codes[who])?, 0);
            }
        }
        Ok(last)
    }

    /// Halts the machine at some instruction of a domain.
    fn halt_in(&mut self, who: usize) -> io::Result<()> {
        let mut ran = 0;
        while ran < PATIENCE {
            ran += self.run_below(PACE)?;
            self.records.follow(self.debugger)?;
            self.guest_goes_on()?;
            for _ in 0..LOOKS {
                match self.who_runs()? {
                    Some(it) if it == who => {}
                    Some(_) => break,
                    None => {
                        ran += self.run_below(CALL)?;
                        continue;
                    }
                }
                for _ in 0..self.random.below(STEPS) {
                    self.debugger.step()?;
                }
                // It may have called the kernel.
                if self.who_runs()? == Some(who) {
                    return Ok(());
                }
            }
        }
        let name = WHO[who].name();
        Err(io::Error::other(format!("{name} does not run any more")))
    }

    /// Lets the machine run for some time, and tells for how many instructions.
    fn run_below(&mut self, limit: u64) -> io::Result<u64> {
        let instructions = 1 + self.random.below(limit);
        self.debugger.run(instructions)?;
        Ok(instructions)
    }

    /// In whose code the CPU is.
    fn who_runs(&mut self) -> io::Result<Option<usize>> {
        let pc = self.debugger.pc()?;
        let found = self.debugger.next_bytes(COMPARED_BYTES)?;
        let mut codes = self.codes.iter();
        Ok(codes.position(|code| code.is_at(pc, &found)))
    }

    /// The stamp of the guest's first record after a time.
    fn wait_for_record_after(&mut self, time: u64) -> io::Result<u64> {
        let mut ran = 0;
        while ran < PATIENCE {
            self.debugger.run(PACE)?;
            ran += PACE;
            if let Some(next) = self.records.follow_until_after(self.debugger, time)? {
                return Ok(next);
            }
            self.guest_goes_on()?;
        }
        Err(io::Error::other(
            "no access of the guest is recorded any more",
        ))
    }

    /// Fails if the guest has made all its accesses, after which nobody waits for anything.
    fn guest_goes_on(&self) -> io::Result<()> {
        match self.records.written() < self.accesses {
            true => Ok(()),
            false => Err(io::Error::other(format!(
                "the guest has made its {} accesses before all have died: it needs more",
                self.accesses
            ))),
        }
    }
}
