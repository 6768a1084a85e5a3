//! Which attacks share a boot, and the two VMs of each.

use super::Target;
use crate::vms::with_console;
use crate::{Architecture, Platform};
use ::attacks::{ATTACKER, Act, Attack, By, Exists, Leaves, Seen, WITNESS};

/// So many attacks share a boot at most: their names fit a command line, and one that holds not
/// makes few of them be tried again.
const SHARED: usize = 16;
/// What each of them gets, in milliseconds: a second to be named in, and what comes before.
const PAUSE_MS: usize = 1500;
/// What one gets that has a boot of its own.
const ALONE_MS: usize = 2000;

/// Attacks that are tried in one boot, one after the other.
pub struct Boot {
    /// Which.
    pub attacks: Vec<&'static Attack>,
    pause_ms: usize,
    /// How long the host has for it.
    pub deadline_s: u64,
}

/// The boots for a list of attacks.
pub fn boots(target: &Target<'_>, list: &[&'static Attack]) -> Vec<Boot> {
    let here = list.iter().copied();
    let here = here.filter(|attack| target.wanted(attack) != Seen::NotThere);
    let shares = |attack: &&Attack| {
        attack.leaves == Leaves::Alive
            && attack.act.by() == By::Vmm
            && matches!(target.wanted(attack), Seen::Held(_))
    };
    let (shared, alone): (Vec<_>, Vec<_>) = here.partition(shares);
    let shared = shared.chunks(SHARED).map(|attacks| Boot {
        attacks: attacks.to_vec(),
        pause_ms: PAUSE_MS,
        // On a busy host a second of the machine's may take ten.
        deadline_s: 900,
    });
    let alone = alone.into_iter().map(|attack| Boot::alone(attack, target));
    shared.chain(alone).collect()
}

impl Boot {
    /// A boot for one attack.
    pub fn alone(attack: &'static Attack, target: &Target<'_>) -> Self {
        // A machine that says nothing any more is not waited for as long where that is expected.
        let is_expected = matches!(target.wanted(attack), Seen::Fell | Seen::Documented(_));
        Self {
            attacks: vec![attack],
            pause_ms: ALONE_MS,
            deadline_s: match (is_expected, target.platform) {
                (true, Platform::Unikernel(_)) => 8,
                (true, _) => 90,
                (false, _) => 300,
            },
        }
    }

    /// Whose attacks they are.
    pub fn by(&self) -> By {
        self.attacks[0].act.by()
    }

    /// The line that ends the run, where nothing else does.
    pub fn until(&self) -> Option<&'static str> {
        let is_mute = self.attacks[0].leaves == Leaves::Mute;
        is_mute.then_some("info  witness: ended")
    }

    /// The configurations of the attacker's VM and of the witness.
    pub fn configurations(&self, architecture: Architecture) -> [String; 2] {
        let names: Vec<_> = self.attacks.iter().map(|attack| attack.name).collect();
        let mut more = "";
        let (program, words) = match self.attacks[0].act {
            Act::Guest(program, words) => (program, words.to_owned()),
            _ => {
                let names = names.join(",");
                let mut words = format!("attack={names} pause_ms={}", self.pause_ms);
                if self.is_about_lines() {
                    words += " lines=all";
                    more = ALARM;
                }
                ("attacker", words)
            }
        };
        // From the first tick on: before the first attack, and in each.
        let seconds = (1300 + names.len() * (200 + self.pause_ms)).div_ceil(1000);
        [
            vm(ATTACKER, program, &words, more),
            vm(
                WITNESS,
                "witness",
                &format!("silent=0xfa000004 seconds={seconds}"),
                "vdev trace\n    loc 0xfa000004\n    name silent\n",
            ),
        ]
        .map(|text| with_console(architecture, &text))
    }

    /// Whether the trace component tries what it can with the levels of interrupts, which x86_64 does not have.
    fn is_about_lines(&self) -> bool {
        self.by() == By::Trace && self.attacks[0].exists == Exists::Aarch64
    }
}

/// A device of the trace component's that has a line, the one that `attacker` knows of.
const ALARM: &str = "vdev pl031\n    loc 0x9010000\n    intr gic:34\n";

fn vm(name: &str, program: &str, words: &str, more: &str) -> String {
    format!(
        "system {name}\ncpu\nram 0x40000000,2M\nload \"{program}\"\n\
         cmdline \"console=0x9000000 trace=0xfa000000 {words}\"\n\
         logger info,warn,error,fatal stdout\n\
         vdev trace\n    loc 0xfa000000\n    emit-logger\n    emit-trace 12\n{more}\
         vdev pl011\n    loc 0x9000000\n"
    )
}
