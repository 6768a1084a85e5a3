//! What holds of every device in the list, and of the example in the guide that is not in it.

extern crate std;

mod countdown;

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::format;
use std::string::{String, ToString};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;
use std::vec::Vec;
use vdev_model::{
    Access, Interrupt, MAX_OPTIONS, MAX_WORDS, Narrow, OptionKind, OptionType, Read, TreeNode,
};

/// The guide's second device, in a list of its own.
mod example {
    use super::*;

    devices! {
        isolated { Countdown = countdown::Countdown, }
        in_vmm { Pl011 = pl011::Pl011, }
    }
}

const EXAMPLE: example::Vdev = example::Vdev::Countdown;

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

/// All kinds, and the guide's.
fn kinds() -> impl Iterator<Item = &'static Kind> {
    Vdev::ALL
        .iter()
        .map(|vdev| vdev.kind())
        .chain([EXAMPLE.kind()])
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

const GUIDE: &str = include_str!("../docs/your-own-vdev.md");
const BUILT: &str = include_str!("adder.rs");

/// Holds that the listings in a section of the guide are the file.
fn is_listed(heading: &str, file: &str) {
    let (_, section) = GUIDE.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    // A block ends where the file has an empty line.
    let blocks = section.split("\n```rust\n").skip(1);
    let blocks: Vec<_> = blocks
        .map(|block| block.split_once("\n```\n").unwrap().0)
        .collect();
    let listing = blocks.join("\n\n") + "\n";
    for (listed, line) in listing.lines().zip(file.lines()) {
        assert_eq!(listed, line);
    }
    assert!(listing == file, "one of them ends earlier");
}

#[test]
fn the_guide_s_listings_are_the_files_that_it_builds() {
    is_listed("The file", BUILT);
    let example = include_str!("tests/countdown.rs");
    is_listed("One with options, time and more", example);
}

#[test]
fn the_tests_that_the_guide_names_are_here() {
    let mut named = 0;
    for after in GUIDE.split("tests::").skip(1) {
        let is_other = |c: char| !c.is_ascii_alphanumeric() && c != '_';
        let name = after.split(is_other).next().unwrap();
        let is_here = include_str!("tests.rs").contains(&format!("fn {name}("));
        assert!(is_here, "there is no {name}");
        named += 1;
    }
    assert!(named >= 2, "{named}");
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

/// Which Linux' AMBA bus reads of every device before it looks for a driver; the names and places are those of DDI 0183
/// and DDI 0224.
#[test]
fn a_primecell_s_identification_registers_have_names() {
    let names = [
        "PeriphID0",
        "PeriphID1",
        "PeriphID2",
        "PeriphID3",
        "PCellID0",
        "PCellID1",
        "PCellID2",
        "PCellID3",
    ];
    for vdev in ["pl011", "pl031"].map(|name| Vdev::named(name).unwrap()) {
        for (name, offset) in names.into_iter().zip((0xfe0..0x1000).step_by(4)) {
            let register = vdev.kind().register_at(offset).unwrap();
            assert_eq!(register.name, name, "{vdev:?}");
            assert_eq!(register.access, Access::ReadOnly, "{vdev:?} {name}");
        }
    }
}

/// Or the log and the outputs could not tell them apart.
#[test]
fn of_several_registers_each_has_a_name_of_its_own() {
    for kind in kinds().filter(|kind| kind.registers.len() > 1) {
        let mut names = BTreeSet::new();
        for register in kind.registers {
            let is_new = !register.name.is_empty() && names.insert(register.name);
            assert!(is_new, "{}: {:?}", kind.name, register.name);
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
    "rom",
    "load",
    "initrd",
    "fdt",
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

/// *Devicetree Specification*, sections 2.2.1 and 2.2.4, and 3.3 for aliases. dtc has more of this, and is asked of
/// trees that are made.
#[test]
fn what_a_device_tree_says_of_a_kind_can_stand_in_one() {
    for kind in kinds() {
        let TreeNode {
            name,
            compatible,
            clocks,
            alias,
        } = kind.tree;
        let node = if name.is_empty() { kind.name } else { name };
        assert!(node.len() <= 31, "{node}");
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b",._+-".contains(&byte);
        assert!(node.starts_with(|first: char| first.is_ascii_alphabetic()));
        assert!(node.bytes().all(is_letter), "{node}");
        for text in compatible {
            let (vendor, model) = text.split_once(',').unwrap_or_else(|| panic!("{text}"));
            assert!(!vendor.is_empty() && !model.is_empty(), "{text}");
            assert!(text.bytes().all(is_letter), "{text}");
        }
        assert!(clocks.iter().all(|name| !name.is_empty()), "{node}");
        let alias = alias.unwrap_or("none");
        assert!(
            alias.bytes().all(|byte| byte.is_ascii_lowercase()),
            "{alias}"
        );
    }
}

#[test]
fn an_interrupt_has_an_option_for_its_line() {
    for vdev in isolated() {
        let kind = vdev.kind();
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

/// Far more than any device takes on any machine.
const DEADLINE: Duration = Duration::from_secs(20);

/// Makes calls of a device's functions: in a thread of their own, so that whatever becomes of them, the device
/// is named.
fn call(vdev: impl Debug, calls: impl FnOnce() + Send + 'static) {
    let name = format!("{vdev:?}");
    let (done, is_done) = channel();
    let calls = move || {
        calls();
        let _ = done.send(());
    };
    let thread = thread::Builder::new().name(name.clone()).spawn(calls);
    let returned = is_done.recv_timeout(DEADLINE);
    assert!(
        returned != Err(RecvTimeoutError::Timeout),
        "a function of {name} has not returned within {DEADLINE:?}: does it loop?"
    );
    if let Err(panic) = thread.unwrap().join() {
        let text = panic.downcast_ref::<String>().map(|text| &**text);
        let text = text.or(panic.downcast_ref().copied());
        panic!("{name} panics: {}", text.unwrap_or("see above"));
    }
}

/// What happens to a device; registers are named by their places in the table, modulo their number.
#[derive(Debug, Clone, Copy)]
enum Step {
    Write(usize, u32),
    Read(usize),
    Seconds(u64),
    Reset,
}

/// As a VM does it: from the beginning on, and each register as its table allows.
fn live<V: AnyVdev + Debug + Send>(vdev: V, options: Options, steps: Vec<Step>) {
    call(vdev, move || {
        let registers = vdev.kind().registers;
        let register = |place: usize| &registers[place % registers.len()];
        let mut words = [0; MAX_WORDS];
        vdev.begin(&mut words, &options);
        for step in steps {
            match step {
                Step::Write(place, value) => {
                    let register = register(place);
                    if register.access != Access::ReadOnly {
                        vdev.write(&mut words, register, register.whole(), value);
                    }
                }
                Step::Read(place) => {
                    let register = register(place);
                    match register.read {
                        Read::Asked => vdev.asked(&mut words, register.offset),
                        Read::ReadsBack | Read::Follows => vdev.told(&words, register.offset),
                    };
                }
                Step::Seconds(seconds) => vdev.seconds(&mut words, seconds),
                Step::Reset => vdev.reset(&mut words, &options),
            }
        }
    });
}

/// Any words, and any of a table's registers.
fn call_each<V: AnyVdev + Debug + Send>(
    vdev: V,
    words: [u32; MAX_WORDS],
    options: Options,
    value: u32,
    seconds: u64,
) {
    call(vdev, move || {
        for register in vdev.kind().registers {
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
    });
}

#[test]
fn each_function_returns_however_many_seconds_pass() {
    let steps = [
        Step::Seconds(u64::MAX),
        Step::Reset,
        Step::Seconds(u64::MAX),
    ];
    for vdev in isolated() {
        for word in [0, 1, u32::MAX] {
            call_each(vdev, [word; MAX_WORDS], Options::NONE, word, u64::MAX);
        }
        live(vdev, Options::NONE, steps.to_vec());
    }
}

/// Any number, and often one at which arithmetic goes wrong: small, a power of two or beside one, the largest.
fn number() -> impl Strategy<Value = u64> {
    let beside_power = (0..=64, -1..=1i128).prop_map(|(bit, by)| ((1_i128 << bit) + by) as u64);
    prop_oneof![
        2 => any::<u64>(),
        2 => 0..100u64,
        2 => beside_power,
        1 => Just(0),
        1 => Just(1),
        1 => Just(u64::MAX),
    ]
}

fn word() -> impl Strategy<Value = u32> {
    number().prop_map(|number| number as u32)
}

fn words() -> impl Strategy<Value = [u32; MAX_WORDS]> {
    proptest::collection::vec(word(), MAX_WORDS).prop_map(|words| words.try_into().unwrap())
}

/// As a configuration never has them.
fn options() -> impl Strategy<Value = Options> {
    proptest::array::uniform4(proptest::option::of(number())).prop_map(Options)
}

/// Those, as a configuration can have them: in a range its ends as often as what is between them.
fn fitting(kind: &Kind, Options(mut values): Options) -> Options {
    let between = |value: u64, least: u64, most| match value % 3 {
        0 => least,
        1 => most,
        _ => value.clamp(least, most),
    };
    for (place, value) in values.iter_mut().enumerate() {
        let Some(option) = kind.options.get(place) else {
            *value = None;
            continue;
        };
        *value = value.map(|value| match option.is {
            OptionType::Flag => 1,
            OptionType::Time => value,
            OptionType::Number { least, most } => between(value, least, most),
            OptionType::Interrupt { most } => between(value, 0, most),
            OptionType::Text { most_bytes } => {
                let bytes = value.to_le_bytes().map(|byte| b'!' + byte % 94);
                let unused = 64 - 8 * (1 + value % most_bytes as u64);
                u64::from_le_bytes(bytes) << unused >> unused
            }
        });
        assert!(value.is_none_or(|value| option.is.can_be(value)));
    }
    Options(values)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..64usize, word()).prop_map(|(place, value)| Step::Write(place, value)),
        4 => (0..64usize).prop_map(Step::Read),
        4 => number().prop_map(Step::Seconds),
        1 => Just(Step::Reset),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        // It would be a file in the root of the repository, as this crate's folder has no `src`.
        failure_persistence: None,
        // What does not return takes the deadline each time.
        max_shrink_time: 30_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_words_and_no_options_make_a_device_panic(
        words in words(), options in options(), value in word(), seconds in number(),
    ) {
        for vdev in isolated() {
            call_each(vdev, words, options, value, seconds);
        }
        call_each(EXAMPLE, words, options, value, seconds);
    }

    #[test]
    fn nothing_that_happens_makes_a_device_panic(
        options in options(), steps in proptest::collection::vec(step(), 1..24),
    ) {
        for vdev in isolated() {
            live(vdev, fitting(vdev.kind(), options), steps.clone());
            live(vdev, options, steps.clone());
        }
        live(EXAMPLE, fitting(EXAMPLE.kind(), options), steps.clone());
        live(EXAMPLE, options, steps.clone());
    }

    /// Or `.asked()` was forgotten in the table.
    #[test]
    fn only_what_is_asked_changes_when_it_is_read(words in words()) {
        for (vdev, register) in registers().filter(|(_, register)| register.read != Read::Asked) {
            let mut after = words;
            let asked = vdev.asked(&mut after, register.offset);
            prop_assert_eq!(after, words, "{:?} {}", vdev, register.name);
            let told = vdev.told(&words, register.offset);
            prop_assert_eq!(asked, told, "{:?} {}", vdev, register.name);
        }
    }

    #[test]
    fn what_reads_back_is_what_was_written(words in words(), value in word()) {
        let reads_back = |(_, register): &(Vdev, &Register)| register.read == Read::ReadsBack;
        for (vdev, register) in registers().filter(reads_back) {
            let mut words = words;
            vdev.write(&mut words, register, register.whole(), value);
            let told = register.whole().of(vdev.told(&words, register.offset));
            prop_assert_eq!(told, register.whole().of(value), "{:?} {}", vdev, register.name);
        }
    }

    #[test]
    fn only_its_own_words_make_a_device(words in words(), others in words()) {
        for (vdev, register) in registers() {
            let count = vdev.word_count();
            let mut mixed = others;
            mixed[..count].copy_from_slice(&words[..count]);
            let told = vdev.told(&words, register.offset);
            prop_assert_eq!(vdev.told(&mixed, register.offset), told);
        }
    }

    #[test]
    fn only_a_store_to_it_and_time_change_what_reads_back(words in words(), value in word()) {
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
