//! Ends as a failure, in each of the ways in which a guest can.
//!
//! Keys: `how=panic|exception|fail`.

#![cfg_attr(target_os = "none", no_std, no_main)]

use guest::{
    Outcome, Start, access_forms,
    power::{self, FailureCode},
};

guest::program!(run);

fn run(start: &Start) -> Outcome {
    let ways: [(&str, fn()); 3] = [
        ("panic", || panic!("as told")),
        ("exception", access_forms::undefined_instruction),
        ("fail", || {
            power::fail(FailureCode::Asked, format_args!("as told"))
        }),
    ];
    start.cmdline.choice("how", &ways)?();
    Ok(())
}
