//! Does to its VM's GIC and timer what no well-behaved guest does, and then shows that its VM still answers: by an
//! interrupt that it sends to itself, and one of its timer.
//!
//! Keys: `how=` what: `walk` writes a walk of patterns to every word of the distributor and of the CPU interface's
//! first page; `sgis` sends SGIs to itself as fast as it can; `overdue` sets its timer to the beginning of time and
//! does not acknowledge its interrupt; `seconds=` for how long (default 3).
//!
//! Run by the attacks `guest-writes-all-of-its-gic` and its neighbours. Arm IHI 0048B 4.3, 4.4.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::iter;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use guest::clock::{Clock, Instant};
use guest::gic::{self, VIRTUAL_TIMER, gicc, gicd};
use guest::interrupts::{self, Input};
use guest::{Outcome, Start, check, cpu, say, virtual_timer};

guest::program!(run);

/// INTIDs from here on say that there is no interrupt, or none of this group.
const SPECIAL: u32 = 1020;
/// GICD_SGIR.TargetListFilter: the CPU that asks.
const TO_ITSELF: u32 = 0b10 << 24;
/// Later than any interrupt of this program's can be.
const PATIENCE: Duration = Duration::from_secs(2);

static TAKEN: AtomicU64 = AtomicU64::new(0);
/// By the counter, when `overdue` is over.
static UNTIL: AtomicU64 = AtomicU64::new(0);
static IS_OVER: AtomicBool = AtomicBool::new(false);

fn run(start: &Start) -> Outcome {
    let seconds = start.cmdline.optional_number("seconds")?.unwrap_or(3);
    let clock = &start.clock;
    let until = clock.after(clock.now(), Duration::from_secs(seconds));
    match start.cmdline.value("how") {
        Some("sgis") => send_sgis(until, clock),
        Some("overdue") => leave_the_timer_overdue(until, clock),
        _ => walk(until, clock),
    }
    begin_anew();
    live_on(clock);
    Ok(())
}

/// Nobody takes an interrupt meanwhile.
fn walk(until: Instant, clock: &Clock) {
    let patterns = [0, u32::MAX, 0xaaaa_aaaa, 1, !1, 0x0101_0101, 0x00ff_00ff];
    let mut rounds = 0;
    while rounds == 0 || clock.now() < until {
        for pattern in patterns {
            for word in 0..0x400 {
                // Each word gets another bit of it first.
                let value = u32::rotate_left(pattern, word + rounds);
                gic::set_distributor(4 * u64::from(word), value);
                gic::set_cpu(4 * u64::from(word), value);
            }
        }
        rounds += 1;
    }
    say!("each word written {} times", patterns.len() as u32 * rounds);
}

fn send_sgis(until: Instant, clock: &Clock) {
    interrupts::handle_with(end);
    gic::enable(0);
    interrupts::unmask();
    let mut sent = 0_u64;
    for sgi in (0..16).cycle() {
        gic::set_distributor(gicd::SGIR, TO_ITSELF | sgi);
        sent += 1;
        if clock.now() >= until {
            break;
        }
    }
    interrupts::mask();
    say!("{sent} SGIs sent, {} taken", TAKEN.load(Ordering::Relaxed));
}

/// Acknowledges an interrupt and ends it. The timer's is pending as long as its line is high, so it is switched off
/// only between the two.
fn end(_: Input) {
    let intid = gic::cpu(gicc::IAR);
    if intid < SPECIAL {
        virtual_timer::stop();
        gic::set_cpu(gicc::EOIR, intid);
        TAKEN.fetch_add(1, Ordering::Relaxed);
    }
}

/// The interrupt is there again as soon as its handler returns, so the handler alone can end it. To wait for one costs
/// its VMM an exit.
fn leave_the_timer_overdue(until: Instant, clock: &Clock) {
    UNTIL.store(until.ticks(), Ordering::Relaxed);
    interrupts::handle_with(|input| {
        cpu::wait_for_interrupt();
        if cpu::counter() >= UNTIL.load(Ordering::Relaxed) {
            end(input);
            IS_OVER.store(true, Ordering::Relaxed);
        }
        TAKEN.fetch_add(1, Ordering::Relaxed);
    });
    gic::enable(VIRTUAL_TIMER);
    virtual_timer::fire_at_ticks(0);
    interrupts::unmask();
    while !IS_OVER.load(Ordering::Relaxed) {
        check!(clock.since(until) < PATIENCE, "it does not interrupt");
    }
    interrupts::mask();
    say!(
        "taken {} times before it was acknowledged",
        TAKEN.load(Ordering::Relaxed)
    );
}

/// Nothing enabled, pending or active, all in group 0. What was on its way is acknowledged, of both groups.
fn begin_anew() {
    virtual_timer::stop();
    gic::clear();
    // EnableGrp0, EnableGrp1, AckCtl.
    gic::set_cpu(gicc::CTLR, 0b111);
    let left = iter::repeat_with(|| gic::cpu(gicc::IAR)).take_while(|intid| *intid < SPECIAL);
    for intid in left.take(1024) {
        gic::set_cpu(gicc::EOIR, intid);
    }
    gic::set_cpu(gicc::CTLR, 1);
}

/// An SGI and the timer's interrupt come as to anybody.
fn live_on(clock: &Clock) {
    interrupts::handle_with(end);
    for intid in [3, VIRTUAL_TIMER] {
        let before = TAKEN.load(Ordering::Relaxed);
        gic::enable(intid);
        let began = clock.now();
        match intid {
            VIRTUAL_TIMER => virtual_timer::fire_at(clock.after(began, Duration::from_millis(5))),
            sgi => gic::set_distributor(gicd::SGIR, TO_ITSELF | sgi),
        }
        while TAKEN.load(Ordering::Relaxed) == before {
            check!(clock.since(began) < PATIENCE, "interrupt {intid} is lost");
            cpu::wait_for_interrupt();
            interrupts::let_in();
        }
    }
    say!("its VM still answers");
}
