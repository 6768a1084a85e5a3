//! Proves what is around and inside the word. The rest of its page reads as all-ones and
//! drops writes, and the counter does not notice. Inside, 1- and 2-byte accesses are the
//! word's little-endian lanes, signed loads extend as the instruction says, and the zero
//! register is 0 as a source and nothing as a target.
//!
//! Keys: `trace=` address of the location, with `unsupported reference ignore` (the default).

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::fmt;

use guest::{
    Outcome, Start, check,
    driver::{Lane, TraceLocation},
    say,
    ticks::{TickWatch, is_possible_advance, is_written_or_next},
};

guest::program!(run);

/// From the page's start: next to a word there, in the middle, at the end.
const OFFSETS: [u64; 3] = [4, 0x100, 0xffc];

fn run(start: &Start) -> Outcome {
    let mut location = start.trace_location("trace")?;
    let clock = &start.clock;

    let mut watch = TickWatch::start(&mut location, clock);
    let tick = watch.wait_closely(&mut location, clock);
    let here = location.offset_in_page();
    for offset in OFFSETS.into_iter().filter(|offset| *offset != here) {
        dropped(&mut location, offset, u32::MAX, 0x1234_5678);
        dropped(&mut location, offset, u16::MAX, 0x1234);
        dropped(&mut location, offset, u8::MAX, 0x12);
        say!("offset {offset:#x}: reads all-ones, drops writes");
    }
    let after = location.read();
    check!(
        is_possible_advance(after.wrapping_sub(tick.value), clock.since(tick.seen)),
        "the counter went from {} to {after}",
        tick.value
    );
    say!("counter unaffected");

    // Lanes, right after a tick: at most one more can come in between.
    watch = TickWatch::from_value(after, clock);
    watch.wait_closely(&mut location, clock);
    lanes(&mut location);
    say!("narrow accesses are lanes of the word");
    signed_loads(&mut location);
    say!("signed loads extend");
    zero_register(&mut location);
    say!("the zero register is no memory");
    Ok(())
}

/// Outside the word: reads `all_ones`, also after a write.
fn dropped<T: Lane + PartialEq + fmt::LowerHex>(
    location: &mut TraceLocation,
    offset: u64,
    all_ones: T,
    written: T,
) {
    let before: T = location.read_page(offset);
    location.write_page(offset, written);
    let after: T = location.read_page(offset);
    check!(
        before == all_ones && after == all_ones,
        "offset {offset:#x} read {before:#x}, after a write {after:#x}"
    );
}

fn lanes(location: &mut TraceLocation) {
    location.write(0x1122_3344);
    location.write_lane(2, 0xaa_u8);
    expect_word(location, 0x11aa_3344);
    location.write_lane(2, 0xbbcc_u16);
    expect_word(location, 0xbbcc_3344);
    location.write_lane(3, 0xdd_u8);
    expect_word(location, 0xddcc_3344);
    location.write_lane(0, 0x5060_u16);
    expect_word(location, 0xddcc_5060);
    location.write_lane(1, 0x70_u8);
    expect_word(location, 0xddcc_7060);

    // A tick changes the lowest lane only, here.
    expect("byte 0", location.read_lane::<u8>(0).into(), 0x60, 1);
    expect("byte 1", location.read_lane::<u8>(1).into(), 0x70, 0);
    expect("byte 2", location.read_lane::<u8>(2).into(), 0xcc, 0);
    expect("byte 3", location.read_lane::<u8>(3).into(), 0xdd, 0);
    expect("half 0", location.read_lane::<u16>(0).into(), 0x7060, 1);
    expect("half 2", location.read_lane::<u16>(2).into(), 0xddcc, 0);
}

fn signed_loads(location: &mut TraceLocation) {
    location.write(0x8912_7fa0);
    expect("ldrsb w", location.load_signed_byte_w(0), 0xffff_ffa0, 1);
    expect("ldrsb w", location.load_signed_byte_w(1), 0x7f, 0);
    expect(
        "ldrsb x",
        location.load_signed_byte_x(3),
        0xffff_ffff_ffff_ff89,
        0,
    );
    expect("ldrsh w", location.load_signed_half_w(0), 0x7fa0, 1);
    expect("ldrsh w", location.load_signed_half_w(2), 0xffff_8912, 0);
    expect(
        "ldrsh x",
        location.load_signed_half_x(2),
        0xffff_ffff_ffff_8912,
        0,
    );
    expect(
        "ldrsw x",
        location.load_signed_word_x(0),
        0xffff_ffff_8912_7fa0,
        1,
    );
    expect("ldr w", location.load_w(0), 0x8912_7fa0, 1);
}

fn zero_register(location: &mut TraceLocation) {
    location.write(0x55);
    location.load_zero_register();
    expect_word(location, 0x55);
    location.store_zero_register();
    expect_word(location, 0);
}

fn expect_word(location: &mut TraceLocation, wanted: u32) {
    let word = location.read();
    check!(
        is_written_or_next(word, wanted),
        "the word is {word:#x} and should be {wanted:#x}"
    );
}

/// `wanted`, or up to `ticks` more.
fn expect(what: &str, value: u64, wanted: u64, ticks: u64) {
    check!(
        value.wrapping_sub(wanted) <= ticks,
        "{what} gave {value:#x} and should have given {wanted:#x}"
    );
}
