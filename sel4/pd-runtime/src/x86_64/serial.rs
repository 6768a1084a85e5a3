//! A PC's serial port, at 115200 baud.
//!
//! Used by `pd-console`, and by `pd-monitor` once the console is dead: each has a port of its
//! own, because the Microkit gives a range of I/O ports to one protection domain. Invariant:
//! whoever waits for the line gives the CPU to the guests meanwhile, if the system description
//! gives it a period to wait for.
//!
//! Specification: National Semiconductor PC16550D datasheet, section 8.

use super::io_port::{IOPort, IOPortInvocations, io_port};
use crate::Counter;
use sel4_microkit::var;
use uart_16550::backend::Backend;
use uart_16550::{BaudRate, Config, Uart16550};

/// Line status, and its bit that all has been sent, the FIFO's characters as well (section 8.4).
const LINE_STATUS: u8 = 5;
const TRANSMITTER_EMPTY: u8 = 1 << 6;
/// How long a full FIFO takes at most, in parts of a second: 16 characters at 9600 baud.
const FIFO_PER_SECOND: u64 = 50;

/// A character was lost: it came before others had been taken.
pub struct Overrun;

/// A serial port that can send.
pub struct Serial {
    uart: Uart16550<PortRange>,
    waited_ticks: u64,
}

impl Serial {
    /// The serial port that `system.xml` gives as `uart_16550`, its first I/O port, and
    /// `uart_16550_id`. Panics if there is none.
    ///
    /// # Safety
    ///
    /// No other protection domain uses the port as long as this lives.
    pub unsafe fn of_board() -> Self {
        let range = PortRange {
            capability: io_port(*var!(uart_16550_id: usize = 0)),
            base: *var!(uart_16550: usize = 0) as u16,
        };
        let base = range.base;
        assert!(base != 0, "the system description gives no uart_16550");
        // Who goes on in the place of another: to set the port up throws away what is not sent yet.
        let until = Counter::now() + Counter::hz() / FIFO_PER_SECOND;
        while !range.has_sent_all() && Counter::now() < until {
            sel4::r#yield();
        }
        // SAFETY: the range has the eight registers of a port; the rest is the caller's promise.
        let mut uart = unsafe { Uart16550::new_with_backend(range) };
        let config = Config {
            baud_rate: BaudRate::Baud115200,
            ..Config::DEFAULT
        };
        if let Err(error) = uart.init(config) {
            panic!("the serial port at {base:#x}: {error}");
        }
        Self {
            uart,
            waited_ticks: 0,
        }
    }

    /// Sends the bytes. While the FIFO is full the rest of the budget is given away: this
    /// goes on when the next period begins.
    pub fn write(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let sent = self.uart.send_bytes(rest);
            rest = &rest[sent..];
            if sent == 0 {
                let began = Counter::now();
                sel4::r#yield();
                self.waited_ticks += Counter::now() - began;
            }
        }
    }

    /// Nothing is received yet.
    pub fn begin_to_receive(&mut self) {}

    /// Whether something was received and not taken: nothing was.
    pub fn has_received(&mut self) -> bool {
        false
    }

    /// Nothing was received.
    pub fn receive(&mut self) -> Option<Result<u8, Overrun>> {
        None
    }

    /// There is no interrupt.
    pub fn acknowledge(&self) {}

    /// How long others have had the CPU while this waited, in ticks of [`Counter`].
    pub fn waited_ticks(&self) -> u64 {
        self.waited_ticks
    }
}

/// The I/O ports of a serial port.
struct PortRange {
    capability: IOPort,
    base: u16,
}

impl PortRange {
    fn port(&self, register: u8) -> u16 {
        self.base + u16::from(register)
    }

    fn has_sent_all(&self) -> bool {
        let status = self.capability.ioport_in8(self.port(LINE_STATUS));
        status.is_ok_and(|status| status & TRANSMITTER_EMPTY != 0)
    }
}

impl Backend for PortRange {
    unsafe fn read(&mut self, register_offset: u8) -> u8 {
        let port = self.port(register_offset);
        match self.capability.ioport_in8(port) {
            Ok(value) => value,
            Err(error) => panic!("reading the serial port's {port:#x}: {error}"),
        }
    }

    unsafe fn write(&mut self, register_offset: u8, value: u8) {
        let port = self.port(register_offset);
        if let Err(error) = self.capability.ioport_out8(port, value) {
            panic!("writing the serial port's {port:#x}: {error}");
        }
    }
}
