//! Hosts the components: the unikernel's stand-in for the Microkit.
//!
//! `main` runs once, on the host's stack, until the first guest runs; `guest_exit` on the same stack,
//! afresh, for each exit, with interrupts masked. Components run to completion, one at a time; a component
//! that is signalled runs as soon as none of higher priority wants to, and a guest runs
//! when no component does.
//!
//! ```text
//!   priority   component          signalled by
//!      3       Trace              clock (10 ms), VMMs
//!      2       Console            clock (100 ms), Trace, VMMs, the UART
//!      1       Vmm, one a VM      clock (100 ms), Trace, Console; and its guest's exits
//!      0       the guests         take turns, which end with a wake-up of the clock
//! ```
//!
//! A guest that waits for its timer is woken at that time, in the middle of another one's turn: for a
//! millisecond at most, and once in a millisecond; then the other's turn goes on. So nobody is late by more, and
//! nobody gets more by sleeping.
//!
//! One VM at a time is in the CPU, and its VMM and RAM are `ComponentHost`'s own; a VMM runs only
//! while its VM is there. So the path of an access knows one VM, however many there are.
//!
//! Invariant: a guest runs only between two complete turns of everybody, so what a
//! component left in shared memory is there before the guest can look.

use crate::arch::boot::Machine as Board;
use crate::arch::guest_ram::GuestRam;
use crate::arch::{SavedVm, Vcpu, acknowledge_wakeup, clock, power, uart, wait_for_interrupt};
use crate::components::{Console, Trace, Vmm};
use crate::places::{self, Guests};
use crate::{print_line, report, rings, vm_parts};
use guest_access::GuestPhysAddr;
use heapless::Vec;
use hermit_sync::ExclusiveCell;
use oversight::{CpuLine, Laps, Spender};
use vm_components::{Channel, ChannelSet, Clock, Host, MAX_VMS, Machine, Output, channel};
use vm_config::VmConfig;

/// The clock wakes the components other than `Trace` at every so many of its wake-ups.
const SLOW_WAKEUPS: u64 = 100 / clock::WAKEUP_PERIOD_MS;

/// How often in a second a guest that sleeps may interrupt another one's turn, and for how long.
const INTERRUPTIONS_HZ: u64 = 1000;

static VCPU: ExclusiveCell<Vcpu> = ExclusiveCell::new(Vcpu::new());
static HOST: ExclusiveCell<Option<ComponentHost>> = ExclusiveCell::new(None);

/// The components and what they have been told. What an access touches comes first, within
/// reach of one instruction.
#[repr(C)]
pub struct ComponentHost {
    /// Of the VM that is in the CPU, as is `platform.vm`.
    pub(crate) vmm: Vmm,
    pub(crate) platform: Platform,
    /// Where that VM goes when another one's turn begins.
    saved: SavedVm,
    waiting: Vec<WaitingVm, MAX_VMS>,
    turn: Turn,
    trace: Trace,
    console: Console,
    wakeups: u64,
    /// Who had the CPU for how long.
    laps: Laps,
    /// The VMs' names, by number.
    names: Vec<&'static str, MAX_VMS>,
}

/// A VM that is not in the CPU.
struct WaitingVm {
    vmm: Vmm,
    vm: Vm,
    saved: SavedVm,
}

/// What a VMM can reach of its VM, the vCPU aside.
pub struct Vm {
    number: u8,
    pub(crate) ram: GuestRam,
    pub(crate) guest: GuestIs,
    /// When the guest, if it is held, wants to be woken.
    wake_at: Option<u64>,
    /// When it may interrupt another one's turn again.
    may_interrupt_from: u64,
}

/// Which guest may run.
struct Turn {
    vm: u8,
    began: u64,
    is_over: bool,
    /// Of a guest that was woken by its timer: when it is over, and whose turn that has interrupted.
    interrupts: Option<Interrupted>,
}

/// A turn that goes on when the one is over which has interrupted it.
#[derive(Clone, Copy)]
struct Interrupted {
    until: u64,
    vm: u8,
    began: u64,
}

impl Vm {
    /// When its guest, which waits, is to be woken.
    fn alarm(&self) -> Option<u64> {
        let at = self.wake_at.filter(|_| self.guest == GuestIs::Held)?;
        Some(at.max(self.may_interrupt_from))
    }
}

/// What interrupts said, to the host.
#[derive(Clone, Copy, Default)]
pub struct Woken {
    /// A period of the clock is over.
    pub by_clock: bool,
    /// The timer of the guest in the CPU has fired.
    pub by_guest_timer: bool,
}

/// What the VMM in the CPU can reach of the machine, the vCPU aside, and what it and the other
/// components tell the platform.
pub struct Platform {
    pub(crate) vm: Vm,
    pending: Pending,
    /// Somebody was signalled, the guest is held or its turn is over: it must not run yet. One
    /// flag, so that an exit that changes none of it costs one test.
    pub(crate) unsettled: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum GuestIs {
    Runnable,
    Held,
}

/// Signals that have not been handled yet.
#[derive(Default)]
struct Pending {
    trace: ChannelSet,
    console: ChannelSet,
    vmm: [ChannelSet; MAX_VMS],
}

impl Pending {
    /// Signals the VMM of one VM, by that channel of the VMM's.
    fn signal_vmm(&mut self, by: Channel, is_it: impl Fn(u8) -> bool) {
        let mut vms = self.vmm.iter_mut().zip(0..);
        if let Some((channels, _)) = vms.find(|(_, vm)| is_it(*vm)) {
            channels.insert(by);
        }
    }

    /// A VM's timer has fired, or may have.
    fn tell_of_timer(&mut self, number: u8) {
        self.signal_vmm(channel::vmm::TIMER, |vm| vm == number);
    }

    /// A VM whose VMM was signalled, and its signals.
    fn take_vmm(&mut self) -> Option<(u8, ChannelSet)> {
        let mut vms = self.vmm.iter_mut().zip(0..);
        let (channels, number) = vms.find(|(channels, _)| !channels.is_empty())?;
        Some((number, core::mem::take(channels)))
    }
}

/// A component as the platform sees it while it runs: who it is decides where its channels
/// lead, as the channels in `system.xml` do.
struct TraceHost<'a>(&'a mut Pending);
struct ConsoleHost<'a>(&'a mut Pending);
/// The serial line.
struct Line;
pub struct VmmHost<'a> {
    pub(crate) platform: &'a mut Platform,
    pub(crate) vcpu: &'a mut Vcpu,
    /// When the guest stopped, for an exit that is answered at once: that is the time of its
    /// record. Otherwise the clock is read.
    pub(crate) stopped_at: Option<u64>,
}

impl Host for TraceHost<'_> {
    fn now(&mut self) -> u64 {
        clock::now()
    }

    fn notify(&mut self, to: Channel) {
        if to == channel::trace::CONSOLE {
            self.0.console.insert(channel::console::TRACE);
            return;
        }
        self.0
            .signal_vmm(channel::vmm::TRACE, |vm| to == channel::trace::vmm(vm));
    }
}

impl Host for ConsoleHost<'_> {
    fn now(&mut self) -> u64 {
        clock::now()
    }

    fn notify(&mut self, to: Channel) {
        self.0
            .signal_vmm(channel::vmm::CONSOLE, |vm| to == channel::console::vmm(vm));
    }
}

impl Output for Line {
    fn write(&mut self, bytes: &[u8]) {
        uart::write(bytes);
    }
}

impl Host for VmmHost<'_> {
    #[inline(always)]
    fn now(&mut self) -> u64 {
        match self.stopped_at {
            Some(ticks) => ticks,
            None => clock::now(),
        }
    }

    #[inline(always)]
    fn notify(&mut self, to: Channel) {
        self.platform.unsettled = true;
        let pending = &mut self.platform.pending;
        if to == channel::vmm::TRACE {
            pending
                .trace
                .insert(channel::trace::vmm(self.platform.vm.number));
        } else if to == channel::vmm::CONSOLE {
            let vm = channel::console::vmm(self.platform.vm.number);
            pending.console.insert(vm);
        }
    }
}

impl Machine for VmmHost<'_> {
    #[inline(always)]
    fn proceed(&mut self, pc: u64) {
        self.vcpu.proceed(pc);
        self.platform.vm.guest = GuestIs::Runnable;
    }

    fn wake_at(&mut self, deadline: Option<u64>) {
        self.platform.vm.wake_at = deadline;
    }

    fn hold(&mut self) {
        self.platform.vm.wake_at = None;
        self.platform.vm.guest = GuestIs::Held;
        self.platform.unsettled = true;
    }

    fn read_ram(&mut self, address: GuestPhysAddr, bytes: &mut [u8]) -> bool {
        self.platform.vm.ram.read(address.0, bytes).is_ok()
    }

    fn write_ram(&mut self, address: GuestPhysAddr, bytes: &[u8]) -> bool {
        self.platform.vm.ram.write(address.0, bytes).is_ok()
    }

    fn clear_ram(&mut self) {
        self.platform.vm.ram.clear();
    }
}

/// Sets the VMs and the components up. Returns the vCPU that runs first; its VM is in the CPU.
pub fn main(board: Board) -> &'static mut Vcpu {
    let clock = Clock {
        hz: clock::frequency_hz(),
        start_ticks: clock::now(),
    };
    let Some((vcpu, host)) = VCPU.take().zip(HOST.take()) else {
        unreachable!("main runs once");
    };
    let host = host.insert(ComponentHost::new(board.guests, clock, vcpu));
    vcpu.begin_exit(clock::now());
    host.settle(vcpu);
    vcpu.host = core::ptr::from_mut(host).cast();
    // `settle` returned with a VM in the CPU that may run.
    vcpu
}

impl ComponentHost {
    /// Starts every VM. The last one stays in the CPU; VM 0 has the first turn.
    fn new(guests: Guests, clock: Clock, vcpu: &mut Vcpu) -> Self {
        let configs = vm_parts::configurations();
        let mut images = places::guest_images(&guests);
        let mut free = guests.ram;
        let mut pending = Pending::default();
        let mut started: Vec<WaitingVm, MAX_VMS> = Vec::new();
        let mut laps = Laps::begin(clock.start_ticks);
        for (config, kept) in configs.iter().zip(rings::kept_vmms()) {
            let region = vm_parts::next_images(config, &mut images);
            let (ram, stage2) = vm_parts::next_ram(config, &mut free);
            let mut saved = SavedVm::new(stage2);
            saved.restore(vcpu);
            let vm = Vm {
                number: config.vm(),
                ram,
                guest: GuestIs::Held,
                wake_at: None,
                may_interrupt_from: 0,
            };
            let mut platform = Platform {
                vm,
                pending,
                unsettled: true,
            };
            let mut machine = VmmHost {
                platform: &mut platform,
                vcpu,
                stopped_at: None,
            };
            let ports = rings::vmm(config.vm());
            let vmm = Vmm::init(*config, region, ports, kept, clock, &mut machine);
            saved.save(vcpu);
            let Platform { vm, .. } = platform;
            pending = platform.pending;
            laps.lap(Spender::Vmm(config.vm()), clock::now());
            // There is room for as many as `configs` has.
            let _ = started.push(WaitingVm { vmm, vm, saved });
        }
        let Some(WaitingVm { vmm, vm, saved }) = started.pop() else {
            unreachable!("`configurations` does not return without one");
        };
        saved.restore(vcpu);
        let traced = configs
            .iter()
            .map(|config| (rings::trace(config.vm()), *config));
        let printed = configs
            .iter()
            .map(|config| (rings::console(config.vm()), *config));
        Self {
            trace: Trace::init(traced, rings::kept_trace(), clock, clock.start_ticks),
            console: Console::init(printed, None, rings::kept_console(), clock),
            vmm,
            platform: Platform {
                vm,
                pending,
                unsettled: true,
            },
            saved,
            waiting: started,
            turn: Turn {
                vm: 0,
                began: clock.start_ticks,
                is_over: false,
                interrupts: None,
            },
            wakeups: 0,
            laps,
            names: configs.iter().map(VmConfig::name).collect(),
        }
    }

    /// Lets components run until all have handled their signals and the guest in the CPU may
    /// run.
    #[cold]
    pub(crate) fn settle(&mut self, vcpu: &mut Vcpu) {
        let now = clock::now();
        let exits = vcpu.end_exit(now);
        self.laps.guest_ran(self.platform.vm.number, exits, now);
        loop {
            let pending = &mut self.platform.pending;
            if !pending.trace.is_empty() {
                let channels = core::mem::take(&mut pending.trace);
                self.trace.notified(channels, &mut TraceHost(pending));
                self.laps.lap(Spender::Trace, clock::now());
            } else if !pending.console.is_empty() {
                let channels = core::mem::take(&mut pending.console);
                let mut host = ConsoleHost(pending);
                if channels.contains(channel::console::TYPED)
                    || channels.contains(channel::console::CLOCK)
                {
                    let typed = self.console.typed(&mut uart::Keyboard, &mut host);
                    uart::listen(typed);
                }
                self.console.notified(channels, &mut host, &mut Line);
                self.laps.lap(Spender::Console, clock::now());
                self.end_if_over();
            } else if let Some((number, channels)) = pending.take_vmm() {
                self.switch_to(number, vcpu);
                let mut machine = VmmHost {
                    platform: &mut self.platform,
                    vcpu,
                    stopped_at: None,
                };
                self.vmm.notified(channels, &mut machine);
                self.laps.lap(Spender::Vmm(number), clock::now());
            } else if let Some(number) = self.whose_turn() {
                self.switch_to(number, vcpu);
                self.platform.unsettled = false;
                clock::wake_by(self.next_alarm());
                let now = clock::now();
                self.laps.lap(Spender::Others, now);
                vcpu.begin_exit(now);
                return;
            } else {
                clock::wake_by(self.next_alarm());
                wait_for_interrupt();
                self.laps.lap(Spender::Idle, clock::now());
                self.wake_up();
            }
        }
    }

    /// The VM that may run: the one whose turn it is, or else the next that wants to.
    fn whose_turn(&mut self) -> Option<u8> {
        if self.turn.is_over || !self.is_runnable(self.turn.vm) {
            if let Some(interrupted) = self.turn.interrupts.take()
                && self.is_runnable(interrupted.vm)
            {
                self.turn.vm = interrupted.vm;
                self.turn.began = interrupted.began;
                self.turn.is_over = false;
                return Some(self.turn.vm);
            }
            let vms = self.waiting.len() as u8 + 1;
            let mut others = (1..=vms).map(|step| (self.turn.vm + step) % vms);
            let next = others.find(|&vm| self.is_runnable(vm))?;
            self.turn = Turn {
                vm: next,
                began: clock::now(),
                is_over: false,
                interrupts: None,
            };
        }
        Some(self.turn.vm)
    }

    /// All VMs, the one in the CPU first.
    fn vms(&self) -> impl Iterator<Item = &Vm> {
        let waiting = self.waiting.iter().map(|waiting| &waiting.vm);
        core::iter::once(&self.platform.vm).chain(waiting)
    }

    fn is_runnable(&self, number: u8) -> bool {
        let mut vms = self.vms();
        vms.any(|vm| vm.number == number && vm.guest == GuestIs::Runnable)
    }

    /// Puts a VM into the CPU in place of the one that is there.
    fn switch_to(&mut self, number: u8, vcpu: &mut Vcpu) {
        let mut others = self.waiting.iter_mut();
        if let Some(next) = others.find(|waiting| waiting.vm.number == number) {
            self.saved.save(vcpu);
            core::mem::swap(&mut self.vmm, &mut next.vmm);
            core::mem::swap(&mut self.platform.vm, &mut next.vm);
            core::mem::swap(&mut self.saved, &mut next.saved);
            self.saved.restore(vcpu);
        }
    }

    /// When the clock has to wake the host, if not at the end of the period: a guest's time has come, or a turn
    /// is over that has interrupted another.
    fn next_alarm(&self) -> Option<u64> {
        let guests = self.vms().filter_map(Vm::alarm);
        guests.chain(self.turn.interrupts.map(|it| it.until)).min()
    }

    /// An interrupt. The UART's signals the console; a guest's timer's, its VMM. The clock's signals the components
    /// whose time has come, and ends the guest's turn. A turn that began late, because the components were
    /// busy, goes on until the next time.
    pub(crate) fn wake_up(&mut self) {
        let woken = acknowledge_wakeup();
        if uart::is_typed() {
            self.platform.unsettled = true;
            let console = &mut self.platform.pending.console;
            console.insert(channel::console::TYPED);
        }
        self.wake_guests(woken.by_guest_timer);
        if !woken.by_clock {
            return;
        }
        self.platform.unsettled = true;
        self.turn.is_over = clock::now() - self.turn.began >= clock::wakeup_period() / 2;
        let pending = &mut self.platform.pending;
        pending.trace.insert(channel::trace::CLOCK);
        self.wakeups += 1;
        if self.wakeups.is_multiple_of(SLOW_WAKEUPS) {
            pending.console.insert(channel::console::CLOCK);
            // One for each VM, from 0 on without a gap.
            for channels in pending.vmm.iter_mut().take(self.waiting.len() + 1) {
                channels.insert(channel::vmm::CLOCK);
            }
        }
    }

    /// Tells the VMMs of timers that have fired.
    fn wake_guests(&mut self, by_guest_timer: bool) {
        let now = clock::now();
        let Platform {
            vm,
            pending,
            unsettled,
        } = &mut self.platform;
        if by_guest_timer {
            pending.tell_of_timer(vm.number);
            *unsettled = true;
        }
        if self.turn.interrupts.is_some_and(|turn| turn.until <= now) {
            self.turn.is_over = true;
            *unsettled = true;
        }
        let waiting = self.waiting.iter_mut().map(|waiting| &mut waiting.vm);
        for vm in core::iter::once(vm).chain(waiting) {
            if vm.alarm().is_none_or(|alarm| alarm > now) {
                continue;
            }
            vm.wake_at = None;
            pending.tell_of_timer(vm.number);
            *unsettled = true;
            let turn = &mut self.turn;
            if turn.vm != vm.number && turn.interrupts.is_none() {
                let until = now + clock::frequency_hz() / INTERRUPTIONS_HZ;
                vm.may_interrupt_from = until;
                turn.interrupts = Some(Interrupted {
                    until,
                    vm: core::mem::replace(&mut turn.vm, vm.number),
                    began: core::mem::replace(&mut turn.began, now),
                });
                turn.is_over = false;
            }
        }
    }

    fn end_if_over(&self) {
        if let Some(verdict) = self.console.verdict() {
            let hz = clock::frequency_hz();
            let vms = self.names.len();
            let spent = |by: &dyn Fn(u8) -> u64| core::array::from_fn(|vm| by(vm as u8));
            let trace = spent(&|vm| self.trace.spent_ticks(vm));
            let console = spent(&|vm| self.console.spent_ticks(vm));
            let cpu = self.laps.table(vms, hz, trace, console);
            report::cpu(&cpu);
            let name = |vm: usize| self.names.get(vm).copied().unwrap_or("?");
            print_line!("{}", CpuLine { cpu: &cpu, name });
            print_line!(
                "unikernel: trace ran {} ticks, console {} ticks, of {hz} Hz",
                self.laps.trace_ticks(),
                self.laps.console_ticks()
            );
            report::verdict(verdict);
            uart::write(verdict.line().as_bytes());
            power::off();
        }
    }
}
