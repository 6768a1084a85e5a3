//! The guest's serial ports and the VMM's own messages, on their way to the console.
//!
//! Owned by the VMM component. Invariant: a guest that waits for room when its serial port
//! says so loses no character; one that does not loses only its own, and they are counted.

use crate::Machine;
use crate::channel;
use shared_ring::{BoundedProducer, Full, Wake};
use trace_records::{Address, CONSOLE_SLOTS, ConsoleRecord, Notice, TEXT_BYTES, Text};
use vdevs::pl011::{Downstream, Pl011};
use vdevs::ser8250::{Ser8250, Transmitter};

/// Messages of the VMM that wait for room; newer ones replace the last.
const WAITING_NOTICES: usize = 4;

pub(crate) struct ConsoleText {
    ring: BoundedProducer<CONSOLE_SLOTS>,
    port: Pl011<TEXT_BYTES>,
    /// Its characters join those of `port`.
    serial: Ser8250,
    /// Characters that the guest wrote while its port was full.
    lost: u64,
    waiting: heapless::Vec<ConsoleRecord, WAITING_NOTICES>,
}

impl ConsoleText {
    pub fn new(ring: BoundedProducer<CONSOLE_SLOTS>) -> Self {
        Self {
            ring,
            port: Pl011::default(),
            serial: Ser8250::default(),
            lost: 0,
            waiting: heapless::Vec::new(),
        }
    }

    /// The guest reads the register of its PL011 at `offset`.
    pub fn read(&mut self, offset: u64, machine: &mut impl Machine) -> u32 {
        let downstream = if self.has_room(machine) {
            Downstream::Ready
        } else {
            Downstream::Busy
        };
        self.port.read(offset, downstream)
    }

    /// The guest reads the register of its 8250 at `offset`.
    pub fn port_read(&mut self, offset: u16, machine: &mut impl Machine) -> u8 {
        let transmitter = if self.has_room(machine) {
            Transmitter::Empty
        } else {
            Transmitter::Full
        };
        self.serial.read(offset, transmitter)
    }

    /// The guest writes the register of its 8250 at `offset`.
    pub fn port_write(&mut self, offset: u16, value: u8, machine: &mut impl Machine) {
        if let Some(character) = self.serial.write(offset, value) {
            self.write(vdevs::pl011::DATA, character.into(), machine);
        }
    }

    /// Whether another character can be taken, after a try to pass on those that are there.
    fn has_room(&mut self, machine: &mut impl Machine) -> bool {
        let full = |port: &Pl011<TEXT_BYTES>| port.pending().len() == TEXT_BYTES;
        if full(&self.port) {
            self.flush(machine);
        }
        !full(&self.port)
    }

    /// The guest writes the register of its PL011 at `offset`.
    pub fn write(&mut self, offset: u64, value: u32, machine: &mut impl Machine) {
        let before = self.port.pending().len();
        if self.port.write(offset, value) {
            self.lost += u64::from(before == TEXT_BYTES);
            self.flush(machine);
        }
    }

    /// Queues a message of the VMM.
    pub fn notice(
        &mut self,
        notice: Notice,
        number: u64,
        address: Address,
        pc: u64,
        machine: &mut impl Machine,
    ) {
        let record = ConsoleRecord::Notice {
            time: machine.now(),
            notice,
            number,
            address,
            pc,
        };
        if self.waiting.is_full() {
            self.waiting.pop();
        }
        // There is room now.
        let _ = self.waiting.push(record);
        self.flush(machine);
    }

    /// Positions that the console claims to have read and that are not written.
    pub fn reader_lies(&self) -> u64 {
        self.ring.misbehaviour()
    }

    /// Passes on what is there, as far as the console has room. Returns whether that was
    /// all; if not, the next call goes on.
    pub fn flush(&mut self, machine: &mut impl Machine) -> bool {
        self.try_flush(machine).is_ok()
    }

    fn try_flush(&mut self, machine: &mut impl Machine) -> Result<(), Full> {
        while let Some(record) = self.waiting.first() {
            let record = *record;
            self.push(record, machine)?;
            self.waiting.remove(0);
        }
        if !self.port.pending().is_empty() {
            let text = Text::new(machine.now(), self.port.pending());
            self.push(ConsoleRecord::Text(text), machine)?;
            self.port.clear();
        }
        if self.lost != 0 {
            let record = ConsoleRecord::Notice {
                time: machine.now(),
                notice: Notice::TextLost,
                number: self.lost,
                address: Address::NONE,
                pc: 0,
            };
            self.push(record, machine)?;
            self.lost = 0;
        }
        Ok(())
    }

    fn push(&mut self, record: ConsoleRecord, machine: &mut impl Machine) -> Result<(), Full> {
        let pushed = self.ring.push(&record.to_words());
        // A full ring wakes its consumer whatever it asked for.
        if pushed.is_err() || self.ring.take_wake() == Wake::Asked {
            machine.notify(channel::vmm::CONSOLE);
        }
        pushed
    }
}
