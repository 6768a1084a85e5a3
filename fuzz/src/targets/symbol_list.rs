//! The reader of a kernel's list of symbols, with any file; what it finds is looked up again, line by line.

use std::collections::BTreeMap;
use vdev_trace::vms::symbol_list::{MAX_FUNCTION_BYTES, Refused, SymbolList};

pub(crate) fn run(input: &[u8]) {
    match SymbolList::read(input) {
        Ok(list) => assert_that_each_address_has_its_function(&list, input),
        Err(refused) => assert_that_it_can_be_printed(&refused),
    }
}

/// The letter, name and module of a symbol; without a blank line or a damaged one, words are all that there is.
struct Line<'a> {
    letter: &'a str,
    name: &'a str,
    module: Option<&'a str>,
}

fn lines(input: &[u8]) -> BTreeMap<u64, Vec<Line<'_>>> {
    let text = std::str::from_utf8(input).expect("a list is ASCII");
    let mut places = BTreeMap::<u64, Vec<_>>::new();
    for line in text.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let address = u64::from_str_radix(words[0], 16).expect("a number");
        let module = words.get(3).map(|module| &module[1..module.len() - 1]);
        let line = Line {
            letter: words[1],
            name: words[2],
            module,
        };
        places.entry(address).or_default().push(line);
    }
    places
}

/// In the middle of what lies between two places, at its ends and around the longest function.
fn assert_that_each_address_has_its_function(list: &SymbolList, input: &[u8]) {
    let lines = lines(input);
    let mut names = 0;
    for (&place, symbols) in &lines {
        let beyond = place.saturating_add(MAX_FUNCTION_BYTES);
        for address in [place, place.saturating_add(1), beyond - 1, beyond] {
            let Some((name, module)) = list.at(address) else {
                continue;
            };
            names += 1;
            assert_is_closest(&lines, address, name, module);
        }
        let is_code = |line: &Line<'_>| matches!(line.letter, "t" | "T");
        let is_plain = |line: &Line<'_>| line.name.starts_with(|c: char| c.is_ascii_lowercase());
        if place != 0
            && place != u64::MAX
            && symbols.iter().any(|line| is_code(line) && is_plain(line))
        {
            assert!(list.at(place).is_some(), "{place:#x}");
        }
    }
    let begins_at_the_end = lines
        .last_key_value()
        .is_some_and(|(last, _)| *last == u64::MAX);
    assert!(names != 0 || begins_at_the_end);
    let least = *lines.first_key_value().expect("a list has lines").0;
    assert!(list.at(least.saturating_sub(1)).is_none() || least == 0);
}

/// What was found is a symbol of code, and from it to the address nothing else begins that is in memory.
fn assert_is_closest(
    lines: &BTreeMap<u64, Vec<Line<'_>>>,
    address: u64,
    name: &str,
    module: Option<&str>,
) {
    for (place, symbols) in lines.range(..=address).rev() {
        let is_code = |line: &Line<'_>| "tTwWi".contains(line.letter);
        let is_it = |line: &Line<'_>| line.name == name && line.module == module && is_code(line);
        if symbols.iter().any(is_it) {
            assert!(
                address - place < MAX_FUNCTION_BYTES,
                "{name} at {address:#x}"
            );
            return;
        }
        for line in symbols {
            let is_somewhere = !"aAnNU".contains(line.letter);
            let is_label = line.name.contains('$') || line.name.contains(".L");
            assert!(!is_somewhere || is_label, "{} ends {name}", line.name);
        }
    }
    panic!("{name} is not there");
}

fn assert_that_it_can_be_printed(refused: &Refused) {
    let text = refused.to_string();
    // Of a line only a part is shown, of which each character may become an escape.
    assert!(text.chars().count() < 2000, "{text}");
    assert!(!text.chars().any(char::is_control), "{text:?}");
}
