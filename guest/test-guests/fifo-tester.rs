//! Proves that reading changes a device once: each number that goes into `vdev fifo-tester` comes out in
//! its order and never again.
//!
//! Keys: `fifo=` address of the device; `rounds=` how often it is filled and emptied (default 100). The
//! VM's `unsupported reference` is `ignore`.

#![cfg_attr(target_os = "none", no_std, no_main)]

use guest::{Outcome, Start, check, driver::TraceLocation, say};

guest::program!(run);

const DEPTH: u32 = 8;
/// Control: take all away.
const CLEAR: u32 = 1 << 0;

struct Fifo {
    data: TraceLocation,
    level: TraceLocation,
    control: TraceLocation,
}

fn run(start: &Start) -> Outcome {
    let data = start.trace_location("fifo")?;
    let rounds = start.cmdline.optional_number("rounds")?.unwrap_or(100);
    let mut fifo = Fifo {
        level: data.further(0x4),
        control: data.further(0x8),
        data,
    };

    fifo.control.write(CLEAR);
    fifo.check_level(0);
    fifo.check_next(0);
    fifo.check_level(0);

    for number in 1..=DEPTH {
        fifo.data.write(number);
        fifo.check_level(number);
    }
    fifo.data.write(DEPTH + 1);
    fifo.check_level(DEPTH);
    for number in 1..=DEPTH {
        fifo.check_next(number);
        fifo.check_level(DEPTH - number);
    }
    fifo.check_next(0);
    say!("first in, first out; the ninth is lost, and an empty one gives 0");

    fifo.data.write(7);
    fifo.control.write(!CLEAR);
    let control = fifo.control.read();
    check!(control == u32::MAX, "control reads as {control:#x}");
    fifo.level.write(0);
    let byte: u8 = fifo.data.read_lane(0);
    check!(byte == u8::MAX, "a byte of data is {byte:#x}");
    fifo.data.write_lane(0, 9_u8);
    fifo.check_level(1);
    fifo.check_next(7);
    fifo.data.write(7);
    fifo.control.write(CLEAR);
    fifo.check_level(0);
    fifo.check_next(0);
    say!("accesses that it does not have take nothing away");

    // As many in and out a round as there is room for, so that what is in it wanders through all places.
    let (mut written, mut read) = (0, 0);
    for round in 0..rounds {
        let count = 1 + (round as u32) % DEPTH;
        for _ in 0..count {
            written += 1;
            fifo.data.write(written);
        }
        while read < written {
            read += 1;
            fifo.check_next(read);
        }
    }
    fifo.check_level(0);
    say!("{read} numbers went through in {rounds} rounds");
    Ok(())
}

impl Fifo {
    fn check_next(&mut self, wanted: u32) {
        let found = self.data.read();
        check!(found == wanted, "{found:#x} came out, not {wanted:#x}");
    }

    fn check_level(&mut self, wanted: u32) {
        let found = self.level.read();
        check!(found == wanted, "the level is {found}, not {wanted}");
    }
}
