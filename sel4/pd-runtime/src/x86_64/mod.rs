//! What is a PC's own: the counter, how its frequency is found and told, the I/O ports, and
//! the serial ports among them.

mod counter;
mod entry;
mod io_port;
mod serial;

pub use counter::{Counter, calibrate};
pub use serial::{Overrun, Serial};
