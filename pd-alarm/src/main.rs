//! `pd-alarm`: wakes a VMM whose guest sleeps, a millisecond after it was asked to.
//!
//! `pd-clock` wakes everybody, and could not do so every millisecond without taking time from all, always. This
//! has a scheduling context with that period, and waits: only who asks pays. It knows no times: a VMM whose guest
//! is to sleep on asks again. Its budget is most of its period for the reason that `pd-clock`'s is.
//!
//! Owns nothing but a channel to each VMM. Invariant: however often it is asked, it runs once in its period.
#![no_std]
#![no_main]

use sel4_microkit::{ChannelSet, Handler, Infallible, protection_domain};

#[protection_domain]
fn init() -> Alarm {
    Alarm
}

struct Alarm;

impl Handler for Alarm {
    type Error = Infallible;

    /// Whoever has asked is woken when the next period begins.
    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        // With a budget below its period, this returns then.
        sel4::r#yield();
        for channel in channels.iter() {
            channel.notify();
        }
        Ok(())
    }
}
