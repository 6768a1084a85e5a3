//! The protection domains: what each maps, what it may do besides, and when it runs.
//!
//! Invariant: a part that serves all VMs maps each VM's regions at the same places of a window of
//! its own; a VMM, which is one program for all VMs, knows its own regions by VM 0's names.
//!
//! Priorities: whoever a guest must not be able to hold up runs above its vCPU, which on a PC runs
//! at its VMM's priority. Where several VMMs share the CPU the trace component and the console run
//! below them, so that who notifies them without end spends its own share (`pd-monitor/src/shares.rs`).

use crate::regions::{hex, ram_name, rom_name};
use crate::xml::{Attribute, Xml};
use crate::{System, Trigger, Uart, of_vm};
use oversight::Part;
use std::fmt::Display;
use vm_components::{GIC_CPU_INTERFACE, channel};

/// Where the first region of a domain is mapped, and of each further VM's in a domain that serves
/// all.
const REGIONS: u64 = 0x1000_0000;
const WINDOW: u64 = 0x100_0000;
/// Where a VMM maps its guest's image, and its guest's address 0.
const GUEST_IMAGE: u64 = 0x2000_0000;
const GUEST_MEMORY: u64 = 0x10_0000_0000;

const STACK: &str = "0x20000";

/// When a domain runs: its priority, and the budget of each period, in microseconds.
struct Time {
    priority: u64,
    budget_and_period: Option<(u64, u64)>,
}

/// What all VMMs together may use of [`SHARE_PERIOD`] above the vCPUs.
const SHARES: u64 = 2300;
const SHARE_PERIOD: u64 = 4000;
/// The priority of a vCPU that is scheduled by itself.
const VCPU: u64 = 100;

fn time(system: &System<'_>, part: Part) -> Time {
    let at = |priority| Time {
        priority,
        budget_and_period: None,
    };
    let every = |priority, budget, period| Time {
        budget_and_period: Some((budget, period)),
        ..at(priority)
    };
    let (is_pc, has_shares) = (system.is_pc(), system.has_shares());
    match part {
        // Above all: it measures a PC's counter before anybody reads it.
        Part::Monitor => at(250),
        // Most of its period, though it uses next to nothing of it: `pd-clock` says why.
        Part::Clock => every(240, 9000, 10_000),
        // For the same reason; it runs once when it is asked to.
        Part::Alarm => every(240, 900, 1000),
        Part::Trace => at(if has_shares { 150 } else { 230 }),
        // The period is the time in which the line sends what a port's FIFO holds, 16 characters:
        // while the console waits, the guest runs.
        Part::Console if is_pc => every(220, 1200, 1400),
        Part::Console => at(if has_shares { 140 } else { 220 }),
        Part::Vmm(_) if is_pc => at(VCPU),
        Part::Vmm(_) if has_shares => every(210, SHARES / system.vms.len() as u64, SHARE_PERIOD),
        Part::Vmm(_) => at(210),
        Part::Share(_) => at(211),
        // Its whole period, so that it is never made to wait.
        Part::Idle => every(1, 1_000_000, 1_000_000),
    }
}

pub(crate) fn write(xml: &mut Xml, system: &System<'_>) {
    open(xml, system, Part::Monitor);
    monitor(xml, system);
    // The kernel names a VMM's share by its domain's place: they come first.
    for vm in system.numbers() {
        open(xml, system, Part::Vmm(vm));
        vmm(xml, system, vm);
        xml.close();
    }
    open(xml, system, Part::Trace);
    trace(xml, system);
    xml.close();
    open(xml, system, Part::Console);
    console(xml, system);
    xml.close();
    for part in others(system) {
        open(xml, system, part);
        xml.close();
    }
    xml.close();
}

/// Those that map nothing.
fn others(system: &System<'_>) -> Vec<Part> {
    let mut others = vec![Part::Clock];
    if system.has_shares() {
        others.extend(system.numbers().map(Part::Share));
    }
    if !system.is_pc() {
        others.extend([Part::Alarm, Part::Idle]);
    }
    others
}

/// Begins a domain and names its program.
fn open(xml: &mut Xml, system: &System<'_>, part: Part) {
    let (name, number) = (part.name(), part.number());
    let Time {
        priority,
        budget_and_period,
    } = time(system, part);
    let mut attributes: Vec<Attribute<'_>> = vec![("name", &name)];
    if part != Part::Monitor {
        attributes.push(("id", &number));
    }
    attributes.push(("priority", &priority));
    if let Some((budget, period)) = &budget_and_period {
        attributes.extend([("budget", budget as &dyn Display), ("period", period)]);
    }
    if !others(system).contains(&part) {
        attributes.push(("stack_size", &STACK));
    }
    attributes.push(("fpu", &"false"));
    xml.open("protection_domain", &attributes);
    let program = match part {
        Part::Vmm(_) => Part::Vmm(0).name(),
        Part::Share(_) => Part::Share(0).name(),
        part => part.name(),
    };
    xml.leaf("program_image", &[("path", &program)]);
}

fn monitor(xml: &mut Xml, system: &System<'_>) {
    let mut at = Mapper::new(xml, REGIONS);
    at.map(0, "monitor_ring", "rw");
    at.map(0x1_0000, "monitor_reader", "r");
    at.map(0x1_8000, "report", "rw");
    at.map(0x2_0000, "life_vmm", "r");
    at.map(0x2_1000, "life_trace", "r");
    at.map(0x2_2000, "life_console", "r");
    for vm in system.numbers().skip(1) {
        at.map(0x2_3000 + 0x1000 * vm as u64, &of_vm("life_vmm", vm), "r");
    }
    if system.is_pc() {
        at.map(0x3_0000, "clock_page", "rw");
    }
    uart(&mut at, 0x3_0000, system, Part::Monitor);
    if system.is_pc() {
        // The interval timer, by which it measures the counter (Intel 8254; the gate is a bit of
        // port 0x61).
        at.ports(1, 0x42, 2, None, "interval_timer");
        at.ports(2, 0x61, 1, None, "interval_timer_gate");
    }
    // What each has consumed: scheduling contexts, each in the slot after its number.
    xml.open("cspace", &[]);
    let parts = [Part::Trace, Part::Console, Part::Monitor].into_iter();
    let parts = parts.chain(system.numbers().map(Part::Vmm));
    for part in parts.chain(others(system)) {
        let (slot, name) = (part.slot_of_time(), part.name());
        xml.leaf("cap_sc", &[("slot", &slot), ("pd", &name)]);
    }
    xml.close();
}

fn vmm(xml: &mut Xml, system: &System<'_>, vm: usize) {
    let mut at = Mapper::new(xml, REGIONS);
    let mut own = |at_: u64, region: &str, perms| {
        at.map_as(at_, &of_vm(region, vm), perms, region);
    };
    own(0, "config", "r");
    own(0x1_0000, "access_ring", "rw");
    own(0x3_0000, "access_reader", "r");
    own(0x3_1000, "state_page", "r");
    own(0x4_0000, "console_ring", "rw");
    own(0x5_0000, "console_reader", "r");
    own(0x5_1000, "input_ring", "r");
    own(0x5_2000, "input_reader", "rw");
    at.map_as(0x6_0000, &of_vm("life_vmm", vm), "rw", "life");
    at.map_as(0x6_8000, &of_vm("kept_vmm", vm), "rw", "kept");
    if system.is_pc() {
        at.map(0x7_0000, "clock_page", "r");
    }
    let symbols: [Attribute<'_>; 2] = [
        ("setvar_vaddr", &"guest_images"),
        ("setvar_prefill_size", &"guest_images_len"),
    ];
    Mapper::new(xml, GUEST_IMAGE).map_with(0, &of_vm("guest_images", vm), "r", &symbols);
    let ram = &system.vms[vm].ram;
    for (range, number) in ram.iter().zip(0..) {
        let len_symbol = ram_name(0, number) + "_len";
        let mut symbols: Vec<Attribute<'_>> = vec![("setvar_size", &len_symbol)];
        if number == 0 {
            symbols.push(("setvar_vaddr", &"guest_ram"));
        }
        let mut at = Mapper::new(xml, GUEST_MEMORY);
        at.map_with(range.base, &ram_name(vm, number), "rw", &symbols);
    }
    let mut attributes: Vec<Attribute<'_>> = vec![("name", &system.vms[vm].name)];
    if !system.is_pc() {
        attributes.push(("priority", &VCPU));
    }
    xml.open("virtual_machine", &attributes);
    xml.leaf("vcpu", &[("id", &0)]);
    for (range, number) in ram.iter().zip(0..) {
        Mapper::new(xml, 0).map_with(range.base, &ram_name(vm, number), "rwx", &[]);
    }
    for (range, number) in system.vms[vm].rom.iter().zip(0..) {
        for (base, _) in range.blocks() {
            Mapper::new(xml, 0).map_with(base, &rom_name(vm, number), "rx", &[]);
        }
    }
    if system.virtual_cpu_interface().is_some() {
        let of_a_device: [Attribute<'_>; 1] = [("cached", &"false")];
        Mapper::new(xml, 0).map_with(GIC_CPU_INTERFACE, "gic_cpu", "rw", &of_a_device);
    }
    xml.close();
}

fn trace(xml: &mut Xml, system: &System<'_>) {
    for vm in system.numbers() {
        let mut at = Mapper::new(xml, REGIONS + WINDOW * vm as u64);
        at.map(0, &of_vm("config", vm), "r");
        at.map(0x1_0000, &of_vm("access_ring", vm), "r");
        at.map(0x3_0000, &of_vm("access_reader", vm), "rw");
        at.map(0x3_1000, &of_vm("state_page", vm), "rw");
        at.map(0x4_0000, &of_vm("log_ring", vm), "rw");
        at.map(0x6_0000, &of_vm("log_reader", vm), "r");
        at.map(0x10_0000, &of_vm("trace_ring", vm), "rw");
    }
    let mut at = Mapper::new(xml, REGIONS);
    at.map_as(0x7_0000, "life_trace", "rw", "life");
    at.map_as(0xa_0000, "kept_trace", "rw", "kept");
    if system.is_pc() {
        at.map(0x8_0000, "clock_page", "r");
    }
}

fn console(xml: &mut Xml, system: &System<'_>) {
    for vm in system.numbers() {
        let mut at = Mapper::new(xml, REGIONS + WINDOW * vm as u64);
        at.map(0, &of_vm("config", vm), "r");
        at.map(0x1_0000, &of_vm("log_ring", vm), "r");
        at.map(0x3_0000, &of_vm("log_reader", vm), "rw");
        at.map(0x4_0000, &of_vm("console_ring", vm), "r");
        at.map(0x5_0000, &of_vm("console_reader", vm), "rw");
        at.map(0x5_1000, &of_vm("input_ring", vm), "rw");
        at.map(0x5_2000, &of_vm("input_reader", vm), "r");
    }
    let mut at = Mapper::new(xml, REGIONS);
    at.map(0x6_0000, "monitor_ring", "r");
    at.map(0x7_0000, "monitor_reader", "rw");
    at.map_as(0x8_0000, "life_console", "rw", "life");
    at.map(0x8_1000, "report", "r");
    at.map_as(0xa_0000, "kept_console", "rw", "kept");
    if system.is_pc() {
        at.map(0x9_0000, "clock_page", "r");
    }
    uart(&mut at, 0x9_0000, system, Part::Console);
    // On a PC nothing is received yet.
    if let Some((_, registers)) = system.board.uart.mapped() {
        let typed = channel::console::TYPED.0;
        let mut line: Vec<Attribute<'_>> = vec![("irq", &registers.interrupt), ("id", &typed)];
        if registers.trigger == Trigger::Edge {
            line.push(("trigger", &"edge"));
        }
        xml.leaf("irq", &line);
    }
}

/// A board's UART, whose driver is chosen by the name of the variable that is told its place. Of a
/// PC's two the monitor has its own.
fn uart(at: &mut Mapper<'_>, offset: u64, system: &System<'_>, whose: Part) {
    if let Uart::Ports { console, monitor } = system.board.uart {
        let first = if whose == Part::Monitor {
            monitor
        } else {
            console
        };
        at.ports(0, first, 8, Some("uart_16550"), "uart_16550_id");
    }
    if let Some((symbol, _)) = system.board.uart.mapped() {
        let of_a_device: [Attribute<'_>; 2] = [("cached", &"false"), ("setvar_vaddr", &symbol)];
        at.map_with(offset, "uart", "rw", &of_a_device);
    }
}

/// Writes what a domain maps, from an address on.
struct Mapper<'a> {
    xml: &'a mut Xml,
    base: u64,
}

impl<'a> Mapper<'a> {
    fn new(xml: &'a mut Xml, base: u64) -> Self {
        Self { xml, base }
    }

    /// Maps a region and tells the variable of its name where.
    fn map(&mut self, offset: u64, region: &str, perms: &str) {
        self.map_as(offset, region, perms, region);
    }

    fn map_as(&mut self, offset: u64, region: &str, perms: &str, symbol: &str) {
        self.map_with(offset, region, perms, &[("setvar_vaddr", &symbol)]);
    }

    fn map_with(&mut self, offset: u64, region: &str, perms: &str, more: &[Attribute<'_>]) {
        let at = hex(self.base + offset);
        let what: [Attribute<'_>; 3] = [("mr", &region), ("vaddr", &at), ("perms", &perms)];
        self.xml.leaf("map", &[&what, more].concat());
    }

    /// Gives I/O ports, and tells the variables where they begin and which they are.
    fn ports(&mut self, id: u8, first: u16, count: u16, told: Option<&str>, id_told: &str) {
        let first = hex(first.into());
        let mut attributes: Vec<Attribute<'_>> =
            vec![("id", &id), ("addr", &first), ("size", &count)];
        if let Some(told) = &told {
            attributes.push(("setvar_addr", told));
        }
        attributes.push(("setvar_id", &id_told));
        self.xml.leaf("ioport", &attributes);
    }
}
