//! The guest's serial port on aarch64: a PL011 that prints and is typed at.
//!
//! Its VMM calls it: for the guest's accesses, with what was typed, and when what was printed has gone on. The
//! line is endlessly fast and has no errors: a character is sent when there is room downstream, and
//! whatever can be received comes at once. So baud rate, word length, parity and DMA are registers that keep
//! what is written, and nothing else. Two deviations, both as QEMU has them: what the guest prints goes out
//! whether or not it has enabled the UART, for there is no firmware here that would have done so for an early
//! console; and the test registers (chapter 4) are not there.
//!
//! Invariant: what was typed is lost by nobody here: the device says how much it takes, and what is
//! more than that waits outside. Only what a guest sends to itself (LBE) can overrun it.
//!
//! Specification: ARM PrimeCell UART (PL011) TRM, DDI 0183, chapters 2 and 3.

mod fifo;
#[cfg(test)]
mod tests;

use self::fifo::{Fifo, Received};
use vdev_model::{Field, InVmm, Kind, OptionKind, Otherwise, Register, Transmitter, TreeNode};

/// Register offsets, DDI 0183 table 3-1.
mod register {
    pub const DR: u64 = 0x000;
    pub const RSR_ECR: u64 = 0x004;
    pub const FR: u64 = 0x018;
    pub const ILPR: u64 = 0x020;
    pub const IBRD: u64 = 0x024;
    pub const FBRD: u64 = 0x028;
    pub const LCR_H: u64 = 0x02c;
    pub const CR: u64 = 0x030;
    pub const IFLS: u64 = 0x034;
    pub const IMSC: u64 = 0x038;
    pub const RIS: u64 = 0x03c;
    pub const MIS: u64 = 0x040;
    pub const ICR: u64 = 0x044;
    pub const DMACR: u64 = 0x048;
    /// First of eight identification registers, PeriphID0–3 and PCellID0–3.
    pub const ID_FIRST: u64 = 0xfe0;
}

/// Flags, section 3.3.3.
mod flag {
    pub const TXFE: u32 = 1 << 7;
    pub const RXFF: u32 = 1 << 6;
    pub const TXFF: u32 = 1 << 5;
    pub const RXFE: u32 = 1 << 4;
    pub const BUSY: u32 = 1 << 3;
}

/// The modem's inputs, as sections 3.3.3 and 3.3.11 number them: a bit of FR, and the interrupt of a
/// change, by the bit of CR that is the input when the port is connected with itself (3.3.8, LBE).
const MODEM: [Modem; 4] = [
    Modem {
        name_in_cr: 11,
        flag: 1 << 0,
        interrupt: 1 << 1,
    },
    Modem {
        name_in_cr: 10,
        flag: 1 << 1,
        interrupt: 1 << 3,
    },
    Modem {
        name_in_cr: 12,
        flag: 1 << 2,
        interrupt: 1 << 2,
    },
    Modem {
        name_in_cr: 13,
        flag: 1 << 8,
        interrupt: 1 << 0,
    },
];

/// One of them: CTS by RTS, DSR by DTR, DCD by Out1, RI by Out2.
struct Modem {
    name_in_cr: u32,
    flag: u32,
    interrupt: u32,
}

/// Somebody is at the other end: CTS, DSR and DCD are there, and nobody rings.
const CONNECTED: u32 = 0b111;

/// Line control: break, and FIFOs on (section 3.3.7).
const BRK: u32 = 1 << 0;
const FEN: u32 = 1 << 4;

/// Control, section 3.3.8.
mod control {
    pub const UARTEN: u32 = 1 << 0;
    pub const LBE: u32 = 1 << 7;
    pub const TXE: u32 = 1 << 8;
    pub const RXE: u32 = 1 << 9;
    /// All bits but the reserved ones.
    pub const BITS: u32 = 0xff87;
}

/// Interrupts, section 3.3.11.
mod interrupt {
    pub const RX: u32 = 1 << 4;
    pub const TX: u32 = 1 << 5;
    /// Receive timeout.
    pub const RT: u32 = 1 << 6;
    pub const BREAK: u32 = 1 << 9;
    pub const OVERRUN: u32 = 1 << 10;
    pub const ALL: u32 = 0x7ff;
}

/// PeriphID0–3, PCellID0–3 of revision r1p5.
const IDENTIFICATION: [u32; 8] = [0x11, 0x10, 0x34, 0x00, 0x0d, 0xf0, 0x05, 0xb1];

/// `vdev pl011`.
#[derive(Debug, Clone, Copy)]
pub struct Pl011 {
    received: Fifo,
    /// RSR, of which the lowest three bits are the character's that was read last.
    errors: u8,
    low_power: u8,
    integer_divisor: u16,
    fractional_divisor: u8,
    line_control: u8,
    control: u16,
    levels: u8,
    mask: u16,
    raw: u16,
    dma: u8,
    /// A character is on its way out.
    is_sending: bool,
}

/// After a reset of the hardware, section 3.2.
impl Default for Pl011 {
    fn default() -> Self {
        Self {
            received: Fifo::default(),
            errors: 0,
            low_power: 0,
            integer_divisor: 0,
            fractional_divisor: 0,
            line_control: 0,
            control: (control::TXE | control::RXE) as u16,
            levels: 0b010_010,
            mask: 0,
            raw: 0,
            dma: 0,
            is_sending: false,
        }
    }
}

impl InVmm for Pl011 {
    const KIND: Kind = Kind {
        len: 0x1000,
        align: 0x1000,
        example: "loc 0x1c090000",
        registers: &[
            Register::word("DR", register::DR),
            Register::word("RSR", register::RSR_ECR)
                .fields(&[Field::bit("BE", 2), Field::bit("OE", 3)]),
            Register::word("FR", register::FR).fields(&[
                Field::bit("RXFE", 4),
                Field::bit("TXFF", 5),
                Field::bit("RXFF", 6),
                Field::bit("TXFE", 7),
            ]),
            Register::word("ILPR", register::ILPR),
            Register::word("IBRD", register::IBRD),
            Register::word("FBRD", register::FBRD),
            Register::word("LCR_H", register::LCR_H)
                .fields(&[Field::bit("BRK", 0), Field::bit("FEN", 4)]),
            Register::word("CR", register::CR).fields(&[
                Field::bit("UARTEN", 0),
                Field::bit("LBE", 7),
                Field::bit("TXE", 8),
                Field::bit("RXE", 9),
            ]),
            Register::word("IFLS", register::IFLS)
                .fields(&[Field::bits("TX", 0, 3), Field::bits("RX", 3, 3)]),
            Register::word("IMSC", register::IMSC).fields(INTERRUPTS),
            Register::word("RIS", register::RIS).fields(INTERRUPTS),
            Register::word("MIS", register::MIS).fields(INTERRUPTS),
            Register::word("ICR", register::ICR).fields(INTERRUPTS),
            Register::word("DMACR", register::DMACR),
            Register::word("PeriphID0", register::ID_FIRST).read_only(),
            Register::word("PeriphID1", register::ID_FIRST + 0x04).read_only(),
            Register::word("PeriphID2", register::ID_FIRST + 0x08).read_only(),
            Register::word("PeriphID3", register::ID_FIRST + 0x0c).read_only(),
            Register::word("PCellID0", register::ID_FIRST + 0x10).read_only(),
            Register::word("PCellID1", register::ID_FIRST + 0x14).read_only(),
            Register::word("PCellID2", register::ID_FIRST + 0x18).read_only(),
            Register::word("PCellID3", register::ID_FIRST + 0x1c).read_only(),
        ],
        otherwise: Otherwise::Ignored,
        options: &[OptionKind::INTR],
        // Linux, bindings/serial/pl011.yaml.
        tree: TreeNode {
            name: "serial",
            compatible: &["arm,pl011", "arm,primecell"],
            clocks: &["uartclk", "apb_pclk"],
            alias: Some("serial"),
        },
        ..Kind::new("pl011", "Arm's UART, for the guest's console")
    };
    const WHY: &'static str = "what it prints and is typed goes between the VMM and the console";
    const RECEIVES: bool = true;

    fn read(&mut self, offset: u64, transmitter: Transmitter) -> u32 {
        match offset {
            register::DR => self.read_data(),
            register::RSR_ECR => self.errors.into(),
            register::FR => self.flags(transmitter),
            register::ILPR => self.low_power.into(),
            register::IBRD => self.integer_divisor.into(),
            register::FBRD => self.fractional_divisor.into(),
            register::LCR_H => self.line_control.into(),
            register::CR => self.control(),
            register::IFLS => self.levels.into(),
            register::IMSC => self.mask.into(),
            register::RIS => self.raw.into(),
            register::MIS => (self.raw & self.mask).into(),
            register::DMACR => self.dma.into(),
            register::ID_FIRST.. if offset.is_multiple_of(4) => {
                let index = (offset - register::ID_FIRST) / 4;
                IDENTIFICATION.get(index as usize).copied().unwrap_or(0)
            }
            _ => 0,
        }
    }

    fn write(&mut self, offset: u64, value: u32) -> Option<u8> {
        match offset {
            register::DR => return self.send(value as u8),
            register::RSR_ECR => self.errors = 0,
            register::ILPR => self.low_power = value as u8,
            register::IBRD => self.integer_divisor = value as u16,
            register::FBRD => self.fractional_divisor = value as u8 & 0x3f,
            register::LCR_H => self.set_line_control(value),
            register::CR => self.set_control(value & control::BITS),
            register::IFLS => {
                self.levels = value as u8 & 0x3f;
                self.compare_with_level();
            }
            register::IMSC => self.mask = (value & interrupt::ALL) as u16,
            register::ICR => self.withdraw(value & interrupt::ALL),
            register::DMACR => self.dma = value as u8 & 0b111,
            _ => {}
        }
        None
    }

    fn room(&self) -> usize {
        match self.receives() && !self.is_looped() {
            true => self.depth().saturating_sub(self.received.len()),
            false => 0,
        }
    }

    fn receive(&mut self, character: u8) {
        self.take_in(Received::character(character));
    }

    /// The transmit FIFO's level has come down to where an interrupt is due, however high it is set: it is empty.
    fn sent(&mut self, transmitter: Transmitter) {
        if transmitter == Transmitter::Ready && core::mem::take(&mut self.is_sending) {
            self.raise(interrupt::TX);
        }
    }

    fn line(&self) -> bool {
        self.raw & self.mask != 0
    }
}

const INTERRUPTS: &[Field] = &[
    Field::bit("RX", 4),
    Field::bit("TX", 5),
    Field::bit("RT", 6),
    Field::bit("BE", 9),
    Field::bit("OE", 10),
];

impl Pl011 {
    fn control(&self) -> u32 {
        self.control.into()
    }

    fn receives(&self) -> bool {
        const BOTH: u32 = control::UARTEN | control::RXE;
        self.control() & BOTH == BOTH
    }

    /// Whether the port is connected with itself.
    fn is_looped(&self) -> bool {
        self.control() & control::LBE != 0
    }

    /// How many characters wait to be read at most: a FIFO of 16, or a register (section 3.3.7, FEN).
    fn depth(&self) -> usize {
        match self.has_fifo() {
            true => Fifo::DEPTH,
            false => 1,
        }
    }

    fn has_fifo(&self) -> bool {
        u32::from(self.line_control) & FEN != 0
    }

    /// How many of them raise the receive interrupt (section 3.3.9, RXIFLSEL).
    fn level(&self) -> usize {
        match (self.has_fifo(), self.levels >> 3) {
            (false, _) => 1,
            (true, 0b000) => Fifo::DEPTH / 8,
            (true, 0b001) => Fifo::DEPTH / 4,
            (true, 0b010) => Fifo::DEPTH / 2,
            (true, 0b011) => Fifo::DEPTH * 3 / 4,
            // The others are reserved.
            (true, _) => Fifo::DEPTH * 7 / 8,
        }
    }

    fn raise(&mut self, interrupts: u32) {
        self.raw |= interrupts as u16;
    }

    fn withdraw(&mut self, interrupts: u32) {
        self.raw &= !interrupts as u16;
    }

    fn flags(&self, transmitter: Transmitter) -> u32 {
        let mut flags = self.modem();
        flags |= match transmitter {
            Transmitter::Ready => flag::TXFE,
            Transmitter::Busy => flag::TXFF | flag::BUSY,
        };
        match self.received.len() {
            0 => flags |= flag::RXFE,
            len if len >= self.depth() => flags |= flag::RXFF,
            _ => {}
        }
        flags
    }

    /// The modem's inputs, as FR has them.
    fn modem(&self) -> u32 {
        if !self.is_looped() {
            return CONNECTED;
        }
        let is_there = |modem: &&Modem| self.control() >> modem.name_in_cr & 1 != 0;
        let there = MODEM.iter().filter(is_there);
        there.fold(0, |flags, modem| flags | modem.flag)
    }

    fn set_control(&mut self, control: u32) {
        let before = self.modem();
        self.control = control as u16;
        let changed = before ^ self.modem();
        for modem in MODEM {
            if changed & modem.flag != 0 {
                self.raise(modem.interrupt);
            }
        }
    }

    /// What was received stays when the FIFO becomes a register: it is read, and nothing comes meanwhile.
    fn set_line_control(&mut self, value: u32) {
        let begins_break = value & !u32::from(self.line_control) & BRK != 0;
        self.line_control = value as u8;
        self.compare_with_level();
        if begins_break && self.is_looped() && self.receives() {
            self.raise(interrupt::BREAK);
            self.take_in(Received::BREAK);
        }
    }

    /// The guest prints a character, or sends it to itself.
    fn send(&mut self, character: u8) -> Option<u8> {
        if !self.is_looped() {
            self.withdraw(interrupt::TX);
            self.is_sending = true;
            return Some(character);
        }
        const BOTH: u32 = control::UARTEN | control::TXE;
        if self.control() & BOTH == BOTH {
            self.raise(interrupt::TX);
            if self.receives() {
                self.receive(character);
            }
        }
        None
    }

    /// Something comes in. What the line brings after it would be 32 bits late, so the receive timeout is due
    /// at once (section 3.4.4).
    fn take_in(&mut self, received: Received) {
        if self.received.len() >= self.depth() {
            self.received.overrun();
            self.errors |= Received::OVERRUN_OF_RSR;
            return self.raise(interrupt::OVERRUN);
        }
        self.received.push(received);
        self.raise(interrupt::RT);
        self.compare_with_level();
    }

    /// The receive interrupt is due from the level on.
    fn compare_with_level(&mut self) {
        match self.received.len() >= self.level() {
            true => self.raise(interrupt::RX),
            false => self.withdraw(interrupt::RX),
        }
    }

    fn read_data(&mut self) -> u32 {
        let Some(received) = self.received.pop() else {
            return 0;
        };
        self.errors = self.errors & Received::OVERRUN_OF_RSR | received.errors();
        if self.received.len() < self.level() {
            self.withdraw(interrupt::RX);
        }
        if self.received.len() == 0 {
            self.withdraw(interrupt::RT);
        }
        received.data()
    }
}
