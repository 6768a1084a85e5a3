//! Where records come from: a dump of a machine's memory, or what came over a serial line.
//!
//! Read by `feed`, which alone knows inputs and outputs.

pub mod dump;
pub mod layout;
pub mod places;
pub mod ring;
pub mod serial;
pub mod source;
