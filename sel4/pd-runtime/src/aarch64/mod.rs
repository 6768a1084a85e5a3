//! What is an aarch64 board's own: the counter and the UARTs.

mod counter;
mod entry;
mod serial;

pub use counter::Counter;
pub use serial::{Overrun, Serial};
