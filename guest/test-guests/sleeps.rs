//! Sleeps a thousand times for a millisecond, by its timer's interrupt and WFI, and says how long that took; then
//! for some seconds by longer sleeps.
//!
//! Keys: `sleeps=` how many short ones (default 1000); `mean_us=` the most that they may take on average
//! (default 3000); `long=` how many of a quarter of a second follow (default 0).

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use guest::clock::Clock;
use guest::interrupts::{self, Input};
use guest::{Outcome, Start, check, cpu, gic, say, virtual_timer};

guest::program!(run);

static INTERRUPTS: AtomicU64 = AtomicU64::new(0);

fn run(start: &Start) -> Outcome {
    let number = |key, default| Ok(start.cmdline.optional_number(key)?.unwrap_or(default));
    let (sleeps, mean_us, long) = (
        number("sleeps", 1000)?,
        number("mean_us", 3000)?,
        number("long", 0)?,
    );
    let clock = &start.clock;
    interrupts::handle_with(timer);
    gic::enable(gic::VIRTUAL_TIMER);

    let (mut worst_us, mut waits) = (0, 0);
    let began = clock.now();
    for _ in 0..sleeps {
        let (late_us, times) = sleep(clock, Duration::from_millis(1));
        worst_us = worst_us.max(late_us);
        waits += times;
    }
    let taken_us = clock.since(began).as_micros() as u64 / sleeps.max(1);
    say!(
        "{sleeps} sleeps of 1 ms: {taken_us} us on average, {worst_us} us late at most, {waits} WFIs"
    );
    check!(taken_us <= mean_us, "{taken_us} us on average");
    for _ in 0..long {
        let (late_us, _) = sleep(clock, Duration::from_millis(250));
        worst_us = worst_us.max(late_us);
    }
    let interrupts = INTERRUPTS.load(Ordering::Relaxed);
    check!(interrupts == sleeps + long, "{interrupts} interrupts");
    say!("{worst_us} us late at most");
    Ok(())
}

/// How late it was in microseconds, and how often it waited.
fn sleep(clock: &Clock, time: Duration) -> (u64, u64) {
    let before = INTERRUPTS.load(Ordering::Relaxed);
    let until = clock.after(clock.now(), time);
    virtual_timer::fire_at(until);
    let mut waits = 0;
    while INTERRUPTS.load(Ordering::Relaxed) == before {
        // Masked, so that none comes between the look and WFI; a pending one ends WFI all the same.
        cpu::wait_for_interrupt();
        waits += 1;
        interrupts::let_in();
    }
    (clock.since(until).as_micros() as u64, waits)
}

fn timer(_: Input) {
    let intid = gic::cpu(gic::gicc::IAR);
    if intid == gic::SPURIOUS {
        return;
    }
    check!(intid == gic::VIRTUAL_TIMER, "interrupt {intid}");
    virtual_timer::stop();
    gic::set_cpu(gic::gicc::EOIR, intid);
    INTERRUPTS.store(INTERRUPTS.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}
