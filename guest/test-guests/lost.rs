//! Goes to where there is nothing: the VM ends, and the log says where the guest went.
//!
//! Keys: `trace=` address of the location; `how=hole` jumps to where there is no RAM and no
//! device, `device` to the location, `end` to the end of the address space, `table` to an
//! address whose translation table lies where there is no RAM. On x86_64 also: `walk` loads from
//! an address whose table lies in the device, `stack` takes an exception while its stack is
//! nowhere, `triple-fault` takes one without any handler, `mode` sets a reserved bit of CR4, which
//! is an exception, or where an emulator lets it pass, no state to enter a guest in.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_arch = "x86_64")]
use guest::cpu;
use guest::page_tables::{self, WINDOW};
use guest::{Outcome, Start, check, code, say};

guest::program!(run);

/// Guest-physical, in no VM's RAM and in no device.
const HOLE: u64 = 0x1000_0000;
/// The last word of 40 bits, which is what second-stage paging translates.
const END: u64 = (1 << 40) - 4;

/// From the location's address to the one that is jumped to, if the guest gets so far.
type Way = fn(u64) -> u64;

const WAYS: &[(&str, Way)] = &[
    ("hole", |_| HOLE),
    ("device", |device| device),
    ("end", |_| end()),
    ("table", |_| behind_a_table_at(HOLE)),
    #[cfg(target_arch = "x86_64")]
    ("walk", |device| {
        let target = behind_a_table_at(device & !0xfff);
        // SAFETY: nothing is there; if something is, reading it changes nothing.
        unsafe { (target as *const u32).read_volatile() }.into()
    }),
    #[cfg(target_arch = "x86_64")]
    ("stack", |_| cpu::take_an_exception_on_a_stack_at(HOLE)),
    #[cfg(target_arch = "x86_64")]
    ("triple-fault", |_| {
        cpu::take_an_exception_without_handlers()
    }),
    #[cfg(target_arch = "x86_64")]
    ("mode", |_| {
        cpu::set_reserved_bit_of_cr4();
        HOLE
    }),
];

fn run(start: &Start) -> Outcome {
    let device = start.trace_location("trace")?.address();
    let how = start.cmdline.value("how").unwrap_or_default();
    let way = start.cmdline.choice("how", WAYS)?;
    say!("goes astray, {how}");
    let target = way(device);
    say!("jumps to {target:#x}");
    code::call(target, [0; 8]);
    check!(false, "there is code at {target:#x}");
    Ok(())
}

/// [`END`] as the guest sees it.
fn end() -> u64 {
    // The VM's own tables reach 4 GiB.
    #[cfg(target_arch = "x86_64")]
    {
        page_tables::turn_on();
        page_tables::WINDOW_LEVEL_3.set(0, page_tables::page(END & !0xfff));
        page_tables::forget_translations();
        WINDOW + END % 0x1000
    }
    #[cfg(not(target_arch = "x86_64"))]
    END
}

fn behind_a_table_at(address: u64) -> u64 {
    page_tables::turn_on();
    page_tables::WINDOW_LEVEL_2.set(0, page_tables::table(address));
    page_tables::forget_translations();
    WINDOW
}
