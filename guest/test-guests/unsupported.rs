//! Proves that the guest lives through accesses that the device does not support, and shows
//! what each of them got: an exception or a result.
//!
//! Keys: `trace=` address of the location.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::fmt::LowerHex;

use guest::{
    Outcome, Start,
    exceptions::{Exception, attempt},
    say,
};

guest::program!(run);

fn run(start: &Start) -> Outcome {
    let mut location = start.trace_location("trace")?;
    location.write(0x100);

    report("8 bytes, ldr x", attempt(|| location.load_x(0)));
    match attempt(|| location.load_pair()) {
        Ok((first, second)) => say!("pair, ldp w: {first:#x} {second:#x}"),
        Err(exception) => say!("pair, ldp w: {exception}"),
    }
    match attempt(|| location.load_post_indexed()) {
        Ok((value, moved)) => say!("post-indexed, ldr w: {value:#x}, base moved by {moved}"),
        Err(exception) => say!("post-indexed, ldr w: {exception}"),
    }
    report("exclusive, ldxr w", attempt(|| location.load_exclusive(0)));
    report("crossing the word, ldr w", attempt(|| location.load_w(2)));

    say!("alive, counter {:#x}", location.read());
    Ok(())
}

fn report(form: &str, result: Result<impl LowerHex, Exception>) {
    match result {
        Ok(value) => say!("{form}: {value:#x}"),
        Err(exception) => say!("{form}: {exception}"),
    }
}
