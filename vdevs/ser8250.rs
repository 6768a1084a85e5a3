//! An x86 guest's serial port: a UART of the 8250 family, with the FIFO of a 16550, that only
//! prints.
//!
//! Invariant: a driver that initialises it finds what it wrote, and registers that matter to
//! printing behave as specified; nothing is ever received, and no interrupt is pending.
//!
//! Specification: National Semiconductor PC16550D datasheet, section 8.

use vdev_model::{AddressSpace, Field, InVmm, Kind, Otherwise, Register, Transmitter};

/// Registers by their offset, table II.
mod register {
    /// Receiver buffer and transmitter holding register; divisor latch, low, with DLAB.
    pub const DATA: u64 = 0;
    /// Interrupt enable; divisor latch, high, with DLAB.
    pub const INTERRUPT_ENABLE: u64 = 1;
    /// Interrupt identification to read, FIFO control to write.
    pub const FIFO_CONTROL: u64 = 2;
    pub const LINE_CONTROL: u64 = 3;
    pub const MODEM_CONTROL: u64 = 4;
    pub const LINE_STATUS: u64 = 5;
    pub const MODEM_STATUS: u64 = 6;
    pub const SCRATCH: u64 = 7;
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

/// `vdev ser8250`: the registers that keep what is written to them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ser8250 {
    divisor: [u8; 2],
    interrupt_enable: u8,
    fifo_control: u8,
    line_control: u8,
    modem_control: u8,
    scratch: u8,
}

impl InVmm for Ser8250 {
    const KIND: Kind = Kind {
        spaces: &[AddressSpace::Ports],
        len: 8,
        align: 8,
        example: "loc io:0x3f8",
        registers: &[
            Register::byte("DATA", register::DATA),
            Register::byte("IER", register::INTERRUPT_ENABLE),
            Register::byte("FCR", register::FIFO_CONTROL),
            Register::byte("LCR", register::LINE_CONTROL).fields(&[Field::bit("DLAB", 7)]),
            Register::byte("MCR", register::MODEM_CONTROL).fields(&[Field::bit("LOOP", 4)]),
            Register::byte("LSR", register::LINE_STATUS)
                .fields(&[Field::bit("THRE", 5), Field::bit("TEMT", 6)]),
            Register::byte("MSR", register::MODEM_STATUS),
            Register::byte("SCR", register::SCRATCH),
        ],
        otherwise: Otherwise::Refused,
        ..Kind::new("ser8250", "the PC's serial port, for the guest's console")
    };
    const WHY: &'static str = "what it prints goes from the VMM to the console";

    fn read(&mut self, offset: u64, transmitter: Transmitter) -> u32 {
        let byte = match offset {
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
                Transmitter::Ready => TRANSMITTER_EMPTY,
                Transmitter::Busy => 0,
            },
            register::MODEM_STATUS if self.modem_control & LOOP != 0 => self.looped_status(),
            register::MODEM_STATUS => CONNECTED,
            register::SCRATCH => self.scratch,
            _ => 0,
        };
        byte.into()
    }

    fn write(&mut self, offset: u64, value: u32) -> Option<u8> {
        let value = value as u8;
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
}

impl Ser8250 {
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
        assert_eq!(port.write(0, b'a'.into()), Some(b'a'));
        assert_eq!(port.read(0, Transmitter::Ready), 0);
    }

    #[test]
    fn with_the_divisor_latch_open_nothing_is_sent() {
        let mut port = Ser8250::default();
        assert_eq!(port.write(3, 0x83), None);
        assert_eq!(port.write(0, 1), None);
        assert_eq!(port.write(1, 2), None);
        let at = |port: &mut Ser8250, offset| port.read(offset, Transmitter::Ready);
        assert_eq!((at(&mut port, 0), at(&mut port, 1)), (1, 2));
        port.write(3, 0x03);
        assert_eq!((at(&mut port, 0), at(&mut port, 1)), (0, 0));
        assert_eq!(port.write(0, b'a'.into()), Some(b'a'));
    }

    #[test]
    fn the_line_status_follows_the_room_downstream() {
        let mut port = Ser8250::default();
        assert_eq!(port.read(5, Transmitter::Ready), 0x60);
        assert_eq!(port.read(5, Transmitter::Busy), 0);
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
            assert_eq!(port.read(offset, Transmitter::Ready), read, "{offset}");
        }
    }

    #[test]
    fn fifos_identify_themselves_once_they_are_on() {
        let mut port = Ser8250::default();
        assert_eq!(port.read(2, Transmitter::Ready), 0x01);
        port.write(2, 0xc7);
        assert_eq!(port.read(2, Transmitter::Ready), 0xc1);
    }

    #[test]
    fn in_loop_mode_the_port_talks_to_itself() {
        let mut port = Ser8250::default();
        assert_eq!(port.read(6, Transmitter::Ready), 0xb0);
        // DTR and OUT2.
        port.write(4, 0x19);
        assert_eq!(port.read(6, Transmitter::Ready), 0xa0);
        assert_eq!(port.write(0, b'a'.into()), None);
    }

    #[test]
    fn no_access_panics() {
        let mut port = Ser8250::default();
        for offset in (0..=0x1_0000).chain([u64::MAX]) {
            port.write(offset, 0);
            port.read(offset, Transmitter::Busy);
        }
    }
}
