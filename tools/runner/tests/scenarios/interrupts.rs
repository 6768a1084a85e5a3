//! The guest's GIC and its timer, of aarch64. `beside_qemu` runs the same guests on a bare machine.

use crate::everywhere::{on, on_architecture};
use crate::outcome::Outcome;
use crate::platforms::{configs_of, unikernel};
use runner::{Architecture, Platform};

fn on_aarch64(scenario: &str, check: impl Fn(Outcome)) {
    let platforms = on_architecture(scenario, Architecture::Aarch64);
    on_some(scenario, platforms, check);
}

fn on_some(scenario: &str, platforms: Vec<Platform>, check: impl Fn(Outcome)) {
    on(platforms, &configs_of(scenario), None, |outcome| {
        outcome.assert_guest_is_done();
        check(outcome);
    });
}

#[test]
fn a_vm_s_gic_is_what_its_manual_says_and_what_qemu_s_is() {
    let platform = unikernel("gic", Architecture::Aarch64);
    on_some("gic", platform.into_iter().collect(), |_| {});
}

/// There the guest has the CPU's own interface.
#[test]
fn a_vm_s_distributor_and_the_cpu_s_virtual_interface_are_a_gic() {
    let scenario = "gic-hardware";
    let mut platforms = on_architecture(scenario, Architecture::Aarch64);
    platforms.retain(|platform| matches!(platform, Platform::Microkit(..)));
    on_some(scenario, platforms, |_| {});
}

/// The guest judges how long they take.
#[test]
fn a_thousand_sleeps_of_a_millisecond_take_three_seconds_at_most() {
    on_aarch64("sleeps", |_| {});
}

#[test]
fn a_guest_that_sleeps_leaves_the_cpu_idle() {
    on_aarch64("long-sleeps", |outcome| {
        let (_, parts) = outcome.cpu();
        assert!(parts["idle"] > 95.0, "{}: {parts:?}", outcome.ran.platform);
    });
}

#[test]
fn a_guest_s_timer_goes_with_the_trace_device_s_seconds() {
    on_aarch64("timer-ticks", |_| {});
}

/// Of two that sleep and one that never does, each has its turn, and nobody sleeps too long.
#[test]
fn a_guest_that_sleeps_is_woken_in_the_middle_of_another_one_s_turn() {
    on_aarch64("sleeps-beside", |_| {});
}
