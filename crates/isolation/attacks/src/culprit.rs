//! A component that somebody else has taken over, while it attacks: what the attacks of the list do
//! with its hands.

use crate::hands::{Hands, Kernel, Place};
use crate::ring::Ring;
use guest_access::{AccessWidth, Direction, GuestPhysAddr};
use trace_records::{ConsoleRecord, EndReason, Kind, Record, Tag, Text};

/// The component while it attacks.
pub struct Culprit<'a> {
    /// What it has in its hands.
    pub hands: &'a mut dyn Hands,
    /// The VMM's rings: of accesses, and to the console. The other components' are found by
    /// [`Ring::after_another`].
    pub access: &'a mut Ring,
    /// See above.
    pub console: &'a mut Ring,
    /// How often this attack has been called before: once a wake-up, while it asks for more.
    pub turn: u32,
    /// What it remembers from one turn to the next.
    pub kept: &'a mut u64,
    pub(crate) goes_on: bool,
}

/// For so many wake-ups a false claim stands.
const CLAIM_TURNS: u32 = 2;

impl Culprit<'_> {
    /// Asks to be called again at the next wake-up.
    pub fn again(&mut self) {
        self.goes_on = true;
    }

    /// Writes a false value to a word of its own, and at a later wake-up, when its reader has
    /// looked, what was there before.
    pub fn claim(&mut self, place: Place, word: usize, value: u64) {
        let word = word as u64;
        if self.turn == 0 {
            *self.kept = self.hands.load(place, word);
            self.hands.store(place, word, value);
        }
        if self.turn < CLAIM_TURNS {
            self.again();
        } else {
            let honest = *self.kept;
            self.hands.store(place, word, honest);
        }
    }

    /// A record of a read of the guest's first device, as an honest VMM would make it but for
    /// its number, which a device counts by itself: 0 is none that can be.
    pub fn read_of_the_device(&mut self) -> Record {
        self.record(Tag::new(Kind::Access).with_access(Direction::Read, Some(AccessWidth::Word)))
    }

    /// A record of any kind.
    pub fn record(&mut self, tag: Tag) -> Record {
        Record {
            time: self.hands.now(),
            address: DEVICE,
            pc: 0x4008_0000,
            value: 0,
            old: 0,
            sequence: 0,
            tag,
            state_seen: 0,
            epoch: 0,
        }
    }

    /// The end of the VM, for a reason.
    pub fn end(&mut self, reason: EndReason) -> Record {
        let mut record = self.record(Tag::new(Kind::End));
        record.value = reason.number();
        record
    }

    /// Puts a record into the access ring, if there is room.
    pub fn tell(&mut self, record: Record) {
        self.access.push(&record.to_words(), self.hands);
        self.hands.notify(vm_components::channel::vmm::TRACE);
    }

    /// Puts characters into the console ring, if there is room.
    pub fn print(&mut self, text: &str) {
        for chunk in text.as_bytes().chunks(trace_records::TEXT_BYTES) {
            let record = ConsoleRecord::Text(Text::new(self.hands.now(), chunk));
            self.console.push(&record.to_words(), self.hands);
        }
        self.hands.notify(vm_components::channel::vmm::CONSOLE);
    }

    /// Does something over and over, for so many milliseconds of the machine's time.
    pub fn for_ms(&mut self, ms: u64, mut what: impl FnMut(&mut Self)) {
        let until = self.hands.now() + self.hands.hz() / 1000 * ms;
        while self.hands.now() < until {
            what(self);
        }
    }

    /// Writes to memory, whoever's it is.
    pub fn write(&mut self, place: Place, word: u64, value: u64) {
        self.hands.store(place, word, value);
    }

    /// A system call, where there are any.
    pub fn by_the_kernel(&mut self, call: impl FnOnce(&mut dyn Kernel)) {
        if let Some(kernel) = self.hands.kernel() {
            call(kernel);
        }
    }
}

/// Where the guests of both VMs have their first device.
pub const DEVICE: GuestPhysAddr = GuestPhysAddr(0xfa00_0000);
