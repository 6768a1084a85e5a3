//! The VMM component with an x86 guest on a simulated machine: what it makes of each exit,
//! without a CPU. What instructions do is x86-guest's affair and tested there.

mod fixtures;

use fixtures::{LOC, RAM, VmMemory, compiled, contents, leak, only, piece, trace_device};
use guest_access::{AccessWidth, Direction, GuestPhysAddr};
use shared_ring::{Consumer, Observation, Observer};
use std::cell::{Cell, RefCell};
use trace_records::{
    ACCESS_SLOTS, Address, CONSOLE_SLOTS, ConsoleRecord, EndReason, Entry, Kind, LOG_SLOTS, Notice,
    Record, TRACE_SLOTS,
};
use vm_components::{
    Channel, Clock, Host, Machine, Trace, Vmm, X86, X86Exception, X86Exit, X86ExitReason,
    X86Machine, channel,
};
use vm_config::{Action, Contents, Device, DeviceKind, RamRange, Unsupported, VmConfig};
use x86_guest::{Paging, Registers, Segment, Situation};

const CLOCK: Clock = Clock {
    hz: 1_000_000,
    start_ticks: 5_000,
};
const RAM_BYTES: usize = 0x20_0000;
const RIP: u64 = fixtures::PC;
const RAX: usize = 0;
const RCX: usize = 1;
const RDI: usize = 7;

/// Everything the VMM can ask for, as plain variables.
struct Platform<const SEES_CODE_SEGMENT: bool> {
    now: u64,
    gprs: [u64; 16],
    rflags: u64,
    rip: u64,
    running: bool,
    injected: Vec<X86Exception>,
    page_tables: u64,
    privilege_level: u8,
    code_attributes: u16,
    /// What they were when they were last asked for, and how often that was.
    known_code_attributes: Cell<u16>,
    asked: Cell<u32>,
    ram: &'static RefCell<Vec<u8>>,
    notified: Vec<Channel>,
}

impl<const SEES: bool> Host for Platform<SEES> {
    fn now(&mut self) -> u64 {
        self.now
    }

    fn notify(&mut self, channel: Channel) {
        self.notified.push(channel);
    }
}

fn in_ram(address: GuestPhysAddr, len: usize) -> Option<std::ops::Range<usize>> {
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

struct System<const SEES_CODE_SEGMENT: bool = true> {
    platform: Platform<SEES_CODE_SEGMENT>,
    vmm: Vmm<X86>,
    trace: Trace,
    trace_ring: Observer<TRACE_SLOTS>,
    log: Consumer<LOG_SLOTS>,
    console: Consumer<CONSOLE_SLOTS>,
}

fn config(unsupported: Unsupported, machine: u16) -> VmConfig<'static> {
    let serial = Device {
        name: "com1",
        loc: 0x3f8,
        severities: None,
        kind: DeviceKind::Ser8250,
    };
    compiled(&Contents {
        machine: Some(machine),
        pieces: &[piece(RIP, &CODE)],
        entry: RIP,
        cmdline: "trace=0xfa000000",
        unsupported,
        ram: &[RamRange {
            base: RAM,
            len_bytes: RAM_BYTES as u64,
        }],
        devices: &[trace_device(false, Some(12)), serial],
        ..contents()
    })
}

/// HLT.
const CODE: [u8; 1] = [0xf4];
const EM_X86_64: u16 = 62;
/// Present, readable code: 64-bit, and 32-bit.
const CODE_64: u16 = 0xa9b;
const CODE_32: u16 = 0xc9b;

impl System {
    fn new() -> Self {
        Self::with(Unsupported::default())
    }

    fn with(unsupported: Unsupported) -> Self {
        Self::init(config(unsupported, EM_X86_64))
    }
}

impl System<false> {
    /// A system whose CS costs something.
    fn blind() -> Self {
        Self::init(config(Unsupported::default(), EM_X86_64))
    }
}

impl<const SEES_CODE_SEGMENT: bool> System<SEES_CODE_SEGMENT> {
    fn init(config: VmConfig<'static>) -> Self {
        let memory = VmMemory::new();
        let mut platform = Platform {
            now: CLOCK.start_ticks,
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
        };
        Self {
            trace: Trace::init([(memory.trace_port(), config)], CLOCK, CLOCK.start_ticks),
            vmm: Vmm::init(config, &CODE, memory.vmm_ports(), CLOCK, &mut platform),
            platform,
            trace_ring: memory.trace_observer(),
            log: memory.log_consumer(),
            console: memory.text_consumer(),
        }
    }

    /// The guest runs this instruction, which exits for `reason`.
    fn run(&mut self, code: &[u8], reason: X86ExitReason) {
        self.platform.rip = RIP;
        assert!(self.platform.write_ram(GuestPhysAddr(RIP), code));
        let exit = X86Exit {
            rip: RIP,
            next_rip: None,
            reason,
        };
        self.vmm.exit(exit, &mut self.platform);
    }

    /// The same with an access to the device at RDI.
    fn access(&mut self, code: &[u8], direction: Direction) {
        let address = GuestPhysAddr(self.platform.gprs[RDI]);
        self.run(code, X86ExitReason::Access { address, direction });
    }

    fn run_trace(&mut self) {
        self.trace
            .notified(only(channel::trace::CLOCK), &mut self.platform);
        let notified = std::mem::take(&mut self.platform.notified);
        if notified.contains(&channel::trace::vmm(0)) {
            self.vmm
                .notified(only(channel::vmm::TRACE), &mut self.platform);
        }
    }

    /// The accesses in the trace ring: direction, width, old value of a write, and value.
    fn traced(&mut self) -> Vec<(Direction, u64, u32, u32)> {
        self.run_trace();
        let mut found = Vec::new();
        while let Some(observation) = self.trace_ring.observe() {
            if let Observation::Record(_, payload) = observation
                && let Some(Entry::Event(Kind::Access, record)) = Entry::from_words(&payload)
            {
                let Record {
                    tag, old, value, ..
                } = record;
                found.push((tag.direction(), tag.width_bytes(), old, value));
            }
        }
        found
    }

    fn was_completed(&self, code: &[u8]) -> bool {
        self.platform.running && self.platform.rip == RIP + code.len() as u64
    }
}

/// mov eax, [rdi]
const LOAD: [u8; 2] = [0x8b, 0x07];
/// mov [rdi], eax
const STORE: [u8; 2] = [0x89, 0x07];
/// add [rdi], eax
const ADD: [u8; 2] = [0x01, 0x07];
/// lock add [rdi], eax
const LOCK_ADD: [u8; 3] = [0xf0, 0x01, 0x07];
/// mov rax, [rdi]
const LOAD_64: [u8; 3] = [0x48, 0x8b, 0x07];
const CARRY: u64 = 1;

fn unsupported(action: Action) -> Unsupported {
    Unsupported {
        instruction: action,
        reference: action,
        register: action,
    }
}

#[test]
fn a_guest_starts_on_tables_that_map_four_gib_to_themselves() {
    let system = System::new();
    assert!(system.platform.running);
    assert_eq!(system.platform.rip, RIP);
    let situation = system.platform.situation();
    for address in [0, 0x123_4567, RIP, LOC + 0xfff, 0xffff_ffff] {
        let words = system.platform.ram_words();
        let found = situation.paging.translate(address, words).unwrap();
        assert_eq!((found.address.0, found.writable), (address, true));
    }
    let words = system.platform.ram_words();
    assert_eq!(situation.paging.translate(1 << 32, words), None);
    let text = b"trace=0xfa000000 hz=1000000";
    let mut line = [0; 27];
    let mut platform = system.platform;
    assert!(platform.read_ram(GuestPhysAddr(platform.gprs[RDI]), &mut line));
    assert_eq!((&line, platform.gprs[6]), (text, 27));
}

#[test]
fn an_image_for_another_machine_is_refused() {
    const EM_AARCH64: u16 = 183;
    let system = System::<true>::init(config(Unsupported::default(), EM_AARCH64));
    assert!(!system.platform.running);
}

#[test]
fn a_load_and_a_store_are_completed_and_recorded() {
    let mut system = System::new();
    system.platform.gprs[RDI] = LOC;
    // The first of each is decoded, the second recalled.
    for value in [7, 8] {
        system.platform.gprs[RAX] = 0xffff_ffff_0000_0000 | value;
        system.access(&STORE, Direction::Write);
        assert!(system.was_completed(&STORE));
        system.platform.gprs[RAX] = u64::MAX;
        system.access(&LOAD, Direction::Read);
        assert!(system.was_completed(&LOAD));
        assert_eq!(system.platform.gprs[RAX], value);
    }
    let wanted = [
        (Direction::Write, 4, 0, 7),
        (Direction::Read, 4, 0, 7),
        (Direction::Write, 4, 7, 8),
        (Direction::Read, 4, 0, 8),
    ];
    assert_eq!(system.traced(), wanted);
}

#[test]
fn a_read_modify_write_is_a_read_and_a_write_and_sets_the_flags() {
    let mut system = System::new();
    system.platform.gprs[RDI] = LOC;
    system.platform.gprs[RAX] = 0xffff_fffe;
    system.access(&STORE, Direction::Write);
    system.platform.gprs[RAX] = 3;
    // An emulator reports the reading half, a CPU the writing one.
    for (direction, sum) in [(Direction::Read, 1), (Direction::Write, 4)] {
        system.access(&ADD, direction);
        assert!(system.was_completed(&ADD));
        assert_eq!(system.platform.rflags & CARRY, u64::from(sum == 1));
    }
    let wanted = [
        (Direction::Write, 4, 0, 0xffff_fffe),
        (Direction::Read, 4, 0, 0xffff_fffe),
        (Direction::Write, 4, 0xffff_fffe, 1),
        (Direction::Read, 4, 0, 1),
        (Direction::Write, 4, 1, 4),
    ];
    assert_eq!(system.traced(), wanted);
}

#[test]
fn an_instruction_waits_in_its_middle_for_room_and_goes_on_there() {
    let mut system = System::new();
    system.platform.gprs[RDI] = LOC;
    system.platform.gprs[RAX] = 5;
    // One place is left in the ring: for the reading half.
    for _ in 0..ACCESS_SLOTS - 1 {
        system.access(&STORE, Direction::Write);
        assert!(system.was_completed(&STORE));
    }
    system.platform.notified.clear();
    system.access(&ADD, Direction::Write);
    assert!(!system.platform.running, "it did not wait");
    assert_eq!(system.platform.rip, RIP);
    system.run_trace();
    assert!(system.was_completed(&ADD));
    let traced = system.traced();
    assert_eq!(traced.len(), ACCESS_SLOTS + 1);
    let last = [(Direction::Read, 4, 0, 5), (Direction::Write, 4, 5, 10)];
    assert_eq!(traced[ACCESS_SLOTS - 1..], last);
}

#[test]
fn an_instruction_that_was_rewritten_meanwhile_is_not_carried_out() {
    let mut system = System::new();
    system.platform.gprs[RDI] = LOC;
    system.access(&LOAD, Direction::Read);
    // mov eax, [rsi]: not where the CPU says that the guest went.
    let address = GuestPhysAddr(LOC);
    let direction = Direction::Read;
    system.run(&[0x8b, 0x06], X86ExitReason::Access { address, direction });
    // A load, where the CPU says that the guest wrote.
    system.access(&LOAD, Direction::Write);
    assert_eq!(system.platform.injected, [X86Exception::InvalidOpcode; 2]);
    assert_eq!(system.traced().len(), 3);
}

#[test]
fn what_reads_alike_is_completed_without_asking_for_the_code_segment() {
    let mut system = System::blind();
    system.platform.gprs[RDI] = LOC;
    system.access(&LOAD, Direction::Read);
    let asked = system.platform.asked.get();
    assert_ne!(asked, 0);
    for attributes in [CODE_64, CODE_32] {
        system.platform.code_attributes = attributes;
        system.access(&LOAD, Direction::Read);
        assert!(system.was_completed(&LOAD));
        assert_eq!(system.platform.asked.get(), asked);
    }
    assert_eq!(system.traced().len(), 3);
}

#[test]
fn what_does_not_read_alike_is_decoded_anew_when_the_code_segment_has_changed() {
    // mov r8d, [rdi], or inc esp and more.
    const REX_LOAD: [u8; 3] = [0x44, 0x8b, 0x07];
    let mut system = System::blind();
    system.platform.gprs[RDI] = LOC;
    for _ in 0..2 {
        system.platform.gprs[8] = u64::MAX;
        system.access(&REX_LOAD, Direction::Read);
        assert!(system.was_completed(&REX_LOAD));
        assert_eq!(system.platform.gprs[8], 0);
    }
    // Only found once: the second time its code segment was asked for, and was the same.
    let asked = system.platform.asked.get();
    system.access(&REX_LOAD, Direction::Read);
    assert_eq!(system.platform.asked.get(), asked + 1);
    system.platform.code_attributes = CODE_32;
    system.access(&REX_LOAD, Direction::Read);
    assert_eq!(system.platform.injected, [X86Exception::InvalidOpcode]);
}

#[test]
fn an_instruction_of_another_length_in_the_other_mode_gets_its_own() {
    // mov eax, [LOC]: the address has eight bytes, or four.
    let load = [&[0xa1], &LOC.to_le_bytes()[..]].concat();
    let mut system = System::blind();
    system.platform.gprs[RDI] = LOC;
    for (attributes, len) in [(CODE_64, 9), (CODE_64, 9), (CODE_32, 5), (CODE_64, 9)] {
        system.platform.code_attributes = attributes;
        system.access(&load, Direction::Read);
        assert_eq!(system.platform.rip, RIP + len);
    }
    assert_eq!(system.traced().len(), 4);
}

#[test]
fn behind_the_last_of_4_gib_32_bit_code_begins_at_0_again() {
    const LAST: u64 = 0xffff_fffe;
    for (attributes, next) in [(CODE_32, 0), (CODE_64, 1 << 32)] {
        let mut system = System::blind();
        let platform = &mut system.platform;
        platform.code_attributes = attributes;
        // The last 2 MiB of the first 4 GiB are where the code is.
        let place = GuestPhysAddr(platform.page_tables + 5 * 0x1000 + 511 * 8);
        let entry = RAM | 0b11 | 1 << 7;
        assert!(platform.write_ram(place, &entry.to_le_bytes()));
        let code = GuestPhysAddr(RAM + RAM_BYTES as u64 - 2);
        assert!(platform.write_ram(code, &LOAD));
        platform.gprs[RDI] = LOC;
        let (address, direction) = (GuestPhysAddr(LOC), Direction::Read);
        for _ in 0..3 {
            system.platform.rip = LAST;
            let exit = X86Exit {
                rip: LAST,
                next_rip: None,
                reason: X86ExitReason::Access { address, direction },
            };
            system.vmm.exit(exit, &mut system.platform);
            assert_eq!(system.platform.rip, next);
        }
        system.platform.rip = LAST;
        let halt = X86Exit {
            rip: LAST,
            next_rip: None,
            reason: X86ExitReason::Halt,
        };
        assert_eq!(halt.after(&system.platform), Some(next));
    }
}

#[test]
fn policy_answers_what_is_not_carried_out() {
    let mut system = System::new();
    system.platform.gprs[RDI] = LOC;
    system.access(&LOCK_ADD, Direction::Write);
    assert_eq!(system.platform.injected, [X86Exception::InvalidOpcode]);
    assert_eq!(system.platform.rip, RIP);

    let mut system = System::with(unsupported(Action::Ignore));
    system.platform.gprs[RDI] = LOC;
    system.access(&LOCK_ADD, Direction::Write);
    assert!(system.was_completed(&LOCK_ADD) && system.platform.injected.is_empty());

    let mut system = System::with(unsupported(Action::Abort));
    system.platform.gprs[RDI] = LOC;
    system.access(&LOCK_ADD, Direction::Write);
    assert!(!system.platform.running);
}

#[test]
fn eight_bytes_are_more_than_the_device_has() {
    let mut system = System::with(unsupported(Action::Fail));
    system.platform.gprs[RDI] = LOC;
    system.access(&LOAD_64, Direction::Read);
    assert_eq!(system.platform.injected, [X86Exception::GeneralProtection]);

    let mut system = System::new();
    system.platform.gprs[RDI] = LOC;
    system.access(&LOAD_64, Direction::Read);
    assert!(system.was_completed(&LOAD_64));
    assert_eq!(system.platform.gprs[RAX], u64::MAX);
}

#[test]
fn where_no_device_is_reads_give_all_ones_of_their_width() {
    let mut system = System::new();
    system.platform.gprs[RDI] = LOC + 0x100;
    system.platform.gprs[RAX] = 0x1234_5678;
    // mov ah, [rdi]
    system.access(&[0x8a, 0x27], Direction::Read);
    assert_eq!(system.platform.gprs[RAX], 0x1234_ff78);
    assert!(system.traced().is_empty());
}

#[test]
fn ports_without_a_device_read_all_ones() {
    let mut system = System::new();
    system.platform.gprs[RAX] = 0xffff_ffff_1234_5678;
    let port = |width, direction| X86ExitReason::Port {
        port: 0x60,
        direction,
        width,
    };
    // in al, dx: the other bits stay; in eax, dx: the upper half becomes 0.
    system.run(&[0xec], port(AccessWidth::Byte, Direction::Read));
    assert_eq!(system.platform.gprs[RAX], 0xffff_ffff_1234_56ff);
    system.run(&[0xed], port(AccessWidth::Word, Direction::Read));
    assert_eq!(system.platform.gprs[RAX], 0xffff_ffff);
    system.run(&[0xee], port(AccessWidth::Byte, Direction::Write));
    assert!(system.was_completed(&[0xee]));
}

/// Where the records of the log and the messages of the VMM say that something was.
fn told_of(action: Action) -> (Vec<(Kind, Address)>, Vec<Address>) {
    let unsupported = Unsupported {
        reference: action,
        ..Unsupported::default()
    };
    let mut system = System::with(unsupported);
    let read = X86ExitReason::Port {
        port: 0x2f8,
        direction: Direction::Read,
        width: AccessWidth::Byte,
    };
    system.run(&[0xec], read);
    // The same number in memory: what is not the device's.
    system.platform.gprs[RDI] = 0x2f8;
    system.access(&LOAD, Direction::Read);
    system.run_trace();
    let log = std::iter::from_fn(|| system.log.pop());
    let log = log.filter_map(|item| match Entry::from_words(&item.payload)? {
        Entry::Event(kind, record) => Some((kind, record.location())),
        _ => None,
    });
    let notices = std::iter::from_fn(|| system.console.pop());
    let notices = notices.filter_map(|item| match ConsoleRecord::from_words(&item.payload)? {
        ConsoleRecord::Notice {
            notice: Notice::Refused,
            address,
            ..
        } => Some(address),
        _ => None,
    });
    (log.collect(), notices.collect())
}

#[test]
fn what_is_told_of_a_port_says_that_it_is_one() {
    let port = Address::port(0x2f8);
    let outside = (Kind::Outside, port);
    // Of what is outside one a second is logged, and of exceptions one a second told.
    assert_eq!(told_of(Action::Ignore), (vec![outside], vec![]));
    assert_eq!(told_of(Action::Fail), (vec![outside], vec![port]));
    let ended = (Kind::End, port);
    assert_eq!(told_of(Action::Abort), (vec![outside, ended], vec![]));
}

#[test]
fn a_serial_port_is_ready_and_takes_characters() {
    let mut system = System::new();
    let port = |port, direction| X86ExitReason::Port {
        port,
        direction,
        width: AccessWidth::Byte,
    };
    system.run(&[0xec], port(0x3fd, Direction::Read));
    assert_eq!(system.platform.gprs[RAX] & 0xff, 0x60);
    system.platform.notified.clear();
    for character in b"hi\n" {
        system.platform.gprs[RAX] = u64::from(*character);
        system.run(&[0xee], port(0x3f8, Direction::Write));
    }
    assert_eq!(system.platform.notified, [channel::vmm::CONSOLE]);
}

#[test]
fn halt_with_interrupts_on_waits_for_the_next_event_and_goes_on_behind_it() {
    let mut system = System::new();
    system.platform.rflags |= INTERRUPTS;
    system.run(&[0xf4], X86ExitReason::Halt);
    assert!(!system.platform.running);
    system
        .vmm
        .notified(only(channel::vmm::CLOCK), &mut system.platform);
    assert!(system.was_completed(&[0xf4]));
}

#[test]
fn halt_with_interrupts_off_ends_the_vm() {
    let mut system = System::new();
    system.run(&[0xf4], X86ExitReason::Halt);
    assert!(!system.platform.running);
    system.run_trace();
    assert_eq!(system.trace.ended(0), Some(EndReason::NothingWakesIt));
    system
        .vmm
        .notified(only(channel::vmm::CLOCK), &mut system.platform);
    assert!(!system.platform.running);
}

/// RFLAGS.IF.
const INTERRUPTS: u64 = 1 << 9;

#[test]
fn a_call_returns_in_rax_or_ends_the_vm() {
    const VMMCALL: [u8; 3] = [0x0f, 0x01, 0xd9];
    let mut system = System::new();
    system.platform.gprs[RAX] = 0x8400_0000;
    system.run(&VMMCALL, X86ExitReason::Call);
    assert!(system.was_completed(&VMMCALL));
    assert_eq!(system.platform.gprs[RAX], 0x1_0001);
    system.platform.gprs[RAX] = 0xc600_0000;
    system.platform.gprs[RCX] = 5;
    system.run(&VMMCALL, X86ExitReason::Call);
    assert!(!system.platform.running);
}

#[test]
fn a_user_program_cannot_call() {
    const VMCALL: [u8; 3] = [0x0f, 0x01, 0xc1];
    let mut system = System::new();
    system.platform.privilege_level = 3;
    // Power off.
    system.platform.gprs[RAX] = 0x8400_0008;
    system.run(&VMCALL, X86ExitReason::Call);
    assert_eq!(system.platform.injected, [X86Exception::InvalidOpcode]);
    assert_eq!(system.platform.gprs[RAX], 0x8400_0008);
}

#[test]
fn a_register_that_is_not_there_is_a_general_protection_exception() {
    let mut system = System::new();
    system.run(&[0x0f, 0x32], X86ExitReason::Register { number: 0x1b });
    assert_eq!(system.platform.injected, [X86Exception::GeneralProtection]);
}

#[test]
fn a_guest_whose_tables_are_not_in_ram_ends_its_vm() {
    let mut system = System::new();
    let (address, direction) = (GuestPhysAddr(LOC), Direction::Read);
    system.run(&LOAD, X86ExitReason::OwnAccess { address, direction });
    assert!(!system.platform.running && system.platform.injected.is_empty());
}

#[test]
fn a_write_that_the_guests_tables_forbid_is_its_page_fault() {
    let mut system = System::new();
    let tables = system.platform.page_tables;
    // The entry of level 2 for the device's 2 MiB: of the fourth GiB's table.
    let place = GuestPhysAddr(tables + 5 * 0x1000 + (LOC >> 21 & 0x1ff) * 8);
    let entry = LOC & !0x1f_ffff | 1 | 1 << 7;
    assert!(system.platform.write_ram(place, &entry.to_le_bytes()));
    system.platform.gprs[RDI] = LOC;
    system.access(&ADD, Direction::Read);
    let (address, error_code) = (LOC, 0b11);
    let wanted = X86Exception::PageFault {
        address,
        error_code,
    };
    assert_eq!(system.platform.injected, [wanted]);
    assert!(system.traced().is_empty());
}

#[test]
fn a_user_gets_no_further_by_way_of_the_device_than_its_tables_let_it() {
    let mut system = System::new();
    system.platform.privilege_level = 3;
    let tables = system.platform.page_tables;
    let user = |system: &mut System, place: u64, entry: u64| {
        let bytes = (entry | 0b111).to_le_bytes();
        assert!(system.platform.write_ram(GuestPhysAddr(place), &bytes));
    };
    // The device's page is the last of its 2 MiB, and the user's; what follows is not.
    let device = LOC + 0x1f_f000;
    user(&mut system, tables, tables + 0x1000);
    user(&mut system, tables + 0x1000 + 3 * 8, tables + 0x5000);
    let large = tables + 0x5000 + (LOC >> 21 & 0x1ff) * 8;
    user(&mut system, large, LOC | 1 << 7);
    system.platform.gprs[RDI] = device + 0xffe;
    system.access(&STORE, Direction::Write);
    let (address, error_code) = (device + 0x1000, 0b111);
    let wanted = X86Exception::PageFault {
        address,
        error_code,
    };
    assert_eq!(system.platform.injected, [wanted]);
}

/// rep movsd, rep stosd, rep lodsd, push [edi] (32-bit code)
const REP_MOVS: [u8; 2] = [0xf3, 0xa5];
const REP_STOS: [u8; 2] = [0xf3, 0xab];
const REP_LODS: [u8; 2] = [0xf3, 0xad];
const PUSH: [u8; 2] = [0xff, 0x37];
const RSP: usize = 4;
const RSI: usize = 6;

#[test]
fn of_a_string_each_exit_is_one_element_and_the_registers_are_those_between_two() {
    let mut system = System::new();
    let buffer = RAM + 0x1000;
    let words = [1_u32, 2, 3];
    for (place, word) in (buffer..).step_by(4).zip(words) {
        let address = GuestPhysAddr(place);
        assert!(system.platform.write_ram(address, &word.to_le_bytes()));
    }
    let gprs = &mut system.platform.gprs;
    (gprs[RSI], gprs[RDI], gprs[RCX]) = (buffer, LOC, 3);
    for left in [2, 1, 0] {
        // To the one word that the device has: the guest puts RDI back between two elements,
        // as an interrupt's handler could.
        system.platform.gprs[RDI] = LOC;
        system.access(&REP_MOVS, Direction::Write);
        let platform = &system.platform;
        assert!(platform.running);
        assert_eq!(platform.gprs[RCX], left);
        assert_eq!(platform.gprs[RSI], buffer + 4 * (3 - left));
        assert_eq!(platform.gprs[RDI], LOC + 4);
        let next = if left == 0 { RIP + 2 } else { RIP };
        assert_eq!(platform.rip, next, "{left}");
    }
    let wanted = [(0, 1), (1, 2), (2, 3)];
    assert_eq!(
        system.traced(),
        wanted.map(|(old, value)| (Direction::Write, 4, old, value))
    );
}

#[test]
fn a_string_may_lead_from_the_device_down_and_to_it_from_the_accumulator() {
    const DOWN: u64 = 1 << 10;
    let mut system = System::new();
    let buffer = RAM + 0x1000;
    system.platform.gprs[RAX] = 0x1234_5678_9abc_def0;
    (system.platform.gprs[RDI], system.platform.gprs[RCX]) = (LOC, 1);
    system.access(&REP_STOS, Direction::Write);
    assert!(system.was_completed(&REP_STOS));
    assert_eq!(system.platform.gprs[RDI], LOC + 4);

    system.platform.rflags |= DOWN;
    let gprs = &mut system.platform.gprs;
    (gprs[RSI], gprs[RDI], gprs[RCX]) = (LOC, buffer, 1);
    let (address, direction) = (GuestPhysAddr(LOC), Direction::Read);
    let reason = X86ExitReason::Access { address, direction };
    system.run(&REP_MOVS, reason);
    assert!(system.was_completed(&REP_MOVS));
    let gprs = &system.platform.gprs;
    assert_eq!((gprs[RSI], gprs[RDI], gprs[RCX]), (LOC - 4, buffer - 4, 0));
    let mut copied = [0; 4];
    assert!(system.platform.read_ram(GuestPhysAddr(buffer), &mut copied));
    assert_eq!(u32::from_le_bytes(copied), 0x9abc_def0);

    let gprs = &mut system.platform.gprs;
    (gprs[RAX], gprs[RSI], gprs[RCX]) = (u64::MAX, LOC, 1);
    system.run(&REP_LODS, reason);
    assert!(system.was_completed(&REP_LODS));
    assert_eq!(system.platform.gprs[RAX], 0x9abc_def0);
    let [stored, moved, loaded] = system.traced()[..] else {
        panic!("not three accesses");
    };
    assert_eq!(stored, (Direction::Write, 4, 0, 0x9abc_def0));
    assert_eq!([moved, loaded], [(Direction::Read, 4, 0, 0x9abc_def0); 2]);
}

#[test]
fn a_string_waits_for_the_trace_component_between_its_operands_and_moves_once() {
    let mut system = System::new();
    let buffer = RAM + 0x1000;
    system.platform.gprs[RDI] = LOC;
    for _ in 0..ACCESS_SLOTS {
        system.access(&STORE, Direction::Write);
    }
    system.platform.notified.clear();
    let gprs = &mut system.platform.gprs;
    (gprs[RSI], gprs[RCX]) = (buffer, 2);
    system.access(&REP_MOVS, Direction::Write);
    assert!(!system.platform.running, "it did not wait");
    let gprs = &system.platform.gprs;
    assert_eq!((gprs[RSI], gprs[RDI], gprs[RCX]), (buffer, LOC, 2));
    system.run_trace();
    let platform = &system.platform;
    assert!(platform.running && platform.rip == RIP);
    let gprs = &platform.gprs;
    assert_eq!((gprs[RSI], gprs[RDI], gprs[RCX]), (buffer + 4, LOC + 4, 1));
}

#[test]
fn what_a_string_moves_may_lie_on_two_pages_of_ram() {
    let mut system = System::new();
    let buffer = RAM + 0x1ffe;
    let bytes = 0x1122_3344_u32.to_le_bytes();
    assert!(system.platform.write_ram(GuestPhysAddr(buffer), &bytes));
    let gprs = &mut system.platform.gprs;
    (gprs[RSI], gprs[RDI], gprs[RCX]) = (buffer, LOC, 1);
    system.access(&REP_MOVS, Direction::Write);
    assert!(system.was_completed(&REP_MOVS));
    assert_eq!(system.traced(), [(Direction::Write, 4, 0, 0x1122_3344)]);
}

#[test]
fn the_other_operand_obeys_the_guests_tables() {
    let mut system = System::new();
    // The second 2 MiB from the start of RAM are not there.
    let hole = RAM + 0x20_0000;
    let place = GuestPhysAddr(system.platform.page_tables + 3 * 0x1000 + (hole >> 21 & 0x1ff) * 8);
    assert!(system.platform.write_ram(place, &[0; 8]));
    let gprs = &mut system.platform.gprs;
    (gprs[RSI], gprs[RDI], gprs[RCX]) = (LOC, hole, 1);
    let (address, direction) = (GuestPhysAddr(LOC), Direction::Read);
    system.run(&REP_MOVS, X86ExitReason::Access { address, direction });
    let wanted = X86Exception::PageFault {
        address: hole,
        error_code: 0b10,
    };
    assert_eq!(system.platform.injected, [wanted]);
    assert_eq!(system.platform.gprs[RCX], 1);
    assert!(system.traced().is_empty());
}

#[test]
fn a_string_is_carried_out_only_if_the_cpu_says_that_it_went_there() {
    let mut system = System::new();
    let gprs = &mut system.platform.gprs;
    (gprs[RSI], gprs[RDI]) = (RAM, LOC);
    // A read, where the device is written; and a count of 0, which goes nowhere.
    for (count, direction) in [(1, Direction::Read), (0, Direction::Write)] {
        system.platform.gprs[RCX] = count;
        system.access(&REP_MOVS, direction);
    }
    assert_eq!(system.platform.injected, [X86Exception::InvalidOpcode; 2]);
    let traced = system.traced();
    assert!(
        traced.iter().all(|(_, width, ..)| *width == 0),
        "{traced:?}"
    );
}

#[test]
fn what_is_pushed_goes_from_the_device_to_the_stack() {
    let mut system = System::new();
    system.platform.code_attributes = CODE_32;
    system.platform.gprs[RDI] = LOC;
    system.platform.gprs[RAX] = 77;
    system.access(&STORE, Direction::Write);
    system.platform.gprs[RSP] = RAM + 0x1000;
    system.access(&PUSH, Direction::Read);
    assert!(system.was_completed(&PUSH));
    assert_eq!(system.platform.gprs[RSP], RAM + 0xffc);
    let mut pushed = [0; 4];
    assert!(
        system
            .platform
            .read_ram(GuestPhysAddr(RAM + 0xffc), &mut pushed)
    );
    assert_eq!(pushed, [77, 0, 0, 0]);
}

#[test]
fn a_flush_of_the_devices_cache_line_is_carried_out_and_is_no_access() {
    let mut system = System::new();
    system.platform.gprs[RDI] = LOC;
    // clflush, clflushopt, clwb [rdi]
    for code in [
        &[0x0f, 0xae, 0x3f][..],
        &[0x66, 0x0f, 0xae, 0x3f],
        &[0x66, 0x0f, 0xae, 0x37],
    ] {
        system.access(code, Direction::Read);
        assert!(system.was_completed(code), "{code:02x?}");
    }
    assert!(system.traced().is_empty());
}

#[test]
fn both_halves_of_a_product_and_a_failed_comparison_reach_their_registers() {
    const RDX: usize = 2;
    let mut system = System::new();
    system.platform.gprs[RDI] = LOC;
    system.platform.gprs[RAX] = 0x8000_0001;
    system.access(&STORE, Direction::Write);
    // mul dword [rdi], twice: what has two registers is found anew each time
    for _ in 0..2 {
        (system.platform.gprs[RAX], system.platform.gprs[RDX]) = (4, u64::MAX);
        system.access(&[0xf7, 0x27], Direction::Read);
        let gprs = &system.platform.gprs;
        assert_eq!((gprs[RAX], gprs[RDX]), (4, 2));
    }
    // cmpxchg [rdi], ecx
    (system.platform.gprs[RAX], system.platform.gprs[RCX]) = (1, 2);
    for wanted in [0x8000_0001, 2] {
        system.access(&[0x0f, 0xb1, 0x0f], Direction::Write);
        assert!(system.was_completed(&[0x0f, 0xb1, 0x0f]));
        let last = system.traced().pop().unwrap();
        assert_eq!((last.0, last.3), (Direction::Write, wanted));
        assert_eq!(system.platform.gprs[RAX], 0x8000_0001);
    }
}
