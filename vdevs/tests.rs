//! What holds of every device in the list.

extern crate std;

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;
use vdev_model::{Access, Interrupt, MAX_OPTIONS, MAX_WORDS, Narrow, OptionKind, OptionType, Read};

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

fn kinds() -> impl Iterator<Item = &'static Kind> {
    Vdev::ALL.iter().map(|vdev| vdev.kind())
}

/// Their registers, each with what a message calls it.
fn named_registers() -> impl Iterator<Item = (String, &'static Kind, &'static Register)> {
    kinds().flat_map(|kind| {
        kind.registers.iter().map(move |register| {
            let name = format!("{} {} at {:#x}", kind.name, register.name, register.offset);
            (name, kind, register)
        })
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

/// `pub mod` alone makes no device.
#[test]
fn each_file_is_called_as_a_device_of_the_list() {
    let files = std::fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap();
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let modules = files.filter_map(|file| Some(file.strip_suffix(".rs")?.to_string()));
    let modules = modules.filter(|module| !matches!(&**module, "lib" | "tests"));
    let modules: BTreeSet<_> = modules.collect();
    let named = Vdev::ALL.iter().map(|vdev| vdev.kind().name);
    let named: BTreeSet<_> = named.map(|name| name.replace('-', "_")).collect();
    if let Some(module) = modules.difference(&named).next() {
        panic!("{module}.rs: no device of the list has this name, with `-` for `_`");
    }
    if let Some(name) = named.difference(&modules).next() {
        panic!("a device's file is called like the device: {name}.rs is missing");
    }
}

#[test]
fn a_kind_has_a_place_and_not_too_much() {
    for kind in kinds() {
        let name = kind.name;
        assert!(kind.len > 0, "{name}: `len` is 0");
        assert!(kind.align.is_power_of_two(), "{name}: `align`");
        assert!(!kind.spaces.is_empty(), "{name}: `spaces` is empty");
        let registers = kind.registers.len();
        assert!(
            (1..=256).contains(&registers),
            "{name}: {registers} registers"
        );
        let options = kind.options.len();
        assert!(options <= MAX_OPTIONS, "{name}: {options} options");
    }
}

#[test]
fn registers_are_of_1_2_or_4_bytes_and_aligned() {
    for (name, _, register) in named_registers() {
        let width_bytes = register.width_bytes;
        assert!(
            matches!(width_bytes, 1 | 2 | 4),
            "{name}: {width_bytes} bytes"
        );
        let is_aligned = register.offset.is_multiple_of(width_bytes);
        assert!(is_aligned, "{name}: not a multiple of {width_bytes}");
    }
}

#[test]
fn registers_stand_in_their_order_and_apart() {
    for kind in kinds() {
        for pair in kind.registers.windows(2) {
            let (before, register) = (&pair[0], &pair[1]);
            let name = format!("{} {} at {:#x}", kind.name, register.name, register.offset);
            let (end, before_name) = (before.offset + before.width_bytes, before.name);
            let is_in_order = register.offset >= before.offset;
            assert!(
                is_in_order,
                "{name}: stands behind {before_name}, at {:#x}",
                before.offset
            );
            let is_apart = register.offset >= end;
            assert!(
                is_apart,
                "{name}: overlaps {before_name}, which ends at {end:#x}"
            );
        }
    }
}

#[test]
fn registers_lie_in_their_device() {
    for (name, kind, register) in named_registers() {
        let (end, len) = (register.offset + register.width_bytes, kind.len);
        assert!(
            end <= len,
            "{name}: ends at {end:#x}, and `len` is {len:#x}"
        );
    }
}

#[test]
fn fields_lie_in_their_register() {
    for (name, _, register) in named_registers() {
        for field in register.fields {
            let (first, bits, field) = (field.first_bit, field.bits, field.name);
            let all = 8 * register.width_bytes as u32;
            assert!(bits >= 1, "{name}, field {field}: has no bits");
            assert!(
                first + bits <= all,
                "{name}, field {field}: {bits} bits from {first} on, of {all}"
            );
        }
    }
}

/// Words that an option cannot have, as all devices or VMs have them; the compiler of configurations, which
/// knows them (`tools/vmconf/src/options.rs`), holds the same of its own.
const TAKEN: &[&str] = &[
    "loc",
    "name",
    "log",
    "emit-logger",
    "emit-trace",
    "system",
    "cpu",
    "ram",
    "load",
    "cmdline",
    "logger",
    "set",
    "unsupported",
    "vdev",
];

#[test]
fn an_option_has_a_word_of_its_own_and_an_example() {
    for kind in kinds() {
        let mut names = BTreeSet::new();
        for option in kind.options {
            let name = format!("{}, option {}", kind.name, option.name);
            assert!(names.insert(option.name), "{name}: is there twice");
            assert!(!TAKEN.contains(&option.name), "{name}: all have this word");
            let first = option.example.split(' ').next();
            assert_eq!(first, Some(option.name), "{name}: its example");
            match option.is {
                OptionType::Number { least, most } => {
                    assert!(least <= most, "{name}: {least} to {most}");
                }
                OptionType::Text { most_bytes } => {
                    assert!((1..=8).contains(&most_bytes), "{name}: {most_bytes} bytes");
                }
                OptionType::Flag | OptionType::Time | OptionType::Interrupt { .. } => {}
            }
        }
    }
}

#[test]
fn an_interrupt_has_an_option_for_its_line() {
    for kind in kinds() {
        let is_line = |option: &&OptionKind| matches!(option.is, OptionType::Interrupt { .. });
        let lines = kind.options.iter().filter(is_line).count();
        let interrupts = usize::from(kind.interrupt.is_some());
        assert_eq!(
            lines, interrupts,
            "{}: options of the type `Interrupt`, and `interrupt`s",
            kind.name
        );
    }
}

#[test]
fn a_state_has_a_place_in_the_state_page() {
    for vdev in isolated() {
        let (count, name) = (vdev.word_count(), vdev.kind().name);
        assert!((1..=MAX_WORDS).contains(&count), "{name}: {count} words");
        if let Some(Interrupt { word, mask }) = vdev.kind().interrupt {
            assert!(
                word < count,
                "{name}: `interrupt` is in word {word} of {count}"
            );
            assert!(mask != 0, "{name}: no bit raises the interrupt");
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
    for (name, _, register) in named_registers() {
        if register.narrow == Narrow::Merged {
            let is_told = register.access != Access::WriteOnly;
            assert!(is_told, "{name}: is narrow, and cannot be read");
            let is_asked = register.read == Read::Asked;
            assert!(!is_asked, "{name}: is narrow, and reading changes it");
        }
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
