//! `pd-share`: says when a VMM has its share of the CPU again; one for each VMM.
//!
//! Owns nothing but the way to `pd-monitor`, and runs only while the monitor lends it the
//! scheduling context whose budget its VMM has used up: when the kernel fills that up again. The
//! monitor, which has a higher priority, takes it back at the first notification, and the loop
//! stands still until the next time. Its own scheduling context is what the VMM runs on meanwhile
//! (`pd-monitor/src/shares.rs`).
#![no_std]
#![no_main]

use sel4_microkit::{Channel, NullHandler, protection_domain};

/// To `pd-monitor`.
const MONITOR: Channel = Channel::new(0);

#[protection_domain]
fn init() -> NullHandler {
    loop {
        MONITOR.notify();
    }
}
