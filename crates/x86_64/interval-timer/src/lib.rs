//! How fast a PC's counters count, held against its interval timer, whose crystal is the same
//! on every PC.
//!
//! Called once, before anybody needs the time: by the unikernel's `clock`, and by `pd-monitor`
//! on seL4. What the CPU says of its frequencies is whole megahertz at best. Invariant: nothing
//! but channel 2 is touched, which drives the loudspeaker and no interrupt.
//!
//! Specification: Intel 8254 datasheet (231164).
#![no_std]
#![forbid(unsafe_code)]

/// Where channel 2 is read and set.
pub const CHANNEL_2: u16 = 0x42;
/// Where commands go, of all channels.
pub const COMMAND: u16 = 0x43;
/// Bit 0 is channel 2's gate, bit 1 the loudspeaker; the others are not ours.
pub const GATE: u16 = 0x61;

/// Frequency of the interval timer: a third of NTSC's colour carrier.
const INTERVAL_TIMER_HZ: u64 = 1_193_182;
/// How long the measurement takes, in ticks of the interval timer: 40 ms.
const MEASURED_TICKS: u16 = 47_727;
/// Each end of the measurement is the best of so many readings.
const READINGS: usize = 16;

/// Access to [`CHANNEL_2`], [`COMMAND`] and [`GATE`], which nobody else may use meanwhile.
pub trait Ports {
    /// IN.
    fn read(&mut self, port: u16) -> u8;
    /// OUT.
    fn write(&mut self, port: u16, value: u8);
}

/// Frequencies in hertz: of the counter that `now` reads, and of others that `counts` reads at
/// the same moments. The others count up, modulo 2^32, and not more than once around in 60 ms.
///
/// Whoever runs this may be stopped for so long that the interval timer goes once around unseen:
/// a measurement counts if the one before it says the same. Returns after 80 ms to 120 ms, or as
/// much later as it was stopped.
pub fn frequencies<const N: usize>(
    ports: &mut impl Ports,
    mut now: impl FnMut() -> u64,
    mut counts: impl FnMut() -> [u32; N],
) -> (u64, [u64; N]) {
    start(ports);
    let mut last = measured(ports, &mut now, &mut counts);
    loop {
        let next = measured(ports, &mut now, &mut counts);
        if next.0.abs_diff(last.0) <= next.0 / 128 {
            return next;
        }
        last = next;
    }
}

/// One measurement.
fn measured<const N: usize>(
    ports: &mut impl Ports,
    now: &mut impl FnMut() -> u64,
    counts: &mut impl FnMut() -> [u32; N],
) -> (u64, [u64; N]) {
    let first = Moment::read(ports, now, counts);
    while first.left.wrapping_sub(left(ports)) < MEASURED_TICKS {}
    let second = Moment::read(ports, now, counts);
    let ticks = u64::from(first.left.wrapping_sub(second.left));
    let per_second = |count: u64| count * INTERVAL_TIMER_HZ / ticks;
    let others = core::array::from_fn(|other| {
        per_second(
            second.counts[other]
                .wrapping_sub(first.counts[other])
                .into(),
        )
    });
    (per_second(second.counter - first.counter), others)
}

/// All clocks at one moment.
struct Moment<const N: usize> {
    left: u16,
    counter: u64,
    counts: [u32; N],
}

impl<const N: usize> Moment<N> {
    /// The reading that took least, because whoever runs this, an emulator or a kernel, may do
    /// something else between any two instructions.
    fn read(
        ports: &mut impl Ports,
        now: &mut impl FnMut() -> u64,
        counts: &mut impl FnMut() -> [u32; N],
    ) -> Self {
        let mut best = None;
        for _ in 0..READINGS {
            let before = now();
            latch(ports);
            let counts = counts();
            let took = now() - before;
            let left = latched_count(ports);
            if best.as_ref().is_none_or(|(least, _)| took < *least) {
                let counter = before + took / 2;
                let moment = Self {
                    left,
                    counter,
                    counts,
                };
                best = Some((took, moment));
            }
        }
        match best {
            Some((_, moment)) => moment,
            None => unreachable!("there is at least one reading"),
        }
    }
}

/// Lets the channel count down from 65536, again and again.
fn start(ports: &mut impl Ports) {
    let gate = ports.read(GATE);
    // Gate on, loudspeaker off.
    ports.write(GATE, gate & !0b10 | 0b01);
    // Channel 2, low byte then high byte, mode 2 (rate generator), binary.
    ports.write(COMMAND, 0b1011_0100);
    for byte in [0, 0] {
        ports.write(CHANNEL_2, byte);
    }
}

/// Holds the channel's count until it is read.
fn latch(ports: &mut impl Ports) {
    ports.write(COMMAND, 0b1000_0000);
}

/// The count that is held.
fn latched_count(ports: &mut impl Ports) -> u16 {
    let low = ports.read(CHANNEL_2);
    let high = ports.read(CHANNEL_2);
    u16::from_le_bytes([low, high])
}

/// Ticks until the next turn.
fn left(ports: &mut impl Ports) -> u16 {
    latch(ports);
    latched_count(ports)
}
