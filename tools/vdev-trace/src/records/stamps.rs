//! What a record's stamp is worth, decided once for all outputs.
//!
//! The trace component clamps stamps, so within a ring none steps back; one that does, or that is
//! ahead of those after it, is damaged or of another writer. To believe it would stretch a trace
//! of seconds to hours. Called by `feed`, between a ring's reader and the outputs.
//!
//! ```text
//! reader ──Found──► Timeline (decides by the stamps that follow) ──Item──► outputs
//! ```
//!
//! Invariant: the times that a ring's records are shown at never step back.

use crate::records::meaning::Meaning;
use crate::records::stream::{Found, Item, Stream};
use std::collections::VecDeque;

/// So many records after it say what a stamp is worth: fewer than half of them may be wrong in a
/// row.
pub const LOOKED_AHEAD: usize = 16;

/// The times of one ring.
pub struct Timeline {
    /// Records whose stamps are not decided, with these, in ticks since the start.
    waiting: VecDeque<(u64, Found)>,
    looked_ahead: usize,
    /// The time of the last record that was.
    last: u64,
    wrong: u64,
}

impl Timeline {
    /// Decides by so many records that follow; by none, records need not wait for others.
    pub fn new(looked_ahead: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            looked_ahead,
            last: 0,
            wrong: 0,
        }
    }

    /// Takes the ring's next record, and gives one whose stamp is decided now.
    pub fn push(&mut self, stream: &Stream, found: Found) -> Option<Item> {
        let stamp = stream.since_start(Meaning::of(stream.kind, &found.payload).0);
        self.waiting.push_back((stamp, found));
        match self.waiting.len() > self.looked_ahead {
            true => self.pop(),
            false => None,
        }
    }

    /// The next record, when no more follow than were taken.
    pub fn pop(&mut self) -> Option<Item> {
        let (stamp, found) = self.waiting.pop_front()?;
        let is_wrong = stamp < self.last || self.is_contradicted(stamp);
        if is_wrong {
            self.wrong += 1;
        } else {
            self.last = stamp;
        }
        Some(Item {
            sequence: found.sequence,
            lost_before: found.lost_before,
            breaks_before: found.breaks_before,
            payload: found.payload,
            time: self.last,
            wrong_stamp: is_wrong.then_some(stamp),
        })
    }

    /// Whether more of the records that follow agree with the one before than with this stamp.
    fn is_contradicted(&self, stamp: u64) -> bool {
        let (mut before, mut after) = (0, 0);
        for (next, _) in &self.waiting {
            match *next {
                next if next >= stamp => after += 1,
                next if next >= self.last => before += 1,
                // That one is wrong by itself.
                _ => {}
            }
        }
        before > after
    }

    /// How many stamps were wrong.
    pub fn wrong(&self) -> u64 {
        self.wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared_ring::RingKind;
    use vm_components::Clock;

    /// The times that records with these stamps are shown at.
    fn shown(stamps: &[u64]) -> Vec<u64> {
        let stream = Stream {
            index: 0,
            vm: 0,
            kind: RingKind::Trace,
            clock: Clock {
                hz: 1,
                start_ticks: 100,
            },
            place: String::new(),
        };
        let mut timeline = Timeline::new(LOOKED_AHEAD);
        let found = |stamp: &u64| Found {
            sequence: 1,
            lost_before: 0,
            breaks_before: 0,
            payload: [100 + stamp, 0, 0, 0, 0, 0, 0],
        };
        let mut items: Vec<_> = stamps
            .iter()
            .filter_map(|stamp| timeline.push(&stream, found(stamp)))
            .collect();
        items.extend(std::iter::from_fn(|| timeline.pop()));
        assert!(items.windows(2).all(|pair| pair[0].time <= pair[1].time));
        let wrong = items.iter().filter(|item| item.wrong_stamp.is_some());
        assert_eq!(wrong.count() as u64, timeline.wrong());
        items.iter().map(|item| item.time).collect()
    }

    #[test]
    fn stamps_that_can_be_are_times() {
        let stamps: Vec<u64> = (0..100).map(|index| index / 3 * 7).collect();
        assert_eq!(shown(&stamps), stamps);
        assert!(shown(&[]).is_empty());
    }

    #[test]
    fn one_that_steps_back_is_shown_at_the_time_before() {
        assert_eq!(shown(&[10, 50, 51, 20, 25, 60]), [10, 50, 51, 51, 51, 60]);
    }

    #[test]
    fn one_that_is_ahead_of_those_that_follow_moves_none_of_them() {
        assert_eq!(shown(&[10, 1 << 40, 30]), [10, 10, 30]);
        assert_eq!(shown(&[1 << 40, 20, 30]), [0, 20, 30]);
    }

    #[test]
    fn several_in_a_row_move_none_either() {
        let stamps = [10, 900, 901, 902, 20, 30, 40, 50, 60, 70];
        assert_eq!(shown(&stamps), [10, 10, 10, 10, 20, 30, 40, 50, 60, 70]);
    }

    #[test]
    fn a_long_silence_is_no_wrong_stamp() {
        let stamps = [10, 20, 1 << 40, (1 << 40) + 1];
        assert_eq!(shown(&stamps), stamps);
    }
}
