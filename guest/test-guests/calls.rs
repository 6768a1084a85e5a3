//! Proves that calls, registers and instructions that do not exist or are the host's are answered
//! as the architecture says, each of them, and that the counter goes on meanwhile.
//!
//! Keys: `trace=` address of the location.

#![cfg_attr(target_os = "none", no_std, no_main)]

use guest::code::{CodePage, hypervisor_calls};
use guest::ticks::is_possible_advance;
use guest::{Outcome, Start, check, say};

#[cfg_attr(target_arch = "aarch64", path = "calls/aarch64.rs")]
#[cfg_attr(target_arch = "x86_64", path = "calls/x86_64.rs")]
mod own;

guest::program!(run);

static CODE: CodePage = CodePage::new();

const NOT_SUPPORTED: u64 = u64::MAX;

fn run(start: &Start) -> Outcome {
    let mut location = start.trace_location("trace")?;
    let clock = &start.clock;
    let (began, first) = (clock.now(), location.read());

    let mut calls = 0;
    for instruction in hypervisor_calls() {
        CODE.write(instruction);
        for service in 0..64_u64 {
            for convention in [0, 0x4000_0000, 0x8000_0000, 0xc000_0000] {
                for function in [0x1f, 0xff, 0x8000, 0xffff] {
                    let identifier = convention | service << 24 | function;
                    let arguments = [identifier, 1, 2, 3, 4, 5, 6, 7];
                    let [answer, rest @ ..] = CODE.run(arguments);
                    check!(
                        answer == NOT_SUPPORTED && rest == [1, 2, 3, 4, 5, 6, 7],
                        "call {identifier:#x} by {instruction:x?}: {answer:#x}, {rest:x?}"
                    );
                    calls += 1;
                }
            }
        }
    }
    say!("{calls} calls that do not exist, each not supported");

    own::registers_and_instructions();

    let (took, last) = (clock.since(began), location.read());
    check!(
        is_possible_advance(last.wrapping_sub(first), took),
        "the counter went from {first} to {last}"
    );
    #[cfg(target_arch = "x86_64")]
    own::single_steps(location.address());
    Ok(())
}
