//! A PC whose time passes only when somebody looks, measured.

use interval_timer::{Ports, frequencies};
use std::cell::Cell;

/// Of the interval timer, from its datasheet.
const HZ: f64 = 1_193_181.666;

/// A PC, with as much of channel 2 as its datasheet says for mode 2.
struct Pc<'a> {
    /// In seconds.
    time: &'a Cell<f64>,
    /// How long the access to the port of that number takes.
    cost: fn(u32) -> f64,
    accesses: u32,
    started: Option<f64>,
    loaded: Vec<u8>,
    latched: Vec<u8>,
    gate: u8,
}

impl<'a> Pc<'a> {
    fn new(time: &'a Cell<f64>, cost: fn(u32) -> f64) -> Self {
        Self {
            time,
            cost,
            accesses: 0,
            started: None,
            loaded: Vec::new(),
            latched: Vec::new(),
            gate: 0b1111_0010,
        }
    }

    /// The access happens in the middle of the time that it takes.
    fn pass(&mut self) {
        self.time
            .set(self.time.get() + (self.cost)(self.accesses) / 2.0);
    }

    fn access<T>(&mut self, body: impl FnOnce(&mut Self) -> T) -> T {
        self.pass();
        let value = body(self);
        self.pass();
        self.accesses += 1;
        value
    }
}

impl Ports for Pc<'_> {
    fn read(&mut self, port: u16) -> u8 {
        self.access(|pc| match port {
            0x42 => pc.latched.remove(0),
            0x61 => pc.gate,
            _ => panic!("port {port:#x} was read"),
        })
    }

    fn write(&mut self, port: u16, value: u8) {
        self.access(|pc| match (port, value) {
            (0x61, value) => pc.gate = value,
            (0x43, 0b1011_0100) => pc.loaded.clear(),
            (0x43, 0b1000_0000) => {
                assert_eq!(pc.gate & 0b11, 0b01, "the gate is on, the loudspeaker off");
                let since = pc.time.get() - pc.started.expect("the channel counts");
                let left = 0u16.wrapping_sub((since * HZ) as u64 as u16);
                pc.latched = left.to_le_bytes().to_vec();
            }
            (0x42, value) => {
                pc.loaded.push(value);
                if pc.loaded == [0, 0] {
                    pc.started = Some(pc.time.get());
                }
            }
            _ => panic!("{value:#x} was written to port {port:#x}"),
        });
    }
}

/// Measures two counters of such frequencies; what the measurement is off by, in millionths.
fn error_of(hz: u64, other_hz: u64, cost: fn(u32) -> f64) -> [f64; 2] {
    let time = Cell::new(3600.0);
    let mut pc = Pc::new(&time, cost);
    let now = || (time.get() * hz as f64) as u64;
    let other = || [(time.get() * other_hz as f64) as u64 as u32];
    let (measured, [measured_other]) = frequencies(&mut pc, now, other);
    assert_eq!(pc.gate >> 2, 0b11_1100, "the other bits stay");
    let error = |measured: u64, hz: u64| (measured as f64 / hz as f64 - 1.0) * 1e6;
    [error(measured, hz), error(measured_other, other_hz)]
}

/// One tick of the interval timer in 40 ms is 21 millionths.
fn assert_exact(cost: fn(u32) -> f64) {
    for hz in [10_000_000, 50_000_000, 2_400_000_000, 4_999_999_999] {
        for error in error_of(hz, 62_500_000, cost) {
            assert!(error.abs() < 45.0, "{hz} Hz: {error} millionths");
        }
    }
}

#[test]
fn a_counter_is_measured_to_a_tick_at_each_end() {
    assert_exact(|_| 1e-6);
}

#[test]
fn ports_that_take_long_make_it_no_worse() {
    assert_exact(|_| 40e-6);
}

#[test]
fn what_stops_the_measurement_now_and_then_makes_it_no_worse() {
    assert_exact(|access| match access % 7 {
        0 => 3e-3,
        _ => 2e-6,
    });
}

#[test]
fn a_measurement_that_is_stopped_near_its_end_counts_that_in() {
    // 14 ms more is just less than once around.
    assert_exact(|access| match access {
        1200 => 14e-3,
        _ => 10e-6,
    });
}

#[test]
fn a_pause_in_which_the_timer_goes_around_is_noticed() {
    for pause in [
        |access| if access == 1200 { 40e-3 } else { 10e-6 },
        |access| if access == 1200 { 400e-3 } else { 10e-6 },
        |access| if access == 5000 { 60e-3 } else { 10e-6 },
    ] {
        assert_exact(pause);
    }
}
