//! What holds of every device in the list.

extern crate std;

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::vec::Vec;
use vdev_model::{Access, MAX_OPTIONS, MAX_WORDS, Narrow, Read};

fn isolated() -> impl Iterator<Item = Vdev> {
    Vdev::ALL
        .iter()
        .copied()
        .filter(|vdev| vdev.local().is_none())
}

fn registers() -> impl Iterator<Item = (Vdev, &'static Register)> {
    isolated().flat_map(|vdev| {
        vdev.kind()
            .registers
            .iter()
            .map(move |register| (vdev, register))
    })
}

/// The page's section that builds a device, and the device's file.
const GUIDE: &str = include_str!("../docs/your-own-vdev.md");
const BUILT: &str = include_str!("adder.rs");

#[test]
fn the_guide_s_listing_is_the_file_that_it_builds() {
    let (_, section) = GUIDE.split_once("\n## The file\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    // A block ends where the file has an empty line.
    let blocks = section.split("\n```rust\n").skip(1);
    let blocks: Vec<_> = blocks
        .map(|block| block.split_once("\n```\n").unwrap().0)
        .collect();
    let listing = blocks.join("\n\n") + "\n";
    for (listed, line) in listing.lines().zip(BUILT.lines()) {
        assert_eq!(listed, line);
    }
    assert!(listing == BUILT, "one of them ends earlier");
}

#[test]
fn the_guide_s_device_is_short() {
    let below_its_header = BUILT.lines().filter(|line| !line.starts_with("//!"));
    assert!(below_its_header.count() <= 60);
}

#[test]
fn each_has_a_name_of_its_own_that_a_configuration_can_have() {
    let mut names = BTreeSet::new();
    for vdev in Vdev::ALL {
        let name = vdev.kind().name;
        assert!(names.insert(name), "{name}");
        assert!((1..=15).contains(&name.len()), "{name}");
        assert!(name.bytes().all(|byte| byte.is_ascii_graphic()), "{name}");
        assert_eq!(Vdev::named(name), Some(*vdev));
    }
}

#[test]
fn registers_lie_in_their_device_and_apart() {
    for vdev in Vdev::ALL {
        let kind = vdev.kind();
        assert!(
            kind.len > 0 && kind.align.is_power_of_two(),
            "{}",
            kind.name
        );
        assert!(
            !kind.spaces.is_empty() && kind.options.len() <= MAX_OPTIONS,
            "{}",
            kind.name
        );
        let mut end = 0;
        for register in kind.registers {
            let Register {
                offset,
                width_bytes,
                ..
            } = *register;
            assert!(
                matches!(width_bytes, 1 | 2 | 4),
                "{} {}",
                kind.name,
                register.name
            );
            assert!(
                offset.is_multiple_of(width_bytes) && offset >= end,
                "{} {} at {offset:#x} is not aligned, or not behind the one before it",
                kind.name,
                register.name
            );
            end = offset + width_bytes;
            for field in register.fields {
                assert!(field.bits >= 1 && field.first_bit + field.bits <= 8 * width_bytes as u32);
            }
        }
        assert!(end <= kind.len, "{}", kind.name);
    }
}

#[test]
fn a_state_has_a_place_in_the_state_page() {
    for vdev in isolated() {
        assert!(
            (1..=MAX_WORDS).contains(&vdev.word_count()),
            "{}",
            vdev.kind().name
        );
        if let Some(interrupt) = vdev.kind().interrupt {
            assert!(interrupt.word < vdev.word_count(), "{}", vdev.kind().name);
        }
    }
}

#[test]
fn whoever_is_not_isolated_says_why() {
    for local in Vdev::ALL.iter().filter_map(|vdev| vdev.local()) {
        assert!(!local.why().is_empty());
    }
}

#[test]
fn nobody_is_asked_for_what_a_vmm_has() {
    let in_vmm = Vdev::ALL.iter().filter(|vdev| vdev.local().is_some());
    for register in in_vmm.flat_map(|vdev| vdev.kind().registers) {
        assert_eq!(register.read, Read::Follows, "{}", register.name);
    }
}

#[test]
fn a_part_of_a_register_can_be_stored_only_where_all_of_it_can_be_told() {
    for (vdev, register) in registers().filter(|(_, register)| register.narrow == Narrow::Merged) {
        assert!(
            register.access != Access::WriteOnly && register.read != Read::Asked,
            "{vdev:?}"
        );
    }
}

proptest! {
    #[test]
    fn no_words_and_no_options_make_a_device_panic(
        words: [u32; MAX_WORDS], options: [Option<u64>; MAX_OPTIONS], value: u32, seconds: u64,
    ) {
        let options = Options(options);
        for (vdev, register) in registers() {
            let mut words = words;
            vdev.told(&words, register.offset);
            vdev.write(&mut words, register, register.whole(), value);
            vdev.asked(&mut words, register.offset);
            vdev.seconds(&mut words, seconds);
            vdev.reset(&mut words, &options);
            let _ = vdev.check(&options);
            vdev.begin(&mut words, &options);
            vdev.told(&words[..0], register.offset);
        }
    }

    #[test]
    fn what_reads_back_is_what_was_written(words: [u32; MAX_WORDS], value: u32) {
        let reads_back = |(_, register): &(Vdev, &Register)| register.read == Read::ReadsBack;
        for (vdev, register) in registers().filter(reads_back) {
            let mut words = words;
            vdev.write(&mut words, register, register.whole(), value);
            let told = register.whole().of(vdev.told(&words, register.offset));
            prop_assert_eq!(told, register.whole().of(value), "{:?} {}", vdev, register.name);
        }
    }

    #[test]
    fn only_its_own_words_make_a_device(words: [u32; MAX_WORDS], others: [u32; MAX_WORDS]) {
        for (vdev, register) in registers() {
            let count = vdev.word_count();
            let mut mixed = others;
            mixed[..count].copy_from_slice(&words[..count]);
            let told = vdev.told(&words, register.offset);
            prop_assert_eq!(vdev.told(&mixed, register.offset), told);
        }
    }

    #[test]
    fn only_a_store_to_it_and_time_change_what_reads_back(words: [u32; MAX_WORDS], value: u32) {
        for vdev in isolated() {
            let registers = || vdev.kind().registers.iter();
            let back = || registers().filter(|it| it.read == Read::ReadsBack);
            for (register, other) in registers().flat_map(|it| back().map(move |other| (it, other))) {
                let told = |words: &[u32]| vdev.told(words, other.offset);
                let mut after = words;
                if register != other && register.access != Access::ReadOnly {
                    vdev.write(&mut after, register, register.whole(), value);
                }
                if register.read == Read::Asked {
                    vdev.asked(&mut after, register.offset);
                }
                prop_assert_eq!(told(&after), told(&words), "{:?} {}", vdev, register.name);
            }
        }
    }
}
