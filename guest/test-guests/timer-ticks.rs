//! Counts the ticks of its own timer beside the seconds of the trace device: a hundred a second, each set from the
//! one before, for a minute.
//!
//! Keys: `trace=` address of the location; `seconds=` how long (default 60).

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use guest::clock::Clock;
use guest::interrupts::{self, Input};
use guest::ticks::TickWatch;
use guest::{Outcome, Start, check, cpu, gic, say, virtual_timer};

guest::program!(run);

const HZ: u64 = 100;
/// 50 ms.
const TOLERANCE: u64 = HZ / 20;

static TICKS: AtomicU64 = AtomicU64::new(0);
/// When the next comes, and how many of the counter's are between two.
static NEXT: AtomicU64 = AtomicU64::new(0);
static PERIOD: AtomicU64 = AtomicU64::new(0);

fn run(start: &Start) -> Outcome {
    let mut location = start.trace_location("trace")?;
    let seconds = start.cmdline.optional_number("seconds")?.unwrap_or(60);
    let clock = &start.clock;
    let mut watch = TickWatch::start(&mut location, clock);
    watch.wait_closely(&mut location, clock);
    let first = location.read();
    begin(clock);
    interrupts::unmask();
    // It looks after each of its own ticks, and so sees a second up to one late.
    let mut told = 0;
    while told < seconds {
        cpu::wait_for_interrupt();
        let (passed, ticks) = (
            u64::from(location.read().wrapping_sub(first)),
            TICKS.load(Ordering::Relaxed),
        );
        if passed == told {
            continue;
        }
        told = passed;
        let off = ticks.abs_diff(passed * HZ);
        check!(off <= TOLERANCE, "{ticks} ticks in {passed} s");
        if passed % 10 == 0 {
            say!("{ticks} ticks of 10 ms in {passed} s");
        }
    }
    Ok(())
}

fn begin(clock: &Clock) {
    interrupts::handle_with(timer);
    let now = clock.now();
    let period = clock.after(now, Duration::from_secs(1)).ticks_since(now) / HZ;
    PERIOD.store(period, Ordering::Relaxed);
    NEXT.store(now.ticks() + period, Ordering::Relaxed);
    set_next();
    gic::enable(gic::VIRTUAL_TIMER);
}

fn set_next() {
    virtual_timer::fire_at_ticks(NEXT.load(Ordering::Relaxed));
}

fn timer(_: Input) {
    let intid = gic::cpu(gic::gicc::IAR);
    if intid == gic::SPURIOUS {
        return;
    }
    check!(intid == gic::VIRTUAL_TIMER, "interrupt {intid}");
    TICKS.store(TICKS.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    NEXT.store(
        NEXT.load(Ordering::Relaxed) + PERIOD.load(Ordering::Relaxed),
        Ordering::Relaxed,
    );
    set_next();
    gic::set_cpu(gic::gicc::EOIR, intid);
}
