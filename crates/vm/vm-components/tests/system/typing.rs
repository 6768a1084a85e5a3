//! What is typed at a VM, from its ring to the guest's registers.

use crate::fixtures::first_word;
use crate::machine::{HZ, MS, System, UART};
use console_wire::{Decoded, Decoder};
use shared_ring::{INPUT_BYTES, InputProducer, Ordering};
use vm_components::{Typed, channel};

const DR: u64 = UART;
const FR: u64 = UART + 0x18;
const LCR_H: u64 = UART + 0x2c;
const CR: u64 = UART + 0x30;

impl System {
    /// What the guest reads until there is nothing.
    fn read_typed(&mut self) -> Vec<u8> {
        let mut read = Vec::new();
        while self.load(FR) & 1 << 4 == 0 {
            read.push(self.load(DR) as u8);
        }
        read
    }
}

fn type_in(producer: &mut InputProducer, text: &[u8]) -> usize {
    let typed = text
        .iter()
        .take_while(|byte| producer.append(**byte))
        .count();
    producer.publish();
    typed
}

#[test]
fn what_is_typed_before_the_receiver_is_enabled_waits_for_it() {
    let mut system = System::new();
    let mut producer = system.memory.input_producer();
    type_in(&mut producer, b"typed early");
    system.run_vmm(channel::vmm::CONSOLE);
    assert_eq!(system.read_typed(), b"");
    system.pass(HZ);
    system.store(CR, 0x301);
    assert_eq!(system.read_typed(), b"typed early");
}

#[test]
fn a_guest_that_reads_slowly_loses_nothing_of_more_than_the_ring_holds() {
    let mut system = System::new();
    let mut producer = system.memory.input_producer();
    let text: Vec<_> = (0..3 * INPUT_BYTES).map(|at| at as u8).collect();
    system.store(LCR_H, 0x70);
    system.store(CR, 0x301);
    let (mut typed, mut read) = (0, Vec::new());
    while read.len() < text.len() {
        typed += type_in(&mut producer, &text[typed..]);
        assert!(typed - read.len() <= INPUT_BYTES + 16);
        system.run_vmm(channel::vmm::CONSOLE);
        let at_once = 1 + read.len() % 300;
        for _ in 0..at_once.min(text.len() - read.len()) {
            assert_eq!(system.load(FR) & 1 << 4, 0);
            read.push(system.load(DR) as u8);
        }
    }
    assert_eq!(read, text);
}

#[test]
fn a_vmm_that_is_replaced_goes_on_with_the_next_character() {
    let mut system = System::new();
    let mut producer = system.memory.input_producer();
    system.store(LCR_H, 0x70);
    system.store(CR, 0x301);
    type_in(&mut producer, b"0123456789abcdefghijklmnopqrstuvwxyz");
    system.run_vmm(channel::vmm::CONSOLE);
    let mut read = Vec::new();
    while read.len() < 36 {
        read.push(system.load(DR) as u8);
        system.replace_vmm();
    }
    assert_eq!(read, b"0123456789abcdefghijklmnopqrstuvwxyz");
    assert_eq!(system.read_typed(), b"");
}

#[test]
fn a_console_that_lies_about_what_was_typed_is_told_and_nothing_is_read() {
    let mut system = System::new();
    system.store(CR, 0x301);
    first_word(system.memory.input).store(u64::MAX, Ordering::Relaxed);
    assert_eq!(system.read_typed(), b"");
    system.pass(2 * HZ);
    let told = system.lines("the other ends of the VMM's rings misbehave");
    assert!(!told.is_empty(), "{}", system.screen.0);
}

#[test]
fn what_is_typed_at_the_console_is_read_by_the_guest_and_commands_are_not() {
    let mut system = System::new();
    system.store(LCR_H, 0x70);
    system.store(CR, 0x301);
    assert_eq!(system.type_in(b"l\x01hs\x01\x01\x011\x015"), Typed::All);
    assert_eq!(system.read_typed(), b"ls\x01");
    assert_eq!(system.lines("info  typed at: VM 1, demo").len(), 2);
    let absent = system.lines("warn  there is no VM 5; typed at: VM 1, demo");
    assert_eq!(absent.len(), 1, "{}", system.screen.0);
}

#[test]
fn what_nobody_reads_stays_in_the_uart_and_comes_later() {
    let mut system = System::new();
    let text: Vec<_> = (0..2 * INPUT_BYTES)
        .map(|at| b'a' + (at % 26) as u8)
        .collect();
    let mut typed = system.type_in(&text);
    for _ in 0..20 {
        typed = system.type_in(b"");
    }
    assert_eq!((typed, system.keyboard.len()), (Typed::Left, INPUT_BYTES));
    system.store(CR, 0x301);
    let mut read = Vec::new();
    while read.len() < text.len() {
        read.extend(system.read_typed());
        let _ = system.type_in(b"");
    }
    assert_eq!(read, text);
}

#[test]
fn in_pieces_a_guest_s_bytes_come_as_they_are_and_nothing_of_it_stands_outside() {
    let mut system = System::new();
    system.say("begun as a line");
    system.pass(400 * MS);
    let _ = system.type_in(b"\x01p");
    let all = "\x1b[31mred\r\n\x02\x031verdict: ok\x03\nlogin: ";
    system.say(all);
    system.pass(400 * MS);
    let _ = system.type_in(b"\x01l");
    system.say("\x1bin lines\n");
    system.power_off();
    let (mut decoder, mut text, mut printed) = (Decoder::default(), Vec::new(), Vec::new());
    for byte in system.screen.0.bytes() {
        match decoder.push(byte) {
            Some(Decoded::Text(byte)) => text.push(byte),
            Some(Decoded::Printed { vm, byte }) => {
                assert_eq!(vm, 0);
                printed.push(byte);
            }
            None => {}
        }
    }
    let text = String::from_utf8(text).unwrap();
    assert_eq!(printed, format!("begun as a line{all}").into_bytes());
    assert_eq!(text.matches("verdict: ok").count(), 1, "its own: {text}");
    assert!(text.contains("demo| ?in lines\n"), "{text}");
    assert!(text.contains("guests' output comes in pieces\n"), "{text}");
    assert_eq!(decoder.broken, 0);
}

#[test]
fn the_ready_bit_promises_a_fifo_of_characters() {
    let mut system = System::new();
    let mut waits = 0;
    for _ in 0..1200 {
        while system.load(FR) & 1 << 5 != 0 {
            waits += 1;
            system.pass(10 * MS);
        }
        for _ in 0..16 {
            system.store(DR, b'x'.into());
        }
    }
    assert!(waits > 0, "the test never filled the port");
    system.pass(5 * HZ);
    assert!(system.lines("characters of the guest lost").is_empty());
}
