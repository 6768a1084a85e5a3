//! What the VMM runs on: a vCPU, its RAM and a clock, as plain variables. Called by the VMM; a
//! test sets what it finds and looks at what it left.

use crate::code::RDI;
use crate::fixtures::{RAM, leak};
use guest_access::GuestPhysAddr;
use std::cell::{Cell, RefCell};
use vm_components::{Channel, Host, Machine, X86Exception, X86Machine};
use x86_guest::{Paging, Registers, Segment, Situation};

pub const RAM_BYTES: usize = 0x20_0000;

/// Present, readable code: 64-bit, and 32-bit.
pub const CODE_64: u16 = 0xa9b;
pub const CODE_32: u16 = 0xc9b;

/// Everything the VMM can ask for, as plain variables.
pub struct Platform<const SEES_CODE_SEGMENT: bool> {
    pub now: u64,
    pub gprs: [u64; 16],
    pub rflags: u64,
    pub rip: u64,
    pub running: bool,
    pub injected: Vec<X86Exception>,
    pub page_tables: u64,
    pub privilege_level: u8,
    pub code_attributes: u16,
    /// What they were when they were last asked for, and how often that was.
    pub known_code_attributes: Cell<u16>,
    pub asked: Cell<u32>,
    pub ram: &'static RefCell<Vec<u8>>,
    pub notified: Vec<Channel>,
}

impl<const SEES: bool> Platform<SEES> {
    /// A vCPU that waits for its start, at this time.
    pub fn at(now: u64) -> Self {
        Self {
            now,
            gprs: [0; 16],
            rflags: 2,
            rip: 0,
            running: false,
            injected: Vec::new(),
            page_tables: 0,
            privilege_level: 0,
            code_attributes: CODE_64,
            known_code_attributes: Cell::new(CODE_64),
            asked: Cell::new(0),
            ram: leak(RefCell::new(vec![0; RAM_BYTES])),
            notified: Vec::new(),
        }
    }
}

impl<const SEES: bool> Host for Platform<SEES> {
    fn now(&mut self) -> u64 {
        self.now
    }

    fn notify(&mut self, channel: Channel) {
        self.notified.push(channel);
    }
}

pub fn in_ram(address: GuestPhysAddr, len: usize) -> Option<std::ops::Range<usize>> {
    let first = usize::try_from(address.0.checked_sub(RAM)?).ok()?;
    let end = first.checked_add(len)?;
    (end <= RAM_BYTES).then_some(first..end)
}

impl<const SEES: bool> Machine for Platform<SEES> {
    fn proceed(&mut self, pc: u64) {
        self.rip = pc;
        self.running = true;
    }

    fn hold(&mut self) {
        self.running = false;
    }

    fn read_ram(&mut self, address: GuestPhysAddr, bytes: &mut [u8]) -> bool {
        let place = in_ram(address, bytes.len());
        place.is_some_and(|place| {
            bytes.copy_from_slice(&self.ram.borrow()[place]);
            true
        })
    }

    fn write_ram(&mut self, address: GuestPhysAddr, bytes: &[u8]) -> bool {
        let place = in_ram(address, bytes.len());
        place.is_some_and(|place| {
            self.ram.borrow_mut()[place].copy_from_slice(bytes);
            true
        })
    }

    fn clear_ram(&mut self) {
        self.ram.borrow_mut().fill(0);
    }
}

impl<const SEES: bool> Registers for Platform<SEES> {
    fn gpr(&self, number: u8) -> u64 {
        self.gprs[usize::from(number)]
    }

    fn rflags(&self) -> u64 {
        self.rflags
    }

    fn segment_base(&self, _: Segment) -> u64 {
        0
    }
}

impl<const SEES: bool> X86Machine for Platform<SEES> {
    const SEES_CODE_SEGMENT: bool = SEES;

    fn set_gpr(&mut self, number: u8, value: u64) {
        self.gprs[usize::from(number)] = value;
    }

    fn set_rflags(&mut self, value: u64) {
        self.rflags = value;
    }

    fn situation(&self) -> Situation {
        self.asked.set(self.asked.get() + 1);
        self.known_code_attributes.set(self.code_attributes);
        self.presumed_situation()
    }

    fn presumed_situation(&self) -> Situation {
        Situation {
            rip: self.rip,
            code_base: 0,
            code_attributes: self.known_code_attributes.get(),
            paging: Paging {
                cr0: 1 << 31 | 1 << 16 | 1,
                cr3: self.page_tables,
                cr4: 1 << 5,
                efer: 1 << 8 | 1 << 10,
            },
        }
    }

    fn privilege_level(&self) -> u8 {
        self.privilege_level
    }

    fn ram_words(&self) -> impl Fn(GuestPhysAddr) -> Option<u64> + Copy + use<SEES> {
        let ram = self.ram;
        move |address| {
            let place = in_ram(address, 8)?;
            Some(u64::from_le_bytes(ram.borrow()[place].try_into().unwrap()))
        }
    }

    fn inject(&mut self, exception: X86Exception) {
        self.injected.push(exception);
        self.running = true;
    }

    fn start(&mut self, entry: u64, page_tables: GuestPhysAddr, rdi: u64, rsi: u64) {
        self.page_tables = page_tables.0;
        self.gprs[RDI] = rdi;
        self.gprs[6] = rsi;
        self.proceed(entry);
    }
}
