//! Proves that `vdev adder` adds, in whatever order its numbers are written and its words are read, and
//! that accesses which it does not have change nothing.
//!
//! Keys: `adder=` address of the device. The VM's `unsupported reference` is `ignore`.

#![cfg_attr(target_os = "none", no_std, no_main)]

use guest::{Outcome, Start, check, driver::TraceLocation, say};

guest::program!(run);

/// `a`, `b` and `sum`, in words.
const A: usize = 0;
const B: usize = 1;
const SUM: usize = 2;
const NAMES: [&str; 3] = ["a", "b", "sum"];

/// All orders of writing the two numbers, and of reading the three words.
const WRITES: [[usize; 2]; 2] = [[A, B], [B, A]];
const READS: [[usize; 3]; 6] = [
    [A, B, SUM],
    [A, SUM, B],
    [B, A, SUM],
    [B, SUM, A],
    [SUM, A, B],
    [SUM, B, A],
];
/// How often each is tried, with other numbers.
const TURNS: u32 = 8;

fn run(start: &Start) -> Outcome {
    let first = start.trace_location("adder")?;
    let mut words = [0x0, 0x4, 0x8].map(|offset| first.further(offset));

    let mut round = 0;
    for _ in 0..TURNS {
        for (writes, reads) in WRITES.iter().flat_map(|it| READS.map(|reads| (it, reads))) {
            // Numbers that no round before had, in steps so large that sums wrap.
            round += 1;
            let numbers = [0x9e37_79b9, 0x85eb_ca6b].map(|step| u32::wrapping_mul(round, step));
            for number in *writes {
                words[number].write(numbers[number]);
            }
            let [a, b] = numbers;
            check_words(&mut words, reads, [a, b, a.wrapping_add(b)]);
        }
    }
    say!("{round} sums are right in all orders");

    // Each write alone shows in the sum and in nothing else.
    words[A].write(u32::MAX);
    words[B].write(1);
    check_words(&mut words, READS[4], [u32::MAX, 1, 0]);
    words[B].write(0x1234_5678);
    check_words(&mut words, READS[4], [u32::MAX, 0x1234_5678, 0x1234_5677]);
    words[A].write(0);
    let all = [0, 0x1234_5678, 0x1234_5678];
    check_words(&mut words, READS[4], all);

    for (word, name) in words.iter_mut().zip(NAMES) {
        let byte: u8 = word.read_lane(1);
        check!(byte == u8::MAX, "a byte of {name} is {byte:#x}");
        let half: u16 = word.read_lane(2);
        check!(half == u16::MAX, "a half of {name} is {half:#x}");
        word.write_lane(0, 0x5a_u8);
        word.write_lane(2, 0x5a5a_u16);
    }
    words[SUM].write(7);
    check_words(&mut words, READS[0], all);
    say!("narrow accesses and stores to the sum change nothing");
    Ok(())
}

fn check_words(words: &mut [TraceLocation; 3], order: [usize; 3], wanted: [u32; 3]) {
    for word in order {
        let found = words[word].read();
        let (name, wanted) = (NAMES[word], wanted[word]);
        check!(found == wanted, "{name} is {found:#x}, not {wanted:#x}");
    }
}
