//! What a peer claims in its memory that cannot be.

/// What a consumer found in its producer's memory that no honest producer leaves there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RingFault {
    /// There is no header, or it names another size or purpose.
    Header,
    /// The ring is of this layout version, and this reader knows another.
    Version(u64),
    /// The head is behind what was taken, or more than a ring ahead of it.
    Position,
    /// Behind the head there is no record that is newer than the last one taken.
    Slot,
}
