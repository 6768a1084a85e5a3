//! Boots the attacks of the list (`attacks`), and judges what became of each.
//!
//! Used by the `runner` program and by the system tests. VM 0 is the attacker's, VM 1 is the
//! witness, which is honest and says how it fares. Invariant: what a run printed is all that is
//! judged; an attack that did not happen has not held.

mod boots;
mod judge;
mod table;

pub use boots::{Boot, boots};
pub use judge::{Judged, Outcome};
pub use table::{save, table};

use crate::{Architecture, Change, Failure, Platform, Request, SystemDescription, Unikernel, run};
use ::attacks::{Attack, By, Exists, Seen};
use std::path::Path;
use std::time::Duration;

/// Where the attacks are tried.
pub struct Target<'a> {
    /// The ordinary platform. Hostile images stand beside its honest ones.
    pub platform: &'a Platform,
    /// Where the guests' images are.
    pub images: &'a Path,
    /// How fast the machine is, 2^N ns an instruction.
    pub icount: Option<u32>,
}

/// The hostile unikernel's name, beside the ordinary one.
const HOSTILE_UNIKERNEL: &str = "unikernel-hostile";

impl<'a> Target<'a> {
    /// A platform whose machine's clock counts instructions, as fast as in the system's tests.
    pub fn of(platform: &'a Platform, images: &'a Path) -> Self {
        let icount = match (platform, platform.architecture()) {
            (Platform::Unikernel(_), _) => 5,
            (Platform::Microkit(..), Architecture::Aarch64) => 3,
            (Platform::Microkit(..), Architecture::X86_64) => 4,
        };
        Self {
            platform,
            images,
            icount: Some(icount),
        }
    }

    /// What must be seen of an attack here.
    pub fn wanted(&self, attack: &Attack) -> Seen {
        let other = match self.platform.architecture() {
            Architecture::Aarch64 => Exists::X86_64,
            Architecture::X86_64 => Exists::Aarch64,
        };
        match self.platform {
            _ if attack.exists == other => Seen::NotThere,
            Platform::Unikernel(_) => attack.on_unikernel,
            Platform::Microkit(sel4, _) if sel4.config == "debug" => {
                attack.on_debug_kernel.unwrap_or(attack.on_sel4)
            }
            Platform::Microkit(..) => attack.on_sel4,
        }
    }

    /// Tries attacks of the list in as few boots as can be. Each that has been judged goes to
    /// `show`.
    ///
    /// # Errors
    ///
    /// What is missing on the host. What a system does is no error.
    pub fn attack(
        &self,
        list: &[&'static Attack],
        mut show: impl FnMut(&Judged),
    ) -> Result<Vec<Judged>, Failure> {
        let mut all = Vec::new();
        let mut add = |judged: Judged| {
            show(&judged);
            all.push(judged);
        };
        for boot in boots(self, list) {
            let judged = self.try_boot(&boot)?;
            let is_as_wanted = judged.iter().all(Judged::is_as_wanted);
            if boot.attacks.len() == 1 || is_as_wanted {
                judged.into_iter().for_each(&mut add);
                continue;
            }
            // Who of them was it?
            for attack in boot.attacks {
                let alone = self.try_boot(&Boot::alone(attack, self))?;
                alone.into_iter().for_each(&mut add);
            }
        }
        Ok(all)
    }

    fn try_boot(&self, boot: &Boot) -> Result<Vec<Judged>, Failure> {
        let failed = |error: std::io::Error| Failure::Host(error.to_string());
        let work = tempfile::tempdir().map_err(failed)?;
        let configs = boot.configurations(self.platform.architecture());
        let mut files = Vec::new();
        for (name, text) in ["0.conf", "1.conf"].into_iter().zip(configs) {
            let file = work.path().join(name);
            std::fs::write(&file, text).map_err(failed)?;
            files.push(file);
        }
        let platform = self.taken_over(boot.by());
        let ran = run(
            &Request {
                configs: &files,
                images: self.images,
                work: work.path(),
                platform: &platform,
                icount: self.icount,
                dump: None,
                counted: None,
                until: boot.until(),
                deadline: Some(Duration::from_secs(boot.deadline_s)),
            },
            |_| {},
        );
        let (lines, ended) = match ran {
            Ok(transcript) => (transcript.lines, None),
            Err(Failure::System { transcript, reason }) => (transcript.lines, Some(reason)),
            Err(failure) => return Err(failure),
        };
        if let Some(folder) = std::env::var_os("ATTACKS_TRANSCRIPTS") {
            let shared = match boot.attacks.len() {
                1 => String::new(),
                others => format!("-and-{}-more", others - 1),
            };
            let file = Path::new(&folder).join(boot.attacks[0].name.to_owned() + &shared);
            std::fs::write(file, lines.join("\n")).map_err(failed)?;
        }
        Ok(judge::judge(boot, self, &lines, ended.as_deref()))
    }

    /// The platform with one of its components exchanged.
    fn taken_over(&self, by: By) -> Platform {
        match self.platform {
            Platform::Unikernel(honest) => Platform::Unikernel(Unikernel {
                architecture: honest.architecture,
                kernel: match by {
                    By::Guest => honest.kernel.clone(),
                    _ => honest.kernel.with_file_name(HOSTILE_UNIKERNEL),
                },
                cpu: honest.cpu,
            }),
            Platform::Microkit(honest, emulator) => {
                let mut taken_over = honest.clone();
                taken_over.system = exchanged(by);
                Platform::Microkit(taken_over, emulator.clone())
            }
        }
    }
}

/// The system with a hostile program in the place of VM 0's VMM, of the trace component, or of the
/// console; nothing else is changed.
fn exchanged(by: By) -> SystemDescription {
    let programs = match by {
        By::Guest => None,
        By::Vmm => Some(("pd-vmm", "hostile-vmm")),
        By::Trace => Some(("pd-trace", "hostile-trace")),
        By::Console => Some(("pd-console", "hostile-console")),
    };
    let image = |name| format!("<program_image path=\"{name}\"");
    let change = programs.map(|(honest, hostile)| Change {
        from: image(honest),
        to: image(hostile),
    });
    SystemDescription::Made(change.into_iter().collect())
}
