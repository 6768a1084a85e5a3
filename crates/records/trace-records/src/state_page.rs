//! The page through which the state of a VM's devices reaches its VMM.
//!
//! The device domain alone writes it; the VMM maps it read-only. Each device has one 64-bit atomic that holds
//! the number of the last access applied, and, if its state is one word, the state: never torn, one load.
//! The words of a larger state are published together:
//!
//! ```text
//!   device domain                              VMM
//!   stamp := number before, odd version        stamp            odd: once more
//!   release fence                              words
//!   words                                      acquire fence
//!   stamp := number, even version ──release──► stamp            changed: once more
//! ```
//!
//! The VMM tries a few times, and then waits as it does for what is not applied yet: whoever writes may be
//! another CPU's, or dead in the middle. A device domain that begins anew publishes everything again.
//!
//! Invariant: whoever sees a number in a stamp sees the state and the answer that belong to it, or a newer one.

use core::sync::atomic::Ordering;
use shared_ring::{Cell, Word};

/// Devices that one VM may have.
pub const MAX_DEVICES: usize = 32;
/// Words of 32 bits that a device's state may have.
pub const MAX_WORDS: usize = 32;
/// A cell holds two words.
const CELLS: usize = MAX_WORDS / 2;
/// How often a reader tries to see words of one moment.
const TRIES: usize = 4;

/// A device's state of one word and what it accounts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceState {
    /// The number of the last access that is applied (low 32 bits).
    pub sequence: u32,
    /// The word. Of a device with several, no word of its state.
    pub value: u32,
}

/// What reading a register that is asked gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Answer {
    /// The number of the access (low 32 bits).
    pub sequence: u32,
    /// What it reads.
    pub value: u32,
}

impl DeviceState {
    /// Whether access number `sequence` is accounted for; the numbers may have wrapped.
    #[inline(always)]
    pub const fn includes(self, sequence: u32) -> bool {
        self.sequence.wrapping_sub(sequence) as i32 >= 0
    }
}

/// See the file's header; two pages of 4 KiB. All zero is the state before the first access.
#[repr(C, align(4096))]
pub struct StatePage<W = Cell, const DEVICES: usize = MAX_DEVICES> {
    heartbeat: W,
    stamps: [W; DEVICES],
    answers: [W; DEVICES],
    /// The levels of the devices' interrupts, a bit each.
    lines: W,
    words: [[W; CELLS]; DEVICES],
}

impl StatePage {
    /// Which of the page's words of 64 bits has the levels of interrupts, for whoever attacks it.
    pub const LINES_WORD: u64 = (core::mem::offset_of!(Self, lines) / size_of::<u64>()) as u64;

    /// A zeroed page.
    pub const fn new() -> Self {
        Self {
            heartbeat: Cell::new(0),
            stamps: [const { Cell::new(0) }; MAX_DEVICES],
            answers: [const { Cell::new(0) }; MAX_DEVICES],
            lines: Cell::new(0),
            words: [const { [const { Cell::new(0) }; CELLS] }; MAX_DEVICES],
        }
    }
}

impl<W: Word, const DEVICES: usize> Default for StatePage<W, DEVICES> {
    fn default() -> Self {
        Self {
            heartbeat: W::default(),
            stamps: core::array::from_fn(|_| W::default()),
            answers: core::array::from_fn(|_| W::default()),
            lines: W::default(),
            words: core::array::from_fn(|_| core::array::from_fn(|_| W::default())),
        }
    }
}

impl<W: Word, const DEVICES: usize> StatePage<W, DEVICES> {
    /// Publishes a device's state after access number `sequence`. Called by the device domain only. A device
    /// has always the same number of words, at most [`MAX_WORDS`].
    #[inline(always)]
    pub fn publish(&self, device: usize, sequence: u32, words: &[u32]) {
        match words {
            [word] => self.stamps[device].store(halves(*word, sequence), Ordering::Release),
            words => self.publish_several(device, sequence, words),
        }
    }

    fn publish_several(&self, device: usize, sequence: u32, words: &[u32]) {
        let stamp = &self.stamps[device];
        let before = stamp.load(Ordering::Relaxed);
        let odd = before as u32 | 1;
        stamp.store(before & !0xffff_ffff | u64::from(odd), Ordering::Relaxed);
        W::fence(Ordering::Release);
        for (cell, pair) in self.words[device].iter().zip(words.chunks(2)) {
            let [low, high] = [0, 1].map(|at| pair.get(at).copied().unwrap_or(0));
            cell.store(halves(low, high), Ordering::Relaxed);
        }
        stamp.store(halves(odd.wrapping_add(1), sequence), Ordering::Release);
    }

    /// Publishes what an access reads, before the state that accounts for it.
    pub fn publish_answer(&self, device: usize, answer: Answer) {
        let word = halves(answer.value, answer.sequence);
        self.answers[device].store(word, Ordering::Release);
    }

    /// The state of a device of one word, or the number alone of one with several; devices are counted from 0
    /// (at most [`MAX_DEVICES`]).
    #[inline(always)]
    pub fn read(&self, device: usize) -> DeviceState {
        let stamp = self.stamps[device].load(Ordering::Acquire);
        DeviceState {
            sequence: (stamp >> 32) as u32,
            value: stamp as u32,
        }
    }

    /// The words of a device with several, all of one moment, and the number of the last access applied in it;
    /// `None` if they are just being published.
    pub fn read_several(&self, device: usize, words: &mut [u32]) -> Option<u32> {
        (0..TRIES).find_map(|_| self.try_to_read(device, words))
    }

    fn try_to_read(&self, device: usize, words: &mut [u32]) -> Option<u32> {
        let before = self.stamps[device].load(Ordering::Acquire);
        if before & 1 != 0 {
            return None;
        }
        for (cell, pair) in self.words[device].iter().zip(words.chunks_mut(2)) {
            let both = cell.load(Ordering::Relaxed);
            for (word, half) in pair.iter_mut().zip([both as u32, (both >> 32) as u32]) {
                *word = half;
            }
        }
        W::fence(Ordering::Acquire);
        let after = self.stamps[device].load(Ordering::Relaxed);
        (before == after).then_some((before >> 32) as u32)
    }

    /// The last answer of a device.
    pub fn answer(&self, device: usize) -> Answer {
        let word = self.answers[device].load(Ordering::Acquire);
        Answer {
            sequence: (word >> 32) as u32,
            value: word as u32,
        }
    }

    /// Publishes the levels of all devices' interrupts, a bit each.
    pub fn publish_lines(&self, lines: u32) {
        self.lines.store(lines.into(), Ordering::Release);
    }

    /// The levels of the devices' interrupts, a bit each.
    pub fn lines(&self) -> u32 {
        self.lines.load(Ordering::Acquire) as u32
    }

    /// Says that the device domain lives. Called by it at least at each wake-up of its clock.
    pub fn beat(&self) {
        let beats = self.heartbeat.load(Ordering::Relaxed);
        self.heartbeat
            .store(beats.wrapping_add(1), Ordering::Relaxed);
    }

    /// A number that changes as long as the device domain lives.
    pub fn heartbeat(&self) -> u64 {
        self.heartbeat.load(Ordering::Relaxed)
    }
}

#[inline(always)]
fn halves(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}
