//! A protection domain's signs of life, and its last words.
//!
//! A page that its protection domain alone writes and `pd-monitor` reads. The clock's notification
//! to a domain is the question whether it lives; it answers by a beat when it handles that, and
//! beats during long work as well. A panic leaves its message here and then faults, so that the
//! monitor is told by the kernel and finds it. Whoever is started in its place says so by [`LifePage::begin`]:
//! the words and the work under way were the dead one's.
//!
//! Invariant: the page is made of atomics, and everything in it is its writer's claim: the reader
//! clamps lengths, and escapes words before it prints them ([`Printable`](crate::Printable)).

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU64, Ordering};
use trace_records::{EndReason, MAX_VMS};

const WORDS: usize = 24;

/// See the file's header. All zero: nothing has been said.
#[repr(C, align(4096))]
pub struct LifePage {
    beats: AtomicU64,
    /// A bit for each VM.
    configured: AtomicU64,
    /// 0, or 1 + a VM's number.
    under_way: AtomicU64,
    spent_ticks: [AtomicU64; MAX_VMS],
    /// 0, or 1 + the reason's number.
    ended: [AtomicU64; MAX_VMS],
    len_bytes: AtomicU64,
    words: [AtomicU64; WORDS],
}

impl LifePage {
    /// The longest last words, in bytes.
    pub const WORDS_BYTES: usize = WORDS * 8;

    /// A page in which nothing has been said.
    pub const fn new() -> Self {
        Self {
            beats: AtomicU64::new(0),
            configured: AtomicU64::new(0),
            under_way: AtomicU64::new(0),
            spent_ticks: [const { AtomicU64::new(0) }; MAX_VMS],
            ended: [const { AtomicU64::new(0) }; MAX_VMS],
            len_bytes: AtomicU64::new(0),
            words: [const { AtomicU64::new(0) }; WORDS],
        }
    }

    /// Says that its writer begins: for the first time, or in the place of one that died.
    pub fn begin(&self) {
        self.set_under_way(None);
        self.len_bytes.store(0, Ordering::Relaxed);
        self.beat();
    }

    /// Says that its writer lives.
    #[inline(always)]
    pub fn beat(&self) {
        let beats = self.beats.load(Ordering::Relaxed);
        self.beats.store(beats.wrapping_add(1), Ordering::Relaxed);
    }

    /// A number that changes as long as the writer answers.
    pub fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }

    /// Notes that a VM's configuration is whole, for whoever is started in its writer's place.
    pub fn set_configured(&self, vm: u8) {
        let configured = self.configured.load(Ordering::Relaxed);
        self.configured
            .store(configured | 1 << (vm & 63), Ordering::Relaxed);
    }

    /// Whether that was noted, in this life or in one before.
    pub fn is_configured(&self, vm: u8) -> bool {
        self.configured.load(Ordering::Relaxed) & 1 << (vm & 63) != 0
    }

    /// Says that work of a VM is under way, or of none.
    #[inline(always)]
    pub fn set_under_way(&self, vm: Option<u8>) {
        let word = vm.map_or(0, |vm| 1 + u64::from(vm));
        self.under_way.store(word, Ordering::Relaxed);
    }

    /// The VM of which work is under way, or was when its writer died.
    pub fn under_way(&self) -> Option<usize> {
        let word = self.under_way.load(Ordering::Relaxed);
        usize::try_from(word.checked_sub(1)?).ok()
    }

    /// Says how long its writer has worked for a VM so far, in ticks of the counter. A VMM whose
    /// guest runs on its time says how long it worked itself, in place of VM 0, and how long the
    /// guest ran, in place of VM 1.
    pub fn set_spent_ticks(&self, vm: usize, ticks: u64) {
        if let Some(spent) = self.spent_ticks.get(vm) {
            spent.store(ticks, Ordering::Relaxed);
        }
    }

    /// What [`set_spent_ticks`](Self::set_spent_ticks) said last.
    pub fn spent_ticks(&self, vm: usize) -> u64 {
        let spent = self.spent_ticks.get(vm);
        spent.map_or(0, |ticks| ticks.load(Ordering::Relaxed))
    }

    /// Says that a VM has ended. The trace component says so, and a VMM of its VM, in place of VM 0,
    /// if the trace component may never hear of it.
    pub fn set_ended(&self, vm: usize, reason: EndReason) {
        if let Some(ended) = self.ended.get(vm) {
            ended.store(1 + u64::from(reason.number()), Ordering::Release);
        }
    }

    /// How a VM has ended, if it has. What is no reason is an unknown one.
    pub fn ended(&self, vm: usize) -> Option<EndReason> {
        let number = self.ended.get(vm)?.load(Ordering::Acquire).checked_sub(1)?;
        let reason = u32::try_from(number).ok().and_then(EndReason::from_number);
        Some(reason.unwrap_or(EndReason::UnknownExit))
    }

    /// Leaves last words, of which what is too long is cut off.
    pub fn leave_words(&self, words: fmt::Arguments<'_>) {
        let mut buffer = Buffer {
            bytes: [0; Self::WORDS_BYTES],
            len: 0,
        };
        // Writing to the buffer never fails.
        let _ = buffer.write_fmt(words);
        let (chunks, _) = buffer.bytes.as_chunks::<8>();
        for (word, chunk) in self.words.iter().zip(chunks) {
            word.store(u64::from_le_bytes(*chunk), Ordering::Relaxed);
        }
        self.len_bytes.store(buffer.len as u64, Ordering::Release);
    }

    /// The last words, whatever bytes they are; empty if there are none.
    pub fn last_words<'a>(&self, buffer: &'a mut [u8; Self::WORDS_BYTES]) -> &'a [u8] {
        let len = self.len_bytes.load(Ordering::Acquire);
        let len = len.min(Self::WORDS_BYTES as u64) as usize;
        for (chunk, word) in buffer.chunks_exact_mut(8).zip(&self.words) {
            chunk.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        &buffer[..len]
    }
}

impl Default for LifePage {
    fn default() -> Self {
        Self::new()
    }
}

struct Buffer {
    bytes: [u8; LifePage::WORDS_BYTES],
    len: usize,
}

impl Write for Buffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.len() - self.len;
        let taken = &text.as_bytes()[..text.len().min(room)];
        self.bytes[self.len..][..taken.len()].copy_from_slice(taken);
        self.len += taken.len();
        Ok(())
    }
}
