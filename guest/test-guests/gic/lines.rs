//! Interrupts that are as long pending as their line is high: the virtual timer's, and a PL031's.

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use guest::clock::{Clock, Wait};
use guest::driver::TraceLocation;
use guest::gic::{self, VIRTUAL_TIMER, gicc, gicd};
use guest::interrupts::{self, Input};
use guest::{check, cpu, virtual_timer};

use crate::states::acknowledge;

/// The line of the board's PL031, and of a VM's with `intr gic:34`.
const ALARM: u32 = 34;
/// Later than an alarm can be.
const PATIENCE: Duration = Duration::from_secs(3);

/// What WFI may take longer than it should, on a busy host.
const LATE: Duration = Duration::from_millis(50);

static TAKEN: AtomicU32 = AtomicU32::new(0);

pub(crate) fn check_timer(clock: &Clock) {
    virtual_timer::stop();
    check!(!gic::bit(gicd::ISPENDR, VIRTUAL_TIMER), "it has fired");
    gic::set_bit(gicd::ISENABLER, VIRTUAL_TIMER);
    let soon = clock.after(clock.now(), Duration::from_millis(2));
    virtual_timer::fire_at(soon);
    acknowledge(gicc::IAR, 1023);
    clock.wait_until(soon, Wait::Busy);
    // An emulator may take its time to see that.
    while !virtual_timer::is_due() {
        check!(clock.since(soon) < PATIENCE, "it is not due");
    }
    // As long as it is, it comes again, whatever is written.
    for _ in 0..3 {
        gic::set_bit(gicd::ICPENDR, VIRTUAL_TIMER);
        acknowledge(gicc::IAR, VIRTUAL_TIMER);
        gic::set_cpu(gicc::EOIR, VIRTUAL_TIMER);
    }
    acknowledge(gicc::IAR, VIRTUAL_TIMER);
    virtual_timer::mask();
    gic::set_cpu(gicc::EOIR, VIRTUAL_TIMER);
    acknowledge(gicc::IAR, 1023);
    check!(
        !gic::bit(gicd::ISPENDR, VIRTUAL_TIMER),
        "its mask does nothing"
    );
    check_sleep(clock);
}

/// WFI ends with it, whether the CPU lets it in or not.
fn check_sleep(clock: &Clock) {
    for masked in [true, false] {
        interrupts::handle_with(|_| {
            let intid = gic::cpu(gicc::IAR);
            virtual_timer::stop();
            gic::set_cpu(gicc::EOIR, intid);
            TAKEN.store(intid, Ordering::Relaxed);
        });
        TAKEN.store(0, Ordering::Relaxed);
        let soon = clock.after(clock.now(), Duration::from_millis(5));
        virtual_timer::fire_at(soon);
        if !masked {
            interrupts::unmask();
        }
        while clock.now() < soon {
            cpu::wait_for_interrupt();
        }
        let late = clock.since(soon);
        check!(late < LATE, "{} us late", late.as_micros());
        interrupts::let_in();
        let taken = TAKEN.load(Ordering::Relaxed);
        check!(taken == VIRTUAL_TIMER, "{taken} was taken");
    }
}

/// Its match is the next second. PL031 TRM, DDI 0224.
pub(crate) fn check_alarm(mut time: TraceLocation, clock: &Clock) {
    let [mut matches, mut mask, mut clear] = [0x04, 0x10, 0x1c].map(|offset| time.further(offset));
    clear.write(1);
    gic::set_bit(gicd::ISENABLER, ALARM);
    for round in 0..2 {
        acknowledge(gicc::IAR, 1023);
        matches.write(time.read().wrapping_add(1));
        mask.write(1);
        let began = clock.now();
        while gic::cpu(gicc::HPPIR) == 1023 {
            check!(clock.since(began) < PATIENCE, "no alarm in {PATIENCE:?}");
            cpu::wait_for_interrupt();
        }
        acknowledge(gicc::IAR, ALARM);
        // High still, then low before the end.
        gic::set_cpu(gicc::EOIR, ALARM);
        acknowledge(gicc::IAR, ALARM);
        match round {
            0 => clear.write(1),
            _ => mask.write(0),
        }
        gic::set_cpu(gicc::EOIR, ALARM);
        acknowledge(gicc::IAR, 1023);
    }
    interrupts::handle_with(|_: Input| {});
    clear.write(1);
}
