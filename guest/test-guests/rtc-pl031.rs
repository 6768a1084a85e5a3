//! Holds a PL031 against its manual, register by register, by all that a guest can see of it.
//!
//! Runs in a VM with `vdev pl031`, and on a bare machine that has one; what holds of one only is not
//! checked. An alarm may be late by less than a second, as QEMU's is when it was set within one.
//!
//! Keys: `rtc=` address of the device; `time=` the time at which it began, in seconds since 1970.
//!
//! ARM PrimeCell Real Time Clock (PL031) TRM, DDI 0224, chapter 3.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::time::Duration;
use guest::{
    Outcome, Start, check,
    clock::{Clock, Wait},
    driver::TraceLocation,
    say,
    ticks::{CLOSELY, TickWatch, check_on_second},
};

guest::program!(run);

/// How old a clock may be when the guest begins.
const BEGINNING: u32 = 600;
/// Longer than an alarm can be away here.
const PATIENCE: Duration = Duration::from_secs(6);
/// A time that is far from all others here.
const FAR: u32 = 0x5a5a_5a5a;

struct Rtc {
    dr: TraceLocation,
    mr: TraceLocation,
    lr: TraceLocation,
    cr: TraceLocation,
    imsc: TraceLocation,
    ris: TraceLocation,
    mis: TraceLocation,
    icr: TraceLocation,
    ids: [TraceLocation; 8],
}

fn run(start: &Start) -> Outcome {
    let dr = start.trace_location("rtc")?;
    let began = start.cmdline.number("time")? as u32;
    let mut rtc = Rtc {
        mr: dr.further(0x004),
        lr: dr.further(0x008),
        cr: dr.further(0x00c),
        imsc: dr.further(0x010),
        ris: dr.further(0x014),
        mis: dr.further(0x018),
        icr: dr.further(0x01c),
        ids: [0xfe0, 0xfe4, 0xfe8, 0xfec, 0xff0, 0xff4, 0xff8, 0xffc]
            .map(|offset| dr.further(offset)),
        dr,
    };
    let clock = &start.clock;
    rtc.check_identification();
    rtc.check_beginning(began);
    say!("it is a PL031, and began at {began}");
    rtc.check_time(clock);
    rtc.check_what_can_only_be_read();
    rtc.check_masks(clock);
    say!("each register reads and writes as it should");
    rtc.check_alarm(clock);
    rtc.check_alarm_at_once(clock);
    rtc.check_wrap(clock);
    say!("alarms come when the time reaches them");
    Ok(())
}

impl Rtc {
    fn check_identification(&mut self) {
        let ids = self.ids.each_mut().map(TraceLocation::read);
        check!(ids.iter().all(|id| *id < 0x100), "an id of {ids:x?}");
        let (peripheral, cell) = ids.split_at(4);
        let whole = |bytes: &[u32]| bytes.iter().rev().fold(0, |id, byte| id << 8 | byte);
        let (peripheral, cell) = (whole(peripheral), whole(cell));
        // Part number and designer; the revision is not the same everywhere.
        check!(
            peripheral & 0xf_ffff == 0x4_1031,
            "the peripheral's id is {peripheral:#x}"
        );
        check!(cell == 0xb105_f00d, "the cell's id is {cell:#x}");
    }

    fn check_beginning(&mut self, began: u32) {
        let time = self.dr.read();
        check!(
            time.wrapping_sub(began) < BEGINNING,
            "the time is {time}, and was {began}"
        );
        let control = self.cr.read();
        check!(control == 1, "control is {control:#x}");
        self.check_interrupt(0, 0, 0);
    }

    /// It counts seconds from what it was set to, and cannot be stopped.
    fn check_time(&mut self, clock: &Clock) {
        self.tick(clock);
        // Not 0, the match.
        for time in [FAR, 1, 1_000_000_000] {
            self.lr.write(time);
            let [found, loaded] = [self.dr.read(), self.lr.read()];
            check!(found == time, "{found} after a load of {time}");
            check!(loaded == time, "loaded is {loaded}, not {time}");
        }
        let mut watch = TickWatch::start(&mut self.dr, clock);
        let first = watch.wait_closely(&mut self.dr, clock);
        self.cr.write(0);
        for _ in 0..3 {
            let tick = watch.wait_closely(&mut self.dr, clock);
            check!(tick.advance == 1, "advanced by {}", tick.advance);
            check_on_second(clock, first, tick);
        }
        let control = self.cr.read();
        check!(control == 1, "control is {control:#x} after a 0");
    }

    fn check_what_can_only_be_read(&mut self) {
        let before = self.dr.read();
        self.dr.write(FAR);
        let after = self.dr.read();
        check!(after.wrapping_sub(before) <= 1, "{before}, then {after}");
        self.ris.write(1);
        self.mis.write(1);
        self.check_interrupt(0, 0, 0);
        self.ids.iter_mut().for_each(|id| id.write(0xff));
        self.check_identification();
        let clear = self.icr.read();
        check!(clear == 0, "the interrupt's clear reads as {clear:#x}");
        let mut nothing = self.dr.further(0x020);
        nothing.write(u32::MAX);
        let nothing = nothing.read();
        check!(nothing == 0, "where no register is, is {nothing:#x}");
    }

    /// The interrupt, pending at once because the match is the time, behind its mask.
    fn check_masks(&mut self, clock: &Clock) {
        for value in [FAR, !FAR, 0] {
            self.mr.write(value);
            let found = self.mr.read();
            check!(found == value, "the match is {found}, not {value}");
        }
        self.check_interrupt(0, 0, 0);
        let time = self.tick(clock);
        self.mr.write(time);
        self.check_interrupt(0, 1, 0);
        // One bit exists.
        self.imsc.write(!1);
        self.check_interrupt(0, 1, 0);
        self.imsc.write(u32::MAX);
        self.check_interrupt(1, 1, 1);
        self.icr.write(!1);
        self.check_interrupt(1, 1, 1);
        self.icr.write(0);
        self.check_interrupt(1, 1, 1);
        self.imsc.write(0);
        self.check_interrupt(0, 1, 0);
        self.imsc.write(1);
        self.icr.write(1);
        self.check_interrupt(1, 0, 0);
    }

    fn check_alarm(&mut self, clock: &Clock) {
        let now = self.tick(clock);
        self.mr.write(now.wrapping_add(3));
        self.wait_for_alarm(clock);
        self.check_interrupt(1, 1, 1);
        self.icr.write(1);
        // It was reached once.
        self.tick(clock);
        self.check_interrupt(1, 0, 0);
        // An alarm that is put off does not come.
        let now = self.tick(clock);
        self.mr.write(now.wrapping_add(1));
        self.mr.write(FAR);
        self.tick(clock);
        self.tick(clock);
        self.check_interrupt(1, 0, 0);
    }

    /// A match of the time, and a load of the match.
    fn check_alarm_at_once(&mut self, clock: &Clock) {
        self.tick(clock);
        self.lr.write(FAR);
        self.check_interrupt(1, 1, 1);
        self.icr.write(1);
        self.lr.write(FAR - 2);
        self.check_interrupt(1, 0, 0);
        self.mr.write(FAR - 2);
        self.check_interrupt(1, 1, 1);
        self.icr.write(1);
        self.check_interrupt(1, 0, 0);
    }

    fn check_wrap(&mut self, clock: &Clock) {
        self.tick(clock);
        self.lr.write(u32::MAX - 1);
        self.mr.write(0);
        self.wait_for_alarm(clock);
        self.imsc.write(0);
        self.icr.write(1);
        self.check_interrupt(0, 0, 0);
    }

    fn check_interrupt(&mut self, mask: u32, raw: u32, masked: u32) {
        let wanted = [mask, raw, masked];
        let found = [&mut self.imsc, &mut self.ris, &mut self.mis].map(|it| it.read());
        check!(
            found == wanted,
            "IMSC, RIS, MIS are {found:x?}, not {wanted:x?}"
        );
    }

    /// Waits for the next second to begin, so that none does for a while.
    fn tick(&mut self, clock: &Clock) -> u32 {
        let mut watch = TickWatch::start(&mut self.dr, clock);
        watch.wait_closely(&mut self.dr, clock).value
    }

    /// The interrupt is pending in the second of the match, and not before.
    fn wait_for_alarm(&mut self, clock: &Clock) {
        let began = clock.now();
        while self.ris.read() == 0 {
            check!(clock.since(began) < PATIENCE, "no alarm came");
            clock.wait_until(clock.after(clock.now(), CLOSELY), Wait::Busy);
        }
        let (time, alarm) = (self.dr.read(), self.mr.read());
        check!(time == alarm, "the alarm of {alarm} came at {time}");
    }
}
