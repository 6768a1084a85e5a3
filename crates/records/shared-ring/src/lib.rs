//! A ring of records between two parties that do not trust each other.
//!
//! One side produces, in memory that only it can write; the other consumes, and tells how
//! far it is in a page that only *it* can write. Each keeps its own indices and treats what
//! the peer says as a claim: an index that cannot be is counted and ignored.
//!
//! ```text
//!        producer's memory (consumer maps it read-only)         consumer's page
//!   ┌──────────┬────────┬────────┬────────┬───┬────────┐      ┌────────────────┐
//!   │  header  │ slot 0 │ slot 1 │ slot 2 │ … │ slot n │      │ tail           │
//!   │  head    │ seq    │        │        │   │        │      │ wake_at        │
//!   │  lost    │ 7 words│        │        │   │        │      │ (producer maps │
//!   │  waiting │        │        │        │   │        │      │  it read-only) │
//!   └──────────┴────────┴────────┴────────┴───┴────────┘      └────────────────┘
//!        head: position after the newest record      tail: position read next
//! ```
//!
//! Numbers start at 1 and never repeat, so a gap between two records *is* the loss. A consumer that finds no
//! new record where the head says that there is one throws away all that was claimed with it: an honest
//! producer moves the head behind what it has written.
//!
//! Two producers write the same layout. [`BoundedProducer`] respects its consumer and says when there is no
//! room: what stands between tail and head stands still, and whoever has loaded the head with acquire just
//! copies it. (Where the producer is not honest the copy may be torn: one more record that it has made up.)
//! [`OverwritingProducer`] never waits and goes over the oldest, which somebody may be reading: number := 0,
//! release fence, payload, number := n with release. Its [`Observer`] loads the number with acquire, copies,
//! acquire fence, loads it again; zero or changed means that the copy is torn and is thrown away. Either
//! way only the copy is ever looked at.
//!
//! Waking is by request: a consumer that is about to sleep names the position whose record
//! shall wake it ([`Consumer::sleep_until`]), and the producer notifies when it publishes
//! that position, once. The other way round, a producer that has to wait raises `waiting`.
//! Both are the store-then-look pattern, with a sequentially consistent fence between.
//!
//! Who may die and be started anew does not publish each record: it appends several
//! ([`BoundedProducer::append`], [`Consumer::take`]), keeps the positions where they survive
//! ([`WritePosition`], [`ReadPosition`]), and publishes then. Publishing twice is harmless, and what
//! was appended and not kept is as if it had never been: it is written anew.
//!
//! What is typed takes a ring of its own kind, of bytes ([`InputMemory`]).
//!
//! The algorithm is generic over the [`Word`] that memory is made of: [`AtomicU64`] on a
//! machine, a model checker's atomic in `tests/loom.rs`. Memory that a peer can write is
//! only ever reached through atomics, so no reference promises that it stands still.
#![no_std]
#![forbid(unsafe_code)]

mod consumer;
mod fault;
mod input;
mod memory;
#[cfg(feature = "mortal")]
pub mod mortal;
mod producer;

/// What memory that components share is made of.
#[cfg(not(feature = "mortal"))]
pub type Cell = AtomicU64;
#[cfg(feature = "mortal")]
pub use mortal::Cell;

pub use consumer::{Consumer, Item, Observation, Observer, ReadPosition};
pub use core::sync::atomic::{AtomicU64, Ordering};
pub use fault::RingFault;
pub use input::{
    INPUT_BYTES, InputConsumer, InputMemory, InputPosition, InputProducer, InputReader,
};
pub use memory::{
    ConsumerPage, Identity, LAYOUT_VERSION, MAGIC, PAYLOAD_WORDS, Payload, RingKind, RingMemory,
    SLOT_BYTES, SLOT_WORDS, Word, header_word,
};
pub use producer::{BoundedProducer, Full, OverwritingProducer, Wake, WritePosition};
