//! What every input gives and every output takes: the records of rings, in the order of their time.
//!
//! Invariant: nothing here knows an input or an output.

pub mod meaning;
pub mod sink;
pub mod stamps;
pub mod stream;
