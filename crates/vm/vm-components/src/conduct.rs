//! How a peer behaves: what it claimed that cannot be, and when that is told.
//!
//! Kept by the trace component for each VMM, and by the console for each ring that it reads; plain
//! data, which outlives its owner with the rest of what that knows.
//! Invariant: the first misdeed is due at once and later ones once a second, so that a line
//! names the culprit as long as it goes on, and no faster than anybody reads; a peer that has
//! used up [`MOST_MISDEEDS`] is listened to no more, and that is told once.

use shared_ring::{Consumer, RingFault};
use trace_records::{Misbehaviour, Misdeed, RingFate};

/// After so many misdeeds a ring is closed. An honest peer has none, ever, so the number need not
/// spare anybody; it lets a person see more than one line of what goes on, and bounds what an
/// attacker can make of it: 1000 looks at its ring, or 1000 lines, one a second.
pub const MOST_MISDEEDS: u64 = 1000;

/// See the file's header.
#[derive(Clone, Copy)]
pub(crate) struct Conduct {
    /// After so many its ring is closed, or before that, by one that is too much by itself.
    most: u64,
    is_too_much: bool,
    total: u64,
    told: u64,
    last: Misdeed,
    /// What the ring's reader had counted when it was last asked.
    ring_faults: u64,
    next_line: u64,
    /// That the ring is closed has been told.
    is_over: bool,
}

impl Conduct {
    /// Of a peer whose ring is read here.
    pub const fn of_producer() -> Self {
        Self {
            most: MOST_MISDEEDS,
            is_too_much: false,
            total: 0,
            told: 0,
            last: Misdeed::Header,
            ring_faults: 0,
            next_line: 0,
            is_over: false,
        }
    }

    /// Of a peer that reads a ring of ours: what it claims costs a comparison, and there is no
    /// ring to close.
    pub const fn of_reader() -> Self {
        Self {
            most: u64::MAX,
            ..Self::of_producer()
        }
    }

    /// Counts a misdeed.
    #[cold]
    pub fn note(&mut self, misdeed: Misdeed) {
        self.note_many(1, misdeed);
    }

    /// Counts a misdeed after which the ring is closed, however few came before.
    pub fn close(&mut self, misdeed: Misdeed) {
        self.note(misdeed);
        self.is_too_much = true;
    }

    fn note_many(&mut self, count: u64, misdeed: Misdeed) {
        let may_go_unnamed = self.total == self.told || !matches!(self.last, Misdeed::Deadly(_));
        self.total = self.total.saturating_add(count);
        // Which record it was that killed is told whatever has followed.
        if may_go_unnamed {
            self.last = misdeed;
        }
    }

    /// Counts what the reader of the peer's ring found wrong since this was last called.
    pub fn note_ring<const SLOTS: usize>(&mut self, ring: &Consumer<SLOTS>) {
        let new = ring.misbehaviour() - self.ring_faults;
        if let (Some(fault), 1..) = (ring.last_fault(), new) {
            self.ring_faults = ring.misbehaviour();
            let misdeed = match fault {
                RingFault::Header => Misdeed::Header,
                RingFault::Version(version) => Misdeed::Version(version),
                RingFault::Position => Misdeed::Position,
                RingFault::Slot => Misdeed::Slot,
            };
            self.note_many(new, misdeed);
        }
    }

    /// The same for a peer that reads a ring of ours, which has counted `faults` in all.
    pub fn note_reader(&mut self, faults: u64) {
        if faults != self.ring_faults {
            self.note_many(faults - self.ring_faults, Misdeed::Reader);
            self.ring_faults = faults;
        }
    }

    /// Misdeeds since the start.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether its ring is read no more.
    pub fn is_closed(&self) -> bool {
        self.is_too_much || self.total >= self.most
    }

    /// What there is to tell at `now`. It stays due until [`Self::told`] is called.
    pub fn due(&self, now: u64) -> Option<Misbehaviour> {
        let closes = self.is_closed() && !self.is_over;
        let goes_on = !self.is_closed() && self.total != self.told && now >= self.next_line;
        (closes || goes_on).then_some(Misbehaviour {
            time: now,
            count: self.total - self.told,
            last: self.last,
            ring: match closes {
                true => RingFate::Closed,
                false => RingFate::Open,
            },
        })
    }

    /// What was due has been told at `now`.
    pub fn told(&mut self, now: u64, clock_hz: u64) {
        self.told = self.total;
        self.next_line = now.saturating_add(clock_hz);
        self.is_over = self.is_closed();
    }
}
