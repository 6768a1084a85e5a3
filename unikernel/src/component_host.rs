//! Hosts the components: the unikernel's stand-in for the Microkit.
//!
//! `main` runs once, on the host's stack; `guest_exit` on the same stack, afresh, for each
//! exit, with interrupts masked. Components run to completion, one at a time; a component
//! that is signalled runs as soon as none of higher priority wants to, and the guest runs
//! when no component does.
//!
//! ```text
//!   priority   component   signalled by
//!      3       Trace       clock (10 ms), VMM
//!      2       Console     clock (100 ms), Trace, VMM
//!      1       Vmm         clock (100 ms), Trace; and the guest's exits
//!      0       the guest
//! ```
//!
//! Invariant: the guest runs only between two complete turns of everybody, so what a
//! component left in shared memory is there before the guest can look.

use crate::arch::boot::Machine as Board;
use crate::arch::el1_context::El1Context;
use crate::arch::guest_ram::GuestRam;
use crate::arch::stage2::Stage2;
use crate::arch::vcpu::{self, ExitKind, Vcpu};
use crate::arch::{self, clock, gic, memory_map, power, uart};
use crate::{print_line, rings};
use a64_guest::stage1::Regime;
use guest_trap::{Gpr, GuestPhysAddr};
use hermit_sync::ExclusiveCell;
use spin::Once;
use vm_components::{
    Channel, ChannelSet, Clock, Console, Exit, GuestException, Host, Machine, Output, StackPointer,
    Trace, Vmm, channel,
};
use vm_config::VmConfig;

/// The clock wakes the components other than `Trace` at every so many of its wake-ups.
const SLOW_WAKEUPS: u64 = 100 / clock::WAKEUP_PERIOD_MS;
/// The only VM of this platform.
const VM: u8 = 0;

static STAGE2: Once<Stage2> = Once::new();
static VCPU: ExclusiveCell<Vcpu> = ExclusiveCell::new(Vcpu::new());
static HOST: ExclusiveCell<Option<ComponentHost>> = ExclusiveCell::new(None);

/// The components and what they have been told.
pub struct ComponentHost {
    vmm: Vmm,
    trace: Trace,
    console: Console,
    platform: Platform,
    wakeups: u64,
    /// How long the components other than the VMM have run, in ticks.
    spent: Spent,
}

#[derive(Default)]
struct Spent {
    trace: u64,
    console: u64,
}

/// What the components can reach of the machine, the vCPU aside.
struct Platform {
    ram: GuestRam,
    guest: GuestIs,
    pending: Pending,
    /// Somebody was signalled or the guest is held: the guest must not run yet. One flag,
    /// so that an exit that changes neither costs one test.
    unsettled: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum GuestIs {
    Runnable,
    Held,
}

/// Signals that have not been handled yet.
#[derive(Default)]
struct Pending {
    trace: ChannelSet,
    console: ChannelSet,
    vmm: ChannelSet,
}

/// A component as the platform sees it while it runs: who it is decides where its channels
/// lead, as the channels in `system.xml` do.
struct TraceHost<'a>(&'a mut Pending);
struct ConsoleHost;
struct VmmHost<'a> {
    platform: &'a mut Platform,
    vcpu: &'a mut Vcpu,
}

impl Host for TraceHost<'_> {
    fn now(&mut self) -> u64 {
        clock::now()
    }

    fn notify(&mut self, to: Channel) {
        if to == channel::trace::CONSOLE {
            self.0.console.insert(channel::console::TRACE);
        } else if to == channel::trace::vmm(VM) {
            self.0.vmm.insert(channel::vmm::TRACE);
        }
    }
}

impl Host for ConsoleHost {
    fn now(&mut self) -> u64 {
        clock::now()
    }

    // The console signals nobody.
    fn notify(&mut self, _: Channel) {}
}

impl Output for ConsoleHost {
    fn write(&mut self, bytes: &[u8]) {
        uart::write(bytes);
    }
}

impl Host for VmmHost<'_> {
    #[inline(always)]
    fn now(&mut self) -> u64 {
        clock::now()
    }

    #[inline(always)]
    fn notify(&mut self, to: Channel) {
        self.platform.unsettled = true;
        let pending = &mut self.platform.pending;
        if to == channel::vmm::TRACE {
            pending.trace.insert(channel::trace::vmm(VM));
        } else if to == channel::vmm::CONSOLE {
            pending.console.insert(channel::console::vmm(VM));
        }
    }
}

impl Machine for VmmHost<'_> {
    #[inline(always)]
    fn gpr(&mut self, register: Gpr) -> u64 {
        self.vcpu.gpr(register.number())
    }

    fn set_gpr(&mut self, register: Gpr, value: u64) {
        self.vcpu.set_gpr(register.number(), value);
    }

    fn stack_pointer(&mut self, which: StackPointer) -> u64 {
        vcpu::stack_pointer(which)
    }

    fn set_stack_pointer(&mut self, which: StackPointer, value: u64) {
        vcpu::set_stack_pointer(which, value);
    }

    fn vector(&mut self, number: u8) -> Option<u128> {
        Some(vcpu::vector(number))
    }

    fn set_vector(&mut self, number: u8, value: u128) {
        vcpu::set_vector(number, value);
    }

    fn pstate(&mut self) -> u64 {
        self.vcpu.pstate()
    }

    fn stage1(&mut self) -> Regime {
        vcpu::stage1()
    }

    fn fault_address(&mut self) -> Option<u64> {
        Some(vcpu::far())
    }

    #[inline(always)]
    fn resume(&mut self, pc: u64, result: Option<(Gpr, u64)>) {
        if let Some((register, value)) = result {
            self.vcpu.set_gpr(register.number(), value);
        }
        self.vcpu.set_pc(pc);
        self.platform.guest = GuestIs::Runnable;
    }

    fn hold(&mut self) {
        self.platform.guest = GuestIs::Held;
        self.platform.unsettled = true;
    }

    fn inject(&mut self, exception: GuestException) {
        self.vcpu.inject(exception);
        self.platform.guest = GuestIs::Runnable;
    }

    fn start(&mut self, entry: u64, x0: u64, x1: u64) {
        // The image came as data; the guest fetches it.
        arch::invalidate_instruction_cache();
        El1Context::RESET.load();
        self.vcpu.reset(entry);
        self.vcpu.set_gpr(0, x0);
        self.vcpu.set_gpr(1, x1);
        self.platform.guest = GuestIs::Runnable;
    }

    fn read_ram(&mut self, address: GuestPhysAddr, bytes: &mut [u8]) -> bool {
        self.platform.ram.read(address.0, bytes).is_ok()
    }

    fn write_ram(&mut self, address: GuestPhysAddr, bytes: &[u8]) -> bool {
        self.platform.ram.write(address.0, bytes).is_ok()
    }

    fn clear_ram(&mut self) {
        self.platform.ram.clear();
    }
}

/// Sets the VM and its components up and runs the guest.
pub fn main(board: Board) -> ! {
    let blob = memory_map::compiled_configuration();
    let config = VmConfig::parse(blob).unwrap_or_else(|error| {
        power::off_because(format_args!("the compiled configuration: {error}"))
    });
    let image = usize::try_from(config.image_len_bytes()).ok();
    let image = image.and_then(|len| memory_map::guest_elf().get(..len));
    let image = image.unwrap_or_else(|| {
        power::off_because(format_args!(
            "the guest's image has {} bytes, but there is room for {}",
            config.image_len_bytes(),
            memory_map::guest_elf().len()
        ))
    });
    let clock = Clock {
        hz: clock::frequency_hz(),
        start_ticks: clock::now(),
    };
    let platform = Platform {
        ram: guest_ram(&config, &board),
        guest: GuestIs::Held,
        pending: Pending::default(),
        unsettled: true,
    };
    let Some((vcpu, host)) = VCPU.take().zip(HOST.take()) else {
        unreachable!("main runs once");
    };
    let host = host.insert(ComponentHost::new(config, image, clock, platform, vcpu));
    host.settle(vcpu);
    vcpu.host = core::ptr::from_mut(host).cast();
    // SAFETY: `guest_ram` activated the VM's stage 2, and `start`, which alone makes the
    // guest runnable first, loaded its EL1 registers.
    unsafe { vcpu.enter() }
}

/// Gives the VM its RAM, in its stage 2 and for its VMM.
fn guest_ram(config: &VmConfig<'_>, board: &Board) -> GuestRam {
    let mut ranges = config.ram();
    let (Some(range), None) = (ranges.next(), ranges.next()) else {
        power::off_because("this platform takes exactly one range of RAM in a VM's configuration")
    };
    let len = range.len_bytes as usize;
    if len > board.guest_ram.len() {
        power::off_because(format_args!(
            "the VM wants {len:#x} bytes of RAM, but there are {:#x} for guests: give QEMU a \
             larger -m",
            board.guest_ram.len()
        ));
    }
    let host = board.guest_ram.start..board.guest_ram.start + len;
    let mut stage2 = Stage2::new(1);
    // SAFETY: it is RAM for guests, and this VM is the only one.
    let mapped = unsafe { stage2.map(range.base as usize, host.start, len) };
    mapped.unwrap_or_else(|error| power::off_because(error));
    STAGE2.call_once(|| stage2).activate();
    // SAFETY: mapped RW by `paging`; this is its only user.
    unsafe { GuestRam::new(range.base, host) }
}

impl ComponentHost {
    fn new(
        config: VmConfig<'static>,
        image: &'static [u8],
        clock: Clock,
        mut platform: Platform,
        vcpu: &mut Vcpu,
    ) -> Self {
        let mut machine = VmmHost {
            platform: &mut platform,
            vcpu,
        };
        Self {
            vmm: Vmm::init(VM, config, image, rings::VMM, clock, &mut machine),
            trace: Trace::init(&[(rings::TRACE_PORT, config)], clock, clock.start_ticks),
            console: Console::init(&[(rings::CONSOLE_PORT, config)], None, clock),
            platform,
            wakeups: 0,
            spent: Spent::default(),
        }
    }

    /// Lets components run until all have handled their signals and the guest may run.
    #[cold]
    fn settle(&mut self, vcpu: &mut Vcpu) {
        loop {
            let pending = &mut self.platform.pending;
            if !pending.trace.is_empty() {
                let channels = core::mem::take(&mut pending.trace);
                let began = clock::now();
                self.trace.notified(channels, &mut TraceHost(pending));
                self.spent.trace += clock::now() - began;
            } else if !pending.console.is_empty() {
                let channels = core::mem::take(&mut pending.console);
                let began = clock::now();
                self.console
                    .notified(channels, &mut ConsoleHost, &mut ConsoleHost);
                self.spent.console += clock::now() - began;
                self.end_if_over();
            } else if !pending.vmm.is_empty() {
                let channels = core::mem::take(&mut pending.vmm);
                let mut machine = VmmHost {
                    platform: &mut self.platform,
                    vcpu,
                };
                self.vmm.notified(channels, &mut machine);
            } else if self.platform.guest == GuestIs::Held {
                gic::wait_for_interrupt();
                self.wake_up();
            } else {
                self.platform.unsettled = false;
                return;
            }
        }
    }

    /// The clock: signals the components whose time has come.
    fn wake_up(&mut self) {
        if !gic::acknowledge_wakeup() {
            return;
        }
        self.platform.unsettled = true;
        let pending = &mut self.platform.pending;
        pending.trace.insert(channel::trace::CLOCK);
        self.wakeups += 1;
        if self.wakeups.is_multiple_of(SLOW_WAKEUPS) {
            pending.console.insert(channel::console::CLOCK);
            pending.vmm.insert(channel::vmm::CLOCK);
        }
    }

    fn end_if_over(&self) {
        if let Some(verdict) = self.console.verdict() {
            print_line!(
                "unikernel: trace ran {} ticks, console {} ticks, of {} Hz",
                self.spent.trace,
                self.spent.console,
                clock::frequency_hz()
            );
            uart::write(verdict.line().as_bytes());
            power::off();
        }
    }
}

/// What `assembly` calls for each exit; returns the vCPU to run next.
pub extern "C" fn guest_exit(vcpu: &'static mut Vcpu, kind: ExitKind) -> &'static mut Vcpu {
    // The floor of the benchmark: what a trap costs that only moves the PC on.
    #[cfg(feature = "bench-floor")]
    if kind == ExitKind::Synchronous
        && vcpu::hpfar() << 8 == 0xfa00_0000
        && vcpu::esr() >> 26 == 0x24
    {
        vcpu.set_pc(vcpu.pc() + 4);
        return vcpu;
    }
    // SAFETY: `main` set it, before the guest first ran, to the host that it took exclusively
    // and leaked; exits do not nest, so there is no second reference.
    let host = unsafe { &mut *vcpu.host.cast::<ComponentHost>() };
    match kind {
        ExitKind::Synchronous => {
            let exit = Exit {
                syndrome: vcpu::esr(),
                address: GuestPhysAddr(vcpu::fault_guest_physical()),
                pc: vcpu.pc(),
            };
            let mut machine = VmmHost {
                platform: &mut host.platform,
                vcpu,
            };
            // `Vmm::fault` in two halves: a machine that the short way alone sees stays in
            // registers.
            if !host.vmm.complete_access(exit, &mut machine) {
                let mut machine = VmmHost {
                    platform: &mut host.platform,
                    vcpu,
                };
                host.vmm.other_exit(exit, &mut machine);
            }
        }
        ExitKind::Irq => host.wake_up(),
        ExitKind::Fiq | ExitKind::SError => panic!("{kind:?} while the guest ran"),
    }
    if host.platform.unsettled {
        host.settle(vcpu);
    }
    vcpu
}
