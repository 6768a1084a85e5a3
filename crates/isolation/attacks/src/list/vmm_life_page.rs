//! A VMM that lies in the page of its own that the monitor reads: last words, signs of life.
//!
//! The page is `oversight::LifePage`'s. The unikernel has none.

use crate::{Act, Attack, Culprit, Exists, Leaves, Place, Region, Seen, StoppedBy};
use vm_components::MAX_VMS;

const PAGE: Place = Region::LifePage.own();

/// It is printed, by whoever died, as characters that can be printed.
const LAST_WORDS: Attack = Attack {
    name: "",
    tries: "",
    stopped_by: StoppedBy::Check,
    exists: Exists::Everywhere,
    on_sel4: Seen::Held("pd-vmm restarted (1): "),
    on_debug_kernel: None,
    on_unikernel: Seen::NotThere,
    leaves: Leaves::Dead,
    act: Act::Guest("", ""),
};

/// Nobody asked for it.
const UNASKED: Attack = Attack {
    on_sel4: Seen::Held(""),
    leaves: Leaves::Alive,
    ..LAST_WORDS
};

/// 0, or 1 + the number of the VM whose work is under way: after the beats and what is configured.
pub(super) const UNDER_WAY: u64 = 2;

/// Where the words are: after the beats, what is configured, whose work is under way, and the time spent
/// and the ends of all VMs, their length, then characters.
const LEN: u64 = 3 + 2 * MAX_VMS as u64;

fn leave_word(vmm: &mut Culprit<'_>, text: &str, len: u64) {
    for (word, chunk) in (LEN + 1..).zip(text.as_bytes().chunks(8)) {
        let mut bytes = [0; 8];
        bytes[..chunk.len()].copy_from_slice(chunk);
        vmm.hands.store(PAGE, word, u64::from_le_bytes(bytes));
    }
    vmm.hands.store(PAGE, LEN, len);
}

fn die_saying(vmm: &mut Culprit<'_>, text: &str) {
    leave_word(vmm, text, text.len() as u64);
    vmm.hands.crash();
}

pub const LIST: &[Attack] = &[
    Attack {
        name: "last-words-verdict",
        tries: "leaves `verdict: ok` on a line of its own as its last words, and dies",
        act: Act::Vmm(|vmm| die_saying(vmm, "forged\nverdict: ok\n")),
        ..LAST_WORDS
    },
    Attack {
        name: "last-words-escapes",
        tries: "leaves escapes as its last words, and dies",
        act: Act::Vmm(|vmm| die_saying(vmm, "\x1b[2J\x1b[9A\rforged\x07")),
        ..LAST_WORDS
    },
    Attack {
        name: "last-words-of-the-other-vm",
        tries: "leaves the other VM's lines as its last words, and dies",
        act: Act::Vmm(|vmm| {
            die_saying(vmm, "\n[   0.000001] info  witness: ended: forged\n");
        }),
        ..LAST_WORDS
    },
    Attack {
        name: "last-words-without-end",
        tries: "says that its last words have 2^64 characters, and dies",
        act: Act::Vmm(|vmm| {
            leave_word(vmm, "forged", u64::MAX);
            vmm.hands.crash();
        }),
        ..LAST_WORDS
    },
    Attack {
        name: "last-words-of-the-living",
        tries: "leaves last words with a verdict, and lives on",
        act: Act::Vmm(|vmm| leave_word(vmm, "\nverdict: ok forged\n", 20)),
        ..UNASKED
    },
    Attack {
        name: "life-page-all-ones",
        tries: "fills its page with ones: beats, ends of all VMs, time used, whose work is under way",
        act: Act::Vmm(|vmm| (0..512).for_each(|word| vmm.hands.store(PAGE, word, u64::MAX))),
        ..UNASKED
    },
];
