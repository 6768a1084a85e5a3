//! The last words of a protection domain.
//!
//! A page that its protection domain writes and `pd-monitor` reads. A panic leaves its
//! message there and then faults, so that the monitor is told by the kernel and finds it.
//! Invariant: the page is made of atomics; the reader believes at most its length.

use core::fmt::{self, Write};
use core::panic::PanicInfo;
use shared_ring::{AtomicU64, Ordering};

const WORDS: usize = 24;

/// Where a panic's message lies. All zero: there was none.
#[repr(C, align(4096))]
pub struct CrashPage {
    len_bytes: AtomicU64,
    text: [AtomicU64; WORDS],
}

impl CrashPage {
    /// The longest message, in bytes.
    pub const TEXT_BYTES: usize = WORDS * 8;

    /// The message; empty if there was no panic.
    pub fn read<'a>(&self, buffer: &'a mut [u8; Self::TEXT_BYTES]) -> &'a [u8] {
        for (chunk, word) in buffer.chunks_exact_mut(8).zip(&self.text) {
            chunk.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        let len = self
            .len_bytes
            .load(Ordering::Acquire)
            .min(Self::TEXT_BYTES as u64);
        &buffer[..len as usize]
    }
}

struct Words<'a> {
    page: &'a CrashPage,
    buffer: [u8; CrashPage::TEXT_BYTES],
    len: usize,
}

impl Write for Words<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.buffer.len() - self.len;
        let taken = &text.as_bytes()[..text.len().min(room)];
        self.buffer[self.len..][..taken.len()].copy_from_slice(taken);
        self.len += taken.len();
        Ok(())
    }
}

impl Words<'_> {
    fn publish(self) {
        let (chunks, _) = self.buffer.as_chunks::<8>();
        for (word, chunk) in self.page.text.iter().zip(chunks) {
            word.store(u64::from_le_bytes(*chunk), Ordering::Relaxed);
        }
        self.page
            .len_bytes
            .store(self.len as u64, Ordering::Release);
    }
}

/// Writes a panic's place and message to `page`. The panic hook of a protection domain calls
/// this; what follows it, the abort, is the fault that wakes the monitor.
pub fn leave_word_on_panic(page: &CrashPage, info: &PanicInfo<'_>) {
    let mut words = Words {
        page,
        buffer: [0; CrashPage::TEXT_BYTES],
        len: 0,
    };
    // Writing to `words` never fails; too long a message is cut off.
    let _ = match info.location() {
        Some(place) => write!(words, "{place}: {}", info.message()),
        None => write!(words, "{}", info.message()),
    };
    words.publish();
}
