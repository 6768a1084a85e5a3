//! What the owner of a serial line does with a trace ring: its records, one frame after the
//! other, as fast as the line takes them.
//!
//! Called by the console, which alone knows how much the line can carry: it asks for a frame
//! whenever it has room for one. The ring is only looked at, so its writer never learns of it
//! and is never held up; what it overwrites before it could be sent is counted, and shows as
//! a gap in the records' numbers.

use crate::{Content, Encoder, IDENTITY_EVERY, WireFrame};
use shared_ring::{Cell, Observation, Observer, RingMemory, Word};

/// How often one call looks for a record that is not overwritten meanwhile.
const MAX_LOOKS: u32 = 4;

/// Whose ring it is and what its stamps mean; said by the line's owner, not by the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingIdentity {
    /// Which ring of the VM, as `shared_ring::RingKind` numbers it.
    pub ring: u8,
    /// The VM's number.
    pub vm: u8,
    /// Frequency of the stamps in hertz.
    pub clock_hz: u64,
    /// The counter when the system started.
    pub start_ticks: u64,
}

/// Sends one ring.
pub struct RingSender<const SLOTS: usize, W: 'static = Cell> {
    observer: Observer<SLOTS, W>,
    identity: RingIdentity,
    /// Records until the identity is sent again.
    until_identity: u32,
    lost: u64,
}

/// All that a [`RingSender`] knows: where whoever is started anew goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SendPosition {
    observed: u64,
    until_identity: u32,
    lost: u64,
}

impl<const SLOTS: usize, W: Word> RingSender<SLOTS, W> {
    /// Starts at the oldest record of `ring`.
    pub fn new(ring: &'static RingMemory<SLOTS, W>, identity: RingIdentity) -> Self {
        Self::resume(ring, identity, SendPosition::default())
    }

    /// Goes on where another, which is no more, was when it kept its position.
    pub fn resume(
        ring: &'static RingMemory<SLOTS, W>,
        identity: RingIdentity,
        at: SendPosition,
    ) -> Self {
        Self {
            observer: Observer::resume(ring, at.observed),
            identity,
            until_identity: at.until_identity,
            lost: at.lost,
        }
    }

    /// Where this one is, to be kept.
    pub fn position(&self) -> SendPosition {
        SendPosition {
            observed: self.observer.position(),
            until_identity: self.until_identity,
            lost: self.lost,
        }
    }

    /// The next frame to send, if there is anything to say. `encoder` numbers the frames of
    /// the line, over all rings that share it.
    pub fn next_frame(&mut self, encoder: &mut Encoder) -> Option<WireFrame> {
        let RingIdentity { ring, vm, .. } = self.identity;
        let Some(until_identity) = self.until_identity.checked_sub(1) else {
            self.until_identity = IDENTITY_EVERY;
            let content = Content::Identity {
                clock_hz: self.identity.clock_hz,
                start_ticks: self.identity.start_ticks,
                lost: self.lost,
            };
            return Some(encoder.encode(ring, vm, &content));
        };
        for _ in 0..MAX_LOOKS {
            match self.observer.observe()? {
                Observation::Record(sequence, payload) => {
                    self.until_identity = until_identity;
                    let content = Content::Record { sequence, payload };
                    return Some(encoder.encode(ring, vm, &content));
                }
                Observation::Lost(count) => self.lost = self.lost.saturating_add(count),
            }
        }
        None
    }

    /// Records that were overwritten before they could be sent.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}
