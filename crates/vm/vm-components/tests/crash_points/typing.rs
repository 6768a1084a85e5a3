//! The console, dead at every step while somebody types: no byte reaches the VM twice or in another order,
//! and what a death has cost, of one look into the UART at most, is told.

use crate::deaths::{self, Deaths};
use crate::fixtures::{VmMemory, logging_vm, only};
use shared_ring::mortal;
use std::collections::VecDeque;
use vm_components::{Channel, Clock, Console, Host, Input, KeptConsole, Output, Typed, channel};

const CLOCK: Clock = Clock {
    hz: 1_000_000,
    start_ticks: 0,
};

/// What is typed, at VM 0 and at VM 1, look by look: letters in their order.
const LOOKS: [&[u8]; 5] = [b"ABCDE", b"\x01", b"2FGHIJK\x01", b"\x01\x01hL", b"M\x011N"];
const READ: [&[u8]; 2] = [b"ABCDEN", b"FGHIJK\x01LM"];

/// The platform: the UART, the clock, and who was notified.
#[derive(Default)]
struct Platform {
    time: u64,
    notified: Vec<Channel>,
}

impl Host for Platform {
    fn now(&mut self) -> u64 {
        mortal::step();
        self.time += 1;
        self.time
    }

    fn notify(&mut self, channel: Channel) {
        mortal::step();
        self.notified.push(channel);
    }
}

#[derive(Default)]
struct Wire(Vec<u8>);

impl Output for Wire {
    fn write(&mut self, bytes: &[u8]) {
        mortal::step();
        self.0.extend(bytes);
        mortal::step();
    }
}

/// Reading a UART takes the byte away, whatever becomes of the reader.
struct Uart<'a>(&'a mut VecDeque<u8>);

impl Input for Uart<'_> {
    fn is_there(&mut self) -> bool {
        mortal::step();
        !self.0.is_empty()
    }

    fn take(&mut self) -> Option<u8> {
        let byte = self.0.pop_front();
        mortal::step();
        byte
    }
}

struct Seen {
    read: [Vec<u8>; 2],
    wire: String,
    died: usize,
}

fn run(memory: &[VmMemory; 2], deaths: &mut Deaths) -> Seen {
    memory.iter().for_each(VmMemory::clear);
    let kept = Box::into_raw(Box::<KeptConsole>::default());
    let start = || {
        let vms = [(0, "one"), (1, "other")].map(|(vm, name)| {
            let port = memory[usize::from(vm)].console_port();
            (port, logging_vm(vm, name))
        });
        // SAFETY: it was allocated above, and the console that had a reference to it before is used no more.
        Console::init(vms, None, unsafe { &mut *kept }, CLOCK)
    };
    let mut console = start();
    let mut readers = memory.each_ref().map(VmMemory::input_consumer);
    let (mut uart, mut platform, mut wire) =
        (VecDeque::new(), Platform::default(), Wire::default());
    let mut read = [Vec::new(), Vec::new()];
    for look in LOOKS {
        uart.extend(look);
        loop {
            let done = deaths.attempt(|| {
                let typed = console.typed(&mut Uart(&mut uart), &mut platform);
                assert_eq!(typed, Typed::All);
                let clock = only(channel::console::CLOCK);
                console.notified(clock, &mut platform, &mut wire);
            });
            if done.is_some() {
                break;
            }
            console = loop {
                if let Some(console) = deaths.attempt(start) {
                    break console;
                }
            };
        }
        let notified = std::mem::take(&mut platform.notified);
        for ((reader, read), vm) in readers.iter_mut().zip(&mut read).zip(0..) {
            let before = read.len();
            read.extend(std::iter::from_fn(|| reader.take()));
            reader.publish();
            let is_new = read.len() > before;
            assert!(!is_new || notified.contains(&channel::console::vmm(vm)));
        }
    }
    drop(console);
    // SAFETY: it was allocated above, and nobody refers to it any more.
    drop(unsafe { Box::from_raw(kept) });
    let wire = String::from_utf8(wire.0).unwrap();
    let died = deaths.died;
    Seen { read, wire, died }
}

fn compare(undisturbed: &Seen, seen: &Seen, at: &str) {
    assert_eq!(undisturbed.read, READ);
    assert!(!undisturbed.wire.contains("lost"), "{}", undisturbed.wire);
    // A command may be lost, so that what follows goes to another VM, or is taken for data.
    let letters = |read: &Vec<u8>| -> Vec<u8> {
        let letters = read.iter().filter(|byte| byte.is_ascii_uppercase());
        letters.copied().collect()
    };
    for read in &seen.read {
        assert!(
            letters(read).is_sorted_by(|one, next| one < next),
            "{at}: {read:?}"
        );
    }
    let mut read = seen.read.each_ref().map(letters).concat();
    read.sort_unstable();
    assert!(read.is_sorted_by(|one, next| one < next), "{at}: {read:?}");
    let told = seen.wire.contains("typed characters were lost") || seen.wire.contains("(cut)");
    assert!(told || seen.read == READ, "{at}: {}", seen.wire);
    let lost = "ABCDEFGHIJKLMN".len() - read.len();
    let most = LOOKS.iter().map(|look| look.len()).max().unwrap();
    assert!(lost <= most * seen.died, "{at}");
}

#[test]
fn whoever_dies_while_somebody_types_doubles_nothing_and_tells_what_it_cost() {
    let memory = [VmMemory::new(), VmMemory::new()];
    let steps = deaths::once(
        |deaths| run(&memory, deaths),
        |undisturbed, seen, step| compare(undisturbed, seen, &format!("dead at step {step}")),
    );
    assert!(steps > 100, "{steps} steps");
}

#[test]
fn nor_does_whoever_dies_twice() {
    let memory = [VmMemory::new(), VmMemory::new()];
    deaths::twice(
        |deaths| run(&memory, deaths),
        [0, 1, 3, 9].into_iter(),
        |undisturbed, seen, steps| compare(undisturbed, seen, &format!("dead at {steps:?}")),
    );
}
