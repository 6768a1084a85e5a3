//! The components together on a simulated machine: every hop of an access, without a CPU.

mod fixtures;

use a64_guest::pstate::{ByteOrder, is_aarch32};
use a64_guest::stage1::Regime;
use fixtures::{
    LOC, PC, RAM, Screen, VmMemory, claim_read, compiled, contents, only, piece, trace_device,
};
use guest_access::{Direction, Gpr, GuestPhysAddr};
use shared_ring::{Observation, Observer};
use trace_records::{ACCESS_SLOTS, Entry, Kind, Record, TRACE_SLOTS};
use vm_components::{
    A64, A64Machine, Channel, Clock, Console, Exit, GuestException, Host, Machine, StackPointer,
    Trace, Vmm, channel,
};
use vm_config::{Action, Contents, Device, DeviceKind, Piece, RamRange, Unsupported, VmConfig};

#[path = "system/aarch32.rs"]
mod aarch32;
#[path = "system/byte_order.rs"]
mod byte_order;
#[path = "system/undescribed.rs"]
mod undescribed;

const HZ: u64 = 1_000_000;
const START: u64 = 5_000;
const MS: u64 = HZ / 1000;
const CLOCK: Clock = Clock {
    hz: HZ,
    start_ticks: START,
};
const UART: u64 = 0x0900_0000;

/// Everything a component can ask for, as plain variables.
struct Platform {
    now: u64,
    gprs: [u64; 31],
    running: bool,
    pc: u64,
    injected: Vec<GuestException>,
    starts: Vec<u64>,
    ram: Vec<u8>,
    notified: Vec<Channel>,
    /// SP_EL0 and SP_EL1.
    stack_pointers: [u64; 2],
    /// `None` as on a platform that has no way to them.
    vectors: Option<[u128; 32]>,
    pstate: u64,
    sets_aarch32: bool,
    stage1: Regime,
    /// FAR_EL2, where the platform tells it.
    fault_address: Option<u64>,
}

/// EL1 with its own stack pointer, everything masked (D1.4).
const EL1H: u64 = 0x3c5;
/// RES1 bits of SCTLR_EL1: MMU off, little-endian.
const MMU_OFF: Regime = Regime {
    sctlr: 0x30d0_0800,
    tcr: 0,
    ttbr0: 0,
    ttbr1: 0,
};

impl Host for Platform {
    fn now(&mut self) -> u64 {
        self.now
    }

    fn notify(&mut self, channel: Channel) {
        self.notified.push(channel);
    }
}

impl Machine for Platform {
    fn proceed(&mut self, pc: u64) {
        self.resume(pc, None);
    }

    fn hold(&mut self) {
        self.running = false;
    }

    fn read_ram(&mut self, address: GuestPhysAddr, bytes: &mut [u8]) -> bool {
        let Some(place) = self.ram_at(address, bytes.len()) else {
            return false;
        };
        bytes.copy_from_slice(place);
        true
    }

    fn write_ram(&mut self, address: GuestPhysAddr, bytes: &[u8]) -> bool {
        let Some(place) = self.ram_at(address, bytes.len()) else {
            return false;
        };
        place.copy_from_slice(bytes);
        true
    }

    fn clear_ram(&mut self) {
        self.ram.fill(0);
    }
}

impl A64Machine for Platform {
    fn gpr(&mut self, register: Gpr) -> u64 {
        self.gprs[register.number()]
    }

    fn set_gpr(&mut self, register: Gpr, value: u64) {
        assert!(!self.running, "the vCPU runs");
        assert!(self.sets_aarch32 || !is_aarch32(self.pstate));
        self.gprs[register.number()] = value;
    }

    fn stack_pointer(&mut self, which: StackPointer) -> u64 {
        self.stack_pointers[which as usize]
    }

    fn set_stack_pointer(&mut self, which: StackPointer, value: u64) {
        assert!(!self.running, "the vCPU runs");
        self.stack_pointers[which as usize] = value;
    }

    fn vector(&mut self, number: u8) -> Option<u128> {
        Some(self.vectors?[usize::from(number)])
    }

    fn set_vector(&mut self, number: u8, value: u128) {
        assert!(!self.running, "the vCPU runs");
        let vectors = self.vectors.as_mut().expect("there are none");
        vectors[usize::from(number)] = value;
    }

    fn pstate(&mut self) -> u64 {
        self.pstate
    }

    fn set_pstate(&mut self, pstate: u64) {
        assert!(self.sets_aarch32 || !is_aarch32(self.pstate));
        assert_eq!((pstate ^ self.pstate) & 0x1f, 0, "the mode changes");
        self.pstate = pstate;
    }

    fn is_ordinary(&mut self, _: Gpr) -> bool {
        !is_aarch32(self.pstate()) && self.byte_order() == ByteOrder::Little
    }

    fn sets_aarch32(&self) -> bool {
        self.sets_aarch32
    }

    fn byte_order(&mut self) -> ByteOrder {
        ByteOrder::of_data(self.pstate(), self.stage1().sctlr)
    }

    fn stage1(&mut self) -> Regime {
        self.stage1
    }

    fn fault_address(&mut self) -> Option<u64> {
        self.fault_address
    }

    fn resume(&mut self, pc: u64, result: Option<(Gpr, u64)>) {
        assert!(result.is_none() || self.sets_aarch32 || !is_aarch32(self.pstate));
        self.running = true;
        self.pc = pc;
        if let Some((register, value)) = result {
            self.gprs[register.number()] = value;
        }
    }

    fn inject(&mut self, exception: GuestException) {
        self.running = true;
        self.injected.push(exception);
    }

    fn start(&mut self, entry: u64, _: u64, _: u64) {
        self.running = true;
        self.starts.push(entry);
    }
}

impl Platform {
    fn ram_at(&mut self, address: GuestPhysAddr, len: usize) -> Option<&mut [u8]> {
        let first = usize::try_from(address.0.checked_sub(RAM)?).ok()?;
        self.ram.get_mut(first..first.checked_add(len)?)
    }
}

/// Which components run. A test stops one to see what the others make of it.
#[derive(PartialEq)]
enum TraceIs {
    Alive,
    Stopped,
}

struct System {
    platform: Platform,
    vmm: Vmm<A64>,
    trace: Trace,
    console: Console,
    screen: Screen,
    trace_ring: Observer<TRACE_SLOTS>,
    memory: VmMemory,
    trace_is: TraceIs,
    next_wake: u64,
    wakes: u64,
}

fn config(devices: &[Device<'_>], unsupported: Unsupported) -> VmConfig<'static> {
    let pieces = [piece(PC, &CODE)];
    let others = Contents {
        machine: Some(EM_AARCH64),
        pieces: &pieces,
        entry: PC,
        ..contents()
    };
    config_with(devices, unsupported, others)
}

/// The same with the RAM, machine, pieces and entry of others.
fn config_with(
    devices: &[Device<'_>],
    unsupported: Unsupported,
    others: Contents<'_>,
) -> VmConfig<'static> {
    let uart = Device {
        name: "pl011",
        loc: UART,
        severities: None,
        kind: DeviceKind::Pl011,
    };
    compiled(&Contents {
        cmdline: "trace=0xfa000000",
        unsupported,
        devices: &[devices, &[uart]].concat(),
        ..others
    })
}

/// NOP.
const CODE: [u8; 4] = [0x1f, 0x20, 0x03, 0xd5];
const EM_AARCH64: u16 = 183;

impl System {
    fn new() -> Self {
        Self::with(&[trace_device(true, Some(12))], Unsupported::default())
    }

    fn with(devices: &[Device<'_>], unsupported: Unsupported) -> Self {
        Self::of(config(devices, unsupported), &CODE)
    }

    fn of(config: VmConfig<'static>, images: &'static [u8]) -> Self {
        let memory = VmMemory::new();
        let mut platform = Platform {
            now: START,
            gprs: [0; 31],
            running: false,
            pc: 0,
            injected: Vec::new(),
            starts: Vec::new(),
            ram: vec![0; 0x10_0000],
            notified: Vec::new(),
            stack_pointers: [0; 2],
            vectors: Some([0; 32]),
            pstate: EL1H,
            sets_aarch32: true,
            stage1: MMU_OFF,
            fault_address: None,
        };
        Self {
            trace: Trace::init([(memory.trace_port(), config)], CLOCK, START),
            console: Console::init([(memory.console_port(), config)], None, CLOCK),
            vmm: Vmm::init(config, images, memory.vmm_ports(), CLOCK, &mut platform),
            platform,
            screen: Screen::default(),
            trace_ring: memory.trace_observer(),
            memory,
            trace_is: TraceIs::Alive,
            next_wake: START + 10 * MS,
            wakes: 0,
        }
    }

    fn run_trace(&mut self, channel: Channel) {
        if self.trace_is == TraceIs::Stopped {
            return;
        }
        self.trace.notified(only(channel), &mut self.platform);
        for channel in std::mem::take(&mut self.platform.notified) {
            if channel == channel::trace::CONSOLE {
                self.run_console(channel::console::TRACE);
            } else if channel == channel::trace::vmm(0) {
                self.run_vmm(channel::vmm::TRACE);
            }
        }
    }

    fn run_console(&mut self, channel: Channel) {
        self.console
            .notified(only(channel), &mut self.platform, &mut self.screen);
        if let Some(verdict) = self.console.verdict()
            && !self.screen.0.contains("\nverdict: ")
        {
            self.screen.0.push_str(verdict.line());
        }
    }

    fn run_vmm(&mut self, channel: Channel) {
        self.vmm.notified(only(channel), &mut self.platform);
        self.deliver();
    }

    /// Delivers what the VMM signalled.
    fn deliver(&mut self) {
        for channel in std::mem::take(&mut self.platform.notified) {
            if channel == channel::vmm::TRACE {
                self.run_trace(channel::trace::vmm(0));
            } else if channel == channel::vmm::CONSOLE {
                self.run_console(channel::console::vmm(0));
            }
        }
    }

    /// Lets time pass, with the clock's wake-ups.
    fn pass(&mut self, ticks: u64) {
        let end = self.platform.now + ticks;
        while self.next_wake <= end {
            self.platform.now = self.next_wake;
            self.next_wake += 10 * MS;
            self.wakes += 1;
            self.run_trace(channel::trace::CLOCK);
            if self.wakes.is_multiple_of(10) {
                self.run_console(channel::console::CLOCK);
                self.run_vmm(channel::vmm::CLOCK);
            }
        }
        self.platform.now = end;
    }

    /// The guest's access traps; returns whether the guest runs again.
    fn access(&mut self, address: u64, log2: u64, write: u64, register: u64) -> bool {
        // EC data abort, ISV, SAS, SRT, WnR, translation fault at level 3.
        let syndrome = 0x24 << 26 | 1 << 24 | log2 << 22 | register << 16 | write << 6 | 0b111;
        self.exit(syndrome, address)
    }

    fn exit(&mut self, syndrome: u64, address: u64) -> bool {
        self.platform.running = false;
        let exit = Exit {
            syndrome,
            address: GuestPhysAddr(address),
            pc: PC,
        };
        self.vmm.fault(exit, &mut self.platform);
        self.deliver();
        self.platform.running
    }

    fn read(&mut self) -> u64 {
        assert!(self.access(LOC, 2, 0, 1), "the guest does not run");
        self.platform.gprs[1]
    }

    /// The guest prints.
    fn say(&mut self, text: &str) {
        for byte in text.bytes() {
            self.platform.gprs[4] = byte.into();
            assert!(self.access(UART, 2, 1, 4));
        }
    }

    fn write(&mut self, value: u64) {
        self.platform.gprs[2] = value;
        assert!(self.access(LOC, 2, 1, 2), "the guest does not run");
    }

    fn hypercall(&mut self, function: u64, argument: u64) -> bool {
        self.platform.gprs[0] = function;
        self.platform.gprs[1] = argument;
        self.exit(0x16 << 26, 0)
    }

    fn power_off(&mut self) {
        assert!(!self.hypercall(0x8400_0008, 0));
        self.pass(200 * MS);
    }

    /// The records that are new in the trace ring.
    fn traced(&mut self) -> Vec<Record> {
        let mut records = Vec::new();
        while let Some(observation) = self.trace_ring.observe() {
            if let Observation::Record(_, payload) = observation {
                let Some(Entry::Event(Kind::Access, record)) = Entry::from_words(&payload) else {
                    panic!("not an access");
                };
                records.push(record);
            }
        }
        records
    }

    fn lines(&self, with: &str) -> Vec<&str> {
        self.screen.lines(with)
    }
}

/// A synchronous external abort, not on a table walk: DFSC 0b010000 (D17.2.37).
fn external_abort(direction: Direction, address: u64) -> GuestException {
    GuestException::DataAbort {
        direction,
        status: 0b01_0000,
        address,
    }
}

#[test]
fn the_guest_starts_at_its_entry_with_its_command_line() {
    let system = System::new();
    assert_eq!(system.platform.starts, [PC]);
    assert_eq!(
        system.platform.ram[0x8_0000..][..4],
        [0x1f, 0x20, 0x03, 0xd5]
    );
    let line = b"trace=0xfa000000 hz=1000000";
    assert_eq!(system.platform.ram[0xf_f000..][..line.len()], *line);
}

/// Who compiles a configuration lays the images out for the VM, but whoever puts the files into the
/// machine's memory may put others there.
#[test]
fn images_that_are_not_this_vm_s_end_it_and_that_is_said() {
    const EM_X86_64: u16 = 62;
    const RAM: RamRange = RamRange {
        base: 0x4000_0000,
        len_bytes: 0x20_0000,
    };
    let beyond = RAM.base + 0x10_0000;
    for (machine, address, region, number) in [
        (EM_X86_64, PC, &CODE[..], 0),
        (EM_AARCH64, PC, &CODE[1..], PC),
        (EM_AARCH64, PC, &[], PC),
        // The machine has half as much RAM.
        (EM_AARCH64, beyond, &CODE, beyond),
    ] {
        let devices = [trace_device(true, Some(12))];
        let others = Contents {
            machine: Some(machine),
            ram: &[RAM],
            pieces: &[piece(address, &CODE)],
            entry: PC,
            ..contents()
        };
        let config = config_with(&devices, Unsupported::default(), others);
        let mut system = System::of(config, region);
        system.pass(500 * MS);
        assert_eq!(system.platform.starts, []);
        let reason = "the images are for another machine, not all there, or not in the VM's RAM";
        let line = format!("ended: {reason} ({number:#x})");
        assert_eq!(system.lines(&line).len(), 1, "{}", system.screen.0);
        assert_eq!(system.lines("verdict: failed").len(), 1);
    }
}

#[test]
fn every_piece_of_the_images_goes_to_its_place_and_the_guest_starts_at_the_entry() {
    const REGION: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
    let pieces = [(0x4000_1000, 4, 0), (0x4000_2001, 3, 5)];
    let pieces = pieces.map(|(address, len_bytes, offset)| Piece {
        address,
        len_bytes,
        offset,
    });
    let others = Contents {
        pieces: &pieces,
        entry: 0x4000_2002,
        ..contents()
    };
    let system = System::of(config_with(&[], Unsupported::default(), others), &REGION);
    assert_eq!(system.platform.ram[0x1000..0x1006], [1, 2, 3, 4, 0, 0]);
    assert_eq!(system.platform.ram[0x2000..0x2006], [0, 6, 7, 8, 0, 0]);
    assert_eq!(system.platform.starts, [0x4000_2002]);
}

#[test]
fn a_read_sees_the_counter_grow_by_one_each_second() {
    let mut system = System::new();
    assert_eq!(system.read(), 0);
    for second in 1..=5 {
        system.pass(HZ);
        assert_eq!(system.read(), second);
    }
    assert_eq!(system.platform.pc, PC + 4);
}

#[test]
fn a_write_is_read_back_at_once_and_ticks_on_in_phase() {
    let mut system = System::new();
    system.pass(1_500 * MS);
    system.write(1000);
    assert_eq!(system.read(), 1000);
    system.pass(480 * MS);
    assert_eq!(system.read(), 1000);
    system.pass(40 * MS);
    assert_eq!(system.read(), 1001);
}

#[test]
fn a_write_just_before_a_tick_is_counted_before_it_though_drained_after() {
    let mut system = System::new();
    system.pass(999 * MS);
    system.write(5000);
    system.pass(11 * MS);
    assert_eq!(system.read(), 5001);
    system.pass(1_000 * MS - 9 * MS);
    assert_eq!(system.read(), 5002);
    system.write(7000);
    system.pass(900 * MS);
    assert_eq!(system.read(), 7000);
}

#[test]
fn each_access_is_one_log_line_that_says_it_all() {
    let mut system = System::new();
    system.pass(1_250 * MS);
    system.read();
    system.write(1000);
    system.pass(20 * MS);
    assert_eq!(
        system.lines(" info "),
        [
            "[   1.250000] info  demo trace0 cpu0 R4 0xfa000000 = 1 pc 0x40080000 seq 1",
            "[   1.250000] info  demo trace0 cpu0 W4 0xfa000000 = 1 -> 1000 pc 0x40080000 seq 2",
        ]
    );
}

#[test]
fn a_traced_read_names_the_state_that_it_saw() {
    let mut system = System::new();
    system.write(7);
    system.read();
    system.pass(20 * MS);
    system.read();
    system.pass(20 * MS);
    let records = system.traced();
    let seen: Vec<_> = records
        .iter()
        .map(|record| (record.sequence, record.state_seen))
        .collect();
    assert_eq!(seen, [(1, 0), (2, 1), (3, 2)]);
    assert!(records.iter().all(|record| record.tag.event() == 12));
}

#[test]
fn with_both_options_off_the_device_works_in_silence() {
    let mut system = System::with(&[trace_device(false, None)], Unsupported::default());
    system.write(3);
    system.pass(HZ);
    assert_eq!(system.read(), 4);
    system.power_off();
    assert_eq!(system.traced(), []);
    assert!(system.lines("cpu0").is_empty());
    assert!(
        system
            .screen
            .0
            .contains("2 accesses = 1 reads + 1 writes + 0 refused; 0 logged, 0 traced; counter 4")
    );
}

#[test]
fn a_read_after_a_narrow_write_waits_for_the_trace_component() {
    let mut system = System::new();
    system.write(0x1122_3344);
    system.platform.gprs[3] = 0xffaa;
    assert!(system.access(LOC + 2, 0, 1, 3));
    assert_eq!(system.read(), 0x11aa_3344);
    system.trace_is = TraceIs::Stopped;
    assert!(system.access(LOC, 0, 1, 3));
    assert!(
        !system.access(LOC, 2, 0, 1),
        "only the trace component knows the outcome"
    );
    system.trace_is = TraceIs::Alive;
    system.pass(10 * MS);
    assert!(system.platform.running);
    assert_eq!(system.platform.gprs[1], 0x11aa_33aa);
}

#[test]
fn a_full_ring_holds_the_guest_and_loses_nothing() {
    let mut system = System::new();
    system.trace_is = TraceIs::Stopped;
    for value in 0..ACCESS_SLOTS as u64 {
        system.write(value);
    }
    system.platform.gprs[2] = 9999;
    assert!(!system.access(LOC, 2, 1, 2));
    system.trace_is = TraceIs::Alive;
    system.pass(10 * MS);
    assert!(system.platform.running);
    assert_eq!(system.read(), 9999);
    system.power_off();
    assert!(
        system
            .screen
            .0
            .contains("1026 accesses = 1 reads + 1025 writes"),
        "{}",
        system.screen.0
    );
    assert!(system.screen.0.contains(" 0 unrecorded"));
}

#[test]
fn without_the_trace_component_the_guest_lives_and_one_error_is_logged() {
    let mut system = System::new();
    system.pass(100 * MS);
    system.trace_is = TraceIs::Stopped;
    system.pass(HZ);
    assert_eq!(system.read(), 0xffff_ffff);
    for _ in 0..3 * ACCESS_SLOTS {
        assert_eq!(system.read(), 0xffff_ffff);
    }
    system.pass(HZ);
    assert_eq!(system.lines("does not answer").len(), 1);
    system.trace_is = TraceIs::Alive;
    system.pass(200 * MS);
    let unrecorded = 3 * ACCESS_SLOTS + 1 - ACCESS_SLOTS;
    assert_eq!(
        system
            .lines(&format!("{unrecorded} accesses went unrecorded"))
            .len(),
        1
    );
    assert_eq!(system.read(), 2);
    system.power_off();
    assert!(
        system
            .screen
            .0
            .contains(&format!("{unrecorded} unrecorded")),
        "{}",
        system.screen.0
    );
}

#[test]
fn an_end_that_the_trace_component_cannot_hear_of_is_told_to_whoever_watches() {
    let mut system = System::new();
    system.power_off();
    assert_eq!(system.vmm.unheard_end(), None, "it has been heard of");
    let mut system = System::new();
    system.trace_is = TraceIs::Stopped;
    system.pass(HZ);
    for _ in 0..ACCESS_SLOTS {
        system.read();
    }
    system.power_off();
    system.pass(HZ);
    assert_eq!(
        system.vmm.unheard_end(),
        Some(trace_records::EndReason::PoweredOff)
    );
}

#[test]
fn a_held_access_is_completed_by_policy_after_three_wake_ups() {
    let mut system = System::new();
    system.trace_is = TraceIs::Stopped;
    for _ in 0..ACCESS_SLOTS {
        system.read();
    }
    assert!(!system.access(LOC, 2, 0, 1));
    system.pass(250 * MS);
    assert!(!system.platform.running);
    system.pass(100 * MS);
    assert!(system.platform.running);
    assert_eq!(system.platform.gprs[1], 0xffff_ffff);
}

#[test]
fn a_reader_that_says_it_has_read_the_future_is_told_of_once_a_second() {
    let mut system = System::new();
    system.trace_is = TraceIs::Stopped;
    // One more than the ring has room for.
    for _ in 0..ACCESS_SLOTS {
        assert!(system.access(LOC, 2, 0, 1));
    }
    claim_read(system.memory.access_reader, u64::MAX);
    assert!(!system.access(LOC, 2, 0, 1), "there is no room");
    for _ in 0..20 {
        system.access(LOC, 2, 0, 1);
        system.pass(100 * MS);
    }
    let told = system.lines("error demo: the readers of the VMM's rings misbehave: ");
    assert_eq!(told.len(), 2, "{}", system.screen.0);
}

#[test]
fn an_ended_vm_is_reported_even_without_the_trace_component() {
    let mut system = System::new();
    system.trace_is = TraceIs::Stopped;
    system.pass(500 * MS);
    system.power_off();
    assert_eq!(system.lines("ended: powered off by the guest").len(), 1);
    assert_eq!(system.lines("verdict: ok").len(), 1);
}

#[test]
fn in_a_storm_printed_and_lost_lines_add_up() {
    let mut system = System::new();
    let accesses = 50_000;
    for _ in 0..accesses {
        system.read();
        system.pass(10);
    }
    system.power_off();
    let printed = system.lines(" cpu0 R4 ").len() as u64;
    let lost: u64 = system
        .lines("log lines lost")
        .iter()
        .map(|line| {
            line.split_whitespace()
                .rev()
                .nth(3)
                .unwrap()
                .parse::<u64>()
                .unwrap()
        })
        .sum();
    assert_eq!(printed + lost, accesses, "{}", system.screen.0);
    assert!(
        system.screen.0.len() < 20_000,
        "{} bytes",
        system.screen.0.len()
    );
    assert!(system.screen.0.contains("50000 accesses = 50000 reads"));
    let summary = system.lines("not logged")[0];
    let number = |before: &str| -> u64 {
        let head = summary.split(before).next().unwrap();
        head.split_whitespace().last().unwrap().parse().unwrap()
    };
    assert_eq!(
        number(" not logged") + number(" not printed") + printed,
        accesses
    );
    assert_eq!(number(" overwritten"), accesses - TRACE_SLOTS as u64);
}

#[test]
fn at_fifty_accesses_a_second_each_line_is_out_within_20_ms() {
    let mut system = System::new();
    for access in 1..=200 {
        system.read();
        system.pass(20 * MS);
        assert_eq!(system.lines(" cpu0 R4 ").len(), access);
    }
}

#[test]
fn where_there_is_no_device_reads_give_all_ones_and_are_counted() {
    let mut system = System::new();
    for (log2, ones) in [(0, 0xff), (1, 0xffff), (2, 0xffff_ffff)] {
        assert!(system.access(LOC + 0x100, log2, 0, 1));
        assert_eq!(system.platform.gprs[1], ones);
    }
    assert!(system.access(LOC + 4, 2, 1, 2));
    assert_eq!(system.read(), 0);
    system.pass(20 * MS);
    assert_eq!(
        system.lines("no device").len(),
        1,
        "the log is limited to one a second"
    );
    system.power_off();
    assert!(
        system.screen.0.contains("; 4 outside a device"),
        "{}",
        system.screen.0
    );
}

#[test]
fn what_the_device_does_not_support_follows_the_reference_policy() {
    for (action, running, injected) in [
        (Action::Ignore, true, 0),
        (Action::Fail, true, 1),
        (Action::Abort, false, 0),
    ] {
        let unsupported = Unsupported {
            reference: action,
            ..Unsupported::default()
        };
        let mut system = System::with(&[trace_device(true, None)], unsupported);
        assert_eq!(system.access(LOC, 3, 0, 1), running, "{action:?}");
        assert_eq!(system.platform.injected.len(), injected);
        system.pass(200 * MS);
        assert_eq!(
            system.lines("R8 0xfa000000 not supported").len(),
            1,
            "{}",
            system.screen.0
        );
        assert_eq!(system.lines("verdict: failed").len(), usize::from(!running));
    }
}

#[test]
fn what_the_hardware_does_not_describe_follows_the_instruction_policy() {
    let undescribed = 0x24 << 26 | 0b111;
    let mut system = System::new();
    assert!(system.exit(undescribed, LOC));
    assert_eq!(
        system.platform.injected,
        [external_abort(Direction::Read, LOC)]
    );
    system.pass(20 * MS);
    assert_eq!(system.lines("R? 0xfa000000 not supported").len(), 1);
    let ignore = Unsupported {
        instruction: Action::Ignore,
        ..Unsupported::default()
    };
    let mut system = System::with(&[trace_device(true, None)], ignore);
    assert!(system.exit(undescribed, LOC));
    assert_eq!(
        (system.platform.pc, system.platform.injected.len()),
        (PC + 4, 0)
    );
}

#[test]
fn a_guest_at_the_end_of_its_address_space_goes_on_at_the_start() {
    let ignore = Unsupported {
        instruction: Action::Ignore,
        reference: Action::Ignore,
        register: Action::Ignore,
    };
    let mut system = System::with(&[trace_device(true, None)], ignore);
    let (undescribed, described) = (0x24 << 26 | 0b111, 0x24 << 26 | 1 << 24 | 2 << 22 | 0b111);
    for syndrome in [undescribed, described, 0x17 << 26, 0x18 << 26] {
        let exit = Exit {
            syndrome,
            address: GuestPhysAddr(LOC),
            pc: u64::MAX - 3,
        };
        system.vmm.fault(exit, &mut system.platform);
        assert_eq!(system.platform.pc, 0);
    }
}

#[test]
fn an_unsupported_system_register_is_undefined_to_the_guest() {
    let mut system = System::new();
    assert!(system.exit(0x18 << 26, 0));
    assert_eq!(system.platform.injected, [GuestException::Undefined]);
}

#[test]
fn extensions_that_the_vm_does_not_have_are_undefined_to_the_guest() {
    // SIMD, pointer authentication, SVE.
    for class in [0x07, 0x09, 0x19] {
        let mut system = System::new();
        assert!(system.exit(class << 26 | 1 << 25, 0));
        assert_eq!(system.platform.injected, [GuestException::Undefined]);
    }
}

#[test]
fn a_cpu_that_suspends_itself_waits_and_goes_on_with_success() {
    let mut system = System::new();
    assert!(!system.hypercall(0xc400_0001, 0));
    system.pass(100 * MS);
    assert!(system.platform.running);
    assert_eq!((system.platform.gprs[0], system.platform.pc), (0, PC));
}

#[test]
fn a_vm_whose_only_cpu_is_off_has_ended() {
    let mut system = System::new();
    assert!(!system.hypercall(0x8400_0002, 0));
    system.pass(200 * MS);
    assert_eq!(system.lines("ended: powered off by the guest").len(), 1);
}

/// EC of a trapped WFI.
const WFI: u64 = 0x01 << 26;

/// The VM after these instructions, of which the last but one, at [`PC`], was WFI.
fn waiting(code: &[u32], pstate: u64) -> System {
    let mut system = System::new();
    system.platform.pstate = pstate;
    let first = (PC - RAM) as usize - 4 * (code.len() - 2);
    for (place, word) in system.platform.ram[first..]
        .as_chunks_mut::<4>()
        .0
        .iter_mut()
        .zip(code)
    {
        *place = word.to_le_bytes();
    }
    assert!(!system.exit(WFI, 0));
    system.pass(100 * MS);
    system
}

// Arm ARM C6.2: WFI, NOP, DSB SY, ISB, B to an instruction so many before.
const WFI_CODE: u32 = 0xd503_207f;
const NOP: u32 = 0xd503_201f;
const DSB_SY: u32 = 0xd503_3f9f;
const ISB: u32 = 0xd503_3fdf;
const fn b_back(instructions: u32) -> u32 {
    0x1400_0000 | (0x0400_0000 - instructions)
}

#[test]
fn a_loop_of_wfi_that_nothing_ends_ends_the_vm() {
    for code in [
        &[WFI_CODE, b_back(1)][..],
        &[DSB_SY, WFI_CODE, b_back(2)],
        &[DSB_SY, ISB, NOP, NOP, WFI_CODE, b_back(5)],
        // What stands before the loop is not part of it.
        &[0, WFI_CODE, b_back(1)],
    ] {
        let system = waiting(code, EL1H);
        assert!(!system.platform.running, "{code:x?}");
        let line =
            "fatal demo: ended: halted with interrupts off at pc 0x40080000: nothing wakes it";
        assert_eq!(system.lines(line).len(), 1, "{code:x?}");
    }
}

#[test]
fn a_wait_that_something_may_end_or_that_does_more_goes_on() {
    // ldr w0, [x1]; wfe would do no harm, cbz x0, . - 4; bl . - 4; b . + 4; b .
    let load = 0xb940_0020;
    for code in [
        &[WFI_CODE, NOP][..],
        &[load, WFI_CODE, b_back(2)],
        &[WFI_CODE, 0xb4ff_ffe0],
        &[WFI_CODE, 0x97ff_ffff],
        &[WFI_CODE, 0x1400_0001],
        &[WFI_CODE, 0x1400_0000],
        &[NOP, NOP, NOP, NOP, NOP, WFI_CODE, b_back(6)],
    ] {
        let system = waiting(code, EL1H);
        assert!(system.platform.running, "{code:x?}");
        assert_eq!(system.platform.pc, PC + 4);
    }
    // One of DAIF is not masked; or the program is one at EL0.
    for pstate in [EL1H & !(1 << 9), EL1H & !(1 << 6), EL1H & !0xf] {
        assert!(waiting(&[WFI_CODE, b_back(1)], pstate).platform.running);
    }
}

#[test]
fn a_guest_that_only_waits_is_told_of_once_until_it_does_something() {
    let mut system = System::new();
    let waits = |system: &mut System, wakes: u64| {
        for _ in 0..wakes {
            assert!(!system.exit(WFI, 0));
            system.pass(100 * MS);
        }
    };
    // An access or a call in between: it is not idle.
    for step in 0..10 {
        waits(&mut system, 20);
        if step % 2 == 0 {
            system.read();
        } else {
            assert!(system.hypercall(0x8400_0000, 0));
        }
    }
    assert_eq!(system.lines("only waits").len(), 0);
    waits(&mut system, 200);
    assert_eq!(
        system
            .lines("warn  demo: the guest only waits for interrupts, for 5 s")
            .len(),
        1
    );
    system.read();
    waits(&mut system, 60);
    assert_eq!(system.lines("only waits").len(), 2);
}

#[test]
fn a_flood_of_exceptions_is_one_message_a_second_and_the_numbers_add_up() {
    let mut system = System::new();
    for _ in 0..3_000 {
        assert!(system.exit(0x18 << 26, 0));
        system.pass(MS);
    }
    system.power_off();
    let told: Vec<u64> = system
        .lines("exceptions given")
        .iter()
        .map(|line| line.split_whitespace().nth(4).unwrap().parse().unwrap())
        .collect();
    assert!(told.len() <= 4, "{told:?}");
    assert_eq!(told.iter().sum::<u64>(), 3_000);
}

#[test]
fn the_zero_register_reads_as_zero_and_takes_nothing() {
    let mut system = System::new();
    system.write(9);
    assert!(system.access(LOC, 2, 1, 31));
    assert_eq!(system.read(), 0);
    let before = system.platform.gprs;
    assert!(system.access(LOC, 2, 0, 31));
    assert_eq!(system.platform.gprs, before);
}

#[test]
fn a_reset_clears_the_counter_and_starts_the_guest_again() {
    let mut system = System::new();
    system.pass(3 * HZ);
    system.write(55);
    system.platform.ram[0] = 1;
    assert!(system.hypercall(0x8400_0009, 0));
    assert_eq!(system.platform.starts, [PC, PC]);
    assert_eq!(system.platform.ram[0], 0);
    system.pass(20 * MS);
    assert_eq!(system.read(), 0);
    system.pass(20 * MS);
    let last = *system.traced().last().unwrap();
    assert_eq!((last.sequence, last.epoch), (2, 1));
    assert_eq!(system.lines("reset, epoch 1").len(), 1);
}

#[test]
fn waiting_for_an_interrupt_sleeps_until_something_happens() {
    let mut system = System::new();
    assert!(!system.exit(0x01 << 26, 0));
    system.pass(100 * MS);
    assert!(system.platform.running);
    assert_eq!(system.platform.pc, PC + 4);
}

#[test]
fn what_the_guest_prints_is_a_line_with_its_name_and_no_control_characters() {
    let mut system = System::new();
    system.say("hello\x1b[2J\nverdict: ok\nno end of line");
    system.power_off();
    let printed: Vec<_> = system
        .lines("demo| ")
        .iter()
        .map(|line| &line[14..])
        .collect();
    assert_eq!(
        printed,
        [
            "demo| hello?[2J",
            "demo| verdict: ok",
            "demo| no end of line"
        ]
    );
    assert_eq!(
        system
            .screen
            .0
            .lines()
            .filter(|line| *line == "verdict: ok")
            .count(),
        1
    );
}

#[test]
fn a_line_that_does_not_go_on_is_shown_and_again_whole_when_it_does() {
    let mut system = System::new();
    system.say("hello\n> ");
    system.pass(400 * MS);
    let guests = |system: &System| -> Vec<String> {
        let lines = system.lines("demo| ").into_iter();
        lines.map(|line| line[14..].to_owned()).collect()
    };
    assert_eq!(guests(&system), ["demo| hello", "demo| > "]);
    system.pass(HZ);
    assert_eq!(system.lines("demo| ").len(), 2, "it is shown once");
    system.say("ls\nno more\n\nend");
    system.pass(400 * MS);
    let rest = ["demo| > ls", "demo| no more", "demo| ", "demo| end"];
    assert_eq!(guests(&system)[2..], rest);
    // The end of what stands there whole adds nothing.
    system.say("\n");
    system.pass(400 * MS);
    system.power_off();
    assert_eq!(system.lines("demo| ").len(), 6);
}

#[test]
fn a_line_that_goes_on_slowly_is_shown_when_it_has_ended() {
    let mut system = System::new();
    for _ in 0..30 {
        system.say(".");
        system.pass(50 * MS);
    }
    assert!(system.lines("demo| ").is_empty(), "{}", system.screen.0);
    system.say("\n");
    system.pass(200 * MS);
    assert_eq!(system.lines("demo| ").len(), 1);
}

#[test]
fn a_guest_that_waits_for_its_serial_port_loses_no_character() {
    let mut system = System::new();
    let mut waits = 0;
    for number in 0..4_000 {
        for byte in format!("{number:05}\n").bytes() {
            while {
                assert!(system.access(UART + 0x18, 2, 0, 5));
                system.platform.gprs[5] & 1 << 5 != 0
            } {
                waits += 1;
                system.pass(10 * MS);
            }
            system.platform.gprs[4] = byte.into();
            assert!(system.access(UART, 2, 1, 4));
        }
    }
    system.power_off();
    assert!(waits > 0, "the test never filled the port");
    // Its share of the line takes a while to print what is left; then it has ended.
    let mut passed = 0;
    while system.lines("demo: ended").is_empty() {
        system.pass(100 * MS);
        passed += 1;
        assert!(passed < 100, "its end never comes");
    }
    assert_eq!(system.lines("demo| ").len(), 4_000);
}

#[test]
fn a_guest_that_does_not_wait_loses_its_own_characters_and_they_are_counted() {
    let mut system = System::new();
    for _ in 0..40_000 {
        system.platform.gprs[4] = b'x'.into();
        assert!(system.access(UART, 2, 1, 4));
    }
    system.pass(5 * HZ);
    system.power_off();
    let printed: usize = system
        .lines("demo| ")
        .iter()
        .map(|line| line.matches('x').count())
        .sum();
    let lost: usize = system
        .lines("characters of the guest lost")
        .iter()
        .map(|line| {
            line.split_whitespace()
                .nth(4)
                .unwrap()
                .parse::<usize>()
                .unwrap()
        })
        .sum();
    assert_eq!(printed + lost, 40_000);
}

#[test]
fn a_guest_that_fails_ends_with_its_code_and_a_bad_verdict() {
    let mut system = System::new();
    assert!(!system.hypercall(0xc600_0000, 7));
    system.pass(200 * MS);
    assert_eq!(
        system.lines("the guest says that it failed, code 7").len(),
        1
    );
    assert_eq!(system.lines("verdict: failed").len(), 1);
}
