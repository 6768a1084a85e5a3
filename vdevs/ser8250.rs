//! An x86 guest's serial port: a UART of the 8250 family, with the FIFO of a 16550, that only
//! prints.
//!
//! Owned by the VMM component, which hands it the guest's accesses and gathers the
//! characters. Like the trace device it knows no bus and no ring.
//!
//! Invariant: a driver that initialises it finds what it wrote, and registers that matter to
//! printing behave as specified; nothing is ever received, and no interrupt is pending.
//!
//! Specification: National Semiconductor PC16550D datasheet, section 8.

/// Ports that the device occupies.
pub const PORTS: u16 = 8;

/// Registers by their offset, table II.
mod register {
    /// Receiver buffer and transmitter holding register; divisor latch, low, with DLAB.
    pub const DATA: u16 = 0;
    /// Interrupt enable; divisor latch, high, with DLAB.
    pub const INTERRUPT_ENABLE: u16 = 1;
    /// Interrupt identification to read, FIFO control to write.
    pub const FIFO_CONTROL: u16 = 2;
    pub const LINE_CONTROL: u16 = 3;
    pub const MODEM_CONTROL: u16 = 4;
    pub const LINE_STATUS: u16 = 5;
    pub const MODEM_STATUS: u16 = 6;
    pub const SCRATCH: u16 = 7;
}

/// Line control: divisor latch access.
const DLAB: u8 = 1 << 7;
/// FIFO control: FIFOs on.
const FIFO_ENABLE: u8 = 1 << 0;
/// Interrupt identification: nothing pending, and FIFOs on.
const NOTHING_PENDING: u8 = 0x01;
const FIFOS_ON: u8 = 0xc0;
/// Modem control: the bits that exist, and the one that connects the port with itself.
const MODEM_CONTROL_BITS: u8 = 0x1f;
const LOOP: u8 = 1 << 4;
/// Line status: transmitter holding register empty, transmitter empty.
const TRANSMITTER_EMPTY: u8 = 1 << 5 | 1 << 6;
/// Modem status: carrier, data set ready, clear to send.
const CONNECTED: u8 = 1 << 7 | 1 << 5 | 1 << 4;

/// Whether whoever takes the characters has room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transmitter {
    /// It has.
    Empty,
    /// It has not: the guest is expected to wait.
    Full,
}

/// The registers that keep what is written to them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ser8250 {
    divisor: [u8; 2],
    interrupt_enable: u8,
    fifo_control: u8,
    line_control: u8,
    modem_control: u8,
    scratch: u8,
}

impl Ser8250 {
    /// A read of the register at `offset`.
    pub fn read(&self, offset: u16, transmitter: Transmitter) -> u8 {
        match offset {
            register::DATA if self.divisor_is_accessed() => self.divisor[0],
            register::INTERRUPT_ENABLE if self.divisor_is_accessed() => self.divisor[1],
            register::INTERRUPT_ENABLE => self.interrupt_enable,
            register::FIFO_CONTROL if self.fifo_control & FIFO_ENABLE != 0 => {
                NOTHING_PENDING | FIFOS_ON
            }
            register::FIFO_CONTROL => NOTHING_PENDING,
            register::LINE_CONTROL => self.line_control,
            register::MODEM_CONTROL => self.modem_control,
            register::LINE_STATUS => match transmitter {
                Transmitter::Empty => TRANSMITTER_EMPTY,
                Transmitter::Full => 0,
            },
            register::MODEM_STATUS if self.modem_control & LOOP != 0 => self.looped_status(),
            register::MODEM_STATUS => CONNECTED,
            register::SCRATCH => self.scratch,
            _ => 0,
        }
    }

    /// A write to the register at `offset`. Returns a character to be sent.
    pub fn write(&mut self, offset: u16, value: u8) -> Option<u8> {
        match offset {
            register::DATA if self.divisor_is_accessed() => self.divisor[0] = value,
            // What is sent to itself is not received either.
            register::DATA => return (self.modem_control & LOOP == 0).then_some(value),
            register::INTERRUPT_ENABLE if self.divisor_is_accessed() => self.divisor[1] = value,
            register::INTERRUPT_ENABLE => self.interrupt_enable = value & 0x0f,
            register::FIFO_CONTROL => self.fifo_control = value,
            register::LINE_CONTROL => self.line_control = value,
            register::MODEM_CONTROL => self.modem_control = value & MODEM_CONTROL_BITS,
            register::SCRATCH => self.scratch = value,
            _ => {}
        }
        None
    }

    fn divisor_is_accessed(&self) -> bool {
        self.line_control & DLAB != 0
    }

    /// In loop mode the modem's inputs are our outputs: RTS is CTS, DTR is DSR, OUT1 is RI,
    /// OUT2 is DCD (8.7).
    fn looped_status(&self) -> u8 {
        let output = |bit: u32| self.modem_control >> bit & 1;
        output(1) << 4 | output(0) << 5 | output(2) << 6 | output(3) << 7
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_sent_one_by_one() {
        let mut port = Ser8250::default();
        assert_eq!(port.write(0, b'a'), Some(b'a'));
        assert_eq!(port.read(0, Transmitter::Empty), 0);
    }

    #[test]
    fn with_the_divisor_latch_open_nothing_is_sent() {
        let mut port = Ser8250::default();
        assert_eq!(port.write(3, 0x83), None);
        assert_eq!(port.write(0, 1), None);
        assert_eq!(port.write(1, 2), None);
        let at = |port: &Ser8250, offset| port.read(offset, Transmitter::Empty);
        assert_eq!((at(&port, 0), at(&port, 1)), (1, 2));
        port.write(3, 0x03);
        assert_eq!((at(&port, 0), at(&port, 1)), (0, 0));
        assert_eq!(port.write(0, b'a'), Some(b'a'));
    }

    #[test]
    fn the_line_status_follows_the_room_downstream() {
        let port = Ser8250::default();
        assert_eq!(port.read(5, Transmitter::Empty), 0x60);
        assert_eq!(port.read(5, Transmitter::Full), 0);
    }

    #[test]
    fn a_driver_finds_what_it_wrote() {
        let mut port = Ser8250::default();
        for (offset, written, read) in [
            (1, 0xff, 0x0f),
            (3, 0x1b, 0x1b),
            (4, 0xff, 0x1f),
            (7, 0x5a, 0x5a),
        ] {
            assert_eq!(port.write(offset, written), None);
            assert_eq!(port.read(offset, Transmitter::Empty), read, "{offset}");
        }
    }

    #[test]
    fn fifos_identify_themselves_once_they_are_on() {
        let mut port = Ser8250::default();
        assert_eq!(port.read(2, Transmitter::Empty), 0x01);
        port.write(2, 0xc7);
        assert_eq!(port.read(2, Transmitter::Empty), 0xc1);
    }

    #[test]
    fn in_loop_mode_the_port_talks_to_itself() {
        let mut port = Ser8250::default();
        assert_eq!(port.read(6, Transmitter::Empty), 0xb0);
        // DTR and OUT2.
        port.write(4, 0x19);
        assert_eq!(port.read(6, Transmitter::Empty), 0xa0);
        assert_eq!(port.write(0, b'a'), None);
    }

    #[test]
    fn no_access_panics() {
        let mut port = Ser8250::default();
        for offset in 0..=u16::MAX {
            port.write(offset, 0);
            port.read(offset, Transmitter::Full);
        }
    }
}
