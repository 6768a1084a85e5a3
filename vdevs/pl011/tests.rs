//! The registers' numbers here are those of DDI 0183, written down anew.

use super::*;
use proptest::prelude::*;

const DR: u64 = 0x00;
const RSR: u64 = 0x04;
const FR: u64 = 0x18;
const LCR_H: u64 = 0x2c;
const CR: u64 = 0x30;
const IFLS: u64 = 0x34;
const IMSC: u64 = 0x38;
const RIS: u64 = 0x3c;
const MIS: u64 = 0x40;
const ICR: u64 = 0x44;

impl Pl011 {
    fn get(&mut self, offset: u64) -> u32 {
        self.read(offset, Transmitter::Ready)
    }

    fn put(&mut self, offset: u64, value: u32) {
        assert_eq!(self.write(offset, value), None);
    }

    fn prints(&mut self, character: u8) {
        assert_eq!(self.write(DR, character.into()), Some(character));
    }

    /// Types as a VMM does, and gives how many were taken.
    fn is_typed(&mut self, text: &[u8]) -> usize {
        let fitting = &text[..text.len().min(self.room())];
        fitting.iter().for_each(|byte| self.receive(*byte));
        fitting.len()
    }
}

/// With FIFOs, if that is so, and the receiver on.
fn receiving(fifo: bool) -> Pl011 {
    let mut uart = Pl011::default();
    uart.put(LCR_H, if fifo { 0x70 } else { 0x60 });
    uart.put(CR, 0x301);
    uart
}

#[test]
fn what_is_written_to_the_data_register_is_printed() {
    assert_eq!(Pl011::default().write(DR, 0x141), Some(b'A'));
}

#[test]
fn the_flags_follow_the_room_downstream() {
    let mut uart = Pl011::default();
    assert_eq!(uart.read(FR, Transmitter::Ready), 0x97);
    assert_eq!(uart.read(FR, Transmitter::Busy), 0x3f);
}

#[test]
fn it_identifies_as_a_pl011() {
    let mut uart = Pl011::default();
    let mut id = |first: u64| {
        (0..4).fold(0, |id, index| {
            id | uart.get(first + 4 * index) << (8 * index)
        })
    };
    assert_eq!(id(0xfe0) & 0x000f_ffff, 0x0004_1011);
    assert_eq!(id(0xff0), 0xb105_f00d);
}

#[test]
fn after_a_reset_registers_are_as_the_manual_says() {
    let mut uart = Pl011::default();
    for (offset, value) in [
        (RSR, 0),
        (0x20, 0),
        (0x24, 0),
        (0x28, 0),
        (LCR_H, 0),
        (CR, 0x300),
        (IFLS, 0x12),
        (IMSC, 0),
        (RIS, 0),
        (MIS, 0),
        (0x48, 0),
    ] {
        assert_eq!(uart.get(offset), value, "{offset:#x}");
    }
}

#[test]
fn a_driver_finds_what_it_wrote_as_far_as_there_are_bits() {
    let mut uart = Pl011::default();
    for (offset, bits) in [
        (0x20, 0xff),
        (0x24, 0xffff),
        (0x28, 0x3f),
        (LCR_H, 0xff),
        (CR, 0xff87),
        (IFLS, 0x3f),
        (IMSC, 0x7ff),
        (0x48, 0x7),
    ] {
        uart.put(offset, u32::MAX);
        assert_eq!(uart.get(offset), bits, "{offset:#x}");
    }
}

#[test]
fn what_is_no_register_reads_as_zero_and_ignores_writes() {
    let mut uart = Pl011::default();
    for offset in [0x8, 0x14, 0x80, 0x8c, 0xfe1, 0x1000, u64::MAX] {
        uart.put(offset, 65);
        assert_eq!(uart.get(offset), 0);
    }
}

#[test]
fn nothing_is_taken_before_the_receiver_is_enabled() {
    let mut uart = Pl011::default();
    assert_eq!(uart.room(), 0);
    for control in [0x001, 0x200, 0x300, 0x101, 0x381] {
        uart.put(CR, control);
        assert_eq!(uart.room(), 0, "{control:#x}");
    }
    uart.put(CR, 0x201);
    assert_eq!(uart.room(), 1);
    uart.put(LCR_H, 0x10);
    assert_eq!(uart.room(), 16);
}

#[test]
fn characters_are_read_in_their_order_and_the_flags_tell_how_many_there_are() {
    for (fifo, depth) in [(true, 16), (false, 1)] {
        let mut uart = receiving(fifo);
        let text: [u8; 40] = core::array::from_fn(|at| at as u8 + b' ');
        let mut read = 0;
        while read < text.len() {
            let waiting = uart.is_typed(&text[read..]);
            assert_eq!(waiting, depth.min(text.len() - read));
            if waiting == depth {
                assert_eq!(uart.get(FR) & 0x50, 0x40, "full, and not empty");
            }
            for _ in 0..waiting {
                assert_eq!(uart.get(DR), text[read].into());
                assert_eq!(uart.get(FR) & 0x40, 0);
                read += 1;
            }
            assert_eq!(uart.get(FR) & 0x10, 0x10, "empty");
            assert_eq!(uart.get(DR), 0);
        }
    }
}

#[test]
fn what_was_received_survives_the_fifo() {
    let mut uart = receiving(true);
    assert_eq!(uart.is_typed(b"abc"), 3);
    uart.put(LCR_H, 0x60);
    assert_eq!((uart.room(), uart.get(FR) & 0x50), (0, 0x40));
    for character in b"abc" {
        assert_eq!(uart.get(DR), u32::from(*character));
    }
    assert_eq!(uart.room(), 1);
}

#[test]
fn the_receive_interrupt_comes_at_the_level_and_goes_below_it() {
    for (select, level) in [(0, 2), (1, 4), (2, 8), (3, 12), (4, 14), (7, 14)] {
        let mut uart = receiving(true);
        uart.put(IFLS, select << 3);
        for received in 1..=16 {
            uart.receive(b'x');
            let is_due = received >= level;
            assert_eq!(uart.get(RIS) & 0x10 != 0, is_due, "{received} of {level}");
        }
        for left in (0..16).rev() {
            uart.get(DR);
            assert_eq!(
                uart.get(RIS) & 0x10 != 0,
                left >= level,
                "{left} of {level}"
            );
        }
    }
}

#[test]
fn without_fifo_each_character_is_an_interrupt() {
    let mut uart = receiving(false);
    uart.receive(b'x');
    assert_eq!(uart.get(RIS) & 0x10, 0x10);
    uart.get(DR);
    assert_eq!(uart.get(RIS), 0);
}

#[test]
fn a_level_that_is_set_lower_is_reached_at_once() {
    let mut uart = receiving(true);
    uart.is_typed(b"ab");
    assert_eq!(uart.get(RIS) & 0x10, 0);
    uart.put(IFLS, 0);
    assert_eq!(uart.get(RIS) & 0x10, 0x10);
}

#[test]
fn what_stays_below_the_level_is_told_by_the_timeout_until_all_is_read() {
    let mut uart = receiving(true);
    uart.put(IMSC, 0x50);
    assert!(!uart.line());
    uart.is_typed(b"ab");
    assert_eq!((uart.get(RIS), uart.get(MIS)), (0x40, 0x40));
    assert!(uart.line());
    uart.get(DR);
    assert!(uart.line());
    uart.get(DR);
    assert!(!uart.line());
}

#[test]
fn an_interrupt_that_is_cleared_comes_with_the_next_character() {
    let mut uart = receiving(true);
    uart.put(IMSC, 0x7ff);
    uart.receive(b'a');
    uart.put(ICR, 0x7ff);
    assert_eq!((uart.get(RIS), uart.line()), (0, false));
    uart.receive(b'b');
    assert_eq!((uart.get(RIS), uart.line()), (0x40, true));
}

#[test]
fn the_mask_hides_an_interrupt_and_does_not_withdraw_it() {
    let mut uart = receiving(true);
    uart.receive(b'a');
    assert_eq!(
        (uart.get(RIS), uart.get(MIS), uart.line()),
        (0x40, 0, false)
    );
    uart.put(IMSC, 0x40);
    assert_eq!((uart.get(MIS), uart.line()), (0x40, true));
}

#[test]
fn the_transmit_interrupt_comes_when_what_was_written_has_left_and_not_before() {
    let mut uart = receiving(true);
    uart.put(IMSC, 0x20);
    uart.sent(Transmitter::Ready);
    assert!(!uart.line(), "nothing was written");
    uart.prints(b'a');
    uart.sent(Transmitter::Busy);
    assert!(!uart.line());
    uart.sent(Transmitter::Ready);
    assert!(uart.line());
    uart.prints(b'b');
    assert!(!uart.line(), "a write withdraws it");
    uart.sent(Transmitter::Ready);
    uart.put(ICR, 0x20);
    assert!(!uart.line());
}

#[test]
fn a_port_that_is_connected_with_itself_receives_what_it_sends_and_prints_nothing() {
    let mut uart = receiving(true);
    uart.put(CR, 0x381);
    for character in b"hi" {
        assert_eq!(uart.write(DR, (*character).into()), None);
    }
    assert_eq!(uart.get(RIS) & 0x60, 0x60);
    assert_eq!((uart.get(DR), uart.get(DR)), (b'h'.into(), b'i'.into()));
    for off in [0x281, 0x181, 0x380] {
        uart.put(CR, off);
        uart.put(DR, 65);
        assert_eq!(uart.get(FR) & 0x10, 0x10, "{off:#x}");
    }
}

#[test]
fn an_overrun_loses_the_last_character_and_the_next_one_tells() {
    let mut uart = receiving(true);
    uart.put(CR, 0x381);
    for character in b"0123456789abcdefGH" {
        uart.put(DR, (*character).into());
    }
    assert_eq!(uart.get(RIS) & 0x400, 0x400);
    assert_eq!(uart.get(RSR), 0x8);
    assert_eq!(uart.get(DR), b'0'.into());
    uart.put(DR, b'i'.into());
    uart.put(DR, b'j'.into());
    for character in b"123456789abcdef" {
        assert_eq!(uart.get(DR), u32::from(*character));
    }
    assert_eq!(uart.get(DR), 0x800 | u32::from(b'i'));
    assert_eq!(uart.get(DR), 0);
    assert_eq!(uart.get(RSR), 0x8, "until it is cleared");
    uart.put(RSR, 0);
    assert_eq!(uart.get(RSR), 0);
}

#[test]
fn a_break_is_a_zero_with_an_error_of_its_own() {
    let mut uart = receiving(true);
    uart.put(CR, 0x381);
    uart.put(LCR_H, 0x71);
    uart.put(LCR_H, 0x71);
    uart.put(DR, b'a'.into());
    assert_eq!(uart.get(RIS) & 0x200, 0x200);
    assert_eq!((uart.get(DR), uart.get(RSR)), (0x400, 0x4));
    assert_eq!((uart.get(DR), uart.get(RSR)), (b'a'.into(), 0));
}

#[test]
fn in_a_loop_the_modem_s_inputs_are_its_outputs_and_a_change_is_an_interrupt() {
    let mut uart = receiving(true);
    uart.put(CR, 0x381);
    assert_eq!((uart.get(FR) & 0x107, uart.get(RIS) & 0xf), (0, 0xe));
    uart.put(ICR, 0x7ff);
    for (output, flag, interrupt) in [
        (1 << 11, 1 << 0, 1 << 1),
        (1 << 10, 1 << 1, 1 << 3),
        (1 << 12, 1 << 2, 1 << 2),
        (1 << 13, 1 << 8, 1 << 0),
    ] {
        uart.put(CR, 0x381 | output);
        assert_eq!(uart.get(FR) & 0x107, flag, "{output:#x}");
        assert_eq!(uart.get(RIS) & interrupt, interrupt, "{output:#x}");
        uart.put(CR, 0x381);
        uart.put(ICR, 0x7ff);
    }
}

proptest! {
    /// Whatever a guest does, what was typed comes out in its order, without a hole.
    #[test]
    fn nothing_typed_is_lost_whatever_the_guest_does(steps in prop::collection::vec((0..40u64, any::<u32>()), 0..200)) {
        let mut uart = Pl011::default();
        let (mut typed, mut read) = (0u8, 0u8);
        for (step, value) in steps {
            match step {
                // Never into a loop, where the guest's own characters come between.
                12 => { uart.write(CR, value & !0x80); }
                0..32 => { uart.write(4 * step, value); }
                32..36 => while uart.room() != 0 && typed < 250 {
                    uart.receive(typed);
                    typed += 1;
                },
                _ => if uart.get(FR) & 0x10 == 0 {
                    prop_assert_eq!(uart.get(DR), u32::from(read));
                    read += 1;
                },
            }
            uart.sent(Transmitter::Ready);
            prop_assert!(uart.room() <= 16);
            prop_assert_eq!(uart.line(), uart.get(MIS) != 0);
        }
        while read < typed {
            prop_assert_eq!(uart.get(DR), u32::from(read));
            read += 1;
        }
    }

    #[test]
    fn no_access_panics(steps in prop::collection::vec((any::<bool>(), any::<u64>(), any::<u32>()), 0..300)) {
        let mut uart = Pl011::default();
        for (is_write, offset, value) in steps {
            let offset = if offset % 4 == 0 { offset } else { offset % 0x50 };
            match is_write {
                true => { uart.write(offset, value); }
                false => { uart.read(offset, Transmitter::Busy); }
            }
            // As no VMM does, whether or not there is room.
            uart.receive(value as u8);
        }
    }
}
