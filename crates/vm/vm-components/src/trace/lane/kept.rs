//! What a lane leaves to the one that is made in its place.
//!
//! Invariant: nobody sees what is not committed; what is committed may be published any number of times.

use super::device::{LaneDevice, Progress};
use super::seconds::Seconds;
use super::{Course, Lane, Outside};
use crate::Clock;
use crate::charge::Account;
use crate::conduct::Conduct;
use kept::Kept;
use shared_ring::{ReadPosition, WritePosition};
use trace_records::{MAX_DEVICES, Span};

/// Memory that outlives a lane. All zero: nothing is kept. The parts are the devices' progress.
pub(in crate::trace) type KeptLane = Kept<LaneState, Progress, MAX_DEVICES>;

/// A lane, without what its platform gives it, its configuration, and its devices.
#[derive(Clone, Copy)]
pub(in crate::trace) struct LaneState {
    pub(super) access: ReadPosition,
    pub(super) log: WritePosition,
    pub(super) trace: WritePosition,
    pub(super) course: Course,
}

impl LaneState {
    /// Of a VM that begins `now`.
    pub(super) fn beginning(clock: Clock, now: u64) -> Self {
        Self {
            access: ReadPosition::default(),
            log: WritePosition::default(),
            trace: WritePosition::default(),
            course: Course {
                seconds: Seconds::new(now, clock.hz),
                last_time: now,
                span: Span::default(),
                epoch: 0,
                outside: Outside::default(),
                conduct: Conduct::of_producer(),
                reader: Conduct::of_reader(),
                account: Account::default(),
                ended: None,
                closing: None,
                spent_ticks: 0,
            },
        }
    }
}

impl Lane {
    /// Keeps all that was done. Nothing of it is published before.
    pub(super) fn commit(&mut self) {
        let state = LaneState {
            access: *self.access.position(),
            log: *self.log.position(),
            trace: *self.trace.position(),
            course: self.at,
        };
        let devices = self.devices[..self.places].iter().flatten();
        self.kept
            .commit_in_parts(&state, devices.map(LaneDevice::progress));
    }

    /// Shows everybody what is kept. Whether the levels of interrupts have changed.
    pub(super) fn publish(&self) -> bool {
        for (instance, device) in self.devices[..self.places].iter().enumerate() {
            if let Some(device) = device {
                device.publish(instance, self.state);
            }
        }
        let changes_levels = self.interrupts && self.publish_lines();
        let epoch = u64::from(self.at.epoch);
        self.log.set_epoch(epoch);
        self.log.publish();
        self.trace.set_epoch(epoch);
        self.trace.publish();
        self.access.publish();
        changes_levels
    }

    #[cold]
    fn publish_lines(&self) -> bool {
        let devices = self.devices[..self.places].iter().zip(0..);
        let raised =
            devices.filter(|(device, _)| device.as_ref().is_some_and(LaneDevice::interrupts));
        let levels = raised.fold(0, |lines, (_, instance)| lines | 1 << instance);
        let before = self.state.lines();
        self.state.publish_lines(levels);
        before != levels
    }
}
