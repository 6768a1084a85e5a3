//! What `make test` runs of the fuzzing: every input that is kept, and a fixed number of its
//! mutations, the same ones each time. Longer and guided by coverage: `make fuzz`.

use fuzz::{TARGETS, Target};
use std::collections::BTreeSet;
use std::path::Path;

/// New inputs for each target.
const MUTATIONS: u64 = 10_000;

/// Steele et al., "Fast splittable pseudorandom number generators" (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

fn corpus(target: Target) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target.name);
    let files =
        std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

/// An input of the corpus with a few bytes changed, taken out or put in.
fn mutated(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(8) {
        let at = random.below(input.len() + 1);
        match random.below(4) {
            0 if at < input.len() => input[at] ^= 1 << random.below(8),
            1 if at < input.len() => input[at] = random.next() as u8,
            2 => {
                let end = input.len().min(at + random.below(16));
                input.drain(at..end);
            }
            _ => {
                let new = (0..random.below(16)).map(|_| random.next() as u8);
                input.splice(at..at, new.collect::<Vec<u8>>());
            }
        }
    }
    input
}

/// Runs an input; if it fails, keeps it where the message says.
fn run(target: Target, input: &[u8]) {
    let failed = std::panic::catch_unwind(|| (target.run)(input)).is_err();
    if failed {
        let file = std::env::temp_dir().join(format!("fuzz-{}", target.name));
        std::fs::write(&file, input).unwrap();
        panic!(
            "target {} fails with the input in {}",
            target.name,
            file.display()
        );
    }
}

fn run_target(name: &str) {
    let target = *TARGETS.iter().find(|target| target.name == name).unwrap();
    let corpus = corpus(target);
    assert!(!corpus.is_empty());
    run(target, &[]);
    for input in &corpus {
        run(target, input);
    }
    let mut random = Random(0);
    for _ in 0..MUTATIONS {
        run(target, &mutated(&corpus, &mut random));
    }
}

/// A test for each target, so that they run side by side.
macro_rules! targets {
    ($($name:literal: $test:ident),* $(,)?) => {
        const TESTED: &[&str] = &[$($name),*];
        $(
            #[test]
            fn $test() {
                run_target($name);
            }
        )*
    };
}

targets! {
    "blob": any_bytes_as_a_compiled_configuration,
    "config": any_bytes_as_a_configuration,
    "console": any_records_for_the_console,
    "device-tree": any_bytes_as_a_device_tree,
    "dump": any_bytes_as_a_dump,
    "instruction": any_instruction,
    "kernel-image": any_header_of_a_kernel,
    "load": any_bytes_as_what_load_names,
    "ring": any_peer_of_a_ring,
    "stage1": any_translation_tables,
    "symbol-list": any_bytes_as_a_list_of_symbols,
    "syndrome": any_syndrome,
    "terminal": any_serial_line_on_its_way_to_a_terminal,
    "trace": any_records_for_the_trace_component,
    "vmm": any_exit_of_a_guest,
    "x86-instruction": any_x86_instruction,
    "x86-paging": any_x86_page_tables,
    "x86-vmm": any_exit_of_an_x86_guest,
}

#[test]
fn each_target_has_a_test_and_a_corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let folders = std::fs::read_dir(folder).unwrap();
    let folders: BTreeSet<String> = folders
        .map(|folder| folder.unwrap().file_name().into_string().unwrap())
        .collect();
    let targets: BTreeSet<String> = TARGETS.map(|target| target.name.into()).into();
    assert_eq!(folders, targets);
    assert_eq!(
        TESTED
            .iter()
            .map(|&name| name.into())
            .collect::<BTreeSet<String>>(),
        targets
    );
}
