//! Holds `docs/vm-conf.md` and the language together: each word of the one is in the other, and its
//! examples are answered as it says.

use crate::devices;
use crate::options::{
    ActionWord, Destination, DeviceOption, SEVERITIES, UnsupportedKind, VmOption, Words,
};
use crate::parser::variables::MAX_ARGUMENT_BYTES;
use crate::qnx::{self, Absent, Harm};
use crate::{LaidOut, MAX_FILE_BYTES, compile};
use vm_config::{
    MAX_CMDLINE_BYTES, MAX_DEVICE_NAME_BYTES, MAX_DEVICES, MAX_IMAGES, MAX_LOAD_NAME_BYTES,
    MAX_NAME_BYTES, MAX_PIECES, MAX_RAM_RANGES, MAX_ROM_RANGES, TraceNumber,
};

const PAGE: &str = include_str!("../../../docs/vm-conf.md");

/// What every VM needs, for examples that are a part of a file.
const REST: &str = "system demo\nram 0x40000000,2M\nload guest-app\n";

/// What stands between `heading` and the next one like it.
fn section(heading: &str) -> &'static str {
    let (_, section) = PAGE.split_once(&format!("\n## {heading}\n")).unwrap();
    section.split("\n## ").next().unwrap()
}

/// The words in backquotes in the first column of a section's tables, without their arguments.
fn words_of(section: &str) -> Vec<&str> {
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.map(|row| row.split(" | ").next().unwrap());
    let words = cells.flat_map(|cell| cell.split('`').step_by(2));
    words
        .filter_map(|word| word.split(' ').next())
        .filter(|word| !word.is_empty())
        .collect()
}

#[test]
fn the_page_has_each_word_of_the_language_and_no_other() {
    assert_eq!(words_of(section("Options of the VM")), VmOption::WORDS);
    assert_eq!(
        words_of(section("Options of a device")),
        DeviceOption::WORDS
    );
    let severities = SEVERITIES.iter().map(|severity| severity.0);
    let severities = severities.chain(Destination::WORDS.iter().copied());
    assert!(
        words_of(section("Severities and destinations"))
            .into_iter()
            .eq(severities)
    );
    let unsupported = [UnsupportedKind::WORDS, ActionWord::WORDS].concat();
    assert_eq!(words_of(section("What is not supported")), unsupported);
}

/// Whoever writes a device of his own need not write here about it, so not all of them are on the page.
#[test]
fn the_devices_on_the_page_are_there_with_the_options_that_it_says() {
    let named = words_of(section("Devices"));
    let known = devices::names().into_iter();
    let known: Vec<_> = known.filter(|name| named.contains(name)).collect();
    assert_eq!(named, known);
    let rows = section("Devices");
    let rows = rows.lines().filter(|line| line.starts_with("| `"));
    let columns = rows.map(|row| row.trim_end_matches(" |").rsplit(" | ").next().unwrap());
    for (name, options) in named.into_iter().zip(columns) {
        let kind = devices::kinds().find(|kind| kind.name == name).unwrap();
        let options = options.split('`').skip(1).step_by(2);
        let options: Vec<_> = options.map(|it| it.split(' ').next().unwrap()).collect();
        let known: Vec<_> = kind.options.iter().map(|option| option.name).collect();
        assert_eq!(options, known, "{name}");
    }
}

#[test]
fn the_page_says_of_each_word_that_only_qnx_has_what_the_compiler_says() {
    let row = |absent: &Absent| {
        let here = match absent.harm {
            Harm::Some => "refused",
            Harm::None => "passed over",
        };
        let help = absent.help("those [above](#devices)");
        let instead = help.as_deref().unwrap_or("–");
        format!("| `{}` | {here} | {instead} |", absent.name)
    };
    let lists = [
        qnx::VM_OPTIONS,
        qnx::BLOB_TYPES,
        qnx::CPU_OPTIONS,
        qnx::VDEV_OPTIONS,
        qnx::SERIAL_PORT_OPTIONS,
        qnx::VDEVS,
        qnx::VARIABLES,
    ];
    let rows: Vec<String> = lists.into_iter().flatten().map(row).collect();
    let section = section("What only QNX has");
    let on_the_page = section.lines().filter(|line| line.starts_with("| `"));
    assert_eq!(on_the_page.collect::<Vec<_>>(), rows);
}

#[test]
fn the_page_has_the_limits_of_the_language() {
    let largest = TraceNumber::MAX.get();
    for limit in [
        format!("the VM's name, 1 to {MAX_NAME_BYTES} characters"),
        format!("Needed, 1 to {MAX_RAM_RANGES} times"),
        format!(
            "above 2 MiB in whole blocks of 2 MiB, at most 1 GiB; up to {MAX_ROM_RANGES} times"
        ),
        format!("a name of 1 to {MAX_LOAD_NAME_BYTES} characters"),
        format!("the guest's command line, up to {MAX_CMDLINE_BYTES} characters"),
        format!("Needed, 1 to {MAX_IMAGES} times |"),
        format!("at most {MAX_PIECES} pieces"),
        format!("up to {MAX_DEVICES} |"),
        format!("its name in lines and traces, 1 to {MAX_DEVICE_NAME_BYTES} characters"),
        format!("an event of this number, 0 to {largest},"),
        format!("A file has at most {} MiB", MAX_FILE_BYTES >> 20),
        format!("an argument {} ", MAX_ARGUMENT_BYTES),
    ] {
        assert!(PAGE.replace('\n', " ").contains(&limit), "{limit}");
    }
}

/// What the compiler says of an example.
fn said(example: &str) -> String {
    let rest = if example.contains("system ") {
        ""
    } else {
        REST
    };
    let text = format!("{example}{rest}");
    let told = match compile("vm.conf", 0, &text, |loads, vm| {
        Ok(LaidOut::unseen(loads, vm))
    }) {
        Ok(compiled) => compiled.warnings,
        Err(errors) => errors,
    };
    told.to_string()
}

#[test]
fn the_page_s_examples_are_answered_as_it_says() {
    let mut blocks = PAGE.split("\n```").skip(1).step_by(2).peekable();
    let mut examples = 0;
    while let Some(block) = blocks.next() {
        let example = block
            .strip_prefix("conf\n")
            .expect("an answer without an example");
        let answer = blocks.next_if(|next| next.starts_with("text\n"));
        let answer = answer.map_or("", |answer| &answer["text\n".len()..]);
        assert_eq!(
            said(&format!("{example}\n")).trim_end(),
            answer,
            "{example}"
        );
        examples += 1;
    }
    assert!(examples > 10);
}
