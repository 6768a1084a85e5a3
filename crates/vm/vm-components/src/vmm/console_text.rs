//! The guest's serial ports and the VMM's own messages, on their way to the console.
//!
//! Owned by the VMM component. Invariant: a guest that waits for room when its serial port
//! says so loses no character; one that does not loses only its own, and they are counted.

use crate::Machine;
use crate::channel;
use shared_ring::{BoundedProducer, Full, Wake};
use trace_records::{Address, CONSOLE_SLOTS, ConsoleRecord, Notice, TEXT_BYTES, Text};
use vdev_model::Transmitter;

/// Messages of the VMM that wait for room; newer ones replace the last.
const WAITING_NOTICES: usize = 4;
/// A serial port that says it is ready takes so many characters at once: a driver that is told so by an
/// interrupt fills the FIFO and does not ask again.
const FIFO_BYTES: usize = 16;

pub(crate) struct ConsoleText {
    pub(super) ring: BoundedProducer<CONSOLE_SLOTS>,
    pub(super) kept: KeptText,
    /// The console is to be notified once all that was appended is published.
    is_wanted: bool,
    /// So it is, by the clock's next wake-up.
    is_wanted_later: bool,
}

/// What of it a VMM leaves to the next, the ring's position aside.
#[derive(Clone, Copy, Default)]
pub(super) struct KeptText {
    characters: Characters,
    /// Characters that the guest wrote while there was no room.
    lost: u64,
    /// Those that there are come first.
    waiting: [Option<ConsoleRecord>; WAITING_NOTICES],
}

/// Characters that make a record once their line is complete, or there is no room for another: those of all
/// serial ports of the guest.
#[derive(Clone, Copy)]
struct Characters {
    bytes: [u8; TEXT_BYTES],
    len: usize,
}

impl Default for Characters {
    fn default() -> Self {
        Self {
            bytes: [0; TEXT_BYTES],
            len: 0,
        }
    }
}

impl Characters {
    fn all(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn is_full(&self) -> bool {
        self.len == TEXT_BYTES
    }

    fn room(&self) -> usize {
        TEXT_BYTES - self.len
    }

    /// Whether there was room.
    fn push(&mut self, character: u8) -> bool {
        let Some(place) = self.bytes.get_mut(self.len) else {
            return false;
        };
        *place = character;
        self.len += 1;
        true
    }
}

impl ConsoleText {
    pub fn new(ring: BoundedProducer<CONSOLE_SLOTS>) -> Self {
        Self {
            ring,
            kept: KeptText::default(),
            is_wanted: false,
            is_wanted_later: false,
        }
    }

    /// Whether a FIFO of characters can be taken, after a try to pass on those that are there.
    pub fn transmitter(&mut self, machine: &mut impl Machine) -> Transmitter {
        if self.kept.characters.is_full() || self.kept.waiting[0].is_some() {
            self.flush(machine);
        }
        // Where the ring has room the characters make it when they have to.
        match self.kept.characters.room() >= FIFO_BYTES || self.ring.has_room() {
            true => Transmitter::Ready,
            false => Transmitter::Busy,
        }
    }

    /// The guest prints a character.
    pub fn print(&mut self, character: u8, machine: &mut impl Machine) {
        if !self.kept.characters.push(character) {
            self.kept.lost += 1;
        }
        if character == b'\n' || self.kept.characters.is_full() {
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
        let waiting = &mut self.kept.waiting;
        let place = waiting.iter().position(Option::is_none);
        waiting[place.unwrap_or(WAITING_NOTICES - 1)] = Some(record);
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
        while let Some(record) = self.kept.waiting[0] {
            self.append(record)?;
            self.kept.waiting[0] = None;
            self.kept.waiting.rotate_left(1);
        }
        if self.kept.characters.len != 0 {
            let text = Text::new(machine.now(), self.kept.characters.all());
            self.append(ConsoleRecord::Text(text))?;
            self.kept.characters = Characters::default();
        }
        if self.kept.lost != 0 {
            let record = ConsoleRecord::Notice {
                time: machine.now(),
                notice: Notice::TextLost,
                number: self.kept.lost,
                address: Address::NONE,
                pc: 0,
            };
            self.append(record)?;
            self.kept.lost = 0;
        }
        Ok(())
    }

    fn append(&mut self, record: ConsoleRecord) -> Result<(), Full> {
        let appended = self.ring.append(&record.to_words());
        // A full ring wakes its consumer whatever it asked for.
        self.is_wanted |= appended.is_err();
        appended
    }

    /// Publishes what was appended, and notifies the console if it asked for that.
    pub fn publish(&mut self, machine: &mut impl Machine) {
        self.ring.publish();
        let asked = self.ring.take_wake() == Wake::Asked;
        if core::mem::take(&mut self.is_wanted) || asked {
            machine.notify(channel::vmm::CONSOLE);
        }
    }

    /// Lets the console be notified, whatever it asked for, when the clock next wakes this component:
    /// it would print before the guest runs.
    pub fn want_later(&mut self) {
        self.is_wanted_later = true;
    }

    /// The clock has woken this component.
    pub fn clock_woke(&mut self) {
        self.is_wanted |= core::mem::take(&mut self.is_wanted_later);
    }
}
