//! `pd-clock`: wakes the others, and owns nothing.
//!
//! A scheduling context with a period of 10 ms, and a loop: notify, give the rest of the budget
//! away, run again when the next period begins. It needs no timer hardware, and nothing in it
//! can be reached by a guest.
//!
//! The budget is most of the period although the loop uses microseconds of it. The kernel
//! charges what a thread overran its budget by in whole budgets, a period each: with 100 us,
//! 3 ms that an emulator's host took while this ran would stop the system's wake-ups for
//! 300 ms.
//!
//! Invariant: how much time has passed is never counted here. A late wake-up delays others
//! by as much and loses nothing; they read the counter themselves.
#![no_std]
#![no_main]

use sel4_microkit::{Channel, NullHandler, protection_domain, var};

/// To `pd-trace`, every period: 10 ms.
const TRACE: Channel = Channel::new(0);
/// To `pd-monitor`, every so many periods: 40 ms. Before those that it watches over: it looks at the
/// answers to the question before.
const MONITOR: Channel = Channel::new(10);
const MONITOR_PERIODS: u32 = 4;
/// To `pd-console` and the first VM's `pd-vmm`, every so many periods: 100 ms. The system description
/// says which channels lead to other VMs'.
const SLOW: [Channel; 2] = [Channel::new(1), Channel::new(2)];
const SLOW_PERIODS: u32 = 10;

#[protection_domain]
fn init() -> NullHandler {
    // 0, which leads to `pd-trace`, where there is no such VM.
    let more_vmms = [
        *var!(vmm_1: usize = 0),
        *var!(vmm_2: usize = 0),
        *var!(vmm_3: usize = 0),
        *var!(vmm_4: usize = 0),
        *var!(vmm_5: usize = 0),
        *var!(vmm_6: usize = 0),
        *var!(vmm_7: usize = 0),
    ];
    let mut period: u32 = 0;
    loop {
        // With a budget below its period, this returns when the next period begins.
        sel4::r#yield();
        period = period.wrapping_add(1);
        TRACE.notify();
        if period.is_multiple_of(MONITOR_PERIODS) {
            MONITOR.notify();
        }
        if period.is_multiple_of(SLOW_PERIODS) {
            for channel in SLOW {
                channel.notify();
            }
            for channel in more_vmms.into_iter().filter(|&channel| channel != 0) {
                Channel::new(channel).notify();
            }
        }
    }
}
