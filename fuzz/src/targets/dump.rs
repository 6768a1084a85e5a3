//! The reader of memory dumps, with dumps whose rings lie.

use crate::script::Script;
use shared_ring::{LAYOUT_VERSION, MAGIC, SLOT_BYTES, header_word};
use vdev_trace::dump::{TRACE, rings};

const PAGE_BYTES: usize = 4096;
/// Pages of a dump: two headers and their slots.
const PAGES: usize = 4;

pub(crate) fn run(input: &[u8]) {
    check(input);
    let mut script = Script::new(input);
    let mut dump = vec![0; PAGES * PAGE_BYTES];
    for page in [0, 2 * PAGE_BYTES] {
        let good = [
            (header_word::MAGIC, MAGIC),
            (header_word::LAYOUT_VERSION, LAYOUT_VERSION),
            (header_word::SLOT_BYTES, SLOT_BYTES as u64),
            (header_word::SLOT_COUNT, 8),
        ];
        for (index, value) in good {
            set_word(&mut dump, page + 8 * index, value);
        }
    }
    while !script.is_over() {
        // A word of the header (of either ring), or of one of the first slots.
        let choice = usize::from(script.byte());
        let page = choice >> 7 << 13;
        let at = match choice & 0x7f {
            index if index < header_word::COUNT => 8 * index,
            index => PAGE_BYTES + 8 * (index - header_word::COUNT),
        };
        set_word(&mut dump, page + at, script.number());
    }
    check(&dump);
}

fn set_word(dump: &mut [u8], at: usize, value: u64) {
    dump[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

fn check(dump: &[u8]) {
    for ring in rings(dump).into_iter().flatten() {
        let slots = (dump.len() - ring.offset - PAGE_BYTES) / SLOT_BYTES;
        let read = ring.records.len() as u64 + ring.torn;
        assert!(read <= slots as u64 && read <= ring.head);
        assert!(ring.records.windows(2).all(|pair| pair[0].0 < pair[1].0));
        if ring.kind == TRACE {
            assert!(ring.records.iter().all(|(number, _)| *number <= ring.head));
        }
        let text = ring.to_text(None);
        assert!(text.lines().count() <= ring.records.len() + 1);
    }
}
