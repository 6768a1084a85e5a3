//! The way of an x86 guest's access, through its tables: first with memory that changes at
//! each look, then with memory that the guest changes between its accesses, so that what the
//! cache recalls can be compared with what is found anew.
//!
//! The walk is restated from the AMD APM, volume 2, 5.2 and 5.3, as a table of the levels.

use crate::script::Script;
use crate::targets::x86_registers::X86Registers;
use guest_access::GuestPhysAddr;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use x86_guest::{AccessCache, Code, Found, Mode, Paging, Registers, Situation, decode, fetch};

const CR0_PG: u64 = 1 << 31;
const CR4_PSE: u64 = 1 << 4;
const CR4_PAE: u64 = 1 << 5;
const CR4_LA57: u64 = 1 << 12;
const EFER_LMA: u64 = 1 << 10;
/// Of a code segment: L and D.
const ATTRIBUTES: [u16; 4] = [1 << 9, 1 << 10, 0, 1 << 9 | 1 << 10];

const PAGE_BYTES: u64 = 4096;
const ADDRESS_BITS: u32 = 52;
const LONGEST: u64 = 15;
/// Two pages of code, of which each byte of an instruction near the end is read by itself.
const MOST_FETCH_READS: u32 = 2 * 5 + LONGEST as u32;
/// These, where the code is (twice), and where the operand is.
const MOST_FIND_READS: u32 = MOST_FETCH_READS + 3 * 5;
/// Two walks, and three words of code.
const MOST_RECALL_READS: u32 = 2 * 5 + 3;

pub(crate) fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let (mut situation, linear) = (situation(&mut script), script.little_endian(8));
    let hostile = usize::from(script.byte());
    let mut looks = Script::new(script.take(hostile));
    check_walk(&situation.paging, linear, &mut looks);
    check_hostile(&situation, &mut looks);

    let mut memory = Memory {
        format: Format::of(&situation.paging),
        written: BTreeMap::new(),
    };
    let mut cpu = X86Registers::reset(situation.mode());
    let mut cache = AccessCache::default();
    while !script.is_over() {
        match script.byte() % 8 {
            0 => {
                let place = script.number() % (RAM_PAGES * PAGE_BYTES / 8) * 8;
                let value = entry(&mut script).unwrap_or(0);
                memory.written.insert(place, value);
            }
            1 => memory.put_code(&situation, &mut script),
            2 => {
                let register = usize::from(script.byte() % 16);
                cpu.gprs[register] = script.number();
            }
            3 => {
                let segment = usize::from(script.byte() % 6);
                cpu.bases[segment] = script.number();
            }
            4 => situation = self::situation(&mut script),
            5 => situation.rip = script.number(),
            _ => {
                cpu.mode = situation.mode();
                check_cache(&mut cache, &situation, &cpu, &memory);
            }
        }
    }
}

/// What the registers may be.
fn situation(script: &mut Script<'_>) -> Situation {
    let choice = script.byte();
    let paged = |table: u64, cr4, efer| Paging {
        cr0: CR0_PG,
        cr3: table * PAGE_BYTES,
        cr4,
        efer,
    };
    // Those of `Memory`, or any.
    let paging = match choice % 8 {
        0 | 1 => paged(1, CR4_PAE, EFER_LMA),
        2 => paged(0, CR4_PAE | CR4_LA57, EFER_LMA),
        3 => paged(2, CR4_PAE, 0),
        4 => paged(3, CR4_PSE, 0),
        5 => paged(3, 0, 0),
        6 => Paging {
            cr0: 0,
            ..paged(0, 0, 0)
        },
        _ => Paging {
            cr0: script.number() | CR0_PG,
            cr3: script.number(),
            cr4: script.number(),
            efer: script.number(),
        },
    };
    Situation {
        rip: script.number(),
        code_base: script.number() & 0xffff_ffff,
        code_attributes: ATTRIBUTES[usize::from(choice >> 3) % ATTRIBUTES.len()],
        paging,
    }
}

/// What may be in a table, if it is in RAM: mostly something that leads somewhere.
fn entry(script: &mut Script<'_>) -> Option<u64> {
    match script.byte() {
        0 => None,
        1 => Some(script.little_endian(8)),
        bits => Some(script.number() << 12 | u64::from(bits)),
    }
}

/// How addresses are divided.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Unpaged,
    Legacy,
    Pae,
    Long,
}

/// One table on the way: the lowest bit of its index in the linear address, the index's bits,
/// and whether bit 7 of its entries makes a page.
struct Level {
    shift: u32,
    index_bits: u32,
    large: bool,
}

impl Format {
    fn of(paging: &Paging) -> Self {
        match (
            paging.cr0 & CR0_PG,
            paging.efer & EFER_LMA,
            paging.cr4 & CR4_PAE,
        ) {
            (0, ..) => Self::Unpaged,
            (_, 0, 0) => Self::Legacy,
            (_, 0, _) => Self::Pae,
            _ => Self::Long,
        }
    }

    fn levels(self, paging: &Paging) -> Vec<Level> {
        let level = |shift, index_bits, large| Level {
            shift,
            index_bits,
            large,
        };
        match self {
            Self::Unpaged => vec![],
            Self::Legacy => {
                let large = paging.cr4 & CR4_PSE != 0;
                vec![level(22, 10, large), level(12, 10, false)]
            }
            Self::Pae => vec![level(30, 2, false), level(21, 9, true), level(12, 9, false)],
            Self::Long => {
                let mut levels = vec![level(39, 9, false), level(30, 9, true)];
                if paging.cr4 & CR4_LA57 != 0 {
                    levels.insert(0, level(48, 9, false));
                }
                levels.extend([level(21, 9, true), level(12, 9, false)]);
                levels
            }
        }
    }
}

/// The walk, with entries that are another at each look.
fn check_walk(paging: &Paging, linear: u64, script: &mut Script<'_>) {
    let mut looks = Vec::new();
    let translated = paging.translate(linear, |address| {
        let found = entry(script);
        looks.push((address.0, found));
        found
    });
    let translated = translated.map(|found| (found.address.0, found.writable, found.user));
    let format = Format::of(paging);
    let bits = |value: u64, from: u32, to: u32| value >> from & ((1 << (to - from)) - 1);
    let linear = match format {
        Format::Long => linear,
        _ => bits(linear, 0, 32),
    };
    let mut table = match format {
        Format::Unpaged => 0,
        Format::Legacy => bits(paging.cr3, 12, 32) << 12,
        Format::Pae => bits(paging.cr3, 5, 32) << 5,
        Format::Long => bits(paging.cr3, 12, ADDRESS_BITS) << 12,
    };
    let (mut writable, mut user) = (true, true);
    let mut looks = looks.into_iter();
    let mut result = (format == Format::Unpaged).then_some(linear);
    for (depth, level) in format.levels(paging).iter().enumerate() {
        let index = bits(linear, level.shift, level.shift + level.index_bits);
        let (address, value) = looks.next().expect("a look at each level");
        let entry_bytes = if format == Format::Legacy { 4 } else { 8 };
        let place = table + index * entry_bytes;
        assert_eq!(address, place - place % 8);
        let Some(value) = value else { break };
        let entry = match (format, place % 8) {
            (Format::Legacy, 4) => value >> 32,
            (Format::Legacy, _) => bits(value, 0, 32),
            _ => value,
        };
        if bits(entry, 0, 1) == 0 {
            break;
        }
        if format != Format::Pae || depth != 0 {
            writable &= bits(entry, 1, 2) != 0;
            user &= bits(entry, 2, 3) != 0;
        }
        let in_page = bits(linear, 0, level.shift);
        let is_large = level.large && bits(entry, 7, 8) != 0;
        if is_large || level.shift == 12 {
            let page = match (format, is_large) {
                (Format::Legacy, true) => bits(entry, 13, 21) << 32 | bits(entry, 22, 32) << 22,
                _ => bits(entry, level.shift, ADDRESS_BITS) << level.shift,
            };
            result = Some(page | in_page);
            break;
        }
        table = bits(entry, 12, ADDRESS_BITS) << 12;
    }
    assert_eq!(looks.next(), None);
    assert_eq!(translated, result.map(|address| (address, writable, user)));
}

/// Fetching and finding, where nothing is twice the same.
fn check_hostile(situation: &Situation, script: &mut Script<'_>) {
    let script = RefCell::new(script);
    let reads = Cell::new(0);
    let read = |address: GuestPhysAddr| {
        assert!(address.0.is_multiple_of(8));
        reads.set(reads.get() + 1);
        entry(&mut script.borrow_mut())
    };
    if let Some(code) = fetch(&situation.paging, situation.linear_rip(), read) {
        let (bytes, len) = code.bytes();
        assert!((1..=LONGEST as usize).contains(&len));
        assert!(bytes[len..].iter().all(|byte| *byte == 0));
    }
    assert!(reads.replace(0) <= MOST_FETCH_READS);
    let cpu = X86Registers {
        gprs: [situation.code_base; 16],
        ..X86Registers::reset(situation.mode())
    };
    let mut cache = AccessCache::default();
    if let Some(found) = cache.find(situation, &cpu, read) {
        assert_eq!(found.address.0 >> ADDRESS_BITS, 0);
    }
    assert!(reads.replace(0) <= MOST_FIND_READS);
    let _ = cache.recall(situation, &cpu, read);
    assert!(reads.get() <= MOST_RECALL_READS);
}

const RAM_PAGES: u64 = 8;

/// RAM at 0, where tables of each level lead to each other: a page for each, the last at 4,
/// which maps linear addresses to the RAM again and again. Then come pages of zeroes.
struct Memory {
    format: Format,
    /// What the guest has written since.
    written: BTreeMap<u64, u64>,
}

impl Memory {
    fn read(&self, address: GuestPhysAddr) -> Option<u64> {
        assert!(address.0.is_multiple_of(8));
        const ALLOWED: u64 = 0b111;
        let (page, in_page) = (address.0 / PAGE_BYTES, address.0 % PAGE_BYTES);
        if page >= RAM_PAGES {
            return None;
        }
        if let Some(value) = self.written.get(&address.0) {
            return Some(*value);
        }
        let entry = |index: u64| match page {
            0..4 => (page + 1) * PAGE_BYTES + ALLOWED,
            4 => index % RAM_PAGES * PAGE_BYTES + ALLOWED,
            _ => 0,
        };
        let word = in_page / 8;
        Some(match self.format {
            Format::Legacy => entry(2 * word) | entry(2 * word + 1) << 32,
            _ => entry(word),
        })
    }

    /// The code at a linear address, as far as there is any, a page at a time.
    fn code(&self, paging: &Paging, linear: u64) -> Code {
        let mut bytes = Vec::new();
        let mut page = None;
        for linear in (0..LONGEST).map(|index| linear.wrapping_add(index)) {
            let in_page = linear % PAGE_BYTES;
            if bytes.is_empty() || in_page == 0 {
                page = self.place(paging, linear).map(|place| place - in_page);
            }
            let place = page.map(|page| page + in_page);
            let word = place.and_then(|place| self.read(GuestPhysAddr(place & !7)));
            match word {
                Some(word) => bytes.push(word.to_le_bytes()[in_page as usize % 8]),
                None => break,
            }
        }
        Code::new(&bytes)
    }

    fn place(&self, paging: &Paging, linear: u64) -> Option<u64> {
        let found = paging.translate(linear, |address| self.read(address))?;
        Some(found.address.0)
    }

    /// The guest writes an instruction where it is.
    fn put_code(&mut self, situation: &Situation, script: &mut Script<'_>) {
        let len = u64::from(script.byte() % 16);
        for index in 0..len {
            let linear = situation.linear_rip().wrapping_add(index);
            let byte = script.byte();
            if let Some(place) = self.place(&situation.paging, linear)
                && let Some(word) = self.read(GuestPhysAddr(place & !7))
            {
                let mut bytes = word.to_le_bytes();
                bytes[place as usize % 8] = byte;
                self.written.insert(place & !7, u64::from_le_bytes(bytes));
            }
        }
    }

    /// What the guest's access is, without a cache.
    fn find(&self, situation: &Situation, cpu: &X86Registers) -> Option<Found> {
        let (rip, paging) = (situation.linear_rip(), &situation.paging);
        let instruction = decode(&self.code(paging, rip), situation.mode())?;
        let next_rip = situation.rip.wrapping_add(instruction.len.into());
        let base = cpu.segment_base(instruction.memory.segment);
        // Outside of 64-bit mode a sum that is too large begins at 0 again.
        let wrapped = |linear| match situation.mode() {
            Mode::Long => linear,
            _ => linear & 0xffff_ffff,
        };
        let linear = wrapped(instruction.linear(cpu, next_rip));
        let written = instruction.written.map(|it| it.linear(cpu, next_rip));
        assert!(situation.mode() == Mode::Long || base >> 32 == 0);
        Some(Found {
            instruction,
            linear,
            address: GuestPhysAddr(self.place(paging, linear)?),
            written: written.map(wrapped),
        })
    }
}

/// What is recalled, if anything, is what is found anew; and it is if it was just found.
fn check_cache(
    cache: &mut AccessCache,
    situation: &Situation,
    cpu: &X86Registers,
    memory: &Memory,
) {
    let reads = Cell::new(0);
    let read = |address| {
        reads.set(reads.get() + 1);
        memory.read(address)
    };
    let wanted = memory.find(situation, cpu);
    let operand = wanted.map(|found| (found.instruction, found.address));
    let recall = |cache: &AccessCache| {
        let recalled = cache.recall(situation, cpu, read);
        assert!(reads.replace(0) <= MOST_RECALL_READS);
        recalled.map(|it| (*it.instruction, it.address))
    };
    if let recalled @ Some(_) = recall(cache) {
        assert_eq!(recalled, operand);
    }
    let searches = cache.searches();
    let found = cache.find(situation, cpu, read);
    assert!(reads.replace(0) <= MOST_FIND_READS);
    assert_eq!(found, wanted);
    assert_eq!(cache.searches(), searches + 1);
    let Some(found) = found else { return };
    assert_eq!(found.address.0 >> ADDRESS_BITS, 0);
    let width = found.instruction.width.bytes();
    let on_one_page = found.linear % PAGE_BYTES + width <= PAGE_BYTES;
    let code_ends_before = situation.linear_rip() % PAGE_BYTES + 24 <= PAGE_BYTES;
    // RIP has 32 bits outside of 64-bit mode.
    let next = situation.rip.checked_add(found.instruction.len.into());
    let goes_on_behind =
        situation.mode() == Mode::Long || next.is_some_and(|next| next <= 0xffff_ffff);
    match recall(cache) {
        None => {
            let is_plain = found.instruction.is_plain();
            assert!(!is_plain || !on_one_page || !code_ends_before || !goes_on_behind);
        }
        recalled => assert_eq!(recalled, operand),
    }
}
