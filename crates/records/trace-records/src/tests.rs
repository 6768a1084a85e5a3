use super::*;
use guest_access::{AccessWidth, Direction};
use proptest::prelude::*;

#[test]
fn the_tag_packs_as_its_diagram_says() {
    let tag = Tag::new(Kind::Access)
        .with_instance(3)
        .with_access(Direction::Write, Some(AccessWidth::Halfword))
        .with_flags(Flags::REFUSED)
        .with_space(AddressSpace::Ports)
        .stamped(Stamp::new(1, 12));
    assert_eq!(
        tag.0,
        12 << 48 | 1 << 40 | 1 << 37 | 1 << 36 | 2 << 32 | 3 << 16 | 1 << 8 | 1
    );
    assert_eq!(tag.kind(), Some(Kind::Access));
    assert_eq!(
        (tag.vm(), tag.instance(), tag.vcpu(), tag.event()),
        (1, 3, 0, 12)
    );
    assert_eq!(
        (tag.direction(), tag.width()),
        (Direction::Write, Some(AccessWidth::Halfword))
    );
    assert!(tag.flags().contains(Flags::REFUSED));
    assert_eq!(tag.space(), AddressSpace::Ports);
    let in_memory = tag.with_space(AddressSpace::Memory);
    assert_eq!(
        (in_memory.0, in_memory.space()),
        (tag.0 & !(1 << 37), AddressSpace::Memory)
    );
}

/// What a VMM claims of an access to a device, and the trace component passes on.
#[test]
fn a_stamp_leaves_no_bit_that_has_no_meaning_or_is_not_the_vmms_to_claim() {
    let claimed = Tag(u64::MAX);
    let stamp = Stamp::new(3, 7);
    let known =
        7 << 48 | 0xff << 40 | 1 << 36 | 0xf << 32 | 0xff << 24 | 0xff << 16 | 3 << 8 | 0xff;
    let of_vmm = 1 << 41;
    assert_eq!(claimed.stamped_at_device(stamp).0, known & !of_vmm);
    assert_eq!(claimed.stamped(stamp).0, known | 1 << 37);
    let at_port = stamp.of_device(AddressSpace::Ports, Flags::OF_VMM);
    assert_eq!(
        Tag(0).stamped_at_device(at_port).0,
        7 << 48 | of_vmm | 1 << 37 | 3 << 8
    );
}

#[test]
fn a_port_has_sixteen_bits() {
    let port = |number| Address {
        space: AddressSpace::Ports,
        number,
    };
    assert!(port(0xffff).can_be() && !port(0x1_0000).can_be());
    assert!(Address::memory(u64::MAX).can_be());
    assert_eq!(Address::port(0x3f8), port(0x3f8));
    assert_eq!(
        (Address::from(0x3f8), Address::NONE),
        (Address::memory(0x3f8), Address::memory(0))
    );
}

#[test]
fn every_end_reason_survives_its_number() {
    for number in 0..12 {
        assert_eq!(EndReason::from_number(number).unwrap().number(), number);
    }
    assert_eq!(EndReason::from_number(12), None);
    // What is said of a VMM, it does not say itself.
    for (number, is_a_vmms) in [(8, true), (9, false), (10, false), (11, true)] {
        let reason = EndReason::from_number(number).unwrap();
        assert_eq!(
            (reason.is_a_vmms(), reason.is_success()),
            (is_a_vmms, false)
        );
    }
}

#[test]
fn a_state_page_keeps_value_and_number_together() {
    let page = StatePage::new();
    let state = DeviceState {
        sequence: u32::MAX,
        value: 7,
    };
    page.publish(2, state.sequence, &[state.value]);
    assert_eq!(page.read(2), state);
    assert_eq!(page.read(1), DeviceState::default());
    assert!(state.includes(u32::MAX) && state.includes(u32::MAX - 5) && !state.includes(0));
}

#[test]
fn a_state_of_several_words_is_read_with_its_number_or_not_at_all() {
    let page = StatePage::new();
    let mut words = [7; 3];
    assert_eq!(page.read_several(4, &mut words), Some(0));
    assert_eq!(words, [0; 3]);
    page.publish(4, 9, &[1, 2, 3]);
    page.publish(5, 8, &[4; MAX_WORDS]);
    assert_eq!(
        (page.read_several(4, &mut words), words),
        (Some(9), [1, 2, 3])
    );
    assert!(page.read(4).includes(9) && !page.read(4).includes(10));
    assert_eq!(page.read_several(6, &mut words), Some(0));
}

#[test]
fn the_layout_matches_its_description() {
    let record = Record {
        time: 1,
        address: GuestPhysAddr(2),
        pc: 3,
        value: 4,
        old: 5,
        sequence: 6,
        tag: Tag::new(Kind::Reset),
        state_seen: 7,
        epoch: 8,
    };
    assert_eq!(
        record.to_words(),
        [1, 2, 3, 5 << 32 | 4, 6, 0xffff << 48 | 3, 8 << 32 | 7]
    );
}

proptest! {
    #[test]
    fn any_slot_reads_as_something_or_nothing(words: [u64; 7], small in 0u64..16) {
        for tag in [words[5], words[5] & !0xff | small] {
            let words = { let mut words = words; words[5] = tag; words };
            if let Some(Entry::Event(_, record)) = Entry::from_words(&words) {
                prop_assert_eq!(record.to_words(), words);
            }
            let _ = ConsoleRecord::from_words(&words);
        }
    }

    #[test]
    fn text_survives_its_record(time in 0u64..1 << 56, text in prop::collection::vec(any::<u8>(), 0..60)) {
        let record = ConsoleRecord::Text(Text::new(time, &text));
        let Some(ConsoleRecord::Text(read)) = ConsoleRecord::from_words(&record.to_words()) else {
            panic!("text is not text any more");
        };
        prop_assert_eq!(read.bytes(), &text[..text.len().min(40)]);
        prop_assert_eq!(read.time, time);
    }

    #[test]
    fn summaries_survive_their_records(a: [u64; 5], value: u32, refused: u32) {
        let device = DeviceSummary {
            time: a[0], reads: a[1], writes: a[2], logged: a[3], traced: a[4], value, refused,
        };
        let words = device.to_words(Tag::new(Kind::DeviceSummary).with_instance(4));
        prop_assert_eq!(Entry::from_words(&words), Some(Entry::Device(4, device)));
        let vm = VmSummary {
            time: a[0], log_lost: a[1], trace_overwritten: a[2], outside: a[3], unrecorded: a[4],
            misbehaviour: value,
        };
        prop_assert_eq!(Entry::from_words(&vm.to_words(Tag::new(Kind::VmSummary))), Some(Entry::Vm(vm)));
    }

    #[test]
    fn misbehaviour_survives_its_record(time: u64, count: u64, what in 0u64..13, about: u64, closed: bool) {
        let Some(last) = Misdeed::from_number(what, about) else {
            prop_assert_eq!(what, 12);
            return Ok(());
        };
        prop_assert_eq!(last.about(), if what >= 10 { about } else { 0 });
        let ring = if closed { RingFate::Closed } else { RingFate::Open };
        let told = Misbehaviour { time, count, last, ring };
        let words = told.to_words(Stamp::new(3, EVENT_NONE));
        prop_assert_eq!(Tag(words[5]).vm(), 3);
        prop_assert_eq!(Entry::from_words(&words), Some(Entry::Misbehaviour(told)));
    }

    #[test]
    fn what_the_monitor_says_survives_its_records(time: u64, vm: u8) {
        for record in [
            ConsoleRecord::Verdict(Verdict::Ok),
            ConsoleRecord::Verdict(Verdict::Failed),
            ConsoleRecord::VmDied { time, vm },
        ] {
            let words = record.to_words();
            prop_assert_eq!(ConsoleRecord::from_words(&words), Some(record));
            prop_assert_eq!(Entry::from_words(&words), None, "no record of a log ring");
        }
    }

    #[test]
    fn notices_survive_their_records(time: u64, number: u64, which in 0usize..7, reason in 0u32..12, about: u64, port: bool) {
        let space = if port { AddressSpace::Ports } else { AddressSpace::Memory };
        let address = Address { space, number: about };
        let ended = Notice::Ended(EndReason::from_number(reason).unwrap());
        let notice = [
            Notice::TraceGone, Notice::TraceBack, Notice::TextLost, Notice::Refused, Notice::Idle,
            Notice::ReadersLie, ended,
        ][which];
        let record = ConsoleRecord::Notice { time, notice, number, address, pc: 2 };
        let read = ConsoleRecord::from_words(&record.to_words());
        prop_assert_eq!(read, address.can_be().then_some(record));
        let in_memory = Address::memory(about);
        let record = ConsoleRecord::Notice { time, notice, number, address: in_memory, pc: 2 };
        prop_assert_eq!(ConsoleRecord::from_words(&record.to_words()), Some(record));
        let record = ConsoleRecord::Notice { time, notice, number, address: Address::port(about as u16), pc: 2 };
        prop_assert_eq!(ConsoleRecord::from_words(&record.to_words()), Some(record));
    }
}
