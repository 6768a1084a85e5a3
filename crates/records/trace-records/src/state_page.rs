//! The page through which a VM's counters reach its VMM.
//!
//! The trace component alone writes it; the VMM maps it read-only. One 64-bit atomic per
//! device holds value and sequence number together, so that a reader never sees one without
//! the other, and so that it is the commit point from which a restarted trace component
//! goes on.

use core::sync::atomic::Ordering;
use shared_ring::Cell;

/// Devices that one VM may have.
pub const MAX_DEVICES: usize = 32;

/// A device's counter and what it accounts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceState {
    /// The number of the last access that is applied (low 32 bits).
    pub sequence: u32,
    /// The counter.
    pub value: u32,
}

impl DeviceState {
    /// Whether access number `sequence` is accounted for; the numbers may have wrapped.
    #[inline(always)]
    pub const fn includes(self, sequence: u32) -> bool {
        self.sequence.wrapping_sub(sequence) as i32 >= 0
    }
}

/// See the file's header. All zero is the state before the first access.
#[repr(C, align(4096))]
#[derive(Default)]
pub struct StatePage {
    heartbeat: Cell,
    devices: [Cell; MAX_DEVICES],
}

impl StatePage {
    /// A zeroed page.
    pub const fn new() -> Self {
        Self {
            heartbeat: Cell::new(0),
            devices: [const { Cell::new(0) }; MAX_DEVICES],
        }
    }

    /// Publishes a device's state. Called by the trace component only.
    #[inline(always)]
    pub fn publish(&self, device: usize, state: DeviceState) {
        let word = u64::from(state.value) | u64::from(state.sequence) << 32;
        self.devices[device].store(word, Ordering::Release);
    }

    /// The state of a device of this VM, counted from 0 (at most [`MAX_DEVICES`]).
    #[inline(always)]
    pub fn read(&self, device: usize) -> DeviceState {
        let word = self.devices[device].load(Ordering::Acquire);
        DeviceState {
            sequence: (word >> 32) as u32,
            value: word as u32,
        }
    }

    /// Says that the trace component lives. Called by it at least at each wake-up of its clock.
    pub fn beat(&self) {
        let beats = self.heartbeat.load(Ordering::Relaxed);
        self.heartbeat
            .store(beats.wrapping_add(1), Ordering::Relaxed);
    }

    /// A number that changes as long as the trace component lives.
    pub fn heartbeat(&self) -> u64 {
        self.heartbeat.load(Ordering::Relaxed)
    }
}
