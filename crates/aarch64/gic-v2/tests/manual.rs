//! The manual's rules, IHI 0048B, one a test. Offsets are the manual's, not the crate's.

use gic_v2::{Gic, Group, Output, Width};

const IRQ: Output = Output {
    irq: true,
    fiq: false,
};
const FIQ: Output = Output {
    irq: false,
    fiq: true,
};
const NONE: Output = Output {
    irq: false,
    fiq: false,
};

const CTLR: u64 = 0;
const PMR: u64 = 4;
const BPR: u64 = 8;
const IAR: u64 = 0xc;
const EOIR: u64 = 0x10;
const RPR: u64 = 0x14;
const HPPIR: u64 = 0x18;
const ABPR: u64 = 0x1c;
const AIAR: u64 = 0x20;
const AEOIR: u64 = 0x24;
const AHPPIR: u64 = 0x28;
const DIR: u64 = 0x1000;

/// A guest's way to both halves, in words.
struct Board(Gic);

impl Board {
    /// Everything enabled, nothing masked, each priority 0xa0.
    fn ready() -> Self {
        let mut board = Self(Gic::new());
        board.set(0x000, 3);
        for word in 0..4 {
            board.set(0x100 + 4 * word, u32::MAX);
        }
        for word in 0..32 {
            board.set(0x400 + 4 * word, 0xa0a0_a0a0);
        }
        board.cpu(CTLR, 1);
        board.cpu(PMR, 0xff);
        board
    }

    fn set(&mut self, offset: u64, value: u32) {
        self.0.write_distributor(offset, Width::Word, value);
    }

    fn get(&self, offset: u64) -> u32 {
        self.0.read_distributor(offset, Width::Word)
    }

    fn cpu(&mut self, offset: u64, value: u32) {
        self.0.write_cpu_interface(offset, Width::Word, value);
    }

    fn of_cpu(&mut self, offset: u64) -> u32 {
        self.0.read_cpu_interface(offset, Width::Word)
    }

    fn priority(&mut self, intid: u8, priority: u8) {
        let offset = 0x400 + u64::from(intid);
        self.0
            .write_distributor(offset, Width::Byte, priority.into());
    }

    fn edge(&mut self, intid: u8) {
        let (offset, shift) = (0xc00 + u64::from(intid) / 16 * 4, intid % 16 * 2 + 1);
        let config = self.get(offset) | 1 << shift;
        self.set(offset, config);
    }

    /// GICD_ISPENDR and its like, by an interrupt.
    fn bit(&self, offset: u64, intid: u8) -> bool {
        self.get(offset + u64::from(intid) / 32 * 4) >> (intid % 32) & 1 != 0
    }

    fn set_bit(&mut self, offset: u64, intid: u8) {
        self.set(offset + u64::from(intid) / 32 * 4, 1 << (intid % 32));
    }

    fn is_pending(&self, intid: u8) -> bool {
        let pending = self.bit(0x200, intid);
        assert_eq!(pending, self.bit(0x280, intid));
        pending
    }

    fn is_active(&self, intid: u8) -> bool {
        let active = self.bit(0x300, intid);
        assert_eq!(active, self.bit(0x380, intid));
        active
    }
}

#[test]
fn out_of_reset_nothing_is_enabled_but_sgis() {
    let mut board = Board(Gic::new());
    assert_eq!(board.get(0x000), 0);
    // 4 * 32 interrupts, one CPU, no Security Extensions.
    assert_eq!(board.get(0x004), 3);
    for offset in (0x080..0x100).chain(0x200..0xc00).step_by(4) {
        assert_eq!(board.get(offset), 0, "{offset:#x}");
    }
    for offset in (0x100..0x200).step_by(4) {
        let sgis = if offset % 0x80 == 0 { 0xffff } else { 0 };
        assert_eq!(board.get(offset), sgis, "{offset:#x}");
    }
    assert_eq!(board.get(0xc00), 0xaaaa_aaaa);
    assert_eq!(board.get(0xc04), 0);
    // ICPIDR2.ArchRev; the component's id.
    assert_eq!(board.get(0xfe8) >> 4 & 0xf, 2);
    let id = [0xff0, 0xff4, 0xff8, 0xffc].map(|offset| board.get(offset));
    assert_eq!(id, [0x0d, 0xf0, 0x05, 0xb1]);
    let cpu = [CTLR, PMR, BPR, IAR, RPR, HPPIR, ABPR, AIAR, AHPPIR].map(|at| board.of_cpu(at));
    assert_eq!(cpu, [0, 0, 2, 1023, 0xff, 1023, 3, 1023, 1023]);
    // GICC_IIDR: version 2, by Arm.
    assert_eq!(board.of_cpu(0xfc) & 0xf_0fff, 0x2_043b);
}

#[test]
fn registers_have_the_bits_that_exist() {
    let mut board = Board(Gic::new());
    for (offset, kept) in [
        (0x000, 3),
        (0x004, 3),
        (0x080, u32::MAX),
        (0x08c, u32::MAX),
        (0x090, 0),
        (0x400, 0xf8f8_f8f8),
        (0x47c, 0xf8f8_f8f8),
        (0x480, 0),
        (0x800, 0),
        (0x87c, 0),
        (0xc00, 0xaaaa_aaaa),
        (0xc04, 0xaaaa_aaaa),
        (0xc1c, 0xaaaa_aaaa),
        (0xc20, 0),
        (0xf00, 0),
        (0xffc, 0xb1),
    ] {
        board.set(offset, u32::MAX);
        assert_eq!(board.get(offset), kept, "{offset:#x}");
    }
    for (offset, kept) in [
        (CTLR, 0x21f),
        (PMR, 0xf8),
        (BPR, 7),
        (ABPR, 7),
        (0xd0, u32::MAX),
        (0xd4, 0),
        (0xe0, u32::MAX),
        (0xe4, 0),
    ] {
        board.cpu(offset, u32::MAX);
        assert_eq!(board.of_cpu(offset), kept, "{offset:#x}");
    }
    board.cpu(BPR, 0);
    board.cpu(ABPR, 0);
    assert_eq!([board.of_cpu(BPR), board.of_cpu(ABPR)], [2, 3]);
}

#[test]
fn set_and_clear_registers_change_the_bits_that_are_written_as_ones() {
    for (set, clear) in [(0x100, 0x180), (0x200, 0x280), (0x300, 0x380)] {
        let mut board = Board(Gic::new());
        board.set(set + 8, 0x0ff0);
        board.set(set + 8, 0x8000_0001);
        board.set(clear + 8, 0x00f1);
        assert_eq!(board.get(set + 8), 0x8000_0f00);
        assert_eq!(board.get(clear + 8), 0x8000_0f00);
    }
}

#[test]
fn sgis_are_enabled_for_good_and_pending_by_their_own_registers_alone() {
    let mut board = Board(Gic::new());
    board.set(0x180, u32::MAX);
    assert_eq!(board.get(0x100), 0xffff);
    board.set(0x200, u32::MAX);
    assert_eq!(board.get(0x200), 0xffff_0000);
    // GICD_SPENDSGIR: a byte an SGI, a bit a source, and this CPU is 0.
    board.set(0xf24, 0xff01_00fe);
    assert_eq!(board.get(0xf14), 0x0101_0000);
    board.set(0x280, u32::MAX);
    assert_eq!(board.get(0x200), 1 << 6 | 1 << 7);
    board.0.write_distributor(0xf16, Width::Byte, 1);
    assert_eq!(board.get(0xf24), 0x0100_0000);
    assert_eq!(board.0.read_distributor(0xf27, Width::Byte), 1);
}

#[test]
fn an_sgi_reaches_this_cpu_by_the_list_or_as_itself() {
    for (written, is_pending) in [
        (1 << 16 | 5, true),
        (0xfe << 16 | 5, false),
        (1 << 24 | 0xff << 16 | 5, false),
        (2 << 24 | 5, true),
        (3 << 24 | 0xff << 16 | 5, false),
    ] {
        let mut board = Board::ready();
        board.set(0xf00, written);
        assert_eq!(board.is_pending(5), is_pending, "{written:#x}");
        assert_eq!(board.0.output(), if is_pending { IRQ } else { NONE });
        assert_eq!(board.of_cpu(IAR), if is_pending { 5 } else { 1023 });
    }
}

#[test]
fn priorities_are_bytes_as_well() {
    let mut board = Board(Gic::new());
    board.priority(35, 0x57);
    assert_eq!(board.get(0x420), 0x5000_0000);
    assert_eq!(board.0.read_distributor(0x423, Width::Byte), 0x50);
    // Other registers are words.
    board.0.write_distributor(0x104, Width::Byte, 0xff);
    assert_eq!(board.get(0x104), 0);
    assert_eq!(board.0.read_distributor(0x100, Width::Byte), 0);
    assert_eq!(Width::of_access(0x401, 1), Some(Width::Byte));
    for (offset, bytes) in [(0x400, 2), (0x400, 8), (0x402, 4)] {
        assert_eq!(Width::of_access(offset, bytes), None);
    }
}

#[test]
fn an_interrupt_goes_from_pending_to_active_to_inactive() {
    let mut board = Board::ready();
    board.edge(40);
    board.0.set_level(40, true);
    assert!(board.is_pending(40) && !board.is_active(40));
    assert_eq!(board.0.output(), IRQ);
    assert_eq!([board.of_cpu(HPPIR), board.of_cpu(IAR)], [40, 40]);
    assert!(!board.is_pending(40) && board.is_active(40));
    assert_eq!([board.of_cpu(RPR), board.of_cpu(IAR)], [0xa0, 1023]);
    assert_eq!(board.0.output(), NONE);
    // Another edge: active and pending, and it comes after the end.
    board.0.set_level(40, false);
    board.0.set_level(40, true);
    assert!(board.is_pending(40) && board.is_active(40));
    assert_eq!((board.0.output(), board.of_cpu(HPPIR)), (NONE, 1023));
    board.cpu(EOIR, 40);
    assert_eq!((board.0.output(), board.of_cpu(RPR)), (IRQ, 0xff));
    assert_eq!(board.of_cpu(IAR), 40);
    board.cpu(EOIR, 40);
    assert_eq!(board.of_cpu(IAR), 1023);
    assert!(!board.is_pending(40) && !board.is_active(40));
}

#[test]
fn a_level_that_stays_is_pending_again() {
    let mut board = Board::ready();
    board.0.set_level(40, true);
    assert_eq!(board.of_cpu(IAR), 40);
    assert!(board.is_pending(40) && board.is_active(40));
    board.cpu(EOIR, 40);
    assert_eq!(board.of_cpu(IAR), 40);
    board.0.set_level(40, false);
    assert!(!board.is_pending(40) && board.is_active(40));
    board.cpu(EOIR, 40);
    assert_eq!(board.of_cpu(IAR), 1023);
}

#[test]
fn a_level_sensitive_interrupt_has_a_latch_besides_its_line() {
    let mut board = Board::ready();
    // Software makes it pending without the line, and until it is acknowledged.
    board.set_bit(0x200, 40);
    assert!(board.is_pending(40));
    assert_eq!(board.of_cpu(IAR), 40);
    assert!(!board.is_pending(40));
    board.cpu(EOIR, 40);
    // What the line holds, no write clears.
    board.0.set_level(40, true);
    board.set_bit(0x280, 40);
    assert!(board.is_pending(40));
    board.set_bit(0x200, 40);
    board.0.set_level(40, false);
    assert!(board.is_pending(40));
    board.set_bit(0x280, 40);
    assert!(!board.is_pending(40));
    assert_eq!(board.0.output(), NONE);
}

#[test]
fn an_edge_that_is_cleared_does_not_come_back_with_its_level() {
    let mut board = Board::ready();
    board.edge(40);
    board.0.set_level(40, true);
    board.set_bit(0x280, 40);
    assert!(!board.is_pending(40));
    board.0.set_level(40, true);
    assert!(!board.is_pending(40));
}

#[test]
fn what_is_disabled_is_pending_all_the_same() {
    let mut board = Board::ready();
    board.set_bit(0x180, 40);
    board.0.set_level(40, true);
    assert!(board.is_pending(40));
    assert_eq!((board.0.output(), board.of_cpu(IAR)), (NONE, 1023));
    board.set_bit(0x100, 40);
    assert_eq!(board.0.output(), IRQ);
    for switch in [0x000_u64, 0x1_0000] {
        let mut board = Board(board.0);
        match switch {
            0 => board.set(0, 2),
            _ => board.cpu(CTLR, 2),
        }
        assert_eq!((board.0.output(), board.of_cpu(IAR)), (NONE, 1023));
    }
}

#[test]
fn lines_of_sgis_and_of_nobody_do_nothing() {
    let mut board = Board::ready();
    for intid in [0, 15, 128, 255] {
        board.0.set_level(intid, true);
    }
    assert_eq!(board.of_cpu(IAR), 1023);
}

#[test]
fn the_highest_priority_comes_first_and_then_the_lowest_intid() {
    let mut board = Board::ready();
    for (intid, priority) in [(33, 0x80), (34, 0x40), (60, 0x40), (127, 0x40), (32, 0xf0)] {
        board.priority(intid, priority);
        board.set_bit(0x200, intid);
    }
    let mut order = vec![];
    for _ in 0..5 {
        order.push(board.of_cpu(IAR));
        board.cpu(EOIR, *order.last().unwrap());
    }
    assert_eq!(order, [34, 60, 127, 33, 32]);
}

#[test]
fn the_mask_lets_only_higher_priorities_through() {
    let mut board = Board::ready();
    board.priority(40, 0x80);
    board.set_bit(0x200, 40);
    for (mask, output) in [(0x78, NONE), (0x80, NONE), (0x88, IRQ), (0, NONE)] {
        board.cpu(PMR, mask);
        assert_eq!(board.0.output(), output, "{mask:#x}");
        // It is the highest one all the same.
        assert_eq!(board.of_cpu(HPPIR), 40);
    }
    assert_eq!(board.of_cpu(IAR), 1023);
    // The lowest of all is never signalled.
    board.priority(40, 0xff);
    board.cpu(PMR, 0xff);
    assert_eq!(board.0.output(), NONE);
}

#[test]
fn a_higher_group_priority_preempts_and_the_end_gives_the_old_one_back() {
    let mut board = Board::ready();
    board.priority(40, 0xa0);
    board.priority(41, 0x60);
    board.priority(42, 0x20);
    let mut running = vec![];
    for intid in [40, 41, 42] {
        board.set_bit(0x200, intid);
        assert_eq!(board.of_cpu(IAR), intid.into());
        running.push(board.of_cpu(RPR));
    }
    assert_eq!(board.of_cpu(0xd0), 1 << 4 | 1 << 12 | 1 << 20);
    for intid in [42, 41, 40] {
        board.cpu(EOIR, intid);
        running.push(board.of_cpu(RPR));
    }
    assert_eq!(running, [0xa0, 0x60, 0x20, 0x60, 0xa0, 0xff]);
}

#[test]
fn the_binary_point_says_which_bits_preempt() {
    // Table 3-2: with 3 the group priority is [7:4], with 7 there is none.
    for (point, preempts) in [(2, true), (3, false), (7, false)] {
        let mut board = Board::ready();
        board.cpu(BPR, point);
        board.priority(40, 0x58);
        board.priority(41, 0x50);
        board.set_bit(0x200, 40);
        assert_eq!(board.of_cpu(IAR), 40);
        let running = [0x58, 0x50, 0, 0, 0, 0][point as usize - 2];
        assert_eq!(board.of_cpu(RPR), running);
        board.set_bit(0x200, 41);
        assert_eq!(
            board.0.output(),
            if preempts { IRQ } else { NONE },
            "{point}"
        );
        // It is the best nevertheless.
        assert_eq!(board.of_cpu(HPPIR), 41);
        board.cpu(EOIR, 40);
        assert_eq!(board.of_cpu(IAR), 41);
    }
}

#[test]
fn group_1_has_a_binary_point_of_its_own_unless_it_is_common() {
    for (control, preempts) in [(0b0_0111, false), (0b1_0111, true)] {
        let mut board = Board::ready();
        board.set(0x084, u32::MAX);
        board.cpu(CTLR, control);
        board.cpu(BPR, 2);
        // As the non-secure one: with 4 the group priority is [7:4].
        board.cpu(ABPR, 4);
        board.priority(40, 0x58);
        board.priority(41, 0x50);
        board.set_bit(0x200, 40);
        assert_eq!(board.of_cpu(IAR), 40);
        board.set_bit(0x200, 41);
        assert_eq!(board.0.output(), if preempts { IRQ } else { NONE });
    }
}

#[test]
fn group_1_is_acknowledged_by_its_own_register_or_by_ack_ctl() {
    let mut board = Board::ready();
    board.set(0x084, 1 << 8);
    board.cpu(CTLR, 3);
    board.set_bit(0x200, 40);
    assert_eq!(board.0.output(), IRQ);
    assert_eq!([board.of_cpu(HPPIR), board.of_cpu(IAR)], [1022, 1022]);
    assert!(board.is_pending(40));
    assert_eq!([board.of_cpu(AHPPIR), board.of_cpu(AIAR)], [40, 40]);
    assert_eq!([board.of_cpu(0xd0), board.of_cpu(0xe0)], [0, 1 << 20]);
    board.cpu(AEOIR, 40);
    assert_eq!(board.of_cpu(RPR), 0xff);
    board.cpu(CTLR, 7);
    board.set_bit(0x200, 40);
    assert_eq!([board.of_cpu(HPPIR), board.of_cpu(IAR)], [40, 40]);
    board.cpu(EOIR, 40);
    assert_eq!(board.of_cpu(RPR), 0xff);
    // Group 0 is none of the aliased registers'.
    board.set_bit(0x200, 41);
    assert_eq!([board.of_cpu(AHPPIR), board.of_cpu(AIAR)], [1023, 1023]);
    assert_eq!(board.of_cpu(IAR), 41);
    board.cpu(AEOIR, 41);
    assert!(board.is_active(41));
}

#[test]
fn group_0_can_be_the_fast_interrupt() {
    let mut board = Board::ready();
    board.set(0x084, 1 << 8);
    board.cpu(CTLR, 0b1011);
    board.set_bit(0x200, 40);
    assert_eq!(board.0.output(), IRQ);
    board.priority(41, 0x20);
    board.set_bit(0x200, 41);
    assert_eq!(board.0.output(), FIQ);
}

#[test]
fn with_eoi_mode_the_end_and_the_deactivation_are_two() {
    let mut board = Board::ready();
    board.cpu(CTLR, 0x201);
    board.0.set_level(40, true);
    assert_eq!(board.0.ended_by(EOIR, 40), None);
    assert_eq!(board.0.ended_by(DIR, 40), Some(40));
    assert_eq!(board.of_cpu(IAR), 40);
    board.cpu(EOIR, 40);
    assert_eq!((board.of_cpu(RPR), board.is_active(40)), (0xff, true));
    // It is active, so it does not come, but another of its priority does.
    assert_eq!(board.of_cpu(IAR), 1023);
    board.set_bit(0x200, 41);
    assert_eq!(board.of_cpu(IAR), 41);
    board.cpu(EOIR, 41);
    board.cpu(DIR, 40);
    assert_eq!((board.is_active(40), board.of_cpu(IAR)), (false, 40));
    // Without the mode there is no such register.
    board.cpu(CTLR, 1);
    assert_eq!(board.0.ended_by(EOIR, 40), Some(40));
    board.cpu(DIR, 40);
    assert!(board.is_active(40));
}

#[test]
fn ends_of_what_is_no_interrupt_end_nothing() {
    let mut board = Board::ready();
    board.set_bit(0x200, 40);
    assert_eq!(board.of_cpu(IAR), 40);
    for nothing in [1023, 1022, 1020, 128, u32::MAX] {
        board.cpu(EOIR, nothing);
        board.cpu(AEOIR, nothing);
        assert_eq!(board.of_cpu(RPR), 0xa0);
    }
    // The source's bits are passed over.
    board.cpu(EOIR, 1 << 10 | 40);
    assert_eq!(board.of_cpu(RPR), 0xff);
}

#[test]
fn software_can_make_active_and_inactive() {
    let mut board = Board::ready();
    board.set_bit(0x300, 40);
    board.0.set_level(40, true);
    assert_eq!((board.0.output(), board.of_cpu(RPR)), (NONE, 0xff));
    board.set_bit(0x380, 40);
    assert_eq!(board.0.output(), IRQ);
}

#[test]
fn active_priorities_can_be_restored() {
    let mut board = Board::ready();
    board.set_bit(0x200, 40);
    board.cpu(0xe0, 1 << 3);
    assert_eq!((board.of_cpu(RPR), board.0.output()), (0x18, NONE));
    board.cpu(0xe0, 0);
    assert_eq!((board.of_cpu(RPR), board.0.output()), (0xff, IRQ));
}

#[test]
fn list_registers_take_the_best_until_they_are_full() {
    let mut board = Board::ready();
    board.set(0x084, 1 << 9);
    for (intid, priority) in [(40, 0x80), (41, 0x40), (42, 0xc0)] {
        board.priority(intid, priority);
        board.0.set_level(intid, true);
    }
    let first = board.0.hand_out(2).unwrap();
    assert_eq!((first.slot, first.intid, first.priority), (0, 41, 8));
    assert_eq!(first.group, Group::One);
    let second = board.0.hand_out(2).unwrap();
    assert_eq!((second.slot, second.intid, second.priority), (1, 40, 16));
    assert_eq!(second.group, Group::Zero);
    assert_eq!(board.0.hand_out(2), None);
    assert!(board.is_active(41) && board.is_active(40) && !board.is_active(42));
    // The line of one is high still when it ends, and the other's is not.
    board.0.set_level(40, false);
    assert!(board.0.ended(0) && board.0.ended(1));
    assert!(!board.0.ended(1) && !board.0.ended(16) && !board.0.ended(usize::MAX));
    let given = [
        board.0.hand_out(4),
        board.0.hand_out(4),
        board.0.hand_out(4),
    ];
    let given = given.map(|handed| handed.map(|handed| (handed.slot, handed.intid)));
    assert_eq!(given, [Some((0, 41)), Some((1, 42)), None]);
}

#[test]
fn what_no_mask_lets_through_takes_no_list_register() {
    let mut board = Board::ready();
    for intid in 40..45 {
        board.priority(intid, 0xff);
        board.0.set_level(intid, true);
    }
    assert_eq!(board.0.hand_out(4), None);
    board.priority(44, 0xf0);
    assert_eq!(board.0.hand_out(4).map(|handed| handed.intid), Some(44));
    assert_eq!(board.0.hand_out(4), None);
}

#[test]
fn an_edge_during_an_interrupt_in_a_list_register_comes_after_it() {
    let mut board = Board::ready();
    board.edge(40);
    board.0.set_level(40, true);
    assert!(board.0.hand_out(4).is_some());
    board.0.set_level(40, false);
    board.0.set_level(40, true);
    assert_eq!(board.0.hand_out(4), None);
    assert!(board.0.ended(0));
    assert_eq!(board.0.hand_out(4).map(|handed| handed.intid), Some(40));
    assert!(board.0.ended(0));
    assert_eq!(board.0.hand_out(4), None);
}

#[test]
fn only_what_is_enabled_with_its_group_could_come() {
    let mut board = Board(Gic::new());
    assert!(!board.0.is_any_enabled() && !board.0.is_enabled(3));
    board.set(0, 1);
    // SGIs are, but no device sends them.
    assert!(!board.0.is_any_enabled() && board.0.is_enabled(3));
    board.set_bit(0x100, 27);
    assert!(board.0.is_any_enabled() && board.0.is_enabled(27));
    board.set(0x080, u32::MAX);
    assert!(!board.0.is_any_enabled());
    board.set_bit(0x100, 127);
    assert!(board.0.is_any_enabled() && !board.0.is_enabled(128));
}
