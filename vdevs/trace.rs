//! The trace device: a 32-bit counter that grows each second and that a guest may set.
//!
//! This is the file to open to change what the device does. It knows no bus, no ring and no
//! clock: the trace component hands it accesses in order and tells it when periods pass.
//!
//! Invariant: [`TraceDevice::apply`] is the only thing a guest can cause here, it judges
//! every field of the claim it is given, and the sequence numbers it accepts only grow.
//!
//! ```text
//!            31      24 23      16 15       8 7        0      one word at `loc`,
//!           ┌──────────┬──────────┬──────────┬──────────┐     little-endian:
//!   counter │  loc+3   │  loc+2   │  loc+1   │  loc+0   │     aligned accesses of
//!           └──────────┴──────────┴──────────┴──────────┘     1, 2 and 4 bytes
//! ```
//!
//! Behaviour: QNX Hypervisor, Virtual Device Developer's Guide, "The Basics: vdev trace".

mod periods;
pub use periods::Periods;

use guest_access::{Direction, GuestPhysAddr};
use trace_records::{DeviceState, DeviceSummary, Flags, Record};

/// How often the counter grows by one, in milliseconds. QNX's grows each second, and that a period is
/// a second is what tests and guests expect.
pub const COUNTER_PERIOD_MS: u64 = 1000;

/// Where a device tells what was done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Emit {
    /// Option `emit-logger`: a record to the log ring.
    pub logger: bool,
    /// Option `emit-trace N`: a record to the trace ring as event N (0 to 1023).
    pub trace: Option<u16>,
}

/// A claim of the VMM that cannot be. It is counted and dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misbehaviour {
    /// A sequence number that is not ahead of the last one, or absurdly far.
    Sequence(u64),
    /// An access that does not lie in this device, or is not aligned.
    Location(GuestPhysAddr),
}

/// The most accesses that a VMM may have completed without a record, in one go. At the
/// fastest an access takes, this is longer than any bounded wait.
const MAX_GAP: u64 = 1 << 40;

/// One `vdev trace` of one VM.
#[derive(Debug, Clone)]
pub struct TraceDevice {
    location: GuestPhysAddr,
    emit: Emit,
    at: Progress,
}

/// All that changes in a device: where one that is made anew goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    value: u32,
    sequence: u64,
    /// Accesses that the VMM completed without a record.
    unrecorded: u64,
    summary: DeviceSummary,
}

/// The part of the word that a narrow access touches.
#[derive(Clone, Copy)]
struct Lane {
    shift: u32,
    mask: u32,
}

impl Lane {
    #[inline(always)]
    fn merge(self, word: u32, value: u32) -> u32 {
        word & !(self.mask << self.shift) | (value & self.mask) << self.shift
    }
}

/// The part of the word at `location` that an access touches, if the device supports it:
/// 1, 2 or 4 bytes, naturally aligned, inside the word.
#[inline(always)]
fn lane(location: GuestPhysAddr, address: GuestPhysAddr, width_bytes: u64) -> Option<Lane> {
    let offset = address.0.wrapping_sub(location.0);
    // The first is known of an `AccessWidth`, and costs nothing then.
    let width = width_bytes.is_power_of_two() && width_bytes <= 4;
    let supported = width && offset < 4 && offset & (width_bytes - 1) == 0;
    supported.then(|| Lane {
        shift: 8 * offset as u32,
        mask: u32::MAX >> (32 - 8 * width_bytes),
    })
}

/// What a supported read of `width_bytes` at `address` sees of a device at `location` whose
/// counter is `value`; `None` for an access that the device does not support.
#[inline(always)]
pub fn read_lane(
    location: GuestPhysAddr,
    address: GuestPhysAddr,
    width_bytes: u64,
    value: u32,
) -> Option<u32> {
    let lane = lane(location, address, width_bytes)?;
    Some(value >> lane.shift & lane.mask)
}

impl TraceDevice {
    /// Bytes that a device occupies in guest-physical memory.
    pub const LEN_BYTES: u64 = 4;

    /// A device at `location` (a multiple of 4) whose counter is zero.
    pub fn new(location: GuestPhysAddr, emit: Emit) -> Self {
        Self {
            location,
            emit,
            at: Progress::default(),
        }
    }

    /// Goes on where another, which is no more, was.
    pub fn resume(&mut self, at: Progress) {
        self.at = at;
    }

    /// Where it is, to be kept.
    #[inline(always)]
    pub fn progress(&self) -> Progress {
        self.at
    }

    /// Lets periods of [`COUNTER_PERIOD_MS`] pass. The counter wraps silently.
    #[inline]
    pub fn tick(&mut self, periods: u64) {
        self.at.value = self.at.value.wrapping_add(periods as u32);
    }

    /// Carries out one access and completes its record: its number, and for a write the
    /// word before and after it.
    ///
    /// # Errors
    ///
    /// [`Misbehaviour`] of the VMM; the device stays as it was.
    #[inline(always)]
    pub fn apply(&mut self, record: &mut Record) -> Result<(), Misbehaviour> {
        let ahead = self.ahead(record)?;
        if record.tag.flags().contains(Flags::REFUSED) {
            self.at.summary.refused = self.at.summary.refused.saturating_add(1);
        } else {
            let lane = lane(self.location, record.address, record.tag.width_bytes())
                .ok_or(Misbehaviour::Location(record.address))?;
            match record.tag.direction() {
                Direction::Read => self.at.summary.reads += 1,
                Direction::Write => {
                    self.at.summary.writes += 1;
                    record.old = self.at.value;
                    self.at.value = lane.merge(self.at.value, record.value);
                    record.value = self.at.value;
                }
            }
        }
        if ahead != 1 {
            self.at.unrecorded = self.at.unrecorded.saturating_add(ahead - 1);
        }
        self.at.sequence = record.sequence;
        Ok(())
    }

    /// How far the number of a record is ahead of the last one.
    #[inline(always)]
    fn ahead(&self, record: &Record) -> Result<u64, Misbehaviour> {
        let ahead = record.sequence.wrapping_sub(self.at.sequence);
        if ahead.wrapping_sub(1) > MAX_GAP || record.sequence < self.at.sequence {
            return Err(Misbehaviour::Sequence(record.sequence));
        }
        Ok(ahead)
    }

    /// Passes over an access that nobody may carry out: nothing but its number is looked at, and it counts
    /// as one without a record.
    ///
    /// # Errors
    ///
    /// [`Misbehaviour`] of the VMM; the device stays as it was.
    pub fn pass_over(&mut self, record: &Record) -> Result<(), Misbehaviour> {
        let ahead = self.ahead(record)?;
        self.at.unrecorded = self.at.unrecorded.saturating_add(ahead);
        self.at.sequence = record.sequence;
        Ok(())
    }

    /// Back to zero, as after a reset of the VM. The numbering goes on.
    pub fn reset(&mut self) {
        self.at.value = 0;
    }

    /// What the VMM may know: the counter and the last access applied.
    #[inline(always)]
    pub fn state(&self) -> DeviceState {
        DeviceState {
            sequence: self.at.sequence as u32,
            value: self.at.value,
        }
    }

    /// Where its accesses are told.
    #[inline(always)]
    pub fn emit(&self) -> Emit {
        self.emit
    }

    /// Accesses that the VMM completed without a record.
    pub fn unrecorded(&self) -> u64 {
        self.at.unrecorded
    }

    /// Counts a record that the log ring took.
    #[inline(always)]
    pub fn count_logged(&mut self) {
        self.at.summary.logged += 1;
    }

    /// What was done to the device so far, at `time` in ticks.
    pub fn summary(&self, time: u64) -> DeviceSummary {
        let DeviceSummary {
            reads,
            writes,
            refused,
            ..
        } = self.at.summary;
        DeviceSummary {
            time,
            value: self.at.value,
            // The trace ring takes them all.
            traced: match self.emit.trace {
                Some(_) => reads + writes + u64::from(refused),
                None => 0,
            },
            ..self.at.summary
        }
    }
}

#[cfg(test)]
mod tests;
