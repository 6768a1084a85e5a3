//! The trace device: a 32-bit counter that grows each second and that a guest may set.
//!
//! This is the file to open to change what the device does. That its accesses are traced is nothing of its
//! own: whatever a guest does to any device can be logged and traced.
//!
//! ```text
//!            31      24 23      16 15       8 7        0      one word at `loc`,
//!           ┌──────────┬──────────┬──────────┬──────────┐     little-endian:
//!   counter │  loc+3   │  loc+2   │  loc+1   │  loc+0   │     aligned accesses of
//!           └──────────┴──────────┴──────────┴──────────┘     1, 2 and 4 bytes
//! ```
//!
//! Behaviour: QNX Hypervisor, Virtual Device Developer's Guide, "The Basics: vdev trace".

use vdev_model::{Isolated, Kind, Options, Register};

/// `vdev trace`.
pub enum Trace {}

impl Isolated for Trace {
    const KIND: Kind = Kind {
        registers: &[Register::word("", 0).reads_back().narrow()],
        sum: Some("counter"),
        ..Kind::new("trace", "a counter that grows by one each second")
    };

    type Words = [u32; 1];

    fn new(_: &Options) -> [u32; 1] {
        [0]
    }

    #[inline(always)]
    fn write(words: &mut [u32; 1], _: u64, value: u32) {
        words[0] = value;
    }

    #[inline(always)]
    fn told(words: &[u32; 1], _: u64) -> u32 {
        words[0]
    }

    /// The counter wraps silently.
    fn seconds(words: &mut [u32; 1], seconds: u64) {
        words[0] = words[0].wrapping_add(seconds as u32);
    }
}
